"""The encoder of Whisper (Radford et al. 2022): log-mel windows of 30 s, all hidden states.

A window is always 30 s, silence included, so nothing depends on the other rows; of its steps (50 a second)
those of the sound are kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..batch import Sequences
from ..examples import RATE
from .states import States, recorded, stacked

FAMILIES = ("whisper",)
# Samples of one step: the mel's hop of 160, halved by the second convolution.
STEP = 320


class WhisperStates(States):
    """All hidden states of a Whisper encoder.

    Args:
        encoder: `WhisperEncoder`.
        mel: its feature extractor.

    Attributes:
        layers: states; the first is what enters the first layer.
        width: of a state.
        least: samples that give one step.
        window: samples that are heard at once.
    """

    least = 1

    def __init__(self, encoder: Any, mel: Any) -> None:
        super().__init__()
        encoder.layerdrop = 0.0
        self.encoder, self._mel = encoder, mel
        self.front = nn.ModuleList([encoder.conv1, encoder.conv2, encoder.embed_positions])
        self.layers, self.width = len(encoder.layers) + 1, int(encoder.config.d_model)
        self.window = int(encoder.max_source_positions) * STEP

    def steps(self, lengths: Tensor) -> Tensor:
        """Steps of rows of so many samples."""
        return torch.div(lengths + STEP - 1, STEP, rounding_mode="floor")

    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """See `States.forward`; values are samples of shape (rows, samples), at most one window."""
        steps = self.steps(sequences.lengths)
        device = sequences.values.device
        sounds = [
            row[:length].numpy()
            for row, length in zip(sequences.values.cpu(), sequences.lengths.tolist(), strict=True)
        ]
        heard = self._mel(sounds, sampling_rate=RATE, return_tensors="pt", device=str(device))
        with recorded(list(self.encoder.layers)) as states:
            last = self.encoder(heard["input_features"].to(device)).last_hidden_state
        return stacked([*states[:-1], last], steps), steps


def feature_extractor(config: Any) -> Any:
    """The log-mel that models of this configuration are made for."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(
        feature_size=config.num_mel_bins, chunk_length=config.max_source_positions * STEP // RATE
    )
