"""Rows of other corpora that are added to the training rows of a fold (Feng and Narayanan 2023, table 7)."""

from __future__ import annotations

from functools import cache

from ....errors import InputError, bad_value
from ....evaluation.protocols import Split, augmented, check_leaks
from ..base import NEW, OLD, Material, Setup, Trial
from .rows import labelled, usable
from .settings import ALONE, AUTO, SPEECH


@cache
def _read(source: str) -> Material:
    from ..sources import read

    return read(source)


def material(setup: Setup) -> Material | None:
    """What is added; None for nothing.

    Raises:
        InputError: it cannot be read, has no sound, or the source has added rows already.
    """
    source = setup.settings.augment
    if not source:
        return None
    if setup.material.folds:
        raise InputError(
            f"{setup.material.source} was made by `remelt augment` and has its added rows; leave out "
            "--set augment"
        )
    found = _read(source)
    if not usable(found.examples, SPEECH):
        raise InputError(f"{source} cannot be added to the training rows: no row of it has sound")
    return found


def name(setup: Setup) -> str | None:
    """What conditions with added rows are called after; None where nothing is added."""
    found = material(setup)
    return None if found is None else found.name


def condition(found: Material, asked: str) -> str:
    """The labels of the added rows.

    Raises:
        InputError: there are none of the name that was asked for.
    """
    if asked != AUTO:
        if asked not in found.labels:
            raise InputError(bad_value("augment_labels", asked, (AUTO, *found.labels)))
        return asked
    return next((name for name in (NEW, OLD) if name in found.labels), next(iter(found.labels)))


def added(split: Split, setup: Setup, trial: Trial, classes: tuple[str, ...]) -> Split:
    """The split with the added rows in its training part alone.

    Raises:
        InputError: an added row is one of the split's, has the sound of one of its validation or test rows,
            or (of the same corpus) its speaker or dialogue; or no added row has one of the classes.
    """
    found = material(setup)
    assert found is not None
    labels = found.labels[condition(found, setup.settings.augment_labels)]
    rows = [row for row in labelled(usable(found.examples, SPEECH), labels) if row.label in classes]
    if trial.variant != ALONE:
        rows = list(usable(rows, "text"))
    if not rows:
        raise InputError(f"No row of {found.source} has sound and a label of {list(classes)!r}")
    own = {row.corpus for part in (split.train, split.validation, split.test) for row in part}
    if not own & {row.corpus for row in rows}:
        # Speakers and dialogues of another corpus are others; its rows may not even name them.
        split = Split(split.name, split.train, split.validation, split.test, (), split.notes)
    result = augmented(split, rows)
    _check_sounds(result, setup, found, {row.id for row in rows})
    return result


def _check_sounds(split: Split, setup: Setup, found: Material, ids: set[str]) -> None:
    own = setup.material.sounds
    assert own is not None
    assert found.sounds is not None
    digests = {row.id: own.digest(row.id) for row in (*split.validation, *split.test)}
    digests |= {row.id: found.sounds.digest(row.id) for row in split.train if row.id in ids}
    check_leaks(split, ("sounds",), digests)
