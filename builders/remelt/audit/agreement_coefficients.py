"""Chance-corrected agreement of any number of raters, from how many chose each label of each item.

Every coefficient is a function of sums over items. So a bootstrap over items is one matrix product: weights
of the items (resamples, items) times what each item adds (items, columns).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .agreement_scores import divide, draws
from .agreement_votes import Floats, Ints

Sums = Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class ItemSums:
    """What each kind of item adds to the sums, in named blocks of columns.

    Attributes:
        blocks: name -> float64, shape (kinds, columns of the block).
        times: how many items there are of each kind, shape (kinds,).
    """

    blocks: Sums
    times: Ints

    def totals(self, resamples: int = 0, seed: int = 0) -> dict[str, Floats]:
        """The sums over all items, then over each resample: name -> shape (1 + resamples, columns)."""
        names, parts = list(self.blocks), list(self.blocks.values())
        table = np.concatenate(parts, axis=1)
        sums = [self.times[None].astype(np.float64) @ table]
        if self.times.sum() > 1 and resamples:
            sums += [weights @ table for weights in draws(self.times, resamples, seed)]
        edges = np.cumsum([part.shape[1] for part in parts])[:-1]
        return dict(zip(names, np.split(np.concatenate(sums), edges, axis=1), strict=True))


@dataclass(frozen=True, eq=False)
class Kinds:
    """Items with the same counts are of one kind: they add the same, and 100,000 items are few kinds.

    Attributes:
        counts: how many raters chose each label, shape (kinds, labels).
        times: how many items there are of each kind.
        of: the kind of each item, shape (items,).
    """

    counts: Ints
    times: Ints
    of: Ints


def kinds(counts: Ints) -> Kinds:
    """The kinds of items of a table of counts, shape (items, labels)."""
    found, of, times = np.unique(counts, axis=0, return_inverse=True, return_counts=True)
    return Kinds(found, times.astype(np.int64), of.reshape(-1).astype(np.int64))


def item_sums(counts: Ints, ordinal: bool = False) -> ItemSums:
    """What the items add to the coefficients below.

    Args:
        counts: how many raters chose each label, shape (items, labels).
        ordinal: whether the coincidences that ordinal alpha needs are wanted too.
    """
    found = kinds(counts)
    n = found.counts.astype(np.float64)
    size = n.sum(axis=1, keepdims=True)
    usable = size >= 2
    n2 = np.where(usable, n, 0.0)
    ways = np.where(usable, size * (size - 1), 1.0)
    apart = n2 * (size - n2)
    blocks = {
        "usable": usable.astype(np.float64),
        "agreed": (n2 * (n2 - 1)).sum(axis=1, keepdims=True) / ways,
        "votes": n2,
        "rated": (size >= 1).astype(np.float64),
        "shares": n / np.maximum(size, 1),
        "apart": 2 * apart / ways,
        "unlike": apart.sum(axis=1, keepdims=True) / np.maximum(size - 1, 1),
        "pairs_same": n2 * (n2 - 1),
        "pairs_all": n2 * (np.maximum(size, 1) - 1),
    }
    if ordinal:
        low, high = np.triu_indices(n.shape[1], 1)
        blocks["coincide"] = n2[:, low] * n2[:, high] / np.maximum(size - 1, 1)
    return ItemSums(blocks, found.times)


def percent_agreement(sums: Sums) -> Floats:
    """The share of an item's pairs of raters that agree, averaged over the items with two votes or more."""
    return divide(sums["agreed"][:, 0], sums["usable"][:, 0])


def fleiss_kappa(sums: Sums) -> Floats:
    """Fleiss' kappa (Fleiss 1971), generalised to items with different numbers of votes.

    Items with fewer than two votes are left out. Observed agreement is the mean over items of the share of
    agreeing pairs, so every item counts the same; chance agreement is the sum of the squared shares of the
    labels among all votes, so every vote counts the same. With equally many votes it is Fleiss' own formula.
    """
    shares = divide(sums["votes"], sums["votes"].sum(axis=1, keepdims=True))
    return _corrected(percent_agreement(sums), (shares**2).sum(axis=1))


def label_kappas(sums: Sums) -> Floats:
    """Fleiss' kappa of each label against all others together (Fleiss 1971), shape (stack, labels)."""
    share = divide(sums["votes"], sums["votes"].sum(axis=1, keepdims=True))
    observed = divide(sums["apart"], sums["usable"])
    return 1 - divide(observed, 2 * share * (1 - share))


def specific_agreement(sums: Sums) -> Floats:
    """Of the pairs with one vote for a label, how many have the other too; shape (stack, labels).

    Cicchetti & Feinstein 1990 for two raters and two labels; here over all pairs of raters of all items, as
    is usual for several.
    """
    return divide(sums["pairs_same"], sums["pairs_all"])


def gwet_ac1(sums: Sums, labels: int) -> Floats:
    """Gwet's AC1 for several raters and missing votes (Gwet 2008; 2014, chapter 5).

    A label's share is the mean over the items with any vote of its share of the item's votes; observed
    agreement is over the items with two or more.

    Args:
        sums: of the items.
        labels: number of labels that could be chosen, also those that nobody chose.
    """
    share = divide(sums["shares"], sums["rated"])
    if labels < 2:
        return np.full(len(share), np.nan)
    chance = (share * (1 - share)).sum(axis=1) / (labels - 1)
    return _corrected(percent_agreement(sums), chance)


def krippendorff_alpha(sums: Sums) -> Floats:
    """Krippendorff's alpha for nominal labels (Krippendorff 2011); any number of votes, some missing."""
    votes = sums["votes"]
    total = votes.sum(axis=1)
    unlike = total**2 - (votes**2).sum(axis=1)
    ratio = divide(sums["unlike"][:, 0], unlike)
    return np.asarray(1 - (total - 1) * ratio)


def ordinal_alpha(sums: Sums) -> Floats:
    """Krippendorff's alpha for labels that stand in an order, from low to high (Krippendorff 2011).

    The distance of two labels is how many votes lie between their middles, squared; it is found anew in
    every resample.
    """
    votes = sums["votes"]
    low, high = np.triu_indices(votes.shape[1], 1)
    middle = np.cumsum(votes, axis=1) - votes / 2
    distance = (middle[:, high] - middle[:, low]) ** 2
    observed = (sums["coincide"] * distance).sum(axis=1)
    expected = (votes[:, low] * votes[:, high] * distance).sum(axis=1)
    return np.asarray(1 - (votes.sum(axis=1) - 1) * divide(observed, expected))


def _corrected(observed: Floats, chance: Floats) -> Floats:
    return divide(observed - chance, 1 - chance)
