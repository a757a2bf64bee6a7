"""Counts of one split, or of all, taken some rows at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .dataset import Table
from .groups import BinCounts, Group, ValueCounts, by_number, by_size
from .matrix import Codes, Counts, change_matrix

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class CountedRows:
    """What is counted of some rows; all lists have one entry per row, as those of `Table`."""

    labels: tuple[str, ...]
    split: list[str]
    before: Codes
    after: Codes
    speakers: list[str | None]
    seasons: list[Any]
    durations: list[float | None]
    words: list[float | None]
    flags: list[tuple[str, ...]]
    matches: list[bool | None]

    @classmethod
    def of(cls, table: Table) -> CountedRows:
        """All rows of a table."""
        return cls(
            labels=table.labels,
            split=table.split,
            before=table.before,
            after=table.after,
            speakers=table.speakers,
            seasons=table.seasons,
            durations=table.durations,
            words=[float(len(text.split())) for text in table.texts],
            flags=table.flags,
            matches=table.matches,
        )

    def by_split(self) -> Iterator[tuple[str, CountedRows]]:
        """Each split with its rows, in order."""
        names = dict.fromkeys(self.split)
        if len(names) == 1:
            yield from ((name, self) for name in names)
            return
        split = np.array(self.split, dtype=object)
        for name in names:
            yield name, self._only(np.flatnonzero(split == name))

    def _only(self, rows: npt.NDArray[np.intp]) -> CountedRows:
        index = rows.tolist()

        def own(values: Sequence[T]) -> list[T]:
            return [values[i] for i in index]

        return CountedRows(
            self.labels,
            own(self.split),
            self.before[rows],
            self.after[rows],
            own(self.speakers),
            own(self.seasons),
            own(self.durations),
            own(self.words),
            own(self.flags),
            own(self.matches),
        )


class Tally:
    """The counts of one split, or of all.

    Attributes:
        rows: all of them.
        cells: shape (labels, labels), of the rows that carry both; row = label before, column = after.
        had, has: rows per label before, and after.
        speakers: their names.
        seconds, timed: the lengths of the rows whose length is known, added up, and how many these are.
        flags: flag -> rows that carry it.
        characters, mismatches: rows whose echoed character was compared, and those where it is another.
    """

    def __init__(
        self, labels: int, duration_edges: Sequence[float] = (0.0,), word_edges: Sequence[float] = (0.0,)
    ) -> None:
        self.rows = 0
        self.cells: Counts = np.zeros((labels, labels), dtype=np.int64)
        self.had: Counts = np.zeros(labels, dtype=np.int64)
        self.has: Counts = np.zeros(labels, dtype=np.int64)
        self.speakers: set[str] = set()
        self.seconds: float = 0
        self.timed = 0
        self.flags: Counter[str] = Counter()
        self.characters = self.mismatches = 0
        self._by_speaker, self._by_season = ValueCounts(), ValueCounts()
        self._by_duration = BinCounts(duration_edges, "s")
        self._by_words = BinCounts(word_edges, "words", whole=True)

    def add(self, rows: CountedRows) -> None:
        """Counts further rows, which stand after those before."""
        before, after = rows.before, rows.after
        self.rows += len(rows.split)
        self.cells += change_matrix(before, after, rows.labels).counts
        self.had += np.bincount(before[before >= 0], minlength=self.had.size)
        self.has += np.bincount(after[after >= 0], minlength=self.has.size)
        self.speakers.update(name for name in rows.speakers if name is not None)
        known = [value for value in rows.durations if value is not None]
        # One after the other, so that the sum does not depend on how many rows come at a time.
        self.seconds = reduce(add, known, self.seconds)
        self.timed += len(known)
        for flags in rows.flags:
            self.flags.update(flags)
        matches = [match for match in rows.matches if match is not None]
        self.characters += len(matches)
        self.mismatches += matches.count(False)
        self._by_speaker.add(rows.speakers, before, after)
        self._by_season.add(rows.seasons, before, after)
        self._by_duration.add(rows.durations, before, after)
        self._by_words.add(rows.words, before, after)

    def groups(self) -> Mapping[str, tuple[Group, ...]]:
        """`speaker`, `season`, `duration`, `words` -> change rate per value."""
        return {
            "speaker": by_size(self._by_speaker.groups()),
            "season": by_number(self._by_season.groups()),
            "duration": self._by_duration.groups(),
            "words": self._by_words.groups(),
        }
