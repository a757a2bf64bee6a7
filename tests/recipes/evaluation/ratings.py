"""A small corpus in memory that is rated by what can be heard: the louder, the higher its arousal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from remelt.evaluation.examples import Example
from remelt.recipes.evaluation.base import Material

RATE = 16_000
SPLITS = ("train", "train", "train", "dev", "test1", "test2")


@dataclass(frozen=True)
class Loud:
    """Noise of a loudness that is its row's arousal, on a scale of 40 dB."""

    arousal: Mapping[str, float]

    def read(self, example_id: str) -> NDArray[np.float32]:
        number = int(hashlib.sha256(example_id.encode()).hexdigest()[:4], 16)
        samples = RATE // 10 + number % (RATE // 10)
        noise = np.random.default_rng(number).normal(0, 1, samples)
        return (noise * 10 ** (2 * self.arousal[example_id] - 2.5)).astype(np.float32)

    def digest(self, example_id: str) -> str:
        return hashlib.sha256(self.read(example_id).tobytes()).hexdigest()


def rated(rows: int = 24, name: str = "podcast") -> Material:
    """Rows with arousal, valence and dominance in turn over the splits, and what two recognisers heard."""
    drawn = np.random.default_rng(1)
    examples, arousal = [], {}
    for number in range(rows):
        split = SPLITS[number % len(SPLITS)]
        row = f"{name}/{split}/{number:04d}"
        values = dict(zip(("arousal", "valence", "dominance"), drawn.uniform(size=3).tolist(), strict=True))
        arousal[row] = values["arousal"]
        speaker = f"s{number % 5}"
        words = " ".join("abcdefgh"[: 1 + number % 5])
        examples.append(
            Example(row, name, split, text=words, targets=values, speaker=speaker, has_sound=True)
        )
    heard = {row.id: f"{row.text} z" for row in examples}
    spoilt = {row.id: "z" for row in examples[: rows // 2]}
    return Material(
        name, f"{name}-folder", "corpus", tuple(examples), {}, Loud(arousal),
        {"base": heard, "tiny": spoilt},
    )  # fmt: skip


def without(material: Material, **changes: object) -> Material:
    """The material, each row with some fields changed."""
    return replace(material, examples=tuple(replace(row, **changes) for row in material.examples))  # type: ignore[arg-type]
