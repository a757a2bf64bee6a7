"""The ids of a dataset beside each other, in a temporary file: they need not fit into memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

_CACHE_KIB = 8_192
# Tables of one split are filled anew for each: `last` has the last reply to each utterance, which counts.
_TABLES = """
CREATE TABLE data (split INTEGER, id TEXT, label TEXT);
CREATE TABLE dropped (split INTEGER, id TEXT, stage TEXT);
CREATE TABLE replied (id TEXT, status TEXT, label TEXT);
CREATE TABLE asked (hash TEXT, attempt INTEGER);
CREATE TABLE kept (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE stages (id TEXT PRIMARY KEY, stage TEXT) WITHOUT ROWID;
CREATE TABLE last (id TEXT PRIMARY KEY, status TEXT, label TEXT) WITHOUT ROWID;
"""
_KEPT = "INSERT INTO kept SELECT DISTINCT id FROM data WHERE split = ? ORDER BY id"
# With max(), SQLite takes the other columns from the row that has it.
_STAGES = """
INSERT INTO stages SELECT id, stage FROM
  (SELECT id, stage, max(rowid) FROM dropped WHERE split = ? GROUP BY id) ORDER BY id
"""
_LAST = """
INSERT INTO last SELECT id, status, label FROM
  (SELECT id, status, label, max(rowid) FROM replied GROUP BY id) ORDER BY id
"""
_NO_VALID = """
SELECT id FROM kept WHERE NOT EXISTS (SELECT 1 FROM last WHERE last.id = kept.id AND status = 'valid')
"""
_MISSING = """
SELECT id FROM last WHERE status = 'valid' AND NOT EXISTS (SELECT 1 FROM kept WHERE kept.id = last.id)
"""
_RELABELLED = """
SELECT data.id FROM data JOIN last ON last.id = data.id WHERE split = ? AND last.label IS NOT data.label
"""
_UNEXPLAINED = """
SELECT id FROM last WHERE status IS NOT 'valid' AND NOT EXISTS
  (SELECT 1 FROM stages WHERE stages.id = last.id AND stage = 'annotation')
"""
_REPEATED = "SELECT hash, attempt FROM asked GROUP BY hash, attempt HAVING count(*) > 1"


class IdTables:
    """Joins the rows of the three configs by their ids, exactly.

    Fill `data` and `dropped` of every split first; then take one split after the other with `choose`.
    """

    def __init__(self) -> None:
        # An empty name is a file that SQLite makes where it needs one and removes at the end.
        self._base = sqlite3.connect("")
        for setting in (f"cache_size = -{_CACHE_KIB}", "temp_store = FILE", "journal_mode = OFF"):
            self._base.execute(f"PRAGMA {setting}")
        self._base.executescript(_TABLES)
        self._split = 0

    def __enter__(self) -> IdTables:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def add_data(self, split: int, ids: Iterable[str], labels: Iterable[str | None]) -> None:
        """Adds labelled rows of a split, given by its number."""
        rows = ((split, *row) for row in zip(ids, labels, strict=True))
        self._base.executemany("INSERT INTO data VALUES (?, ?, ?)", rows)

    def add_dropped(self, split: int, ids: Iterable[str], stages: Iterable[str]) -> None:
        """Adds dropped rows of a split, given by its number."""
        rows = ((split, *row) for row in zip(ids, stages, strict=True))
        self._base.executemany("INSERT INTO dropped VALUES (?, ?, ?)", rows)

    def doubles(self, table: str) -> Iterator[str]:
        """The ids that stand more than once in `data` or `dropped`, all splits together."""
        assert table in ("data", "dropped")
        return self._ids(f"SELECT id FROM {table} GROUP BY id HAVING count(*) > 1")

    def choose(self, split: int) -> None:
        """Turns to one split; its replies are to be added next."""
        self._split = split
        for table in ("replied", "asked", "kept", "stages", "last"):
            self._base.execute(f"DELETE FROM {table}")
        self._base.execute(_KEPT, (split,))
        self._base.execute(_STAGES, (split,))

    def add_replies(self, replies: Iterable[tuple[str, str, str | None]]) -> None:
        """Adds replies to the chosen split's utterances in order: id, status, label."""
        self._base.executemany("INSERT INTO replied VALUES (?, ?, ?)", replies)

    def add_asked(self, asked: Iterable[tuple[str, int]]) -> None:
        """Adds which request each reply is to: its hash, and which attempt it is."""
        self._base.executemany("INSERT INTO asked VALUES (?, ?)", asked)

    def replied(self) -> None:
        """All of the chosen split's replies were added."""
        self._base.execute(_LAST)

    def also_dropped(self) -> Iterator[str]:
        """Labelled rows that are dropped too."""
        return self._ids("SELECT kept.id FROM kept JOIN stages ON stages.id = kept.id")

    def without_reply(self) -> Iterator[str]:
        """Labelled rows whose last reply is not valid, or that have none."""
        return self._ids(_NO_VALID)

    def missing(self) -> Iterator[str]:
        """Utterances with a valid last reply that are no labelled row."""
        return self._ids(_MISSING)

    def relabelled(self) -> Iterator[str]:
        """Labelled rows with another label than their last reply."""
        return self._ids(_RELABELLED, self._split)

    def unexplained(self) -> Iterator[str]:
        """Utterances without a valid last reply that are not quarantined."""
        return self._ids(_UNEXPLAINED)

    def repeated(self) -> Iterator[tuple[str, int]]:
        """Hash and attempt of replies that stand more than once."""
        yield from self._base.execute(_REPEATED)

    def kept(self) -> int:
        """How many different labelled rows the chosen split has."""
        return int(self._base.execute("SELECT count(*) FROM kept").fetchone()[0])

    def stages(self) -> dict[str, int]:
        """The stages of the chosen split's dropped rows, counted."""
        return dict(self._base.execute("SELECT stage, count(*) FROM stages GROUP BY stage"))

    def stage_of(self) -> dict[str, str]:
        """The stage of every dropped row of the chosen split."""
        return dict(self._base.execute("SELECT id, stage FROM stages"))

    def _ids(self, query: str, *values: object) -> Iterator[str]:
        for (name,) in self._base.execute(query, values):
            yield name
