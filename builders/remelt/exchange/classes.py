"""Numbers of classes in Parquet files of the datasets library, back to their names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .base import Source


def named_rows(source: Source) -> Sequence[Mapping[str, Any]]:
    """The rows of a file; in columns that the datasets library calls ClassLabel, names stand for numbers."""
    if source.path.suffix.casefold() != ".parquet":
        return source.rows
    import pyarrow.parquet as pq

    names = class_names(pq.read_schema(source.path).metadata or {})
    return [{column: _name(names.get(column), value) for column, value in row.items()} for row in source.rows]


def class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Column -> names of its classes, from what the datasets library writes beside a schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _name(names: Sequence[str] | None, value: Any) -> Any:
    if names is None or not isinstance(value, int) or not 0 <= value < len(names):
        return None if names is not None and value == -1 else value
    return names[value]
