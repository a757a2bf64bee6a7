"""Dawid and Skene's estimate of the labels and of every source's reliability at once.

Dawid and Skene 1979, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm, Applied
Statistics 28(1): each source has a confusion matrix of its own, and labels and matrices are estimated by
turns, from the shares of the votes on. The rounds are crowd-kit's; they end when the log-likelihood gains
less than 1e-5 per vote, or after 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..records import Resolution
from .base import Poll, ResolutionOptions, Resolved
from .tally import labelled, leaders, settle, tally

if TYPE_CHECKING:
    import numpy as np

NAME = "dawid_skene"
SUMMARY = "the most probable label, with each source's reliability estimated from all votes"
IS_BASE = True
_ROUNDS = 100
_GAIN = 1e-5
# Sums over many votes differ from one processor to another in their last digits.
_DECIMALS = 6
# With fewer votes for each number that is estimated, the estimate is unsteady.
_VOTES_PER_NUMBER = 10


@dataclass(frozen=True)
class Votes:
    """All votes as numbers, in an order that does not depend on how they came.

    Attributes:
        tasks, sources: names, sorted.
        task, source, label: of each vote, its place among the tasks, the sources and the labels.
    """

    tasks: list[str]
    sources: list[str]
    task: list[int]
    source: list[int]
    label: list[int]


@dataclass(frozen=True)
class Estimate:
    """What the rounds ended with.

    Attributes:
        labels: probabilities, shape (tasks, labels).
        errors: probability that a source says a label, shape (sources, labels said, true labels).
        priors: how frequent each label is, shape (labels,).
        likelihoods: the log-likelihood per vote after each round, in nats.
    """

    labels: np.ndarray
    errors: np.ndarray
    priors: np.ndarray
    likelihoods: list[float]


def decide(polls: Sequence[Poll], labels: Sequence[str], options: ResolutionOptions) -> Resolved:
    """One resolution per poll.

    `distribution` and `entropy` are those of the estimated probabilities, `share` is the label's part of the
    votes. `info` has, under `dawid_skene`: `rounds`, `converged`, `log_likelihood` (nats), `priors` (label ->
    share) and by source its `accuracy` (the mean probability of the labels it voted for) and `confusion` (a
    row for each true label in the order of the label set, what the source says in columns; None for a label
    that none of its utterances has); both None for a source that never gave a label.

    Raises:
        InputError: crowd-kit is not installed.
    """
    if find_spec("crowdkit") is None:
        raise _missing("no module named 'crowdkit'")
    votes = _numbered(polls, labels)
    if not votes.task:
        nothing = tuple(settle(own, (), {}, options, NAME) for own in polls)
        return Resolved(nothing, {NAME: None}, ("There are no votes to estimate reliabilities from.",))
    found = estimate(votes, len(labels))
    rows = found.labels.round(_DECIMALS).tolist()
    place = {name: n for n, name in enumerate(votes.tasks)}
    resolutions = []
    for own in polls:
        number = place.get(own.ballot.utterance_id)
        scores = {} if number is None else {k: p for k, p in zip(labels, rows[number], strict=True) if p > 0}
        resolutions.append(_one(own, scores, options))
    told = _record(votes, found, labels)
    for source in _silent(polls, votes.sources, options):
        told["sources"][source] = {"accuracy": None, "confusion": None}
    return Resolved(tuple(resolutions), {NAME: told}, _notes(votes, found, labels))


def _missing(why: str) -> InputError:
    return InputError(f"The rule {NAME!r} needs crowd-kit ({why}): pip install 'remelt[crowd]'")


def _one(own: Poll, scores: dict[str, float], options: ResolutionOptions) -> Resolution:
    votes = labelled(own)
    found = settle(own, votes, scores, options, NAME)
    if not votes:
        return found
    ahead = found.label or leaders(scores)[0]
    return replace(found, share=tally(votes).get(ahead, 0.0) / len(votes))


def _silent(polls: Sequence[Poll], voted: Sequence[str], options: ResolutionOptions) -> list[str]:
    """The sources that count and never gave a label."""
    present = {vote.source for own in polls for vote in own.ballot.votes}
    counted = present & set(options.sources) if options.sources else present
    return sorted(counted - set(voted))


def _numbered(polls: Sequence[Poll], labels: Sequence[str]) -> Votes:
    voted = sorted(
        ((own.ballot.utterance_id, votes) for own in polls if (votes := labelled(own))),
        key=lambda item: item[0],
    )
    sources = sorted({vote.source for _, votes in voted for vote in votes})
    who = {name: n for n, name in enumerate(sources)}
    what = {name: n for n, name in enumerate(labels)}
    found = Votes([name for name, _ in voted], sources, [], [], [])
    for number, (_, votes) in enumerate(voted):
        for place, label in sorted((who[v.source], what[str(v.label)]) for v in votes):
            found.task.append(number)
            found.source.append(place)
            found.label.append(label)
    return found


def estimate(votes: Votes, labels: int) -> Estimate:
    """Runs the rounds.

    Args:
        votes: at least one.
        labels: how many labels there are.

    Raises:
        InputError: crowd-kit is not installed.
    """
    import warnings

    import numpy as np

    try:
        import pandas as pd
        from crowdkit.aggregation import DawidSkene
    except ImportError as error:
        raise _missing(str(error)) from error

    task, source, label = (np.asarray(own) for own in (votes.task, votes.source, votes.label))
    shape = (len(votes.sources), labels, labels)

    class ByLikelihood(DawidSkene):  # type: ignore[misc, unused-ignore]
        """Ends by the log-likelihood.

        The bound that crowd-kit 1.4 compares counts a task's prior once for each of its votes; it falls
        while the likelihood still rises, and the rounds end early.
        """

        def _evidence_lower_bound(
            self, data: pd.DataFrame, probas: pd.DataFrame, priors: pd.Series[Any], errors: pd.DataFrame
        ) -> float:
            known = priors.index.to_numpy(int)
            logs = np.log(np.maximum(_spread(errors, shape)[source, label][:, known], np.finfo(float).tiny))
            sums = np.stack([np.bincount(task, column) for column in logs.T], axis=1)
            sums += np.log(np.maximum(priors.to_numpy(), np.finfo(float).tiny))
            return float(np.logaddexp.reduce(sums, axis=1).sum())

    model = ByLikelihood(n_iter=_ROUNDS, tol=_GAIN)
    with warnings.catch_warnings():
        # What pandas has to say about crowd-kit's calls is not for the user.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        model.fit(pd.DataFrame({"task": task, "worker": source, "label": label}))
    probas, priors = model.probas_.sort_index(), np.zeros(labels)
    whole = np.zeros((len(votes.tasks), labels))
    whole[:, probas.columns.to_numpy(int)] = probas.to_numpy()
    priors[model.priors_.index.to_numpy(int)] = model.priors_.to_numpy()
    return Estimate(whole, _spread(model.errors_, shape), priors, list(model.loss_history_))


def _spread(errors: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """crowd-kit's errors (a row per source and label said, a column per true label) in a place for each."""
    import numpy as np

    said = errors.index
    rows = np.zeros((len(said), shape[2]))
    rows[:, errors.columns.to_numpy(int)] = errors.to_numpy()
    whole = np.zeros(shape)
    whole[said.get_level_values("worker"), said.get_level_values("label")] = rows
    return whole


def _record(votes: Votes, found: Estimate, labels: Sequence[str]) -> dict[str, Any]:
    import numpy as np

    task, source, label = (np.asarray(own) for own in (votes.task, votes.source, votes.label))
    right = np.bincount(source, found.labels[task, label]) / np.bincount(source)
    seen = np.zeros((len(votes.sources), len(labels)))
    np.add.at(seen, source, found.labels[task])
    matrices = found.errors.transpose(0, 2, 1).round(_DECIMALS).tolist()
    return {
        "rounds": len(found.likelihoods),
        "converged": _converged(found),
        "log_likelihood": round(found.likelihoods[-1] * len(task), _DECIMALS),
        "priors": dict(zip(labels, found.priors.round(_DECIMALS).tolist(), strict=True)),
        "sources": {
            name: {
                "accuracy": round(float(right[n]), _DECIMALS),
                "confusion": [
                    row if seen[n, c] > 10**-_DECIMALS else None for c, row in enumerate(matrices[n])
                ],
            }
            for n, name in enumerate(votes.sources)
        },
    }


def _converged(found: Estimate) -> bool:
    gains = found.likelihoods[-2:]
    return len(gains) > 1 and gains[1] - gains[0] < _GAIN


def _notes(votes: Votes, found: Estimate, labels: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if len(votes.sources) < 3:
        notes.append(
            f"Dawid-Skene has {len(votes.sources)} of the three or more sources that it needs to tell who is "
            "right."
        )
    used = len(set(votes.label))
    numbers = len(votes.sources) * used * (used - 1) + used - 1
    if len(votes.task) < _VOTES_PER_NUMBER * numbers:
        notes.append(
            f"Dawid-Skene estimates {numbers:,} numbers from {len(votes.task):,} votes: take the "
            "reliabilities as rough."
        )
    if not _converged(found):
        notes.append(f"Dawid-Skene had not converged after {len(found.likelihoods)} rounds.")
    return tuple(notes)
