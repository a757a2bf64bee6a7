"""Predictions and examples for tests of scores and splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from remelt.evaluation.examples import Example
from remelt.evaluation.predictions import Predictions

EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")


def said(
    reference: Sequence[int],
    predicted: Sequence[int],
    labels: Sequence[str] = EMOTIONS,
    groups: Sequence[str] | None = None,
    test: str = "dev",
) -> Predictions:
    """A classifier's answers, certain of each."""
    rows = len(reference)
    return Predictions(
        test=test,
        ids=tuple(f"row{k:05}" for k in range(rows)),
        groups=("",) * rows if groups is None else tuple(groups),
        labels=tuple(labels),
        reference=np.array(reference, np.int64),
        scores=np.eye(len(labels), dtype=np.float32)[np.array(predicted, np.int64)],
    )


def rated(
    reference: Any, values: Any, groups: Sequence[str] | None = None, dimensions: Sequence[str] = ("arousal",)
) -> Predictions:
    """A regression's answers; arrays of shape (n, dimensions) or (n,) for one."""
    true, found = (np.asarray(each, np.float64).reshape(-1, len(dimensions)) for each in (reference, values))
    return Predictions(
        test="dev",
        ids=tuple(f"row{k:05}" for k in range(len(true))),
        groups=("",) * len(true) if groups is None else tuple(groups),
        labels=(),
        reference=true,
        scores=found,
        dimensions=tuple(dimensions),
    )


def noisy(
    rows: int, right: float, seed: int, classes: int = 4, per_group: int = 0, truth: int = 0
) -> Predictions:
    """Random answers of which about a share is right; the same `truth` gives the same references."""
    reference = np.random.default_rng(1000 + truth).integers(0, classes, rows)
    random = np.random.default_rng(seed)
    predicted = np.where(random.random(rows) < right, reference, random.integers(0, classes, rows))
    groups = [f"dialogue{k // per_group}" for k in range(rows)] if per_group else None
    return said(reference, predicted, EMOTIONS[:classes], groups)


def shuffled(found: Predictions, seed: int = 0) -> Predictions:
    order = np.random.default_rng(seed).permutation(len(found.ids))
    return Predictions(
        found.test,
        tuple(found.ids[k] for k in order),
        tuple(found.groups[k] for k in order),
        found.labels,
        found.reference[order],
        found.scores[order],
        found.dimensions,
    )


def example(name: str, label: str | None = "joy", **fields: Any) -> Example:
    """A row of a corpus `toy`."""
    return Example(**{"id": f"toy/train/{name}", "corpus": "toy", "split": "train", "label": label} | fields)


def sessions(count: int = 5, rows: int = 8) -> list[Example]:
    """A corpus like IEMOCAP: in each session a man and a woman talk in two dialogues, in four classes."""
    return [
        example(
            f"Ses{s}_{k}",
            EMOTIONS[k % 4],
            session=f"Session{s}",
            speaker=f"Ses{s}{'FM'[k // 4 % 2]}",
            sex=("female", "male")[k // 4 % 2],
            dialogue=f"toy/Ses{s}_{k % 2}",
        )
        for s in range(1, count + 1)
        for k in range(rows)
    ]
