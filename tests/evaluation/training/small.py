"""Rows, features and a model that train in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from remelt.evaluation.batch import Batch
from remelt.evaluation.batches import UtteranceBatches
from remelt.evaluation.examples import Example
from remelt.evaluation.objectives import Classification
from remelt.evaluation.training.loop import Fitted, Watch, fit, seed_everything
from remelt.evaluation.training.options import TrainingOptions
from remelt.recipes.reporting import Reporter

LABELS = ("anger", "joy", "neutral")
LAYERS, WIDTH = 3, 8
OPTIONS = TrainingOptions(
    epochs=6, batch_size=8, lr=0.02, schedule="cosine", warmup=0.1, clip=1.0, device="cpu", monitor="loss"
)


def rows(number: int, split: str = "train") -> tuple[Example, ...]:
    return tuple(
        Example(
            f"small/{split}/{place}",
            "small",
            split,
            label=LABELS[place % 3],
            targets={"arousal": place / number, "valence": (place * 7 % number) / number},
            dialogue=f"dia{place // 5}",
            turn=place % 5,
        )
        for place in range(number)
    )


def features(examples: tuple[Example, ...]) -> dict[str, NDArray[np.float16]]:
    """Random states in which the class can be seen a little."""
    chance = np.random.default_rng(1)
    return {
        example.id: (
            chance.normal(size=(LAYERS, int(chance.integers(3, 20)), WIDTH))
            + 0.5 * np.eye(WIDTH)[LABELS.index(example.label or "")]
        ).astype(np.float16)
        for example in examples
    }


class Small(nn.Module):
    """Mean over steps, sum of layers, dropout, two linear layers."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.layers = nn.Parameter(torch.zeros(LAYERS))
        self.head = nn.Sequential(
            nn.Linear(WIDTH, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, outputs)
        )

    def forward(self, batch: Batch) -> Tensor:
        assert batch.speech is not None
        mean = batch.speech.values.sum(dim=2) / batch.speech.lengths[:, None, None]
        out: Tensor = self.head((self.layers.softmax(0)[None, :, None] * mean).sum(dim=1))
        return out


def batches(number: int, split: str, crop: int | None = 10) -> UtteranceBatches:
    examples = rows(number, split)
    return UtteranceBatches(
        examples, features(examples), labels=LABELS, batch_size=8, seed=3, crop_steps=crop
    )


def train(folder: Path, seed: int = 0, watch: Watch | None = None, **changes: object) -> tuple[Small, Fitted]:
    """One training of the small model, made anew."""
    seed_everything(seed)
    model = Small()
    options = replace(OPTIONS, **changes)  # type: ignore[arg-type]
    fitted = fit(
        model,
        Classification(LABELS),
        batches(43, "train"),
        batches(21, "dev"),
        options,
        folder,
        seed,
        watch or Reporter(),
    )
    return model, fitted


def without_times(fitted: Fitted) -> Fitted:
    history = tuple({k: v for k, v in entry.items() if k != "seconds"} for entry in fitted.history)
    return replace(fitted, history=history)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    mine, yours = one.state_dict(), other.state_dict()
    return mine.keys() == yours.keys() and all(torch.equal(mine[name], yours[name]) for name in mine)
