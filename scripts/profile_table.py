"""Prints how well selection rules recover MELT's released rows.

    python scripts/profile_table.py MELD_FOLDER --release train=meld_train.csv --release test=meld_test.csv

A release file is a CSV with the columns Dialogue_ID and Utterance_ID. For a split without one, the rows of
the profile `melt-release` stand in.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from remelt import corpora
from remelt.errors import InputError, RemeltError
from remelt.records import utterance_key
from remelt.selection import SelectionOptions, load_profile, overlap, select

SPLITS = ("train", "test")
LEADS = ("Joey", "Ross", "Rachel", "Phoebe", "Chandler", "Monica")


def variants() -> Iterator[tuple[str, SelectionOptions]]:
    """The rules to compare, each with a line that says what they are."""
    release = load_profile("melt-release")
    deleted = replace(release, include_ids=())
    names = replace(deleted, exclude_ids=())
    yield "paper text only (>= 1 s, named)", load_profile("melt-paper")
    yield "42 names, >= 1.0 s, >= 3 words", replace(names, min_duration=1.0)
    yield "42 names, >= 0.961 s, >= 3 words", names
    yield "  + the 28 ids deleted in both splits", deleted
    yield "  + the two exceptions (melt-release)", release
    counted = replace(names, speaker_rule="any", speakers=(), min_speaker_count=10)
    yield "no list: >= 10 only", counted
    named = replace(counted, speaker_rule="named")
    for count in (10, 8, 12):
        yield f"no list: >= {count} + generic-name test", replace(named, min_speaker_count=count)
    yield "  >= 10, Woman kept", replace(named, keep_speakers=("Woman",))
    yield "six leads only", replace(names, speakers=LEADS)
    yield "clean", load_profile("clean")


def released(path: Path, split: str) -> set[str]:
    """The ids in a release file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        return {utterance_key("meld", split, int(r["Dialogue_ID"]), int(r["Utterance_ID"])) for r in rows}
    except (OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a release file: {error!r}") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("meld", type=Path, help="folder with MELD's label files")
    parser.add_argument(
        "--release", action="append", default=[], metavar="SPLIT=FILE", help="MELT's label file"
    )
    arguments = parser.parse_args()
    files = dict(pair.partition("=")[::2] for pair in arguments.release)
    if not set(files) <= set(SPLITS) or not all(files.values()):
        parser.error(f"--release takes SPLIT=FILE with a split of {', '.join(SPLITS)}")

    utterances = corpora.load(arguments.meld, name="meld").utterances
    stand_in = select(utterances, load_profile("melt-release"), SPLITS).kept
    reference = {split: {u.id for u in stand_in if u.split == split} for split in SPLITS}
    reference |= {split: released(Path(file), split) for split, file in files.items()}
    for split in SPLITS:
        print(f"{split}: {len(reference[split])} rows of {files.get(split, 'the profile melt-release')}")
    heads = "".join(f" | {s:>5} {'speakers':>8}  P      R      Jaccard" for s in SPLITS)
    print(f"\n{'rule':<40}{heads}")
    for title, options in variants():
        kept = select(utterances, options, SPLITS).kept
        line = f"{title:<40}"
        for split in SPLITS:
            rows = [u for u in kept if u.split == split]
            speakers = {options.canonical(u.speaker) for u in rows}
            found = overlap((u.id for u in rows), reference[split])
            shares = f"{found.precision:.4f} {found.recall:.4f} {found.jaccard:.4f}"
            line += f" | {len(rows):>5} {len(speakers):>8}  {shares}"
        print(line)


if __name__ == "__main__":
    try:
        main()
    except RemeltError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
