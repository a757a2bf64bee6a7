"""Arousal, valence and dominance from sound and words (de Oliveira et al. 2023, figure 1).

    sound -> speech encoder -> states -> pooled over time --+
                                                            +- joined -> FC -> tanh -> FC -> values
    words -> text encoder   -> states -> pooled over time --+

Source: de Oliveira, Prabhu, Gerkmann: Leveraging Semantic Information for Efficient Self-Supervised Emotion
Recognition with Audio-Textual Distilled Models. Interspeech 2023, section 3.

The paper takes both the mean and the maximum over time, and gives the pooled vector the width of one of
them: here half of their sum stands for that, and `mean`, `max` and `concat` are the other readings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import InputError, bad_value
from ..batch import Batch, Sequences
from ..pooling import LayerWeights, Pooling
from .frontend import front, given

POOLING_CHOICES = ("mean_max", "mean", "max", "concat")
STATES = ("last", "weighted")


@dataclass(frozen=True, slots=True)
class Side:
    """What one modality comes as.

    Attributes:
        layers: hidden states that the encoder gives, the input of its first layer among them.
        width: of a state.
        encoder: trained with the model (`Encoder.tunable()`); None where the batches hold its states already.
        states: `last`, or `weighted`: all states in a learnt sum, whose weights say which layers matter.
        pooling: over time, one of `POOLING_CHOICES`.
        normalise: whether each step of each state is brought to zero mean and unit variance first: an
            encoder's layers differ in size, which their weights would else have to make up for. The paper
            does not.
    """

    layers: int
    width: int
    encoder: nn.Module | None = None
    states: str = "last"
    pooling: str = "mean_max"
    normalise: bool = False

    def __post_init__(self) -> None:
        if self.states not in STATES:
            raise InputError(bad_value("states", self.states, STATES))
        if self.pooling not in POOLING_CHOICES:
            raise InputError(bad_value("pooling", self.pooling, POOLING_CHOICES))


class Branch(nn.Module):
    """One modality, from the batch to one vector per row."""

    def __init__(self, side: Side) -> None:
        super().__init__()
        self.front = front(side.encoder)
        self.layer_weights = LayerWeights(side.layers) if side.states == "weighted" else None
        self.pooling = Pooling(side.pooling)
        self._normalise = side.normalise
        self.width = self.pooling.width(side.width)

    def forward(self, sequences: Sequences) -> Tensor:
        """
        Returns:
            float32 of shape (rows, width).
        """
        states, lengths = self.front(sequences)
        if self._normalise:
            states = functional.layer_norm(states, states.shape[-1:])
        chosen = states[:, -1] if self.layer_weights is None else self.layer_weights(states)
        return self.pooling(chosen, lengths)


class AudioTextRegressor(nn.Module):
    """The paper's model; without `text` its audio-only one.

    Attributes:
        audio, text: the branches; `audio.layer_weights` tells of the layers.
        joined: width of the vector that the fully connected layers get.
        config: what the model was made with.
    """

    def __init__(
        self,
        audio: Side,
        text: Side | None = None,
        *,
        outputs: int = 3,
        hidden: int | None = None,
        dropout: float = 0.1,
        layers_rate: float = 1.0,
    ) -> None:
        """
        Args:
            audio, text: the modalities.
            outputs: dimensions: three at once, or one.
            hidden: width between the two fully connected layers; None for the joined vector's own width
                (the paper gives none).
            dropout: before each fully connected layer.
            layers_rate: learning rate of the weights over layers, in multiples of the others'.
        """
        super().__init__()
        self.config = {
            "audio": _named(audio),
            "text": _named(text),
            "dropout": dropout,
            "layers_rate": layers_rate,
        }
        self._layers_rate = layers_rate
        self.audio = Branch(audio)
        self.text = None if text is None else Branch(text)
        self.joined = self.audio.width + (0 if self.text is None else self.text.width)
        between = hidden or self.joined
        # The output is linear: the loss, 1 - CCC, scales it by itself.
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(self.joined, between),
            nn.Tanh(),
            nn.Dropout(dropout),
            nn.Linear(between, outputs),
        )

    def pooled(self, batch: Batch) -> Tensor:
        """The joined vector of each row, shape (rows, joined).

        Raises:
            InputError: the batch lacks a modality that the model has.
        """
        vectors = [self.audio(given(batch, "speech"))]
        if self.text is not None:
            vectors.append(self.text(given(batch, "text")))
        return torch.cat(vectors, dim=1)

    def forward(self, batch: Batch) -> Tensor:
        """
        Returns:
            float32 of shape (rows, outputs).
        """
        values: Tensor = self.head(self.pooled(batch))
        return values

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The weights over layers, with a learning rate of their own, and all others; see `training`."""
        over = [
            branch.layer_weights.logits
            for branch in (self.audio, self.text)
            if branch is not None and branch.layer_weights is not None
        ]
        chosen = {id(weights) for weights in over}
        others = [weights for weights in self.parameters() if id(weights) not in chosen]
        groups: list[dict[str, Any]] = [{"params": others}]
        return [*groups, {"params": over, "lr": lr * self._layers_rate}] if over else groups


def _named(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "states": side.states,
        "pooling": side.pooling,
        "normalise": side.normalise,
        "tuned": side.encoder is not None,
    }


def parameters(model: nn.Module) -> tuple[int, int]:
    """How many numbers a model holds, and how many of them are trained."""
    found = list(model.parameters())
    return sum(p.numel() for p in found), sum(p.numel() for p in found if p.requires_grad)
