"""From hidden states to one vector: weighted sums of layers and pooling over time, without the filling.

All of it gives for a row of a padded batch what it gives for the row alone: filled-up steps never count,
whatever stands in them. A row without any step pools to zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ..errors import InputError, bad_value

# Under the root of a variance: the gradient of a root has no end at 0.
_LEAST_VARIANCE = 1e-10


def mask(lengths: Tensor, steps: int) -> Tensor:
    """Which steps count: bool of shape (rows, steps) from lengths of shape (rows,).

    >>> mask(torch.tensor([1, 3]), 3).tolist()
    [[True, False, False], [True, True, True]]
    """
    return torch.arange(steps, device=lengths.device)[None, :] < lengths[:, None]


class LayerWeights(nn.Module):
    """A learnable weighted sum of an encoder's hidden states; the weights add up to 1 (softmax).

    Source: Yang et al. 2021 (SUPERB), section 3.
    """

    def __init__(self, layers: int) -> None:
        """
        Args:
            layers: number of hidden states, the input of the first layer among them.
        """
        super().__init__()
        # Equal weights at the start: the mean of the layers.
        self.logits = nn.Parameter(torch.zeros(layers))

    def weights(self) -> Tensor:
        """The weights as they are now, shape (layers,)."""
        return self.logits.softmax(dim=0)

    def forward(self, values: Tensor) -> Tensor:
        """(rows, layers, steps, width) -> (rows, steps, width).

        Raises:
            InputError: the states have another number of layers.
        """
        if values.shape[1] != len(self.logits):
            raise InputError(f"The model was made for {len(self.logits)} layers, got {values.shape[1]}")
        return torch.einsum("l,rlsw->rsw", self.weights().to(values.dtype), values)


def _counted(values: Tensor, lengths: Tensor) -> Tensor:
    """Mask of shape (rows, steps, 1)."""
    return mask(lengths, values.shape[1])[:, :, None]


def mean(values: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the steps that count: (rows, steps, width) -> (rows, width)."""
    kept = values.masked_fill(~_counted(values, lengths), 0.0)
    return kept.sum(dim=1) / lengths.clamp(min=1)[:, None].to(values.dtype)


def maximum(values: Tensor, lengths: Tensor) -> Tensor:
    """Largest value over the steps that count: (rows, steps, width) -> (rows, width)."""
    largest = values.masked_fill(~_counted(values, lengths), -torch.inf).amax(dim=1)
    return largest.masked_fill((lengths == 0)[:, None], 0.0)


def mean_std(values: Tensor, lengths: Tensor) -> Tensor:
    """Mean and population standard deviation side by side: (rows, steps, width) -> (rows, 2 * width)."""
    middle = mean(values, lengths)
    squared = (values - middle[:, None, :]).masked_fill(~_counted(values, lengths), 0.0).square()
    variance = squared.sum(dim=1) / lengths.clamp(min=1)[:, None].to(values.dtype)
    deviation = variance.clamp(min=_LEAST_VARIANCE).sqrt()
    return torch.cat((middle, deviation.masked_fill((lengths == 0)[:, None], 0.0)), dim=1)


def mean_max(values: Tensor, lengths: Tensor) -> Tensor:
    """Half of mean and maximum together: (rows, steps, width) -> (rows, width)."""
    return (mean(values, lengths) + maximum(values, lengths)) / 2


def concat(values: Tensor, lengths: Tensor) -> Tensor:
    """Mean and maximum side by side: (rows, steps, width) -> (rows, 2 * width)."""
    return torch.cat((mean(values, lengths), maximum(values, lengths)), dim=1)


POOLINGS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": mean,
    "max": maximum,
    "mean_std": mean_std,
    "mean_max": mean_max,
    "concat": concat,
}
_DOUBLE = ("mean_std", "concat")


class Pooling(nn.Module):
    """Pooling over time, chosen by name.

    Attributes:
        name: one of `POOLINGS`.
    """

    def __init__(self, name: str = "mean") -> None:
        """
        Raises:
            InputError: there is no such pooling; the message lists the choices.
        """
        super().__init__()
        if name not in POOLINGS:
            raise InputError(bad_value("pooling", name, POOLINGS))
        self.name = name

    def width(self, width: int) -> int:
        """How wide the pooled vector of states of this width is.

        >>> Pooling("concat").width(8), Pooling("mean").width(8)
        (16, 8)
        """
        return 2 * width if self.name in _DOUBLE else width

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """(rows, steps, width) and (rows,) -> (rows, `width(width)`)."""
        return POOLINGS[self.name](values, lengths)
