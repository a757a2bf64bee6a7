"""What a trained model says of test rows: the one thing that scores, tables and comparisons are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InputError, bad_value
from .examples import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's output on one test set.

    Attributes:
        test: name of the test set (`ravdess`, `dev`, `fold3`).
        ids: the n rows.
        groups: n strings, what rows that belong together share (the dialogue, else the speaker); bootstrap
            intervals resample whole groups. Empty strings where nothing is known.
        labels: the c class names in the order of the columns; empty for regression.
        reference: int64 (n,) class numbers; for regression float64 (n, dimensions).
        scores: float32 (n, c) probabilities; for regression float32 (n, dimensions) predicted values.
        dimensions: names of the regression's columns; empty for classification.
    """

    test: str
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    reference: NDArray[Any]
    scores: NDArray[Any]
    dimensions: tuple[str, ...] = ()

    @property
    def predicted(self) -> NDArray[Any]:
        """int64 (n,): the most probable class (the first of equals)."""
        found: NDArray[Any] = self.scores.argmax(axis=1)
        return found


def group_of(example: Example) -> str:
    """What a row is resampled with: its dialogue, else its speaker; empty where neither is known.

    >>> group_of(Example("ravdess/03-01", "ravdess", "train", speaker="Actor_01"))
    'ravdess/Actor_01'
    """
    return example.dialogue or (f"{example.corpus}/{example.speaker}" if example.speaker else "")


def of_examples(
    test: str,
    examples: Iterable[Example],
    ids: Sequence[str],
    scores: NDArray[Any],
    labels: Sequence[str] = (),
    dimensions: Sequence[str] = (),
) -> Predictions:
    """Predictions with the references and groups of the examples that were predicted.

    Args:
        test: name of the test set.
        examples: at least those of `ids`, in any order.
        ids: the n rows in the order of `scores`.
        scores: shape (n, classes) or (n, dimensions).
        labels: the classes in the order of the columns; empty for regression.
        dimensions: the targets in the order of the columns; empty for classification. An example without one
            gets NaN, which no score counts.

    Raises:
        InputError: an id that no example has, or an example whose label is none of the classes.
    """
    import numpy as np

    known = {row.id: row for row in examples}
    if unknown := [row for row in ids if row not in known]:
        raise InputError(f"{len(unknown):,} predicted rows of {test!r} are no examples, first {unknown[0]!r}")
    rows = [known[row] for row in ids]
    if dimensions:
        found = [[row.targets.get(name, np.nan) for name in dimensions] for row in rows]
        reference = np.array(found, np.float64).reshape(len(rows), len(dimensions))
    else:
        number = {label: k for k, label in enumerate(labels)}
        for row in rows:
            if row.label not in number:
                raise InputError(bad_value(f"label of test row {row.id}", row.label, labels))
        reference = np.array([number[str(row.label)] for row in rows], np.int64)
    return Predictions(
        test=test,
        ids=tuple(ids),
        groups=tuple(group_of(row) for row in rows),
        labels=tuple(labels),
        reference=reference,
        scores=np.asarray(scores, np.float32),
        dimensions=tuple(dimensions),
    )
