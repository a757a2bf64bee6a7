"""Scores of a classifier or of a regression on one test set.

Every score of a classifier is a function of its confusion counts, and every concordance correlation (CCC) one
of five sums, so one vectorised statement of each gives the score of a test set and of each bootstrap resample
(`intervals`). The rules where a class is missing:

- recall is of reference classes: UAR is the mean over the classes that occur in the reference;
- macro F1 is the mean over the classes of the label list that occur on either side, reference or predicted;
  a class that is only predicted has F1 0;
- weighted F1 weighs each class's F1 by its share of the reference;
- Cohen's kappa is NaN where both sides are one and the same class throughout.

CCC (Lin 1989) is 2 cov / (var + var + (mean - mean)^2) with population variances, over the rows whose
reference is known; NaN with fewer than two rows or where both sides are the same constant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .predictions import Predictions

# In the order of tables.
CLASSIFICATION = ("uar", "accuracy", "macro_f1", "weighted_f1", "kappa")


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class on one test set.

    Attributes:
        support: rows of the class in the reference.
        predicted: rows that were called so.
        recall: NaN where the class does not occur in the reference.
        precision: NaN where the class is never predicted.
        f1: NaN where the class occurs on neither side.
    """

    support: int
    predicted: int
    recall: float
    precision: float
    f1: float


def confusion(reference: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Counts of shape (classes, classes): rows are the reference, columns what was predicted.

    Args:
        reference, predicted: whole numbers of shape (n,) from 0 to below `classes`.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.asarray(reference, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def of_confusion(counts: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """The scores of `CLASSIFICATION`, each of shape (...,).

    Args:
        counts: shape (..., classes, classes); see `confusion`.
    """
    table = np.asarray(counts, np.float64)
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    support, predicted = table.sum(-1), table.sum(-2)
    rows = support.sum(-1)
    f1 = _ratio(2 * hits, support + predicted)
    agreed, by_chance = _ratio(hits.sum(-1), rows), _ratio((support * predicted).sum(-1), rows**2)
    return {
        "uar": _mean(_ratio(hits, support)),
        "accuracy": agreed,
        "macro_f1": _mean(f1),
        "weighted_f1": _ratio((support * np.nan_to_num(f1)).sum(-1), rows),
        "kappa": _ratio(agreed - by_chance, 1 - by_chance),
    }


def by_class(counts: NDArray[Any], labels: Sequence[str]) -> dict[str, ClassScores]:
    """Support, recall, precision and F1 of each class, in the order of `labels`.

    Args:
        counts: shape (classes, classes); see `confusion`.
    """
    table = np.asarray(counts, np.float64)
    hits, support, predicted = np.diagonal(table), table.sum(1), table.sum(0)
    recall, precision = _ratio(hits, support), _ratio(hits, predicted)
    f1 = _ratio(2 * hits, support + predicted)
    return {
        label: ClassScores(
            int(support[k]), int(predicted[k]), float(recall[k]), float(precision[k]), float(f1[k])
        )
        for k, label in enumerate(labels)
    }


def moments(reference: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
    """What CCC is computed from: shape (..., 6) of n, sums of x, y, x^2, y^2 and xy of each single value.

    Sums over rows of what this gives are the moments of those rows; a value without a reference is all 0.

    Args:
        reference: shape (...,); NaN where unknown.
        values: shape (...,); what was predicted. Both are best centred near 0 by the same number.
    """
    known = ~np.isnan(reference)
    y = np.where(known, reference, 0.0).astype(np.float64)
    x = np.where(known, values, 0.0).astype(np.float64)
    return np.stack([known.astype(np.float64), x, y, x * x, y * y, x * y], axis=-1)


def of_moments(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """CCC of shape (...,) from summed `moments` of shape (..., 6)."""
    rows, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    # Both sides times n^2, so that whole numbers stay exact and nothing is divided by 0 rows.
    covariance = rows * xy - x * y
    spread = (rows * xx - x * x) + (rows * yy - y * y) + (x - y) ** 2
    # A constant leaves rounding of the size of its square, which is no spread.
    nothing = spread <= 1e-12 * rows * (xx + yy)
    return _ratio(2 * covariance, np.where((rows < 2) | nothing, 0.0, spread))


def of_classes(reference: NDArray[Any], predicted: NDArray[Any], classes: int) -> dict[str, float]:
    """The scores of `CLASSIFICATION` as plain numbers; arguments as in `confusion`.

    >>> of_classes(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)["uar"]
    0.75
    """
    found = of_confusion(confusion(reference, predicted, classes))
    return {name: float(value) for name, value in found.items()}


def of_values(reference: NDArray[Any], values: NDArray[Any], dimensions: Sequence[str]) -> dict[str, float]:
    """`ccc` (the mean over dimensions) and `ccc_<dimension>`.

    Args:
        reference, values: shape (n, dimensions); an unknown reference is NaN.
    """
    single = of_moments(moments(*centred(reference, values)).sum(0))
    return named_ccc(single, dimensions)


def named_ccc(single: NDArray[np.float64], dimensions: Sequence[str]) -> dict[str, Any]:
    """CCC of shape (..., dimensions) under its names, the mean first; the mean of a NaN is NaN."""
    found: dict[str, Any] = {"ccc": single.mean(-1)}
    found |= {f"ccc_{name}": single[..., k] for k, name in enumerate(dimensions)}
    return {name: value if np.ndim(value) else float(value) for name, value in found.items()}


def measures(predictions: Predictions) -> dict[str, float]:
    """All scores of a test set, without intervals.

    Raises:
        InputError: as `check`.
    """
    check(predictions)
    if predictions.dimensions:
        return of_values(predictions.reference, predictions.scores, predictions.dimensions)
    return of_classes(predictions.reference, predictions.predicted, len(predictions.labels))


def check(predictions: Predictions) -> None:
    """Refuses predictions that cannot be scored.

    Raises:
        InputError: no rows, an id twice, shapes that do not fit, a score that is not finite, or a reference
            that is no class.
    """
    rows, where = len(predictions.ids), f"Predictions on {predictions.test!r}"
    columns = len(predictions.dimensions or predictions.labels)
    if not rows:
        raise InputError(f"{where} have no rows")
    if len(set(predictions.ids)) != rows:
        seen: set[str] = set()
        twice = next(i for i in predictions.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        raise InputError(f"{where} have {twice!r} twice")
    expected = (rows, columns) if predictions.dimensions else (rows,)
    found = (predictions.scores.shape, predictions.reference.shape, len(predictions.groups))
    if found != ((rows, columns), expected, rows):
        raise InputError(
            f"{where}: {rows:,} ids and {columns} columns do not fit scores of shape {found[0]}, "
            f"references of shape {found[1]} and {found[2]:,} groups"
        )
    bad = ~np.isfinite(predictions.scores).all(axis=1)
    if bad.any():
        first = predictions.ids[int(bad.argmax())]
        raise InputError(f"{where}: {int(bad.sum()):,} rows have a score that is not finite, first {first!r}")
    if not predictions.dimensions:
        outside = (predictions.reference < 0) | (predictions.reference >= columns)
        if outside.any():
            k = int(outside.argmax())
            raise InputError(
                f"{where}: row {predictions.ids[k]!r} has the class number {predictions.reference[k]}, "
                f"expected 0 to {columns - 1}"
            )


def recall_line(scores: Mapping[str, ClassScores]) -> str:
    """Recall of each class that occurs, in one line.

    >>> recall_line({"joy": ClassScores(4, 2, .5, 1.0, .667), "fear": ClassScores(0, 0, *[float("nan")] * 3)})
    'joy .50'
    """
    found = ((label, one.recall) for label, one in scores.items() if one.support)
    return ", ".join(f"{label} {recall:.2f}".replace(" 0.", " .") for label, recall in found)


def centred(reference: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both less the mean reference of each column: sums of squares of far numbers lose their digits."""
    y = np.asarray(reference, np.float64)
    known = ~np.isnan(y)
    middle = np.where(known, y, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    return y - middle, np.asarray(values, np.float64) - middle


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """above / below, NaN where below is 0."""
    above, below = np.broadcast_arrays(above, below)
    found = np.full(above.shape, np.nan)
    np.divide(above, below, out=found, where=below != 0)
    return found


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the last axis, without NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1))
