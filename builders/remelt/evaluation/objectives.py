"""What a model learns and how its output is read: classes with cross-entropy, dimensions with CCC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from . import metrics
from .batch import NOT_COUNTED, Batch
from .losses import ccc_loss

_LEAST_PROBABILITY = 1e-12


class Objective(Protocol):
    """What `training.fit` needs to know of a task."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of a model's output."""
        ...

    @property
    def monitors(self) -> tuple[str, ...]:
        """Names of `measures` that training may watch."""
        ...

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """What is made small: a single value."""
        ...

    def scores(self, output: Tensor, batch: Batch) -> NDArray[np.float32]:
        """A model's output as rows of `Predictions.scores`, in the order of `batch.ids`."""
        ...

    def reference(self, batch: Batch) -> NDArray[Any]:
        """The truth for the rows of `scores`."""
        ...

    def measures(self, scores: NDArray[Any], reference: NDArray[Any]) -> dict[str, float]:
        """How good scores are."""
        ...


def class_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights of classes with so many examples: n / (classes * n_class), 0 for a class without examples.

    Classes without examples are not counted among the classes, so that the mean weight of an example is 1.

    >>> class_weights([6, 2, 0])
    (0.6666666666666666, 2.0, 0.0)
    """
    total, present = sum(counts), sum(count > 0 for count in counts)
    return tuple(total / (present * count) if count else 0.0 for count in counts)


def turns_of(batch: Batch) -> Tensor | None:
    """Of a batch of dialogues which places are turns: bool (dialogues, turns); None for a batch of rows."""
    found = batch.speech if batch.speech is not None else batch.text
    if found is None or found.values.dim() != 3:
        return None
    places = torch.arange(found.values.shape[1], device=found.lengths.device)
    return places[None, :] < found.lengths[:, None]


def _rows(values: Tensor, batch: Batch) -> Tensor:
    """The real turns of (dialogues, turns, ...), one after the other; other values as they are."""
    turns = turns_of(batch)
    return values if turns is None else values[turns]


@dataclass(frozen=True)
class Classification:
    """One of several classes, learnt with cross-entropy.

    Attributes:
        labels: the classes in the order of a model's outputs.
        weights: of each class in the loss; None for 1 each.
    """

    labels: tuple[str, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels):
            raise InputError(f"Bad labels {list(self.labels)!r}, expected two or more different ones")
        if self.weights is not None and len(self.weights) != len(self.labels):
            raise InputError(f"{len(self.weights)} class weights for {len(self.labels)} labels")

    @property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    @property
    def monitors(self) -> tuple[str, ...]:
        """Scores of classes, and the loss."""
        return (*metrics.CLASSIFICATION, "loss")

    def weighted(self, counts: Sequence[int]) -> Classification:
        """The same with the weights that `class_weights` gives for so many examples of each label."""
        return replace(self, weights=class_weights(counts))

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy over the rows, or over the turns that count.

        Args:
            output: logits of shape (rows, classes) or (dialogues, turns, classes).
            batch: its `labels` have the same shape without the last axis.
        """
        if batch.labels is None:
            raise ValueError("A batch without labels has no loss")
        weights = None
        if self.weights is not None:
            weights = torch.tensor(self.weights, dtype=torch.float32, device=output.device)
        return functional.cross_entropy(
            output.float().reshape(-1, output.shape[-1]),
            batch.labels.reshape(-1),
            weight=weights,
            ignore_index=NOT_COUNTED,
        )

    def scores(self, output: Tensor, batch: Batch) -> NDArray[np.float32]:
        """Probabilities (softmax) of shape (n, classes), in the order of `batch.ids`."""
        found: NDArray[np.float32] = _rows(output.detach().float(), batch).softmax(dim=-1).cpu().numpy()
        return found

    def reference(self, batch: Batch) -> NDArray[Any]:
        """Class numbers int64 (n,), `NOT_COUNTED` for context turns."""
        if batch.labels is None:
            return np.full(len(batch.ids), NOT_COUNTED)
        found: NDArray[Any] = _rows(batch.labels, batch).cpu().numpy()
        return found

    def measures(self, scores: NDArray[Any], reference: NDArray[Any]) -> dict[str, float]:
        """UAR, accuracy, F1 and kappa as `metrics` has them, and the loss, over the rows that count.

        Args:
            scores: probabilities (n, classes).
            reference: class numbers (n,).
        """
        counted = reference != NOT_COUNTED
        scores, reference = scores[counted], reference[counted]
        own = scores[np.arange(len(reference)), reference].astype(np.float64).clip(min=_LEAST_PROBABILITY)
        weights = np.ones(len(self.labels)) if self.weights is None else np.array(self.weights)
        weight = weights[reference]
        loss = -(weight * np.log(own)).sum() / weight.sum() if weight.sum() else np.nan
        found = metrics.of_classes(reference, scores.argmax(axis=1), len(self.labels))
        return {**found, "loss": float(loss)}


@dataclass(frozen=True)
class Regression:
    """Values in dimensions, learnt with 1 - CCC.

    Attributes:
        dimensions: in the order of a model's outputs.
        eps: of the loss, see `losses.ccc_loss`.
    """

    dimensions: tuple[str, ...]
    eps: float = 1e-8

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", tuple(self.dimensions))
        if not self.dimensions or len(set(self.dimensions)) < len(self.dimensions):
            raise InputError(f"Bad dimensions {list(self.dimensions)!r}, expected one or more different ones")

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions."""
        return self.dimensions

    @property
    def monitors(self) -> tuple[str, ...]:
        """The mean CCC, and the loss."""
        return ("ccc", "loss")

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """1 - CCC on the batch, averaged over dimensions; unknown targets do not count.

        Args:
            output: of shape (rows, dimensions).
        """
        if batch.targets is None:
            raise ValueError("A batch without targets has no loss")
        return ccc_loss(output, batch.targets, self.eps)

    def scores(self, output: Tensor, batch: Batch) -> NDArray[np.float32]:
        """The values as they are, of shape (n, dimensions)."""
        found: NDArray[np.float32] = output.detach().float().cpu().numpy()
        return found

    def reference(self, batch: Batch) -> NDArray[Any]:
        """Targets (n, dimensions), NaN where unknown."""
        if batch.targets is None:
            return np.full((len(batch.ids), len(self.dimensions)), np.nan)
        found: NDArray[Any] = batch.targets.cpu().numpy()
        return found

    def measures(self, scores: NDArray[Any], reference: NDArray[Any]) -> dict[str, float]:
        """The mean CCC (`ccc`), that of each dimension (`ccc_arousal`) and 1 - the mean (`loss`).

        Args:
            scores: values (n, dimensions).
            reference: likewise, NaN where unknown.
        """
        found = metrics.of_values(reference, scores, self.dimensions)
        return {**found, "loss": 1 - found["ccc"]}
