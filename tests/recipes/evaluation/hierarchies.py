"""A small corpus of sessions whose joy sounds neutral and reads joyful, and a run of `reclassify` on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from remelt.evaluation.examples import Example
from remelt.evaluation.predictions import Predictions
from remelt.evaluation.training.options import TrainingOptions
from remelt.recipes.evaluation.base import EvaluationOptions, Material, Setup, Trial
from remelt.recipes.evaluation.desk import CachedDesk
from remelt.recipes.evaluation.hierarchy.settings import Settings
from remelt.recipes.evaluation.kept import folder_of
from remelt.recipes.evaluation.systems import reclassify
from remelt.recipes.reporting import Reporter

from ...evaluation.encoders import tiny_encoders

WORDS = {"anger": "aaa", "joy": "jjj", "neutral": "nnn", "sadness": "sss"}
# Hertz and loudness; joy is as neutral.
VOICES = {"anger": (900.0, 0.8), "joy": (300.0, 0.2), "neutral": (300.0, 0.2), "sadness": (120.0, 0.05)}
SEXES = {"F": "female", "M": "male"}
TRAINING = TrainingOptions(
    optimizer="adam", lr=2e-2, epochs=12, batch_size=16, monitor="loss", class_weights=True
)
SETTINGS = Settings(hidden=16, width=8, dropout=0.0)


class Voices:
    """A tone for each row by its label, with a little noise of its own."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels

    def digest(self, example_id: str) -> str:
        return hashlib.sha256(example_id.encode()).hexdigest()

    def read(self, example_id: str) -> NDArray[np.float32]:
        hertz, loud = VOICES[self._labels[example_id]]
        random = np.random.default_rng(int(self.digest(example_id)[:8], 16))
        time = np.arange(1_600) / 16_000
        tone = loud * np.sin(2 * np.pi * hertz * random.uniform(0.9, 1.1) * time)
        return (tone + random.normal(0, 0.01, len(time))).astype(np.float32)


def corpus(name: str = "acted", sessions: int = 5, each: int = 3, **fields: object) -> Material:
    """`each` rows of each class for the two speakers of each session; `new` differs in some training rows.

    Args:
        fields: of all examples, instead of their own.
    """
    rows, old = [], {}
    for session in range(1, sessions + 1):
        for sex in SEXES:
            for label in WORDS:
                for number in range(each):
                    key = f"{name}/train/Ses{session}{sex}_{label}{number}"
                    old[key] = label
                    row = Example(
                        key,
                        name,
                        "train",
                        text=f"{WORDS[label]} {'xyz'[number % 3]}",
                        speaker=f"Ses{session}{sex}",
                        sex=SEXES[sex],
                        session=f"Session{session}",
                        has_sound=True,
                    )
                    rows.append(replace(row, **fields))  # type: ignore[arg-type]
    new = {key: "joy" if label == "sadness" and "1F" in key else label for key, label in old.items()}
    return Material(name, name, "corpus", tuple(rows), {"old": old, "new": new}, Voices(old), identity=name)


def setup(
    folder: Path,
    material: Material,
    text: str | None,
    labels: tuple[str, ...] = ("old",),
    speech: str | None = "mfcc-mean",
    **settings: object,
) -> Setup:
    """A run of `reclassify`; features are shared by all runs beside `folder`."""
    options = EvaluationOptions(
        source=material.source, out=folder / "run", system="reclassify", labels=labels, resamples=100
    )
    return Setup(
        options=options,
        material=material,
        tests={},
        training=TRAINING,
        settings=replace(SETTINGS, **settings),  # type: ignore[arg-type]
        speech=speech,
        text=text,
        desk=CachedDesk(folder.parent / "features", "cpu", Reporter()),
    )


def reader(folder: Path) -> str:
    """A text encoder with random weights."""
    return str(tiny_encoders.save_words(folder / "reads", tiny_encoders.TEXT["bert"]))


def run(given: Setup) -> dict[Trial, Sequence[Predictions]]:
    """All trials."""
    return {
        trial: reclassify.execute(trial, given, folder_of(given.options.out, trial), Reporter())
        for trial in reclassify.trials(given)
    }
