#!/usr/bin/env python3
"""Makes the bundled sample corpus (builders/remelt/corpora/sample) from scripts/sample_dialogues.yaml.

Texts, speakers and labels come from that file alone; the times follow the clips, so they change by some
milliseconds where another version of a synthesiser speaks. Needs espeak-ng and flite (on Debian or Ubuntu:
`apt-get install espeak-ng flite`) and remelt with its `dev` extra (scipy).

    python scripts/make_sample_corpus.py [FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "scripts" / "sample_dialogues.yaml"
TARGET = REPOSITORY / "builders" / "remelt" / "corpora" / "sample"
MEDIA = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
COLUMNS = (
    "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID",
    "Season", "Episode", "StartTime", "EndTime",
)  # fmt: skip
SENTIMENT = {"joy": "positive", "surprise": "positive", "neutral": "neutral"}
RATE = 16000
MILLISECOND = RATE // 1000
NEUTRAL_LEVEL = -27.0  # dBFS, root mean square of the voiced part
SILENCE = -45.0  # dB under the loudest 10 ms
MARGIN = 60  # milliseconds kept around the speech
GAPS = (180, 420, 90, 310, 240)  # milliseconds between lines, in turn
ESPEAK_STEPS_PER_SEMITONE = 70 / 12  # measured: 70 steps of -p are about an octave

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One line of a dialogue with its place in the corpus and its peculiarities (see the YAML file)."""

    split: str
    dialogue: int
    utterance: int
    episode: int
    speaker: str
    emotion: str
    text: str
    gap: int
    opening: str = ""
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"dia{self.dialogue}_utt{self.utterance}"

    @property
    def sentiment(self) -> str:
        return str(self.extras.get("sentiment", SENTIMENT.get(self.emotion, "negative")))


def read_lines(source: dict[str, Any]) -> Iterator[Line]:
    """The lines of all dialogues; dialogues count from 0 in each split, as MELD's do."""
    counts = dict.fromkeys(MEDIA, 0)
    for dialogue in source["dialogues"]:
        split = dialogue["split"]
        utterance = -1
        for number, (speaker, emotion, text, *rest) in enumerate(dialogue["lines"]):
            extras = rest[0] if rest else {}
            utterance = extras.get("id", utterance + 1)
            yield Line(
                split, counts[split], utterance, dialogue["episode"], speaker, emotion, text,
                gap=extras.get("gap", GAPS[number % len(GAPS)]),
                opening="" if number else dialogue["starts"],
                extras=extras,
            )  # fmt: skip
        counts[split] += 1


def milliseconds(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + int(seconds.replace(",", ""))


def clock(value: int, short_hours: bool = False) -> str:
    """MELD's time format; the short one is its second spelling, `H:MM:SS,mmm`."""
    minutes, rest = divmod(value, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:0{1 if short_hours else 2}d}:{minutes:02d}:{rest // 1000:02d},{rest % 1000:03d}"


def command(voice: dict[str, Any], delivery: dict[str, float], text: str, wav: Path) -> list[str]:
    """The synthesiser's command line for one voice in one emotion."""
    if voice["engine"] == "espeak-ng":
        pitch = round(voice["pitch"] + ESPEAK_STEPS_PER_SEMITONE * delivery["pitch"])
        return [
            "espeak-ng", "-v", voice["voice"], "-p", str(min(99, max(0, pitch))),
            "-s", str(round(voice["speed"] * delivery["pace"])), "-w", str(wav), text,
        ]  # fmt: skip
    return [
        "flite", "-voice", voice["voice"], "--setf", f"f0_shift={2 ** (delivery['pitch'] / 12):.4f}",
        "--setf", f"duration_stretch={1 / delivery['pace']:.4f}", "-t", text, "-o", str(wav),
    ]  # fmt: skip


def trim(samples: Samples) -> Samples:
    """Cuts the silence at both ends down to the margin; the length becomes a whole number of milliseconds."""
    window = 10 * MILLISECOND
    frames = samples[: len(samples) // window * window].reshape(-1, window)
    power = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    loud = np.flatnonzero(power > power.max() + SILENCE)
    first = max(0, int(loud[0]) * window - MARGIN * MILLISECOND)
    last = min(len(samples), (int(loud[-1]) + 1) * window + MARGIN * MILLISECOND)
    last -= (last - first) % MILLISECOND
    return samples[first:last]


def level(samples: Samples, gain: float) -> Samples:
    """Brings the voiced part to the level of neutral speech plus the gain, without clipping."""
    voiced = samples[np.abs(samples) > 0.05 * np.abs(samples).max()]
    rms = 20 * np.log10(np.sqrt(np.mean(voiced**2)))
    louder = samples * 10 ** ((NEUTRAL_LEVEL + gain - rms) / 20)
    return louder * min(1.0, 0.98 / np.abs(louder).max())


def speak(voice: dict[str, Any], delivery: dict[str, float], text: str, folder: Path) -> Samples:
    """One voice's samples at 16 kHz, trimmed and levelled."""
    import soundfile
    from scipy.signal import resample_poly

    wav = folder / "speech.wav"
    subprocess.run(command(voice, delivery, text.replace("’", "'"), wav), check=True, capture_output=True)
    samples, rate = soundfile.read(wav, dtype="float64")
    if rate != RATE:
        samples = resample_poly(samples, RATE, rate)
    return level(trim(samples), delivery["gain"])


def synthesise(source: dict[str, Any], line: Line, folder: Path) -> Samples:
    """The samples of one line; several voices speak at once."""
    delivery = source["delivery"][line.emotion]
    text = line.extras.get("say", line.text)
    names = line.extras.get("voices", [line.speaker])
    voices = [speak(source["cast"][name], delivery, text, folder) for name in names]
    mixed = np.zeros(max(map(len, voices)))
    for voice in voices:
        mixed[: len(voice)] += voice / len(voices)
    return mixed


def rows(lines: list[Line], lengths: list[int]) -> dict[str, list[list[str]]]:
    """The rows of the three label files; lengths are the clips' milliseconds."""
    table: dict[str, list[list[str]]] = {split: [] for split in MEDIA}
    end = 0
    for line, length in zip(lines, lengths, strict=True):
        start = milliseconds(line.opening) if line.opening else end + line.gap
        end = start + length
        written_end = start if line.extras.get("zero_time") else end
        short = bool(line.extras.get("short_hours"))
        table[line.split].append(
            [
                str(len(table[line.split]) + 1), line.text, line.speaker, line.emotion, line.sentiment,
                str(line.dialogue), str(line.utterance), "1", str(line.episode), clock(start, short),
                clock(written_end, short),
            ]
        )  # fmt: skip
    return table


def make(target: Path, source: dict[str, Any]) -> None:
    """Writes label files and clips into the target folder, which keeps whatever else it holds."""
    import soundfile

    lines = list(read_lines(source))
    lengths: list[int] = []
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        fresh = Path(scratch)
        for media in MEDIA.values():
            (fresh / media).mkdir()
        for line in lines:
            samples = synthesise(source, line, fresh)
            lengths.append(len(samples) // MILLISECOND)
            if not line.extras.get("no_clip"):
                clip = fresh / MEDIA[line.split] / f"{line.name}.flac"
                soundfile.write(clip, samples, RATE, subtype="PCM_16", compression_level=1.0)
        for split, table in rows(lines, lengths).items():
            with (fresh / f"{split}_sent_emo.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([COLUMNS, *table])
        for name in (*MEDIA.values(), *(f"{split}_sent_emo.csv" for split in MEDIA)):
            if (target / name).is_dir():
                shutil.rmtree(target / name)
            (fresh / name).replace(target / name)
    print(f"{len(lines)} utterances, {sum(lengths) / 1000:.1f} s of speech, in {target}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the sample corpus of remelt anew.")
    parser.add_argument("folder", nargs="?", type=Path, default=TARGET, help="default: the bundled corpus")
    folder = parser.parse_args().folder
    missing = [tool for tool in ("espeak-ng", "flite") if shutil.which(tool) is None]
    if missing:
        install = f"apt-get install {' '.join(missing)}"
        sys.exit(f"error: {' and '.join(missing)} not found; on Debian or Ubuntu: {install}")
    make(folder, yaml.safe_load(SOURCE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
