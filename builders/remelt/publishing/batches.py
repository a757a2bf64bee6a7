"""The published rows of a split some at a time, so that the size of a dataset does not matter."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from .layout import shards
from .parquet import holds_bytes
from .reading import split_schema

BATCH_ROWS = 2_000


class Rows(Protocol):
    """The rows of one split of one config, without sound."""

    @property
    def schema(self) -> pa.Schema:
        """Their columns."""

    @property
    def num_rows(self) -> int:
        """How many there are."""

    def batches(self, columns: Collection[str] | None = None) -> Iterator[pa.Table]:
        """All of them in order, some at a time; all columns where none are named."""

    def table(self, columns: Collection[str] | None = None) -> pa.Table:
        """All of them at once."""


@dataclass(frozen=True, slots=True)
class HeldRows:
    """Rows that are in memory."""

    held: pa.Table

    @property
    def schema(self) -> pa.Schema:
        """Their columns."""
        return self.held.schema

    @property
    def num_rows(self) -> int:
        """How many there are."""
        return int(self.held.num_rows)

    def batches(self, columns: Collection[str] | None = None) -> Iterator[pa.Table]:
        """All of them as one batch."""
        yield self.table(columns)

    def table(self, columns: Collection[str] | None = None) -> pa.Table:
        """All of them at once."""
        return self.held if columns is None else self.held.select(_among(self.schema, columns))


@dataclass(frozen=True, slots=True)
class PublishedRows:
    """Rows in a folder's Parquet files.

    Attributes:
        paths: the files, in order.
        schema: the columns but for that of sound.
        num_rows: how many rows there are.
    """

    paths: tuple[Path, ...]
    schema: pa.Schema
    num_rows: int

    def batches(self, columns: Collection[str] | None = None) -> Iterator[pa.Table]:
        """All rows in order, at most `BATCH_ROWS` at a time.

        Raises:
            InputError: a file is missing, cut off or no Parquet.
        """
        names = _among(self.schema, columns)
        for path in self.paths:
            try:
                with pq.ParquetFile(path) as file:
                    # One group after the other: Arrow keeps what it needs for all those asked for together.
                    for group in range(file.num_row_groups):
                        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=names):
                            yield pa.Table.from_batches([batch]).select(names)
            except (OSError, pa.ArrowException) as error:
                raise InputError(f"{path} cannot be read as Parquet: {error}") from error

    def table(self, columns: Collection[str] | None = None) -> pa.Table:
        """All rows at once.

        Raises:
            InputError: as `batches`.
        """
        names = _among(self.schema, columns)
        empty = self.schema.empty_table().select(names).replace_schema_metadata()
        parts = [part.replace_schema_metadata() for part in self.batches(names)]
        return pa.concat_tables([empty, *parts]).replace_schema_metadata(self.schema.metadata)


def published_rows(out: Path, manifest: Mapping[str, Any], config: str, split: str) -> PublishedRows:
    """The rows of one split of one config; they are read when they are asked for.

    Raises:
        InputError: the manifest lists no file of the split, one cannot be opened, or they have different
            columns.
    """
    schema = split_schema(out, manifest, config, split)
    paths = tuple(shards(out, manifest["files"], config, split))
    kept = [field for field in schema if not holds_bytes(field.type)]
    rows = sum(pq.read_metadata(path).num_rows for path in paths)
    return PublishedRows(paths, pa.schema(kept, schema.metadata), rows)


def _among(schema: pa.Schema, columns: Collection[str] | None) -> list[str]:
    return [name for name in schema.names if columns is None or name in columns]
