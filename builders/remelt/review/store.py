"""The durable store of judgements: one SQLite file in WAL mode under `OUT/.remelt/`.

Rows are only ever added: a changed mind is a further row, an undone judgement a row that withdraws it. A row
is on the disk before the browser is told that it was saved.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from threading import Lock
from typing import Any

from filelock import FileLock, Timeout

from ..errors import InputError, Interrupted
from .judgements import Judgement

FILE = "review.sqlite"
_LOCK = "review.lock"
_OWNER = "review.owner"
_UNSTORABLE = re.compile("[\ud800-\udfff\0]")

_MIGRATIONS = (
    """
    CREATE TABLE judgements (
        number INTEGER PRIMARY KEY AUTOINCREMENT, mode TEXT NOT NULL, sources TEXT NOT NULL,
        item TEXT NOT NULL, utterance_id TEXT NOT NULL, split TEXT NOT NULL, rater TEXT NOT NULL,
        choice TEXT NOT NULL, first TEXT, second TEXT, left TEXT NOT NULL, label TEXT, confidence INTEGER,
        note TEXT NOT NULL, seconds REAL, created TEXT NOT NULL
    );
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
)
_COLUMNS = tuple(f.name for f in fields(Judgement) if f.name != "number")
_QUOTED = ", ".join(f'"{name}"' for name in _COLUMNS)
_INSERT = f"INSERT INTO judgements ({_QUOTED}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_SELECT = f"SELECT {_QUOTED}, number FROM judgements ORDER BY number"


class ReviewLock:
    """One server per OUT folder; a second one is refused.

    Raises (on entering):
        InputError: another server holds the lock; the message says which. Or OUT cannot be written.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._folder = out / ".remelt"
        self._owner = self._folder / _OWNER
        self._lock = FileLock(str(self._folder / _LOCK))

    def __enter__(self) -> ReviewLock:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self.tell("")
        except Timeout:
            raise InputError(f"Another remelt review ({self._said()}) is serving {self._out}") from None
        except OSError as error:
            raise InputError(f"Cannot write to {self._out}: {error.strerror}") from error
        return self

    def __exit__(self, *exc: object) -> None:
        self._owner.unlink(missing_ok=True)
        self._lock.release()

    def tell(self, address: str) -> None:
        """Notes who serves, and where, for the message that a second server gets."""
        self._owner.write_text(f"pid {os.getpid()}{address and f', {address}'}\n", encoding="utf-8")

    def _said(self) -> str:
        try:
            return self._owner.read_text(encoding="utf-8").strip()
        except OSError:
            return "unknown"


class Store:
    """Judgements in the order in which they came.

    Args:
        path: the SQLite file; made with its folder where it does not exist.
        read_only: open an existing store without changing it; a server may be writing to it.

    Raises:
        InputError: there is no such file, it is no store of judgements, or a newer remelt wrote it.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self._lock = Lock()
        if read_only and not path.is_file():
            raise InputError(f"No judgements at {path}")
        try:
            if read_only:
                # Reading in WAL mode leaves two files behind; a store that nobody has open needs none.
                mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
                self._db = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                self._db.execute("PRAGMA journal_mode=WAL")
                # FULL: a saved judgement survives a power cut, not only a killed server.
                self._db.execute("PRAGMA synchronous=FULL")
            self._migrate(read_only)
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path} cannot be used as a store of judgements: {error}") from error
        except OSError as error:
            raise InputError(f"Cannot write to {path.parent}: {error.strerror}") from error

    def _migrate(self, read_only: bool) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        known = len(_MIGRATIONS)
        if version > known or (read_only and version < known):
            which = "a newer remelt" if version > known else "another kind"
            raise InputError(f"{self.path} is of {which}: format {version}, this remelt knows {known}")
        for number in range(version, known):
            self._db.executescript(f"BEGIN; {_MIGRATIONS[number]} PRAGMA user_version={number + 1}; COMMIT;")

    def add(self, judgement: Judgement) -> Judgement:
        """Commits a judgement; on return it is durable.

        Returns:
            The judgement as it was stored, with its number.

        Raises:
            Interrupted: it could not be stored (a full disk); nothing of it is.
        """
        stored = replace(judgement, note=_storable(judgement.note))
        values = [_value(getattr(stored, name)) for name in _COLUMNS]
        try:
            with self._lock:
                number = self._db.execute(_INSERT, values).lastrowid
        except sqlite3.Error as error:
            raise Interrupted(f"The judgements cannot be written to {self.path}: {error}") from error
        return replace(stored, number=number or 0)

    def judgements(self) -> list[Judgement]:
        """Every row, withdrawn and changed ones too, in the order in which they came."""
        with self._lock:
            rows = self._db.execute(_SELECT).fetchall()
        return [_judgement(row) for row in rows]

    def secret(self, name: str) -> str:
        """A random word of this store, made when it is first asked for; the same after a restart."""
        with self._lock:
            made = secrets.token_urlsafe(24)
            self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, made))
            found = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(found[0])

    def recall(self, name: str) -> str | None:
        """What was remembered under a name; None where nothing was."""
        with self._lock:
            found = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def remember(self, name: str, value: str) -> None:
        """Keeps a value for the next server.

        Raises:
            Interrupted: it could not be stored (a full disk).
        """
        try:
            with self._lock:
                self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
        except sqlite3.Error as error:
            raise Interrupted(f"{self.path} cannot be written: {error}") from error

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _value(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, tuple) else value


def _judgement(row: Sequence[Any]) -> Judgement:
    values = dict(zip((*_COLUMNS, "number"), row, strict=True))
    first, second = json.loads(values.pop("sources"))
    return Judgement(sources=(first, second), **values)


def _storable(text: str) -> str:
    """SQLite stores no unpaired surrogates and cuts at a zero byte; they become U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)
