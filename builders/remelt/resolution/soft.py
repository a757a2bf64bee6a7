"""The label with the highest mean probability; a vote without probabilities is sure of its label."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Poll, ResolutionOptions, Resolved
from .tally import mean_belief, settle

NAME = "soft"
SUMMARY = "the label with the highest mean probability"
IS_BASE = True
WEIGHS = True


def decide(polls: Sequence[Poll], labels: Sequence[str], options: ResolutionOptions) -> Resolved:
    """One resolution per poll; `distribution` is the mean of the sources' probabilities, by weight."""
    sure = sum(not vote.probabilities for own in polls for vote in own.counted)
    every = sum(len(own.counted) for own in polls)
    notes = [f"{sure:,} of {every:,} votes have no probabilities and count in full for their label."]
    found = tuple(
        settle(own, own.counted, mean_belief(own.counted, options.weights), options, NAME) for own in polls
    )
    told = {NAME: {"with_probabilities": every - sure, "without": sure}}
    return Resolved(found, told, tuple(notes) if sure else ())
