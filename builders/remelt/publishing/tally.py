"""What is counted of a build's rows and replies; the counts of its parts add up to those of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..records import Annotation
from .content import DatasetContent
from .panel import UNRESOLVED

_STATUSES = ("valid", "invalid", "refused", "error")
_AMOUNTS = ("input_tokens", "output_tokens", "cost")


@dataclass(frozen=True, slots=True)
class Replies:
    """Replies, counted.

    Attributes:
        statuses: replies by the status of their verdict.
        means: replies by how structure was asked for.
        amounts: input_tokens, output_tokens and cost (US dollars), added up over the replies that tell; None
            where none does.
        models: replies by the model that answered, as the server named it.
        first, last: when the first and the last of them came, UTC in ISO 8601; empty where none tells.
    """

    statuses: Mapping[str, int] = field(default_factory=dict)
    means: Mapping[str, int] = field(default_factory=dict)
    amounts: Mapping[str, float | None] = field(default_factory=dict)
    models: Mapping[str, int] = field(default_factory=dict)
    first: str = ""
    last: str = ""

    @classmethod
    def of(cls, annotations: Iterable[Annotation]) -> Replies:
        """Those of some annotations."""
        statuses: Counter[str] = Counter()
        means: Counter[str] = Counter()
        models: Counter[str] = Counter()
        times: set[str] = set()
        known: dict[str, list[float]] = {name: [] for name in _AMOUNTS}
        for annotation in annotations:
            statuses.update(verdict.status for verdict in annotation.verdicts)
            for reply in annotation.replies:
                means[reply.means] += 1
                models[reply.model] += 1
                times.add(reply.created)
                for name, values in known.items():
                    if (value := getattr(reply, name)) is not None:
                        values.append(value)
        times.discard("")
        return cls(
            dict(statuses),
            dict(means),
            {name: sum(v) if v else None for name, v in known.items()},
            dict(models),
            min(times, default=""),
            max(times, default=""),
        )

    def plus(self, other: Replies) -> Replies:
        """Both together."""
        return Replies(
            _sum(self.statuses, other.statuses),
            _sum(self.means, other.means),
            {name: _either(self.amounts.get(name), other.amounts.get(name)) for name in _AMOUNTS},
            _sum(self.models, other.models),
            min(filter(None, (self.first, other.first)), default=""),
            max(self.last, other.last),
        )

    def record(self) -> dict[str, Any]:
        """As the manifest has them under `replies`; US dollars to the micro."""
        cost = self.amounts.get("cost")
        return {
            "total": sum(self.means.values()),
            **{name: self.statuses.get(name, 0) for name in _STATUSES},
            **{name: self.amounts.get(name) for name in _AMOUNTS},
            "cost": None if cost is None else round(cost, 6),
        }

    def means_record(self) -> dict[str, int]:
        """As the manifest has them under `means`."""
        return dict(sorted(self.means.items()))

    def answered_record(self) -> dict[str, Any]:
        """Who answered, and when, as the manifest has it beside `means`."""
        return {
            "answered_by": dict(sorted(self.models.items())),
            "answered": {"first": self.first or None, "last": self.last or None},
        }


@dataclass(frozen=True, slots=True)
class Tally:
    """What the manifest counts.

    Attributes:
        rows: split -> where its rows went (`kept`, `dropped`, `quarantined` and, with votes, `unresolved`).
        replies: all of them.
        members: of several annotators, each one's replies.
        raters: whether others than the annotators voted: the corpus's own raters.
    """

    rows: Mapping[str, Mapping[str, int]]
    replies: Replies
    members: Mapping[str, Replies] = field(default_factory=dict)
    raters: bool = False

    @classmethod
    def of(cls, content: DatasetContent) -> Tally:
        """That of a build or of a part of one."""
        kept = Counter(row.utterance.split for row in content.kept())
        left = Counter((drop.utterance.split, drop.stage) for drop in content.drops)
        rows = {
            split: {
                "kept": kept[split],
                "dropped": left[split, "selection"],
                "quarantined": left[split, "annotation"],
                **({"unresolved": left[split, UNRESOLVED]} if content.panel else {}),
            }
            for split in content.splits
        }
        panel, replies = content.panel, Replies.of(content.annotations)
        if panel is None:
            return cls(rows, replies)
        answers: dict[str, list[Annotation]] = {member["name"]: [] for member in panel.members}
        for annotation in content.annotations:
            answers[annotation.request.annotator].append(annotation)
        return cls(rows, replies, {name: Replies.of(own) for name, own in answers.items()}, panel.has_raters)

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            {
                split: _sum(self.rows.get(split, {}), other.rows.get(split, {}))
                for split in _keys(self.rows, other.rows)
            },
            self.replies.plus(other.replies),
            {
                name: self.members.get(name, Replies()).plus(other.members.get(name, Replies()))
                for name in _keys(self.members, other.members)
            },
            self.raters or other.raters,
        )


def together(tallies: Sequence[Tally]) -> Tally:
    """The tallies of all parts as that of the whole.

    Args:
        tallies: at least one.
    """
    whole = tallies[0]
    for one in tallies[1:]:
        whole = whole.plus(one)
    return whole


def _keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys((*one, *other)))


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in _keys(one, other)}


def _either(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other
