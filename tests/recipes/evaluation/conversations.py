"""Small conversations with words and tones that tell the label, and encoders made on the spot."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from remelt.evaluation.examples import Example
from remelt.evaluation.training.options import TrainingOptions
from remelt.recipes.evaluation.base import EvaluationOptions, Material, Setup
from remelt.recipes.evaluation.desk import CachedDesk
from remelt.recipes.evaluation.merits.settings import MeritsSettings
from remelt.recipes.reporting import Reporter

from ...evaluation.encoders import tiny_encoders

WORDS = {"anger": "aaa", "joy": "jjj", "neutral": "nnn"}
LABELS = tuple(WORDS)
SPLITS = {"train": 8, "dev": 3, "test": 4}
TRAINING = TrainingOptions(lr=1e-2, epochs=4, batch_size=4, monitor="weighted_f1", clip=1.0, warmup=0.06)
SETTINGS = MeritsSettings(text_encoder="frozen", hidden=8, gru=4, heads=2, dropout=0.1)


class Tones:
    """A tone for each row, its pitch by the row's number."""

    def __init__(self, rows: tuple[Example, ...]) -> None:
        self._place = {row.id: place for place, row in enumerate(rows)}

    def digest(self, example_id: str) -> str:
        return hashlib.sha256(example_id.encode()).hexdigest()

    def read(self, example_id: str) -> NDArray[np.float32]:
        place = self._place[example_id]
        return tiny_encoders.sound(place % 3, 3_200 + 160 * (place % 5))


def conversations(corpus: str = "talk", heard: bool = True, splits: dict[str, int] = SPLITS) -> Material:
    """Dialogues of 1 to 5 turns: `old` names all, `new` leaves out every fourth, one turn has no sound."""
    rows: list[Example] = []
    old: dict[str, str] = {}
    for split, count in splits.items():
        for number in range(count):
            for turn in range(1 + number % 5):
                label = LABELS[len(rows) % 3]
                name = f"{corpus}/{split}/dia{number}_utt{turn}"
                old[name] = label
                rows.append(
                    Example(
                        name,
                        corpus,
                        split,
                        text=f"{WORDS[label]} {'xyz'[turn % 3]}",
                        speaker=f"s{number}",
                        dialogue=f"{corpus}/{split}/dia{number}",
                        turn=turn,
                        has_sound=heard and not (split == "train" and number == 3 and turn == 1),
                    )
                )
    new = {name: label for place, (name, label) in enumerate(old.items()) if place % 4 != 3}
    return Material(
        name=corpus,
        source=corpus,
        kind="corpus",
        examples=tuple(rows),
        labels={"old": old, "new": new},
        sounds=Tones(tuple(rows)) if heard else None,
        identity=corpus,
    )


def encoders(folder: Path) -> tuple[str, str]:
    """A speech and a text encoder with random weights."""
    speech = tiny_encoders.save(
        folder / "hears",
        tiny_encoders.SPEECH["wav2vec2-base"],
        {"sampling_rate": 16_000, "do_normalize": True},
    )
    return str(speech), str(tiny_encoders.save_words(folder / "reads", tiny_encoders.TEXT["bert"]))


def setup(
    folder: Path,
    material: Material,
    names: tuple[str, str] | None = None,
    labels: tuple[str, ...] = ("old",),
    **settings: object,
) -> Setup:
    """A run of MERITS-L; `names` are the encoders, made in `folder` if None."""
    speech, text = names or encoders(folder)
    options = EvaluationOptions(
        source=material.source, out=folder / "run", system="pseudo_sentiment", labels=labels, resamples=100
    )
    return Setup(
        options=options,
        material=material,
        tests={},
        training=TRAINING,
        settings=replace(SETTINGS, **settings),  # type: ignore[arg-type]
        speech=speech if material.sounds is not None else None,
        text=text,
        desk=CachedDesk(folder / "features", "cpu", Reporter()),
    )
