"""MERITS-L: emotion in conversations from words and sound, pre-trained on a language model's sentiment.

Dutta & Ganapathy: LLM supervised pre-training for multimodal emotion recognition in conversations.
ICASSP 2025.
The models are in `evaluation.models.conversation`, the chain of their stages in `recipes.evaluation.merits`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import Analysis, Setup, SystemInfo, Trial
from ..merits.settings import MeritsSettings

if TYPE_CHECKING:
    from ....evaluation.predictions import Predictions
    from ....evaluation.protocols import Split
    from ...reporting import Reporter

INFO = SystemInfo(
    name="pseudo_sentiment",
    title="MERITS-L: conversations in three stages, pre-trained on a language model's sentiment labels",
    paper=(
        "Dutta, Ganapathy: LLM supervised pre-training for multimodal emotion recognition in conversations. "
        "ICASSP 2025"
    ),
    task="classification",
    metric="weighted_f1",
    needs=("text",),
    settings=MeritsSettings,
)


def trials(setup: Setup) -> Sequence[Trial]:
    """One trial for each condition, seed and stage; stage I of words once for each pre-training.

    Raises:
        InputError: the material has no words, no splits, or no labels in one of them.
    """
    from ..merits.plan import trials as planned

    return planned(setup)


def splits(trial: Trial, setup: Setup) -> Mapping[str, Split]:
    """The rows of a trial, by test set."""
    from dataclasses import replace

    from ..merits.plan import plan

    found = plan(setup, trial.condition, trial.seed)
    return {test.name: replace(found.split, test=test.rows) for test in found.tests}


def execute(trial: Trial, setup: Setup, folder: Path, reporter: Reporter) -> Sequence[Predictions]:
    """Trains a stage, before it those that it reads where they are not there yet, and tests it.

    Args:
        trial: which stage, under which labels.
        setup: of the run.
        folder: of the trial; the stages that it reads lie in those of their own trials.
        reporter: is told what happens.
    """
    from ..merits.plan import read_variant, settings_of
    from ..merits.stages import Chain

    stage = read_variant(trial.variant, settings_of(setup))[0]
    return Chain(trial, setup, reporter).predictions(stage)


def analyse(setup: Setup, results: Mapping[Trial, Sequence[Predictions]], folder: Path) -> Sequence[Analysis]:
    """What each stage adds, what each pre-training adds, and which layers of sound count."""
    from ..merits.tables import analyses

    return analyses(setup, results)
