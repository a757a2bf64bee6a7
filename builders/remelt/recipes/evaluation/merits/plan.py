"""What is trained on which rows: the trials of MERITS-L and their material."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from ....errors import InputError
from ....evaluation.examples import Example, SoundSource
from ....evaluation.protocols import Split
from ..base import NEW, OLD, Setup, Trial
from .rows import Labelling, class_names, divided, limited, on_corpus, reference_of
from .settings import (
    FUSION,
    MERGED,
    PLAIN,
    SPEECH_1,
    SPEECH_2,
    STAGES,
    TEXT_1,
    TEXT_2,
    MeritsSettings,
    Pretrained,
)

_TEXT_ONLY = (TEXT_1, TEXT_2)
_SPEECH_ONLY = (SPEECH_1, SPEECH_2)
# A character that stays as it is in the names of folders.
_SIGN = "+"


@dataclass(frozen=True)
class Tested:
    """A test set.

    Attributes:
        name: of its predictions.
        rows: whole dialogues; turns without a label are context.
        classes: those that it has of the model's.
    """

    name: str
    rows: tuple[Example, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The rows of a condition.

    Attributes:
        split: of the material; `train` as limited for a seed.
        tests: the material's own test rows first.
        classes: of the model's output, the same in all conditions.
        sounds: corpus -> where its sound is read.
    """

    split: Split
    tests: tuple[Tested, ...]
    classes: tuple[str, ...]
    sounds: Mapping[str, SoundSource]

    @property
    def rows(self) -> tuple[Example, ...]:
        """Every row once."""
        parts = (*(part for _, part in self.split.parts()), *(test.rows for test in self.tests))
        return tuple({row.id: row for part in parts for row in part}.values())


def settings_of(setup: Setup) -> MeritsSettings:
    """The system's own options."""
    return cast(MeritsSettings, setup.settings)


def conditions(setup: Setup) -> tuple[str, ...]:
    """The labels that are learnt: those asked for, else `old` and `new`, else whatever there is."""
    there = setup.material.labels
    found = setup.options.labels or tuple(name for name in (OLD, NEW) if name in there) or tuple(there)
    if not found:
        raise InputError(f"{setup.material.source} has no labels to learn")
    return tuple(found)


def _split(setup: Setup, condition: str) -> Split:
    settings, asked = settings_of(setup), conditions(setup)
    reference = reference_of(setup.material, condition, settings.reference)
    compared = asked if settings.rows == "common" else ()
    return divided(setup.material, Labelling(condition, compared, reference))


def plan(setup: Setup, condition: str, seed: int) -> Plan:
    """The rows of a trial.

    Raises:
        InputError: see `rows.divided`.
    """
    splits = {name: _split(setup, name) for name in dict.fromkeys((condition, *conditions(setup)))}
    classes = class_names(list(splits.values()))
    split = splits[condition]
    split = replace(split, train=limited(split.train, setup.options.limit, seed))
    tests = [Tested("test", split.test, classes)]
    sounds = {}
    for name, material in (("", setup.material), *setup.tests.items()):
        if name:
            tests.append(Tested(name, *on_corpus(material, classes, condition)))
        if material.sounds is not None:
            sounds[material.examples[0].corpus] = material.sounds
    return Plan(split, tuple(tests), classes, sounds)


def stages(setup: Setup) -> tuple[str, ...]:
    """The stages that are reported.

    Raises:
        InputError: one is asked for that the material has no words or no sound for.
    """
    rows = setup.material.examples
    words = setup.text is not None and any(row.text for row in rows)
    sound = (
        setup.speech is not None and setup.material.sounds is not None and any(row.has_sound for row in rows)
    )
    missing = [*(() if words else _TEXT_ONLY), *(() if sound else _SPEECH_ONLY)]
    if missing:
        missing += [FUSION, MERGED]
    asked = settings_of(setup).asked
    for stage in asked:
        if stage in missing:
            what = "words" if not words and stage not in _SPEECH_ONLY else "sound"
            raise InputError(
                f"Stage {stage!r} needs {what}, and {setup.material.source} has none (or no encoder is named)"
            )
    found = asked or tuple(stage for stage in STAGES if stage not in missing)
    if not found:
        raise InputError(f"{setup.material.source} has neither words nor sound")
    return tuple(stage for stage in STAGES if stage in found)


def variant(stage: str, pretrained: Pretrained | None) -> str:
    """A stage's name in trials; stages that read words name their pre-training."""
    return stage if pretrained is None or stage in _SPEECH_ONLY else f"{stage}{_SIGN}{pretrained.name}"


def read_variant(name: str, settings: MeritsSettings) -> tuple[str, Pretrained | None]:
    """Stage and pre-training of a trial; None where none is asked for."""
    stage, sign, chosen = name.partition(_SIGN)
    known = {one.name: one for one in pretrainings(settings)}
    return stage, known[chosen] if sign else next(iter(known.values()), None)


def pretrainings(settings: MeritsSettings) -> tuple[Pretrained, ...]:
    """Those given, then the encoder as it is; empty where none is given."""
    given = settings.pretrainings()
    return (*given, Pretrained(PLAIN)) if given else ()


def trials(setup: Setup) -> tuple[Trial, ...]:
    """One trial for each condition, seed and stage; stage I of words once for each pre-training.

    Raises:
        InputError: the material does not suit.
    """
    settings, wanted = settings_of(setup), stages(setup)
    choices: Sequence[Pretrained | None] = pretrainings(settings) or (None,)
    found = []
    for condition in conditions(setup):
        plan(setup, condition, setup.options.seeds[0])
        for seed in setup.options.seeds:
            for stage in wanted:
                for choice in choices if stage == TEXT_1 else choices[:1]:
                    found.append(Trial(condition, variant(stage, choice), "", seed))
    return tuple(found)
