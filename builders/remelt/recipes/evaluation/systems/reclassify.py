"""Speech decides, and text corrects what speech calls neutral.

Alqurashi et al. 2024: a hierarchy of three models. Speech tells emotional from neutral and then the emotions
apart; where it says neutral, the text model is asked, and a threshold on its probability of neutral decides
whether it is heeded. The rule is in `evaluation.threshold`, the models are in `evaluation.models.hierarchy`,
how they are trained and what is shown of them in `recipes.evaluation.hierarchy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ....errors import InputError
from ..base import Analysis, Setup, SystemInfo, Trial
from ..hierarchy import rows
from ..hierarchy.settings import WITH_TEXT, Settings

if TYPE_CHECKING:
    from ....evaluation.predictions import Predictions
    from ....evaluation.protocols import Split
    from ...reporting import Reporter

INFO = SystemInfo(
    name="reclassify",
    title="Speech first: text corrects what speech calls neutral",
    paper="Alqurashi et al. 2024: modality consistency and confidence threshold on a hierarchy of models",
    task="classification",
    metric="uar",
    needs=("speech",),
    settings=Settings,
)


def trials(setup: Setup) -> Sequence[Trial]:
    """One for each condition, model of speech, input (speech alone, with text), fold and seed.

    Raises:
        InputError: rows that do not allow the split, labels that cannot be learnt, or an encoder that is not
            named.
    """
    settings: Settings = setup.settings
    for variant in settings.variants:
        settings.encoder(variant, setup.speech)
    if WITH_TEXT in settings.inputs and setup.text is None:
        raise InputError("The text model needs an encoder: name one with --text, or --set inputs=s")
    first = setup.options.seeds[0]
    return [
        Trial(condition, f"{variant}_{inputs}", fold.name, seed)
        for condition in setup.options.labels
        for fold in rows.folds(setup, condition, first)
        for variant in settings.variants
        for inputs in settings.inputs
        for seed in setup.options.seeds
    ]


def _fold(trial: Trial, setup: Setup) -> rows.Fold:
    found = rows.folds(setup, trial.condition, trial.seed)
    return next(fold for fold in found if fold.name == trial.fold)


def splits(trial: Trial, setup: Setup) -> Mapping[str, Split]:
    """The rows of each test; see `base.System`."""
    from dataclasses import replace

    fold = _fold(trial, setup)
    return {name: replace(fold.split, name=name, test=test) for name, test in fold.tests.items()}


def execute(trial: Trial, setup: Setup, folder: Path, reporter: Reporter) -> Sequence[Predictions]:
    """Trains the models that are not trained yet, chooses the threshold, and decides.

    Args:
        folder: of the trial; the models, which trials share, lie in folders beside it.
    """
    from ..hierarchy.stages import Job, answers, decided, threshold_of

    job = Job(trial, setup, _fold(trial, setup), reporter)
    said = answers(job)
    threshold = threshold_of(job, said)
    return [decided(job, part, said[part], threshold) for part in job.fold.tests]


def analyse(setup: Setup, results: Mapping[Trial, Sequence[Predictions]], folder: Path) -> Sequence[Analysis]:
    """Rows, scores over the threshold with their figure, what text corrects, the models, new labels."""
    from ..hierarchy import analyses

    return analyses.of(setup, results, folder)
