"""Strict majority: a label needs more than `threshold` of the votes that count.

A tie can be broken only where each of the leading labels has the threshold itself (two against two); where
three sources say three things there is no majority, whatever `ties` says.
"""

from __future__ import annotations

from collections.abc import Sequence

from .base import Poll, ResolutionOptions, Resolved
from .tally import count

NAME = "majority"
SUMMARY = "the label with more than the threshold's share of the votes"
IS_BASE = True


def decide(polls: Sequence[Poll], labels: Sequence[str], options: ResolutionOptions) -> Resolved:
    """One resolution per poll."""
    return Resolved(tuple(count(own, options, NAME) for own in polls))
