"""Times the training of a SER head: cached features against encoding in every epoch, and length buckets.

    python benchmarks/ser_training.py DATA

DATA holds `ravdess/Actor_*/*.wav` and MELD's `meld/train_sent_emo.csv`. The encoder is that of Whisper
tiny.en (five states of 384 numbers; it computes 30 seconds for each clip), frozen, the model that of MELT's
evaluation, batches of 32. Times are those of the processor, on one thread and in turn, so that a busy machine
hardly changes them; peak memory is that of a fresh process for each way. RAVDESS clips are about equally
long: what buckets bring is measured on random states with the lengths of MELD's utterances.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from remelt.evaluation import encoders
from remelt.evaluation.batch import Batch
from remelt.evaluation.batches import UtteranceBatches
from remelt.evaluation.examples import Example
from remelt.evaluation.features import FeatureCache
from remelt.evaluation.filling import filled
from remelt.evaluation.models.frontend import States
from remelt.evaluation.models.weighted_ssl import WeightedSSL
from remelt.evaluation.objectives import Classification
from remelt.evaluation.training.loop import fit, seed_everything
from remelt.evaluation.training.options import TrainingOptions
from remelt.recipes.reporting import Reporter
from remelt.records import digest
from remelt.voice import audio

ENCODER, LAYERS, WIDTH, STEPS_PER_SECOND = "whisper-tiny.en-local", 5, 384, 50
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
BATCH, LONGEST_SECONDS = 32, 15.0
PACKAGES = ("remelt", "torch", "accelerate", "transformers", "numpy")
WAYS = ("cached", "encoded in every epoch", "MELD lengths, in buckets", "MELD lengths, no buckets")
# Of each round; the first of several is left out.
EPOCHS = dict(zip(WAYS, (11, 1, 2, 2), strict=True))


class Encoding(UtteranceBatches):
    """Batches whose sound a frozen encoder turns into states whenever they are asked for."""

    encoder: Any

    def epoch(self, number: int) -> Iterator[Batch]:
        for batch in super().epoch(number):
            states = self.encoder.encode([self._stores["speech"][name] for name in batch.ids])
            yield replace(batch, speech=filled(states, batch.ids, "speech"))


class Clock(Reporter):
    """Notes the processor's time at the end of each epoch."""

    def __init__(self, batches: int) -> None:
        self.batches, self.times = batches, [time.process_time()]

    def counted(self, done: int, total: int, what: str) -> None:
        if done % self.batches == 0:
            self.times.append(time.process_time())


class Noise:
    """Random states of given lengths."""

    def __init__(self, lengths: dict[str, int]) -> None:
        shape = (LAYERS, max(lengths.values()), WIDTH)
        self.lengths = lengths
        self._states = np.random.default_rng(0).normal(size=shape).astype(np.float16)

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return self._states[:, : self.lengths[name]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with ravdess/ and meld/")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--clips", type=int, default=40, help="of RAVDESS")
    parser.add_argument("--rows", type=int, default=1_000, help="with MELD's lengths")
    parser.add_argument("--peak", nargs=2, help="a way, and a folder of features: prints the peak memory")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak:
        name, folder = options.peak
        seconds(way(name, options, Path(folder)), 1)
        print(own_peak())
        return
    with tempfile.TemporaryDirectory() as folder:
        record = measured(options, Path(folder))
    options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


def measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    made = {name: way(name, options, folder) for name in WAYS}
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(options.runs):
        for name, batches in made.items():
            times[name] += seconds(batches, EPOCHS[name])
    middle = {name: statistics.median(found) for name, found in times.items()}
    cached, encoded, buckets, none = (middle[name] for name in WAYS)
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version(name) for name in PACKAGES},
        "load_average": round(os.getloadavg()[0], 1),
        "encoder": f"{ENCODER}: {LAYERS} states of {WIDTH}",
        "rows": {name: len(batches.ids) for name, batches in made.items()},
        "cpu_seconds_of_an_epoch": {name: round(found, 3) for name, found in middle.items()},
        "epochs_per_cpu_second": {name: round(1 / found, 3) for name, found in middle.items()},
        "of_each_epoch": {name: [round(one, 3) for one in found] for name, found in times.items()},
        "cached_is_faster_by": round(encoded / cached, 1),
        "buckets_are_faster_by": round(none / buckets, 2),
        "share_of_filling": {name: round(filling(made[name]), 3) for name in WAYS if "encoded" not in name},
        "peak_memory_mb": {name: peak(options, name, folder) for name in WAYS},
    }


def way(name: str, options: argparse.Namespace, folder: Path) -> UtteranceBatches:
    """The batches of one way."""
    if name.startswith("MELD"):
        lengths = meld_lengths(options.data / "meld" / "train_sent_emo.csv", options.rows)
        rows = [example(key, place) for place, key in enumerate(lengths)]
        noise, bucket = Noise(lengths), "no" not in name
        return UtteranceBatches(rows, noise, labels=EMOTIONS, batch_size=BATCH, bucket=bucket)
    paths = sorted(options.data.glob("ravdess/Actor_*/*.wav"))
    paths = paths[:: max(1, len(paths) // options.clips)][: options.clips]
    sounds = {path.stem: audio.read(path).samples for path in paths}
    rows = [example(key, int(key.split("-")[2]) - 1) for key in sounds]
    encoder = encoders.create(ENCODER, "speech")
    if name != "cached":
        made = Encoding(rows, sounds, labels=EMOTIONS, batch_size=BATCH)
        made.encoder = encoder
        return made
    keys = [(key, digest(samples.tobytes().hex())) for key, samples in sounds.items()]
    features = FeatureCache(folder / "features").features(encoder, keys, sounds.__getitem__)
    return UtteranceBatches(rows, features, labels=EMOTIONS, batch_size=BATCH)


def example(key: str, number: int) -> Example:
    return Example(key, "bench", "train", label=EMOTIONS[number % len(EMOTIONS)])


def meld_lengths(path: Path, rows: int) -> dict[str, int]:
    """Steps of the first utterances of up to 15 s, by their times."""

    def second(text: str) -> float:
        hours, minutes, rest = text.replace(",", ".").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(rest)

    found = {}
    with path.open(encoding="utf-8", newline="") as file:
        for place, row in enumerate(csv.DictReader(file)):
            length = second(row["EndTime"]) - second(row["StartTime"])
            if 0.1 <= length <= LONGEST_SECONDS and len(found) < rows:
                found[f"meld{place}"] = round(length * STEPS_PER_SECOND)
    return found


def seconds(batches: UtteranceBatches, epochs: int) -> list[float]:
    """The processor's seconds for each epoch, without what is done once."""
    seed_everything(0)
    model = WeightedSSL(States(LAYERS, WIDTH), len(EMOTIONS))
    training = TrainingOptions(
        optimizer="adam", lr=1e-3, batch_size=BATCH, epochs=epochs, keep="last", device="cpu"
    )
    clock = Clock(len(batches))
    with tempfile.TemporaryDirectory() as folder:
        fit(model, Classification(EMOTIONS), batches, None, training, Path(folder) / "run", 0, clock)
    # What comes before the first epoch is not of it; of a single one there is no other measure.
    found = [after - before for before, after in pairwise(clock.times)]
    return found[1:] or found


def filling(batches: UtteranceBatches) -> float:
    """Which share of the steps in an epoch's batches is filling."""
    real = all_steps = 0
    for batch in batches.epoch(1):
        assert batch.speech is not None
        real += int(batch.speech.lengths.sum())
        all_steps += batch.speech.values.shape[0] * batch.speech.values.shape[2]
    return 1 - real / all_steps


def own_peak() -> int:
    """Peak memory of this process in MB; `getrusage` would count that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


def peak(options: argparse.Namespace, name: str, folder: Path) -> int:
    """Peak memory of one epoch in a fresh process, in MB, Python and torch (some hundred MB) included."""
    numbers = ["--clips", str(options.clips), "--rows", str(options.rows)]
    command = [sys.executable, __file__, str(options.data), *numbers, "--peak", name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
