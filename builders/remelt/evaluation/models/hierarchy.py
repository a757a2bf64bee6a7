"""Speech first, then words: the three models of a hierarchy (Alqurashi et al. 2024).

    M1  sound -> emotional or neutral           trained on all rows
    M2  sound -> the emotions                   trained on emotional rows
    M3  words -> neutral and the emotions       trained on all rows

Each is one `Branch` of one of two shapes:

    lstm     features or word embeddings -> standardised -> LSTM -> last state -> FC -> ReLU -> FC -> classes
    pooled   wav2vec 2.0 -> its states -> mean over time -> FC -> ReLU -> FC -> classes

How the three decide together is `evaluation.threshold`.

Source: Alqurashi et al. 2024, sections on the speech and the text models: an LSTM and two fully connected
layers, or wav2vec 2.0 with frozen convolutions and a transformer that is tuned. Widths, dropout and how
states are pooled are not given there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import InputError, bad_value
from ..batch import Batch
from ..filling import Store, stored
from ..pooling import LayerWeights, Pooling, mask
from .frontend import States, front, given

SHAPES = ("lstm", "pooled")
MODALITIES = ("speech", "text")
# Of an encoder's hidden states: what its first layer is given (word embeddings), the last, or a learnt sum.
CHOICES = ("embedding", "last", "weighted")
# A column that hardly differs between training rows says nothing, and dividing by nothing says too much.
_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True, slots=True)
class BranchOptions:
    """A model of the hierarchy.

    Attributes:
        shape: `lstm` or `pooled`.
        states: which of the encoder's states are used: `embedding` (the first), `last`, or `weighted`.
        hidden: width of the LSTM's state.
        width: between the two fully connected layers.
        dropout: before each of them.
        pooling: over time, of `pooled`.
        encoder_lr: learning rate of an encoder that is tuned; the head has the training's own.

    Raises:
        InputError: a value that cannot be.
    """

    shape: str = "lstm"
    states: str = "last"
    hidden: int = 128
    width: int = 64
    dropout: float = 0.2
    pooling: str = "mean"
    encoder_lr: float = 1e-5

    def __post_init__(self) -> None:
        for name, choices in (("shape", SHAPES), ("states", CHOICES)):
            if getattr(self, name) not in choices:
                raise InputError(bad_value(name, getattr(self, name), choices))
        for name in ("hidden", "width"):
            if getattr(self, name) < 1:
                raise InputError(f"Bad {name} {getattr(self, name)!r}, expected a whole number from 1")
        if not 0 <= self.dropout < 1:
            raise InputError(f"Bad dropout {self.dropout!r}, expected a share from 0 to below 1")
        if not 0 < self.encoder_lr < 1:
            raise InputError(f"Bad encoder_lr {self.encoder_lr!r}, expected a learning rate between 0 and 1")


class Standardised(nn.Module):
    """Columns with the mean 0 and the deviation 1 that they have over all steps of the training rows.

    What was measured is kept with the weights. Before `measure` nothing is changed.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(layers, 1, width))
        self.register_buffer("deviation", torch.ones(layers, 1, width))

    def measure(self, store: Store, keys: Iterable[str]) -> None:
        """Takes mean and population deviation of each column of each layer.

        Args:
            store: gives rows of shape (layers, steps, width).
            keys: the training rows.

        Raises:
            InputError: there are none.
        """
        steps, first, second = 0, 0.0, 0.0
        rows = [stored(store, key, "input") for key in keys]
        if not rows:
            raise InputError("No training rows to measure features on")
        for row in rows:
            first = first + row.sum(axis=1, dtype=np.float64)
            steps += row.shape[1]
        mean: NDArray[Any] = np.asarray(first) / steps
        for row in rows:
            second = second + np.square(row.astype(np.float64) - mean[:, None]).sum(axis=1)
        deviation = np.sqrt(np.asarray(second) / steps)
        deviation[deviation < _LEAST_DEVIATION] = 1.0
        for name, found in (("mean", mean), ("deviation", deviation)):
            getattr(self, name).copy_(torch.from_numpy(found[:, None]))

    def forward(self, values: Tensor) -> Tensor:
        """(rows, layers, steps, width) -> the same, standardised."""
        return (values - self.mean) / self.deviation


class Branch(nn.Module):
    """M1, M2 or M3.

    Attributes:
        config: the options, the modality, and whether an encoder is tuned.
        standardised: of features that come ready; None where an encoder is tuned.
    """

    def __init__(
        self, modality: str, states: States, classes: int, options: BranchOptions | None = None
    ) -> None:
        """
        Args:
            modality: `speech` or `text`: what of a batch is read.
            states: what the encoder gives.
            classes: outputs.
            options: None for the defaults.

        Raises:
            InputError: there is no such modality.
        """
        super().__init__()
        if modality not in MODALITIES:
            raise InputError(bad_value("modality", modality, MODALITIES))
        self.options = options = options or BranchOptions()
        self.modality = modality
        self.config = {"modality": modality, "tuned": states.encoder is not None, "branch": repr(options)}
        self.front = front(states.encoder)
        self.standardised = None if states.encoder is not None else Standardised(states.layers, states.width)
        self.layer_weights = LayerWeights(states.layers) if options.states == "weighted" else None
        self.lstm: nn.LSTM | None = None
        self.pooling: Pooling | None = None
        if options.shape == "lstm":
            self.lstm = nn.LSTM(states.width, options.hidden, batch_first=True)
            width = options.hidden
        else:
            self.pooling = Pooling(options.pooling)
            width = self.pooling.width(states.width)
        self.head = nn.Sequential(
            nn.Dropout(options.dropout),
            nn.Linear(width, options.width),
            nn.ReLU(),
            nn.Dropout(options.dropout),
            nn.Linear(options.width, classes),
        )

    def forward(self, batch: Batch) -> Tensor:
        """
        Returns:
            float32 logits of shape (rows, classes).
        """
        values, lengths = self.front(given(batch, self.modality))
        if self.standardised is not None:
            values = self.standardised(values)
        steps = self._chosen(values)
        logits: Tensor = self.head(self._vector(steps, lengths))
        return logits

    def _chosen(self, values: Tensor) -> Tensor:
        """(rows, layers, steps, width) -> (rows, steps, width)."""
        if self.layer_weights is not None:
            weighted: Tensor = self.layer_weights(values)
            return weighted
        return values[:, 0 if self.options.states == "embedding" else -1]

    def _vector(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """(rows, steps, width) -> (rows, width of the head)."""
        if self.pooling is not None:
            pooled: Tensor = self.pooling(steps, lengths)
            return pooled
        assert self.lstm is not None
        # Packed, the LSTM stops at each row's end; a row without steps is one step of zeros.
        kept = steps.masked_fill(~mask(lengths, steps.shape[1])[:, :, None], 0.0)
        packed = nn.utils.rnn.pack_padded_sequence(
            kept, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)
        return torch.as_tensor(last[-1])

    def parameter_groups(self, lr: float) -> Sequence[dict[str, Any]]:
        """A smaller learning rate for an encoder that is tuned; see `training.machinery.optimizer`."""
        encoder = list(self.front.parameters())
        own = {id(value) for value in encoder}
        head = [value for value in self.parameters() if id(value) not in own]
        groups: list[dict[str, Any]] = [{"params": head, "lr": lr}]
        if encoder:
            groups.append({"params": encoder, "lr": self.options.encoder_lr})
        return groups
