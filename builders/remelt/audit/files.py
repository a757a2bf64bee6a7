"""Reads label tables from Parquet, CSV, TSV and JSON Lines files, or a folder of them, as columns."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError

TEXT_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
SUFFIXES = (".parquet", *TEXT_SUFFIXES)
SPLIT_WORDS = ("train", "dev", "validation", "valid", "val", "test")
_SHARD = re.compile(r"-\d{5}-of-\d{5}.*$")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one dataset as Python lists of equal length.

    Attributes:
        values: column name -> one value per row; integer class codes are already names.
        class_names: column name -> the names of a ClassLabel column, in its order.
        split: the split of each row.
        splits: all splits, also those without rows, in the customary order.
    """

    values: Mapping[str, list[Any]]
    class_names: Mapping[str, tuple[str, ...]]
    split: list[str]
    splits: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.split)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns in order of appearance."""
        return tuple(self.values)

    def batches(self, wanted: Collection[str]) -> Iterator[Columns]:
        """All rows at once, as `batches.Batches` gives some at a time."""
        yield self


@dataclass(slots=True)
class _Parts:
    """Collects files; a column missing from one of them is filled with None there."""

    values: dict[str, list[Any]] = field(default_factory=dict)
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    split: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)

    def add(self, columns: Mapping[str, list[Any]], split: str, rows: int) -> None:
        have = len(self.split)
        for name in {**self.values, **columns}:
            column = self.values.setdefault(name, [None] * have)
            column.extend(columns.get(name, [None] * rows))
        new = row_splits(columns, split, rows)
        self.split.extend(new)
        for name in dict.fromkeys(new if "split" in columns else [split]):
            if name not in self.splits:
                self.splits.append(name)


def read(path: Path, order: Sequence[str] = ()) -> Columns:
    """Reads a file, or the files of a folder as `load_dataset` would lay them out.

    Args:
        path: a file with one of the known suffixes, or a folder: its README's default config, else the
            files under `data/`, else those directly in it.
        order: the splits' order where it is known; otherwise train, dev, test, others by name.

    Raises:
        InputError: nothing to read there, or a file that cannot be read.
    """
    if not path.exists():
        raise InputError(f"There is no file or folder {path}")
    parts = _Parts()
    for file, split in label_files(path):
        _read_file(file, split, parts)
    splits = in_order(parts.splits, order)
    return Columns(parts.values, parts.class_names, parts.split, splits)


def read_parquet(path: Path, columns: Iterable[str] | None = None) -> tuple[pa.Table, dict[str, Any]]:
    """One Parquet file without its binary and nested columns, and the Hugging Face features it names.

    Raises:
        InputError: the file is not Parquet, or is cut off.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            wanted = set(schema.names) if columns is None else set(columns)
            table = file.read(columns=[name for name in plain_names(schema) if name in wanted])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from None
    return table, features_of(schema)


def parquet_files(path: Path) -> list[Path]:
    """The Parquet files that `read` reads, in its order; none where it reads files of another kind too."""
    files = [file for file, _ in label_files(path)]
    return files if all(file.suffix.lower() == ".parquet" for file in files) else []


def plain_names(schema: pa.Schema) -> list[str]:
    """The columns that are neither binary nor nested, but for lists of texts."""
    return [field.name for field in schema if _plain(field.type)]


def class_names_of(features: Mapping[str, Any], names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The names of the classes of those columns that are ClassLabels."""
    found = {}
    for name, feature in features.items():
        if name in names and isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            found[name] = tuple(str(n) for n in feature.get("names") or ())
    return found


def merge_names(known: dict[str, tuple[str, ...]], further: Mapping[str, tuple[str, ...]]) -> None:
    """Adds the class names of another file to those known."""
    for name, names in further.items():
        old = known.get(name, ())
        known[name] = (*old, *(n for n in names if n not in old))


def row_splits(columns: Mapping[str, list[Any]], split: str, rows: int) -> list[str]:
    """The split of each row: what its column `split` says, else the file's."""
    named = columns.get("split")
    return [split] * rows if named is None else [split if not v else str(v) for v in named]


def _plain(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return bool(pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return not (binary or pa.types.is_nested(kind))


def features_of(schema: pa.Schema) -> dict[str, Any]:
    """The Hugging Face features that a file names; none where it names none."""
    text = (schema.metadata or {}).get(b"huggingface")
    if text is None:
        return {}
    try:
        features = json.loads(text)["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def label_files(path: Path) -> list[tuple[Path, str]]:
    """The files that `read` reads, each with its split.

    Raises:
        InputError: none is there, or the card names them unreadably.
    """
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(f"Bad file {str(path)!r}, expected one of {list(SUFFIXES)!r}")
        return [(path, _split_of(path, "table"))]
    found = _configured(path)
    if found:
        return found
    base = path / "data" if (path / "data").is_dir() else path
    for suffixes in ((".parquet",), TEXT_SUFFIXES):
        files = sorted(p for p in base.iterdir() if p.suffix.lower() in suffixes and p.is_file())
        files = [p for p in files if p.name not in ("manifest.json", "dataset_infos.json")]
        if files:
            return [(p, _split_of(p, _SHARD.sub("", p.stem))) for p in files]
    raise InputError(f"No label table in {base}: expected files ending in one of {list(SUFFIXES)!r}")


def _split_of(path: Path, other: str) -> str:
    stem = _SHARD.sub("", path.stem)
    if stem != path.stem:
        return stem
    words = re.split(r"[^a-z]+", stem.lower())
    return next((w for w in SPLIT_WORDS if w in words), other)


def _configured(folder: Path) -> list[tuple[Path, str]]:
    """The files of the default config that a dataset card names; none where the card names none."""
    card = folder / "README.md"
    if not card.is_file():
        return []
    import yaml

    head = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", card.read_text(encoding="utf-8", errors="replace"), re.S)
    # The library's own reader takes most of a second for the features of a card.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        meta = yaml.load(head.group(1), Loader=loader) if head else None
    except yaml.YAMLError as error:
        raise InputError(f"{card}: the YAML front matter cannot be read: {error}") from None
    configs = meta.get("configs") if isinstance(meta, dict) else None
    if not isinstance(configs, list) or not configs:
        return []
    usable = [c for c in configs if isinstance(c, dict) and c.get("data_files")]
    chosen = next((c for c in usable if c.get("default") or c.get("config_name") == "default"), None)
    chosen = chosen or next(iter(usable), None)
    found: list[tuple[Path, str]] = []
    for split, pattern in _patterns(chosen["data_files"] if chosen else []):
        for file in sorted(folder.glob(pattern)):
            if file.suffix.lower() in SUFFIXES:
                found.append((file, split or _split_of(file, _SHARD.sub("", file.stem))))
    return found


def _patterns(data_files: object) -> list[tuple[str | None, str]]:
    if isinstance(data_files, str):
        return [(None, data_files)]
    if isinstance(data_files, dict):
        pairs = [(str(k), v) for k, v in data_files.items()]
    else:
        entries = data_files if isinstance(data_files, list) else []
        pairs = [
            (str(e["split"]), e.get("path")) if isinstance(e, dict) and "split" in e else ("", e)
            for e in entries
        ]
    found: list[tuple[str | None, str]] = []
    for split, paths in pairs:
        for one in paths if isinstance(paths, list) else [paths]:
            if isinstance(one, str) and not one.startswith("/") and ".." not in one:
                found.append((split or None, one))
    return found


def _read_file(path: Path, split: str, parts: _Parts) -> None:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        table, features = read_parquet(path)
        columns = {n: table.column(n).to_pylist() for n in table.column_names}
        classes = class_names_of(features, columns)
        columns |= {name: decode(columns[name], names, path, name) for name, names in classes.items()}
        merge_names(parts.class_names, classes)
        parts.add(columns, split, table.num_rows)
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            columns, rows = (
                _csv(path, lines, "\t" if suffix == ".tsv" else ",")
                if suffix in (".csv", ".tsv")
                else _json(path, lines)
            )
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}: {error.reason})") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    parts.add(columns, split, rows)


def decode(codes: list[Any], names: Sequence[str], path: Path, column: str) -> list[str | None]:
    """Class names for integer codes; -1, the Hub's mark for a hidden label, becomes None.

    Raises:
        InputError: a code without a name.
    """
    table: dict[Any, str | None] = {None: None, -1: None, **dict(enumerate(names))}
    try:
        return [code if isinstance(code, str) else table[code] for code in codes]
    except KeyError as error:
        raise InputError(
            f"{path}: Bad class code {error.args[0]!r} in column {column!r}, "
            f"expected 0 to {len(names) - 1} or -1"
        ) from None


def _csv(path: Path, lines: Iterable[str], delimiter: str) -> tuple[dict[str, list[Any]], int]:
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        header = next(reader, None)
        if not header:
            raise InputError(f"{path} is empty: expected a header line with column names")
        if len(set(header)) != len(header):
            raise InputError(f"{path}: a column name stands twice in the header {header!r}")
        rows = []
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{path}:{reader.line_num}: {len(row)} fields, the header names {len(header)} columns"
                )
            rows.append(row)
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not a readable CSV line: {error}") from None
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}, len(rows)


def _json(path: Path, lines: Iterable[str]) -> tuple[dict[str, list[Any]], int]:
    text = list(lines)
    rows: list[Any] = []
    line_number = 0
    try:
        if path.suffix.lower() == ".json" and "".join(text).lstrip().startswith("["):
            rows = json.loads("".join(text))
        else:
            for line in text:
                line_number += 1
                if line.strip():
                    rows.append(json.loads(line))
    except ValueError as error:
        raise InputError(f"{path}:{line_number}: not readable as JSON: {error}") from None
    bad = next((i for i, row in enumerate(rows) if not isinstance(row, dict)), None)
    if bad is not None:
        raise InputError(f"{path}, record {bad + 1}: expected a JSON object, found {rows[bad]!r:.60}")
    if not rows:
        raise InputError(f"{path} is empty: expected one JSON object per line")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}, len(rows)


def in_order(splits: Iterable[str], order: Sequence[str]) -> tuple[str, ...]:
    """The splits in the order given, otherwise train, dev, test, others by name."""
    customary = [*order, *(w for w in SPLIT_WORDS if w not in order)]

    def rank(split: str) -> tuple[int, str]:
        return (customary.index(split) if split in customary else len(customary), split)

    return tuple(sorted({*splits, *order}, key=rank))
