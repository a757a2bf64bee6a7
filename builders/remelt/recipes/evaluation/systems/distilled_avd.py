"""Arousal, valence and dominance from sound and words (de Oliveira et al. 2023).

de Oliveira, Prabhu, Gerkmann: Leveraging Semantic Information for Efficient Self-Supervised Emotion
Recognition with Audio-Textual Distilled Models. Interspeech 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ....errors import InputError
from ..base import Analysis, Setup, SystemInfo, Trial
from ..distilled import rows
from ..distilled.options import FRZ, FT, LAYERS, Settings

if TYPE_CHECKING:
    from ....evaluation.predictions import Predictions
    from ....evaluation.protocols import Split
    from ...reporting import Reporter

INFO = SystemInfo(
    name="distilled_avd",
    title="arousal, valence and dominance from sound and words",
    paper="de Oliveira et al. 2023, Leveraging Semantic Information for Efficient Self-Supervised Emotion "
    "Recognition with Audio-Textual Distilled Models, Interspeech",
    task="regression",
    metric="ccc",
    needs=("speech",),
    settings=Settings,
    default_labels=(),
)
# Trained on MSP-Podcast's own dimensions, which is what is to be learnt there.
_ALREADY_TRAINED = ("wav2vec2-msp-dim", "msp-dim")


def trials(setup: Setup) -> Sequence[Trial]:
    """One per variant, fold and seed; `layers` is one per dimension.

    Raises:
        InputError: the rows do not allow the protocol, or an encoder that a variant needs is not named.
    """
    settings: Settings = setup.settings
    if setup.speech is None:
        raise InputError(f"{INFO.name} hears: name an encoder with --speech")
    if setup.text is None and (reading := [name for name in settings.variants if name in (FT, FRZ)]):
        raise InputError(f"The variant {reading[0]!r} reads: name an encoder with --text, or other variants")
    variants = [
        name
        for variant in settings.variants
        for name in (
            [f"{LAYERS}_{dimension}" for dimension in settings.dimensions] if variant == LAYERS else [variant]
        )
    ]
    condition, folds = rows.condition(settings), list(rows.folds(setup))
    return [
        Trial(condition, variant, fold, seed)
        for variant in variants
        for fold in folds
        for seed in setup.options.seeds
    ]


def splits(trial: Trial, setup: Setup) -> Mapping[str, Split]:
    """The rows of each test set; see `base.System`."""
    return {split.name: split for split in rows.splits(trial, setup)}


def execute(trial: Trial, setup: Setup, folder: Path, reporter: Reporter) -> Sequence[Predictions]:
    """Trains and tests; see `distilled.training`."""
    from ..distilled.training import Job, run

    for warning in warnings(setup):
        reporter.notice(warning)
    return run(Job(trial, setup, rows.splits(trial, setup), folder, reporter))


def analyse(setup: Setup, results: Mapping[Trial, Sequence[Predictions]], folder: Path) -> Sequence[Analysis]:
    """Sizes, gains over audio alone, layer importance, and a recogniser's words."""
    from ..distilled import analyses

    return analyses.of(setup, results, folder)


def warnings(setup: Setup) -> tuple[str, ...]:
    """What to know of the encoders before their scores are believed."""
    settings: Settings = setup.settings
    used = {setup.speech or "", settings.layers_encoder if LAYERS in settings.variants else ""}
    found = []
    for name in sorted(used):
        if any(part in name.casefold() for part in _ALREADY_TRAINED):
            found.append(
                f"{name} is trained on the arousal, valence and dominance of MSP-Podcast already: its scores "
                "there say nothing of learning from scratch; take wav2vec2-large-robust, which it comes from"
            )
    return tuple(found)
