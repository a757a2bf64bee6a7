"""What every rule of resolution takes and gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError, bad_value
from ..records import Resolution, Vote

TIES = ("drop", "first", "random")


@dataclass(frozen=True, slots=True)
class Ballot:
    """The votes on one utterance, in the order of the sources; at most one vote of each source."""

    utterance_id: str
    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True)
class Poll:
    """A ballot and those of its votes that count, in the order in which the sources are asked."""

    ballot: Ballot
    counted: tuple[Vote, ...]


@dataclass(frozen=True)
class ResolutionOptions:
    """How votes become a label.

    Attributes:
        rule: one of `rules()`.
        threshold: a strict majority has more than this share of the votes; the share that `consistency`
            asks for.
        quorum: votes needed for any label.
        ties: what happens to the leading labels where several lead: `drop`, `first` (the label of the
            earliest source among them) or `random` (drawn from `seed` and the utterance's id).
        reject: labels by which a source says that none of the others fits; a decision for one of them is
            no label.
        abstain: labels that are taken for no vote at all.
        weights: source -> weight of its vote; 1 for a source that is not named.
        sources: the sources that count, in order; empty for all. Votes of others are kept and not counted.
        base: the rule that decides before the human is asked, for rules that need one.
        human: the rater by name for the rules with a human; None for one drawn from `seed` for each
            utterance.
        reference: the label of the first source for which `consistency` asks the second.
        seed: of everything that is drawn.

    Raises:
        InputError: a value that cannot be; names of rules and labels are checked by `resolve`.
    """

    rule: str = "majority"
    threshold: float = 0.5
    quorum: int = 1
    ties: str = "drop"
    reject: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict, hash=False)
    sources: tuple[str, ...] = ()
    base: str = "majority"
    human: str | None = None
    seed: int = 0
    abstain: tuple[str, ...] = ()
    reference: str = "neutral"

    def __post_init__(self) -> None:
        for name in ("reject", "abstain", "sources"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "weights", dict(self.weights))
        if not 0 <= self.threshold <= 1:
            raise InputError(f"Bad threshold {self.threshold!r}, expected a share from 0 to 1")
        if self.threshold == 1 and "majority" in (self.rule, self.base if self.rule == "human" else ""):
            raise InputError("Bad threshold 1 for 'majority', which needs more than that: expected under 1")
        if self.quorum < 1:
            raise InputError(f"Bad quorum {self.quorum!r}, expected 1 or more votes")
        if self.ties not in TIES:
            raise InputError(bad_value("ties", self.ties, TIES))
        for source, weight in self.weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise InputError(f"Bad weight {weight!r} of {source!r}, expected a number from 0 up")
        for name in ("reject", "abstain", "sources"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise InputError(f"Bad {name} {list(values)!r}: a name stands there twice")


@dataclass(frozen=True)
class Resolved:
    """What a rule made of all ballots.

    Attributes:
        resolutions: one per ballot, in their order.
        info: what else there is to say, as JSON can hold it: counts by `decided_by` and by `reason`,
            reliabilities of the sources, ...
        notes: sentences for the log and the card.
    """

    resolutions: tuple[Resolution, ...]
    info: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
