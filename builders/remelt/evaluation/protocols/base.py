"""A split of examples, and what it promises."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...errors import InputError, bad_value
from ..examples import Example

# What the parts of a split may be promised not to share; ids they never share.
PROMISES = ("dialogues", "sessions", "speakers", "sounds", "texts")


@dataclass(frozen=True)
class Split:
    """Rows to train on, to choose by, and to test on.

    Attributes:
        name: of the fold or split (`Session5`, `fold3`, `standard`).
        train, validation, test: in the order of the corpus; `validation` may be empty.
        promises: of `PROMISES`, what no two parts share (`check_leaks` holds it to them).
        notes: sentences on how it was made.

    Raises:
        InputError: an unknown promise.
    """

    name: str
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    promises: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for promise in self.promises:
            if promise not in PROMISES:
                raise InputError(bad_value("promise of a split", promise, PROMISES))

    def parts(self) -> Iterator[tuple[str, tuple[Example, ...]]]:
        """`train`, `validation` and `test` with their rows."""
        yield "train", self.train
        yield "validation", self.validation
        yield "test", self.test

    def sizes(self) -> str:
        """Rows of each part in words: `train 80, validation 10, test 10`."""
        return ", ".join(f"{part} {len(rows):,}" for part, rows in self.parts())


def speaker_of(row: Example) -> str:
    """A speaker's name with the corpus, as names recur in corpora; empty where unknown."""
    return f"{row.corpus}/{row.speaker}" if row.speaker else ""


def require(examples: Sequence[Example], what: str) -> None:
    """Refuses rows that do not say their `speaker`, `session`, `sex` or `dialogue`.

    Raises:
        InputError: naming their number and the first.
    """
    without = [row.id for row in examples if not getattr(row, what)]
    if without or not examples:
        shown = f", such as {without[0]}" if without else ""
        raise InputError(
            f"This split needs the {what} of every row; {len(without):,} of {len(examples):,} rows "
            f"have none{shown}"
        )


def in_order(names: set[str]) -> list[str]:
    """Names in alphabetical order, the numbers in them as numbers.

    >>> in_order({"Session10", "Session2"})
    ['Session2', 'Session10']
    """

    def key(name: str) -> list[tuple[int, int, str]]:
        found = re.split(r"(\d+)", name)
        return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in found]

    return sorted(names, key=lambda name: (key(name), name))
