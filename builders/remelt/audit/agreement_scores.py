"""Scores of one labelling against another, for many resamples at once, and their bootstrap intervals.

Stacks of confusion matrices have shape (stack, labels, labels): rows = reference, columns = what was said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .agreement_votes import Floats, Ints, count_cells
from .descriptions import Value

# Of a resample's weights, so that 100,000 items need no gigabytes.
_BLOCK = 4_000_000
_ROUNDING = 1e-9
MEASURES = ("accuracy", "uar", "f1", "kappa")
# Resamples of fewer items are so alike that their spread says nothing.
LEAST_ITEMS = 5


def draws(times: Ints, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each kind of item is drawn in each bootstrap resample, in blocks of shape (resamples, kinds).

    Drawing items with replacement is drawing their kinds from the kinds' shares.

    Args:
        times: how many items there are of each kind; as many as there are in all are drawn.
        resamples: in all blocks together.
        seed: the same one gives the same draws.
    """
    rng = np.random.default_rng(seed)
    total = int(times.sum())
    step = max(1, _BLOCK // max(times.size, 1))
    for begin in range(0, resamples, step):
        size = min(step, resamples - begin)
        yield rng.multinomial(total, times / total, size=size).astype(np.float64)


def interval(point: float, resampled: Floats) -> Value:
    """A value with the 2.5th and 97.5th percentiles of its resamples.

    Resamples in which it is undefined are left out; where that is every second one, there is no interval.
    Nor is there one where the value itself is outside: a coefficient at the end of its range, such as kappa
    where nobody agrees, is nearly always more extreme in resamples, which hold some items several times.

    >>> interval(0.5, np.array([0.25, 0.5, 0.75]))
    Value(value=0.5, low=0.2625, high=0.7375)
    >>> interval(0.5, np.array([0.1, 0.2, 0.3]))
    Value(value=0.5, low=None, high=None)
    """
    if not np.isfinite(point):
        return Value(None)
    finite = resampled[np.isfinite(resampled)]
    if finite.size < 2 or finite.size * 2 < resampled.size:
        return Value(round(float(point), 6))
    low, high = np.percentile(finite, [2.5, 97.5])
    if not low - _ROUNDING <= point <= high + _ROUNDING:
        return Value(round(float(point), 6))
    return Value(*(round(float(v), 6) + 0.0 for v in (point, low, high)))


def divide(above: Floats, below: Floats) -> Floats:
    """`above / below`, NaN where `below` is 0."""
    out = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    np.divide(above, below, out=out, where=np.abs(below) > 1e-12)
    return out


def measures(stack: Floats) -> dict[str, Floats]:
    """Accuracy, UAR, macro-F1 and Cohen's kappa of confusion matrices, each of shape (stack,).

    UAR is the mean recall over the reference labels that occur, macro-F1 the mean over the labels that occur
    on either side; both as scikit-learn has them. What cannot be computed is NaN.
    """
    total = stack.sum(axis=(1, 2))
    right = np.einsum("sii->si", stack)
    reference, said = stack.sum(axis=2), stack.sum(axis=1)
    sides = reference + said
    zero = np.zeros_like(right)
    recall = np.divide(right, reference, out=zero.copy(), where=reference > 0)
    f1 = np.divide(2 * right, sides, out=zero.copy(), where=sides > 0)
    accuracy = divide(right.sum(axis=1), total)
    chance = divide((reference * said).sum(axis=1), total**2)
    return {
        "accuracy": accuracy,
        "uar": divide(recall.sum(axis=1), (reference > 0).sum(axis=1).astype(np.float64)),
        "f1": divide(f1.sum(axis=1), (sides > 0).sum(axis=1).astype(np.float64)),
        "kappa": divide(accuracy - chance, 1 - chance),
    }


def cohen_kappa(stack: Floats, weights: str = "none") -> Floats:
    """Cohen's kappa of two raters (Cohen 1960), or weighted (Cohen 1968), shape (stack,).

    Args:
        stack: how often one rater said the row's label and the other the column's.
        weights: `none`, `linear` or `quadratic`: disagreement grows with the distance of the labels' places,
            or with its square.
    """
    places = np.arange(stack.shape[1], dtype=np.float64)
    distance = np.abs(places[:, None] - places[None, :])
    weight = {"none": (distance > 0).astype(np.float64), "linear": distance, "quadratic": distance**2}[
        weights
    ]
    total = stack.sum(axis=(1, 2))
    observed = divide(np.einsum("sij,ij->s", stack, weight), total)
    expected = divide(np.einsum("si,sj,ij->s", stack.sum(axis=2), stack.sum(axis=1), weight), total**2)
    return 1 - divide(observed, expected)


def resampled_matrices(counts: Ints, resamples: int, seed: int) -> Floats:
    """A confusion matrix and its bootstrap resamples, shape (1 + resamples, labels, labels).

    Drawing a table's items with replacement is drawing its cells from their shares. Of fewer than
    `LEAST_ITEMS` items there are no resamples.
    """
    flat = counts.ravel().astype(np.float64)
    total = int(flat.sum())
    if total < LEAST_ITEMS or not resamples:
        return counts[None].astype(np.float64)
    # Of a hundred labels most cells are empty.
    used = np.flatnonzero(flat)
    drawn = np.zeros((1 + resamples, flat.size))
    drawn[0] = flat
    rng = np.random.default_rng(seed)
    drawn[1:, used] = rng.multinomial(total, flat[used] / total, size=resamples)
    return drawn.reshape(-1, *counts.shape)


@dataclass(frozen=True, slots=True)
class Score:
    """One labelling against a reference.

    Attributes:
        rows: items that carry both labels.
        coverage: their share of the items that carry the reference; None without any.
        accuracy: share of equal labels (WA, the weighted accuracy of the field).
        uar: mean recall over the reference's labels that occur.
        f1: macro-F1.
        kappa: Cohen's.
        counts: rows = reference, columns = the labelling.
    """

    rows: int
    coverage: float | None
    accuracy: Value
    uar: Value
    f1: Value
    kappa: Value
    counts: tuple[tuple[int, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        found = {name: as_json(getattr(self, name)) for name in MEASURES}
        return {
            "rows": self.rows,
            "coverage": self.coverage,
            **found,
            "counts": [list(r) for r in self.counts],
        }


def score(said: Ints, reference: Ints, size: int, resamples: int = 2_000, seed: int = 0) -> Score:
    """Scores one column of codes against another; -1 and lower are missing.

    Args:
        said, reference: places of labels, shape (items,).
        size: number of labels.
        resamples: bootstrap resamples of the items; 0 for no intervals.
        seed: of the bootstrap.
    """
    both = (said >= 0) & (reference >= 0)
    counts = count_cells(reference[both], said[both], (size, size))
    stack = resampled_matrices(counts, resamples, seed)
    found = {name: interval(values[0], values[1:]) for name, values in measures(stack).items()}
    rows, known = int(both.sum()), int((reference >= 0).sum())
    share = round(rows / known, 6) if known else None
    return Score(rows, share, **found, counts=tuple(tuple(r) for r in counts.tolist()))


def as_json(value: Value) -> dict[str, float | None]:
    """A value and its interval as JSON has them."""
    return {"value": value.value, "low": value.low, "high": value.high}
