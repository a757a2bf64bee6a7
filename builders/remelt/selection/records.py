"""What a selection gives: rows kept and dropped, and the counts that parts of a corpus add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..records import Drop, Utterance

MOST = 5
# What a build leaves out after the rules, in this order: there is no rule to switch them off.
LEFT_OUT = ("empty_text", "limit")

ByRule = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class AttritionRow:
    """What one rule takes from one split.

    Attributes:
        rule: the rule's name, as in `Drop.reasons`.
        split: the split.
        alone: rows that fail it, whatever the other rules say.
        in_order: rows that fail it and none of the rules before it.
        left: rows left after it and the rules before it.
    """

    rule: str
    split: str
    alone: int
    in_order: int
    left: int


@dataclass(frozen=True, slots=True)
class Sample:
    """How many there are, and the first few of them."""

    count: int = 0
    examples: tuple[str, ...] = ()

    @classmethod
    def of(cls, items: Sequence[str]) -> Sample:
        return cls(len(items), tuple(items[:MOST]))

    def __add__(self, other: Sample) -> Sample:
        return Sample(self.count + other.count, (*self.examples, *other.examples)[:MOST])

    def __str__(self) -> str:
        more = f" and {self.count - MOST} more" if self.count > MOST else ""
        return ", ".join(self.examples) + more


@dataclass(frozen=True)
class SelectionCounts:
    """What can be counted of a selection; the counts of parts add up to those of the whole.

    Attributes:
        given: split -> rows that were judged.
        kept: split -> rows that the rules keep.
        rules: those in force, in order.
        alone: split -> rule -> rows that fail it, whatever the other rules say.
        first: split -> rule -> rows that fail it and none of the rules before it.
        left_out: split -> reason -> rows that the rules keep and the build leaves out (`LEFT_OUT`).
        otherwise: ids that `min_duration` would judge otherwise by the other length.
        against: ids that `include_ids` keeps against the rules they fail, with these rules.
    """

    given: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    alone: ByRule = field(default_factory=dict)
    first: ByRule = field(default_factory=dict)
    left_out: ByRule = field(default_factory=dict)
    otherwise: Sample = Sample()
    against: Sample = Sample()

    def __add__(self, other: SelectionCounts) -> SelectionCounts:
        """Those of two parts; the other one comes later in the corpus."""
        return SelectionCounts(
            given=_sum(self.given, other.given),
            kept=_sum(self.kept, other.kept),
            rules=self.rules or other.rules,
            alone=_sums(self.alone, other.alone),
            first=_sums(self.first, other.first),
            left_out=_sums(self.left_out, other.left_out),
            otherwise=self.otherwise + other.otherwise,
            against=self.against + other.against,
        )

    def with_left_out(self, dropped: Iterable[Drop]) -> SelectionCounts:
        """The same with rows that the build leaves out after the rules."""
        found: dict[str, dict[str, int]] = {}
        for drop in dropped:
            reasons = found.setdefault(drop.utterance.split, {})
            reasons[drop.reasons[0]] = reasons.get(drop.reasons[0], 0) + 1
        return self + SelectionCounts(left_out=found)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file; `from_dict` reads them again."""
        values = {name: getattr(self, name) for name in ("given", "kept", "alone", "first", "left_out")}
        samples = {
            name: [sample.count, list(sample.examples)]
            for name, sample in (("otherwise", self.otherwise), ("against", self.against))
        }
        return {**values, "rules": list(self.rules), **samples}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SelectionCounts:
        """From what `as_dict` gave."""
        samples = {name: Sample(values[name][0], tuple(values[name][1])) for name in ("otherwise", "against")}
        return cls(**{**values, "rules": tuple(values["rules"]), **samples})


def merge_counts(parts: Iterable[SelectionCounts]) -> SelectionCounts:
    """The counts of the whole from those of its parts, which come in the order of the corpus."""
    return sum(parts, SelectionCounts())


def attrition(counts: SelectionCounts, splits: Sequence[str]) -> tuple[AttritionRow, ...]:
    """What each rule takes from each split; after the rules what the build leaves out, where it does."""
    rows = []
    for split in splits:
        left = counts.given.get(split, 0)
        alone, first = counts.alone.get(split, {}), counts.first.get(split, {})
        for rule in counts.rules:
            left -= first.get(rule, 0)
            rows.append(AttritionRow(rule, split, alone.get(rule, 0), first.get(rule, 0), left))
        left = counts.kept.get(split, 0)
        for reason in LEFT_OUT:
            count = counts.left_out.get(split, {}).get(reason, 0)
            left -= count
            if count:
                rows.append(AttritionRow(reason, split, count, count, left))
    return tuple(rows)


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    total = Counter(one)
    total.update(other)
    return dict(total)


def _sums(one: ByRule, other: ByRule) -> dict[str, dict[str, int]]:
    return {split: _sum(one.get(split, {}), other.get(split, {})) for split in {**one, **other}}


@dataclass(frozen=True)
class Selection:
    """The utterances of the asked splits, each either kept or dropped.

    Attributes:
        kept: in the order of the input.
        dropped: in the order of the input, each with all the rules it fails.
        attrition: by split, then in the order of the rules; rules that are switched off have no row.
        notes: sentences about options that met nothing, and about rows kept against the rules.
        counts: what parts of a corpus add up.
    """

    kept: tuple[Utterance, ...]
    dropped: tuple[Drop, ...]
    attrition: tuple[AttritionRow, ...]
    notes: tuple[str, ...] = ()
    counts: SelectionCounts = field(default_factory=SelectionCounts, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Overlap:
    """How two sets of ids agree; a share of nothing is 0.

    Attributes:
        selected, reference, both: sizes of the two sets and of what they share.
    """

    selected: int
    reference: int
    both: int

    @property
    def precision(self) -> float:
        return self.both / self.selected if self.selected else 0.0

    @property
    def recall(self) -> float:
        return self.both / self.reference if self.reference else 0.0

    @property
    def jaccard(self) -> float:
        either = self.selected + self.reference - self.both
        return self.both / either if either else 0.0


def overlap(selected: Iterable[str], reference: Iterable[str]) -> Overlap:
    """Compares a selection with a reference, such as the ids of a published release.

    >>> found = overlap(["a", "b", "c", "d"], ["b", "c", "d", "e", "f"])
    >>> found.precision, found.recall, found.jaccard
    (0.75, 0.6, 0.5)
    """
    left, right = set(selected), set(reference)
    return Overlap(len(left), len(right), len(left & right))
