"""What the papers report; it stands beside measured numbers and is never mixed with them."""

from __future__ import annotations

from functools import cache
from typing import Any

from ...errors import InputError, bad_value

_TABLE = ("table", "note", "rows")
_ROW = ("model", "labels", "test", "values")


@cache
def _all() -> dict[str, Any]:
    from pathlib import Path

    import yaml

    from ... import evaluation

    path = Path(evaluation.__path__[0]) / "published.yaml"
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def values(system: str) -> list[dict[str, Any]]:
    """A system's published tables; none where its paper's numbers are not known.

    Returns:
        Tables with `table`, `note` and `rows`; a row has `model`, `labels`, `test` and `values` (shares).

    Raises:
        InputError: the file has something else in it.

    >>> values("melt")[0]["rows"][0]["values"]["uar"]
    0.3805
    """
    tables = []
    for table in _all().get(system) or ():
        for key in table:
            if key not in _TABLE:
                raise InputError(f"published.yaml, {system}: {bad_value('key', key, _TABLE)}")
        rows = []
        for row in table["rows"]:
            for key in row:
                if key not in _ROW:
                    raise InputError(f"published.yaml, {system}: {bad_value('key', key, _ROW)}")
            rows.append(
                {
                    "model": str(row["model"]),
                    "labels": str(row.get("labels") or ""),
                    "test": str(row.get("test") or ""),
                    "values": {name: float(value) for name, value in row["values"].items()},
                }
            )
        tables.append({"table": str(table["table"]), "note": str(table.get("note") or ""), "rows": rows})
    return tables
