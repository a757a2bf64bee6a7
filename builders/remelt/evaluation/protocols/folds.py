"""Folds by session and by speaker, the corpora's own splits, and two papers' splits of IEMOCAP."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import InputError, bad_value
from ..examples import Example
from ..optional import package
from .base import Split, in_order, require, speaker_of

VALIDATIONS = ("next", "none")
# What corpora call their splits.
_TRAIN, _VALIDATION, _TEST = ("train",), ("dev", "validation", "valid", "development"), ("test", "test1")


def by_session(examples: Sequence[Example], validation: str = "next") -> tuple[Split, ...]:
    """One fold per session, which is its test; the NEXT session (after the last the first) validates.

    Feng and Narayanan 2023: five folds of IEMOCAP, six of MSP-Improv.

    Args:
        examples: of one corpus.
        validation: `next`, or `none` to train on all other sessions.

    Raises:
        InputError: rows without a session, or fewer sessions than parts.
    """
    _known(validation)
    require(examples, "session")
    sessions = in_order({row.session for row in examples})
    _enough(sessions, "sessions", validation)
    promises: tuple[str, ...] = ("sessions", "dialogues", "speakers")
    notes: tuple[str, ...] = ()
    if unknown := sum(not row.speaker for row in examples):
        promises = ("sessions", "dialogues")
        notes = (f"{unknown:,} rows have no speaker, so nothing is promised of speakers",)
    return _each(examples, sessions, sessions, lambda row: row.session, validation, promises, notes)


def by_speaker(
    examples: Sequence[Example], folds: int | None = None, validation: str = "next", seed: int = 0
) -> tuple[Split, ...]:
    """Folds of whole speakers, with classes as even as whole speakers allow; the next fold validates.

    Args:
        examples: of one or more corpora.
        folds: how many; None for each speaker by itself.
        validation: `next`, or `none` to train on all other folds.
        seed: of the draw.

    Raises:
        InputError: rows without a speaker, fewer speakers than folds, or fewer folds than parts.
    """
    _known(validation)
    require(examples, "speaker")
    speakers = in_order({speaker_of(row) for row in examples})
    if folds is None:
        _enough(speakers, "speakers", validation)
        names = [name.partition("/")[2] for name in speakers]
        if len(set(names)) < len(names):
            names = speakers
        return _each(examples, speakers, names, speaker_of, validation, ("speakers",), ())
    if not 2 <= folds <= len(speakers):
        raise InputError(
            f"Bad number of folds {folds}, expected 2 to {len(speakers)}: there are {len(speakers)} speakers"
        )
    fold_of = _stratified(examples, folds, seed)
    names = [f"fold{k + 1}" for k in range(folds)]
    _enough(names, "folds", validation)
    return _each(
        examples, names, names, lambda row: names[fold_of[speaker_of(row)]], validation, ("speakers",), ()
    )


def standard(
    examples: Sequence[Example],
    train: str | None = None,
    validation: str | None = None,
    test: str | None = None,
    promises: Sequence[str] = ("dialogues",),
) -> Split:
    """The corpus's own splits.

    Args:
        train, validation, test: their names; None for the usual ones (`train`; `dev`, `validation`, `valid`
            or `development`; `test` or `test1`). An empty `validation` is none.
        promises: what the corpus promises; MELD's splits share speakers, not dialogues.

    Raises:
        InputError: the corpus has no such split; the message lists its splits.
    """
    there = list(dict.fromkeys(row.split for row in examples))

    def rows(part: str, wanted: str | None, usual: Sequence[str]) -> tuple[str, tuple[Example, ...]]:
        if wanted == "" and part == "validation":
            return "", ()
        names = usual if wanted is None else (wanted,)
        found = next((name for name in names if name in there), None)
        if found is None:
            raise InputError(bad_value(f"{part} split", wanted or " or ".join(usual), there))
        return found, tuple(row for row in examples if row.split == found)

    parts = [
        rows("train", train, _TRAIN),
        rows("validation", validation, _VALIDATION),
        rows("test", test, _TEST),
    ]
    used = [name for name, _ in parts if name]
    if len(set(used)) < len(used):
        raise InputError(f"Splits {used!r} for train, validation and test: each must be another")
    notes = tuple(
        f"the {sum(row.split == name for row in examples):,} rows of split {name!r} are not used"
        for name in there
        if name not in used
    )
    (_, first), (_, second), (_, third) = parts
    return Split("standard", first, second, third, tuple(promises), notes)


def alqurashi_si(examples: Sequence[Example], session: str | None = None) -> Split:
    """Four sessions train; the men of the last one validate, its women test.

    Alqurashi et al. 2024, the speaker-independent split of IEMOCAP. Its validation and test rows are the two
    sides of the same conversations, so only speakers are promised.

    Args:
        session: the one held out; None for the last.

    Raises:
        InputError: rows without session, speaker or sex, a single session, or one sex in it.
    """
    for what in ("session", "speaker", "sex"):
        require(examples, what)
    sessions = in_order({row.session for row in examples})
    if session is not None and session not in sessions:
        raise InputError(bad_value("session", session, sessions))
    if len(sessions) < 2:
        raise InputError(f"This split needs two sessions or more; all rows are of {sessions[0]!r}")
    last = session or sessions[-1]
    held = [row for row in examples if row.session == last]
    men = tuple(row for row in held if row.sex == "male")
    women = tuple(row for row in held if row.sex == "female")
    if not men or not women:
        raise InputError(f"Session {last!r} has {len(men):,} rows of men and {len(women):,} of women")
    shared = {row.dialogue for row in men} & {row.dialogue for row in women} - {""}
    notes = (
        (f"validation and test are the two sides of the same {len(shared):,} dialogues",) if shared else ()
    )
    return Split(
        last, tuple(row for row in examples if row.session != last), men, women, ("speakers",), notes
    )


def merits_iemocap(examples: Sequence[Example]) -> Split:
    """The last session tests, the first validates, the others train.

    Dutta and Ganapathy 2025 (MERITS-L): session 5 and session 1 of IEMOCAP.

    Raises:
        InputError: as `by_session`.
    """
    return by_session(examples)[-1]


def _each(
    examples: Sequence[Example],
    units: Sequence[str],
    names: Sequence[str],
    unit: Callable[[Example], str],
    validation: str,
    promises: tuple[str, ...],
    notes: tuple[str, ...],
) -> tuple[Split, ...]:
    of_unit: dict[str, list[Example]] = {name: [] for name in units}
    for row in examples:
        of_unit[unit(row)].append(row)
    found = []
    for k, name in enumerate(units):
        other = units[(k + 1) % len(units)] if validation == "next" else None
        found.append(
            Split(
                name=names[k],
                train=tuple(row for row in examples if unit(row) not in (name, other)),
                validation=tuple(of_unit[other]) if other is not None else (),
                test=tuple(of_unit[name]),
                promises=promises,
                notes=notes,
            )
        )
    return tuple(found)


def _stratified(examples: Sequence[Example], folds: int, seed: int) -> dict[str, int]:
    """Speaker -> fold. Rows without a label follow their speaker."""
    selection = package("sklearn.model_selection")
    rows = [row for row in examples if row.label is not None]
    answers: list[str] = [row.label or "" for row in rows]
    if len({speaker_of(row) for row in rows}) < len({speaker_of(row) for row in examples}):
        rows, answers = list(examples), [row.label or "" for row in examples]
    # A class with fewer rows than folds cannot be in each of them, which scikit-learn refuses to stratify.
    rare = {label for label in set(answers) if answers.count(label) < folds}
    answers = ["" if label in rare else label for label in answers]
    cut = selection.StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    speakers = [speaker_of(row) for row in rows]
    found: dict[str, int] = {}
    for fold, (_, test) in enumerate(cut.split(speakers, answers, speakers)):
        found |= {speakers[k]: fold for k in test}
    if len(set(found.values())) < folds:
        raise InputError(
            f"{len(set(speakers))} speakers cannot be spread over {folds} folds with a speaker in each; "
            "ask for fewer folds"
        )
    return found


def _known(validation: str) -> None:
    if validation not in VALIDATIONS:
        raise InputError(bad_value("validation", validation, VALIDATIONS))


def _enough(units: Sequence[str], what: str, validation: str) -> None:
    needed = 3 if validation == "next" else 2
    if len(units) < needed:
        raise InputError(
            f"There are {len(units)} {what} ({', '.join(units)}); with validation {validation!r} "
            f"{needed} or more are needed"
        )
