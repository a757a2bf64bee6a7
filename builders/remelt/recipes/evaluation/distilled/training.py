"""Trains and tests one trial: audio, audio and text together, a head on frozen parts, or layer weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ....evaluation.batches import Dimensions, UtteranceBatches
from ....evaluation.models.audio_text_regressor import AudioTextRegressor, parameters
from ....evaluation.objectives import Regression
from ....evaluation.predictions import Predictions, of_examples
from ....evaluation.training.loop import fit, predict, seed_everything
from ..base import Material, Setup, Trial
from ..kept import folder_of
from . import stores
from .options import AUDIO, FRZ, FT, LAYERS, Settings
from .rows import dimensions_of, heard, material_of, transcripts_to_test, words_of
from .stores import Input

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ....evaluation.examples import Example
    from ....evaluation.protocols import Split
    from ...reporting import Reporter

ABOUT = "about.json"


@dataclass(frozen=True)
class Job:
    """One trial with what it is trained on.

    Attributes:
        splits: one for each test set; all train and validate on the same rows.
        folder: of this training.
    """

    trial: Trial
    setup: Setup
    splits: Sequence[Split]
    folder: Path
    reporter: Reporter

    @property
    def settings(self) -> Settings:
        """Of the system."""
        found: Settings = self.setup.settings
        return found

    @property
    def rows(self) -> tuple[Example, ...]:
        """All rows, each once."""
        parts = [(*split.train, *split.validation, *split.test) for split in self.splits]
        return tuple({row.id: row for part in parts for row in part}.values())

    @property
    def materials(self) -> list[tuple[Material, tuple[Example, ...]]]:
        """The rows with the material that has their sound."""
        found = []
        left = {row.id: row for row in self.rows}
        for material in (self.setup.material, *self.setup.tests.values()):
            mine = tuple(left.pop(row.id) for row in material.examples if row.id in left)
            if mine:
                found.append((material, mine))
        return found


@dataclass(frozen=True)
class Parts:
    """A model with what fills its batches."""

    model: AudioTextRegressor
    audio: Input
    text: Input | None = None


def run(job: Job) -> list[Predictions]:
    """Trains and tests a trial.

    Raises:
        InputError: as `training.fit`, and for rows that an encoder cannot take.
    """
    variant = job.trial.variant
    if variant.startswith(f"{LAYERS}_"):
        audio, text = _speech(job, tuned=False, states="weighted", name=job.settings.layers_encoder), None
    elif variant == FRZ:
        audio, text = _frozen_audio(job), _text(job, tuned=False)
    else:
        audio = _speech(job, tuned=job.settings.speech_tuned, states=job.settings.states)
        text = _text(job, tuned=job.settings.text_tuned) if variant == FT else None
    parts = _trained(job, audio, text)
    _note(job, parts)
    return [found for split in job.splits for found in _tested(job, parts, split)]


def _speech(job: Job, tuned: bool, states: str, name: str | None = None) -> Input:
    assert job.setup.speech is not None
    return stores.speech(job.setup, job.materials, name or job.setup.speech, tuned, states)


def _text(job: Job, tuned: bool) -> Input:
    assert job.setup.text is not None
    return stores.text(job.setup, job.rows, job.setup.text, tuned, job.settings.states)


def _trained(job: Job, audio: Input, text: Input | None) -> Parts:
    settings = job.settings
    dimensions = dimensions_of(job.trial, settings)
    seed_everything(job.trial.seed)
    model = AudioTextRegressor(
        audio.side,
        None if text is None else text.side,
        outputs=len(dimensions),
        hidden=settings.hidden or None,
        dropout=settings.dropout,
        layers_rate=settings.layers_rate,
    )
    parts = Parts(model, audio, text)
    first = job.splits[0]
    fit(
        model,
        Regression(dimensions),
        _batches(job, parts, first.train),
        _batches(job, parts, first.validation) if first.validation else None,
        replace(job.setup.training, device=job.setup.desk.device),
        job.folder,
        job.trial.seed,
        job.reporter,
    )
    return parts


def _batches(job: Job, parts: Parts, rows: Sequence[Example], known: bool = True) -> UtteranceBatches:
    return UtteranceBatches(
        rows,
        parts.audio.store,
        None if parts.text is None else parts.text.store,
        Dimensions(dimensions_of(job.trial, job.settings)) if known else None,
        batch_size=job.setup.training.batch_size,
        seed=job.trial.seed,
    )


def _frozen_audio(job: Job) -> Input:
    """The audio model fine-tuned alone, then frozen: what it pools of each row, as that stays the same.

    The audio variant's own training is taken where it is there, and is left there otherwise.
    """
    alone = replace(job.trial, variant=AUDIO)
    folder = folder_of(job.setup.options.out, alone)
    audio = _speech(job, tuned=job.settings.speech_tuned, states=job.settings.states)
    parts = _trained(replace(job, trial=alone, folder=folder), audio, None)
    found = pooled(parts.model, _batches(job, parts, job.rows, known=False), job.setup.desk.device)
    return stores.vectors(found, parts.model.audio.width, _encoder_size(parts.model, audio), audio.name)


def pooled(model: AudioTextRegressor, batches: UtteranceBatches, device: str) -> dict[str, NDArray[Any]]:
    """What a model's audio branch gives, frozen: id -> float32 of shape (1, 1, width)."""
    model.to(device).eval().requires_grad_(False)
    found: dict[str, NDArray[Any]] = {}
    with torch.no_grad():
        for batch in batches.compact():
            moved = batch.to(device)
            assert moved.speech is not None
            vectors = model.audio(moved.speech).float().cpu().numpy()
            found |= {key: row[None, None] for key, row in zip(batch.ids, vectors, strict=True)}
    return found


def _tested(job: Job, parts: Parts, split: Split) -> list[Predictions]:
    """The test rows; for a model with text also with what recognisers heard."""
    found = [_predicted(job, parts, split.name, split.test)]
    material = material_of(split.name, job.setup)
    if parts.text is None:
        return found
    for name in transcripts_to_test(material, job.settings) if material.transcripts else ():
        rows = heard(split.test, material.transcripts[name])
        if not rows:
            job.reporter.notice(f"The transcripts {name!r} have no words of the test rows of {split.name!r}")
            continue
        assert job.setup.text is not None
        text = stores.reworded(parts.text, job.setup, rows, job.setup.text)
        found.append(_predicted(job, replace(parts, text=text), test_name(split.name, name), rows))
    return found


def test_name(test: str, transcripts: str) -> str:
    """What the predictions with a recogniser's words are called.

    >>> test_name("test1", "whisper-base")
    'test1+whisper-base'
    """
    return f"{test}+{transcripts}"


def _predicted(job: Job, parts: Parts, test: str, rows: Sequence[Example]) -> Predictions:
    dimensions = dimensions_of(job.trial, job.settings)
    batches = _batches(job, parts, rows, known=False)
    ids, scores = predict(parts.model, Regression(dimensions), batches, job.setup.desk.device)
    return of_examples(test, rows, ids, scores, dimensions=dimensions)


def _encoder_size(model: AudioTextRegressor, audio: Input) -> int | None:
    """Parameters of an audio branch with its encoder, wherever that is."""
    if audio.parameters is None:
        return None
    own = parameters(model.audio)[0]
    return own + (0 if audio.side.encoder is not None else audio.parameters)


def _note(job: Job, parts: Parts) -> None:
    """Writes what the analyses need of the model."""
    total, trained = parameters(parts.model)
    outside = [one.parameters for one in _sides(parts) if one.side.encoder is None]
    weights = parts.model.audio.layer_weights
    about: Mapping[str, Any] = {
        "dimensions": list(dimensions_of(job.trial, job.settings)),
        "speech": parts.audio.name,
        "text": None if parts.text is None else parts.text.name,
        "words": words_of(job.setup.material, job.settings),
        "parameters": None if None in outside else total + sum(size or 0 for size in outside),
        "trained": trained,
        "layer_weights": None if weights is None else [float(w) for w in weights.weights().detach().cpu()],
    }
    (job.folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _sides(parts: Parts) -> list[Input]:
    return [parts.audio] if parts.text is None else [parts.audio, parts.text]
