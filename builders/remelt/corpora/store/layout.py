"""How a store looks: its tables, a row as JSON, and the flags that only a look at other rows gives."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from ...errors import InputError
from ..base import Draft
from ..defects import DEFECTS

# Raised whenever a store of before would be read wrongly.
VERSION = 1
CACHE_KIB = 4_000
# A row's number is its split's code, then its place in the split.
SHIFT = 40
PLACE = (1 << SHIFT) - 1

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE splits (
    code INTEGER PRIMARY KEY, rank INTEGER NOT NULL, name TEXT NOT NULL, rows INTEGER NOT NULL
);
CREATE TABLE rows (id INTEGER PRIMARY KEY, dialogue, data TEXT NOT NULL);
CREATE TABLE marks (id INTEGER PRIMARY KEY, bits INTEGER NOT NULL);
"""
# What the checks that compare rows need of each row; gone when the store is finished.
SCRATCH = """
CREATE TABLE scratch.lines (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, dialogue, number INTEGER, start INTEGER, end INTEGER,
    recording INTEGER, words BLOB, long INTEGER NOT NULL, line BLOB, label INTEGER
);
CREATE TABLE scratch.log (id INTEGER NOT NULL, bits INTEGER NOT NULL);
"""
# In the order of their bits in `marks`.
MARKS = (
    "starts_before_previous_ends",
    "starts_1s_before_previous_ends",
    "out_of_order",
    "same_interval_as_previous",
    "over_60s_after_previous",
    "same_line_twice",
    "same_line_other_label",
    "same_text_other_label",
    "same_text_other_label_3_words",
    "overlaps_earlier_split",
)
BIT = {name: 1 << place for place, name in enumerate(MARKS)}

_NAMES = tuple(DEFECTS)
_NUMBERS = {name: number for number, name in enumerate(_NAMES)}
_FIELDS = (
    "dialogue_id", "utterance_id", "speaker", "text", "source", "id", "text_repaired", "label", "sentiment",
    "season", "episode", "start", "end", "clip", "clip_duration",
)  # fmt: skip


def connect(path: Path, read_only: bool) -> sqlite3.Connection:
    """Opens the file with a cache of fixed size.

    Raises:
        InputError: it cannot be opened.
    """
    uri = path.resolve().as_uri() + ("?mode=ro&immutable=1" if read_only else "")
    try:
        db = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except sqlite3.Error as error:
        raise InputError(f"Cannot open {path}: {error}") from None
    return db


def bits_of(flags: Iterable[str]) -> int:
    """The bits of some of `MARKS`."""
    return sum(BIT[flag] for flag in flags)


def marked(bits: int) -> list[str]:
    """The flags of some bits."""
    return [name for name, bit in BIT.items() if bits & bit]


def encode(draft: Draft, asked_clip: str | None = None) -> str:
    """A row as ASCII JSON: SQLite takes no unpaired surrogates.

    Args:
        draft: the row, with all flags that it has by itself.
        asked_clip: the clip that the table names, where that is not there.
    """
    values = [getattr(draft, name) for name in _FIELDS]
    return json.dumps([*values, [_NUMBERS[flag] for flag in draft.flags], asked_clip])


def decode(split: str, data: str) -> Draft:
    """The row of `encode`."""
    *values, flags, _ = json.loads(data)
    draft = Draft(split, **dict(zip(_FIELDS, values, strict=True)))
    draft.flags.update([_NAMES[number] for number in flags])
    return draft


def named_clip(data: str) -> str | None:
    """The clip that the table names, whether it is there or not."""
    values = json.loads(data)
    clip: str | None = values[-1] or values[_FIELDS.index("clip")]
    return clip
