"""Change matrices and what follows from them: change rates, agreement, Cohen's kappa, entropy.

Labels travel as integer codes, -1 for a missing one. Rows of a matrix are the label before, columns the
label after.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % Wilson interval; the last three are None where nothing was counted.

    Attributes:
        count: how many of the `total` are meant.
        rate, low, high: between 0 and 1.
    """

    count: int
    total: int
    rate: float | None
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "total": self.total,
            "rate": self.rate,
            "low": self.low,
            "high": self.high,
        }


def wilson(count: int, total: int, z: float = Z95) -> Rate:
    """The Wilson score interval of a share (Wilson 1927).

    Raises:
        ValueError: `count` is negative or above `total`.

    >>> r = wilson(3261, 7024)
    >>> f"{r.rate:.4f} [{r.low:.4f}, {r.high:.4f}]"
    '0.4643 [0.4526, 0.4759]'
    """
    if not 0 <= count <= total:
        raise ValueError(f"Bad count {count!r}, expected 0 to {total}")
    if total == 0:
        return Rate(count, total, None, None, None)
    share = count / total
    square = z * z / total
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / total + square / (4 * total))
    low = 0.0 if count == 0 else max(0.0, middle - half)
    high = 1.0 if count == total else min(1.0, middle + half)
    return Rate(count, total, share, low, high)


def entropy(counts: npt.ArrayLike) -> float | None:
    """Shannon entropy of a distribution in bits; None for an empty one.

    >>> entropy([1, 1, 2]), entropy([5, 0]), entropy([0, 0])
    (1.5, 0.0, None)
    """
    values = np.asarray(counts, dtype=np.float64)
    total = float(values.sum())
    if total == 0:
        return None
    shares = values[values > 0] / total
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


@dataclass(frozen=True, slots=True, eq=False)
class ChangeMatrix:
    """Counts of label pairs.

    Attributes:
        labels: names of the rows and of the columns.
        counts: int64, shape (labels, labels); row = before, column = after.
    """

    labels: tuple[str, ...]
    counts: Counts

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    @property
    def before(self) -> Counts:
        """Row sums: how often each label stood before."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def after(self) -> Counts:
        """Column sums: how often each label stands after."""
        return np.asarray(self.counts.sum(axis=0))

    @property
    def kept(self) -> int:
        return int(np.trace(self.counts))

    @property
    def change(self) -> Rate:
        """Share of the pairs whose two labels differ."""
        return wilson(self.total - self.kept, self.total)

    @property
    def agreement(self) -> Rate:
        """Share of the pairs whose two labels are equal."""
        return wilson(self.kept, self.total)

    def row_shares(self) -> list[list[float | None]]:
        """Each row divided by its sum; a row without counts is all None."""
        return _shares(self.counts, self.before[:, None])

    def column_shares(self) -> list[list[float | None]]:
        """Each column divided by its sum; a column without counts is all None."""
        return _shares(self.counts, self.after[None, :])

    def kappa(self) -> float | None:
        """Cohen's kappa (Cohen 1960); None where chance agreement is 1 or nothing was counted."""
        if self.total == 0:
            return None
        chance = float((self.before / self.total) @ (self.after / self.total))
        if math.isclose(chance, 1.0, abs_tol=1e-15):
            return None
        return (self.kept / self.total - chance) / (1 - chance)

    def as_dict(self) -> dict[str, Any]:
        return {
            "labels": list(self.labels),
            "counts": self.counts.tolist(),
            "row_shares": self.row_shares(),
            "column_shares": self.column_shares(),
        }


def change_matrix(before: Codes, after: Codes, labels: tuple[str, ...]) -> ChangeMatrix:
    """Counts the pairs of two aligned columns of codes; pairs with a missing side (-1) are left out.

    Raises:
        ValueError: the columns differ in length.

    >>> change_matrix(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 1]), ("a", "b")).counts.tolist()
    [[1, 1], [0, 1]]
    """
    if before.shape != after.shape:
        raise ValueError(f"{before.size} labels before, {after.size} after: the columns must be aligned")
    size = len(labels)
    both = (before >= 0) & (after >= 0)
    cells = np.bincount(before[both] * size + after[both], minlength=size * size)
    return ChangeMatrix(labels, cells.reshape(size, size).astype(np.int64))


@dataclass(frozen=True, slots=True)
class LabelChange:
    """What happened to one label.

    Attributes:
        before, after: how many rows carry it on each side.
        kept: how many carry it on both.
        by_row: of the rows that carried it before, the share that changed.
        by_column: of the rows that carry it after, the share that came from another label.
        goes_to, comes_from: the most frequent other label on the other side, with its count; None if none.
    """

    label: str
    before: int
    after: int
    kept: int
    by_row: Rate
    by_column: Rate
    goes_to: tuple[str, int] | None
    comes_from: tuple[str, int] | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "before": self.before,
            "after": self.after,
            "kept": self.kept,
            "by_row": self.by_row.as_dict(),
            "by_column": self.by_column.as_dict(),
            "goes_to": _pair(self.goes_to),
            "comes_from": _pair(self.comes_from),
        }


def label_changes(matrix: ChangeMatrix) -> tuple[LabelChange, ...]:
    """Per-label change by row and by column; the two tell different stories (MELT, Table 2
    and the text beside it)."""
    found = []
    for i, label in enumerate(matrix.labels):
        before, after = int(matrix.before[i]), int(matrix.after[i])
        kept = int(matrix.counts[i, i])
        found.append(
            LabelChange(
                label=label,
                before=before,
                after=after,
                kept=kept,
                by_row=wilson(before - kept, before),
                by_column=wilson(after - kept, after),
                goes_to=_largest(matrix.counts[i, :], i, matrix.labels),
                comes_from=_largest(matrix.counts[:, i], i, matrix.labels),
            )
        )
    return tuple(found)


def distribution(matrix: ChangeMatrix) -> list[Mapping[str, Any]]:
    """Counts and shares of every label before and after, over the rows that carry both labels."""
    total = matrix.total
    return [
        {
            "label": label,
            "before": before,
            "after": after,
            "before_share": before / total if total else None,
            "after_share": after / total if total else None,
        }
        for label, before, after in zip(
            matrix.labels, matrix.before.tolist(), matrix.after.tolist(), strict=True
        )
    ]


def _shares(counts: Counts, sums: Counts) -> list[list[float | None]]:
    wide = np.broadcast_to(sums, counts.shape)
    return [
        [c / s if s else None for c, s in zip(row, row_sums, strict=True)]
        for row, row_sums in zip(counts.tolist(), wide.tolist(), strict=True)
    ]


def _largest(line: Counts, own: int, labels: tuple[str, ...]) -> tuple[str, int] | None:
    others = line.copy()
    others[own] = 0
    best = int(others.argmax())
    return (labels[best], int(others[best])) if others[best] else None


def _pair(found: tuple[str, int] | None) -> dict[str, Any] | None:
    return None if found is None else {"label": found[0], "count": found[1]}
