"""The durable store of model replies: one SQLite file in WAL mode under `OUT/.remelt/`.

A reply is committed before its row counts as done. Failed requests (no reply) are kept in a table of
their own and are asked again by the next run. Prompts are stored once, under the hash of their text.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .errors import InputError, Interrupted
from .records import Reply, Request, canonical_json, digest

FILE = "journal.sqlite"
_RESERVE = "reserve"
_RESERVE_BYTES = 8 * 1024 * 1024
_CHUNK = 500
_SURROGATE = re.compile("[\ud800-\udfff]")

_MIGRATIONS = (
    """
    CREATE TABLE contents (sha256 TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE requests (
        key TEXT PRIMARY KEY, utterance_id TEXT NOT NULL, annotator TEXT NOT NULL, model TEXT NOT NULL,
        endpoint TEXT NOT NULL, prompt_hash TEXT NOT NULL, schema_hash TEXT NOT NULL,
        parameters TEXT NOT NULL, prefill TEXT NOT NULL, messages TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX requests_utterance ON requests (utterance_id);
    CREATE TABLE replies (
        request_key TEXT NOT NULL REFERENCES requests (key), attempt INTEGER NOT NULL,
        utterance_id TEXT NOT NULL, raw TEXT NOT NULL, model TEXT NOT NULL, means TEXT NOT NULL,
        failure TEXT NOT NULL, detail TEXT NOT NULL, finish_reason TEXT NOT NULL,
        input_tokens INTEGER, output_tokens INTEGER, cost REAL, seconds REAL NOT NULL,
        created TEXT NOT NULL, tries INTEGER NOT NULL,
        PRIMARY KEY (request_key, attempt)
    ) WITHOUT ROWID;
    CREATE TABLE failures (
        id INTEGER PRIMARY KEY, request_key TEXT NOT NULL, utterance_id TEXT NOT NULL,
        attempt INTEGER NOT NULL, detail TEXT NOT NULL, tries INTEGER NOT NULL, created TEXT NOT NULL
    );
    """,
)

_REPLY_COLUMNS = tuple(f.name for f in fields(Reply))
_INSERT_REPLY = (
    f"INSERT INTO replies ({', '.join(_REPLY_COLUMNS)}) VALUES ({', '.join('?' * len(_REPLY_COLUMNS))})"
)
_SELECT_REPLIES = f"SELECT {', '.join(_REPLY_COLUMNS)} FROM replies"


class JournalFull(Interrupted):
    """The disk is full; everything that was answered before is safe."""


class OutLock:
    """One process per OUT folder; a second one is refused.

    Raises (on entering):
        InputError: another process holds the lock; the message says which.
    """

    def __init__(self, out: Path) -> None:
        self._folder = out / ".remelt"
        self._out = out
        self._owner = self._folder / "owner"
        self._lock = FileLock(str(self._folder / "lock"))

    def __enter__(self) -> OutLock:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            owner = self._owner.read_text(encoding="utf-8").strip() if self._owner.is_file() else "unknown"
            raise InputError(f"Another remelt process (pid {owner}) is working on {self._out}") from None
        except OSError as error:
            raise InputError(f"Cannot write to {self._out}: {error.strerror}") from error
        try:
            self._owner.write_text(f"{os.getpid()}\n", encoding="utf-8")
        except OSError as error:
            self._lock.release()
            raise Interrupted(f"Cannot write to {self._out}: {error.strerror}") from error
        return self

    def __exit__(self, *exc: object) -> None:
        self._owner.unlink(missing_ok=True)
        self._lock.release()


class Journal:
    """Replies by request key.

    Args:
        path: the SQLite file; made with its folder where it does not exist.
        read_only: open an existing journal without changing it.

    Raises:
        InputError: the file is not a journal, or was written by a newer remelt.
        JournalFull: no space for it.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self.full = False
        self._reserve = path.parent / _RESERVE
        try:
            if read_only:
                if not path.is_file():
                    raise InputError(f"No journal at {path}")
                self._db = sqlite3.connect(
                    f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
                )
                self._reader = self._db
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                self._db.execute("PRAGMA journal_mode=WAL")
                # FULL: a committed reply survives a power cut, not only a killed process.
                self._db.execute("PRAGMA synchronous=FULL")
                # Look-ups have a connection of their own: commits run in another thread, and in a notebook
                # the whole run does.
                self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._migrate(read_only)
            if not read_only:
                self._make_reserve()
        except sqlite3.DatabaseError as error:
            if _is_full(error):
                raise JournalFull(f"No space left for the journal {path}: {error}") from error
            raise InputError(f"{path} cannot be used as a remelt journal: {error}") from error
        except OSError as error:
            raise JournalFull(f"No space left for the journal {path}: {error.strerror}") from error

    def _migrate(self, read_only: bool) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > len(_MIGRATIONS):
            raise InputError(
                f"{self.path} is of a newer remelt: format {version}, this one knows {len(_MIGRATIONS)}"
            )
        if read_only:
            return
        for number in range(version, len(_MIGRATIONS)):
            self._db.executescript(f"BEGIN; {_MIGRATIONS[number]} PRAGMA user_version={number + 1}; COMMIT;")

    def _make_reserve(self) -> None:
        """Sets space aside, given back when the disk is full so that the replies in flight still fit."""
        if self._reserve.is_file() and self._reserve.stat().st_size >= _RESERVE_BYTES:
            return
        with self._reserve.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
            else:
                file.write(b"\0" * _RESERVE_BYTES)

    def replies(self, keys: Sequence[str]) -> dict[str, tuple[Reply, ...]]:
        """The replies to each of these requests, first attempt first; keys without a reply are left out."""
        found: dict[str, list[Reply]] = {}
        for start in range(0, len(keys), _CHUNK):
            part = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(part))
            query = f"{_SELECT_REPLIES} WHERE request_key IN ({marks}) ORDER BY request_key, attempt"
            for row in self._reader.execute(query, part):
                found.setdefault(row[0], []).append(Reply(*row))
        return {key: tuple(rows) for key, rows in found.items()}

    def append(self, batch: Sequence[tuple[Request, Reply]]) -> None:
        """Commits replies in one transaction; on return they are durable.

        On a full disk the reserve is given back and the transaction tried once more; `full` is then
        True and the caller stops asking.

        Raises:
            JournalFull: there is no space even so; none of the batch is stored.
        """
        try:
            self._commit(batch)
        except (sqlite3.Error, OverflowError) as error:
            if not isinstance(error, sqlite3.Error) or not _is_full(error):
                raise Interrupted(f"The journal {self.path} cannot be written: {error}") from error
            self.full = True
            self._reserve.unlink(missing_ok=True)
            try:
                self._commit(batch)
            except sqlite3.OperationalError as again:
                raise JournalFull(f"No space left for the journal {self.path}: {again}") from again

    def _commit(self, batch: Sequence[tuple[Request, Reply]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for request, reply in batch:
                self._insert(request, reply)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _insert(self, request: Request, reply: Reply) -> None:
        db = self._db
        if reply.failure == "error":
            db.execute(
                "INSERT INTO failures (request_key, utterance_id, attempt, detail, tries, created)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    reply.request_key,
                    reply.utterance_id,
                    reply.attempt,
                    _text(reply.detail),
                    reply.tries,
                    reply.created,
                ),
            )
            return
        if reply.attempt == 0:
            self._insert_request(request, reply.request_key)
        db.execute(_INSERT_REPLY, tuple(_text(getattr(reply, name)) for name in _REPLY_COLUMNS))

    def _insert_request(self, request: Request, key: str) -> None:
        contents = {digest(m.content): m.content for m in request.messages}
        contents[request.schema_hash] = canonical_json(request.schema)
        self._db.executemany(
            "INSERT OR IGNORE INTO contents VALUES (?, ?)", [(k, _text(v)) for k, v in contents.items()]
        )
        self._db.execute(
            "INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                request.utterance.id,
                request.annotator,
                request.model,
                request.endpoint,
                request.prompt_hash,
                request.schema_hash,
                canonical_json(dict(request.parameters)),
                _text(request.prefill),
                json.dumps([[m.role, digest(m.content)] for m in request.messages]),
            ),
        )

    def count(self) -> int:
        """How many replies the journal holds."""
        return int(self._reader.execute("SELECT COUNT(*) FROM replies").fetchone()[0])

    def all_replies(self) -> Iterator[Reply]:
        """Every reply, by utterance, then request, then attempt."""
        query = f"{_SELECT_REPLIES} ORDER BY utterance_id, request_key, attempt"
        for row in self._reader.execute(query):
            yield Reply(*row)

    def close(self) -> None:
        self._reader.close()
        self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _is_full(error: sqlite3.Error) -> bool:
    words = str(error).casefold()
    # A write that meets a full disk inside the WAL is reported as a disk I/O error.
    return "full" in words or "disk i/o error" in words


def _text(value: Any) -> Any:
    """SQLite stores no unpaired surrogates; they become U+FFFD."""
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) and not value.isascii() else value
