"""How well one person, or half of the people, meets the others: what a model can hope for at most.

Both ceilings come from what each item adds to a confusion matrix, so that the bootstrap over items is the
same as that of the coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .agreement_coefficients import ItemSums, kinds
from .agreement_scores import MEASURES, as_json, divide, interval, measures, resampled_matrices
from .agreement_votes import TIE, Floats, Ints, VoteTable, count_cells, leading
from .descriptions import Value


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How well votes meet a majority of other votes of the same item.

    Attributes:
        compared: comparisons in which there was one majority to meet (for split halves, per split).
        tied: comparisons left out because several labels led on a side.
        accuracy, uar, f1, kappa: of the comparisons made; the majority of the others is the reference.
        shared: accuracy with the tied ones too, where a label among k leading ones counts 1/k; not for
            split halves.
    """

    compared: float
    tied: float
    accuracy: Value
    uar: Value
    f1: Value
    kappa: Value
    shared: Value | None = None

    def as_dict(self) -> dict[str, Any]:
        found = {name: as_json(getattr(self, name)) for name in MEASURES}
        shared = {} if self.shared is None else {"shared": as_json(self.shared)}
        return {"compared": self.compared, "tied": self.tied, **found, **shared}


@dataclass(frozen=True, slots=True)
class RaterScore:
    """One rater: how many votes, and how they meet the majority of the others' votes."""

    name: str
    votes: int
    compared: int
    tied: int
    accuracy: Value
    uar: Value
    kappa: Value

    def as_dict(self) -> dict[str, Any]:
        values = {name: as_json(getattr(self, name)) for name in ("accuracy", "uar", "kappa")}
        counts = {"votes": self.votes, "compared": self.compared, "tied": self.tied}
        return {"name": self.name, **counts, **values}


def rest_majorities(counts: Ints) -> tuple[Ints, Floats]:
    """The majority of an item's other votes, were one vote for a label taken away.

    Returns:
        Per item and label the place of the others' majority (-1 without others, -2 where several lead), and
        which part of a point the taken vote earns: 1 or 0, 1/k where it is among k that lead. Both of
        shape (items, labels); where nobody chose the label they mean nothing.
    """
    size = counts.shape[1]
    majority = np.empty_like(counts)
    part = np.zeros(counts.shape)
    for label in range(size):
        rest = counts.copy()
        rest[:, label] -= 1
        majority[:, label] = leading(np.maximum(rest, 0))
        most = rest.max(axis=1)
        leaders = (rest == most[:, None]).sum(axis=1)
        part[:, label] = np.where(rest[:, label] == most, 1.0 / leaders, 0.0)
    return majority, part


@dataclass(frozen=True, eq=False)
class ItemCells:
    """What each kind of item adds to a confusion matrix, and to other sums.

    Attributes:
        sums: with a block `cells` of the cells that any item has, and `tied`.
        used: those cells' places, row * labels + column.
    """

    sums: ItemSums
    used: Ints


def leave_one_out_cells(counts: Ints) -> ItemCells:
    """What the items add: cells of (majority of the others, vote), points, ties, for every vote."""
    size, found = counts.shape[1], kinds(counts)
    counts = found.counts
    majority, part = rest_majorities(counts)
    taken = np.where(counts.sum(axis=1, keepdims=True) >= 2, counts, 0)
    item, label = np.nonzero(taken * (majority >= 0))
    cell = majority[item, label] * size + label
    others: dict[str, Floats] = {
        "tied": (taken * (majority == TIE)).sum(axis=1).astype(np.float64),
        "points": (taken * part).sum(axis=1),
        "votes": taken.sum(axis=1).astype(np.float64),
    }
    return _cells(found.times, item, cell, taken[item, label].astype(np.float64), others)


def split_half_cells(votes: VoteTable, splits: int, seed: int) -> ItemCells:
    """What the items add over random halvings of their votes, divided by the number of halvings.

    Each time the votes of an item are put into random order and cut into two halves of equal size; an odd
    one is left out. A comparison is the majority of the one half against that of the other; it counts half
    in either direction, because neither half is the reference. Items with the same counts get their mean.
    """
    rows, size = len(votes.items), len(votes.labels)
    rng = np.random.default_rng(seed)
    per_item = votes.counts.sum(axis=1)
    first = np.cumsum(per_item) - per_item
    tied = np.zeros(rows)
    items: list[Ints] = []
    cells: list[Ints] = []
    for _ in range(splits):
        order = np.argsort(votes.item + rng.random(len(votes)), kind="stable")
        item, label = votes.item[order], votes.label[order]
        rank, half = np.arange(len(votes)) - first[item], per_item[item] // 2
        ones, others = (
            leading(count_cells(item[of], label[of], (rows, size)))
            for of in (rank < half, (rank >= half) & (rank < 2 * half))
        )
        tied += (ones == TIE) | (others == TIE)
        both = np.flatnonzero((ones >= 0) & (others >= 0))
        items += [both, both]
        cells += [(a * size + b)[both] for a, b in ((ones, others), (others, ones))]
    same = kinds(votes.counts)
    item, cell = same.of[np.concatenate(items)], np.concatenate(cells)
    other = {"tied": np.asarray(np.bincount(same.of, tied, same.times.size), dtype=np.float64)}
    found = _cells(same.times, item, cell, np.full(item.size, 0.5), other)
    parts = (splits * same.times)[:, None]
    blocks = {name: block / parts for name, block in found.sums.blocks.items()}
    return ItemCells(ItemSums(blocks, same.times), found.used)


def leave_one_out(counts: Ints, resamples: int, seed: int) -> Ceiling:
    """Every vote against the majority of the other votes on its item, all votes together.

    Args:
        counts: how many chose each label, shape (items, labels); it needs not be known who.
        resamples, seed: of the bootstrap over items.
    """
    found = leave_one_out_cells(counts)
    sums = found.sums.totals(resamples, seed)
    points = divide(sums["points"][:, 0], sums["votes"][:, 0])
    return _ceiling(sums, found.used, counts.shape[1], interval(points[0], points[1:]))


def split_half(votes: VoteTable, splits: int, resamples: int, seed: int) -> Ceiling:
    """The majority of one random half of an item's votes against that of the other half.

    Args:
        votes: the table.
        splits: random halvings, at least one; the scores are over all of them.
        resamples: of the bootstrap over items.
        seed: of the halvings and the bootstrap.
    """
    found = split_half_cells(votes, splits, seed)
    return _ceiling(found.sums.totals(resamples, seed), found.used, len(votes.labels), None)


def rater_scores(votes: VoteTable, most: int, resamples: int, seed: int) -> tuple[RaterScore, ...]:
    """Each rater's votes against the majority of the others'; the raters with most votes, in that order.

    Args:
        votes: the table, with named raters.
        most: so many raters.
        resamples, seed: of the bootstrap over the rater's items.
    """
    size = len(votes.labels)
    majority, _ = rest_majorities(votes.counts)
    reference = majority[votes.item, votes.label]
    given = np.bincount(votes.rater, minlength=len(votes.raters))
    found = []
    for rater in np.argsort(-given, kind="stable")[:most].tolist():
        own = votes.rater == rater
        known = own & (reference >= 0)
        cells = count_cells(reference[known], votes.label[known], (size, size))
        values = measures(resampled_matrices(cells, resamples, seed))
        found.append(
            RaterScore(
                name=votes.raters[rater],
                votes=int(own.sum()),
                compared=int(known.sum()),
                tied=int((own & (reference == TIE)).sum()),
                **{
                    name: interval(values[name][0], values[name][1:]) for name in ("accuracy", "uar", "kappa")
                },
            )
        )
    return tuple(found)


def _cells(times: Ints, kind: Ints, cell: Ints, weight: Floats, others: Mapping[str, Floats]) -> ItemCells:
    """Puts the cells side by side, without those that no item has: of 100 labels there are 10,000."""
    used, place = np.unique(cell, return_inverse=True)
    size = (times.size, used.size)
    flat = np.bincount(kind * used.size + place, weights=weight, minlength=size[0] * size[1])
    blocks = {name: values[:, None] for name, values in others.items()}
    cells = np.asarray(flat, dtype=np.float64).reshape(size)
    return ItemCells(ItemSums({"cells": cells, **blocks}, times), used)


def _ceiling(sums: Mapping[str, Floats], used: Ints, size: int, shared: Value | None) -> Ceiling:
    cells = sums["cells"]
    stack = np.zeros((len(cells), size * size))
    stack[:, used] = cells
    values = measures(stack.reshape(-1, size, size))
    return Ceiling(
        compared=round(float(cells[0].sum()), 6),
        tied=round(float(sums["tied"][0, 0]), 6),
        **{name: interval(found[0], found[1:]) for name, found in values.items()},
        shared=shared,
    )
