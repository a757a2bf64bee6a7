"""Encoding clips for SER models: with and without bucketing by length, and against reading cached features.

    python benchmarks/ser_encoding.py --ravdess DIR
    python benchmarks/ser_encoding.py --random facebook/wav2vec2-base --device cuda

The first line encodes RAVDESS clips with Whisper tiny.en's encoder, which a Python package carries, and clips
of random length with a small wav2vec 2.0 of random weights. The second encodes the clips of random length
with a published architecture of random weights: nothing is downloaded, speed and memory are those of the
real model. It has not been run on a GPU yet. Whisper works on 30 s whatever the clip's length: there
bucketing can bring nothing, and a difference between the two is the machine's noise.

All measurements of a pair (with and without bucketing, encoding and reading) alternate in one process, so
that a busy machine slows both; the best of the repetitions counts. Each setting is a process of its own, for
its peak of memory. `seconds_of_steps` tells how much the model worked on, fillings included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from remelt.evaluation import encoders
from remelt.evaluation.encoders.base import Encoder
from remelt.evaluation.examples import RATE
from remelt.evaluation.features import FeatureCache, Features

BATCH = 16
REPETITIONS = 3
SMALL = {
    "model_type": "wav2vec2", "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
    "intermediate_size": 512, "conv_dim": [64] * 7, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip


def random_clips(count: int) -> list[NDArray[np.float32]]:
    """Noise of 0.5 to 15 s, short clips more often than long ones, as utterances are."""
    random = np.random.default_rng(0)
    seconds = np.clip(random.lognormal(0.9, 0.7, count), 0.5, 15)
    return [random.normal(0, 0.1, int(s * RATE)).astype(np.float32) for s in seconds]


def ravdess_clips(folder: Path) -> list[NDArray[np.float32]]:
    import soundfile
    import soxr

    clips = []
    for path in sorted(folder.rglob("*.wav")):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        clips.append(soxr.resample(samples.mean(axis=1), rate, RATE).astype(np.float32))
    if not clips:
        sys.exit(f"no clips in {folder}")
    return clips


def small_encoder(folder: Path, device: str) -> Encoder:
    """A wav2vec 2.0 of 1 M parameters with random weights."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    settings = dict(SMALL)
    AutoModel.from_config(AutoConfig.for_model(settings.pop("model_type"), **settings)).save_pretrained(
        folder
    )
    return encoders.create(str(folder), "speech", device=device)


def encoded(encoder: Encoder, clips: list[NDArray[np.float32]], order: NDArray[np.int64]) -> None:
    for start in range(0, len(order), BATCH):
        encoder.encode([clips[n] for n in order[start : start + BATCH]])


def padded_seconds(clips: list[NDArray[np.float32]], order: NDArray[np.int64]) -> float:
    """Seconds of sound with what fills up each batch."""
    batches = [[len(clips[n]) for n in order[i : i + BATCH]] for i in range(0, len(order), BATCH)]
    return sum(len(batch) * max(batch) for batch in batches) / RATE


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def read_all(features: Features) -> float:
    """An epoch over cached features: every number of them is read."""
    return sum(float(features[name].astype(np.float32).sum()) for name in features)


def measure(setting: str, options: argparse.Namespace) -> dict[str, Any]:
    """Rates of one encoder on one set of clips."""
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as work:
        if setting == "ravdess":
            clips = ravdess_clips(options.ravdess)
            clips = clips[:: max(1, len(clips) // options.ravdess_clips)][: options.ravdess_clips]
            encoder: Encoder = encoders.create("whisper-tiny.en-local", "speech", device=options.device)
        else:
            clips = random_clips(options.clips)
            encoder = (
                encoders.create(options.random, "speech", device=options.device, random_weights=True)
                if options.random
                else small_encoder(Path(work) / "wav2vec2-small-random", options.device)
            )
        return {
            "encoder": encoder.name,
            "device": options.device,
            **rates(encoder, clips, Path(work), options),
        }


def rates(
    encoder: Encoder, clips: list[NDArray[np.float32]], work: Path, options: argparse.Namespace
) -> dict[str, Any]:
    shuffled = np.random.default_rng(1).permutation(len(clips))
    bucketed = np.array(sorted(shuffled, key=lambda n: len(clips[n])))
    encoder.encode(clips[:2])
    times: dict[str, list[float]] = {"shuffled": [], "bucketed": [], "reading": []}
    names = [str(n) for n in range(len(clips))]
    cached = timed(lambda: cache(encoder, clips, work))
    found = cache(encoder, clips, work)
    for _ in range(options.repetitions):
        times["shuffled"].append(timed(lambda: encoded(encoder, clips, shuffled)))
        times["bucketed"].append(timed(lambda: encoded(encoder, clips, bucketed)))
        times["reading"].append(timed(lambda: read_all(found)))
    best = {name: min(values) for name, values in times.items()}
    stored = sum(found[name].nbytes for name in names)
    return {
        "clips": len(clips),
        "sound_seconds": round(sum(map(len, clips)) / RATE, 1),
        "batch_size": BATCH,
        "shuffled": {
            "clips_per_second": round(len(clips) / best["shuffled"], 2),
            "seconds_of_steps": round(padded_seconds(clips, shuffled), 1),
        },
        "bucketed": {
            "clips_per_second": round(len(clips) / best["bucketed"], 2),
            "seconds_of_steps": round(padded_seconds(clips, bucketed), 1),
        },
        "bucketing_times_faster": round(best["shuffled"] / best["bucketed"], 2),
        "first_pass_with_writing_clips_per_second": round(len(clips) / cached, 2),
        "reading_clips_per_second": round(len(clips) / best["reading"]),
        "reading_times_faster_than_encoding": round(best["bucketed"] / best["reading"]),
        "mb_of_features": round(stored / 1e6, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        **gpu(options.device),
        "load": [round(value, 1) for value in os.getloadavg()],
    }


def cache(encoder: Encoder, clips: list[NDArray[np.float32]], work: Path) -> Features:
    keys = [(str(n), str(n)) for n in range(len(clips))]
    return FeatureCache(work / "cache").features(
        encoder, keys, lambda name: clips[int(name)], batch_size=BATCH
    )


def gpu(device: str) -> dict[str, Any]:
    import torch

    if not device.startswith("cuda"):
        return {}
    return {
        "gpu": torch.cuda.get_device_name(device),
        "peak_gpu_mb": round(torch.cuda.max_memory_allocated(device) / 2**20),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ravdess", type=Path, help="folder with RAVDESS clips")
    parser.add_argument("--random", help="a published architecture instead of the small one")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clips", type=int, default=120, help="of random length")
    parser.add_argument("--ravdess-clips", type=int, default=32, help="taken evenly from all")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options)))
        return
    record: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("remelt", "torch", "transformers", "numpy")},
        "threads": options.threads,
        "repetitions": options.repetitions,
        "settings": {},
    }
    for setting in (*(("ravdess",) if options.ravdess else ()), "random lengths"):
        line = [sys.executable, __file__, *sys.argv[1:], "--one", setting]
        found = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout)
        record["settings"][setting] = found
        print(setting, json.dumps(found, indent=2), flush=True)
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
