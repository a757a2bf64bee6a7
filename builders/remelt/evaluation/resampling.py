"""What bootstrap intervals and paired comparisons are drawn from: units of rows and their sums."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .metrics import check, moments, named_ccc, of_confusion, of_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .predictions import Predictions

# Fewer whole groups than this say next to nothing about other groups; rows are drawn instead.
FEWEST_GROUPS = 10
FEWEST_RESAMPLES = 100
# The interval lies between these percentiles.
PERCENTILES = (2.5, 97.5)
# Numbers of a resampling matrix held at once (32 MB).
_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Units:
    """What is resampled.

    Attributes:
        kind: `groups` or `rows`.
        of_row: int64 (n,): the unit of each row; units are numbered by name, so that the order of rows
            changes nothing.
        count: of units.
        notes: why rows were taken.
    """

    kind: str
    of_row: NDArray[np.int64]
    count: int
    notes: tuple[str, ...] = ()


def same_rows(predictions: Predictions | Sequence[Predictions]) -> tuple[Predictions, ...]:
    """The seeds of one model, checked and brought into the order of the first: one set of rows and columns.

    Raises:
        InputError: none at all, or seeds that differ in rows, references or columns.
    """
    runs = tuple(predictions) if isinstance(predictions, Sequence) else (predictions,)
    if not runs:
        raise InputError("No predictions to score")
    first, found = runs[0], []
    for run in runs:
        check(run)
        if run.ids != first.ids and set(run.ids) == set(first.ids):
            run = of_rows(run, first.ids)
        found.append(run)
        same = (run.ids, run.labels, run.dimensions) == (first.ids, first.labels, first.dimensions)
        if not same or not np.array_equal(run.reference, first.reference, equal_nan=bool(first.dimensions)):
            raise InputError(
                f"Predictions {first.test!r} and {run.test!r} differ in rows, references or columns, so they "
                "are no seeds of one model; put folds together first"
            )
    return tuple(found)


def of_rows(predictions: Predictions, rows: Sequence[str]) -> Predictions:
    """Some rows of a prediction, in their order."""
    place = {row: k for k, row in enumerate(predictions.ids)}
    order = np.array([place[row] for row in rows])
    return replace(
        predictions,
        ids=tuple(rows),
        groups=tuple(predictions.groups[k] for k in order),
        reference=predictions.reference[order],
        scores=predictions.scores[order],
    )


def units_of(ids: Sequence[str], groups: Sequence[str]) -> Units:
    """What to resample: groups, or rows where groups are unknown or too few.

    A row without a group is a group by itself, where other rows have one.
    """
    notes: tuple[str, ...] = ()
    known = len(set(groups) - {""})
    if known:
        # A mark that is in no id keeps a row's id and a group's name apart.
        names = [group or f"\0{row}" for row, group in zip(ids, groups, strict=True)]
        found, of_row = np.unique(np.array(names), return_inverse=True)
        if len(found) >= FEWEST_GROUPS:
            return Units("groups", of_row.reshape(-1), len(found))
        notes = (
            f"only {len(found)} groups (dialogues or speakers), so rows were resampled: "
            "the intervals say nothing about other groups and are too narrow for that",
        )
    else:
        notes = ("dialogues and speakers are unknown, so rows were resampled",)
    found, of_row = np.unique(np.array(ids), return_inverse=True)
    return Units("rows", of_row.reshape(-1), len(found), notes)


def unit_sums(predictions: Predictions, units: Units) -> NDArray[np.float64]:
    """What the scores are computed from, by unit.

    Returns:
        Confusion counts (units, classes, classes), or for regression moments (units, dimensions, 6).
    """
    if predictions.dimensions:
        y = np.asarray(predictions.reference, np.float64)
        middle = np.nan_to_num(np.nanmean(np.where(np.isnan(y).all(0), 0.0, y), axis=0))
        single = moments(y - middle, predictions.scores.astype(np.float64) - middle)
        sums = np.zeros((units.count, *single.shape[1:]))
        np.add.at(sums, units.of_row, single)
        return sums
    classes = len(predictions.labels)
    cells = (units.of_row * classes + predictions.reference) * classes + predictions.predicted
    counts = np.bincount(cells, minlength=units.count * classes * classes)
    return counts.reshape(units.count, classes, classes).astype(np.float64)


def scores_of(sums: NDArray[np.float64], like: Predictions) -> dict[str, NDArray[np.float64]]:
    """Scores of shape (...,) from summed `unit_sums`, (..., classes, classes) or (..., dimensions, 6)."""
    if like.dimensions:
        return {
            name: np.asarray(value) for name, value in named_ccc(of_moments(sums), like.dimensions).items()
        }
    return of_confusion(sums)


def resampled(sums: NDArray[np.float64], resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Sums of drawn units, a part of the resamples at a time.

    Args:
        sums: shape (units, ...).

    Yields:
        Shape (some, ...); together as many as `resamples`.

    Raises:
        InputError: fewer than 100 resamples.
    """
    if resamples < FEWEST_RESAMPLES:
        raise InputError(f"Bad number of resamples {resamples}, expected {FEWEST_RESAMPLES} or more")
    count, flat = len(sums), sums.reshape(len(sums), -1)
    random, most = np.random.default_rng(seed), max(1, _CELLS // len(sums))
    for start in range(0, resamples, most):
        some = min(most, resamples - start)
        drawn = random.integers(0, count, (some, count)) + np.arange(some)[:, None] * count
        weights = np.bincount(drawn.reshape(-1), minlength=some * count).reshape(some, count)
        yield (weights.astype(np.float64) @ flat).reshape(some, *sums.shape[1:])


def interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """The percentiles of resampled scores; those that are not defined are left out."""
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.percentile(known, PERCENTILES)
    return float(low), float(high)


def plain(value: Any) -> Any:
    """A value as JSON has it: NaN and infinity are None, mappings are dicts, sequences lists."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
