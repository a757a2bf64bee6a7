"""Two sources and a threshold: the second is asked where the first says the reference label.

Alqurashi et al. 2024, the modality consistency and confidence threshold: a speech model decides unless it
hears nothing but neutral; then the text model's probability of neutral, if it reaches the threshold, confirms
it, and otherwise the text model decides. Stated for any two sources and any reference label. At a threshold
of 0 the first source decides alone; from 1/2 on, the second decides wherever the first says the reference
label; in between, the reference label is given less often the higher the threshold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..errors import InputError, bad_value
from ..records import Resolution, Vote
from .base import Poll, ResolutionOptions, Resolved
from .tally import CLOSE, belief, break_tie, entropy, leaders, mean_belief, undecided

NAME = "consistency"
SUMMARY = "the first source, unless it says the reference label and the second is not sure enough of it"
IS_BASE = False
HEEDS = ("reference",)


def decide(polls: Sequence[Poll], labels: Sequence[str], options: ResolutionOptions) -> Resolved:
    """One resolution per poll; its distribution is the mean of the two sources' probabilities.

    `decided_by` is `consistency:` and the source that decided, or `consistency:both`. A second source
    without probabilities is sure of its label.

    Raises:
        InputError: there are not exactly two sources, or the reference label is none.
    """
    if options.reference not in labels:
        raise InputError(bad_value("reference label", options.reference, labels))
    sources = options.sources or tuple(dict.fromkeys(v.source for own in polls for v in own.ballot.votes))
    if not polls and not options.sources:
        return Resolved(())
    first, second = pair(sources)
    found = tuple(_one(own, first, second, options) for own in polls)
    asked = [r for r in found if r.decided_by in (f"{NAME}:both", f"{NAME}:{second}")]
    told = {
        "sources": [first, second],
        "reference": options.reference,
        "threshold": options.threshold,
        "asked_second": len(asked),
        "confirmed": sum(r.decided_by == f"{NAME}:both" for r in asked),
    }
    return Resolved(found, {NAME: told}, _notes(polls, {r.utterance_id for r in asked}, second, options))


def _notes(
    polls: Sequence[Poll], asked: Collection[str], second: str, options: ResolutionOptions
) -> tuple[str, ...]:
    """What a user may not have meant: an order nobody gave, and a threshold that meets no probability."""
    notes = []
    if not options.sources:
        notes.append(
            f"{NAME}: {second} is asked only where the other says {options.reference!r}, in the order in "
            "which they annotated; name both (--vote-sources) to have it the other way"
        )
    polls = [own for own in polls if own.ballot.utterance_id in asked]
    votes = [vote for own in polls for vote in own.counted if vote.source == second]
    sure = sum(not vote.probabilities for vote in votes)
    if sure and options.threshold:
        notes.append(
            f"{NAME}: {second} gave no probabilities on {sure:,} of the {len(votes):,} utterances that it "
            "was asked about: it is sure of its label there, whatever the threshold"
        )
    return tuple(notes)


def pair(sources: Sequence[str]) -> tuple[str, str]:
    """The source that decides and the one that is asked.

    Raises:
        InputError: there are not exactly two.
    """
    if len(sources) != 2:
        raise InputError(
            f"The rule {NAME!r} is between two sources and got {list(sources)!r}: "
            "name the one that decides and then the one that is asked (--vote-sources)"
        )
    return sources[0], sources[1]


def _one(own: Poll, first: str, second: str, options: ResolutionOptions) -> Resolution:
    votes = {vote.source: vote for vote in own.counted}
    shares = mean_belief(own.counted, {})
    whole = sum(shares.values())
    distribution = {label: share / whole for label, share in shares.items()} if whole else {}
    if len(own.counted) < options.quorum:
        told = f"{len(own.counted)} of the {options.quorum} votes that are needed"
        return undecided(own, NAME, distribution, "quorum" if own.counted else "no_votes", told)
    ahead = votes.get(first)
    if ahead is None or ahead.label is None:
        return undecided(own, NAME, distribution, "no_votes", f"{first} gave no label")
    if ahead.label != options.reference or options.threshold == 0:
        return _given(own, ahead.label, first, distribution, options)
    asked = votes.get(second)
    if asked is None:
        return undecided(own, NAME, distribution, "no_votes", f"{second} gave no label")
    if belief(asked).get(options.reference, 0.0) >= options.threshold - CLOSE:
        return _given(own, options.reference, "both", distribution, options)
    return _by_second(own, asked, distribution, options)


def _by_second(
    own: Poll, asked: Vote, distribution: Mapping[str, float], options: ResolutionOptions
) -> Resolution:
    """The second source's most probable label; of several, the one it names itself."""
    leading = leaders(belief(asked))
    label = leading[0]
    if len(leading) > 1:
        if asked.label in leading:
            label = str(asked.label)
        elif options.ties == "drop":
            told = f"{asked.source} is as sure of {' as of '.join(leading)}"
            return undecided(own, NAME, distribution, "tie", told)
        else:
            label = break_tie(own, (asked,), leading, options)
    return _given(own, label, asked.source, distribution, options)


def _given(
    own: Poll, label: str, by: str, distribution: Mapping[str, float], options: ResolutionOptions
) -> Resolution:
    if label in options.reject:
        return undecided(own, NAME, distribution, "rejected", f"decided for {label!r} by {by}")
    return Resolution(
        own.ballot.utterance_id,
        label,
        NAME,
        f"{NAME}:{by}",
        distribution.get(label, 0.0),
        entropy(distribution),
        distribution,
        own.ballot.votes,
    )
