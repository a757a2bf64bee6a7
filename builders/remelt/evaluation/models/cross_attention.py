"""Speech and text that attend to each other (Feng and Narayanan 2023, section 4).

    sound -> encoder -> weighted sum of layers -> FC -> asks the words -> mean over time --+
                                                     x                                     +- joined -> FCs
    words -> encoder -> weighted sum of layers -> FC -> asks the sound -> mean over time --+

Source: Feng, Narayanan: Foundation Model Assisted Automatic Speech Emotion Recognition: Transcribing,
Annotating, and Augmenting. 2023 (arXiv 2309.08108), section 4. Without `text` it is the paper's speech-only
model: the same branch, whose steps ask nobody. The paper gives no widths: those here are options.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...errors import InputError, bad_value
from ..batch import Batch
from ..pooling import POOLINGS, Pooling, mask
from .frontend import States, WeightedStates, given


@dataclass(frozen=True, slots=True)
class AttentionOptions:
    """What the paper leaves open.

    Attributes:
        width: of both modalities once they are projected, and of the classifier; a multiple of `heads`.
        heads: of each attention.
        dropout: after projections, in the attention and before the classifier.
        pooling: over time, one of `pooling.POOLINGS`.
    """

    width: int = 256
    heads: int = 4
    dropout: float = 0.2
    pooling: str = "mean"

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise InputError(
                f"Bad width {self.width!r} for {self.heads!r} heads, expected a multiple of their number"
            )
        if not 0 <= self.dropout < 1:
            raise InputError(f"Bad dropout {self.dropout!r}, expected a share from 0 to below 1")
        if self.pooling not in POOLINGS:
            raise InputError(bad_value("pooling", self.pooling, POOLINGS))


class Projected(nn.Module):
    """One modality: weighted layers, brought to the common width."""

    def __init__(self, states: States, options: AttentionOptions) -> None:
        super().__init__()
        self.states = WeightedStates(states)
        self.project = nn.Sequential(
            nn.Linear(states.width, options.width), nn.ReLU(), nn.Dropout(options.dropout)
        )

    def forward(self, batch: Batch, modality: str) -> tuple[Tensor, Tensor]:
        """
        Returns:
            float32 of shape (rows, steps, width), and int64 lengths of shape (rows,).
        """
        values, lengths = self.states(given(batch, modality))
        return self.project(values), lengths


class Asking(nn.Module):
    """The steps of one modality attend to those of the other; what they find is added to them."""

    def __init__(self, options: AttentionOptions) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(
            options.width, options.heads, dropout=options.dropout, batch_first=True
        )
        self.norm = nn.LayerNorm(options.width)

    def forward(self, own: Tensor, other: Tensor, other_lengths: Tensor) -> Tensor:
        """(rows, steps, width), and (rows, steps', width) of the other -> (rows, steps, width)."""
        # A row without any step to ask would get no number at all: it asks one filled-up step.
        filled = ~mask(other_lengths.clamp(min=1), other.shape[1])
        found, _ = self.attention(own, other, other, key_padding_mask=filled, need_weights=False)
        added: Tensor = self.norm(own + found)
        return added


class CrossAttention(nn.Module):
    """The paper's model of speech and text; without `text` its speech-only one.

    Attributes:
        speech, text: the branches; `speech.states.layer_weights.weights()` tells of the layers.
    """

    def __init__(
        self,
        speech: States,
        text: States | None,
        classes: int,
        options: AttentionOptions | None = None,
    ) -> None:
        """
        Args:
            speech, text: what the encoders give.
            classes: outputs.
            options: None for the defaults.
        """
        super().__init__()
        options = options or AttentionOptions()
        self.speech = Projected(speech, options)
        self.text = None if text is None else Projected(text, options)
        if text is not None:
            self.speech_asks, self.text_asks = Asking(options), Asking(options)
        self.pooling = Pooling(options.pooling)
        joined = self.pooling.width(options.width) * (1 if text is None else 2)
        self.head = nn.Sequential(
            nn.Linear(joined, options.width),
            nn.ReLU(),
            nn.Dropout(options.dropout),
            nn.Linear(options.width, classes),
        )

    def forward(self, batch: Batch) -> Tensor:
        """
        Returns:
            float32 logits of shape (rows, classes).
        """
        heard, heard_steps = self.speech(batch, "speech")
        if self.text is None:
            pooled = self.pooling(heard, heard_steps)
        else:
            read, read_steps = self.text(batch, "text")
            pooled = torch.cat(
                (
                    self.pooling(self.speech_asks(heard, read, read_steps), heard_steps),
                    self.pooling(self.text_asks(read, heard, heard_steps), read_steps),
                ),
                dim=1,
            )
        logits: Tensor = self.head(pooled)
        return logits
