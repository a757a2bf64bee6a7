"""What a resolution as a whole came to: counts of the decisions, and how each source fared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..records import Resolution
from .base import Poll
from .tally import leaders

# Raters are told one by one up to so many; corpora have thousands of them.
MOST_RATERS = 50


@dataclass(slots=True)
class _Fared:
    """One source's votes: how many, without a label, on utterances with a decision, and equal to it."""

    kind: str
    votes: int = 0
    without_label: int = 0
    counted: int = 0
    compared: int = 0
    agreed: int = 0


def summary(polls: Sequence[Poll], resolutions: Sequence[Resolution]) -> dict[str, Any]:
    """The counts of `Resolved.info` that every rule has.

    Returns:
        `utterances`, `decided`, `decided_by` and `reasons` (name -> count), `ties` (utterances on which
        several labels lead), `sources` (name -> kind, votes, without_label, counted, compared, agreed,
        agreement) and, of all people together, `raters`. More than 50 raters are not listed one by one.
    """
    decided = Counter(_short(r.decided_by) for r in resolutions if r.label is not None)
    reasons = Counter(r.reason for r in resolutions if r.label is None)
    fared = _fared(polls, resolutions)
    people = {name: own for name, own in fared.items() if own.kind == "human"}
    listed = fared if len(people) <= MOST_RATERS else {n: f for n, f in fared.items() if n not in people}
    found: dict[str, Any] = {
        "utterances": len(resolutions),
        "decided": sum(decided.values()),
        "decided_by": dict(sorted(decided.items())),
        "reasons": dict(sorted(reasons.items())),
        "ties": sum(len(leaders(r.distribution)) > 1 for r in resolutions if r.distribution),
        "sources": {name: _record(own) for name, own in listed.items()},
    }
    if people:
        found["raters"] = {"people": len(people), **_record(_together(people.values()))}
    return found


def _short(decided_by: str) -> str:
    """`human` for all raters: corpora have thousands of them."""
    return "human" if decided_by.startswith("human:") else decided_by


def _fared(polls: Sequence[Poll], resolutions: Sequence[Resolution]) -> dict[str, _Fared]:
    found: dict[str, _Fared] = {}
    for own, resolution in zip(polls, resolutions, strict=True):
        label = resolution.label
        for vote in own.ballot.votes:
            fared = found.get(vote.source)
            if fared is None:
                fared = found[vote.source] = _Fared(vote.kind)
            fared.votes += 1
            if vote.label is None:
                fared.without_label += 1
            elif label is not None:
                fared.compared += 1
                fared.agreed += vote.label == label
        for vote in own.counted:
            found[vote.source].counted += 1
    return found


def _together(several: Iterable[_Fared]) -> _Fared:
    whole = _Fared("human")
    for one in several:
        for name in ("votes", "without_label", "counted", "compared", "agreed"):
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
    return whole


def _record(fared: _Fared) -> Mapping[str, Any]:
    return {
        "kind": fared.kind,
        "votes": fared.votes,
        "without_label": fared.without_label,
        "counted": fared.counted,
        "compared": fared.compared,
        "agreed": fared.agreed,
        "agreement": fared.agreed / fared.compared if fared.compared else None,
    }
