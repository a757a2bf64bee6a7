"""Change rate by speaker, season, duration and number of words."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
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


def by_value(values: Sequence[object], before: Codes, after: Codes) -> tuple[Group, ...]:
    """One group per value over the rows that carry both labels, in order of first appearance.

    Empty strings count as no value. Rows without a value form the last group.
    """
    index: dict[str | None, int] = {}
    codes = np.fromiter(
        (index.setdefault(None if v is None or v == "" else str(v), len(index)) for v in values),
        dtype=np.int64,
        count=len(values),
    )
    groups = _count(codes, list(index), before, after)
    return (*(g for g in groups if g.value is not None), *(g for g in groups if g.value is None))


def by_size(values: Sequence[object], before: Codes, after: Codes) -> tuple[Group, ...]:
    """Like `by_value`, the most frequent value first, then by name."""
    groups = by_value(values, before, after)
    return tuple(sorted(groups, key=lambda g: (g.value is None, -g.change.total, g.value or "")))


def by_number(values: Sequence[object], before: Codes, after: Codes) -> tuple[Group, ...]:
    """Like `by_value`, in numerical order where the values are numbers, else by name."""
    groups = by_value(values, before, after)
    return tuple(sorted(groups, key=lambda g: (g.value is None, *_number(g.value))))


def by_bin(
    values: Sequence[float | None],
    edges: Sequence[float],
    unit: str,
    before: Codes,
    after: Codes,
    whole: bool = False,
) -> tuple[Group, ...]:
    """One group per bin, each with its lower edge and without its upper one; empty bins are kept.

    Rows without a number form the last group, if there are any. `whole` names bins of whole numbers by
    their first and last member.

    >>> one = np.array([0, 0, 0])
    >>> [(g.value, g.change.total) for g in by_bin([1.0, 2.0, 9.0], (2, 4), "s", one, one)]
    [('under 2 s', 1), ('2 to 4 s', 1), ('4 s and more', 1)]
    """
    numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    known = ~np.isnan(numbers)
    codes = np.where(known, np.digitize(numbers, np.asarray(edges)), len(edges) + 1)
    return _count(codes, [*bin_names(edges, unit, whole), None], before, after)


def bin_names(edges: Sequence[float], unit: str, whole: bool = False) -> list[str]:
    """The names of the bins between the edges, from the lowest up.

    >>> bin_names((3, 6, 10), "words", whole=True)
    ['under 3 words', '3 to 5 words', '6 to 9 words', '10 words and more']
    """
    inner = [f"{a:g} to {b - whole:g} {unit}" for a, b in itertools.pairwise(edges)]
    return [f"under {edges[0]:g} {unit}", *inner, f"{edges[-1]:g} {unit} and more"]


def _count(codes: Codes, names: Sequence[str | None], before: Codes, after: Codes) -> tuple[Group, ...]:
    both = (before >= 0) & (after >= 0)
    totals = np.bincount(codes[both], minlength=len(names)).tolist()
    changed = np.bincount(codes[both & (before != after)], minlength=len(names)).tolist()
    return tuple(
        Group(name, wilson(count, total))
        for name, count, total in zip(names, changed, totals, strict=True)
        if total or name is not None
    )


def _number(value: str | None) -> tuple[bool, float, str]:
    try:
        return (False, float(value or ""), "")
    except ValueError:
        return (True, 0.0, value or "")
