"""Which rows Feng and Narayanan's systems train and test on (2023, sections 4 and 5).

One session tests, the next one validates, the others train; corpora with official splits keep them.
Validation and test rows are the corpus's own whatever is added to the training rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ....errors import InputError, bad_value
from ....evaluation.examples import Example
from ....evaluation.protocols import Split, check_labels, check_leaks, standard
from ..base import OLD, Setup, Trial
from ..source_folds import HUMAN
from . import extra
from .rows import TEST, VALIDATION, folds, held_out, labelled, limited, protocol, usable
from .settings import (
    ALONE,
    ASR_WORDS,
    AUTO,
    HUMAN_WORDS,
    NONE,
    SESSIONS,
    SPEAKERS,
    SPEECH,
    SPLITS,
    VoteSettings,
)

FOLDS = "folds"
_ORDER = (SESSIONS, SPLITS, SPEAKERS)


def trials(setup: Setup) -> list[Trial]:
    """Each variant in each fold, under each condition, with each seed.

    Raises:
        InputError: rows that cannot be divided, trained or tested on, or a leak.
    """
    if setup.tests:
        raise InputError(
            "transcribe_vote tests on folds or splits of its source; --tests is for --system melt, and "
            "--set augment=DIR adds rows to the training folds"
        )
    found = [
        Trial(condition, variant, fold, seed)
        for fold in base_splits(setup)
        for condition in conditions(setup)
        for variant in variants(setup)
        for seed in setup.options.seeds
    ]
    for trial in found:
        splits(trial, setup)
    return found


def conditions(setup: Setup) -> tuple[str, ...]:
    """The labels that are trained on, and each of them with the added rows."""
    own = setup.options.labels
    name = extra.name(setup)
    return own if name is None else (*own, *(f"{condition}+{name}" for condition in own))


def condition_of(trial: Trial, setup: Setup) -> tuple[str, bool]:
    """The labels of a trial, and whether rows are added to them."""
    if trial.condition in setup.options.labels:
        return trial.condition, False
    return trial.condition.removesuffix(f"+{extra.name(setup)}"), True


def recogniser(setup: Setup) -> str | None:
    """The transcripts of the variant with a recogniser's words; None where there are none.

    Raises:
        InputError: there are none of the name that was asked for, or several and none was.
    """
    settings: VoteSettings = setup.settings
    there = tuple(setup.material.transcripts)
    if settings.transcripts:
        if settings.transcripts not in there:
            raise InputError(
                f"{setup.material.source}: {bad_value('transcripts', settings.transcripts, there)}; "
                "`--transcripts NAME=DIR` names a folder of `remelt transcribe`"
            )
        return settings.transcripts
    if len(there) > 1:
        raise InputError(
            f"Transcripts of several recognisers: name one with --set transcripts=, of {there!r}"
        )
    return there[0] if there else None


def variants(setup: Setup) -> tuple[str, ...]:
    """Those asked for, else all that the material allows.

    Raises:
        InputError: one needs words that are not there, or a text encoder.
    """
    settings: VoteSettings = setup.settings
    human = any((row.text or "").strip() for row in setup.material.examples)
    there = {ALONE: True, HUMAN_WORDS: human, ASR_WORDS: recogniser(setup) is not None}
    asked = settings.variants or tuple(
        name for name, known in there.items() if known and (name == ALONE or setup.text is not None)
    )
    for name in asked:
        if not there[name]:
            advice = "" if name == HUMAN_WORDS else "; give them with --transcripts NAME=DIR"
            raise InputError(f"{setup.material.source} has no words for the variant {name!r}{advice}")
        if name != ALONE and setup.text is None:
            raise InputError(f"The variant {name!r} needs a text encoder: name one with --text")
    if setup.speech is None:
        raise InputError("transcribe_vote needs a speech encoder: name one with --speech")
    return asked


def words(setup: Setup, kind: str, rows: Iterable[Example]) -> tuple[Example, ...]:
    """Rows with the words of a variant; those of the source without any are left out."""
    if kind == ASR_WORDS:
        heard = setup.material.transcripts[str(recogniser(setup))]
        rows = [replace(row, text=heard.get(row.id)) for row in rows]
    return usable(rows, "text")


def rows_of(setup: Setup) -> tuple[Example, ...]:
    """The rows with sound and with all words that any of the variants needs: the same for each of them.

    Raises:
        InputError: no row is left.
    """
    heard = usable(setup.material.examples, SPEECH)
    ids = {row.id for row in heard}
    for variant in variants(setup):
        if variant != ALONE:
            ids &= {row.id for row in words(setup, variant, heard)}
    found = tuple(row for row in heard if row.id in ids)
    if not found:
        raise InputError(
            f"{setup.material.source}: none of {len(setup.material.examples):,} rows has sound and words"
        )
    return found


def reference(setup: Setup) -> str | None:
    """Whose labels validate and test; None for those that are trained on.

    Raises:
        InputError: one is named that the material does not have.
    """
    labels, asked = setup.material.labels, setup.settings.reference
    if asked != AUTO:
        if asked not in labels:
            raise InputError(bad_value("reference", asked, (AUTO, *labels)))
        return str(asked)
    return next((name for name in (OLD, HUMAN) if name in labels), None)


def classes_for(setup: Setup) -> tuple[str, ...]:
    """The classes that are told apart, in alphabetical order.

    Raises:
        InputError: one that was asked for does not occur, or fewer than two.
    """
    labels = setup.material.labels
    ids = {row.id for row in rows_of(setup)}

    def seen(name: str) -> set[str]:
        return {label for key, label in labels[name].items() if key in ids}

    trained = set().union(*(seen(name) for name in setup.options.labels))
    tested = reference(setup)
    found = trained if tested is None else trained & seen(tested)
    if asked := setup.settings.classes:
        for name in asked:
            if name not in found:
                raise InputError(bad_value("class", name, sorted(found)))
        found = set(asked)
    if len(found) < 2:
        raise InputError(
            f"{setup.material.source}: the labels trained on and those tested with have {sorted(found)!r} in "
            "common; two classes or more are needed"
        )
    return tuple(sorted(found))


def base_splits(setup: Setup) -> dict[str, tuple[Split, ...]]:
    """Fold -> its splits, one for each test set; without labels, and the same for all trials.

    Raises:
        InputError: rows that cannot be divided as asked.
    """
    settings: VoteSettings = setup.settings
    rows = rows_of(setup)
    if setup.material.folds:
        return {name: (_made(setup, name, rows),) for name in setup.material.folds}
    how = protocol(rows, settings.protocol, _ORDER)
    if how == SPLITS:
        return {"": _standard(rows)}
    if how == NONE:
        raise InputError(
            f"{setup.material.source} cannot be divided: it has no splits of its own, sessions or speakers"
        )
    tested = reference(setup) or setup.options.labels[0]
    known = labelled(rows, setup.material.labels[tested])
    if how == SESSIONS:
        known = rows
    return {split.name: (replace(split, name=FOLDS),) for split in folds(known, how, settings.folds, True)}


def _standard(rows: Sequence[Example]) -> tuple[Split, ...]:
    there = held_out(rows)
    tests = [name for name in there if name.casefold() in TEST]
    if not tests:
        raise InputError(bad_value("test split", "test", tuple(dict.fromkeys(row.split for row in rows))))
    chosen = next((name for name in there if name.casefold() in VALIDATION), "")
    return tuple(replace(standard(rows, validation=chosen, test=name), name=name) for name in tests)


def _made(setup: Setup, fold: str, rows: Sequence[Example]) -> Split:
    """A fold that `remelt augment` made."""
    parts = setup.material.folds[fold]
    for part in ("validation", "test"):
        added = [row for row in parts.get(part, ()) if row not in setup.material.labels[HUMAN]]
        if added:
            raise InputError(
                f"{setup.material.source}, fold {fold!r}: {len(added):,} {part} rows are added ones, such as "
                f"{added[0]}; nothing but training rows may be added"
            )
    by_id = {row.id: row for row in rows}

    def of(part: str) -> tuple[Example, ...]:
        return tuple(by_id[row] for row in parts.get(part, ()) if row in by_id)

    return Split(FOLDS, of("train"), of("validation"), of("test"))


def splits(trial: Trial, setup: Setup) -> dict[str, Split]:
    """By test set what a trial trains, validates and tests on, with the words of its variant.

    A test set is called as its split, or `folds`; with `-human-words` or `-asr-words` where its words are not
    of the kind that the model was trained with.

    Raises:
        InputError: parts that share what they must not, or classes that cannot be learnt.
    """
    classes = classes_for(setup)
    found: dict[str, Split] = {}
    for base in base_splits(setup)[trial.fold]:
        check_leaks(base)
        split = _labelled(base, trial, setup, classes)
        if condition_of(trial, setup)[1]:
            split = extra.added(split, setup, trial, classes)
        check_labels(split, classes, setup.settings.unseen)
        found[base.name] = split
        if trial.variant == ALONE:
            continue
        found[base.name] = _worded(split, setup, trial.variant)
        other = ASR_WORDS if trial.variant == HUMAN_WORDS else HUMAN_WORDS
        if other in variants(setup):
            name = f"{base.name}-{'asr' if other == ASR_WORDS else 'human'}-words"
            tested = words(setup, other, split.test)
            found[name] = replace(found[base.name], name=name, test=tested)
    return found


def _worded(split: Split, setup: Setup, variant: str) -> Split:
    """The split with a variant's words; added rows keep theirs."""
    own = {row.id for row in setup.material.examples}
    train = (
        *words(setup, variant, [row for row in split.train if row.id in own]),
        *usable([row for row in split.train if row.id not in own], "text"),
    )
    return replace(
        split,
        train=train,
        validation=words(setup, variant, split.validation),
        test=words(setup, variant, split.test),
    )


def _labelled(base: Split, trial: Trial, setup: Setup, classes: Sequence[str]) -> Split:
    """Each part under the labels that it is learnt or scored with."""
    labels = setup.material.labels
    condition, _ = condition_of(trial, setup)
    learnt: Mapping[str, str] = labels[condition]
    if setup.settings.rows == "common":
        names = setup.options.labels
        learnt = {key: label for key, label in learnt.items() if all(key in labels[name] for name in names)}
    tested = labels[reference(setup) or condition]
    chosen = tested if setup.settings.validate_on == "reference" else labels[condition]

    def of(rows: Sequence[Example], known: Mapping[str, str]) -> tuple[Example, ...]:
        return tuple(row for row in labelled(rows, known) if row.label in classes)

    return replace(
        base,
        train=limited(of(base.train, learnt), setup.options.limit, trial.seed),
        validation=of(base.validation, chosen),
        test=of(base.test, tested),
    )
