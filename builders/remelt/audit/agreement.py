"""How far several raters agree, measured as the field does, with bootstrap intervals over items.

Percent agreement, Fleiss' kappa (Fleiss 1971), Krippendorff's alpha for nominal and ordinal labels
(Krippendorff 2011), Gwet's AC1 (Gwet 2008), per-label agreement (Cicchetti & Feinstein 1990; Fleiss 1971),
Cohen's kappa of every two raters (Cohen 1960, 1968), and two ceilings: one vote against the majority of the
others, and half of the votes against the other half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InputError, bad_value
from . import agreement_ceilings as ceilings
from . import agreement_coefficients as coefficients
from .agreement_ceilings import Ceiling, RaterScore
from .agreement_pairs import Pairs, compare_pairs
from .agreement_scores import LEAST_ITEMS, as_json, interval
from .agreement_votes import TIE, VoteTable, counted_table, vote_table
from .descriptions import Value
from .matrix import Rate, wilson

__all__ = ["Agreement", "AgreementOptions", "VoteTable", "counted_table", "measure", "ordered", "vote_table"]

COEFFICIENTS = (
    "percent_agreement",
    "fleiss_kappa",
    "krippendorff_alpha",
    "krippendorff_alpha_ordinal",
    "gwet_ac1",
)


@dataclass(frozen=True, slots=True)
class AgreementOptions:
    """What is measured.

    Attributes:
        resamples: bootstrap resamples of the items; 0 for no intervals, and 0 in what is found where fewer
            than `LEAST_ITEMS` items have two votes or more.
        seed: of everything that is drawn.
        splits: random halvings for the split-half ceiling.
        order: the labels from low to high, for ordinal alpha and weighted kappa; empty for labels without
            an order.
        least_common: items that two raters must have in common to be compared.
        most_pairs, most_raters: so many pairs and raters are listed.

    Raises:
        InputError: a number that is out of range.
    """

    resamples: int = 2_000
    seed: int = 0
    splits: int = 50
    order: tuple[str, ...] = ()
    least_common: int = 20
    most_pairs: int = 200
    most_raters: int = 50

    def __post_init__(self) -> None:
        for name, least in (("resamples", 0), ("seed", 0), ("splits", 1), ("least_common", 1)):
            if getattr(self, name) < least:
                raise InputError(f"Bad {name} {getattr(self, name)!r}, expected a whole number from {least}")


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """One label.

    Attributes:
        votes: for it, on items with two votes or more.
        specific: of the pairs with one vote for it, how many have the other too.
        kappa: Fleiss' kappa of the label against all others together.
    """

    label: str
    votes: int
    specific: Value
    kappa: Value

    def as_dict(self) -> dict[str, Any]:
        values = {"specific_agreement": as_json(self.specific), "kappa": as_json(self.kappa)}
        return {"label": self.label, "votes": self.votes, **values}


@dataclass(frozen=True)
class Agreement:
    """What was found.

    Attributes:
        labels: in the order of everything per label.
        items: all of them; `judged` have a vote, `usable` two or more: the coefficients are of these.
        votes: all of them.
        raters: how many; None where nobody knows who voted.
        per_item: fewest, mean and most votes of the judged items.
        unanimous: of the usable items those with one label only.
        tied: of the judged items those where several labels lead.
        coefficients: name -> value; `krippendorff_alpha_ordinal` only for labels with an order.
        by_label: per label.
        leave_one_out, split_half: see `agreement_ceilings`; None without an item of two votes.
        pairs, by_rater: None without named raters.
    """

    labels: tuple[str, ...]
    items: int
    judged: int
    usable: int
    votes: int
    raters: int | None
    per_item: tuple[int, float, int]
    unanimous: Rate
    tied: Rate
    coefficients: Mapping[str, Value]
    by_label: tuple[LabelAgreement, ...]
    leave_one_out: Ceiling | None
    split_half: Ceiling | None
    pairs: Pairs | None
    by_rater: tuple[RaterScore, ...] | None
    options: AgreementOptions

    def as_dict(self) -> dict[str, Any]:
        """Everything under the keys that docs/agreement.md describes."""
        least, mean, most = self.per_item
        options = self.options
        return {
            "labels": list(self.labels),
            "items": self.items,
            "judged": self.judged,
            "usable": self.usable,
            "votes": self.votes,
            "raters": self.raters,
            "votes_per_item": {"min": least, "mean": mean, "max": most},
            "unanimous": self.unanimous.as_dict(),
            "tied": self.tied.as_dict(),
            "coefficients": {name: as_json(value) for name, value in self.coefficients.items()},
            "by_label": [found.as_dict() for found in self.by_label],
            "leave_one_out": None if self.leave_one_out is None else self.leave_one_out.as_dict(),
            "split_half": None if self.split_half is None else self.split_half.as_dict(),
            "pairs": None if self.pairs is None else self.pairs.as_dict(),
            "by_rater": None if self.by_rater is None else [found.as_dict() for found in self.by_rater],
            "resamples": options.resamples,
            "seed": options.seed,
            "splits": options.splits,
        }


def ordered(votes: VoteTable, order: Sequence[str]) -> VoteTable:
    """The same votes with the labels in an order, from low to high.

    Raises:
        InputError: a label stands twice in the order, or one that was chosen is not in it.
    """
    if not order:
        return votes
    if len(set(order)) != len(order):
        raise InputError(f"Bad order {list(order)!r}, expected every label once")
    chosen = np.bincount(votes.label, minlength=len(votes.labels))
    for label, count in zip(votes.labels, chosen.tolist(), strict=True):
        if count and label not in order:
            raise InputError(f"{bad_value('label', label, order)} of the order")
    places = {label: place for place, label in enumerate(order)}
    codes = np.array([places.get(label, -1) for label in votes.labels], dtype=np.int64)
    return replace(votes, labels=tuple(order), label=codes[votes.label])


def judged_only(votes: VoteTable) -> VoteTable:
    """The same votes without the items that nobody judged: drawing those would only thin the resamples."""
    judged = votes.counts.sum(axis=1) > 0
    if judged.all():
        return votes
    names = tuple(name for name, kept in zip(votes.items, judged.tolist(), strict=True) if kept)
    return replace(votes, items=names, item=(np.cumsum(judged) - 1)[votes.item])


def measure(votes: VoteTable, options: AgreementOptions = AgreementOptions()) -> Agreement:
    """Measures the agreement of everybody who voted.

    Args:
        votes: the table; all its labels count as having been on offer, also those that nobody chose (Gwet's
            AC1 depends on their number).
        options: see `AgreementOptions`.

    Raises:
        InputError: no vote at all, or an order that lacks a label.
    """
    votes = ordered(votes, options.order)
    if not len(votes):
        raise InputError("There is no vote: nothing to measure agreement of")
    items, votes = len(votes.items), judged_only(votes)
    per_item = votes.counts.sum(axis=1)
    usable = per_item >= 2
    if int(usable.sum()) < LEAST_ITEMS:
        options = replace(options, resamples=0)
    resampling = (options.resamples, options.seed)
    values, by_label = _coefficients(votes, options)
    several = bool(usable.any())
    return Agreement(
        labels=votes.labels,
        items=items,
        judged=len(votes.items),
        usable=int(usable.sum()),
        votes=len(votes),
        raters=len(votes.raters) if votes.named else None,
        per_item=(int(per_item.min()), round(float(per_item.mean()), 6), int(per_item.max())),
        unanimous=wilson(int((votes.counts.max(axis=1) == per_item)[usable].sum()), int(usable.sum())),
        tied=wilson(int((votes.decided() == TIE).sum()), len(votes.items)),
        coefficients=values,
        by_label=by_label,
        leave_one_out=ceilings.leave_one_out(votes.counts, *resampling) if several else None,
        split_half=ceilings.split_half(votes, options.splits, *resampling) if several else None,
        pairs=_pairs(votes, options) if votes.named else None,
        by_rater=ceilings.rater_scores(votes, options.most_raters, *resampling) if votes.named else None,
        options=options,
    )


def _coefficients(
    votes: VoteTable, options: AgreementOptions
) -> tuple[dict[str, Value], tuple[LabelAgreement, ...]]:
    ordinal = bool(options.order)
    sums = coefficients.item_sums(votes.counts, ordinal).totals(options.resamples, options.seed)
    found = {
        "percent_agreement": coefficients.percent_agreement(sums),
        "fleiss_kappa": coefficients.fleiss_kappa(sums),
        "krippendorff_alpha": coefficients.krippendorff_alpha(sums),
        "gwet_ac1": coefficients.gwet_ac1(sums, len(votes.labels)),
    }
    if ordinal:
        found["krippendorff_alpha_ordinal"] = coefficients.ordinal_alpha(sums)
    specific, kappas = coefficients.specific_agreement(sums), coefficients.label_kappas(sums)
    given = sums["votes"][0]
    return (
        {name: interval(found[name][0], found[name][1:]) for name in COEFFICIENTS if name in found},
        tuple(
            LabelAgreement(
                label,
                int(given[i]),
                interval(specific[0, i], specific[1:, i]),
                interval(kappas[0, i], kappas[1:, i]),
            )
            for i, label in enumerate(votes.labels)
        ),
    )


def _pairs(votes: VoteTable, options: AgreementOptions) -> Pairs:
    return compare_pairs(
        votes,
        least_common=options.least_common,
        most=options.most_pairs,
        ordinal=bool(options.order),
        resamples=options.resamples,
        seed=options.seed,
    )
