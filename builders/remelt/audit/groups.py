"""Change rate by speaker, season, duration and number of words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .matrix import Codes, Rate, wilson

DURATION_EDGES = (1.5, 2.5, 4.0, 6.0)
WORD_EDGES = (3.0, 6.0, 10.0, 15.0, 20.0)


@dataclass(frozen=True, slots=True)
class Group:
    """The change rate of the rows that share one value; `value` is None for rows without one."""

    value: str | None
    change: Rate

    def as_dict(self) -> dict[str, Any]:
        return {"value": self.value, **self.change.as_dict()}


class ValueCounts:
    """Counts rows by a value of theirs, some rows at a time. Empty strings count as no value."""

    def __init__(self) -> None:
        self._index: dict[str | None, int] = {}
        self._counts = _Counts()

    def add(self, values: Sequence[object], before: Codes, after: Codes) -> None:
        """Counts further rows: each one's value and its two labels."""
        index = self._index
        codes = np.fromiter(
            (index.setdefault(None if v is None or v == "" else str(v), len(index)) for v in values),
            dtype=np.int64,
            count=len(values),
        )
        self._counts.add(codes, len(index), before, after)

    def groups(self) -> tuple[Group, ...]:
        """One group per value over the rows that carry both labels, in order of first appearance.

        Rows without a value form the last group.
        """
        found = self._counts.groups(list(self._index))
        return (*(g for g in found if g.value is not None), *(g for g in found if g.value is None))


class BinCounts:
    """Counts rows by a number of theirs, some rows at a time.

    Args:
        edges: each bin has its lower edge and not its upper one.
        unit: what is measured.
        whole: names bins of whole numbers by their first and last member.
    """

    def __init__(self, edges: Sequence[float], unit: str, whole: bool = False) -> None:
        self._edges = np.asarray(edges)
        self._names = [*bin_names(edges, unit, whole), None]
        self._counts = _Counts()

    def add(self, values: Sequence[float | None], before: Codes, after: Codes) -> None:
        """Counts further rows: each one's number and its two labels."""
        numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        known = ~np.isnan(numbers)
        codes = np.where(known, np.digitize(numbers, self._edges), len(self._names) - 1)
        self._counts.add(codes, len(self._names), before, after)

    def groups(self) -> tuple[Group, ...]:
        """One group per bin; empty bins are kept. Rows without a number form the last group, if any."""
        return self._counts.groups(self._names)


class _Counts:
    """Rows that carry both labels, and those whose label changed, by a code."""

    def __init__(self) -> None:
        self._totals = np.zeros(0, dtype=np.int64)
        self._changed = np.zeros(0, dtype=np.int64)

    def add(self, codes: Codes, size: int, before: Codes, after: Codes) -> None:
        both = (before >= 0) & (after >= 0)
        self._totals = _plus(self._totals, codes[both], size)
        self._changed = _plus(self._changed, codes[both & (before != after)], size)

    def groups(self, names: Sequence[str | None]) -> tuple[Group, ...]:
        sums = (
            _plus(counts, np.zeros(0, dtype=np.int64), len(names)) for counts in (self._totals, self._changed)
        )
        totals, changed = (found.tolist() for found in sums)
        return tuple(
            Group(name, wilson(count, total))
            for name, count, total in zip(names, changed, totals, strict=True)
            if total or name is not None
        )


def by_value(values: Sequence[object], before: Codes, after: Codes) -> tuple[Group, ...]:
    """One group per value over the rows that carry both labels, in order of first appearance.

    Empty strings count as no value. Rows without a value form the last group.
    """
    counts = ValueCounts()
    counts.add(values, before, after)
    return counts.groups()


def by_size(groups: Iterable[Group]) -> tuple[Group, ...]:
    """The most frequent value first, then by name."""
    return tuple(sorted(groups, key=lambda g: (g.value is None, -g.change.total, g.value or "")))


def by_number(groups: Iterable[Group]) -> tuple[Group, ...]:
    """In numerical order where the values are numbers, else by name."""
    return tuple(sorted(groups, key=lambda g: (g.value is None, *_number(g.value))))


def by_bin(
    values: Sequence[float | None],
    edges: Sequence[float],
    unit: str,
    before: Codes,
    after: Codes,
    whole: bool = False,
) -> tuple[Group, ...]:
    """One group per bin of `BinCounts`.

    >>> one = np.array([0, 0, 0])
    >>> [(g.value, g.change.total) for g in by_bin([1.0, 2.0, 9.0], (2, 4), "s", one, one)]
    [('under 2 s', 1), ('2 to 4 s', 1), ('4 s and more', 1)]
    """
    counts = BinCounts(edges, unit, whole)
    counts.add(values, before, after)
    return counts.groups()


def bin_names(edges: Sequence[float], unit: str, whole: bool = False) -> list[str]:
    """The names of the bins between the edges, from the lowest up.

    >>> bin_names((3, 6, 10), "words", whole=True)
    ['under 3 words', '3 to 5 words', '6 to 9 words', '10 words and more']
    """
    inner = [f"{a:g} to {b - whole:g} {unit}" for a, b in itertools.pairwise(edges)]
    return [f"under {edges[0]:g} {unit}", *inner, f"{edges[-1]:g} {unit} and more"]


def _plus(counts: Codes, codes: Codes, size: int) -> Codes:
    """Counts of codes below `size`, added to earlier ones of perhaps fewer codes."""
    found = np.bincount(codes, minlength=size)
    found[: counts.size] += counts
    return found


def _number(value: str | None) -> tuple[bool, float, str]:
    try:
        return (False, float(value or ""), "")
    except ValueError:
        return (True, 0.0, value or "")
