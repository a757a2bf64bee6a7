"""A system without a network: each class's words are counted, so that a run takes milliseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from remelt.evaluation.examples import Example
from remelt.evaluation.predictions import Predictions, of_examples
from remelt.evaluation.protocols import Split
from remelt.recipes.evaluation.base import Analysis, Setup, SystemInfo, Trial
from remelt.recipes.reporting import Reporter


@dataclass(frozen=True)
class StubOptions:
    """Settings of every kind.

    Attributes:
        smoothing: added to each count.
        order: `words` or `letters`.
        scale: halves the scores.
        parts: whatever.
    """

    smoothing: float = 1.0
    order: str = field(
        default="words", metadata={"choices": ("words", "letters"), "help": "What is counted."}
    )
    scale: bool = False
    parts: tuple[int, ...] = (1, 2)
    depth: int | None = None


class StubSystem:
    """See `recipes.evaluation.base.System`."""

    def __init__(self, needs: tuple[str, ...] = ("text",), task: str = "classification") -> None:
        self.INFO = SystemInfo(
            name="stub",
            title="Counted words",
            paper="Nobody 2025: Nothing",
            task=task,
            metric="uar",
            needs=needs,
            settings=StubOptions,
        )
        self.executed: list[str] = []
        self.stop_before = ""

    def trials(self, setup: Setup) -> Sequence[Trial]:
        return [
            Trial(condition, "", "", seed)
            for condition in setup.options.labels
            for seed in setup.options.seeds
        ]

    def splits(self, trial: Trial, setup: Setup) -> Mapping[str, Split]:
        rows = [row for row in setup.material.under(trial.condition) if row.label and row.text]
        cut = len(rows) * 3 // 4
        train, own = rows[:cut], rows[cut:]
        found = {"own": Split("own", tuple(train), (), tuple(own))}
        for name, test in setup.tests.items():
            tested = tuple(row for row in test.under("old") if row.label and row.text)
            found[name] = Split(name, tuple(train), (), tested)
        return found

    def execute(self, trial: Trial, setup: Setup, folder: Path, reporter: Reporter) -> Sequence[Predictions]:
        if trial.condition == self.stop_before:
            raise KeyboardInterrupt
        self.executed.append(trial.name)
        found = []
        for name, split in self.splits(trial, setup).items():
            labels = sorted({str(r.label) for r in (*split.train, *split.test)})
            scores = _scores(split.train, split.test, labels, trial.seed)
            found.append(of_examples(name, split.test, [r.id for r in split.test], scores, labels))
        return found

    def analyse(
        self, setup: Setup, results: Mapping[Trial, Sequence[Predictions]], folder: Path
    ) -> Sequence[Analysis]:
        return [Analysis("counted", "What was counted", [{"word": "a", "rows": len(results)}])]


def _scores(
    train: Sequence[Example], test: Sequence[Example], labels: Sequence[str], seed: int
) -> np.ndarray:
    counts = {label: Counter[str]() for label in labels}
    for row in train:
        counts[str(row.label)].update((row.text or "").casefold().split())
    random = np.random.default_rng(seed)
    noise = random.random((len(test), len(labels))) * 0.1
    seen = [
        [sum(counts[label][word] for word in (row.text or "").casefold().split()) + 1 for label in labels]
        for row in test
    ]
    found = np.array(seen, float) + noise
    return found / found.sum(axis=1, keepdims=True)
