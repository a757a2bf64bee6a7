"""The chain of stages: each is trained once, frozen, and hands its embeddings to the next."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....evaluation.batches import DialogueBatches, UtteranceBatches
from ....evaluation.examples import Example
from ....evaluation.models import conversation as models
from ....evaluation.objectives import Classification
from ....evaluation.predictions import Predictions, of_examples
from ....evaluation.training.loop import fit, predict, seed_everything
from ..base import Setup, Trial
from ..kept import folder_of
from . import inputs, pretraining
from .plan import Plan, Tested, plan, read_variant, settings_of, variant
from .settings import FUSION, MERGED, NEEDS, SPEECH_1, TEXT_1, TEXT_2
from .sizes import sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from ...reporting import Reporter

Vectors = Mapping[str, "NDArray[np.float32]"]
_FIRST = (TEXT_1, SPEECH_1)
_EMBEDDINGS, _LAYERS = "embeddings.npz", "layers.json"


class Chain:
    """The stages of one condition, pre-training and seed.

    Args:
        trial: any of its trials.
        setup: of the run.
        reporter: is told what happens.
    """

    def __init__(self, trial: Trial, setup: Setup, reporter: Reporter) -> None:
        self._trial, self._setup, self._reporter = trial, setup, reporter
        self._settings = settings_of(setup)
        self._sizes = sizes(self._settings)
        self._pretrained = read_variant(trial.variant, self._settings)[1]
        self._plan: Plan = plan(setup, trial.condition, trial.seed)
        self._objective = Classification(self._plan.classes)
        self._inputs: dict[str, inputs.Input] = {}
        self._vectors: dict[str, Vectors] = {}

    def predictions(self, stage: str) -> list[Predictions]:
        """Trains a stage (and before it what it reads) and tests it."""
        model = self._fitted(stage)
        return [self._tested(stage, model, test) for test in self._plan.tests]

    def _folder(self, stage: str) -> Path:
        trial = replace(self._trial, variant=variant(stage, self._pretrained))
        folder = folder_of(self._setup.options.out, trial)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _fitted(self, stage: str) -> nn.Module:
        folder = self._folder(stage)
        before = {name: self._embedded(name) for name in NEEDS[stage]}
        if stage in _FIRST:
            # Pre-training draws numbers of its own, so it comes before the seed.
            self._input(stage)
        self._reporter.stage(f"{self._trial.condition}, seed {self._trial.seed}: {stage}")
        seed_everything(self._trial.seed)
        model = self._first(stage) if stage in _FIRST else self._later(stage)
        options = replace(self._setup.training, device=self._setup.desk.device)
        if stage == TEXT_1 and self._settings.text_encoder == "tuned":
            options = replace(options, epochs=self._settings.text_epochs or options.epochs)
        train, validation = (
            self._batches(stage, rows, before)
            for rows in (self._plan.split.train, self._plan.split.validation)
        )
        fit(model, self._objective, train, validation, options, folder, self._trial.seed, self._reporter)
        if shares := models.layer_shares(model):
            (folder / _LAYERS).write_text(json.dumps(shares) + "\n", encoding="utf-8")
        if stage not in (FUSION, MERGED):
            self._embed(stage, model, before)
        return model

    def _first(self, stage: str) -> models.UtteranceClassifier:
        classes = len(self._plan.classes)
        found = self._input(stage)
        if stage == SPEECH_1:
            return models.UtteranceClassifier("speech", found.states, classes, self._sizes, weighted=True)
        if warning := inputs.divergence(self._setup, self._settings, found.states.width):
            self._reporter.notice(warning)
        model = models.UtteranceClassifier(
            "text", found.states, classes, self._sizes, weighted=False, encoder_lr=self._settings.text_lr
        )
        pretraining.load_projection(model, self._start().projection)
        return model

    def _later(self, stage: str) -> nn.Module:
        classes = len(self._plan.classes)
        if stage == FUSION:
            return models.FusionClassifier(classes, self._sizes)
        if stage == MERGED:
            return models.MergedConversation(self._sizes.hidden, classes, self._sizes)
        modality: models.Modality = "text" if stage == TEXT_2 else "speech"
        return models.ContextClassifier(modality, self._sizes.hidden, classes, self._sizes)

    def _start(self) -> pretraining.Start:
        root = self._setup.options.out / "pretraining"
        return pretraining.start(self._setup, self._pretrained, self._trial.seed, root, self._reporter)

    def _input(self, stage: str) -> inputs.Input:
        if stage not in self._inputs:
            desk, rows, setup = self._setup.desk, self._plan.rows, self._setup
            if stage == TEXT_1:
                tuned = self._settings.text_encoder == "tuned"
                self._inputs[stage] = inputs.words(desk, self._start().encoder, rows, tuned)
            else:
                self._inputs[stage] = inputs.sound(
                    desk, str(setup.speech), rows, self._plan.sounds, self._settings.speech_seconds
                )
        return self._inputs[stage]

    def _batches(
        self, stage: str, rows: Sequence[Example], before: Mapping[str, Vectors]
    ) -> UtteranceBatches | DialogueBatches:
        size, seed, classes = self._setup.training.batch_size, self._trial.seed, self._plan.classes
        if stage in _FIRST:
            found = self._input(stage)
            own = [row for row in rows if row.label is not None and row.id in found.rows]
            stores: dict[str, Any] = {"text" if stage == TEXT_1 else "speech": found.store}
            return UtteranceBatches(own, labels=classes, batch_size=size, seed=seed, **stores)
        stores = {"text" if name.startswith("text") else "speech": store for name, store in before.items()}
        return DialogueBatches(rows, labels=classes, batch_size=size, seed=seed, **stores)

    def _tested(self, stage: str, model: nn.Module, test: Tested) -> Predictions:
        before = {name: self._embedded(name) for name in NEEDS[stage]}
        batches = self._batches(stage, test.rows, before)
        ids, scores = predict(model, self._objective, batches, self._setup.desk.device)
        known = {row.id for row in test.rows if row.label is not None}
        kept = [place for place, name in enumerate(ids) if name in known]
        columns = [self._plan.classes.index(name) for name in test.classes]
        shares = scores[kept][:, columns]
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return of_examples(test.name, test.rows, [ids[place] for place in kept], shares, test.classes)

    def _embedded(self, stage: str) -> Vectors:
        """What a stage hands on, of every row; trains the stage where it is not there yet."""
        if stage not in self._vectors:
            path = self._folder(stage) / _EMBEDDINGS
            if not path.is_file():
                self._fitted(stage)
            with np.load(path) as found:
                self._vectors[stage] = dict(zip(found["ids"].tolist(), found["values"], strict=True))
        return self._vectors[stage]

    def _embed(self, stage: str, model: Any, before: Mapping[str, Vectors]) -> None:
        size, rows = self._setup.training.batch_size, self._plan.rows
        if stage in _FIRST:
            found = self._input(stage)
            own = [row for row in rows if row.id in found.rows]
            stores: dict[str, Any] = {"text" if stage == TEXT_1 else "speech": found.store}
            batches: Any = UtteranceBatches(own, batch_size=size, **stores)
        else:
            batches = self._batches(stage, rows, before)
        given = models.embeddings(model, batches.compact(), self._setup.desk.device)
        # A turn without words or sound is still a turn: it is there, and says nothing.
        silent = np.zeros(len(next(iter(given.values()))), np.float32)
        values = np.stack([given.get(row.id, silent) for row in rows])
        path = self._folder(stage) / _EMBEDDINGS
        partial = path.with_name(f"partial-{path.name}")
        np.savez(partial, ids=np.array([row.id for row in rows]), values=values)
        os.replace(partial, path)
