"""Agreement of raters two by two: which pairs have enough items in common, and Cohen's kappa of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .agreement_scores import as_json, cohen_kappa, divide, interval, resampled_matrices
from .agreement_votes import Ints, VoteTable, count_cells
from .descriptions import Value


@dataclass(frozen=True, slots=True)
class Pair:
    """Two raters on the items that both judged.

    Attributes:
        agreement: share of equal labels.
        kappa: Cohen's.
        weighted: Cohen's weighted kappa with squared distances; None for labels without an order.
    """

    first: str
    second: str
    items: int
    agreement: Value
    kappa: Value
    weighted: Value | None

    def as_dict(self) -> dict[str, Any]:
        values = {"agreement": as_json(self.agreement), "kappa": as_json(self.kappa)}
        weighted = {} if self.weighted is None else {"weighted_kappa": as_json(self.weighted)}
        return {"raters": [self.first, self.second], "items": self.items, **values, **weighted}


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs that were compared.

    Attributes:
        least_common: items that a pair must have in common.
        met: pairs with any item in common.
        enough: pairs with as many as that; the ones with most items are compared, up to a limit.
        compared: those pairs; with few raters all of them, in the raters' order.
    """

    least_common: int
    met: int
    enough: int
    compared: tuple[Pair, ...]

    @property
    def raters(self) -> tuple[str, ...]:
        """The raters of the compared pairs, in order of appearance."""
        return tuple(dict.fromkeys(name for pair in self.compared for name in (pair.first, pair.second)))

    @property
    def by_names(self) -> Mapping[tuple[str, str], Pair]:
        """Each pair under its names in either order."""
        both = {(pair.first, pair.second): pair for pair in self.compared}
        return {**both, **{(b, a): pair for (a, b), pair in both.items()}}

    def as_dict(self) -> dict[str, Any]:
        counts = {"least_common": self.least_common, "met": self.met, "enough": self.enough}
        return {**counts, "compared": [pair.as_dict() for pair in self.compared]}


def compare_pairs(
    votes: VoteTable, *, least_common: int, most: int, ordinal: bool, resamples: int, seed: int
) -> Pairs:
    """Compares named raters two by two without a table of all raters by all raters.

    Args:
        votes: the table.
        least_common: items that a pair must have in common to be compared.
        most: so many pairs; those with most items in common first.
        ordinal: whether the labels stand in an order.
        resamples, seed: of the bootstrap over a pair's items.
    """
    first, second, said, other = _meetings(votes)
    people = max(len(votes.raters), 1)
    keys, pair_of, items = np.unique(first * people + second, return_inverse=True, return_counts=True)
    enough = np.flatnonzero(items >= least_common)
    chosen = np.sort(enough[np.argsort(-items[enough], kind="stable")][:most])
    size = len(votes.labels)
    found = []
    by_pair = np.argsort(pair_of, kind="stable")
    begin = np.cumsum(items) - items
    for place in chosen.tolist():
        own = by_pair[begin[place] : begin[place] + items[place]]
        cells = count_cells(said[own], other[own], (size, size))
        a, b = divmod(int(keys[place]), people)
        found.append(_pair((votes.raters[a], votes.raters[b]), cells, ordinal, resamples, seed))
    return Pairs(least_common, int(keys.size), int(enough.size), tuple(found))


def _meetings(votes: VoteTable) -> tuple[Ints, Ints, Ints, Ints]:
    """Every two votes on one item: both raters, the lower place first, and their labels."""
    order = np.lexsort((votes.rater, votes.item))
    item, rater, label = votes.item[order], votes.rater[order], votes.label[order]
    parts: list[tuple[Ints, Ints, Ints, Ints]] = []
    distance = 1
    while distance < item.size:
        same = np.flatnonzero(item[distance:] == item[:-distance])
        if not same.size:
            break
        later = same + distance
        parts.append((rater[same], rater[later], label[same], label[later]))
        distance += 1
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, empty, empty
    first, second, said, other = (np.concatenate(column) for column in zip(*parts, strict=True))
    return first, second, said, other


def _pair(names: tuple[str, str], cells: Ints, ordinal: bool, resamples: int, seed: int) -> Pair:
    stack = resampled_matrices(cells, resamples, seed)
    right = divide(np.einsum("sii->s", stack), stack.sum(axis=(1, 2)))
    kappa = cohen_kappa(stack)
    weighted = cohen_kappa(stack, "quadratic") if ordinal else None
    return Pair(
        *names,
        items=int(cells.sum()),
        agreement=interval(right[0], right[1:]),
        kappa=interval(kappa[0], kappa[1:]),
        weighted=None if weighted is None else interval(weighted[0], weighted[1:]),
    )
