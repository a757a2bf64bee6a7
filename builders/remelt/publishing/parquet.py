"""Parquet files that are the same bytes for the same rows, and that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError, Interrupted

ROWS_PER_GROUP = 10_000
ROWS_PER_SHARD = 1_000_000
BYTES_PER_SHARD = 500_000_000

# Every setting that shapes the bytes, so that a new default in pyarrow does not change them.
_SETTINGS: dict[str, Any] = {
    "version": "2.6",
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": True,
    "write_statistics": True,
    "data_page_version": "1.0",
    "data_page_size": 1_048_576,
    "use_compliant_nested_type": True,
    "store_schema": True,
    "write_page_index": False,
}


class WriteError(Interrupted):
    """A file of the dataset could not be written; the replies are safe and the build can go on."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is written in full beside its final place, waiting to be moved there.

    Attributes:
        temporary: where it is now.
        path: its final place.
        sha256, size: of its content, taken as it was written: a large file is not read again for them.
    """

    temporary: Path
    path: Path
    sha256: str = ""
    size: int = 0

    def commit(self) -> None:
        """Puts the file in its place in one step."""
        os.replace(self.temporary, self.path)

    def discard(self) -> None:
        """Removes the file; nothing happens where it is already in its place."""
        # Cleaning up must not hide the error that led to it.
        with contextlib.suppress(OSError):
            self.temporary.unlink()


def shard_count(table: pa.Table) -> int:
    """How many files a split is spread over, from its rows and its size in memory."""
    return shards_for(int(table.num_rows), int(table.nbytes))


def shards_for(rows: int, size: int) -> int:
    """How many files so many rows are spread over, which take so many bytes in memory."""
    return max(1, -(-rows // ROWS_PER_SHARD), -(-size // BYTES_PER_SHARD))


def bounds(rows: int, index: int, count: int) -> tuple[int, int]:
    """The first row of one of `count` files of nearly equal length, and the one after its last."""
    return rows * index // count, rows * (index + 1) // count


def shard(table: pa.Table, index: int, count: int) -> pa.Table:
    """The rows of one of `count` files of nearly equal length."""
    start, end = bounds(table.num_rows, index, count)
    return table.slice(start, end - start)


def stage_table(table: pa.Table, path: Path) -> Staged:
    """Writes a table beside its final place, down to the disk.

    Raises:
        WriteError: the disk is full, or the folder cannot be written.
    """
    return stage(path, lambda handle: _write_rows(table, handle))


def stage_groups(groups: Iterable[pa.Table], schema: pa.Schema, path: Path) -> Staged:
    """Writes a file from its row groups: the same bytes as `stage_table` makes of all the rows in one table.

    Args:
        groups: `ROWS_PER_GROUP` rows each, but for the last; columns of one piece.
        schema: of every group, for a file that has none.

    Raises:
        WriteError: as `stage_table`.
    """

    def write(handle: Any) -> None:
        with pq.ParquetWriter(handle, schema, **_SETTINGS) as writer:
            for group in groups:
                writer.write_table(group, row_group_size=ROWS_PER_GROUP)

    return stage(path, write)


def stage_bytes(content: bytes, path: Path) -> Staged:
    """The same for a file that is not Parquet."""
    return stage(path, lambda handle: handle.write(content))


def write_bytes(content: bytes, path: Path) -> None:
    """Writes a file whole or not at all.

    Raises:
        WriteError: as `stage_table`.
    """
    commit([stage_bytes(content, path)])


def commit(files: Iterable[Staged]) -> None:
    """Moves staged files to their places.

    Raises:
        WriteError: a file could not be moved; those before it were.
    """
    waiting = list(files)
    try:
        for file in waiting:
            file.commit()
    except OSError as error:
        raise WriteError(
            f"{error.filename2} could not be replaced ({error.strerror}); "
            "mend that and run the same command again"
        ) from error
    finally:
        for file in waiting:
            file.discard()
    for folder in {file.path.parent for file in waiting}:
        _sync_folder(folder)


def read_table(path: Path, columns: Collection[str] | None = None) -> pa.Table:
    """The rows of one file, with the schema as it was written but without columns of sound.

    Args:
        path: the file.
        columns: those to read; None for all.

    Raises:
        InputError: the file is missing, cut off or no Parquet.
    """
    try:
        schema = pq.read_schema(path)
        names = [f.name for f in schema if not holds_bytes(f.type) and (columns is None or f.name in columns)]
        wanted = names if len(names) < len(schema) else None
        return pq.read_table(path, columns=wanted, memory_map=False, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error


def read_schema(path: Path) -> pa.Schema:
    """The columns of one file, those of sound too.

    Raises:
        InputError: as `read_table`.
    """
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column is one of files: a struct with their bytes, as an Audio feature has it."""
    return bool(pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)


def settings_with_bytes(schema: pa.Schema, raw: Collection[str]) -> dict[str, Any]:
    """The writer's settings for a file in which some columns hold files that are compressed already.

    Args:
        schema: the file's columns.
        raw: paths of the leaf columns (`audio.bytes`) that are stored as they are.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    leaves = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    paths = [leaves.column(i).path for i in range(len(leaves))]
    others = [path for path in paths if path not in raw]
    return {
        **_SETTINGS,
        "compression": {path: "none" if path in raw else _SETTINGS["compression"] for path in paths},
        "compression_level": dict.fromkeys(others, _SETTINGS["compression_level"]),
        "use_dictionary": others,
        "write_statistics": others,
        # For readers of single rows, such as the Hub's viewer: pages are indexed, and as the length of one is
        # looked at after so many values, they hold few files each.
        "write_page_index": True,
        "write_batch_size": 8,
    }


def release_memory() -> None:
    """Has Arrow give back what it freed; it would keep buffers of every size that it once used."""
    pa.default_memory_pool().release_unused()


def sha256(path: Path) -> str:
    """The sha256 of a file, as 64 hexadecimal digits."""
    known = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            known.update(block)
    return known.hexdigest()


def _write_rows(table: pa.Table, handle: Any) -> None:
    with pq.ParquetWriter(handle, table.schema, **_SETTINGS) as writer:
        # load_dataset cannot read a row group without rows, so an empty table gets none.
        if table.num_rows:
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)


def stage(path: Path, write: Callable[[Any], object]) -> Staged:
    """Has a file written beside its final place, down to the disk; nothing is left of one that fails.

    Raises:
        WriteError: as `stage_table`.
    """
    staged = Staged(path.with_name(f".{path.name}.part"), path)
    complete = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _HashedFile(io.FileIO(staged.temporary, "wb")) as handle:
            write(handle)
            handle.flush()
            os.fsync(handle.fileno())
            size = handle.tell()
        complete = True
    except OSError as error:
        reason = error.strerror or error
        raise WriteError(
            f"{path} could not be written ({reason}); the files that were there are unchanged"
        ) from error
    finally:
        if not complete:
            staged.discard()
    return replace(staged, sha256=handle.known.hexdigest(), size=size)


class _HashedFile(io.BufferedWriter):
    """A file that is written from its beginning to its end, and hashed on the way."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw)
        self.known = hashlib.sha256()

    def write(self, content: Any, /) -> int:
        self.known.update(content)
        return super().write(content)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
