"""What an encoder that is trained with its model reads, row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Samples and token ids that are kept after they were read; what is beyond is read again in each epoch.
_MOST_BYTES = 2 << 30


class Raw:
    """What an encoder that is tuned gets: each row's samples or token ids; a `Store` for batches."""

    def __init__(self, encoder: Any, load: Mapping[str, Callable[[], Any]]) -> None:
        self._encoder, self._load = encoder, load
        self._kept: dict[str, NDArray[Any]] = {}
        self._room = _MOST_BYTES

    def __getitem__(self, key: str) -> NDArray[Any]:
        """
        Raises:
            KeyError: no such row.
        """
        if key in self._kept:
            return self._kept[key]
        found: NDArray[Any] = self._encoder.inputs([self._load[key]()])[0]
        if found.nbytes <= self._room:
            self._kept[key] = found
            self._room -= found.nbytes
        return found
