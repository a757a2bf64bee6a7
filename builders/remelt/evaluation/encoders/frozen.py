"""Runs a model that is not trained over many rows: as many at once as fit, in half precision afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...errors import InputError
from ..batch import Sequences
from .states import States

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The largest number of half precision; few models' states go beyond it.
_LARGEST = 65_504.0


class Frozen:
    """A model that gives the states of rows and stays as it is.

    Args:
        states: the model.
        device: where it runs.
        most: samples or tokens, fillings included, that go through it at once.
        name: of the encoder, for messages.

    Attributes:
        states: the model.
    """

    def __init__(self, states: States, device: str, most: int, name: str) -> None:
        self.states = states.to(device).eval()
        self.states.requires_grad_(False)
        self._device, self._most, self._name = device, most, name

    def __call__(
        self, rows: Sequence[NDArray[Any]], size: Callable[[NDArray[Any]], int] = len
    ) -> Iterator[NDArray[np.float16]]:
        """The states of each row, in order: shape (layers, steps, width).

        Args:
            rows: samples or token ids.
            size: how much of the memory a row takes.

        Raises:
            InputError: the memory is too small all the same.
        """
        group: list[NDArray[Any]] = []
        longest = 0
        for row in rows:
            if group and (len(group) + 1) * max(longest, size(row)) > self._most:
                yield from self._run(group)
                group, longest = [], 0
            group.append(row)
            longest = max(longest, size(row))
        if group:
            yield from self._run(group)

    def _run(self, rows: Sequence[NDArray[Any]]) -> Iterator[NDArray[np.float16]]:
        lengths = torch.tensor([len(row) for row in rows])
        values = torch.zeros(len(rows), int(lengths.max()), dtype=torch.from_numpy(rows[0]).dtype)
        for place, row in zip(values, rows, strict=True):
            place[: len(row)] = torch.from_numpy(row)
        try:
            with torch.inference_mode():
                states, steps = self.states(Sequences(values.to(self._device), lengths.to(self._device)))
                found = states.clamp(-_LARGEST, _LARGEST).half().cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"The memory of {self._device} is too small for {self._name} with {len(rows)} rows of up to "
                f"{int(lengths.max())} samples or tokens at once; take a smaller batch size"
            ) from error
        for row, count in zip(found, steps.tolist(), strict=True):
            yield np.ascontiguousarray(row[:, :count])


def room(most: dict[str, int], device: str) -> int:
    """What goes through a model at once on a device: `most` has `cpu` and `cuda`."""
    return most.get(device.partition(":")[0], most["cpu"])
