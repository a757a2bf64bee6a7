"""Training on one corpus for the classes of another, and rows added to training alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...errors import InputError, bad_value
from ...labels import LABEL_MAPS
from ..examples import Example
from .base import Split
from .checks import check_leaks

RULES = ("both", "own")


def classes_of(corpus: str) -> tuple[str, ...]:
    """The common names of a corpus's classes, in alphabetical order; labels without one are dropped.

    Raises:
        InputError: the corpus has no label map; the message lists those that have.

    >>> classes_of("iemocap")
    ('anger', 'joy', 'neutral', 'sadness')
    >>> [len(classes_of(corpus)) for corpus in ("tess", "ravdess", "cremad")]
    [7, 7, 6]
    """
    if corpus not in LABEL_MAPS:
        raise InputError(bad_value("corpus", corpus, LABEL_MAPS))
    return tuple(sorted(set(LABEL_MAPS[corpus].to_common.values())))


def intersection(
    labels: Mapping[str, Mapping[str, str]], classes: Iterable[str], rule: str = "both"
) -> dict[str, dict[str, str]]:
    """Each condition's labels that are among the classes of a test corpus, on the same audio.

    Jing et al. 2025 (MELT): only classes that occur in the target corpus are trained on, and both
    conditions have the same audio. Rows that a condition has no label for are therefore left out of all.

    Args:
        labels: condition -> utterance id -> label.
        classes: of the test corpus.
        rule: `both` keeps rows whose labels under ALL conditions are among the classes, so that all
            conditions train on the same audio; `own` keeps, for each condition, the rows whose own label is.

    Returns:
        Condition -> utterance id -> label, in the order of each condition.

    Raises:
        InputError: an unknown rule, no condition, or a condition that is left without rows.
    """
    if rule not in RULES:
        raise InputError(bad_value("rule for the classes of a test corpus", rule, RULES))
    if not labels:
        raise InputError("No label condition to choose rows of")
    wanted = frozenset(classes)
    common = set.intersection(*(set(found) for found in labels.values()))
    if rule == "both":
        common = {row for row in common if all(found[row] in wanted for found in labels.values())}
    kept = {
        name: {row: label for row, label in found.items() if row in common and label in wanted}
        for name, found in labels.items()
    }
    if empty := [name for name, found in kept.items() if not found]:
        sizes = ", ".join(f"{name} {len(found):,}" for name, found in labels.items())
        raise InputError(
            f"No rows are left of {empty[0]!r} for the classes {sorted(wanted)!r} (labelled rows: {sizes})"
        )
    return kept


def augmented(split: Split, extra: Iterable[Example]) -> Split:
    """The split with more training rows; validation and test stay as they are.

    Feng and Narayanan 2023: pseudo-labelled rows are added to the training folds only.

    Raises:
        InputError: a row that is in the split already, or one by which train would share what the split
            promises apart (the dialogue or the speaker of a test row).
    """
    rows = tuple(extra)
    found = replace(
        split,
        train=(*split.train, *rows),
        notes=(*split.notes, f"{len(rows):,} rows were added to the training rows alone"),
    )
    check_leaks(found)
    return found
