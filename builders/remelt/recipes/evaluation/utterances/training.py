"""Trains a model on one part of the rows and tests it on others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from ....evaluation.batches import Store, UtteranceBatches
from ....evaluation.examples import Example
from ....evaluation.objectives import Classification
from ....evaluation.predictions import Predictions, of_examples
from ....evaluation.training.loop import fit, predict, seed_everything
from ..base import Setup

if TYPE_CHECKING:
    from ...reporting import Reporter

LAYERS = "layers.json"


@dataclass(frozen=True)
class Part:
    """Rows with their labels, and where their sound and words come from."""

    rows: Sequence[Example]
    speech: Store | None = None
    text: Store | None = None


@dataclass(frozen=True)
class Job:
    """One training with its tests.

    Attributes:
        labels: the classes.
        train: what is learnt.
        validation: what the epoch is chosen by; None for nothing.
        tests: by name.
        seed: of weights, order, crops and dropout.
        crop_steps: of speech in training; None for whole clips.
    """

    labels: tuple[str, ...]
    train: Part
    validation: Part | None
    tests: Mapping[str, Part]
    seed: int
    crop_steps: int | None = None

    def batches(self, part: Part, setup: Setup, crop_steps: int | None = None) -> UtteranceBatches:
        """The rows of a part in batches."""
        return UtteranceBatches(
            part.rows,
            part.speech,
            part.text,
            self.labels,
            batch_size=setup.training.batch_size,
            seed=self.seed,
            crop_steps=crop_steps,
        )


def run(
    job: Job, make: Callable[[], nn.Module], setup: Setup, folder: Path, reporter: Reporter
) -> tuple[list[Predictions], nn.Module]:
    """Trains and tests.

    Args:
        job: what is trained and tested on.
        make: makes the model; called after its seed is set.
        setup: of the run.
        folder: of this training.
        reporter: is told how it goes.

    Returns:
        Predictions in the order of the tests, and the model with the weights that were tested.

    Raises:
        InputError: as `training.fit`, and for rows that an encoder cannot take.
    """
    seed_everything(job.seed)
    model = make()
    objective = Classification(job.labels)
    validation = None if job.validation is None else job.batches(job.validation, setup)
    fit(
        model,
        objective,
        job.batches(job.train, setup, job.crop_steps),
        validation,
        setup.training,
        folder,
        job.seed,
        reporter,
    )
    found = []
    for name, part in job.tests.items():
        ids, scores = predict(model, objective, job.batches(part, setup), setup.training.device)
        found.append(of_examples(name, part.rows, ids, scores, job.labels))
    return found, model


def keep_layers(folder: Path, weights: Mapping[str, Sequence[float]]) -> None:
    """Writes the weights of the layers, by encoder, beside a training's other files."""
    (folder / LAYERS).write_text(json.dumps(weights, indent=2) + "\n", encoding="utf-8")
