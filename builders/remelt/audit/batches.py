"""Reads the Parquet files of a dataset some rows at a time, so that its size does not matter."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from .files import (
    Columns,
    class_names_of,
    decode,
    features_of,
    in_order,
    label_files,
    merge_names,
    plain_names,
    row_splits,
)

BATCH_ROWS = 4_000
SPLIT = "split"


@dataclass(frozen=True, slots=True)
class _File:
    """One Parquet file: its split, its columns, the classes among them, and its rows."""

    path: Path
    split: str
    names: tuple[str, ...]
    class_names: dict[str, tuple[str, ...]]
    rows: int


@dataclass(frozen=True, slots=True)
class Batches:
    """A dataset in Parquet files; `Columns` has the same attributes and holds all of it.

    Attributes:
        files: in order.
        names: all columns that can be read, in order of appearance.
        class_names: column name -> the names of a ClassLabel column, in its order.
        splits: all splits, also those without rows, in the customary order.
        further: columns that are left out because they are nested or binary.
    """

    files: tuple[_File, ...]
    names: tuple[str, ...]
    class_names: dict[str, tuple[str, ...]]
    splits: tuple[str, ...]
    further: frozenset[str]

    def __len__(self) -> int:
        return sum(file.rows for file in self.files)

    def batches(self, wanted: Collection[str]) -> Iterator[Columns]:
        """The rows, at most `BATCH_ROWS` at a time, with those of the wanted columns that there are.

        Raises:
            InputError: a file that is cut off, or a class code without a name.
        """
        for file in self.files:
            for batch in parquet_batches(file.path, _names(file, wanted)):
                yield self._columns(file, batch, wanted)

    def rows(self, places: Sequence[int], wanted: Collection[str]) -> Iterator[Columns]:
        """Some of the rows.

        Args:
            places: which, ascending; rows are counted from 0 over all files.
            wanted: their columns.

        Raises:
            InputError: as `batches`.
        """
        first = 0
        for file in self.files:
            mine = places[bisect_left(places, first) : bisect_left(places, first + file.rows)]
            start = first
            for batch in parquet_batches(file.path, _names(file, wanted)) if mine else ():
                end = start + batch.num_rows
                here = mine[bisect_left(mine, start) : bisect_left(mine, end)]
                if here:
                    yield self._columns(file, batch.take(pa.array([p - start for p in here])), wanted)
                start = end
            first += file.rows

    def _columns(self, file: _File, batch: pa.RecordBatch, wanted: Collection[str]) -> Columns:
        found = {name: batch.column(name).to_pylist() for name in _names(file, wanted)}
        for name in found.keys() & file.class_names.keys():
            found[name] = decode(found[name], file.class_names[name], file.path, name)
        split = row_splits(found, file.split, batch.num_rows)
        values: dict[str, list[Any]] = {
            name: found.get(name, [None] * batch.num_rows) for name in self.names if name in wanted
        }
        return Columns(values, self.class_names, split, self.splits)


def open_batches(path: Path, order: Sequence[str] = ()) -> Batches | None:
    """The dataset of a folder or file; None where it has files that are not Parquet.

    Args:
        path, order: as `files.read` takes them.

    Raises:
        InputError: nothing to read there, or a file that cannot be read.
    """
    if not path.exists():
        raise InputError(f"There is no file or folder {path}")
    listed = label_files(path)
    if any(file.suffix.lower() != ".parquet" for file, _ in listed):
        return None
    files: list[_File] = []
    names: dict[str, None] = {}
    class_names: dict[str, tuple[str, ...]] = {}
    every: set[str] = set()
    for file, split in listed:
        schema, rows = _schema(file)
        own = tuple(plain_names(schema))
        classes = class_names_of(features_of(schema), own)
        names |= dict.fromkeys(own)
        every.update(schema.names)
        merge_names(class_names, classes)
        files.append(_File(file, split, own, classes, rows))
    found = Batches(tuple(files), tuple(names), class_names, (), frozenset(every - set(names)))
    return Batches(found.files, found.names, class_names, in_order(_splits(found), order), found.further)


def parquet_batches(path: Path, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of one file, at most `BATCH_ROWS` rows at a time.

    Raises:
        InputError: the file is not Parquet, or is cut off.
    """
    try:
        with pq.ParquetFile(path) as file:
            # One group after the other: Arrow keeps what it needs for all those asked for together.
            for group in range(file.num_row_groups):
                yield from file.iter_batches(BATCH_ROWS, row_groups=[group], columns=list(names))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from None


def parquet_names(path: Path) -> list[str]:
    """The columns of one file that are neither binary nor nested, but for lists of texts.

    Raises:
        InputError: the file is not Parquet, or is cut off.
    """
    return plain_names(_schema(path)[0])


def _names(file: _File, wanted: Collection[str]) -> list[str]:
    """The columns to read: the split's too, which says where each row belongs."""
    return [name for name in file.names if name in wanted or name == SPLIT]


def _splits(found: Batches) -> set[str]:
    splits: set[str] = set()
    for file in found.files:
        if SPLIT not in file.names:
            splits.add(file.split)
            continue
        only = Batches((file,), found.names, found.class_names, (), found.further)
        for columns in only.batches(()):
            splits.update(columns.split)
    return splits


def _schema(path: Path) -> tuple[pa.Schema, int]:
    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from None
