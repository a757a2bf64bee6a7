"""Which rows are trained, validated and tested on, and with which words."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ....errors import InputError, bad_value
from .options import ALL, AUTO, NONE, Settings
from .targets import digest_of, with_targets

if TYPE_CHECKING:
    from ....evaluation.examples import Example
    from ....evaluation.protocols import Split
    from ..base import Material, Setup, Trial

HUMAN = "human"
RATINGS = "ratings"
_TRAIN, _VALIDATION = "train", ("dev", "validation", "valid", "development")
# More sessions than this are recordings (the podcasts of MSP-Podcast), not folds.
_MOST_SESSIONS = 12
# Where there are too few speakers for one of their own, so many of the training rows validate.
_SHARE = 0.2


def condition(settings: Settings) -> str:
    """What the targets are called in trials: of a file its name and hash, so that another is another run."""
    if not settings.targets:
        return RATINGS
    path = Path(settings.targets)
    return f"{path.stem}@{digest_of(path)}"


def words_of(material: Material, settings: Settings) -> str:
    """Whose words models with text are trained on: `human`, or the name of transcripts.

    Raises:
        InputError: there are none of that name, or none at all.
    """
    if settings.words == AUTO:
        if any(row.text for row in material.examples):
            return HUMAN
        return next(iter(material.transcripts), HUMAN)
    if settings.words != HUMAN and settings.words not in material.transcripts:
        raise InputError(
            bad_value(f"words of {material.source}", settings.words, (AUTO, HUMAN, *material.transcripts))
        )
    return settings.words


def usable(material: Material, setup: Setup, words: str, own: bool = True) -> tuple[Example, ...]:
    """The rows with sound, all targets and, where a variant reads, words.

    Args:
        words: see `words_of`.
        own: whether these are the rows that are trained on, which `targets` of the settings speaks of.

    Raises:
        InputError: no row is left; the message counts what is missing.
    """
    settings: Settings = setup.settings
    dimensions = settings.dimensions
    rows = material.examples
    if own and settings.targets:
        rows = with_targets(rows, Path(settings.targets), dimensions, setup.options.scale)
    if words != HUMAN:
        heard = material.transcripts[words]
        rows = tuple(replace(row, text=heard.get(row.id)) for row in rows)
    missing = {
        "sound": [not row.has_sound for row in rows],
        f"{', '.join(dimensions)}": [any(name not in row.targets for name in dimensions) for row in rows],
    }
    if settings.reads:
        missing["words"] = [not (row.text or "").strip() for row in rows]
    left = tuple(row for row, *lacks in zip(rows, *missing.values(), strict=True) if not any(lacks))
    if not left:
        told = "; ".join(f"{sum(found):,} have no {what}" for what, found in missing.items() if any(found))
        advice = " (the notes of the source tell why)" if material.notes else ""
        raise InputError(f"{material.source}: none of its {len(rows):,} rows can be used: {told}{advice}")
    return left


def folds(setup: Setup) -> Mapping[str, tuple[Split, ...]]:
    """Fold -> its splits, one for each test set; the corpus's own splits are one fold without a name.

    Raises:
        InputError: the rows do not allow the protocol that was asked for.
    """
    from ....evaluation.protocols import Split

    settings: Settings = setup.settings
    words = words_of(setup.material, settings)
    rows = usable(setup.material, setup, words)
    protocol = settings.protocol if settings.protocol != AUTO else _protocol(rows)
    if protocol == "standard":
        found = {"": _standard(rows)}
    else:
        found = {split.name: (split,) for split in _folds(protocol, rows, settings.folds)}
    others = {
        name: usable(material, setup, words_of(material, settings), own=False)
        for name, material in setup.tests.items()
    }
    return {
        fold: (
            *splits,
            *(
                Split(_other(name, fold), splits[0].train, splits[0].validation, test)
                for name, test in others.items()
            ),
        )
        for fold, splits in found.items()
    }


def _other(name: str, fold: str) -> str:
    """What the predictions of another corpus are called: each fold has its own."""
    return f"{name}@{fold}" if fold else name


def material_of(test: str, setup: Setup) -> Material:
    """Whose rows a test set has."""
    return setup.tests.get(test.partition("@")[0], setup.material)


def splits(trial: Trial, setup: Setup) -> tuple[Split, ...]:
    """What a trial trains, validates and tests on; see `base.System`.

    Raises:
        InputError: parts that share what they promised not to, or targets that are missing or outside 0 to 1.
    """
    from ....evaluation.protocols import check_leaks, check_targets

    found = []
    for split in folds(setup)[trial.fold]:
        check_leaks(split)
        check_targets(split, dimensions_of(trial, setup.settings))
        found.append(replace(split, train=_limited(split.train, setup.options.limit, trial.seed)))
    return tuple(found)


def dimensions_of(trial: Trial, settings: Settings) -> tuple[str, ...]:
    """The dimensions of a trial: one for `layers_valence`, else all."""
    _, _, single = trial.variant.partition("layers_")
    return (single,) if single else settings.dimensions


def transcripts_to_test(material: Material, settings: Settings) -> tuple[str, ...]:
    """Names of the transcripts that a model with text is tested on besides the words it was trained on.

    Raises:
        InputError: there are none of a name that was asked for.
    """
    there = tuple(name for name in material.transcripts if name != words_of(material, settings))
    if settings.asr == (ALL,):
        return there
    wanted = () if settings.asr == (NONE,) else settings.asr
    for name in wanted:
        if name not in material.transcripts:
            raise InputError(
                bad_value(f"transcripts of {material.source}", name, (ALL, NONE, *material.transcripts))
            )
    return tuple(name for name in there if name in wanted)


def heard(rows: Sequence[Example], transcripts: Mapping[str, str]) -> tuple[Example, ...]:
    """The rows with a recogniser's words; those in which it heard none are left out."""
    return tuple(replace(row, text=transcripts[row.id]) for row in rows if transcripts.get(row.id))


def _protocol(rows: Sequence[Example]) -> str:
    there = {row.split for row in rows}
    if _TRAIN in there and there & set(_VALIDATION) and there - {_TRAIN, *_VALIDATION}:
        return "standard"
    sessions = {row.session for row in rows}
    return "session" if "" not in sessions and 3 <= len(sessions) <= _MOST_SESSIONS else "speaker"


def _standard(rows: Sequence[Example]) -> tuple[Split, ...]:
    """One split per test part: of MSP-Podcast `test1` (podcasts that are in train) and `test2` (others)."""
    from ....evaluation.protocols import standard

    there = list(dict.fromkeys(row.split for row in rows))
    tests = [name for name in there if name not in (_TRAIN, *_VALIDATION)]
    if not tests:
        raise InputError(bad_value("test split", "test", there))
    return tuple(replace(standard(rows, test=name), name=name) for name in tests)


def _folds(protocol: str, rows: Sequence[Example], count: int) -> tuple[Split, ...]:
    from ....evaluation.protocols import by_session, by_speaker

    if protocol == "session":
        return by_session(rows)
    speakers = {(row.corpus, row.speaker) for row in rows}
    if len(speakers) == 2:
        return tuple(_with_validation(split) for split in by_speaker(rows, None, "none"))
    return by_speaker(rows, min(count, len(speakers)) or None)


def _with_validation(split: Split) -> Split:
    """Some of the only other speaker's rows validate; the test speaker is still a stranger."""
    chosen = set(random.Random(0).sample(range(len(split.train)), max(1, round(_SHARE * len(split.train)))))
    return replace(
        split,
        train=tuple(row for place, row in enumerate(split.train) if place not in chosen),
        validation=tuple(row for place, row in enumerate(split.train) if place in chosen),
        promises=(),
        notes=(*split.notes, "two speakers: a fifth of the training speaker's rows validate"),
    )


def _limited(rows: tuple[Example, ...], limit: int | None, seed: int) -> tuple[Example, ...]:
    if limit is None or limit >= len(rows):
        return rows
    chosen = set(random.Random(seed).sample(range(len(rows)), limit))
    return tuple(row for place, row in enumerate(rows) if place in chosen)
