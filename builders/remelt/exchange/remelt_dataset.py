"""Another remelt dataset: its labels, or those of each of its annotators."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..rows import cell
from .base import Given, Kind, Reading, ReadOptions, Source
from .classes import class_names

NAME = "remelt"
TITLE = "the folder of a remelt dataset"
ORDER = 10

_MANIFEST = "manifest.json"
_DATA, _ANNOTATIONS = "data", "annotations"


def recognises(source: Source) -> bool:
    """A folder with a manifest."""
    return source.path.is_dir() and (source.path / _MANIFEST).is_file()


def read(source: Source, options: ReadOptions) -> Reading:
    """The labels of a dataset; see `base.Format.read`."""
    if not recognises(source):
        raise InputError(f"{source.path} is no remelt dataset: it has no {_MANIFEST}")
    return _each(source, options) if options.each else _resolved(source, options)


def _resolved(source: Source, options: ReadOptions) -> Reading:
    column = options.label_columns[0] if options.label_columns else "label"
    givens, left = [], Counter[str]()
    for place, row in _rows(source.path, _DATA, ("id", column)):
        label = cell(row[column])
        if not label:
            left["without a label"] += 1
            continue
        givens.append(Given(cell(row["id"]), "", options.kind or "model", label, place=place))
    return Reading(givens, left)


def _each(source: Source, options: ReadOptions) -> Reading:
    kinds = _kinds(source.path)
    last: dict[tuple[str, str], tuple[str, str, Mapping[str, Any]]] = {}
    columns = ("id", "annotator", "attempt", "status", "label")
    for place, row in _rows(source.path, _ANNOTATIONS, columns):
        key = (cell(row["id"]), cell(row["annotator"]))
        if key not in last or row["attempt"] >= last[key][2]["attempt"]:
            last[key] = (place, cell(row["label"]), row)
    givens, left = [], Counter[str]()
    for (identity, who), (place, label, row) in last.items():
        kind = kinds.get(who, "model")
        if options.kind and kind != options.kind:
            continue
        if row["status"] != "valid" or not label:
            left["without a valid answer"] += 1
            continue
        givens.append(Given(identity, who, kind, label, place=place))
    return Reading(givens, left)


def _kinds(folder: Path) -> dict[str, Kind]:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        members = manifest.get("annotators") or ()
        return {
            str(member["name"]): "human" if member.get("kind") == "human" else "model" for member in members
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / _MANIFEST} cannot be read as a manifest: {error}") from error


def _rows(folder: Path, config: str, columns: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place and values of every row of a config, classes by their names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = sorted((folder / config).glob("*.parquet"))
    if not paths:
        raise InputError(f"{folder} has no Parquet files in {config}/")
    for path in paths:
        try:
            schema = pq.read_schema(path)
            missing = [column for column in columns if column not in schema.names]
            if missing:
                raise InputError(f"{path} lacks the columns {missing!r}; it has {schema.names!r}")
            table = pq.read_table(path, columns=list(columns), partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from error
        names = class_names(schema.metadata or {})
        for number, row in enumerate(table.to_pylist(), 1):
            for column, known in names.items():
                if column in row and isinstance(row[column], int):
                    row[column] = known[row[column]] if 0 <= row[column] < len(known) else None
            yield f"{path}, row {number}", row
