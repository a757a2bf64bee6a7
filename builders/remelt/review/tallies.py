"""Counts judgements: which label was preferred, who judged how much, how often minds were changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from .judgements import SKIP, WITHDRAWN, Judgement


@dataclass(frozen=True, slots=True)
class Tally:
    """Preferences for or against one label.

    Attributes:
        label: which; empty for all together.
        first, second, same, skip: judgements.
        items_first, items_second: items for which more raters chose the one source's label.
        items_even: items for which as many chose either, or nobody chose any.
    """

    label: str
    first: int
    second: int
    same: int
    skip: int
    items_first: int
    items_second: int
    items_even: int

    @property
    def decided(self) -> int:
        """Judgements that chose one of the two labels."""
        return self.first + self.second


@dataclass(frozen=True, slots=True)
class RaterCount:
    """What one rater did.

    Attributes:
        counts: choice -> judgements.
        median_seconds: from an item's appearance to the choice; None where no browser told.
        mean_confidence: None where the rater never said.
    """

    rater: str
    counts: dict[str, int]
    median_seconds: float | None
    mean_confidence: float | None


@dataclass(frozen=True, slots=True)
class History:
    """What is in the store besides each rater's last word.

    Attributes:
        rows: all of them.
        changed: judgements replaced by another choice or label.
        withdrawn: judgements taken back.
    """

    rows: int
    changed: int
    withdrawn: int


def tally(judgements: Sequence[Judgement], label: str = "") -> Tally:
    """Counts current judgements of the mode `preference`.

    >>> one = Judgement("preference", ("a", "b"), "x", "id", "train", "Ann", "second")
    >>> tally([one]).second, tally([one]).items_second
    (1, 1)
    """
    counts = Counter(judgement.choice for judgement in judgements)
    lead: Counter[str] = Counter()
    for judgement in judgements:
        lead[judgement.item] += {"second": 1, "first": -1}.get(judgement.choice, 0)
    return Tally(
        label,
        first=counts["first"],
        second=counts["second"],
        same=counts["same"],
        skip=counts[SKIP],
        items_first=sum(value < 0 for value in lead.values()),
        items_second=sum(value > 0 for value in lead.values()),
        items_even=sum(value == 0 for value in lead.values()),
    )


def tallies_by(
    judgements: Iterable[Judgement], label: Callable[[Judgement], str | None]
) -> tuple[Tally, ...]:
    """One tally per label, by name; judgements without one are left out."""
    groups: defaultdict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        name = label(judgement)
        if name is not None:
            groups[name].append(judgement)
    return tuple(tally(groups[name], name) for name in sorted(groups))


def left_chosen(judgements: Iterable[Judgement]) -> tuple[int, int]:
    """How often the label on the left was chosen, and how often either was: a habit of the hand shows."""
    sides = [j.choice == j.left for j in judgements if j.choice in ("first", "second") and j.left]
    return sum(sides), len(sides)


def by_rater(judgements: Iterable[Judgement], choices: Sequence[str]) -> tuple[RaterCount, ...]:
    """What each rater did, by name.

    Args:
        judgements: current ones of one mode.
        choices: those of the mode.
    """
    groups: defaultdict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        groups[judgement.rater].append(judgement)
    found = []
    for rater in sorted(groups, key=str.casefold):
        mine = groups[rater]
        counts = Counter(j.choice for j in mine)
        seconds = [j.seconds for j in mine if j.seconds is not None]
        sure = [j.confidence for j in mine if j.confidence is not None]
        found.append(
            RaterCount(
                rater,
                {choice: counts[choice] for choice in choices},
                round(median(seconds), 3) if seconds else None,
                round(fmean(sure), 6) if sure else None,
            )
        )
    return tuple(found)


def history(judgements: Iterable[Judgement]) -> History:
    """Counts changes of mind.

    Args:
        judgements: every row of the store, in order.
    """
    last: dict[tuple[str, str], Judgement] = {}
    rows = changed = withdrawn = 0
    for judgement in judgements:
        rows += 1
        key = (judgement.rater, judgement.item)
        before = last.get(key)
        if judgement.choice == WITHDRAWN:
            withdrawn += 1
        elif before is not None and before.choice != WITHDRAWN:
            changed += (before.choice, before.label) != (judgement.choice, judgement.label)
        last[key] = judgement
    return History(rows, changed, withdrawn)


def answered(judgements: Iterable[Judgement]) -> list[Judgement]:
    """Those that are no skips."""
    return [judgement for judgement in judgements if judgement.choice != SKIP]
