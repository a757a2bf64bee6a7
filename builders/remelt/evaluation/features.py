"""What frozen encoders give, computed once for each clip and kept on disk.

Whenever an encoder runs, mean and standard deviation over the steps of all its layers are kept too: they are
small beside the states, and whoever asks for pooled features later costs no second run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, bad_value
from .feature_files import Entry, Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .encoders.base import Encoder

LAYERS = ("all", "last")
POOLS = (None, "mean", "mean_std")
# Batches that are loaded together and put in order of length.
_WINDOW = 16
# States that are pooled at once.
_TOGETHER = 256
# What is encoded is written at least so often, so that a break loses no more.
_SECONDS = 5.0
# Samples or characters of one such window, so that many long sounds do not fill the memory.
_MOST = 64_000_000


class Features:
    """The states of many items, read from disk as they are asked for; a `Store` for batches.

    Args:
        store: the files.
        rows: id -> place in them.
        shape: layers and width of what is asked for: the last of the files' layers, the first of their
            numbers.
        notices: of the encoder.

    Attributes:
        layers, width: states of each item, and numbers of one step.
        lengths: id -> steps.
    """

    def __init__(
        self, store: Store, rows: Mapping[str, Entry], shape: tuple[int, int], notices: Sequence[str] = ()
    ) -> None:
        self._data, self._stored = store.data, store.shape
        self._rows, self._notices = dict(rows), tuple(notices)
        self.layers, self.width = shape
        self.lengths: Mapping[str, int] = {name: entry.steps for name, entry in rows.items()}
        self._map = _mapped(self._data)

    def __getitem__(self, name: str) -> NDArray[np.float16]:
        """The states of an item: shape (layers, steps, width); a view that cannot be written to.

        Raises:
            KeyError: it was not asked for.
        """
        entry, (layers, width) = self._rows[name], self._stored
        view = self._map[entry.offset : entry.offset + layers * entry.steps * width]
        return view.reshape(layers, entry.steps, width)[-self.layers :, :, : self.width]

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getstate__(self) -> dict[str, Any]:
        # A memory map would be sent to another process as the numbers themselves.
        return {**self.__dict__, "_map": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map = _mapped(self._data)

    @property
    def remarks(self) -> dict[str, list[str]]:
        """What was done to items so that they fit -> their ids."""
        found: dict[str, list[str]] = {}
        for name, entry in self._rows.items():
            if entry.remark:
                found.setdefault(entry.remark, []).append(name)
        return found

    def notes(self) -> tuple[str, ...]:
        """Sentences about the encoder and about what was done to items, with counts."""
        counts = (f"{len(names)} of {len(self)}: {text}" for text, names in self.remarks.items())
        return (*self._notices, *counts)


class FeatureCache:
    """Encodes what it does not have yet and remembers it; several processes may share a folder.

    Args:
        folder: where the features are kept; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)

    def features(
        self,
        encoder: Encoder,
        keys: Sequence[tuple[str, str]],
        load: Callable[[str], Any],
        *,
        batch_size: int = 16,
        layers: str = "all",
        pooled: str | None = None,
        progress: Callable[[int, int], None] | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> Features:
        """The features of some items.

        Args:
            encoder: encodes what is missing.
            keys: id and hash of the content of each item; what has the same hash is encoded once.
            load: gives an item (sound or text) by its id; asked only for what is missing.
            batch_size: items encoded at once; items of about the same length go together.
            layers: `all` states, or the `last` one alone.
            pooled: None for all steps; `mean` or `mean_std` over the steps, which leaves one step (of twice
                the width for `mean_std`).
            progress: told how many items there are now, and of how many.
            notice: told that another process is waited for.

        Raises:
            InputError: an unknown way to keep features, or an item cannot be loaded or encoded.
            Interrupted: the disk is full; what was finished stays, and the same call goes on.
        """
        if batch_size < 1:
            raise InputError(f"Bad batch_size {batch_size!r}, expected a whole number from 1")
        if layers not in LAYERS:
            raise InputError(bad_value("layers of features", layers, LAYERS))
        if pooled not in POOLS:
            raise InputError(bad_value("pooling of features", pooled, POOLS))
        whole, pools = (Store(self._folder, encoder, "all", kept) for kept in (False, True))
        store = pools
        if pooled is None:
            store = Store(self._folder, encoder, layers, False)
            if layers == "last" and not _missing(keys, there := whole.read()):
                store, found = whole, there
        found = store.read()
        if _missing(keys, found):
            with ExitStack() as locks:
                # The pools are always locked second, so that no two processes wait for each other.
                for one in dict.fromkeys((store, pools)):
                    locks.enter_context(one.locked(notice))
                missing = _missing(keys, store.repaired())
                filling = _Filling(encoder, store, pools, _Progress(progress, keys, missing))
                if store is pools:
                    filling.pool(missing, whole)
                filling.encode(missing, load, batch_size)
            found = store.read()
        width = encoder.width * (2 if pooled == "mean_std" else 1)
        shape = (1 if layers == "last" else encoder.layers, width)
        return Features(store, {name: found[key] for name, key in keys}, shape, encoder.notices)


class _Progress:
    """Counts the ids that are there; several may share one content."""

    def __init__(
        self,
        tell: Callable[[int, int], None] | None,
        keys: Sequence[tuple[str, str]],
        missing: Mapping[str, str],
    ) -> None:
        self._tell, self._total = tell, len(keys)
        self._shared: dict[str, int] = {}
        for _, key in keys:
            self._shared[key] = self._shared.get(key, 0) + 1
        self._done = len(keys) - sum(self._shared[key] for key in missing)

    def add(self, contents: Sequence[str]) -> None:
        self._done += sum(self._shared[key] for key in contents)
        if self._tell is not None:
            self._tell(self._done, self._total)


class _Filling:
    """Adds what is missing to the files; their locks are held.

    Args:
        store: what is filled.
        pools: what is filled besides; may be the same.
    """

    def __init__(self, encoder: Encoder, store: Store, pools: Store, progress: _Progress) -> None:
        self._encoder, self._store, self._pools, self._progress = encoder, store, pools, progress
        self._known = set(pools.repaired())

    def pool(self, missing: dict[str, str], whole: Store) -> None:
        """Pools states that are there already; takes them out of `missing` (content -> an id that has it)."""
        there = whole.read()
        states = Features(whole, {key: there[key] for key in missing if key in there}, whole.shape)
        keys = iter(states)
        while some := list(islice(keys, _TOGETHER)):
            self._add([(key, missing.pop(key), states[key], there[key].remark) for key in some])

    def encode(self, missing: Mapping[str, str], load: Callable[[str], Any], batch_size: int) -> None:
        """Encodes what is missing."""
        for window in _windows(missing, load, _WINDOW * batch_size):
            window.sort(key=lambda row: len(row[2]))
            encoded: list[tuple[str, str, NDArray[np.float16], str]] = []
            begun = time.monotonic()
            for start in range(0, len(window), batch_size):
                rows = window[start : start + batch_size]
                states = self._encoder.encode([item for _, _, item in rows])
                for (key, name, item), state in zip(rows, states, strict=True):
                    encoded.append((key, name, state, self._encoder.remark(item)))
                if start + batch_size >= len(window) or time.monotonic() - begun > _SECONDS:
                    self._add(encoded)
                    encoded, begun = [], time.monotonic()

    def _add(self, rows: Sequence[tuple[str, str, NDArray[np.float16], str]]) -> None:
        """Writes content, id, states and remark of items."""
        for store in dict.fromkeys((self._pools, self._store)):
            new = [row for row in rows if store is not self._pools or row[0] not in self._known]
            store.append([(key, store.kept(state, name), remark) for key, name, state, remark in new])
        self._progress.add([key for key, *_ in rows])


def _missing(keys: Sequence[tuple[str, str]], found: Mapping[str, Entry]) -> dict[str, str]:
    """Content -> the first id that has it, for what is not there."""
    missing: dict[str, str] = {}
    for name, key in keys:
        if key not in found:
            missing.setdefault(key, name)
    return missing


def _windows(
    missing: Mapping[str, str], load: Callable[[str], Any], size: int
) -> Iterator[list[tuple[str, str, Any]]]:
    """Content, id and item, so many at a time that they fit into memory."""
    rows = ((key, name, load(name)) for key, name in missing.items())
    while window := list(islice(rows, 1)):
        weight = len(window[0][2])
        while weight < _MOST and len(window) < size and (more := next(rows, None)) is not None:
            window.append(more)
            weight += len(more[2])
        yield window


def _mapped(data: Path) -> NDArray[np.float16]:
    import numpy as np

    # Half a number may stand at the end, where a process was broken off.
    size = data.stat().st_size // 2 if data.exists() else 0
    return np.memmap(data, "<f2", mode="r", shape=(size,)) if size else np.empty(0, "<f2")
