"""Reads the rows of one table file, whatever its format: CSV, TSV, JSON lines, Parquet, Arrow."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError, bad_value
from .base import open_bytes
from .delimited import RawStream

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow")
_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Record:
    """One row: where it stands, its values by column, and whether its bytes were UTF-8."""

    place: str
    values: Mapping[str, object]
    utf8: bool = True


@dataclass(frozen=True)
class Table:
    """A file whose columns are known and whose rows can be read, one after the other.

    Attributes:
        columns: their names.
        records: gives the rows with (at least) the wanted columns; raises InputError where the file is not
            what its ending says.
        class_names: column -> label names, where the file holds numbers for them.
        notes: what was taken for granted; all of it once the rows were read.
    """

    columns: tuple[str, ...]
    records: Callable[[Collection[str]], Iterator[Record]]
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def open_table(path: Path, name: str) -> Table:
    """Opens a table file.

    Args:
        path: the file; its ending says the format.
        name: what messages call it.

    Raises:
        InputError: an unknown ending, or a file that is not what its ending says.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(bad_value("table file ending", path.suffix, SUFFIXES))
    if suffix in (".csv", ".tsv"):
        return _delimited(path, name)
    if suffix in (".jsonl", ".ndjson"):
        return _json_lines(path, name)
    return _arrow(path, name)


def _delimited(path: Path, name: str) -> Table:
    notes: list[str] = []
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    header = _header(path)
    if delimiter == "," and b"," not in header and not header.startswith((b"\xff\xfe", b"\xfe\xff")):
        delimiter = ";" if b";" in header else "\t" if b"\t" in header else ","
        if delimiter != ",":
            notes.append(f"{name}: fields are separated by {delimiter!r}, not by commas.")
    stream = RawStream(partial(open_bytes, path), name, delimiter)

    def records(wanted: Collection[str]) -> Iterator[Record]:
        places = [(column, stream.columns.index(column)) for column in wanted]
        for row in stream.rows():
            values = {column: row.values[place] for column, place in places}
            yield Record(f"{name}:{row.line}", values, row.utf8)
        if stream.empty_rows:
            notes.append(f"{name}: {stream.empty_rows} rows without any value were left out.")

    return Table(stream.columns, records, notes=notes)


def _header(path: Path) -> bytes:
    """The first line that is not empty, with the file's byte order mark where it has one."""
    with open_bytes(path) as file:
        for line in file:
            if line.strip():
                return line
    return b""


def _json_lines(path: Path, name: str) -> Table:
    columns: dict[str, None] = {}
    for record in _json_records(path, name):
        columns.update(dict.fromkeys(record.values))
    if not columns and next(_json_records(path, name), None) is None:
        raise InputError(f"{name} is empty, expected a JSON object on each line")
    return Table(tuple(columns), lambda wanted: _json_records(path, name))


def _json_records(path: Path, name: str) -> Iterator[Record]:
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            place = f"{name}:{number}"
            try:
                values = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise InputError(f"{place}: not UTF-8, as JSON must be ({error.reason})") from None
            except (json.JSONDecodeError, RecursionError) as error:
                raise InputError(f"{place}: not a JSON line ({error})") from None
            if not isinstance(values, dict):
                raise InputError(f"{place}: expected a JSON object, found {type(values).__name__}")
            yield Record(place, values)


def _arrow(path: Path, name: str) -> Table:
    import pyarrow
    import pyarrow.parquet

    kind = path.suffix[1:]
    batches = _parquet_batches if path.suffix.lower() == ".parquet" else _stream_batches
    try:
        if batches is _parquet_batches:
            schema = pyarrow.parquet.read_schema(path)
        else:
            with pyarrow.OSFile(str(path)) as file, pyarrow.ipc.open_stream(file) as stream:
                schema = stream.schema
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{name} cannot be read as {kind}: {error}") from None

    def records(wanted: Collection[str]) -> Iterator[Record]:
        number = 0
        try:
            for batch in batches(path, list(wanted)):
                columns = batch.to_pydict()
                for row in zip(*columns.values(), strict=True):
                    number += 1
                    yield Record(f"{name}:{number}", dict(zip(columns, row, strict=True)))
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{name} cannot be read as {kind}: {error}") from None

    return Table(tuple(schema.names), records, _class_names(schema.metadata or {}))


def _parquet_batches(path: Path, wanted: Sequence[str]) -> Iterator[Any]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        yield from file.iter_batches(_AT_ONCE, columns=wanted)


def _stream_batches(path: Path, wanted: Sequence[str]) -> Iterator[Any]:
    import pyarrow

    # A file that is mapped into memory counts as memory once it was read.
    with pyarrow.OSFile(str(path)) as file, pyarrow.ipc.open_stream(file) as stream:
        for batch in stream:
            chosen = batch.select(wanted)
            for start in range(0, chosen.num_rows, _AT_ONCE):
                yield chosen.slice(start, _AT_ONCE)


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, Sequence[str]]:
    """The names behind ClassLabel numbers, which the datasets library writes beside the schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    if not isinstance(features, dict):
        return {}
    return {
        column: [str(name) for name in feature["names"]]
        for column, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
    }
