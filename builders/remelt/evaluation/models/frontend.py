"""Where a model's hidden states come from: the feature cache, or an encoder that is trained with it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ...errors import InputError
from ..batch import Batch, Sequences
from ..pooling import LayerWeights


class Frozen(nn.Module):
    """The batch has an encoder's hidden states already; they pass through."""

    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """
        Returns:
            float32 of shape (rows, layers, steps, width), and int64 lengths of shape (rows,).
        """
        return sequences.values, sequences.lengths


class Tuned(nn.Module):
    """The batch has samples or token ids; an encoder makes hidden states of them and is trained."""

    def __init__(self, module: nn.Module) -> None:
        """
        Args:
            module: what `Encoder.tunable()` gives; its own lengths are those of the steps.
        """
        super().__init__()
        self.module = module

    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """
        Returns:
            float32 of shape (rows, layers, steps, width), and int64 lengths of shape (rows,).
        """
        values, lengths = self.module(sequences)
        return values, lengths


def front(module: nn.Module | None) -> Frozen | Tuned:
    """`Tuned` around a module, `Frozen` for None."""
    return Frozen() if module is None else Tuned(module)


@dataclass(frozen=True, slots=True)
class States:
    """What an encoder's hidden states look like.

    Attributes:
        layers: of each step, the input of the first layer among them.
        width: of each layer.
        encoder: what `Encoder.tunable()` gives, to be trained with the model; None for states that the batch
            has already.
    """

    layers: int
    width: int
    encoder: nn.Module | None = None


class WeightedStates(nn.Module):
    """The learnt weighted sum of an encoder's layers, for one modality of a batch."""

    def __init__(self, states: States) -> None:
        super().__init__()
        self.front = front(states.encoder)
        self.layer_weights = LayerWeights(states.layers)

    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """
        Returns:
            float32 of shape (rows, steps, width), and int64 lengths of shape (rows,).
        """
        values, lengths = self.front(sequences)
        return self.layer_weights(values), lengths


def given(batch: Batch, modality: str) -> Sequences:
    """The `speech` or `text` of a batch.

    Raises:
        InputError: the batch lacks it.
    """
    found = batch.speech if modality == "speech" else batch.text
    if found is None:
        raise InputError(f"The model needs {modality}, and the batch of {batch.ids[0]} has none")
    return found
