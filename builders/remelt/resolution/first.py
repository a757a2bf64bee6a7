"""The first source in order that voted decides; the others only say how sure one may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..records import Resolution
from .base import Poll, ResolutionOptions, Resolved
from .tally import count, labelled, undecided

NAME = "first"
SUMMARY = "the first source in order that voted"
IS_BASE = True


def decide(polls: Sequence[Poll], labels: Sequence[str], options: ResolutionOptions) -> Resolved:
    """One resolution per poll; `decided_by` is `first:` and the source's name."""
    # Who leads is of no interest here; the shares are.
    counting = replace(options, ties="first", reject=())
    return Resolved(tuple(_one(own, counting, options.reject) for own in polls))


def _one(own: Poll, options: ResolutionOptions, reject: Sequence[str]) -> Resolution:
    found = count(own, options, NAME)
    if found.label is None:
        return found
    source, label = next((vote.source, vote.label) for vote in labelled(own))
    assert label is not None
    if label in reject:
        return undecided(own, NAME, found.distribution, "rejected", f"{source} said {label!r}")
    return replace(found, label=label, decided_by=f"first:{source}", share=found.distribution[label])
