"""Reads the rows of one table file, whatever its format: CSV, TSV, JSON lines, Parquet, Arrow."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError, bad_value
from .base import read_bytes
from .delimited import parse

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow")


@dataclass(frozen=True, slots=True)
class Record:
    """One row: where it stands, its values by column, and whether its bytes were UTF-8."""

    place: str
    values: Mapping[str, object]
    utf8: bool = True


@dataclass(frozen=True)
class Table:
    """A file whose columns are known and whose rows can be read.

    Attributes:
        columns: their names.
        records: gives the rows with (at least) the wanted columns.
        class_names: column -> label names, where the file holds numbers for them.
        notes: what was taken for granted.
    """

    columns: tuple[str, ...]
    records: Callable[[Collection[str]], Iterator[Record]]
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


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
    data = read_bytes(path)
    delimiter, notes = ("\t" if path.suffix.lower() == ".tsv" else ","), []
    header = data.lstrip().split(b"\n", 1)[0]
    if delimiter == "," and b"," not in header and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        delimiter = ";" if b";" in header else "\t" if b"\t" in header else ","
        if delimiter != ",":
            notes.append(f"{name}: fields are separated by {delimiter!r}, not by commas.")
    table = parse(data, name, delimiter)
    if table.empty_rows:
        notes.append(f"{name}: {table.empty_rows} rows without any value were left out.")

    def records(wanted: Collection[str]) -> Iterator[Record]:
        places = [(column, table.columns.index(column)) for column in wanted]
        for row in table.rows:
            values = {column: row.values[place] for column, place in places}
            yield Record(f"{name}:{row.line}", values, row.utf8)

    return Table(table.columns, records, notes=tuple(notes))


def _json_lines(path: Path, name: str) -> Table:
    lines = []
    columns: dict[str, None] = {}
    for number, line in enumerate(read_bytes(path).removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
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
        columns.update(dict.fromkeys(values))
        lines.append(Record(place, values))
    if not lines:
        raise InputError(f"{name} is empty, expected a JSON object on each line")
    return Table(tuple(columns), lambda wanted: iter(lines))


def _arrow(path: Path, name: str) -> Table:
    import pyarrow
    import pyarrow.parquet

    read: Callable[[Collection[str]], Any]
    try:
        if path.suffix.lower() == ".parquet":
            schema = pyarrow.parquet.read_schema(path)
            read = partial(_read_parquet, path)
        else:
            with pyarrow.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as stream:
                schema = stream.schema
                table = stream.read_all()
            read = partial(_select, table)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{name} cannot be read as {path.suffix[1:]}: {error}") from None

    def records(wanted: Collection[str]) -> Iterator[Record]:
        try:
            columns = read(wanted).to_pydict()
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{name} cannot be read as {path.suffix[1:]}: {error}") from None
        for number, row in enumerate(zip(*columns.values(), strict=True), 1):
            yield Record(f"{name}:{number}", dict(zip(columns, row, strict=True)))

    return Table(tuple(schema.names), records, _class_names(schema.metadata or {}))


def _read_parquet(path: Path, wanted: Collection[str]) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path, columns=list(wanted), partitioning=None)


def _select(table: Any, wanted: Collection[str]) -> Any:
    return table.select(list(wanted))


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
