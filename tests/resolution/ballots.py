"""Ballots for tests, written briefly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remelt.records import Resolution, Vote
from remelt.resolution import Ballot, ResolutionOptions, Resolved, resolve

LABELS = ("anger", "joy", "neutral", "other", "sadness")


def ballot(number: int | str, said: Mapping[str, str | Mapping[str, float] | None]) -> Ballot:
    """Source -> its label, or its probabilities; sources whose names begin with `h` are people."""
    votes = []
    for source, value in said.items():
        kind: Any = "human" if source.startswith("h") else "model"
        if isinstance(value, Mapping):
            label = max(value, key=lambda name: value[name])
            votes.append(Vote(source, label, kind, value))
        else:
            votes.append(Vote(source, value, kind))
    return Ballot(f"toy/train/dia0_utt{number}", tuple(votes))


def letters(rows: Sequence[str]) -> list[Ballot]:
    """One ballot per row and one vote per letter: `ajj` is anger, joy, joy; a dot is a missing vote."""
    names = {label[0]: label for label in LABELS}
    return [
        ballot(n, {f"m{place}": names[c] for place, c in enumerate(row) if c != "."})
        for n, row in enumerate(rows)
    ]


def run(ballots: Sequence[Ballot], **options: Any) -> Resolved:
    return resolve(ballots, LABELS, ResolutionOptions(**options))


def one(row: str, **options: Any) -> Resolution:
    """What one row of letters comes to."""
    return run(letters([row]), **options).resolutions[0]
