"""The two sides of a comparison: the rows of a dataset, its columns and what it says of itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ...rows import SUFFIXES, Keys, cell, find, read_table

if TYPE_CHECKING:
    import pyarrow as pa

LABEL_COLUMNS = ("label", "llm_label", "new_label", "emotion")
UNTYPED = "text"
_ADVICE = "the rows name no split; --split says which they are of"


@dataclass(frozen=True)
class Side:
    """One dataset.

    Attributes:
        name: as it was asked for.
        ids: of its rows, in order.
        splits: the split of each row.
        values: column -> one value a row; class codes are names already, sound is not among them.
        types: column -> its type in words; the sound too.
        label: the column with the label.
        manifest: of a remelt dataset; empty for another one.
        card: the front matter of its card; empty without one.
    """

    name: str
    ids: Sequence[str]
    splits: Sequence[str]
    values: Mapping[str, Sequence[Any]]
    types: Mapping[str, str]
    label: str
    manifest: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)


def read_side(path: Path, name: str, label: str | None, split: str | None) -> Side:
    """Reads a dataset folder or a table.

    Args:
        path: a remelt dataset, another folder of Parquet files or tables, or a table.
        name: what the user calls it.
        label: the column with the label; None to find it.
        split: the split of a table's rows that name none.

    Raises:
        InputError: it cannot be read, has no label column or no ids, or an id twice.
    """
    if path.is_dir() and _is_remelt(path / "manifest.json"):
        rows, types, splits, manifest = _remelt_rows(path)
    elif path.is_dir():
        rows, types, splits = _folder_rows(path)
        manifest = {}
    else:
        rows, types, splits, manifest = *_table_rows(path, split), {}
    column = find(rows, (label,) if label else LABEL_COLUMNS)
    if column is None:
        raise InputError(f"{name}: {bad_value('label column', label or LABEL_COLUMNS[0], list(rows))}")
    ids = [str(value) for value in rows.pop("id")]
    twice = [identity for identity, count in Counter(ids).items() if count > 1]
    if twice:
        raise InputError(f"{name}: {len(twice):,} ids stand more than once, such as {twice[0]!r}")
    return Side(name, ids, splits, rows, types, column, manifest, _card(path))


def _is_remelt(manifest: Path) -> bool:
    """Whether this is the manifest of a dataset; an augmented corpus has another kind."""
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise InputError(f"{manifest} cannot be read as JSON: {error}") from None
    return isinstance(found, dict) and "label_set" in found


def _remelt_rows(path: Path) -> tuple[dict[str, Any], dict[str, str], list[str], dict[str, Any]]:
    from ...publishing import read_manifest
    from ...publishing.reading import read_split, split_schema

    manifest = read_manifest(path)
    rows: dict[str, Any] = {}
    splits: list[str] = []
    types: dict[str, str] = {}
    for split in manifest["splits"]:
        table = read_split(path, manifest, "default", split)
        types |= _types(split_schema(path, manifest, "default", split))
        _add(rows, _python(table), len(splits), table.num_rows)
        splits += [split] * table.num_rows
    return rows, types, splits, manifest


def _folder_rows(path: Path) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    from ...audit.files import parquet_files, read
    from ...publishing.parquet import read_schema

    found = read(path)
    rows = dict(found.values)
    types = dict.fromkeys(rows, UNTYPED)
    for file in parquet_files(path)[:1]:
        types = _types(read_schema(file))
    key = find(rows, ("id", "key", "filename", "file"))
    if key is None:
        raise InputError(f"{path}: {bad_value('id column', None, list(rows))} to compare by")
    rows = {"id": rows.pop(key), **rows}
    return rows, types, list(found.split)


def _table_rows(path: Path, split: str | None) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    if path.suffix.casefold() not in SUFFIXES:
        raise InputError(bad_value("ending of a table", path.name, SUFFIXES))
    table = read_table(path)
    if not table.rows:
        raise InputError(f"{path} holds no rows")
    columns = list(dict.fromkeys(name for row in table.rows for name in row))
    keys = Keys(path, columns, split, table.rows[0], _ADVICE, any_name=True)
    ids = [keys.key(table.place(number), row) for number, row in enumerate(table.rows, 1)]
    rows: dict[str, Any] = {"id": ids}
    rows |= {name: [row.get(name) for row in table.rows] for name in columns if name != "id"}
    splits = [cell(row.get("split")) or _split_of(name) for name, row in zip(ids, table.rows, strict=True)]
    return rows, dict.fromkeys(rows, UNTYPED), splits


def _split_of(identity: str) -> str:
    parts = identity.split("/")
    return parts[-2] if len(parts) > 1 else "all"


def _types(schema: pa.Schema) -> dict[str, str]:
    from datasets import ClassLabel, Features

    found = {}
    for name, feature in Features.from_arrow_schema(schema).items():
        kind = f"ClassLabel: {', '.join(feature.names)}" if isinstance(feature, ClassLabel) else str(feature)
        found[name] = str(feature.dtype) if hasattr(feature, "dtype") and kind.startswith("Value") else kind
    return found


def _python(table: pa.Table) -> dict[str, list[Any]]:
    """Columns as Python values, class codes by name."""
    from datasets import ClassLabel, Features

    features = Features.from_arrow_schema(table.schema)
    found = {}
    for name in table.column_names:
        values = table[name].to_pylist()
        if isinstance(features[name], ClassLabel):
            names = features[name].names
            values = [None if code is None else names[code] for code in values]
        found[name] = values
    return found


def _add(rows: dict[str, Any], more: Mapping[str, list[Any]], have: int, count: int) -> None:
    for name in {**rows, **more}:
        rows.setdefault(name, [None] * have).extend(more.get(name, [None] * count))


def _card(path: Path) -> dict[str, Any]:
    from huggingface_hub import DatasetCard
    from yaml import YAMLError

    card = path / "README.md" if path.is_dir() else None
    if card is None or not card.is_file():
        return {}
    try:
        data: Any = DatasetCard(card.read_text(encoding="utf-8", errors="replace")).data
        return json.loads(json.dumps(data.to_dict(), default=str))  # type: ignore[no-any-return]
    except (ValueError, TypeError, YAMLError) as error:
        raise InputError(f"{card}: the front matter cannot be read: {error}") from None
