"""The results of a migration as files: numbers as JSON, the change matrix and the rows as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .compare import Comparison, Nearer, Row

if TYPE_CHECKING:
    from ...audit.descriptions import Value

REPORT, MATRIX, ROWS = "migration.json", "change_matrix.csv", "rows.csv"
_COLUMNS = ("id", "split", "published", "original", "old", "new", "status")
# What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def comparison_dict(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON can hold it."""
    matrix = found.matrix
    return {
        "agreement": {
            **found.score.as_dict(),
            "rate": matrix.agreement.as_dict(),
        },
        "change": {**matrix.change.as_dict(), "matrix": matrix.as_dict()},
        "labels": [
            {
                "label": one.label,
                "old": one.old,
                "new": one.new,
                "kept": one.kept.as_dict(),
                "specific_agreement": one.specific,
                "goes_to": one.goes_to and {"label": one.goes_to[0], "rows": one.goes_to[1]},
            }
            for one in found.each
        ],
        "whole_dataset": {
            "covered": found.covered,
            **{name: _value(value) for name, value in (found.whole or {}).items()},
        },
        "against": {name: _nearer(one) for name, one in found.references.items()},
        "fields": {one.name: {"same": one.same.as_dict(), "kappa": one.kappa} for one in found.fields},
    }


def _nearer(one: Nearer) -> dict[str, Any]:
    return {
        "rows": one.old.rows,
        "old": one.old.as_dict(),
        "new": one.new.as_dict(),
        "only_old": one.only_old,
        "only_new": one.only_new,
        "p": one.p,
    }


def _value(value: Value) -> dict[str, float | None]:
    from ...audit.agreement_scores import as_json

    return as_json(value)


def write_results(folder: Path, report: Mapping[str, Any], rows: Sequence[Row], found: Comparison) -> None:
    """Writes the three files, each whole or not at all.

    Raises:
        WriteError: the disk is full, or the folder cannot be written.
    """
    from ...publishing.parquet import write_bytes

    text = json.dumps(report, ensure_ascii=False, indent=2)
    write_bytes(f"{text}\n".encode("utf-8", "replace"), folder / REPORT)
    labels = found.matrix.labels
    counts = [[label, *cells] for label, cells in zip(labels, found.matrix.counts.tolist(), strict=True)]
    write_bytes(_csv([["old \\ new", *labels], *counts]), folder / MATRIX)
    listed = [[getattr(row, name) for name in _COLUMNS] for row in rows]
    write_bytes(_csv([_COLUMNS, *listed]), folder / ROWS)


def _csv(lines: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_cell(value) for value in line] for line in lines])
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    """A corpus's ids and labels are its own; in a spreadsheet they are to be no formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
