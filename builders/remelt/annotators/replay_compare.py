"""What a corpus and replayed sources do not have in common, for sources that memory does not hold."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, TypeVar, overload

from .replay_sources import Source

_CACHE_KIB = 4_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Difference:
    """A replayed row that speaks of another utterance than the corpus does under that id.

    Attributes:
        fields: what differs: `text`, `speaker` or both.
        replayed, corpus: the values, in the order of `fields`.
    """

    id: str
    fields: tuple[str, ...]
    replayed: tuple[str, ...]
    corpus: tuple[str, ...]

    def __str__(self) -> str:
        pairs = zip(self.fields, self.replayed, self.corpus, strict=True)
        return f"{self.id}: " + "; ".join(f"{f} {a!r}, the corpus has {b!r}" for f, a, b in pairs)


def names_of(identity: str) -> tuple[str, str]:
    """What an utterance may be called in a source: its id, or its id without the corpus."""
    return identity, identity.partition("/")[2]


class _Keys:
    """The keys of a source in order, each with a number that only grows."""

    def __init__(self, source: Source) -> None:
        self._index = source.index
        self._places = {} if source.index else {key: n for n, key in enumerate(source.replies)}
        self.size = source.index.places if source.index else len(self._places)
        self.count = len(source.replies)

    def place(self, key: str) -> int | None:
        return self._index.first(key) if self._index else self._places.get(key)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self._index.in_order() if self._index else ((n, key) for key, n in self._places.items())


class Unused(Sequence[str]):
    """The ids of the sources that none of the asked ids stands for, in the sources' order.

    One bit is held for each row of the sources; the ids are read again from their indexes.
    """

    def __init__(self, sources: Iterable[Source], asked: Iterable[str]) -> None:
        self._keys = [(keys, bytearray(keys.size // 8 + 1)) for keys in map(_Keys, sources)]
        self._left = sum(keys.count for keys, _ in self._keys)
        for identity in asked:
            for key in names_of(identity):
                for keys, used in self._keys:
                    place = keys.place(key)
                    if place is not None and not used[place >> 3] & 1 << (place & 7):
                        used[place >> 3] |= 1 << (place & 7)
                        self._left -= 1

    def __len__(self) -> int:
        return self._left

    def __iter__(self) -> Iterator[str]:
        for keys, used in self._keys:
            for place, key in keys:
                if not used[place >> 3] & 1 << (place & 7):
                    yield key

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, int):
            return _one(self, at)
        start, stop, step = at.indices(len(self))
        return list(islice(self, start, stop, step))


class Differences(Sequence[Difference]):
    """Rows whose text or speaker is not the corpus's, in the sources' order; kept in a temporary file."""

    def __init__(self, sources: Iterable[Source]) -> None:
        # An empty name is a file that SQLite removes by itself.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("CREATE TABLE found (id BLOB PRIMARY KEY, place INTEGER, data TEXT) WITHOUT ROWID")
        self._db.execute("CREATE INDEX places ON found (place, id)")
        self._keys = list(map(_Keys, sources))

    def add(self, difference: Difference) -> None:
        """Takes down a row; one that was there is replaced."""
        key = difference.id.encode("utf-8", "surrogatepass")
        place = min(map(self._place, names_of(difference.id)))
        data = json.dumps(asdict(difference))
        self._db.execute("INSERT OR REPLACE INTO found VALUES (?, ?, ?)", (key, place, data))

    def _place(self, key: str) -> int:
        place, before = None, 0
        for keys in self._keys:
            here = keys.place(key)
            place = place if here is None else before + here
            before += keys.size
        return before if place is None else place

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM found").fetchone()[0])

    def __iter__(self) -> Iterator[Difference]:
        for (data,) in self._db.execute("SELECT data FROM found ORDER BY place, id"):
            yield _difference(json.loads(data))

    @overload
    def __getitem__(self, at: int) -> Difference: ...
    @overload
    def __getitem__(self, at: slice) -> list[Difference]: ...
    def __getitem__(self, at: int | slice) -> Difference | list[Difference]:
        if isinstance(at, int):
            return _one(self, at)
        start, stop, step = at.indices(len(self))
        return list(islice(self, start, stop, step))


def _difference(values: dict[str, Any]) -> Difference:
    lists = {name: tuple(values[name]) for name in ("fields", "replayed", "corpus")}
    return Difference(values["id"], **lists)


def _one(items: Sequence[_T], at: int) -> _T:
    place = at + len(items) if at < 0 else at
    found = next(islice(items, place, None), None) if place >= 0 else None
    if found is None:
        raise IndexError(at)
    return found
