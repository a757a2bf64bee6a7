"""A pretrained model as one module: sequences in, all hidden states out, exact whatever fills the rows up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..batch import Sequences


class States(nn.Module):
    """What `Encoder.tunable` gives, and what a frozen encoder runs.

    Attributes:
        front: the part that is never trained; empty for none.
    """

    front: nn.ModuleList

    @abstractmethod
    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """The states, float32 (rows, layers, steps, width), zero after each end; and steps, int64 (rows,)."""

    def freeze_front(self) -> None:
        """Takes the front out of training."""
        for parameter in self.front.parameters():
            parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> States:
        """As for any module, but that the front keeps still."""
        super().train(mode)
        self.front.train(False)
        return self


@contextmanager
def recorded(layers: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Collects what goes into the first of some layers and what comes out of each."""
    states: list[Tensor] = []

    def before(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        states.append(given[0] if given else named["hidden_states"])

    def after(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        states.append(output[0] if isinstance(output, tuple) else output)

    handles = [layers[0].register_forward_pre_hook(before, with_kwargs=True)]
    handles += [layer.register_forward_hook(after) for layer in layers]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def counted(lengths: Tensor, steps: int) -> Tensor:
    """Which steps of each row count: bool of shape (rows, steps)."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def stacked(states: Sequence[Tensor], lengths: Tensor) -> Tensor:
    """States (rows, steps, width) of each layer as one tensor, cut to the longest row and zero after ends."""
    steps = int(lengths.max())
    joined = torch.stack([state[:, :steps] for state in states], dim=1)
    return joined.masked_fill(~counted(lengths, steps)[:, None, :, None], 0.0)
