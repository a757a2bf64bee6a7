"""The label with most votes, however few of all they are."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Poll, ResolutionOptions, Resolved
from .tally import count

NAME = "plurality"
SUMMARY = "the label with most votes"
IS_BASE = True


def decide(polls: Sequence[Poll], labels: Sequence[str], options: ResolutionOptions) -> Resolved:
    """One resolution per poll."""
    return Resolved(tuple(count(own, options, NAME) for own in polls))
