"""Trains M1, M2 and M3 and asks them; what they said is kept, so that no model is trained twice in a run.

The models of speech are the same whether text corrects them or not, and the model of text is the same for all
models of speech: each lies in a folder of its own, not in that of the trial that trained it first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....evaluation.batches import UtteranceBatches
from ....evaluation.models.frontend import States
from ....evaluation.models.hierarchy import Branch, BranchOptions
from ....evaluation.objectives import Classification
from ....evaluation.threshold import Answers, choose, decide, sweep
from ....evaluation.training.loop import fit, predict, seed_everything
from ..base import Setup, Trial
from ..kept import folder_of, read_table, write_table
from ..raw import Raw
from ..sounds import MixedSounds
from .rows import Fold
from .settings import LSTM, NEUTRAL, WITH_TEXT, Settings, variant_of
from .tuning import searched

if TYPE_CHECKING:
    from ....evaluation.examples import Example
    from ....evaluation.filling import Store
    from ....evaluation.predictions import Predictions
    from ...reporting import Reporter

EMOTIONAL = "emotional"
SPEECH, TEXT = "speech", "text"
VALIDATION = "validation"
M1, M2, M3 = "m1", "m2", "m3"


@dataclass(frozen=True)
class Job:
    """A trial with its rows.

    Attributes:
        trial: what is trained.
        fold: its rows.
    """

    trial: Trial
    setup: Setup
    fold: Fold
    reporter: Reporter

    @property
    def settings(self) -> Settings:
        """Of the system."""
        found: Settings = self.setup.settings
        return found

    @property
    def parts(self) -> dict[str, tuple[Example, ...]]:
        """The rows that models are asked about: validation rows and each test's."""
        return {VALIDATION: self.fold.split.validation, **self.fold.tests}

    @property
    def rows(self) -> tuple[Example, ...]:
        """All rows, each once."""
        found = (self.fold.split.train, *self.parts.values())
        return tuple({row.id: row for part in found for row in part}.values())


@dataclass(frozen=True)
class Stage:
    """One of the three models.

    Attributes:
        name: `m1`, `m2` or `m3`.
        labels: its classes.
        states: what its encoder gives.
        store: the rows' input.
        options: of the model.
    """

    name: str
    labels: tuple[str, ...]
    states: States
    store: Store
    options: BranchOptions

    @property
    def modality(self) -> str:
        """What it is asked with."""
        return TEXT if self.name == M3 else SPEECH

    def target(self, row: Example) -> Example | None:
        """The row as this model learns it; None for one that it does not learn."""
        if self.name == M1:
            return replace(row, label=NEUTRAL if row.label == NEUTRAL else EMOTIONAL)
        return None if self.name == M2 and row.label == NEUTRAL else row


def answers(job: Job) -> dict[str, Answers]:
    """What the models of a trial say, by part; trained now where they are not yet.

    Raises:
        InputError: as `training.fit`, and for rows that an encoder cannot take.
    """
    inputs = variant_of(job.trial.variant)[1]
    emotional, emotions = _asked(job, M1), _asked(job, M2)
    text = _asked(job, M3) if inputs == WITH_TEXT else None
    return read_answers(job, emotional, emotions, text)


def read_answers(
    job: Job,
    emotional: Mapping[str, Predictions],
    emotions: Mapping[str, Predictions],
    text: Mapping[str, Predictions] | None,
) -> dict[str, Answers]:
    """The three models' predictions by part, put together."""
    return {
        part: Answers(
            job.settings.labels,
            emotional[part].scores[:, emotional[part].labels.index(EMOTIONAL)],
            emotions[part].scores,
            None if text is None else text[part].scores,
        )
        for part in job.parts
    }


def kept_answers(job: Job) -> dict[str, Answers] | None:
    """What a finished trial's models said; None where a file of it is gone."""
    inputs = variant_of(job.trial.variant)[1]
    wanted = (M1, M2, M3) if inputs == WITH_TEXT else (M1, M2)
    found = [kept_predictions(job, name) for name in wanted]
    if any(one is None for one in found):
        return None
    emotional, emotions, *rest = (one for one in found if one is not None)
    return read_answers(job, emotional, emotions, rest[0] if rest else None)


def reference_of(job: Job, part: str) -> NDArray[Any]:
    """The class numbers of a part's rows."""
    number = {label: k for k, label in enumerate(job.settings.labels)}
    return np.array([number[str(row.label)] for row in job.parts[part]], np.int64)


def threshold_of(job: Job, said: Mapping[str, Answers]) -> float:
    """The threshold of a trial: 0 for speech alone, else the one asked for, or what validation rows say."""
    settings = job.settings
    if variant_of(job.trial.variant)[1] != WITH_TEXT:
        return 0.0
    if settings.threshold is not None:
        return settings.threshold
    points = sweep(said[VALIDATION], reference_of(job, VALIDATION), settings.thresholds)
    return choose(points).threshold


def decided(job: Job, part: str, said: Answers, threshold: float) -> Predictions:
    """The decisions about a part as predictions: 1 for the class that was decided for, 0 for the others."""
    from ....evaluation.predictions import of_examples

    rows, labels = job.parts[part], job.settings.labels
    scores = np.eye(len(labels), dtype=np.float32)[decide(said, threshold)]
    return of_examples(part, rows, [row.id for row in rows], scores, labels)


def place_of(job: Job, name: str) -> Path:
    """The folder of a model."""
    speech = variant_of(job.trial.variant)[0]
    owner = replace(job.trial, variant=TEXT if name == M3 else speech)
    return folder_of(job.setup.options.out, owner) / name


def _file(part: str) -> str:
    return f"said-{part}.parquet"


def kept_predictions(job: Job, name: str) -> dict[str, Predictions] | None:
    """What a model said, if it is there for all parts."""
    folder = place_of(job, name)
    if not all((folder / _file(part)).is_file() for part in job.parts):
        return None
    return {part: read_table(folder / _file(part)) for part in job.parts}


def _asked(job: Job, name: str) -> dict[str, Predictions]:
    """What a model says of all parts, read or found out now."""
    known = kept_predictions(job, name)
    if known is not None:
        return known
    stage, folder = _stage(job, name), place_of(job, name)
    model = _trained(job, stage, folder)
    found = {part: _said(job, stage, model, part) for part in job.parts}
    for part, one in found.items():
        write_table(folder / _file(part), one)
    return found


def _stage(job: Job, name: str) -> Stage:
    settings = job.settings
    labels = {M1: (NEUTRAL, EMOTIONAL), M2: settings.emotions, M3: settings.labels}[name]
    if name == M3:
        options = _options(settings, "lstm", settings.text_states)
        encoder = job.setup.text or ""
        return Stage(name, labels, *_text(job, encoder, options), options)
    speech = variant_of(job.trial.variant)[0]
    encoder = settings.encoder(speech, job.setup.speech)
    tuned = settings.w2v_tuned and speech != LSTM
    shape, states = ("lstm", "last") if speech == LSTM else ("pooled", "last" if tuned else "weighted")
    options = _options(settings, shape, states)
    return Stage(name, labels, *_speech(job, encoder, options, tuned), options)


def _options(settings: Settings, shape: str, states: str) -> BranchOptions:
    return BranchOptions(
        shape=shape,
        states=states,
        hidden=settings.hidden,
        width=settings.width,
        dropout=settings.dropout,
        encoder_lr=settings.encoder_lr,
    )


def _text(job: Job, encoder: str, options: BranchOptions) -> tuple[States, Store]:
    kept = "last" if options.states == "last" else "all"
    found = job.setup.desk.features(encoder, TEXT, job.rows, None, kept=kept)
    return States(found.layers, found.width), found


def _speech(job: Job, name: str, options: BranchOptions, tuned: bool) -> tuple[States, Store]:
    setup, seconds = job.setup, job.settings.speech_seconds
    sounds = MixedSounds([setup.material, *setup.tests.values()])
    if tuned:
        encoder = setup.desk.encoder(name, SPEECH, max_seconds=seconds)
        load: dict[str, Any] = {row.id: (lambda key=row.id: sounds.read(key)) for row in job.rows}
        return States(encoder.layers, encoder.width, encoder.tunable()), Raw(encoder, load)
    found = setup.desk.features(
        name,
        SPEECH,
        job.rows,
        sounds,
        kept="all" if options.states == "weighted" else "last",
        # The mean over time goes before what is linear: the same, and a fraction of the space.
        pooled="mean" if options.shape == "pooled" else None,
        max_seconds=seconds,
    )
    return States(found.layers, found.width), found


def _trained(job: Job, stage: Stage, folder: Path) -> Branch:
    """The model with the weights to test: of the one training, or of the best of several."""
    if not job.settings.tune:
        return train(job, stage, folder, job.setup.training.lr)[0]

    def one(place: Path, options: BranchOptions, lr: float) -> tuple[Branch, float]:
        # Each training begins with the encoder as it was.
        states = replace(stage.states, encoder=deepcopy(stage.states.encoder))
        return train(job, replace(stage, states=states, options=options), place, lr)

    return searched(folder, job.settings.tune, job.trial.seed, one, stage.options)


def train(job: Job, stage: Stage, folder: Path, lr: float) -> tuple[Branch, float]:
    """Trains a model; gives it with the best value of what is watched on validation rows."""
    training = replace(job.setup.training, device=job.setup.desk.device, lr=lr)
    seed_everything(job.trial.seed)
    model = Branch(stage.modality, stage.states, len(stage.labels), stage.options)
    batches = _batches(job, stage, job.fold.split.train)
    if model.standardised is not None:
        model.standardised.measure(stage.store, batches.ids)
    validation = _batches(job, stage, job.fold.split.validation)
    objective = Classification(stage.labels)
    fitted = fit(model, objective, batches, validation, training, folder, job.trial.seed, job.reporter)
    sign = -1.0 if training.monitor == "loss" else 1.0
    best = fitted.history[fitted.best_epoch - 1].get(training.monitor, float("nan"))
    return model, sign * best


def _batches(job: Job, stage: Stage, rows: Sequence[Example], known: bool = True) -> UtteranceBatches:
    wanted = [stage.target(row) for row in rows] if known else rows
    return UtteranceBatches(
        [row for row in wanted if row is not None],
        stage.store if stage.modality == SPEECH else None,
        stage.store if stage.modality == TEXT else None,
        stage.labels if known else None,
        batch_size=job.setup.training.batch_size,
        seed=job.trial.seed,
    )


def _said(job: Job, stage: Stage, model: Branch, part: str) -> Predictions:
    """Probabilities for all rows of a part; a row of a class that the model lacks is given its first."""
    from ....evaluation.predictions import Predictions, group_of

    rows = job.parts[part]
    ids, scores = predict(
        model, Classification(stage.labels), _batches(job, stage, rows, known=False), job.setup.desk.device
    )
    truth = [stage.target(row) for row in rows]
    number = {label: k for k, label in enumerate(stage.labels)}
    reference = np.array([0 if row is None else number[str(row.label)] for row in truth], np.int64)
    groups = tuple(group_of(row) for row in rows)
    return Predictions(part, tuple(ids), groups, stage.labels, reference, scores)
