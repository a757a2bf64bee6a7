"""What a table of scores hides: models that answer one class, classes without rows, tiny test sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .metrics import ClassScores, by_class, check, confusion, recall_line

if TYPE_CHECKING:
    from .predictions import Predictions

# A class predicted in more rows than this is a collapse, where the reference has it far less often.
MOST_PREDICTED = 0.8
# A class the model falls back on: nearly all of its own rows found, hardly any of the others'.
FULL_RECALL, POOR_RECALL = 0.9, 1 / 3
FEW_ROWS, FEW_OF_CLASS = 100, 10


def warnings_of(predictions: Predictions) -> tuple[str, ...]:
    """Sentences about a result that its scores alone do not tell.

    Raises:
        InputError: the predictions cannot be scored; see `metrics.check`.
    """
    check(predictions)
    rows = len(predictions.ids)
    found = [f"only {rows:,} test rows"] if rows < FEW_ROWS else []
    if predictions.dimensions:
        return (*found, *_flat(predictions))
    counts = confusion(predictions.reference, predictions.predicted, len(predictions.labels))
    classes = by_class(counts, predictions.labels)
    return (*found, *_collapse(classes, rows), *_missing(classes))


def _collapse(classes: dict[str, ClassScores], rows: int) -> list[str]:
    found = []
    there = [one for one in classes.values() if one.support]
    for label, one in classes.items():
        others = [other.recall for other in there if other is not one]
        share, real = one.predicted / rows, one.support / rows
        told = f"{share:.0%} of the rows are called {label!r}, which {real:.0%} are"
        if share > MOST_PREDICTED and share > real + 0.1:
            found.append(f"collapse to one class: {told} (recall: {recall_line(classes)})")
        elif (
            len(others) > 1
            and share > 1.5 * real
            and one.support
            and one.recall >= FULL_RECALL
            and np.mean(others) <= POOR_RECALL
        ):
            found.append(
                f"the model falls back on {label!r}: {told}; its recall is {one.recall:.2f}, the mean of the "
                f"other classes {np.mean(others):.2f} (recall: {recall_line(classes)})"
            )
    return found


def _missing(classes: dict[str, ClassScores]) -> list[str]:
    found = []
    if never := [label for label, one in classes.items() if one.support and not one.predicted]:
        found.append(f"never predicted: {', '.join(never)}")
    if absent := [label for label, one in classes.items() if not one.support]:
        wrong = sum(classes[label].predicted for label in absent)
        found.append(f"without a test row: {', '.join(absent)} ({wrong:,} rows are called so)")
    if few := [f"{label} {one.support}" for label, one in classes.items() if 0 < one.support < FEW_OF_CLASS]:
        found.append(f"fewer than {FEW_OF_CLASS} test rows: {', '.join(few)}")
    return found


def _flat(predictions: Predictions) -> list[str]:
    found = []
    for k, name in enumerate(predictions.dimensions):
        reference = predictions.reference[:, k]
        known = ~np.isnan(reference)
        if not known.any():
            found.append(f"{name}: no test row has a reference")
        elif predictions.scores[known, k].std() < 0.05 * reference[known].std():
            found.append(f"{name}: nearly the same value is predicted for every row")
    return found
