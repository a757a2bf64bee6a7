"""MELT (Jing et al. 2025): one encoder of speech, its layers weighted, trained under old and new labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import Analysis, Setup, SystemInfo, Trial
from ..utterances.settings import SPEECH, TUNED, MeltSettings

if TYPE_CHECKING:
    from ....evaluation.examples import Example
    from ....evaluation.predictions import Predictions
    from ....evaluation.protocols import Split
    from ...reporting import Reporter

INFO = SystemInfo(
    name="melt",
    title="MELT: weighted layers of one encoder, tested on whole corpora",
    paper="Jing et al.: MELT: Towards Automated Multimodal Emotion Data Annotation by Leveraging LLM "
    "Embedded Knowledge. Interspeech 2025",
    task="classification",
    metric="uar",
    needs=(SPEECH,),
    settings=MeltSettings,
)


def needs(settings: MeltSettings) -> tuple[str, ...]:
    """What every row must have: the modality that was asked for."""
    return (settings.modality,)


def trials(setup: Setup) -> Sequence[Trial]:
    """A head for each test corpus and for the source's own test, under each condition, with each seed."""
    from ..utterances import melt_rows

    return melt_rows.trials(setup)


def splits(trial: Trial, setup: Setup) -> Mapping[str, Split]:
    """The rows of a trial by test set."""
    from ..utterances import melt_rows

    return melt_rows.splits(trial, setup)


def execute(trial: Trial, setup: Setup, folder: Path, reporter: Reporter) -> Sequence[Predictions]:
    """Trains a head and tests it."""
    from ....evaluation.models.weighted_ssl import HeadOptions, WeightedSSL
    from ..sounds import MixedSounds
    from ..utterances import inputs, melt_rows, training

    settings: MeltSettings = setup.settings
    found, classes = melt_rows.splits(trial, setup), melt_rows.classes_for(trial, setup)
    for note in dict.fromkeys(note for split in found.values() for note in split.notes):
        reporter.notice(note)
    parts = [rows for split in found.values() for _, rows in split.parts()]
    rows = list({row.id: row for part in parts for row in part}.values())
    tuned, heard = settings.backbone == TUNED, settings.modality == SPEECH
    averaged = settings.pooling == "mean" and not (heard and settings.crop_seconds)
    if heard:
        sounds = MixedSounds([setup.material, *setup.tests.values()])
        given = inputs.speech(setup, rows, sounds, tuned, averaged=averaged)
    else:
        reporter.notice("modality=text is not the paper's system: the same head on a text encoder's states")
        given = inputs.text(setup, rows, tuned, averaged=averaged)
    first = next(iter(found.values()))

    def part(of: Sequence[Example]) -> training.Part:
        return training.Part(of, given.store if heard else None, None if heard else given.store)

    job = training.Job(
        labels=classes,
        train=part(first.train),
        validation=part(first.validation) if first.validation else None,
        tests={name: part(split.test) for name, split in found.items()},
        seed=trial.seed,
        crop_steps=inputs.steps_of(setup, settings.crop_seconds, tuned) if heard else None,
    )
    options = HeadOptions(settings.pooling, settings.width, settings.dropout)
    predictions, model = training.run(
        job,
        lambda: WeightedSSL(given.states, len(classes), options, settings.modality),
        setup,
        folder,
        reporter,
    )
    name = setup.speech if heard else setup.text
    training.keep_layers(folder, {str(name): model.states.layer_weights.weights().tolist()})
    return predictions


def analyse(setup: Setup, results: Mapping[Trial, Sequence[Predictions]], folder: Path) -> Sequence[Analysis]:
    """Weights of the layers, classes by condition; the report itself has recalls and warnings of collapse."""
    from ..utterances import analyses

    return [
        *analyses.layers(setup, results, folder),
        analyses.class_counts({trial: splits(trial, setup) for trial in results}),
    ]
