"""Any table as a corpus: CSV, TSV, JSON lines, Parquet or a Hugging Face dataset folder, column by column."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ..errors import InputError
from . import media, row_checks, table_layout
from .base import Corpus, CorpusInfo, Draft, safe_id, safe_name, safe_split, sha256, whole_number
from .defects import Family
from .finish import Reading, finish
from .mapping import TableMapping
from .table_files import Record, Table, open_table
from .times import parse_time

INFO = CorpusInfo(
    name="table",
    title="any table of utterances",
    licence="unknown",
    homepage="",
    citation="",
    layout=(
        "a CSV, TSV, JSON lines or Parquet file, a folder of them (splits from a column or from the files' "
        "names), or a Hugging Face dataset folder; with --column COLUMN=FIELD or --mapping FILE"
    ),
)
_NEEDS = "map a column to 'text', and one to 'id' or two to 'dialogue_id' and 'utterance_id'"


@dataclass(frozen=True)
class _Source:
    """What the rows of one file are read with."""

    name: str
    folder: Path
    columns: Mapping[str, str]
    class_names: Mapping[str, Sequence[str]]
    labels: frozenset[str]
    split: str | None

    def value(self, record: Record, field: str) -> object:
        """The row's value of a field; None where no column is mapped to it, or the row lacks it."""
        column = self.columns.get(field)
        if column is None:
            return None
        value = record.values.get(column)
        if isinstance(value, int) and not isinstance(value, bool) and column in self.class_names:
            names = self.class_names[column]
            if value >= len(names):
                raise InputError(
                    f"{record.place}: bad {column} {value}, expected a number under {len(names)}"
                )
            return names[value] if value >= 0 else None
        return value

    def text(self, record: Record, field: str) -> str:
        """The same as text; empty for None and NaN."""
        value = self.value(record, field)
        if isinstance(value, str):
            return value
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if isinstance(value, (int, float)):
            return str(value)
        kind = type(value).__name__
        raise InputError(
            f"{record.place}: bad {self.columns[field]}, expected text or a number, found a {kind}"
        )


def matches(source: Path) -> bool:
    """Whether there is a table to read."""
    return table_layout.matches(source)


def load(
    source: Path,
    mapping: TableMapping | None = None,
    *,
    name: str | None = None,
    splits: Sequence[str] | None = None,
) -> Corpus:
    """Reads a table.

    Args:
        source: a folder or a file.
        mapping: which column holds what.
        name: the corpus's name in ids; else the mapping's, else `table`.
        splits: the splits to give; all are read and checked against each other in any case.

    Raises:
        InputError: no table, a mapped column that is not there, or rows without a safe and unique key.
    """
    tables = Tables(source, mapping, name)
    drafts = list(tables.drafts())
    if not drafts:
        raise InputError(f"{source} has no rows")
    there = {file.path for file in media.walk(tables.folder)} if tables.has_clips else frozenset()
    for draft in drafts if tables.has_clips else ():
        if not (draft.clip in there or is_clip(tables.folder, draft.clip)):
            draft.clip = None
            draft.flags.add("clip_missing")
    notes = tables.notes(any(draft.clip is not None for draft in drafts))
    reading = Reading(tables.info, tables.folder, drafts, tables.hashes(), tables.families, notes)
    return finish(reading, splits)


class Tables:
    """The tables of a corpus: what is known before their rows are read, and the rows.

    Args:
        source, mapping, name: see `load`.

    Attributes:
        info: of the corpus.
        folder: what paths are relative to.
        fields: those that any of the files has a column for.
        families: the defects to look for.

    Raises:
        InputError: no table, or a mapped column that is not there.
    """

    def __init__(self, source: Path, mapping: TableMapping | None, name: str | None) -> None:
        mapping = mapping or TableMapping()
        layout = table_layout.find(source, mapping)
        self.info = replace(
            INFO,
            name=safe_name(name or mapping.name or INFO.name),
            licence=mapping.licence or INFO.licence,
            homepage=mapping.homepage,
            citation=mapping.citation,
        )
        self.folder = layout.folder
        self._layout = layout
        self._tables: list[tuple[_Source, Table]] = []
        self.fields: set[str] = set()
        for path, split in layout.files:
            table = open_table(layout.folder / path, path)
            columns = _columns(path, table, mapping)
            self.fields |= columns.keys()
            names = {**table.class_names, **layout.class_names}
            one = _Source(self.info.name, layout.folder, columns, names, frozenset(mapping.labels), split)
            self._tables.append((one, table))
        self.families = _families(self.fields)

    @property
    def has_clips(self) -> bool:
        """Whether a column says what the clips are."""
        return "clip" in self.fields

    def drafts(self) -> Iterator[Draft]:
        """All rows, file by file; clips are not looked for.

        Raises:
            InputError: a file that is not what its ending says, or a row without a safe key.
        """
        for source, table in self._tables:
            for record in table.records(list(source.columns.values())):
                yield _row(source, record)

    def hashes(self) -> dict[str, str]:
        """File -> sha256."""
        return {path: sha256(self.folder / path) for path, _ in self._layout.files}

    def notes(self, some_clip: bool) -> tuple[str, ...]:
        """What was taken for granted; complete once all rows were read.

        Args:
            some_clip: whether any clip was found.
        """
        notes = [*self._layout.notes, *(note for _, table in self._tables for note in table.notes)]
        if all(split is None for _, split in self._layout.files) and "split" not in self.fields:
            notes.append("Neither a file name nor a column says the split: all rows are 'train'.")
        if self.has_clips and not some_clip:
            notes.append("No clip was found: sound that is stored inside a table is not read.")
        return tuple(notes)


def is_clip(folder: Path, clip: str | None) -> bool:
    """Whether a row's clip is a file."""
    return clip is not None and (folder / clip).is_file()


def _columns(path: str, table: Table, mapping: TableMapping) -> dict[str, str]:
    try:
        columns = mapping.column_of(table.columns)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if "text" not in columns or not ("id" in columns or {"dialogue_id", "utterance_id"} <= columns.keys()):
        raise InputError(f"{path}: {_NEEDS}; found columns {list(table.columns)!r}, mapped {columns!r}")
    return columns


def _families(fields: Iterable[str]) -> frozenset[Family]:
    has = frozenset(fields)
    wanted: dict[Family, bool] = {
        "text": True,
        "encoding": True,
        "labels": "label" in has,
        "repeats": "label" in has,
        "speakers": "speaker" in has,
        "times": {"start", "end"} <= has,
        "turns": {"start", "end", "dialogue_id"} <= has,
        "splits": {"start", "end"} <= has and bool(has & {"season", "episode"}),
        "media": "clip" in has,
    }
    return frozenset(family for family, met in wanted.items() if met)


def _row(source: _Source, record: Record) -> Draft:
    split = source.text(record, "split").strip() if "split" in source.columns else ""
    if "split" in source.columns and source.split is None:
        safe_split(split, record.place)
    draft = Draft(
        split=source.split or split or "train",
        dialogue_id="",
        utterance_id=0,
        speaker=source.text(record, "speaker").strip(),
        text=source.text(record, "text"),
        source=record.place,
        label=source.text(record, "label").strip().casefold() or None,
        sentiment=source.text(record, "sentiment").strip().casefold() or None,
    )
    _key(source, record, draft)
    row_checks.encoding(draft, record.utf8)
    if "label" in source.columns and draft.label is None:
        draft.flags.add("label_missing")
    elif source.labels and draft.label not in source.labels:
        draft.flags.add("label_unknown")
    draft.season, draft.episode = (_episode(source, record, field, draft) for field in ("season", "episode"))
    draft.start, draft.end = (_time(source, record, field, draft) for field in ("start", "end"))
    draft.clip = _clip(source, record)
    return draft


def _key(source: _Source, record: Record, draft: Draft) -> None:
    """Dialogue and utterance where both have columns; else the id stands for what is missing."""
    columns = source.columns
    if {"dialogue_id", "utterance_id"} <= columns.keys():
        draft.dialogue_id = _id(source, record, "dialogue_id")
        draft.utterance_id = _id(source, record, "utterance_id")
        return
    prefix = f"{source.name}/{draft.split}/"
    value = source.text(record, "id").strip().removeprefix(prefix)
    draft.id = prefix + safe_id(value, columns["id"], record.place)
    if "dialogue_id" in columns:
        draft.dialogue_id, draft.utterance_id = _id(source, record, "dialogue_id"), value
    else:
        draft.dialogue_id = value


def _id(source: _Source, record: Record, field: str) -> int | str:
    value = source.text(record, field).strip()
    number = whole_number(value)
    if number is not None and str(number) == value:
        return number
    return safe_id(value, source.columns[field], record.place)


def _episode(source: _Source, record: Record, field: str, draft: Draft) -> int | None:
    value = source.text(record, field)
    number = whole_number(value)
    if number is None and value.strip():
        draft.flags.add("episode_unreadable")
    return number


def _time(source: _Source, record: Record, field: str, draft: Draft) -> int | None:
    if field not in source.columns:
        return None
    value = source.value(record, field)
    time = parse_time(value)
    if time is None:
        empty = value is None or (isinstance(value, str) and not value.strip())
        draft.flags.add("time_missing" if empty else "time_unreadable")
    return time


def _clip(source: _Source, record: Record) -> str | None:
    if "clip" not in source.columns or isinstance(source.value(record, "clip"), dict):
        return None
    value = source.text(record, "clip").strip()
    if not value:
        return None
    path = PurePosixPath(value)
    if path.is_absolute() and path.is_relative_to(source.folder.resolve().as_posix()):
        path = path.relative_to(source.folder.resolve().as_posix())
    if path.is_absolute() or ".." in path.parts or "\0" in value:
        raise InputError(f"{record.place}: bad clip {value!r}, expected a path below {source.folder}")
    return path.as_posix()
