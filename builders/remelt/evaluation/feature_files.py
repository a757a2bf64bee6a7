"""The files of the feature cache: arrays that are only ever appended, and an index of those that are whole.

Each encoder (and each way of keeping its states) has a folder of its own: `data.f16` with the arrays, and
`index.jsonl`, one line for each array that is on the disk for good. Whatever a broken-off process left behind
the last such array is cut off by the next one.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, Interrupted
from ..records import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .encoders.base import Encoder

# Of the files' layout and of what is computed: a change means that everything is encoded anew.
VERSION = 1

_DATA, _INDEX, _ABOUT, _LOCK = "data.f16", "index.jsonl", "about.json", "lock"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an array lies: its first number in the data file, its steps, what was done to the item."""

    offset: int
    steps: int
    remark: str = ""


class Store:
    """The files of one encoder and one way of keeping its states.

    Attributes:
        data: the file of the arrays.
        shape: layers and width of each array.
    """

    def __init__(self, folder: Path, encoder: Encoder, layers: str, pooled: bool) -> None:
        """
        Args:
            folder: of the cache.
            encoder: gives the states.
            layers: `all`, or the `last` one alone.
            pooled: whether mean and standard deviation over the steps are kept side by side in place of the
                steps.
        """
        self._encoder, self._last, self._pooled = encoder, layers == "last", pooled
        self.shape = (1 if self._last else encoder.layers, encoder.width * (2 if pooled else 1))
        self._about = {
            "version": VERSION,
            "encoder": encoder.name,
            "identity": encoder.identity,
            "kept": layers,
            "pooled": "mean_std" if pooled else None,
            "layers": self.shape[0],
            "width": self.shape[1],
            "format": "float16, little endian; each array (layers, steps, width)",
        }
        key = digest({name: value for name, value in self._about.items() if name != "encoder"})
        self.folder = folder / key[:32]
        self.data, self._index = self.folder / _DATA, self.folder / _INDEX

    def read(self) -> dict[str, Entry]:
        """What is there whole; another process may be adding to it."""
        return self._read()[0]

    def _read(self) -> tuple[dict[str, Entry], int, int]:
        """What is there whole, and how many bytes of the index and of the data that is."""
        try:
            lines = self._index.read_bytes().splitlines(keepends=True)
            room = self.data.stat().st_size // 2
        except FileNotFoundError:
            return {}, 0, 0
        found: dict[str, Entry] = {}
        good = end = 0
        for line in lines:
            entry = _parsed(line)
            if entry is None or entry[1].offset != end:
                break
            after = end + self.shape[0] * entry[1].steps * self.shape[1]
            if after > room:
                break
            found[entry[0]] = entry[1]
            good, end = good + len(line), after
        return found, good, 2 * end

    def repaired(self) -> dict[str, Entry]:
        """What is there whole, with everything behind it cut off; call it under the lock only."""
        found, good, size = self._read()
        if self.data.exists():
            os.truncate(self.data, size)
        if self._index.exists():
            os.truncate(self._index, good)
        about = self.folder / _ABOUT
        if not about.exists():
            part = about.with_name(f"{_ABOUT}.part")
            part.write_text(json.dumps(self._about, indent=2) + "\n", encoding="utf-8")
            os.replace(part, about)
        return found

    @contextmanager
    def locked(self, notice: Callable[[str], None] | None) -> Iterator[None]:
        """Alone with the files; waits for another process that encodes with the same model."""
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder} cannot be made: {error.strerror}") from error
        lock = FileLock(str(self.folder / _LOCK))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if notice is not None:
                notice(f"Another process is encoding with {self._encoder.name}; waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def kept(self, state: NDArray[np.float16], name: str) -> NDArray[np.float16]:
        """What is kept of an item's states, which always come in half precision.

        Raises:
            InputError: states of another shape, or with values that are no numbers.
        """
        import numpy as np

        expected = (self._encoder.layers, self._encoder.width)
        if state.ndim != 3 or (state.shape[0], state.shape[2]) != expected or state.shape[1] < 1:
            raise InputError(
                f"{self._encoder.name} gives {state.shape} for {name}, expected (layers, steps, width) "
                f"({expected[0]}, at least 1, {expected[1]})"
            )
        if not np.isfinite(state).all():
            raise InputError(
                f"{self._encoder.name} gives values that are no numbers for {name}; is the item whole?"
            )
        if self._last:
            state = state[-1:]
        if self._pooled:
            wide = state.astype(np.float32)
            parts = [wide.mean(axis=1, keepdims=True), wide.std(axis=1, keepdims=True)]
            state = np.concatenate(parts, axis=2).astype(np.float16)
        return np.ascontiguousarray(state, dtype="<f2")

    def append(self, rows: Sequence[tuple[str, NDArray[np.float16], str]]) -> None:
        """Writes arrays so that they are on the disk before the index names them."""
        before = self.data.stat().st_size if self.data.exists() else 0
        known = self._index.stat().st_size if self._index.exists() else 0
        lines, offset = [], before // 2
        for key, state, remark in rows:
            lines.append(json.dumps([key, offset, state.shape[1], remark], separators=(",", ":")))
            offset += state.size
        try:
            _write(self.data, (memoryview(state.tobytes()) for _, state, _ in rows))
            _write(self._index, [memoryview("".join(f"{line}\n" for line in lines).encode())])
        except OSError as error:
            for path, size in ((self.data, before), (self._index, known)):
                if path.exists():
                    os.truncate(path, size)
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise Interrupted(
                    f"The disk is full: {self.folder} has no room for {2 * offset - before:,} more bytes of "
                    f"features of {self._encoder.name}. What was encoded is kept; make room and run the same "
                    "command again"
                ) from error
            raise InputError(f"{self.folder} cannot be written: {error.strerror}") from error


def _parsed(line: bytes) -> tuple[str, Entry] | None:
    """A line of the index; None for one that is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        key, offset, steps, remark = json.loads(line)
        return str(key), Entry(int(offset), int(steps), str(remark))
    except (ValueError, TypeError):
        return None


def _write(path: Path, blocks: Iterator[memoryview] | Sequence[memoryview]) -> None:
    """Appends to a file; returns when it is on the disk."""
    with path.open("ab", buffering=0) as file:
        for block in blocks:
            while block:
                block = block[file.write(block) :]
        os.fsync(file.fileno())
