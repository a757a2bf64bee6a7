"""Feng and Narayanan (2023): speech and its words, joined by cross-attention, under several label sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import Analysis, Material, Setup, SystemInfo, Trial
from ..utterances.settings import ALONE, SPEECH, TUNED, VoteSettings

if TYPE_CHECKING:
    from ....evaluation.batches import Store
    from ....evaluation.examples import Example
    from ....evaluation.predictions import Predictions
    from ....evaluation.protocols import Split
    from ...reporting import Reporter

INFO = SystemInfo(
    name="transcribe_vote",
    title="Speech and its words, human or recognised, joined by cross-attention",
    paper="Feng, Narayanan: Foundation Model Assisted Automatic Speech Emotion Recognition: Transcribing, "
    "Annotating, and Augmenting. 2023",
    task="classification",
    metric="uar",
    needs=(SPEECH,),
    settings=VoteSettings,
)


def trials(setup: Setup) -> Sequence[Trial]:
    """Each variant in each fold, under each condition, with each seed."""
    from ..utterances import vote_rows

    return vote_rows.trials(setup)


def splits(trial: Trial, setup: Setup) -> Mapping[str, Split]:
    """The rows of a trial by test set."""
    from ..utterances import vote_rows

    return vote_rows.splits(trial, setup)


def added(setup: Setup) -> Sequence[Material]:
    """The corpus whose rows are added to training parts."""
    from ..utterances import extra

    found = extra.material(setup)
    return [] if found is None else [found]


def execute(trial: Trial, setup: Setup, folder: Path, reporter: Reporter) -> Sequence[Predictions]:
    """Trains a model and tests it, with either kind of words."""
    from ....evaluation.models.cross_attention import AttentionOptions, CrossAttention
    from ..sounds import MixedSounds
    from ..utterances import extra, inputs, training, vote_rows

    settings: VoteSettings = setup.settings
    found, classes = vote_rows.splits(trial, setup), vote_rows.classes_for(setup)
    first, tuned = next(iter(found.values())), settings.backbone == TUNED
    for note in first.notes:
        reporter.notice(note)
    more = extra.material(setup)
    sounds = MixedSounds([setup.material] if more is None else [setup.material, more])
    rows = list(
        {row.id: row for split in found.values() for _, part in split.parts() for row in part}.values()
    )
    heard = inputs.speech(setup, rows, sounds, tuned, seconds=settings.max_seconds)
    read = None
    if trial.variant != ALONE:
        own = [
            row for split in found.values() if split.name == first.name for _, p in split.parts() for row in p
        ]
        read = inputs.text(setup, own, tuned)

    def part(of: Sequence[Example], store: Store | None) -> training.Part:
        return training.Part(of, heard.store, store)

    def store(split: Split) -> Store | None:
        if read is None or not split.name.endswith("-words"):
            return None if read is None else read.store
        encoder = setup.desk.encoder(str(setup.text), "text") if tuned else None
        return inputs.reworded(setup, split.test, encoder)

    own_store = None if read is None else read.store
    job = training.Job(
        labels=classes,
        train=part(first.train, own_store),
        validation=part(first.validation, own_store) if first.validation else None,
        tests={name: part(split.test, store(split)) for name, split in found.items()},
        seed=trial.seed,
    )
    options = AttentionOptions(settings.width, settings.heads, settings.dropout, settings.pooling)
    predictions, model = training.run(
        job,
        lambda: CrossAttention(heard.states, None if read is None else read.states, len(classes), options),
        setup,
        folder,
        reporter,
    )
    weights = {str(setup.speech): model.speech.states.layer_weights.weights().tolist()}
    if read is not None:
        weights[str(setup.text)] = model.text.states.layer_weights.weights().tolist()
    training.keep_layers(folder, weights)
    return predictions


def analyse(setup: Setup, results: Mapping[Trial, Sequence[Predictions]], folder: Path) -> Sequence[Analysis]:
    """Words of a recogniser against those of people, what added rows change, layers, classes."""
    from ..utterances import analyses

    return [
        *analyses.words(setup, results),
        *analyses.augmentation(setup, results),
        *analyses.layers(setup, results, folder),
        analyses.class_counts({trial: splits(trial, setup) for trial in results}),
    ]
