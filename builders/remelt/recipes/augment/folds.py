"""Which rows of a corpus train, validate and test: one session after the other, or its own splits.

Feng and Narayanan (2023) take IEMOCAP in five folds and MSP-Improv in six, a session as test set in each, and
the standard splits of MELD and MSP-Podcast. Which rows validate is left open there; here it is the next
session, or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import InputError, bad_value
from ...records import Utterance
from ..ordering import natural

AUTO, SESSION, STANDARD = "auto", "session", "standard"
FOLDS = (AUTO, SESSION, STANDARD)
NEXT, NONE = "next", "none"
VALIDATIONS = (NEXT, NONE)
TRAIN, VALIDATION, TEST = "train", "validation", "test"
_VALIDATION_NAMES = ("dev", "devel", "development", "val", "valid", VALIDATION)


@dataclass(frozen=True, slots=True)
class Fold:
    """One way of dividing a corpus.

    Attributes:
        name: as in `load_dataset(FOLDER, name)`.
        splits: split -> the corpus's rows in it, in their order; `train` first.
        sessions: split -> the sessions in it; empty for standard splits.
    """

    name: str
    splits: Mapping[str, tuple[Utterance, ...]]
    sessions: Mapping[str, tuple[str, ...]]


def make_folds(rows: Sequence[Utterance], how: str = AUTO, validation: str = NEXT) -> tuple[Fold, ...]:
    """The folds of a corpus.

    Args:
        rows: its labelled rows.
        how: `session`: each session tests once; `standard`: the corpus's own splits, one fold; `auto`:
            sessions where every row has one.
        validation: with sessions, `next`: the session after the test session validates (after the last one
            the first); `none`: it trains as well.

    Raises:
        InputError: an unknown way, rows without a session, too few sessions, or no split `train`.

    >>> from remelt.records import Utterance
    >>> row = lambda n: Utterance(f"c/train/{n}", "c", "train", 0, n, "A", "Hm.", session=f"Session{n}")
    >>> [fold] = make_folds([row(1), row(2), row(10)])[2:]
    >>> fold.name, dict(fold.sessions)
    ('fold3', {'train': ('Session2',), 'validation': ('Session1',), 'test': ('Session10',)})
    """
    if how not in FOLDS:
        raise InputError(bad_value("folds", how, FOLDS))
    if validation not in VALIDATIONS:
        raise InputError(bad_value("validation", validation, VALIDATIONS))
    without = [u.id for u in rows if u.session is None]
    if how == SESSION and without:
        raise InputError(
            f"Folds by session need a session of every row; {len(without):,} of {len(rows):,} have none, "
            f"such as {', '.join(without[:3])} (--folds {STANDARD} takes the corpus's own splits)"
        )
    if how == STANDARD or without or not rows:
        return (_standard(rows),)
    return _by_session(rows, validation)


def untested(folds: Sequence[Fold]) -> str:
    """A sentence where no row of a corpus tests, with what can be done; empty where rows do."""
    first = folds[0]
    if any(found for name, found in first.splits.items() if name not in (TRAIN, VALIDATION)):
        return ""
    parts = [name for name, found in first.splits.items() if found]
    how = (
        f"--folds {SESSION} makes folds with one"
        if all(row.session is not None for found in first.splits.values() for row in found)
        else "a corpus without sessions gets one as a table with a column 'split', or with a file per split"
    )
    return f"The fold {first.name!r} has {' and '.join(parts)} only, and no part to test on: {how}."


def _by_session(rows: Sequence[Utterance], validation: str) -> tuple[Fold, ...]:
    groups: dict[str, list[Utterance]] = {}
    for row in rows:
        groups.setdefault(str(row.session), []).append(row)
    names = sorted(groups, key=natural)
    needed = 3 if validation == NEXT else 2
    if len(names) < needed:
        raise InputError(
            f"Folds by session need {needed} sessions or more (--validation {validation}), the corpus has "
            f"{names!r}; --folds {STANDARD} takes its own splits"
        )
    folds = []
    for number, name in enumerate(names):
        sessions: dict[str, tuple[str, ...]] = {TEST: (name,)}
        if validation == NEXT:
            sessions = {VALIDATION: (names[(number + 1) % len(names)],), **sessions}
        held = {one for group in sessions.values() for one in group}
        sessions = {TRAIN: tuple(n for n in names if n not in held), **sessions}
        splits = {
            split: tuple(row for row in rows if row.session in wanted) for split, wanted in sessions.items()
        }
        folds.append(Fold(f"fold{number + 1}", splits, sessions))
    return tuple(folds)


def _standard(rows: Sequence[Utterance]) -> Fold:
    splits: dict[str, list[Utterance]] = {TRAIN: []}
    for row in rows:
        name = VALIDATION if row.split.casefold() in _VALIDATION_NAMES else row.split
        splits.setdefault(name, []).append(row)
    if not splits[TRAIN]:
        raise InputError(
            f"The corpus has no rows in a split {TRAIN!r} to add others to, only in {sorted(splits)[:-1]!r}"
        )
    return Fold(STANDARD, {name: tuple(found) for name, found in splits.items()}, {})
