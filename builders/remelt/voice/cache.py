"""What is kept of a corpus's sound between runs: measurements in SQLite, the sound itself as FLAC files.

Both are found by content, so clips may be renamed or moved, and the same sound is kept once. A process that
is killed loses what it was working on and nothing else; several processes may share a folder. Everything here
can be made again, so a power cut may cost the last entries, never the file's integrity. Clips that cannot be
read are not kept: another decoder, or the next version of this one, may read them.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..errors import InputError, Interrupted
from .content import open_file
from .quality import Quality

FILE = "measures.sqlite"
AUDIO = "audio"
_PARTIAL = "partial"
_FORMAT = 1
_BUSY_SECONDS = 60.0
_AGAIN_SECONDS = 0.02
_STALE_SECONDS = 3600.0
_READ_BYTES = 1 << 20

_TABLES = """
    CREATE TABLE IF NOT EXISTS sounds (
        key TEXT PRIMARY KEY, quality TEXT NOT NULL, audio TEXT NOT NULL, bytes INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS measures (
        audio TEXT NOT NULL, backend TEXT NOT NULL, measured TEXT NOT NULL, PRIMARY KEY (audio, backend)
    ) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A clip that was decoded before.

    Attributes:
        quality: what was found.
        audio: name of its FLAC file (see `audio_path`).
    """

    quality: Quality
    audio: str


class Cache:
    """Measurements by content.

    Args:
        folder: is made where it does not exist.

    Raises:
        InputError: the folder cannot be used, or its file is no such cache or of a newer remelt.
        Interrupted: no space for it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / FILE
        try:
            (folder / _PARTIAL).mkdir(parents=True, exist_ok=True)
            _sweep(folder / _PARTIAL)
        except OSError as error:
            raise InputError(f"Cannot write to {folder}: {error.strerror}") from error
        try:
            self._db = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._wait_for_wal()
            self._db.execute("PRAGMA synchronous=NORMAL")
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if version > _FORMAT:
                raise InputError(
                    f"{self._path} is of a newer remelt: format {version}, this one knows {_FORMAT}"
                )
            if version < _FORMAT:
                self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={_FORMAT}; COMMIT;")
        except sqlite3.OperationalError as error:
            raise self._stopped(error) from error
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self._path} cannot be read ({error}); remove it, and everything is measured again"
            ) from error

    def sound(self, key: str) -> Kept | None:
        """What is known of a clip; None where nothing is, or its FLAC file is not whole any more."""
        row = self._row("SELECT quality, audio, bytes FROM sounds WHERE key = ?", (key,))
        if row is None:
            return None
        quality, audio, size = row
        if not _is_whole(audio_path(self.folder, audio), size):
            return None
        stored = json.loads(quality)
        return Kept(Quality(**{**stored, "flags": tuple(stored["flags"])}), audio)

    def measures(self, audio: str, backend: str) -> dict[str, float | None] | None:
        """A backend's values for a sound; None where it has not measured it."""
        row = self._row("SELECT measured FROM measures WHERE audio = ? AND backend = ?", (audio, backend))
        if row is None:
            return None
        found: dict[str, float | None] = json.loads(row[0])
        return found

    def keep_sound(self, key: str, quality: Quality, audio: str) -> None:
        """Keeps what was found in a clip; its FLAC file is there already (see `spool`).

        Raises:
            Interrupted: there is no space.
        """
        size = audio_path(self.folder, audio).stat().st_size
        values = (key, json.dumps(asdict(quality)), audio, size)
        self._write("INSERT OR REPLACE INTO sounds VALUES (?, ?, ?, ?)", values)

    def keep_measures(self, audio: str, backend: str, measures: Mapping[str, float | None]) -> None:
        """Keeps a backend's values for a sound.

        Raises:
            Interrupted: there is no space.
        """
        values = (audio, backend, json.dumps(dict(measures)))
        self._write("INSERT OR REPLACE INTO measures VALUES (?, ?, ?)", values)

    def _wait_for_wal(self) -> None:
        """Sets the journal's mode; SQLite itself does not wait for whoever is making the same file."""
        begun = time.monotonic()
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() - begun > _BUSY_SECONDS:
                    raise
            time.sleep(_AGAIN_SECONDS)

    def _row(self, query: str, values: tuple[str, ...]) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise self._stopped(error) from error
        return row

    def _write(self, statement: str, values: tuple[str | int, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise self._stopped(error) from error

    def _stopped(self, error: sqlite3.Error) -> Interrupted:
        return Interrupted(
            f"{self._path} cannot be written ({error}); what was measured before is kept, and with free "
            "space on its disk the same command goes on"
        )

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def audio_path(folder: Path, audio: str) -> Path:
    """Where the FLAC file of this name lies."""
    return folder / AUDIO / audio[:2] / f"{audio}.flac"


def spool(folder: Path, content: bytes) -> str:
    """Writes a FLAC file, whole or not at all, and gives its name, the sha256 of its content.

    Raises:
        Interrupted: it cannot be written.
    """
    name = hashlib.sha256(content).hexdigest()
    path = audio_path(folder, name)
    if _is_whole(path, len(content)):
        return name
    partial = folder / _PARTIAL / f"{name}.{os.getpid()}.{uuid4().hex}"
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            # Or a power cut may leave the name without the content.
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Interrupted(
            f"Cannot write {path} ({error.strerror}); what was measured before is kept, and with free space "
            "on its disk the same command goes on"
        ) from error
    return name


def content_hash(path: Path) -> str | None:
    """The sha256 of a file's content; None where it cannot be read."""
    try:
        state = path.stat()
        return _hash(path, state.st_size, state.st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=64)
def _hash(path: Path, size: int, changed: int) -> str:
    # Size and time of change are arguments only so that a file that changed is read anew.
    return _sha256(path)


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with open_file(path) as file:
        while block := file.read(_READ_BYTES):
            found.update(block)
    return found.hexdigest()


def _is_whole(path: Path, size: int) -> bool:
    """Whether a FLAC file is there and has the content that its name, the hash, says."""
    try:
        return path.stat().st_size == size and _sha256(path) == path.stem
    except OSError:
        return False


def _sweep(folder: Path) -> None:
    """Removes what killed processes left half written; what is younger may be somebody's work."""
    oldest = time.time() - _STALE_SECONDS
    for path in folder.iterdir():
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:
            continue
