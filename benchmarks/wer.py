"""Word error rate beside jiwer: equal counts on 10,000 lines of MELD misheard by seed, and the time it takes.

    python benchmarks/wer.py --meld DIR

Processor seconds of one process (the work has one thread), the ways in turn, the median of several rounds
with their smallest and largest.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import jiwer

from remelt.voice.wer import Pair, WerOptions, align, score
from remelt.voice.words import original, processed

PAIRS = 10_000
CHANGED, LOST, ADDED = 0.10, 0.06, 0.05


def misheard(text: str, rng: random.Random) -> str:
    """A line with words lost, changed and added; half of the lines lose their case."""
    heard = []
    for word in text.split():
        roll = rng.random()
        if roll < LOST:
            continue
        heard.append(rng.choice(["uh", "the", word[::-1]]) if roll < LOST + CHANGED else word)
        if roll > 1 - ADDED:
            heard.append(rng.choice(["yeah", "you", "well"]))
    return " ".join(heard).lower() if rng.random() < 0.5 else " ".join(heard)


def lines(folder: Path) -> list[str]:
    """The utterances of MELD train, then of test, as they stand in the files."""
    texts: list[str] = []
    for split in ("train", "test"):
        with (folder / f"{split}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            texts += [row["Utterance"] for row in csv.DictReader(file)]
    return texts[:PAIRS]


def timed(rounds: int, ways: dict[str, Callable[[], object]]) -> dict[str, dict[str, float]]:
    """Processor seconds by way; the ways take turns, so that a busy machine slows all of them."""
    values: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            begun = time.process_time()
            work()
            values[name].append(time.process_time() - begun)
    return {
        name: {
            "median": round(statistics.median(found), 4),
            "min": round(min(found), 4),
            "max": round(max(found), 4),
        }
        for name, found in values.items()
    }


def equal(pairs: list[Pair]) -> dict[str, dict[str, float | bool]]:
    """Our rates, and whether every count is jiwer's."""
    result = score(pairs, WerOptions(resamples=0))
    found = {}
    for name, words in (("original", original), ("processed", processed)):
        ours = result.total[name]
        theirs = jiwer.process_words(
            [" ".join(words(p.reference or "")) for p in pairs],
            [" ".join(words(p.hypothesis or "")) for p in pairs],
        )
        same = ours.wer == theirs.wer and (
            (ours.hits, ours.substitutions, ours.deletions, ours.insertions)
            == (theirs.hits, theirs.substitutions, theirs.deletions, theirs.insertions)
        )
        found[name] = {"wer": round(ours.wer or 0.0, 6), "jiwer": round(theirs.wer, 6), "same_counts": same}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meld", type=Path, required=True, help="folder with MELD's CSV files")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    rng = random.Random(0)
    pairs = [Pair(f"line{n}", text, misheard(text, rng)) for n, text in enumerate(lines(options.meld))]
    said, heard = [p.reference or "" for p in pairs], [p.hypothesis or "" for p in pairs]
    record = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("remelt", "jiwer", "rapidfuzz", "numpy")},
        "runs": options.runs,
        "pairs": len(pairs),
        "equal_to_jiwer": equal(pairs),
        "processor_seconds": timed(
            options.runs,
            {
                "jiwer_process_words": lambda: jiwer.process_words(said, heard),
                "align_original": lambda: align(pairs, original),
                "align_processed": lambda: align(pairs, processed),
                "score_two_readings": lambda: score(pairs, WerOptions(by=(), resamples=0)),
                "score_with_groups_and_1000_resamples": lambda: score(pairs, WerOptions()),
            },
        ),
    }
    print(json.dumps(record, indent=2))
    options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
