"""A decision of the models is kept only where one person who heard the utterance says the same.

Feng and Narayanan 2023: the sample is kept when the model's label, or that of the models' vote, equals one
human rater's. Which rater is left open there; here one is drawn for each utterance, from a seed and the
utterance's id, among all who judged it, or one person is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import InputError, bad_value
from ..records import Resolution, Vote
from .base import Ballot, Poll, ResolutionOptions, Resolved
from .registry import rules
from .tally import belief, drawn, leaders, poll, undecided

NAME = "human"
SUMMARY = "the models' label by `base`, where one human rater says the same"
IS_BASE = False
HEEDS = ("human", "base")
_SHOWN = 20


def decide(polls: Sequence[Poll], labels: Sequence[str], options: ResolutionOptions) -> Resolved:
    """One resolution per poll; its distribution, share and entropy are those of the models' votes.

    A rater without a label of the set judged the utterance all the same, and agrees with nothing; one with
    several agrees with each of them.

    Raises:
        InputError: the named rater judged none of the utterances; the message lists who did.
    """
    raters = {vote.source for own in polls for vote in own.ballot.votes if vote.kind == "human"}
    if polls and options.human is not None and options.human not in raters:
        raise InputError(bad_value("human rater", options.human, sorted(raters)[:_SHOWN]))
    # `sources` may name models, raters, or both; of a kind that it does not name, all count.
    only = raters & set(options.sources)
    named = tuple(source for source in options.sources if source not in only)
    mine = replace(options, sources=named)
    models = [_of_models(own.ballot, mine) for own in polls]
    base: Resolved = rules()[options.base].decide(models, labels, options)
    found = tuple(
        _one(own, decision, _rater(own.ballot, only, options))
        for own, decision in zip(polls, base.resolutions, strict=True)
    )
    asked = [d for d in base.resolutions if d.label is not None]
    judged = [f for f in found if f.decided_by or f.reason == "disagreement"]
    kept = sum(f.label is not None for f in found)
    told = {
        "base": options.base,
        "decided_by_base": len(asked),
        "judged": len(judged),
        "agreed": kept,
        "agreement": kept / len(judged) if judged else None,
    }
    return Resolved(found, {**base.info, "human": told}, base.notes)


def _of_models(ballot: Ballot, options: ResolutionOptions) -> Poll:
    votes = tuple(vote for vote in ballot.votes if vote.kind == "model")
    return poll(Ballot(ballot.utterance_id, votes), options)


def _rater(ballot: Ballot, only: set[str], options: ResolutionOptions) -> Vote | None:
    """The vote of the person who is asked about this utterance."""
    votes = sorted(
        (v for v in ballot.votes if v.kind == "human" and (not only or v.source in only)),
        key=lambda vote: vote.source,
    )
    if options.human is not None:
        return next((vote for vote in votes if vote.source == options.human), None)
    return votes[drawn(options.seed, "rater", ballot.utterance_id, len(votes))] if votes else None


def _one(own: Poll, decision: Resolution, rater: Vote | None) -> Resolution:
    decision = replace(decision, rule=NAME, votes=own.ballot.votes)
    if decision.label is None:
        return decision
    if rater is None:
        return undecided(own, NAME, decision.distribution, "no_rater", "no human rater judged it")
    said = _labels(rater)
    if decision.label in said:
        return replace(decision, decided_by=f"human:{rater.source}")
    told = (
        f"the models say {decision.label!r}, {rater.source} {' or '.join(map(repr, said)) or 'none of these'}"
    )
    return undecided(own, NAME, decision.distribution, "disagreement", told)


def _labels(vote: Vote) -> list[str]:
    if vote.label is not None:
        return [vote.label]
    return leaders(belief(vote)) if vote.probabilities else []
