"""The label with the highest mean probability; a vote without probabilities is sure of its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
    found = tuple(
        settle(own, own.counted, mean_belief(own.counted, options.weights), options, NAME) for own in polls
    )
    told = {NAME: {"with_probabilities": every - sure, "without": sure}}
    return Resolved(found, told, notes(told))


def notes(info: Mapping[str, Any]) -> tuple[str, ...]:
    """What is to be said of votes without probabilities, from what `decide` tells in `info`."""
    told = info[NAME]
    sure, every = told["without"], told["without"] + told["with_probabilities"]
    if not sure:
        return ()
    return (f"{sure:,} of {every:,} votes have no probabilities and count in full for their label.",)
