"""Small corpora in memory, whose classes are tones of different pitch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from remelt.evaluation.examples import Example
from remelt.evaluation.training.options import TrainingOptions
from remelt.recipes.evaluation.base import EvaluationOptions, Material, Setup
from remelt.recipes.evaluation.desk import CachedDesk
from remelt.recipes.reporting import Reporter

CLASSES = ("anger", "joy", "neutral", "sadness")
RATE = 16_000


class Tones:
    """A tone for each row; its pitch tells the class."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels

    def read(self, example_id: str) -> NDArray[np.float32]:
        number = int(hashlib.sha256(example_id.encode()).hexdigest()[:4], 16)
        samples = RATE // 10 + number % (RATE // 5)
        pitch = 200 * (1 + CLASSES.index(self._labels[example_id]))
        time = np.arange(samples) / RATE
        noise = np.random.default_rng(number).normal(0, 0.01, samples)
        return (0.3 * np.sin(2 * np.pi * pitch * time) + noise).astype(np.float32)

    def digest(self, example_id: str) -> str:
        return hashlib.sha256(self.read(example_id).tobytes()).hexdigest()


def corpus(
    name: str = "acted", each: int = 2, sessions: int = 4, splits: Sequence[str] = ("train",)
) -> Material:
    """Rows of every class for each of two speakers of each session; words and labels `old`."""
    rows, labels = [], {}
    for session in range(1, sessions + 1):
        for speaker in "MF":
            for label in CLASSES:
                for take in range(each):
                    row = f"{name}/{splits[len(rows) % len(splits)]}/s{session}{speaker}_{label}_{take}"
                    labels[row] = label
                    rows.append(
                        Example(
                            row,
                            name,
                            row.split("/")[1],
                            text=f"{label[0]} {chr(97 + take)} {speaker.lower()}",
                            speaker=f"{session}{speaker}",
                            session=f"Session{session}",
                            dialogue=f"{name}/{row.split('/')[1]}/d{session}",
                            has_sound=True,
                        )
                    )
    return Material(name, f"{name}-folder", "corpus", tuple(rows), {"old": labels}, Tones(labels))


def relabelled(material: Material, every: int = 5, name: str = "new", missing: int = 0) -> Material:
    """With a second condition, in which every so manieth row has the next class and some have none."""
    old = material.labels["old"]
    new = {
        row: CLASSES[(CLASSES.index(label) + (number % every == 0)) % len(CLASSES)]
        for number, (row, label) in enumerate(old.items())
        if number >= missing
    }
    return replace(material, labels={**material.labels, name: new})


def setup_of(
    tmp_path: Path,
    material: Material,
    settings: Any,
    *,
    tests: Mapping[str, Material] | None = None,
    encoders: tuple[str | None, str | None] = ("tiny", "tiny"),
    training: Mapping[str, Any] | None = None,
    **options: Any,
) -> Setup:
    """A setup without a command; encoders are paths, or names where nothing is encoded."""
    asked = {"epochs": 2, "batch_size": 8, "device": "cpu", "keep": "last", **(training or {})}
    return Setup(
        options=EvaluationOptions(
            source=material.source,
            out=tmp_path,
            system="melt",
            labels=options.pop("labels", tuple(material.labels)),
            tests={name: test.source for name, test in (tests or {}).items()},
            resamples=100,
            **options,
        ),
        material=material,
        tests=tests or {},
        training=TrainingOptions(**asked),
        settings=settings,
        speech=encoders[0],
        text=encoders[1],
        desk=CachedDesk(tmp_path / "features", "cpu", Reporter()),
    )
