"""The table that an audit looks at: two label columns side by side, and what is known of each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError, bad_value
from .files import Columns, read
from .layout import AFTER, BEFORE, REPAIRED, Layout, lay_out, layout_of, role, seconds, side, text_columns
from .matrix import Codes
from .voice_columns import VoiceRows, voice_rows

# A name for the label of the other dataset that no column of this one has.
_OTHER = "\0"


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

    def batches(self) -> Iterator[Table]:
        """All rows at once, as `streamed.Streamed` gives some at a time."""
        yield self


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
    return rows_of(layout_of(path, columns, before, after), columns)


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
    first, second = side(a, left, before or AFTER), side(b, right, after or AFTER)
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
        {
            **{n: [v[i] for i, _ in rows] for n, v in a.values.items()},
            _OTHER: [b.values[second.column][j] for _, j in rows],
        },
        a.class_names,
        [a.split[i] for i, _ in rows],
        a.splits,
    )
    chosen = (
        replace(first, name=f"{first.name} ({names[0]})"),
        replace(second, column=_OTHER, name=f"{second.name} ({names[1]})"),
    )
    layout = lay_out(" / ".join(names), matched, chosen, {first.column, BEFORE, _OTHER})
    known = set(keys_a)
    others = (name for name in text_columns(b, {second.column, BEFORE}))
    further = {f"{names[1]}: {name}": [_text(b.values[name][j]) for _, j in rows] for name in others}
    table = rows_of(layout, matched)
    return replace(
        table,
        fields={**table.fields, **further},
        places=[i for i, _ in rows],
        unmatched={
            names[0]: tuple(k for k in keys_a if k not in where),
            names[1]: tuple(k for k in keys_b if k not in known),
        },
    )


def _keys(columns: Columns, path: Path) -> list[str]:
    name = role(columns.names, "id")
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


def rows_of(layout: Layout, columns: Columns, first: int = 0) -> Table:
    """Rows of a dataset.

    Args:
        layout: what is known of the dataset as a whole.
        columns: all of its rows, or some; what stands in no column here is unknown.
        first: how many rows stand before these.
    """
    size = len(columns)
    before, after = (layout.encode(columns.values[side.column]) for side in layout.sides)
    name = layout.role("id")
    return Table(
        name=layout.name,
        before_name=layout.before_name,
        after_name=layout.after_name,
        labels=layout.labels,
        splits=columns.splits,
        ids=[f"row {first + i}" for i in range(1, size + 1)]
        if name is None
        else [str(v) for v in _values(columns, name)],
        split=columns.split,
        before=before,
        after=after,
        speakers=[None if v is None or v == "" else str(v) for v in _values(columns, layout.role("speaker"))],
        texts=_texts(columns, layout),
        seasons=_values(columns, layout.role("season")),
        durations=_durations(columns, layout),
        fields={n: [_text(v) for v in columns.values[n]] for n in layout.fields if n in columns.values},
        flags=[
            tuple(str(f) for f in v) if isinstance(v, list) else ()
            for v in _values(columns, layout.role("flags"))
        ],
        matches=[
            v if isinstance(v, bool) else None for v in _values(columns, layout.role("character_match"))
        ],
        clips=[_text(v) for v in _values(columns, layout.role("clip"))],
        notes=layout.notes,
        voice=voice_rows(columns.values, size),
    )


def _values(columns: Columns, name: str | None) -> list[Any]:
    missing: list[Any] = [None] * len(columns)
    return missing if name is None else columns.values.get(name, missing)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(columns: Columns, layout: Layout) -> list[str]:
    """The words to count and show: the repaired copy where there is one."""
    if not layout.repaired:
        return ["" if v is None else str(v) for v in _values(columns, layout.role("text"))]
    repaired, texts = (_values(columns, name) for name in REPAIRED)
    return [str(b if a is None else a or "") for a, b in zip(repaired, texts, strict=True)]


def _durations(columns: Columns, layout: Layout) -> list[float | None]:
    found = [[seconds(v) for v in _values(columns, name)] for name in layout.timed_by]
    if len(found) == 1:
        return found[0]
    starts, ends = found
    return [None if a is None or b is None else round(b - a, 3) for a, b in zip(starts, ends, strict=True)]
