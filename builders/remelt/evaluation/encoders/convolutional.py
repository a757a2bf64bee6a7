"""wav2vec 2.0, HuBERT, WavLM and their kin: convolutions over samples, then a transformer.

Baevski et al. 2020 (wav2vec 2.0), Hsu et al. 2021 (HuBERT), Chen et al. 2022 (WavLM), Chang et al. 2022
(DistilHuBERT), Pratap et al. 2023 (MMS), Baevski et al. 2022 (data2vec).

A base model normalises its first convolution over the whole row, the zeros that fill it up included, so its
convolutions run on each row's own samples alone; only the transformer sees rows that were filled up.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..batch import Sequences
from ..examples import RATE
from .states import States, counted, recorded, stacked

FAMILIES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech", "unispeech-sat")
# Sound that goes through the convolutions together; they take about 20 MB for a second.
_AT_ONCE = 30 * RATE


class ConvolutionalStates(States):
    """All hidden states of a wav2vec 2.0-like model.

    Args:
        model: of one of `FAMILIES`.

    Attributes:
        layers: states; the first is what enters the first layer.
        width: of a state.
        least: samples that give one step.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        config = model.config
        # A layer that training leaves out at random would leave its state out too.
        config.layerdrop = 0.0
        self.convolutions, self.projection = model.feature_extractor, model.feature_projection
        self.transformer = model.encoder
        self.front = nn.ModuleList([self.convolutions])
        self.layers, self.width = int(config.num_hidden_layers) + 1, int(config.hidden_size)
        self._shapes = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self._per_row = getattr(config, "feat_extract_norm", "layer") == "group"
        self.least = 1
        for kernel, stride in reversed(self._shapes):
            self.least = (self.least - 1) * stride + kernel

    def train(self, mode: bool = True) -> States:
        """As for any module, but that front and batch normalisation keep still."""
        super().train(mode)
        for module in self.transformer.pos_conv_embed.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()
        return self

    def steps(self, lengths: Tensor) -> Tensor:
        """Steps of rows of so many samples."""
        for kernel, stride in self._shapes:
            lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
        return lengths

    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """See `States.forward`; values are samples of shape (rows, samples), each row at least `least`."""
        steps = self.steps(sequences.lengths)
        with torch.no_grad():
            found = self._convolved(sequences.values, sequences.lengths, steps)
        projected = self.projection(found)
        if isinstance(projected, tuple):
            projected = projected[0]
        mask = counted(steps, projected.shape[1])
        with (
            recorded(list(self.transformer.layers)) as states,
            self._positions_masked(mask),
            warnings.catch_warnings(),
        ):
            # WavLM gives torch a bool and a float mask, which torch adds up as it should.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            # The model writes zeros into what it is given.
            last = self.transformer(projected.clone(), attention_mask=mask).last_hidden_state
        return stacked([*states[:-1], last], steps), steps

    def _convolved(self, values: Tensor, lengths: Tensor, steps: Tensor) -> Tensor:
        """What the convolutions give: (rows, steps, channels), zero after ends."""
        found: Tensor | None = None
        for rows, size in self._groups(lengths):
            part = self.convolutions(values[rows, :size]).transpose(1, 2)
            if found is None:
                found = part.new_zeros(len(values), int(steps.max()), part.shape[2])
            found[rows, : part.shape[1]] = part
        assert found is not None
        return found.masked_fill(~counted(steps, found.shape[1])[:, :, None], 0.0)

    def _groups(self, lengths: Tensor) -> Iterator[tuple[Tensor, int]]:
        """Rows that go through the convolutions together, and how many samples of them."""
        order = torch.argsort(lengths, stable=True)
        sizes = lengths[order].tolist()
        begin = 0
        for end in range(1, len(sizes) + 1):
            full = end < len(sizes) and (end + 1 - begin) * sizes[end] > _AT_ONCE
            other = end < len(sizes) and self._per_row and sizes[end] != sizes[begin]
            if end == len(sizes) or full or other:
                yield order[begin:end], sizes[end - 1]
                begin = end

    @contextmanager
    def _positions_masked(self, mask: Tensor) -> Iterator[None]:
        """Keeps what fills rows up at zero between the convolutions that give positions.

        data2vec has several in a row and some HuBERT models normalise before theirs, whereby zeros become
        other numbers that the next convolution mixes into the row's last steps.
        """
        embedding = self.transformer.pos_conv_embed
        inner = [*getattr(embedding, "layers", ()), getattr(embedding, "batch_norm", None)]

        def zeroed(module: nn.Module, given: Any, output: Tensor) -> Tensor:
            return output.masked_fill(~mask[:, None, :], 0.0)

        with ExitStack() as stack:
            for module in inner:
                if module is not None:
                    stack.callback(module.register_forward_hook(zeroed).remove)
            yield
