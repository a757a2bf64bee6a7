"""The durable store of model replies: one SQLite file in WAL mode under `OUT/.remelt/`.

A reply is committed before its row counts as done. Failed requests (no reply) are kept in a table of
their own and are asked again by the next run. Prompts are stored once, under the hash of their text.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .errors import InputError, Interrupted
from .records import Reply, Request, canonical_json, digest

FILE = "journal.sqlite"
_RESERVE = "reserve"
_HELD = "held for requests in flight"
_RESERVE_BYTES = 8 * 1024 * 1024
_CHUNK = 500
_PAGE_BYTES = 8192
_WAL_PAGES = 2000
_CACHE_KIB = 8000
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
    """
    ALTER TABLE replies ADD COLUMN cached_tokens INTEGER;
    ALTER TABLE replies ADD COLUMN reasoning_tokens INTEGER;
    ALTER TABLE replies ADD COLUMN label_logprobs TEXT NOT NULL DEFAULT '';
    """,
    """
    ALTER TABLE failures ADD COLUMN cost REAL;
    DROP INDEX requests_utterance;
    """,
    """
    CREATE TABLE batches (
        number INTEGER PRIMARY KEY, mark TEXT NOT NULL UNIQUE, id TEXT NOT NULL, file TEXT NOT NULL,
        annotator TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL, status TEXT NOT NULL,
        rows INTEGER NOT NULL, tokens INTEGER NOT NULL, bound REAL NOT NULL, completed INTEGER NOT NULL,
        failed INTEGER NOT NULL, created TEXT NOT NULL, touched REAL NOT NULL, detail TEXT NOT NULL,
        done INTEGER NOT NULL
    );
    CREATE TABLE batch_rows (
        batch INTEGER NOT NULL REFERENCES batches (number), line INTEGER NOT NULL,
        request_key TEXT NOT NULL, attempt INTEGER NOT NULL, PRIMARY KEY (batch, line)
    ) WITHOUT ROWID;
    CREATE INDEX batch_rows_request ON batch_rows (request_key);
    """,
)

_REPLY_COLUMNS = tuple(f.name for f in fields(Reply))
_INSERT_REPLY = (
    f"INSERT INTO replies ({', '.join(_REPLY_COLUMNS)}) VALUES ({', '.join('?' * len(_REPLY_COLUMNS))})"
)
_SELECT_REPLIES = f"SELECT {', '.join(_REPLY_COLUMNS)} FROM replies"
_FAILURE_COLUMNS = ("request_key", "utterance_id", "attempt", "detail", "tries", "created", "cost")
_INSERT_FAILURE = (
    f"INSERT INTO failures ({', '.join(_FAILURE_COLUMNS)}) VALUES ({', '.join('?' * len(_FAILURE_COLUMNS))})"
)
_INSERT_REQUEST = "INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_CONTENT = "INSERT OR IGNORE INTO contents VALUES (?, ?)"
_reply_values, _failure_values = attrgetter(*_REPLY_COLUMNS), attrgetter(*_FAILURE_COLUMNS)
_content_digest = lru_cache(maxsize=256)(digest)


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
        self._schema: tuple[Mapping[str, Any], str, str] | None = None
        self._hold: int | None = None
        # Several annotators' replies come from a thread each, and a transaction is one thread's alone.
        self._writing = threading.RLock()
        self._reserve = path.parent / _RESERVE
        try:
            if read_only:
                if not path.is_file():
                    raise InputError(f"No journal at {path}")
                # Reading in WAL mode leaves two files behind; a journal that nobody has open needs none.
                mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
                self._db = sqlite3.connect(
                    f"{path.resolve().as_uri()}?{mode}", uri=True, check_same_thread=False
                )
                self._reader = self._db
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                # Of a new file only. With prompts of some kilobytes it halves the time in the kernel.
                self._db.execute(f"PRAGMA page_size={_PAGE_BYTES}")
                self._db.execute("PRAGMA journal_mode=WAL")
                # FULL: a committed reply survives a power cut, not only a killed process.
                self._db.execute("PRAGMA synchronous=FULL")
                # Larger than usual: keys are hashes, so neighbours in time share pages seldom; each page that
                # several commits touched is copied out of the WAL once.
                self._db.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
                self._db.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
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
        if read_only and version < len(_MIGRATIONS):
            # An older journal is brought up to date in memory; its file stays as it is.
            copy = sqlite3.connect(":memory:", check_same_thread=False)
            self._db.backup(copy)
            self._db.close()
            self._db = self._reader = copy
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
        with self._writing:
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
        replies = [reply for _, reply in batch if reply.failure != "error"]
        failures = [reply for _, reply in batch if reply.failure == "error"]
        first = [(q, a.request_key) for q, a in batch if a.failure != "error" and a.attempt == 0]
        contents: dict[str, str] = {}
        requests = [self._request_row(request, key, contents) for request, key in first]
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(_INSERT_CONTENT, [(key, _text(content)) for key, content in contents.items()])
            db.executemany(_INSERT_REQUEST, requests)
            db.executemany(_INSERT_REPLY, [tuple(map(_text, _reply_values(r))) for r in replies])
            db.executemany(_INSERT_FAILURE, [tuple(map(_text, _failure_values(r))) for r in failures])
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _request_row(self, request: Request, key: str, contents: dict[str, str]) -> tuple[Any, ...]:
        """A row of `requests`; the texts that it refers to are added to `contents`."""
        schema_hash, schema = self._schema_text(request)
        contents[schema_hash] = schema
        named = [[m.role, _content_digest(m.content)] for m in request.messages]
        for message, (_, content) in zip(request.messages, named, strict=True):
            contents[content] = message.content
        return (
            key,
            request.utterance.id,
            request.annotator,
            request.model,
            request.endpoint,
            request.prompt_hash,
            schema_hash,
            canonical_json(dict(request.parameters)),
            _text(request.prefill),
            json.dumps(named),
        )

    def _schema_text(self, request: Request) -> tuple[str, str]:
        """A schema's hash and its text; all requests of a run share one object, which is written out once."""
        if self._schema is None or self._schema[0] is not request.schema:
            self._schema = (request.schema, request.schema_hash, canonical_json(request.schema))
        return self._schema[1:]

    def hold(self, cost: float, final: bool = False) -> None:
        """Counts so many US dollars as spent until told otherwise, in place of what was held before.

        A run with a budget holds what its requests in flight may cost: a run that is killed cannot say
        any more what became of them.

        Args:
            cost: US dollars.
            final: the run ends; what is held now stays, whatever the next one holds.

        Raises:
            Interrupted: it cannot be stored.
        """
        try:
            with self._writing:
                if self._hold is not None:
                    self._db.execute("UPDATE failures SET cost = ? WHERE id = ?", (cost, self._hold))
                elif cost:
                    held = self._db.execute(_INSERT_FAILURE, ("", "", 0, _HELD, 0, "", cost))
                    self._hold = held.lastrowid
                if final:
                    self._db.execute("DELETE FROM failures WHERE id = ? AND cost = 0", (self._hold,))
                    self._hold = None
        except sqlite3.OperationalError as error:
            raise Interrupted(f"The journal {self.path} cannot be written: {error}") from error

    def spent(self) -> float:
        """US dollars: the costs of all replies and of the lost ones that may have been charged."""
        query = "SELECT (SELECT TOTAL(cost) FROM replies) + (SELECT TOTAL(cost) FROM failures)"
        return float(self._reader.execute(query).fetchone()[0])

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction for what else is kept here (see `batch_log`); durable when it is left.

        Raises:
            JournalFull: there is no space; nothing of it is stored.
            Interrupted: it cannot be stored for another reason.
        """
        db = self._db
        with self._writing:
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                if _is_full(error):
                    raise JournalFull(f"No space left for the journal {self.path}: {error}") from error
                raise Interrupted(f"The journal {self.path} cannot be written: {error}") from error
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def query(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a SELECT, from the connection for look-ups."""
        return iter(self._reader.execute(sql, values))

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
