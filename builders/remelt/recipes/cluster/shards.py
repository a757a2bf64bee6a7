"""The workers' journals: each part has one of its own, taken into OUT's journal when the part is finished.

SQLite files are not shared between computers, so a worker writes to `OUT/.remelt/shards/PART.sqlite`, which
nobody else opens while it is locked. What OUT's journal knew when the run began is looked up in a copy of its
replies. A shard that a killed run left is taken in before anything is asked again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from ...errors import InputError, Interrupted
from ...journal import Journal
from ...records import Reply

FOLDER = "shards"
_KNOWN = "known.db"
_SUFFIX = ".sqlite"
_LOCK = ".lock"
_PATIENCE = 60.0
# By primary key; a row that is there already is the same row.
_ALIKE = ("contents", "requests", "replies")
_IDENTITY = "CREATE TABLE IF NOT EXISTS shard (name TEXT PRIMARY KEY) WITHOUT ROWID"
_MERGED = (
    "CREATE TABLE IF NOT EXISTS merged_shards"
    " (name TEXT PRIMARY KEY, failures INTEGER NOT NULL) WITHOUT ROWID"
)
_BATCH_AGAIN = (
    "UPDATE batches SET id = :id, file = :file, status = :status, completed = :completed, failed = :failed,"
    " touched = :touched, detail = :detail, done = :done"
    " WHERE mark = :mark AND (done < :done OR touched < :touched)"
)


class Shard(Journal):
    """A part's own journal, with the replies known before this run behind it.

    Args:
        path: of the shard; made where it does not exist, gone on with where it does.
        known: a file made by `write_known`; None where nothing was known.

    Raises:
        InputError: one of the files is not a journal.
        Interrupted: another process is still at work on the shard, or there is no space.
    """

    def __init__(self, path: Path, known: Path | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._held = _lock(path)
        self._known: Journal | None = None
        try:
            super().__init__(path)
            name_of(self)
            if known is not None:
                self._known = Journal(known, read_only=True)
        except BaseException:
            self._held.release()
            raise

    def replies(self, keys: Sequence[str]) -> dict[str, tuple[Reply, ...]]:
        """See `Journal.replies`; what was known before comes with what the shard itself holds."""
        found = super().replies(keys)
        if self._known is None:
            return found
        for key, older in self._known.replies(keys).items():
            by_attempt = {reply.attempt: reply for reply in (*older, *found.get(key, ()))}
            found[key] = tuple(by_attempt[attempt] for attempt in sorted(by_attempt))
        return found

    def close(self) -> None:
        if self._known is not None:
            self._known.close()
        super().close()
        self._held.release()


def shard_path(out: Path, part: str) -> Path:
    """Where the journal of a part lies."""
    return out / ".remelt" / FOLDER / f"{part}{_SUFFIX}"


def name_of(shard: Journal) -> str:
    """What a shard is known by, so that what was taken in once is not taken in again.

    Raises:
        InputError: it is damaged.
    """
    try:
        with shard.transaction() as db:
            db.execute(_IDENTITY)
            row = db.execute("SELECT name FROM shard").fetchone()
            if row is None:
                row = (uuid4().hex,)
                db.execute("INSERT INTO shard VALUES (?)", row)
    except sqlite3.DatabaseError as error:
        raise _damaged(shard.path, error) from error
    return str(row[0])


def write_known(journal: Journal, out: Path) -> Path | None:
    """Copies the replies of OUT's journal for the workers to look up; None where there are none.

    Raises:
        JournalFull: there is no space for it.
    """
    if not journal.count():
        return None
    path = out / ".remelt" / FOLDER / _KNOWN
    _remove(path)
    with Journal(path) as copy, copy.transaction() as db:
        # Prompts are not looked up, and they are most of a journal.
        _copy(db, journal, "replies", journal.path)
    return path


def merge(journal: Journal, shard: Path) -> int:
    """Takes everything a shard holds into a journal, in one transaction; a second time changes nothing.

    Args:
        journal: OUT's.
        shard: its file, which nobody is at work on; it stays.

    Returns:
        How many replies were new.

    Raises:
        InputError: the shard is damaged or no journal; the message says where it lies.
        Interrupted: another process is at work on it, or the journal cannot be written.
    """
    lock = _lock(shard)
    try:
        with Journal(shard) as source:
            return _take_in(journal, source)
    finally:
        lock.release()


def merge_left(journal: Journal, out: Path) -> int:
    """Takes in and removes every shard that an earlier run left in OUT.

    Returns:
        How many replies were new.

    Raises:
        InputError: a shard is damaged; it is kept.
        Interrupted: another process is at work on one.
    """
    folder = out / ".remelt" / FOLDER
    if not folder.is_dir():
        return 0
    taken = 0
    for shard in sorted(folder.glob(f"*{_SUFFIX}")):
        taken += merge(journal, shard)
        remove(shard)
    clear(out)
    return taken


def remove(shard: Path) -> None:
    """Removes a shard that was taken in, with the files beside it."""
    _remove(shard)
    shard.with_suffix(_LOCK).unlink(missing_ok=True)


def clear(out: Path) -> None:
    """Removes what served the workers, unless a shard is left."""
    folder = out / ".remelt" / FOLDER
    if not folder.is_dir() or any(folder.glob(f"*{_SUFFIX}")):
        return
    _remove(folder / _KNOWN)
    for path in (folder / "reserve", *folder.glob(f"*{_LOCK}")):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        # Somebody else's file in it is theirs.
        folder.rmdir()


def _take_in(journal: Journal, source: Journal) -> int:
    name, taken = name_of(source), 0
    with journal.transaction() as db:
        db.execute(_MERGED)
        for table in _ALIKE:
            # The last one's count is that of the replies.
            taken = _copy(db, source, table, source.path)
        _take_failures(db, source, name)
        _take_batches(db, source)
    return taken


def _copy(db: sqlite3.Connection, source: Journal, table: str, path: Path) -> int:
    columns = len(list(source.query(f"SELECT * FROM pragma_table_info('{table}')")))
    marks = ", ".join("?" * columns)
    rows = _read(source, f"SELECT * FROM {table}", path)
    return db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows).rowcount


def _read(source: Journal, query: str, path: Path) -> Iterator[tuple[object, ...]]:
    try:
        yield from source.query(query)
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is damaged ({error}) and was not taken into the journal; it is kept. Move it away to go "
        "on without what it holds"
    )


def _take_failures(db: sqlite3.Connection, source: Journal, name: str) -> None:
    """Failed requests, and what was held for some in flight, have no key: those up to a number are in."""
    row = db.execute("SELECT failures FROM merged_shards WHERE name = ?", (name,)).fetchone()
    known = last = row[0] if row else 0
    columns = "request_key, utterance_id, attempt, detail, tries, created, cost"
    insert = f"INSERT INTO failures ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"
    query = f"SELECT id, {columns} FROM failures WHERE id > {known} ORDER BY id"
    for number, *values in _read(source, query, source.path):
        db.execute(insert, values)
        last = number
    db.execute("INSERT OR REPLACE INTO merged_shards VALUES (?, ?)", (name, last))


def _take_batches(db: sqlite3.Connection, source: Journal) -> None:
    """Batches keep their mark and get another number; one that is there already takes the later state."""
    columns = [str(row[1]) for row in source.query("SELECT * FROM pragma_table_info('batches')")]
    names, marks = ", ".join(columns[1:]), ", ".join("?" * (len(columns) - 1))
    for number, *values in list(_read(source, "SELECT * FROM batches ORDER BY number", source.path)):
        it = dict(zip(columns[1:], values, strict=True))
        if db.execute("SELECT 1 FROM batches WHERE mark = ?", (it["mark"],)).fetchone():
            db.execute(_BATCH_AGAIN, it)
            continue
        own = db.execute(f"INSERT INTO batches ({names}) VALUES ({marks})", values).lastrowid
        lines = _read(source, f"SELECT * FROM batch_rows WHERE batch = {number}", source.path)
        db.executemany("INSERT INTO batch_rows VALUES (?, ?, ?, ?)", ((own, *line[1:]) for line in lines))


def _lock(shard: Path) -> FileLock:
    lock = FileLock(str(shard.with_suffix(_LOCK)))
    try:
        # A worker that was lost may live a little longer than those who wait for it think.
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise Interrupted(f"Another process is still at work on {shard}") from None
    except OSError as error:
        raise Interrupted(f"Cannot lock {shard}: {error.strerror}") from error
    return lock


def _remove(path: Path) -> None:
    for one in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        one.unlink(missing_ok=True)
