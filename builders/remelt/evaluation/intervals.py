"""Scores of a test set with bootstrap intervals.

Rows of one dialogue or speaker resemble each other, so whole groups are drawn with replacement (the cluster
bootstrap; Davison and Hinkley 1997, section 3.8) and the interval lies between percentiles of the resampled
scores. It covers the choice of the test rows only. What another training of the same model would give is seen
from several seeds alone: of several predictions of the same rows the score is the mean over seeds, all seeds
being scored on the same resampled groups, and their standard deviation is told beside it. Folds have
different rows: `pooled` makes one test set of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .collapse import warnings_of
from .comparison import Comparison, Matched, compare, match
from .metrics import ClassScores, by_class, check, measures
from .resampling import interval, plain, resampled, same_rows, scores_of, unit_sums, units_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .predictions import Predictions

__all__ = [
    "Comparison",
    "Estimate",
    "FoldSpread",
    "Matched",
    "Scores",
    "compare",
    "match",
    "over_folds",
    "plain",
    "pooled",
    "score",
]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with its interval.

    Attributes:
        value: on the test set as it is; over several seeds their mean. NaN where it is not defined.
        low, high: of the 95 % interval; NaN where the score is.
        sd: sample standard deviation over the seeds; None for one.
    """

    value: float
    low: float
    high: float
    sd: float | None = None


@dataclass(frozen=True)
class Scores:
    """All scores of a model on a test set.

    Attributes:
        test: name of the test set.
        rows: of it.
        unit: what was resampled, `groups` or `rows`.
        units: how many of them there are.
        seeds: predictions of the same rows that were averaged.
        metrics: name -> estimate; `metrics.CLASSIFICATION`, or `ccc` and `ccc_<dimension>`.
        classes: label -> scores of all seeds' rows together; empty for regression.
        confusion: reference label -> predicted label -> rows, of all seeds together; empty for regression.
        notes: what to know of the intervals.
        warnings: of `collapse.warnings_of`, those of a seed with its number where there are several.
        resamples, seed: of the bootstrap.
    """

    test: str
    rows: int
    unit: str
    units: int
    seeds: int
    metrics: Mapping[str, Estimate]
    classes: Mapping[str, ClassScores]
    confusion: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    resamples: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not a number becomes None."""
        found: dict[str, Any] = plain(asdict(self))
        return found


@dataclass(frozen=True, slots=True)
class FoldSpread:
    """A score over folds, as papers report it.

    Attributes:
        mean: of the folds' scores, whatever their sizes.
        sd: sample standard deviation; NaN for one fold.
        folds: how many.
    """

    mean: float
    sd: float
    folds: int


def score(predictions: Predictions | Sequence[Predictions], resamples: int = 2_000, seed: int = 0) -> Scores:
    """Scores with intervals.

    Args:
        predictions: one model's, or those of several seeds on the same rows.
        resamples: of the bootstrap.
        seed: likewise; the same seed draws the same groups.

    Raises:
        InputError: predictions that cannot be scored (`metrics.check`), seeds with other rows, fewer than
            100 resamples.
    """
    runs = same_rows(predictions)
    first = runs[0]
    units = units_of(first.ids, first.groups)
    sums = np.stack([unit_sums(run, units) for run in runs], axis=1)
    names, drawn = list(measures(first)), []
    for part in resampled(sums, resamples, seed):
        found = scores_of(part, first)
        drawn.append(np.stack([found[name].mean(-1) for name in names], axis=-1))
    each = scores_of(sums.sum(0), first)
    metrics = {
        name: _estimate(each[name], np.concatenate([part[:, k] for part in drawn]))
        for k, name in enumerate(names)
    }
    counts = np.zeros((0, 0), np.int64) if first.dimensions else sums.sum((0, 1)).astype(np.int64)
    return Scores(
        test=first.test,
        rows=len(first.ids),
        unit=units.kind,
        units=units.count,
        seeds=len(runs),
        metrics=metrics,
        classes=by_class(counts, first.labels),
        confusion={
            row: dict(zip(first.labels, map(int, line), strict=True))
            for row, line in zip(first.labels, counts, strict=True)
        },
        notes=(*units.notes, *_outside(metrics)),
        warnings=_warnings(runs),
        resamples=resamples,
        seed=seed,
    )


def pooled(parts: Sequence[Predictions], test: str) -> Predictions:
    """The rows of all folds as one test set.

    Raises:
        InputError: no fold, other classes or dimensions in one of them, or a row in two.
    """
    from .predictions import Predictions

    if not parts:
        raise InputError(f"No folds to put together for {test!r}")
    first = parts[0]
    for part in parts:
        if (part.labels, part.dimensions) != (first.labels, first.dimensions):
            raise InputError(
                f"Folds {first.test!r} and {part.test!r} have other columns: "
                f"{list(first.labels or first.dimensions)} and {list(part.labels or part.dimensions)}"
            )
    whole = Predictions(
        test=test,
        ids=tuple(row for part in parts for row in part.ids),
        groups=tuple(group for part in parts for group in part.groups),
        labels=first.labels,
        reference=np.concatenate([part.reference for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        dimensions=first.dimensions,
    )
    check(whole)
    return whole


def over_folds(parts: Sequence[Predictions]) -> dict[str, FoldSpread]:
    """Mean and standard deviation of each score over folds (or over other test sets).

    Raises:
        InputError: predictions that cannot be scored.
    """
    each = [measures(part) for part in parts]
    found = {}
    for name in each[0] if each else ():
        values = np.array([one[name] for one in each])
        sd = float(values.std(ddof=1)) if len(values) > 1 else math.nan
        found[name] = FoldSpread(float(values.mean()), sd, len(values))
    return found


def _estimate(each: NDArray[np.float64], drawn: NDArray[np.float64]) -> Estimate:
    sd = float(each.std(ddof=1)) if len(each) > 1 else None
    return Estimate(float(each.mean()), *interval(drawn), sd)


def _outside(metrics: Mapping[str, Estimate]) -> tuple[str, ...]:
    """A percentile interval need not hold the score itself where classes have a few rows."""
    found = [name for name, one in metrics.items() if one.value < one.low or one.value > one.high]
    if not found:
        return ()
    return (
        f"the interval of {', '.join(found)} does not hold the score itself: some class has so few rows "
        "that resamples often miss it",
    )


def _warnings(runs: Sequence[Predictions]) -> tuple[str, ...]:
    each = [warnings_of(run) for run in runs]
    if len(set(each)) == 1:
        return each[0]
    return tuple(f"seed {k + 1} of {len(runs)}: {told}" for k, found in enumerate(each) for told in found)
