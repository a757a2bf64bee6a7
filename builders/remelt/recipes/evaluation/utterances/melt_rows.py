"""Which rows MELT's systems train and test on (Jing et al. 2025, section 4).

All conditions are trained on the same audio: rows that have a label under each of them. A test corpus has a
head of its own, for the classes that it and the training rows have; the rule of the classes says which rows
are left for it (see `evaluation.protocols.intersection`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ....errors import InputError
from ....evaluation.examples import Example
from ....evaluation.protocols import Split, check_labels, check_leaks, classes_of, intersection
from ....labels import LABEL_MAPS
from ..base import OLD, Material, Setup, Trial
from .rows import (
    TEST,
    VALIDATION,
    file_part,
    folds,
    held_out,
    labelled,
    limited,
    protocol,
    usable,
)
from .settings import AUTO, NONE, SESSIONS, SPEAKERS, SPLITS, MeltSettings

OWN = "own"
_ORDER = (SPLITS, SESSIONS, SPEAKERS)


def trials(setup: Setup) -> list[Trial]:
    """A head for each test corpus and for the source itself, under each condition, with each seed.

    Raises:
        InputError: nothing to test on, or rows that cannot be trained and tested on.
    """
    _check(setup)
    heads = [*setup.tests, *_inside(setup)]
    if not heads:
        raise InputError(
            f"There is nothing to test on: {setup.material.source} has no split, session or speaker to hold "
            "out (or --set inside=none), and no corpus is named with --tests NAME=DIR"
        )
    found = [
        Trial(condition, "", head, seed)
        for head in heads
        for condition in setup.options.labels
        for seed in setup.options.seeds
    ]
    for trial in found:
        splits(trial, setup)
    return found


def _check(setup: Setup) -> None:
    settings: MeltSettings = setup.settings
    if setup.material.kind == "folds":
        raise InputError(
            f"{setup.material.source} was made by `remelt augment`; --system transcribe_vote trains on it"
        )
    if not usable(setup.material.examples, settings.modality):
        what = "sound" if settings.modality == "speech" else "words"
        raise InputError(
            f"No row of {setup.material.source} has {what}: build the dataset with --audio flac or name the "
            "corpus's folder with --corpus; --set modality=text trains on words instead"
            if what == "sound"
            else f"No row of {setup.material.source} has {what}"
        )
    name = setup.speech if settings.modality == "speech" else setup.text
    if name is None:
        raise InputError(
            f"modality={settings.modality} needs an encoder: name one with --{settings.modality}"
        )


def validated(setup: Setup) -> bool:
    """Whether the training is to be chosen or stopped by validation rows."""
    return setup.training.keep == "best" or setup.training.patience is not None


def splits(trial: Trial, setup: Setup) -> dict[str, Split]:
    """By test set what a trial trains, validates and tests on; all of a trial's train on the same rows.

    Raises:
        InputError: parts that share rows or dialogues, or classes that cannot be learnt.
    """
    found, classes = _splits(trial, setup), classes_for(trial, setup)
    for split in found.values():
        check_leaks(split)
        check_labels(split, classes, setup.settings.unseen)
    return found


def classes_for(trial: Trial, setup: Setup) -> tuple[str, ...]:
    """The classes of a trial's head, in alphabetical order.

    Raises:
        InputError: fewer than two.
    """
    pool = _pool(setup)
    ids = {row.id for row in pool}
    labels = setup.options.labels
    there = {label for name in labels for key, label in setup.material.labels[name].items() if key in ids}
    if trial.fold not in setup.tests:
        return tuple(sorted(there))
    test = setup.tests[trial.fold]
    wanted = _test_classes(test)
    found = tuple(sorted(there & wanted))
    if len(found) < 2:
        raise InputError(
            f"{setup.material.source} and the test {trial.fold!r} have {list(found)!r} in common, two "
            f"classes or more are needed (trained on: {sorted(there)!r}; tested: {sorted(wanted)!r})"
        )
    return found


def _test_classes(test: Material) -> set[str]:
    corpora = {row.corpus for row in test.examples}
    if len(corpora) == 1 and (corpus := next(iter(corpora))) in LABEL_MAPS:
        return set(classes_of(corpus))
    return set(test.labels[reference_of(test)].values())


def reference_of(test: Material) -> str:
    """The labels of a test corpus: its own, else its first ones."""
    return OLD if OLD in test.labels else next(iter(test.labels))


def _pool(setup: Setup) -> tuple[Example, ...]:
    """The rows that may train."""
    rows = usable(setup.material.examples, setup.settings.modality)
    out = held_out(rows)
    return tuple(row for row in rows if row.split not in out)


def _inside(setup: Setup) -> list[str]:
    """The heads that are tested on the source itself."""
    how = _how(setup)
    if how == NONE:
        return []
    if how == SPLITS:
        return [OWN]
    return [f"{OWN}-{split.name}" for split in _folds(setup, how)]


def _how(setup: Setup) -> str:
    settings: MeltSettings = setup.settings
    rows = usable(setup.material.examples, settings.modality)
    asked = settings.inside
    if asked == AUTO and setup.tests:
        # Other corpora are the test: folds of the source are made where they are asked for.
        return protocol(rows, AUTO, (SPLITS,))
    return protocol(rows, asked, _ORDER)


def _folds(setup: Setup, how: str) -> tuple[Split, ...]:
    """The same folds for each condition: made of the labels that rows are tested with."""
    pool = _pool(setup)
    reference = references(setup)[0]
    return folds(
        labelled(pool, setup.material.labels[reference]), how, setup.settings.folds, validated(setup)
    )


def references(setup: Setup) -> tuple[str, ...]:
    """The conditions whose labels the source's rows are tested with: its own first, then those trained on."""
    own = (OLD,) if OLD in setup.material.labels else ()
    return tuple(dict.fromkeys((*own, *setup.options.labels)))


def _learnt(
    trial: Trial, setup: Setup, rows: Sequence[Example], classes: Sequence[str]
) -> tuple[Example, ...]:
    """Training rows under a trial's labels, of the rows that the rule of the classes leaves."""
    ids = {row.id for row in rows}
    labels: dict[str, Mapping[str, str]] = {
        name: {key: label for key, label in setup.material.labels[name].items() if key in ids}
        for name in setup.options.labels
    }
    kept = intersection(labels, classes, setup.options.class_rule)
    return limited(labelled(rows, kept[trial.condition]), setup.options.limit, trial.seed)


def _splits(trial: Trial, setup: Setup) -> dict[str, Split]:
    pool, classes = _pool(setup), classes_for(trial, setup)
    if trial.fold in setup.tests:
        train = _learnt(trial, setup, pool, classes)
        return {trial.fold: _elsewhere(trial.fold, setup, train, _validation(trial, setup, classes), classes)}
    if trial.fold == OWN:
        train = _learnt(trial, setup, pool, classes)
        return _standard(setup, train, _validation(trial, setup, classes), classes)
    return _fold(trial, setup, classes)


def _validation(trial: Trial, setup: Setup, classes: Sequence[str]) -> tuple[Example, ...]:
    """The rows of the validation split, under the trial's labels if all conditions have some there."""
    rows = usable(setup.material.examples, setup.settings.modality)
    rows = tuple(row for row in rows if row.split.casefold() in VALIDATION)
    names = setup.options.labels
    told = all(any(row.id in setup.material.labels[name] for row in rows) for name in names)
    condition = trial.condition if told else references(setup)[0]
    return tuple(row for row in labelled(rows, setup.material.labels[condition]) if row.label in classes)


def _elsewhere(
    name: str,
    setup: Setup,
    train: tuple[Example, ...],
    validation: tuple[Example, ...],
    classes: Sequence[str],
) -> Split:
    """All rows of another corpus whose class the head has."""
    test = setup.tests[name]
    rows = usable(test.examples, setup.settings.modality)
    known = labelled(rows, test.labels[reference_of(test)])
    kept = tuple(row for row in known if row.label in classes)
    notes: tuple[str, ...] = ()
    if len(kept) < len(rows):
        notes = (f"{len(rows) - len(kept):,} of {len(rows):,} rows of {name} have no label of the head",)
    return Split(name, train, validation, kept, (), notes)


def _standard(
    setup: Setup, train: tuple[Example, ...], validation: tuple[Example, ...], classes: Sequence[str]
) -> dict[str, Split]:
    """The source's own test splits, and its validation split where it is not trained by."""
    rows = usable(setup.material.examples, setup.settings.modality)
    chosen = validation if validated(setup) else ()
    wanted = TEST if validated(setup) else (*TEST, *VALIDATION)
    found: dict[str, Split] = {}
    for split in held_out(rows):
        if split.casefold() not in wanted:
            continue
        part = tuple(row for row in rows if row.split == split)
        for name, test in _under(setup, split, part, classes).items():
            found[name] = Split(name, train, chosen, test, ("dialogues",))
    if not found:
        raise InputError(
            f"No row of the test splits of {setup.material.source} has a label of {list(references(setup))!r}"
        )
    return found


def _under(
    setup: Setup, name: str, rows: Sequence[Example], classes: Sequence[str]
) -> dict[str, tuple[Example, ...]]:
    """Test rows under each kind of labels that they have."""
    found = {}
    for reference in references(setup):
        test = tuple(row for row in labelled(rows, setup.material.labels[reference]) if row.label in classes)
        if test:
            found[f"{name}-{file_part(reference)}"] = test
    return found


def _fold(trial: Trial, setup: Setup, classes: Sequence[str]) -> dict[str, Split]:
    name = trial.fold.partition("-")[2]
    fold = next(split for split in _folds(setup, _how(setup)) if split.name == name)
    train = _learnt(trial, setup, fold.train, classes)
    own = setup.material.labels[trial.condition]
    validation = tuple(row for row in labelled(fold.validation, own) if row.label in classes)
    return {
        test: replace(fold, name=test, train=train, validation=validation, test=rows)
        for test, rows in _under(setup, "folds", fold.test, classes).items()
    }
