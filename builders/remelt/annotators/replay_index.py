"""Earlier replies in a file of their own, for sources that memory should not have to hold.

The same answers, notices and errors as from memory (`replay_sources`); one row of the source at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import InputError
from ..records import Reply, digest

# Raised whenever an index of before would be read wrongly.
_VERSION = 1
_CACHE_KIB = 8_000
_SOME = 50
_REMEMBERED = 16
_DEFAULTS = {f.name: f.default for f in fields(Reply)}
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE entries (
    place INTEGER PRIMARY KEY, key BLOB NOT NULL, attempt INTEGER NOT NULL, raw TEXT NOT NULL,
    model TEXT NOT NULL, data TEXT NOT NULL
);
"""
# `first` is where a key first stands in the source, which is the source's order.
_KEYS = """
CREATE TABLE keys (first INTEGER PRIMARY KEY, key BLOB NOT NULL);
INSERT INTO keys SELECT min(place), key FROM entries GROUP BY key ORDER BY 1;
CREATE UNIQUE INDEX keys_key ON keys (key);
"""
_FIRST_OF = "(SELECT first FROM keys WHERE keys.key = entries.key)"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a source.

    Attributes:
        place: the row's number or line; they only grow.
        key: what the utterance is called in the source.
        speaker, text: as the source has them; None where it has not.
    """

    place: int
    key: str
    reply: Reply
    speaker: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Kind:
    """What sets the kinds of sources apart.

    Attributes:
        repeats: whether a row that comes again with the same reply is one (label files); else the rows of a
            key are its attempts.
        differs: the error for a row (its place, its key) that comes again with another reply.
        twice: the error for a key with two replies of one attempt.
    """

    repeats: bool
    differs: Callable[[int, str], InputError] | None = None
    twice: Callable[[str], InputError] | None = None


class Replies(Mapping[str, tuple[Reply, ...]]):
    """The replies of an index by key, first attempt first, in the source's order."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def __getitem__(self, key: str) -> tuple[Reply, ...]:
        if entries := self.index.entries(key):
            return tuple(entry.reply for entry in entries)
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self.index.entries(key))

    def __iter__(self) -> Iterator[str]:
        return (key for _, key in self.index.in_order())

    def __len__(self) -> int:
        return len(self.index)


class Spoken(Mapping[str, tuple[str | None, str | None]]):
    """Speaker and text of an index by key; those of the key's last row."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def __getitem__(self, key: str) -> tuple[str | None, str | None]:
        if entries := self.index.entries(key):
            last = max(entries, key=lambda entry: entry.place)
            return last.speaker, last.text
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self.index.entries(key))

    def __iter__(self) -> Iterator[str]:
        return (key for _, key in self.index.in_order())

    def __len__(self) -> int:
        return len(self.index)


class Index:
    """The replies of one source on disk.

    Attributes:
        facts: what was found out about the source when the index was made.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(
            path.resolve().as_uri() + "?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self.facts: dict[str, Any] = {
            name: json.loads(value) for name, value in self._db.execute("SELECT * FROM meta")
        }
        self._last: dict[str, tuple[Entry, ...]] = {}

    def __len__(self) -> int:
        return int(self.facts["keys"])

    @property
    def places(self) -> int:
        """No row's place is as high as this."""
        return int(self.facts["places"])

    def entries(self, key: str) -> tuple[Entry, ...]:
        """The rows of a key, first attempt first; none where it is not there."""
        if key not in self._last:
            query = "SELECT place, raw, model, attempt, data FROM entries WHERE key = ? ORDER BY attempt"
            rows = self._db.execute(query, (_blob(key),)).fetchall()
            # An utterance is looked up several times in a row, by its two names.
            if len(self._last) >= _REMEMBERED:
                self._last.clear()
            self._last[key] = tuple(_entry(key, row) for row in rows)
        return self._last[key]

    def first(self, key: str) -> int | None:
        """The place at which a key first stands."""
        return min((entry.place for entry in self.entries(key)), default=None)

    def in_order(self) -> Iterator[tuple[int, str]]:
        """Every key with the place at which it first stands, in the source's order."""
        for first, key in self._db.execute("SELECT first, key FROM keys ORDER BY first"):
            yield first, _text(key)


def open_index(
    name: Mapping[str, Any],
    workspace: Path | None,
    entries: Callable[[], Iterable[Entry]],
    kind: Kind,
    facts: Callable[[], Mapping[str, Any]] = dict,
) -> Index:
    """The index of a source: one that was made before, else a new one.

    Args:
        name: what it is made of: the file's hash and all that decides how it is read.
        workspace: the folder to keep it in; None for a temporary one, removed with the process.
        entries: gives the rows of the source, in its order.
        kind: see `Kind`.
        facts: what else to keep of the source, asked for once its rows were read, before they are compared.

    Raises:
        InputError: what `entries`, `facts` and `kind` raise; or the index cannot be written.
    """
    with ExitStack() as cleanup:
        where = workspace
        if where is None:
            where = Path(tempfile.mkdtemp(prefix="remelt-replay-"))
            cleanup.callback(shutil.rmtree, where, ignore_errors=True)
        path = where / f"replay-{digest([_VERSION, __version__, name])[:24]}.sqlite"
        try:
            index = _known(path)
            if index is None:
                where.mkdir(parents=True, exist_ok=True)
                # Workers may make the same one at the same time.
                unfinished = path.with_suffix(f".{uuid.uuid4().hex}.new")
                cleanup.callback(unfinished.unlink, missing_ok=True)
                _make(unfinished, entries(), kind, facts)
                with unfinished.open("rb") as written:
                    os.fsync(written.fileno())
                unfinished.replace(path)
                index = Index(path)
        except (sqlite3.Error, OSError) as error:
            raise InputError(f"The index of the replies at {path} cannot be made or read: {error}") from None
        weakref.finalize(index, cleanup.pop_all().close)
    return index


def _known(path: Path) -> Index | None:
    """The index that was made before; None where there is none, or one that was cut off."""
    try:
        return Index(path) if path.is_file() else None
    except (sqlite3.Error, ValueError):
        return None


def _make(path: Path, entries: Iterable[Entry], kind: Kind, facts: Callable[[], Mapping[str, Any]]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.executescript(_TABLES)
        db.execute("BEGIN")
        db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", map(_row, entries))
        known = facts()
        db.execute("CREATE INDEX entries_key ON entries (key, place)")
        again = _drop_repeats(db, kind) if kind.repeats else {}
        for statement in filter(str.strip, _KEYS.split(";")):
            db.execute(statement)
        if not kind.repeats:
            _refuse_twice(db, kind)
        db.execute("DROP INDEX entries_key")
        db.execute("CREATE INDEX entries_key ON entries (key, attempt)")
        found = {
            "keys": db.execute("SELECT count(*) FROM keys").fetchone()[0],
            "places": db.execute("SELECT coalesce(max(place), 0) + 1 FROM entries").fetchone()[0],
            "turns": db.execute("SELECT coalesce(max(attempt), 0) + 1 FROM entries").fetchone()[0],
            "models": _models(db),
            "raws": _first_raws(db),
            **again,
            **known,
        }
        db.executemany(
            "INSERT INTO meta VALUES (?, ?)", [(name, json.dumps(value)) for name, value in found.items()]
        )
        db.execute("COMMIT")


def _drop_repeats(db: sqlite3.Connection, kind: Kind) -> dict[str, Any]:
    """Takes out rows that come again; how many there were, and the first one's key."""
    db.execute(
        "CREATE TABLE again AS SELECT place FROM (SELECT place, row_number() OVER (PARTITION BY key ORDER BY "
        "place) AS number FROM entries) WHERE number > 1 ORDER BY place"
    )
    other = db.execute(
        "SELECT place, key FROM again JOIN entries USING (place) WHERE raw <> (SELECT raw FROM entries AS e "
        "WHERE e.key = entries.key ORDER BY place LIMIT 1) ORDER BY place LIMIT 1"
    ).fetchone()
    if other is not None and kind.differs is not None:
        raise kind.differs(other[0], _text(other[1]))
    count = db.execute("SELECT count(*) FROM again").fetchone()[0]
    first = db.execute("SELECT key FROM entries WHERE place = (SELECT min(place) FROM again)").fetchone()
    db.execute("DELETE FROM entries WHERE place IN again")
    db.execute("DROP TABLE again")
    return {"again": [count, _text(first[0])] if first else [0, ""]}


def _refuse_twice(db: sqlite3.Connection, kind: Kind) -> None:
    db.execute(
        "CREATE TEMP TABLE twice AS SELECT key FROM (SELECT key, attempt, count(*) AS rows FROM entries "
        "GROUP BY key, attempt) WHERE rows > 1"
    )
    found = db.execute("SELECT key FROM keys WHERE key IN twice ORDER BY first LIMIT 1").fetchone()
    if found is not None and kind.twice is not None:
        raise kind.twice(_text(found[0]))


def _models(db: sqlite3.Connection) -> list[str]:
    """The models, in the order of the source's keys."""
    models = [model for (model,) in db.execute("SELECT DISTINCT model FROM entries")]
    if len(models) > 1:
        rows = db.execute(
            f"SELECT model FROM entries GROUP BY model ORDER BY min({_FIRST_OF} * 1000 + attempt)"
        )
        models = [model for (model,) in rows]
    return [json.loads(model) for model in models]


def _first_raws(db: sqlite3.Connection) -> list[str]:
    """The first few replies that are no failures, in the order of the source's keys."""
    rows = db.execute(
        "SELECT place, raw, model, attempt, data FROM keys CROSS JOIN entries USING (key) "
        "ORDER BY first, attempt"
    )
    found = []
    for row in rows:
        reply = _entry("", row).reply
        if not reply.failure:
            found.append(reply.raw)
        if len(found) == _SOME:
            break
    return found


def _blob(key: str) -> bytes:
    """Keys and texts of a source may hold unpaired surrogates, which SQLite takes in no text."""
    return key.encode("utf-8", "surrogatepass")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")


def _row(entry: Entry) -> tuple[Any, ...]:
    reply = entry.reply
    data = {
        name: value
        for name, default in _DEFAULTS.items()
        if name not in ("request_key", "utterance_id", "raw", "model", "attempt")
        and (value := getattr(reply, name)) != default
    }
    spoken = [entry.speaker, entry.text]
    return (
        entry.place,
        _blob(entry.key),
        reply.attempt,
        json.dumps(reply.raw),
        json.dumps(reply.model),
        json.dumps([data, *spoken]),
    )


def _entry(key: str, row: tuple[Any, ...]) -> Entry:
    place, raw, model, attempt, data = row
    values, speaker, text = json.loads(data)
    reply = Reply(
        request_key="",
        utterance_id=key,
        attempt=attempt,
        raw=json.loads(raw),
        model=json.loads(model),
        **values,
    )
    return Entry(place, key, reply, speaker, text)
