"""Targets of a regression that a user's own table gives."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ....errors import InputError
from ....evaluation.examples import Example

_SHOWN = 3


def digest_of(path: Path) -> str:
    """The first 8 digits of the file's sha256.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    except OSError as error:
        raise InputError(f"Cannot read the targets {path}: {error.strerror}") from None


def with_targets(
    rows: Iterable[Example], path: Path, dimensions: Sequence[str], scale: tuple[float, float] | None
) -> tuple[Example, ...]:
    """The rows with the table's values in [0, 1] as their targets; rows that are not in it have none.

    Args:
        path: CSV, or TSV by its ending; a header with `id` and the dimensions. An id is a row's, or what
            follows the corpus's name in it (`train/dia0_utt3`), or its last part where that names one row.
        scale: lowest and highest value; None for 0 and 1.

    Raises:
        InputError: the file cannot be read or lacks a column; an id stands twice; a value is no number or
            outside the scale (named with file and line); or no id is a row's.
    """
    examples = tuple(rows)
    found = dict(_table(path, dimensions, scale or (0.0, 1.0)))
    known = _names(examples)
    targets: dict[str, dict[str, float]] = {}
    for key, values in found.items():
        if key in known:
            targets[known[key]] = values
    if not targets:
        raise InputError(
            f"{path}: none of its {len(found):,} ids is a row's; they are like "
            f"{next(iter(found), 'none')!r}, the rows' like {examples[0].id if examples else 'none'!r}"
        )
    return tuple(replace(row, targets=targets.get(row.id, {})) for row in examples)


def _table(
    path: Path, dimensions: Sequence[str], ends: tuple[float, float]
) -> Iterable[tuple[str, dict[str, float]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the targets {path}: {error}") from None
    lines = csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix.casefold() == ".tsv" else ",")
    columns = lines.fieldnames or []
    if missing := [name for name in ("id", *dimensions) if name not in columns]:
        raise InputError(f"{path}: there is no column {missing[0]!r}, found {list(columns)!r}")
    seen: set[str] = set()
    for line in lines:
        key = (line["id"] or "").strip()
        place = f"{path}:{lines.line_num}"
        if not key or key in seen:
            fault = f"the id {key!r} stands there twice" if key else "there is no id"
            raise InputError(f"{place}: {fault}")
        seen.add(key)
        values = {name: _value(line[name], name, place, ends) for name in dimensions}
        yield key, {name: value for name, value in values.items() if value is not None}


def _value(text: str | None, name: str, place: str, ends: tuple[float, float]) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{place}: bad {name} {text!r}, expected a number") from None
    low, high = ends
    if not math.isfinite(value) or not low <= value <= high:
        raise InputError(
            f"{place}: {name} {text.strip()} is out of range, expected {low:g} to {high:g} "
            "(--scale LOW,HIGH names another scale)"
        )
    return (value - low) / (high - low)


def _names(rows: Sequence[Example]) -> dict[str, str]:
    """Whatever names a row, and only one -> its id."""
    found: dict[str, str | None] = {}
    for row in rows:
        for name in {row.id.partition("/")[2], row.id.rpartition("/")[2]} - {row.id, ""}:
            found[name] = None if name in found else row.id
    ids = {row.id: row.id for row in rows}
    return {**{name: key for name, key in found.items() if key is not None}, **ids}
