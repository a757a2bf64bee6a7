"""Resolution: from several votes on an utterance to one label.

A new rule is one module here with a `NAME`, a `SUMMARY`, `IS_BASE` (whether another rule may build on it),
`WEIGHS = True` if it heeds weights, `HEEDS` with the options that are for it alone, and a function
`decide(polls, labels, options) -> Resolved`, which also takes no polls at all: so options are tried before
anybody is asked. It imports heavy packages inside functions, because all modules are read to find the one
that is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import InputError, bad_value
from ..records import Vote
from .base import Ballot, ResolutionOptions, Resolved
from .counts import summary
from .registry import rules
from .tally import poll

__all__ = ["Ballot", "ResolutionOptions", "Resolved", "resolve", "rules"]

_OWN = {"human": "the rater", "base": "the base rule", "reference": "the reference label"}


def resolve(ballots: Sequence[Ballot], labels: Sequence[str], options: ResolutionOptions) -> Resolved:
    """What the votes come to.

    Args:
        ballots: the votes on each utterance; each utterance once.
        labels: the label set.
        options: the rule and how it decides.

    Returns:
        One resolution per ballot, in their order, each with every vote; and counts (see
        `counts.summary`), to which the rule adds its own.

    Raises:
        InputError: an unknown rule or label, an utterance or source that stands twice, or what the rule
            cannot work with.
    """
    known = rules()
    if options.rule not in known:
        raise InputError(bad_value("resolution rule", options.rule, known))
    bases = [name for name, module in known.items() if module.IS_BASE]
    if options.base not in bases:
        raise InputError(bad_value("base rule", options.base, bases))
    weighing = [name for name, module in known.items() if getattr(module, "WEIGHS", False)]
    if options.weights and (options.base if options.rule == "human" else options.rule) not in weighing:
        raise InputError(f"The rule {options.rule!r} weighs no votes; weights are for {weighing!r}")
    _check_use(options)
    for what in ("reject", "abstain"):
        for label in getattr(options, what):
            if label not in labels:
                raise InputError(bad_value(f"label to {what}", label, labels))
    _check(ballots, labels)
    polls = [poll(ballot, options) for ballot in ballots]
    found: Resolved = known[options.rule].decide(polls, labels, options)
    return Resolved(found.resolutions, {**summary(polls, found.resolutions), **found.info}, found.notes)


def _check_use(options: ResolutionOptions) -> None:
    """Refuses what would have no effect; what is as usual was not asked for."""
    usual = ResolutionOptions()
    for what, called in _OWN.items():
        value = getattr(options, what)
        heeding = [name for name, module in rules().items() if what in getattr(module, "HEEDS", ())]
        if options.rule not in heeding and value not in (getattr(usual, what), options.rule):
            raise InputError(
                f"The rule {options.rule!r} has no use for {called} {value!r}, which is for {heeding!r}"
            )


def _check(ballots: Sequence[Ballot], labels: Sequence[str]) -> None:
    known = frozenset(labels)
    seen: set[str] = set()
    kinds: dict[str, str] = {}
    for ballot in ballots:
        name = ballot.utterance_id
        if name in seen:
            raise InputError(f"{name} has two ballots, expected one with all its votes")
        seen.add(name)
        if len({vote.source for vote in ballot.votes}) < len(ballot.votes):
            doubled = [vote.source for vote in ballot.votes]
            raise InputError(f"{name}: a source voted twice: {doubled!r}")
        for vote in ballot.votes:
            if vote.label is not None and vote.label not in known:
                raise InputError(f"{name}: {bad_value(f'label of {vote.source}', vote.label, labels)}")
            if kinds.setdefault(vote.source, vote.kind) != vote.kind:
                raise InputError(f"{name}: {vote.source} votes as a {vote.kind}, elsewhere as another kind")
            if vote.probabilities:
                _check_probabilities(name, vote, known)


def _check_probabilities(name: str, vote: Vote, known: frozenset[str]) -> None:
    for label in vote.probabilities:
        if label not in known:
            raise InputError(f"{name}: {bad_value(f'label of {vote.source}', label, sorted(known))}")
    shares = vote.probabilities.values()
    if not all(0 <= share <= 1 for share in shares) or abs(math.fsum(shares) - 1) > 1e-6:
        raise InputError(
            f"{name}: bad probabilities {dict(vote.probabilities)!r} of {vote.source}, expected shares from "
            "0 to 1 that add up to 1"
        )
