"""Reads the sound of single rows out of a dataset's own Parquet files, without reading all of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from .files import parquet_files

COLUMN = "audio"
# Row groups are read whole: rows spread over very many of them would cost far more than they weigh.
MOST_READ = 20
BATCH_ROWS = 32


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group: its file, number, first row in the whole dataset, rows, and bytes of sound in it."""

    path: Path
    number: int
    first: int
    rows: int
    size: int


class AudioColumn:
    """The column `audio` (a struct of `bytes` and `path`, as the Hub stores it) of a dataset.

    Raises:
        InputError: a file that is no Parquet file.
    """

    def __init__(self, dataset: Path) -> None:
        self._groups: list[_Group] = []
        first = 0
        for path in parquet_files(dataset):
            for group in _groups(path, first):
                self._groups.append(group)
                first += group.rows
        self._firsts = [group.first for group in self._groups]

    def __bool__(self) -> bool:
        """Whether any row can have sound."""
        return any(group.size for group in self._groups)

    def read(self, rows: Iterable[int], limit: int) -> Mapping[int, bytes]:
        """The sound of the given rows, in the order given, until it takes `limit` bytes.

        Args:
            rows: numbers of rows as they stand in the files, wanted first to last.
            limit: bytes in all; a row that no longer fits is left out, a smaller one after it may fit.
        """
        wanted = self._choose(rows, limit)
        found: dict[int, bytes] = {}
        for number, places in sorted(_by_group(wanted).items()):
            found.update(_read(self._groups[number], places, limit))
        kept: dict[int, bytes] = {}
        left = limit
        for row in wanted:
            content = found.get(row, b"")
            if content and len(content) <= left:
                kept[row] = content
                left -= len(content)
        return kept

    def _choose(self, rows: Iterable[int], limit: int) -> dict[int, int]:
        """Row -> number of its row group, of the rows that are likely to fit, in the order given."""
        chosen: dict[int, int] = {}
        opened: set[int] = set()
        expected, reading = 0.0, 0
        for row in rows:
            number = bisect_right(self._firsts, row) - 1
            group = self._groups[number]
            if not 0 <= row - group.first < group.rows or not group.size or row in chosen:
                continue
            if number not in opened:
                if opened and reading + group.size > MOST_READ * limit:
                    continue
                opened.add(number)
                reading += group.size
            chosen[row] = number
            expected += group.size / group.rows
            if expected > 1.2 * limit:
                break
        return chosen


def _groups(path: Path, first: int) -> list[_Group]:
    try:
        with pq.ParquetFile(path) as file:
            kind = file.schema_arrow
            metadata = file.metadata
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from None
    place = kind.get_field_index(COLUMN)
    struct = kind.field(place).type if place >= 0 else None
    sound = struct is not None and pa.types.is_struct(struct) and struct.get_field_index("bytes") >= 0
    found = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        size = 0
        if sound:
            columns = (group.column(i) for i in range(group.num_columns))
            size = sum(c.total_uncompressed_size for c in columns if c.path_in_schema == f"{COLUMN}.bytes")
        found.append(_Group(path, number, first, group.num_rows, size))
        first += group.num_rows
    return found


def _by_group(wanted: Mapping[int, int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for row, number in wanted.items():
        found.setdefault(number, set()).add(row)
    return found


def _read(group: _Group, rows: set[int], limit: int) -> dict[int, bytes]:
    """The sound of some rows of one row group; one that is larger than the limit is passed over."""
    found: dict[int, bytes] = {}
    place = group.first
    try:
        with pq.ParquetFile(group.path) as file:
            batches = file.iter_batches(BATCH_ROWS, row_groups=[group.number], columns=[f"{COLUMN}.bytes"])
            for batch in batches:
                sound = batch.column(0)
                for row in sorted(rows.intersection(range(place, place + len(batch)))):
                    content = sound[row - place].as_py()
                    data = content.get("bytes") if isinstance(content, dict) else None
                    if isinstance(data, bytes) and 0 < len(data) <= limit:
                        found[row] = data
                place += len(batch)
                if place > max(rows):
                    break
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{group.path}: the column {COLUMN!r} cannot be read: {error}") from None
    return found
