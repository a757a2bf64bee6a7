"""The table that an audit looks at: two label columns side by side, and what is known of each row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, bad_value
from .files import Columns, read
from .matrix import Codes
from .voice_columns import SECONDS, SHOWN_ELSEWHERE, VoiceRows, voice_rows

BEFORE = "original_label"
AFTER = "label"
MAX_LABELS = 100

ROLES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "key", "filename", "file"),
    "speaker": ("speaker", "speakerid", "character", "actor"),
    "text": ("textrepaired", "text", "utterance", "transcript", "transcription", "sentence"),
    "season": ("season",),
    "duration": ("duration",),
    "start": ("start", "starttime"),
    "end": ("end", "endtime"),
    "clip": ("clip",),
    "flags": ("flags",),
    "character_match": ("charactermatch",),
    "annotator": ("annotator",),
}
_UNSHOWN = ("dialogueid", "utteranceid", "episode", "changed", "split", "text", "textrepaired", "srno")
_CLOCK = re.compile(r"\s*(\d+):(\d{1,2}):(\d{1,2})(?:[.,](\d+))?\s*")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows with a label before and a label after; all lists have one entry per row.

    Attributes:
        name: the folder's or file's name.
        before_name, after_name: where the two labels come from, as to be shown.
        labels: all labels of either side; ClassLabel order first, then by name.
        before, after: codes into `labels`, -1 where the row has none.
        seasons: as they stand, any type.
        durations: seconds; None where unknown.
        fields: the answer's other fields (`context`, `loudness`, ...), or any further text column.
        unmatched: ids without a partner, per side, when two datasets were joined.
        notes: what a reader of the numbers has to know about the reading.
        voice: what is known of the sound; None for a dataset without any.
        places: where each row stands in the files read; None where that is its own number.
    """

    name: str
    before_name: str
    after_name: str
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    ids: list[str]
    split: list[str]
    before: Codes
    after: Codes
    speakers: list[str | None]
    texts: list[str]
    seasons: list[Any]
    durations: list[float | None]
    fields: Mapping[str, list[str | None]]
    flags: list[tuple[str, ...]]
    matches: list[bool | None]
    clips: list[str | None]
    unmatched: Mapping[str, tuple[str, ...]] | None = None
    notes: tuple[str, ...] = ()
    voice: VoiceRows | None = None
    places: list[int] | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """One label column with its class names (empty unless it is a ClassLabel column)."""

    name: str
    values: list[Any]
    class_names: tuple[str, ...]


def read_table(
    path: Path, before: str | None = None, after: str | None = None, order: Sequence[str] = ()
) -> Table:
    """One dataset with both label columns in it.

    Args:
        path: a remelt or Hugging Face dataset folder, or a Parquet, CSV, TSV or JSONL file.
        before, after: the columns; `original_label` and `label` where not given.
        order: the order of the splits where it is known.

    Raises:
        InputError: unreadable, or a column that is not there; the message names the columns.
    """
    columns = read(path, order)
    sides = (_side(columns, path, before or BEFORE), _side(columns, path, after or AFTER))
    return _table(path.name or path.resolve().name, columns, sides, {s.name for s in sides})


def join_tables(
    left: Path, right: Path, before: str | None = None, after: str | None = None, order: Sequence[str] = ()
) -> Table:
    """Two datasets joined by id: the label before from the left one, the label after from the right one.

    Rows keep the left one's order; what is known of a row comes from the left one, and the right one's
    further text columns stand beside under its name.

    Raises:
        InputError: no id column, an id twice, or no id in common.
    """
    a, b = read(left, order), read(right)
    first, second = _side(a, left, before or AFTER), _side(b, right, after or AFTER)
    keys_a, keys_b = _keys(a, left), _keys(b, right)
    where = {key: row for row, key in enumerate(keys_b)}
    rows = [(i, where[key]) for i, key in enumerate(keys_a) if key in where]
    if not rows:
        raise InputError(
            f"{left} and {right} have no id in common: {keys_a[0] if keys_a else 'no row'!r} there, "
            f"{keys_b[0] if keys_b else 'no row'!r} here"
        )
    names = (left.name or left.resolve().name, right.name or right.resolve().name)
    if names[0] == names[1]:
        names = (str(left), str(right))
    matched = Columns(
        {n: [v[i] for i, _ in rows] for n, v in a.values.items()},
        a.class_names,
        [a.split[i] for i, _ in rows],
        a.splits,
    )
    chosen = (
        _Side(f"{first.name} ({names[0]})", [first.values[i] for i, _ in rows], first.class_names),
        _Side(f"{second.name} ({names[1]})", [second.values[j] for _, j in rows], second.class_names),
    )
    table = _table(" / ".join(names), matched, chosen, {first.name, BEFORE})
    known = set(keys_a)
    further = {
        f"{names[1]}: {name}": [values[j] for _, j in rows]
        for name, values in _fields(b, {second.name, BEFORE}).items()
    }
    return replace(
        table,
        fields={**table.fields, **further},
        places=[i for i, _ in rows],
        unmatched={
            names[0]: tuple(k for k in keys_a if k not in where),
            names[1]: tuple(k for k in keys_b if k not in known),
        },
    )


def seconds(value: object) -> float | None:
    """A number of seconds from a number or a clock time; None where it is neither.

    >>> seconds("00:16:21,731"), seconds("2.5"), seconds(3), seconds("soon")
    (981.731, 2.5, 3.0, None)
    """
    if isinstance(value, (int, float)):
        number = float(value)
    elif isinstance(value, str):
        clock = _CLOCK.fullmatch(value)
        if clock:
            hours, minutes, secs, part = clock.groups()
            return round(int(hours) * 3600 + int(minutes) * 60 + float(f"{secs}.{part or 0}"), 6)
        try:
            number = float(value)
        except ValueError:
            return None
    else:
        return None
    return number if np.isfinite(number) else None


def _side(columns: Columns, path: Path, name: str) -> _Side:
    if name not in columns.values:
        raise InputError(f"{path}: {bad_value('column', name, columns.values)}")
    values = columns.values[name]
    if values and isinstance(next((v for v in values if v is not None), ""), list):
        raise InputError(f"{path}: column {name!r} holds lists; a label column has one label per row")
    return _Side(name, values, columns.class_names.get(name, ()))


def _keys(columns: Columns, path: Path) -> list[str]:
    name = _role(columns, "id")
    if name is None:
        raise InputError(f"{path}: {bad_value('id column', None, columns.values)} to join by")
    keys = [str(v) for v in columns.values[name]]
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise InputError(
            f"{path}: {len(twice)} ids stand more than once in column {name!r}, such as {twice[0]!r}; "
            "rows cannot be joined by it"
        )
    return keys


def _table(name: str, columns: Columns, sides: tuple[_Side, _Side], used: set[str]) -> Table:
    size = len(columns)
    labels, codes, notes = _encode(sides)
    id_name = _role(columns, "id")
    ids = (
        [f"row {i}" for i in range(1, size + 1)]
        if id_name is None
        else [str(v) for v in columns.values[id_name]]
    )
    return Table(
        name=name,
        before_name=sides[0].name,
        after_name=sides[1].name,
        labels=labels,
        splits=columns.splits,
        ids=ids,
        split=columns.split,
        before=codes[0],
        after=codes[1],
        speakers=[None if v is None or v == "" else str(v) for v in _values(columns, "speaker")],
        texts=_texts(columns),
        seasons=_values(columns, "season"),
        durations=_durations(columns),
        fields=_fields(columns, used),
        flags=[tuple(str(f) for f in v) if isinstance(v, list) else () for v in _values(columns, "flags")],
        matches=[v if isinstance(v, bool) else None for v in _values(columns, "character_match")],
        clips=[v if isinstance(v, str) and v else None for v in _values(columns, "clip")],
        notes=notes,
        voice=voice_rows(columns.values, size),
    )


def _encode(sides: tuple[_Side, _Side]) -> tuple[tuple[str, ...], tuple[Codes, Codes], tuple[str, ...]]:
    folded = [[_fold(v) for v in side.values] for side in sides]
    named = [_fold(n) for side in reversed(sides) for n in side.class_names]
    order = list(dict.fromkeys(n for n in named if n is not None))
    seen = {v for column in folded for v in column if v is not None}
    labels = (*order, *sorted(seen - set(order)))
    for side, column in zip(sides, folded, strict=True):
        different = len(set(column))
        if different > MAX_LABELS:
            raise InputError(
                f"Column {side.name!r} has {different} different values; "
                f"a label column has at most {MAX_LABELS}"
            )
    index: dict[str | None, int] = {None: -1, **{label: i for i, label in enumerate(labels)}}
    first, second = (np.array([index[v] for v in column], dtype=np.int64) for column in folded)
    notes = []
    for side, column in zip(sides, folded, strict=True):
        spellings = {str(v) for v, f in zip(side.values, column, strict=True) if f not in (None, v)}
        if spellings:
            notes.append(
                f"Labels of {side.name} were compared in lower case and without spaces around them "
                f"({len(spellings)} spellings, such as {min(spellings)!r})."
            )
    return labels, (first, second), tuple(notes)


def _fold(value: object) -> str | None:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    return str(value).strip().casefold() or None


def _role(columns: Columns, role: str) -> str | None:
    plain: dict[str, str] = {}
    for name in columns.values:
        plain.setdefault(_plain(name), name)
    return next((plain[n] for n in ROLES[role] if n in plain), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _values(columns: Columns, role: str) -> list[Any]:
    name = _role(columns, role)
    return [None] * len(columns) if name is None else columns.values[name]


def _texts(columns: Columns) -> list[str]:
    """The words to count and show: the repaired copy where there is one."""
    repaired = columns.values.get("text_repaired")
    if repaired is None or "text" not in columns.values:
        return ["" if v is None else str(v) for v in _values(columns, "text")]
    return [str(b if a is None else a or "") for a, b in zip(repaired, columns.values["text"], strict=True)]


def _durations(columns: Columns) -> list[float | None]:
    own = [seconds(v) for v in _values(columns, "duration")]
    if any(v is not None for v in own):
        return own
    starts, ends = _values(columns, "start"), _values(columns, "end")
    pairs = ((seconds(a), seconds(b)) for a, b in zip(starts, ends, strict=True))
    stamped = [None if a is None or b is None else round(b - a, 3) for a, b in pairs]
    if SECONDS in columns.values and not any(v is not None for v in stamped):
        return [seconds(v) for v in columns.values[SECONDS]]
    return stamped


def _fields(columns: Columns, used: Iterable[str]) -> dict[str, list[str | None]]:
    taken = {*used, *SHOWN_ELSEWHERE, *(_role(columns, role) for role in ROLES)}
    found = {}
    for name, values in columns.values.items():
        if name in taken or _plain(name) in _UNSHOWN or not any(isinstance(v, str) and v for v in values):
            continue
        found[name] = [v if isinstance(v, str) and v else None for v in values]
    return found
