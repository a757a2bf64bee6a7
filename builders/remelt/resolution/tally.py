"""What the rules share: which votes count, who leads, how a tie ends, and what is written down about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..records import Resolution, Vote, digest
from .base import Ballot, Poll, ResolutionOptions

# Sums of weights and probabilities that differ by less are equal.
CLOSE = 1e-9


def poll(ballot: Ballot, options: ResolutionOptions) -> Poll:
    """The votes that count: of the sources asked for, in their order, and neither empty nor abstentions."""
    votes: Iterable[Vote] = ballot.votes
    if options.sources:
        known = {vote.source: vote for vote in ballot.votes}
        votes = (known[source] for source in options.sources if source in known)
    abstain = options.abstain
    return Poll(
        ballot,
        tuple(
            vote
            for vote in votes
            if vote.label not in abstain and (vote.label is not None or vote.probabilities)
        ),
    )


def labelled(own: Poll) -> tuple[Vote, ...]:
    """The votes that count and name one label."""
    return tuple(vote for vote in own.counted if vote.label is not None)


def belief(vote: Vote) -> Mapping[str, float]:
    """A vote's probabilities; one without them believes in its label alone."""
    return vote.probabilities or ({vote.label: 1.0} if vote.label is not None else {})


def count(own: Poll, options: ResolutionOptions, rule: str) -> Resolution:
    """The resolution of a rule that counts the votes with one label."""
    votes = labelled(own)
    return settle(own, votes, tally(votes), options, rule)


def tally(votes: Iterable[Vote], weight: Callable[[str], float] | None = None) -> dict[str, float]:
    """Label -> number, or weight, of the votes for it, in the order of first mention."""
    found: dict[str, float] = {}
    for vote in votes:
        if vote.label is not None:
            found[vote.label] = found.get(vote.label, 0.0) + (weight(vote.source) if weight else 1.0)
    return found


def mean_belief(votes: Sequence[Vote], weights: Mapping[str, float]) -> dict[str, float]:
    """Label -> the weighted sum of the votes' beliefs in it; a label that nobody believes in is left out."""
    parts: dict[str, list[float]] = {}
    for vote in votes:
        weight = weights.get(vote.source, 1.0)
        for label, share in belief(vote).items():
            if share > 0 and weight > 0:
                parts.setdefault(label, []).append(weight * share)
    return {label: math.fsum(own) for label, own in parts.items()}


def entropy(distribution: Mapping[str, float]) -> float:
    """The entropy of shares that add up to 1, in bits.

    Rounded to nine decimals: processors differ in the last digits of a logarithm, and the published bytes
    must not.

    >>> entropy({"joy": 0.5, "fear": 0.25, "anger": 0.25})
    1.5
    """
    return round(-math.fsum(p * math.log2(p) for p in distribution.values() if p > 0), 9) + 0.0


def drawn(seed: int, purpose: str, utterance_id: str, choices: int) -> int:
    """A number from 0 up to `choices`, drawn from the seed and the utterance alone, in whatever order."""
    return int(digest([seed, purpose, utterance_id])[:16], 16) % choices


def leaders(scores: Mapping[str, float]) -> list[str]:
    """The labels with the highest score, in alphabetical order."""
    most = max(scores.values())
    return sorted(label for label, score in scores.items() if score >= most - CLOSE * max(1.0, most))


def settle(
    own: Poll, votes: Sequence[Vote], scores: Mapping[str, float], options: ResolutionOptions, rule: str
) -> Resolution:
    """The resolution for the label with the highest score.

    Args:
        own: whose votes they are.
        votes: those that the rule can use, for the quorum and for ties.
        scores: label -> its votes, weight, belief or probability; empty where nothing counts.
        options: for the quorum, ties and rejected labels.
        rule: whose resolution it is; `majority` asks for more than the threshold.
    """
    name = own.ballot.utterance_id
    whole = math.fsum(scores.values())
    if not scores or whole <= 0:
        return undecided(own, rule, {}, "no_votes", "nobody gave a label that counts")
    distribution = {label: part for label, score in scores.items() if (part := score / whole) > 0}
    if len(votes) < options.quorum:
        told = f"{len(votes)} of the {options.quorum} votes that are needed"
        return undecided(own, rule, distribution, "quorum", told)
    leading = leaders(distribution)
    share = distribution[leading[0]]
    if rule == "majority":
        least = options.threshold
        # One label needs more than the threshold; a tie at the threshold itself can be broken.
        if share < least - CLOSE or (len(leading) == 1 and share <= least + CLOSE):
            told = f"{_named(leading)} with {_part(share)} of the votes, not more than {_part(least)}"
            return undecided(own, rule, distribution, "no_majority", told)
    by = rule
    label = leading[0]
    if len(leading) > 1:
        if options.ties == "drop":
            told = f"{_named(leading)} with {_part(share)} each"
            return undecided(own, rule, distribution, "tie", told)
        by = f"tie:{options.ties}"
        label = break_tie(own, votes, leading, options)
    if label in options.reject:
        told = f"decided for {label!r} ({by}, {_part(share)})"
        return undecided(own, rule, distribution, "rejected", told)
    return Resolution(
        name, label, rule, by, distribution[label], entropy(distribution), distribution, own.ballot.votes
    )


def undecided(
    own: Poll, rule: str, distribution: Mapping[str, float], reason: str, detail: str
) -> Resolution:
    """A resolution without a label, which says why."""
    return Resolution(
        own.ballot.utterance_id,
        None,
        rule,
        share=max(distribution.values()) if distribution else None,
        entropy=entropy(distribution) if distribution else None,
        distribution=distribution,
        votes=own.ballot.votes,
        reason=reason,
        detail=detail,
    )


def break_tie(own: Poll, votes: Sequence[Vote], leading: Sequence[str], options: ResolutionOptions) -> str:
    """The label that `first` or `random` gives where several lead."""
    if options.ties == "random":
        return leading[drawn(options.seed, "tie", own.ballot.utterance_id, len(leading))]
    # A source that shares its belief out speaks for the label it believes in most, if that leads.
    for vote in votes:
        if vote.label in leading:
            return str(vote.label)
        if vote.label is None:
            mine = [label for label in leaders(belief(vote)) if label in leading]
            if mine:
                return mine[0]
    return leading[0]


def _named(labels: Sequence[str]) -> str:
    return f"{labels[0]} leads" if len(labels) == 1 else f"{' and '.join(labels)} lead"


def _part(share: float) -> str:
    return f"{share:.3f}".rstrip("0").rstrip(".")
