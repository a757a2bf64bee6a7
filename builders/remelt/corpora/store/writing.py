"""Makes a store: one pass over the tables, then the checks that compare rows."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...records import utterance_key
from .. import media
from ..base import Corpus, Draft, official_order
from ..corpus_checks import variants
from ..defects import tally_flags
from ..finish import ROW_CHECKS, mended_notes, variant_notes
from ..table import Tables
from ..text import normal
from .checks import Checks
from .layout import CACHE_KIB, SCRATCH, SHIFT, TABLES, connect, encode, marked

_AT_ONCE = 2048
_INSERT_ROW = "INSERT INTO rows VALUES (?, ?, ?)"
_INSERT_LINE = "INSERT INTO scratch.lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass
class SplitTotals:
    """What is counted of one split while it is read; nothing here grows with the rows.

    Attributes:
        rows: how many.
        labels, speakers: name -> rows.
        named: which of the two ids are not all numbers.
        witnesses: numbers of rows that have what no earlier row of the split has.
    """

    rows: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    speakers: dict[str, int] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    witnesses: list[int] = field(default_factory=list)


def make(path: Path, tables: Tables, key: str, source: str) -> None:
    """Writes a store; an earlier one is replaced once the new one is complete.

    Args:
        path: the store's file.
        tables: what to read.
        key: says what the store was made of.
        source: what the user calls it, for messages.

    Raises:
        InputError: as `table.load`; or the store cannot be written.
    """
    unfinished, scratch = path.with_name(f"{path.name}.new"), path.with_name(f"{path.name}.checks")
    try:
        for file in (unfinished, scratch):
            file.unlink(missing_ok=True)
        db = connect(unfinished, read_only=False)
        try:
            db.execute("ATTACH ? AS scratch", (str(scratch),))
            for schema in ("main", "scratch"):
                # Nothing is kept of a store that is not finished.
                db.execute(f"PRAGMA {schema}.journal_mode = OFF")
                db.execute(f"PRAGMA {schema}.synchronous = OFF")
                db.execute(f"PRAGMA {schema}.cache_size = -{2 * CACHE_KIB}")
            db.executescript(TABLES + SCRATCH)
            _Writing(db, tables, source).run(key)
        finally:
            db.close()
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(path)
    except (sqlite3.Error, OSError) as error:
        raise InputError(f"Cannot write the store {path}: {error}") from None
    finally:
        for file in (unfinished, scratch):
            file.unlink(missing_ok=True)


class _Writing:
    def __init__(self, db: sqlite3.Connection, tables: Tables, source: str) -> None:
        self._db, self._tables, self._source = db, tables, source
        self._checks = [check for check, family in ROW_CHECKS.items() if family in tables.families]
        self._codes: dict[str, int] = {}
        self._labels: dict[str, int] = {}
        self._splits: dict[str, SplitTotals] = {}
        self._flags: Counter[tuple[str, str]] = Counter()
        self._several: set[str] = set()
        self._mended = 0
        self._some_clip = False
        self._clips = ClipStates()

    def run(self, key: str) -> None:
        self._db.execute("BEGIN")
        drafts = self._tables.drafts()
        while batch := list(islice(drafts, _AT_ONCE)):
            self._write(batch)
        if not self._splits:
            raise InputError(f"{self._source} has no rows")
        order = official_order(self._splits)
        self._db.executemany(
            "INSERT INTO splits VALUES (?, ?, ?, ?)",
            [(self._codes[name], rank, name, self._splits[name].rows) for rank, name in enumerate(order)],
        )
        checks = Checks(self._db, order, self._tables.families)
        checks.refuse_duplicates(self._tables.info.name)
        checks.run()
        if "dialogue_id" in self._tables.fields:
            self._db.execute(f"CREATE INDEX turns ON rows (id >> {SHIFT}, dialogue, id)")
        head = self._head(order, checks)
        values = {
            "key": key,
            "clips": self._clips.total,
            "head": {f.name: getattr(head, f.name) for f in fields(head) if f.name != "utterances"},
            "variants": sorted(name for group in self._groups for name, _ in group),
            "totals": {name: vars(totals) for name, totals in self._splits.items()},
        }
        self._db.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [(name, json.dumps(value, default=str)) for name, value in values.items()],
        )
        self._db.execute("COMMIT")

    # -- the pass over the tables -------------------------------------------------------------------

    def _write(self, batch: Sequence[Draft]) -> None:
        tables = self._tables
        asked = [draft.clip for draft in batch]
        if tables.has_clips:
            for draft in batch:
                _note_clip(tables.folder, draft, self._clips)
            self._some_clip = self._some_clip or any(draft.clip is not None for draft in batch)
        for check in self._checks:
            for draft in batch:
                check(draft)
        if "media" in tables.families:
            media.check(tables.folder, batch)
        rows, lines = [], []
        for draft, clip in zip(batch, asked, strict=True):
            number = self._count(draft)
            rows.append((number, draft.dialogue_id, encode(draft, None if draft.clip else clip)))
            lines.append((number, *self._line(draft)))
        self._db.executemany(_INSERT_ROW, rows)
        self._db.executemany(_INSERT_LINE, lines)

    def _count(self, draft: Draft) -> int:
        """The row's number, after it was counted."""
        split = draft.split
        totals = self._splits.setdefault(split, SplitTotals())
        number = self._codes.setdefault(split, len(self._codes)) << SHIFT | totals.rows
        totals.rows += 1
        new = totals.rows == 1
        for name in ("dialogue_id", "utterance_id"):
            if name not in totals.named and isinstance(getattr(draft, name), str):
                totals.named.append(name)
                new = True
        if draft.label is not None:
            new = new or draft.label not in totals.labels
            totals.labels[draft.label] = totals.labels.get(draft.label, 0) + 1
        if new:
            totals.witnesses.append(number)
        totals.speakers[draft.speaker] = totals.speakers.get(draft.speaker, 0) + 1
        if "several_speakers" in draft.flags:
            self._several.add(draft.speaker)
        self._mended += draft.text_repaired is not None
        for flag in draft.flags:
            self._flags[flag, split] += 1
        return number

    def _line(self, draft: Draft) -> tuple[Any, ...]:
        """What the checks compare; words and ids as hashes, so that long ones take no more room."""
        key = draft.id or utterance_key(
            self._tables.info.name, draft.split, draft.dialogue_id, draft.utterance_id
        )
        words = normal(draft.words)
        recording = None
        if draft.recording is not None:
            recording = sum(
                (0 if part is None else part + 1) << place
                for part, place in zip(draft.recording, (31, 0), strict=True)
            )
        line = (
            f"{recording} {draft.start} {words}" if recording is not None and draft.start is not None else ""
        )
        label = None if draft.label is None else self._labels.setdefault(draft.label, len(self._labels))
        return (
            _hash(key),
            draft.dialogue_id,
            draft.utterance_id if isinstance(draft.utterance_id, int) else None,
            draft.start,
            draft.end,
            recording,
            _hash(words) if words else None,
            len(words.split()) >= 3,
            _hash(line) if words and line else None,
            label,
        )

    # -- what is known of all rows ------------------------------------------------------------------

    @cached_property
    def _groups(self) -> list[list[tuple[str, int]]]:
        """Names that may be spellings of one; for once all rows were counted."""
        return variants(self._speakers()) if "speakers" in self._tables.families else []

    def _speakers(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for totals in self._splits.values():
            counts.update({name: rows for name, rows in totals.speakers.items() if name})
        return counts

    def _head(self, order: Sequence[str], checks: Checks) -> Corpus:
        info, groups = self._tables.info, self._groups
        findings = dict(checks.findings)
        if "speakers" in self._tables.families:
            findings["several_speaker_names"] = len(self._several)
            findings["speaker_variant_groups"] = len(groups)
        for split, totals in self._splits.items():
            for name in (name for group in groups for name, _ in group):
                self._flags["speaker_variant", split] += totals.speakers.get(name, 0)
            for bits, rows in checks.marks(self._codes[split]):
                for flag in marked(bits):
                    self._flags[flag, split] += rows
        return Corpus(
            name=info.name,
            folder=self._tables.folder,
            utterances=(),
            files=self._tables.hashes(),
            defects=tally_flags(self._flags, self._tables.families, order, checks.counts),
            licence=info.licence,
            homepage=info.homepage,
            citation=info.citation,
            notes=(
                *self._tables.notes(self._some_clip),
                *variant_notes(groups),
                *mended_notes(self._mended),
            ),
            findings=findings,
            profile=info.profile,
        )


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class ClipStates:
    """The state of all clips in one number, whatever their order: it changes when any of them does."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, folder: Path, name: str) -> None:
        """Takes down whether a clip is there, its length in bytes and its time."""
        try:
            status = os.stat(folder / name)
            state = f"{name} {status.st_size} {status.st_mtime_ns}"
        except (OSError, ValueError):
            state = name
        self._sum += int.from_bytes(_hash(state), "big")

    @property
    def total(self) -> str:
        """The number, in hexadecimal digits."""
        return f"{self._sum % (1 << 128):032x}"


def _note_clip(folder: Path, draft: Draft, seen: ClipStates) -> None:
    """Flags a clip that is not there."""
    name = draft.clip
    if name is not None:
        seen.add(folder, name)
        if not _lies_there(folder, name):
            draft.clip = None
    if draft.clip is None:
        draft.flags.add("clip_missing")


def _lies_there(folder: Path, name: str) -> bool:
    """Whether a look through the folder would find it; it may be a broken link, which no one can read."""
    path = folder / name
    if path.is_file():
        return True
    hidden = any(part.startswith(".") for part in Path(name).parts)
    return not hidden and os.path.lexists(path) and not path.is_dir()
