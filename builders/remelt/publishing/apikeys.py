"""Finds text that looks like an API key before it is published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .problem import Problem

# RE2 (Arrow) and re read the same pattern. A digit is asked for too, so that hyphenated words do not match.
_PATTERN = (
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|"
    r"AIzaSy[A-Za-z0-9_-]{33}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,}|[Bb]earer +[A-Za-z0-9._~+/-]{20,})"
)
_KEY = re.compile(_PATTERN)
_MOST = 5


def keys_in_text(text: str) -> list[str]:
    """What looks like an API key, shortened so that it can be shown.

    >>> keys_in_text("KEY=sk-proj-0123456789abcdefghij"), keys_in_text("a risk-averse-decision-maker")
    (['sk-pro…'], [])
    """
    return [found[:6] + "…" for found in _KEY.findall(text) if any(letter.isdigit() for letter in found)]


def keys_in_file(path: Path, place: str) -> Iterator[Problem]:
    """The same for a file that is not Parquet, whatever its encoding."""
    for found in keys_in_text(path.read_bytes().decode("latin-1"))[:_MOST]:
        yield Problem(place, f"holds what looks like an API key ({found})")


class KeySearch:
    """The same for all text of a table, some rows at a time; names the column and the row's id."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[str, str]]] = {}

    def add(self, table: pa.Table) -> None:
        """Looks through further rows."""
        for name in table.column_names:
            found = self._found.setdefault(name, [])
            found += _hits(table, name, _MOST - len(found))

    def problems(self, place: str) -> Iterator[Problem]:
        """What was found."""
        for name, found in self._found.items():
            for row, key in found:
                yield Problem(place, f"column {name!r} of {row} holds what looks like an API key ({key})")


def keys_in_table(table: pa.Table, place: str) -> Iterator[Problem]:
    """The same for a table that is in memory."""
    search = KeySearch()
    search.add(table)
    yield from search.problems(place)


def _hits(table: pa.Table, name: str, most: int) -> list[tuple[str, str]]:
    """Row and key of the first finds in a column."""
    column: Any = table.column(name)
    rows: Any = pa.array(range(table.num_rows), pa.int64())
    if pa.types.is_list(column.type):
        rows, column = pc.list_parent_indices(column), pc.list_flatten(column)
    if not pa.types.is_string(column.type) or not most:
        return []
    hits = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(column, _PATTERN), False)).to_pylist()
    found = [(hit, key) for hit in hits for key in keys_in_text(column[hit].as_py())]
    ids = table.column("id")
    return [(str(ids[rows[hit].as_py()].as_py()), key) for hit, key in found[:most]]
