"""Which rows train, validate and test: both splits of Alqurashi et al. 2024, and folds for other corpora."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ....errors import InputError, bad_value
from ..base import OLD, Material, Setup
from .settings import AUTO, BOTH, DEPENDENT, FOLDS, HUMAN, INDEPENDENT, STANDARD, WITH_TEXT, Settings

if TYPE_CHECKING:
    from ....evaluation.examples import Example
    from ....evaluation.protocols import Split

_TRAIN, _TEST = "train", ("test", "test1")
_VALIDATION = ("dev", "validation", "valid", "development")
# The men and women of more sessions than this are no fold of their own (the podcasts of MSP-Podcast).
_MOST_SESSIONS = 12
# Where no rows are left to validate on, so many of the training rows do, whoever speaks in them.
_SHARE = 0.2


@dataclass(frozen=True)
class Fold:
    """One training with its tests.

    Attributes:
        name: of the fold; empty for the corpus's own split.
        split: the rows of the corpus that is trained on; `test` is the first of `tests`.
        tests: name of the predictions -> rows.
    """

    name: str
    split: Split
    tests: Mapping[str, tuple[Example, ...]]


def usable(material: Material, settings: Settings) -> tuple[Example, ...]:
    """The rows with sound and, where text is asked, words, which are those of `settings.words`.

    Raises:
        InputError: no row is left, or there are no such words.
    """
    rows = material.examples
    if settings.words != HUMAN:
        if settings.words not in material.transcripts:
            raise InputError(
                bad_value(f"words of {material.source}", settings.words, (HUMAN, *material.transcripts))
            )
        heard = material.transcripts[settings.words]
        rows = tuple(replace(row, text=heard.get(row.id)) for row in rows)
    kept = tuple(row for row in rows if row.has_sound)
    if not kept:
        raise InputError(f"{material.source}: none of its {len(rows):,} rows has sound")
    if WITH_TEXT not in settings.inputs:
        return kept
    read = tuple(row for row in kept if (row.text or "").strip())
    if not read:
        raise InputError(
            f"{material.source}: none of its {len(kept):,} rows with sound has words, which the text model "
            "reads; --set inputs=s is speech alone"
        )
    return read


def folds(setup: Setup, condition: str, seed: int) -> tuple[Fold, ...]:
    """The folds of a condition; they are the same for all conditions and seeds, but for the training labels.

    Args:
        condition: whose labels are learnt.
        seed: of the rows that are drawn where training is limited.

    Raises:
        InputError: rows that do not allow the split, or labels that cannot be learnt and tested.
    """
    from ....evaluation.protocols import check_labels, check_leaks

    settings: Settings = setup.settings
    learnt = _learnt(setup, condition)
    scored = _scored(setup.material, settings, condition)
    rows = tuple(
        replace(row, label=scored.get(row.id) or learnt.get(row.id))
        for row in usable(setup.material, settings)
        if row.id in scored or row.id in learnt
    )
    found = []
    for name, test, cut in _cuts(rows, setup):
        check_leaks(cut)
        whole = _with_validation(cut, settings.split_seed)
        train = _limited(_labelled(whole.train, learnt), setup.options.limit, seed)
        split = replace(
            whole,
            train=train,
            validation=_labelled(whole.validation, scored),
            test=_labelled(whole.test, scored),
        )
        check_leaks(split)
        check_labels(split, settings.labels)
        _check_complete(split, settings)
        found.append(Fold(name, split, {test: split.test}))
    return _with_other_tests(found, setup)


def _learnt(setup: Setup, condition: str) -> Mapping[str, str]:
    from ....evaluation.protocols import intersection

    labels = {name: setup.material.labels[name] for name in setup.options.labels}
    return intersection(labels, setup.settings.labels, setup.options.class_rule)[condition]


def _scored(material: Material, settings: Settings, condition: str) -> Mapping[str, str]:
    """The labels that validation and test rows are scored with, of the classes alone.

    Raises:
        InputError: there are no such labels.
    """
    asked = settings.reference
    if asked == AUTO:
        asked = next((name for name in (OLD, HUMAN) if name in material.labels), condition)
    if asked not in material.labels:
        raise InputError(bad_value(f"labels of {material.source}", asked, material.labels))
    return {name: label for name, label in material.labels[asked].items() if label in settings.labels}


def _labelled(rows: Sequence[Example], labels: Mapping[str, str]) -> tuple[Example, ...]:
    return tuple(replace(row, label=labels[row.id]) for row in rows if row.id in labels)


def _cuts(rows: Sequence[Example], setup: Setup) -> list[tuple[str, str, Split]]:
    """Fold, name of its test, and the split; before anything is said of labels."""
    from ....evaluation.protocols import Split, speaker_dependent, standard

    settings: Settings = setup.settings
    found: list[tuple[str, str, Split]] = []
    if setup.material.folds:
        place = {row.id: row for row in rows}
        for name, parts in setup.material.folds.items():
            train, validation, test = (
                tuple(place[key] for key in parts.get(part, ()) if key in place)
                for part in ("train", "validation", "test")
            )
            found.append((name, name, Split(name, train, validation, test)))
        return found
    wanted = settings.split if settings.split != AUTO else _protocol(rows)
    if wanted in (DEPENDENT, BOTH):
        found.append((DEPENDENT, f"test_{DEPENDENT}", speaker_dependent(rows, seed=settings.split_seed)))
    if wanted in (INDEPENDENT, BOTH):
        found += _independent(rows, settings)
    if wanted == FOLDS:
        found += _by_speaker(rows, settings)
    if wanted == STANDARD:
        there = {row.split for row in rows}
        own = standard(rows, validation=None if there & set(_VALIDATION) else "")
        found.append(("", "test", own))
    return found


def _protocol(rows: Sequence[Example]) -> str:
    there = {row.split for row in rows}
    if _TRAIN in there and there & set(_TEST):
        return STANDARD
    return INDEPENDENT if _has_sessions(rows) else FOLDS


def _has_sessions(rows: Sequence[Example]) -> bool:
    known = all(row.session and row.sex and row.speaker for row in rows)
    return known and 2 <= len({row.session for row in rows}) <= _MOST_SESSIONS


def _independent(rows: Sequence[Example], settings: Settings) -> list[tuple[str, str, Split]]:
    """The last session's men and women, or folds of speakers where rows do not tell sessions."""
    from ....evaluation.protocols import alqurashi_si

    if _has_sessions(rows):
        return [(INDEPENDENT, f"test_{INDEPENDENT}", alqurashi_si(rows))]
    return _by_speaker(rows, settings)


def _by_speaker(rows: Sequence[Example], settings: Settings) -> list[tuple[str, str, Split]]:
    from ....evaluation.protocols import by_speaker

    speakers = len({(row.corpus, row.speaker) for row in rows if row.speaker})
    count = settings.folds if speakers > settings.folds else None
    next_or_none = "next" if speakers > 2 else "none"
    cut = by_speaker(rows, count, next_or_none, settings.split_seed)
    return [(split.name, split.name, split) for split in cut]


def _with_validation(split: Split, seed: int) -> Split:
    """The split, with a share of the training rows to validate on where it has none."""
    if split.validation:
        return split
    order: dict[str, list[Example]] = {}
    for row in split.train:
        order.setdefault(row.label or "", []).append(row)
    drawn, taken = random.Random(seed), set()
    for label in sorted(order):
        ids = [row.id for row in order[label]]
        taken |= set(drawn.sample(ids, round(_SHARE * len(ids))))
    note = f"{_SHARE:.0%} of the training rows validate; their speakers train too"
    return replace(
        split,
        train=tuple(row for row in split.train if row.id not in taken),
        validation=tuple(row for row in split.train if row.id in taken),
        promises=(),
        notes=(*split.notes, note),
    )


def _limited(rows: tuple[Example, ...], limit: int | None, seed: int) -> tuple[Example, ...]:
    if limit is None or limit >= len(rows):
        return rows
    chosen = set(random.Random(seed).sample(range(len(rows)), limit))
    return tuple(row for place, row in enumerate(rows) if place in chosen)


def _check_complete(split: Split, settings: Settings) -> None:
    """Refuses training rows that lack a class: M1 needs both of its, and M2 all of its.

    Raises:
        InputError: naming the class.
    """
    there = {row.label for row in split.train}
    if missing := [label for label in settings.labels if label not in there]:
        raise InputError(
            f"Split {split.name!r}: no training row is {missing[0]!r}, and the hierarchy is of "
            f"{list(settings.labels)!r}; --set classes= names others"
        )


def _with_other_tests(found: Sequence[Fold], setup: Setup) -> tuple[Fold, ...]:
    """Other corpora are tested on by the first fold's models alone."""
    settings: Settings = setup.settings
    others: dict[str, tuple[Example, ...]] = {}
    for name, material in setup.tests.items():
        labels = _scored(material, settings, next(iter(material.labels), OLD))
        others[name] = _labelled(usable(material, settings), labels)
        if not others[name]:
            raise InputError(f"{material.source}: no row has a label of {list(settings.labels)!r}")
    first = replace(found[0], tests={**found[0].tests, **others})
    return (first, *found[1:])
