"""The label whose votes weigh most; a source that `weights` does not name weighs 1."""

from __future__ import annotations

from collections.abc import Sequence

from ..records import Resolution
from .base import Poll, ResolutionOptions, Resolved
from .tally import labelled, settle, tally

NAME = "weighted"
SUMMARY = "the label whose votes weigh most"
IS_BASE = True
WEIGHS = True


def decide(polls: Sequence[Poll], labels: Sequence[str], options: ResolutionOptions) -> Resolved:
    """One resolution per poll; shares are shares of the weight."""

    def weight(source: str) -> float:
        return options.weights.get(source, 1.0)

    def one(own: Poll) -> Resolution:
        votes = labelled(own)
        return settle(own, votes, tally(votes, weight), options, NAME)

    return Resolved(tuple(map(one, polls)))
