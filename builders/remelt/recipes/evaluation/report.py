"""A run's report for people: `report.md`, and the scores as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import tables
from .tables import Record, Table

REPORT, FIGURE = "report.md", "overview"
_MOST_ROWS = 40


def write(out: Path, config: Record, results: Record) -> Path:
    """Writes `report.md`, `overview.svg` and `overview.png`.

    Args:
        out: the run folder.
        config: what was asked for.
        results: what `results.json` holds.

    Returns:
        The report.

    Raises:
        WriteError: the disk is full, or the folder cannot be written.
    """
    from ...publishing.parquet import write_bytes
    from .figure import overview

    for kind, content in overview(results).items():
        write_bytes(content, out / f"{FIGURE}.{kind}")
    write_bytes(_text(config, results).encode("utf-8", "replace"), out / REPORT)
    return out / REPORT


def _text(config: Record, results: Record) -> str:
    from ...publishing.markdown import inline

    material = config["material"]
    lines = [
        f"# {inline(results['title'])}",
        "",
        f"{inline(results['paper'])}",
        "",
        f"Trained on {inline(material['name'])} ({material['rows']:,} rows) under the labels "
        f"{', '.join(str(inline(name)) for name in config['labels'])}, preset {inline(config['preset'])}, "
        f"seeds {', '.join(map(str, config['seeds']))}.",
        "",
        f"![Scores with intervals]({FIGURE}.svg)",
        "",
    ]
    for table in tables.tables_of(results):
        lines += _table(table)
    lines += _bullets("Warnings", tables.warnings_of(results))
    for one in results["analyses"]:
        lines += _analysis(one)
    lines += _bullets("Notes", results["notes"])
    lines += _settings(config)
    lines += _bullets("Encoders", [_encoder(one) for one in results["encoders"]])
    return "\n".join(lines).rstrip() + "\n"


def _table(table: Table) -> list[str]:
    from ...publishing.markdown import inline
    from ...publishing.markdown import table as markdown

    notes = [line for note in table.notes for line in (str(inline(note)), "")]
    return [f"## {inline(table.title)}", "", str(markdown(table.head, table.rows)), "", *notes]


def _bullets(title: str, sentences: Sequence[str]) -> list[str]:
    from ...publishing.markdown import inline

    if not sentences:
        return []
    return [f"## {title}", "", *(f"- {inline(one)}" for one in sentences), ""]


def _analysis(one: Record) -> list[str]:
    """An analysis; lists of flat records become a table."""
    from ...publishing.markdown import inline

    lines = [f"## {inline(one['title'])}", ""]
    if one["figure"]:
        lines += [f"![{inline(one['title'])}]({one['figure']})", ""]
    found = flat_table(one["data"])
    if found is not None:
        from ...publishing.markdown import table as markdown

        lines += [str(markdown(*found)), ""]
    lines += [f"- {inline(note)}" for note in one["notes"]]
    return [*lines, ""] if one["notes"] else lines


def flat_table(data: Any) -> tuple[list[str], list[list[str]]] | None:
    """Head and rows of a list of flat records; None for anything else."""
    if not isinstance(data, (list, tuple)) or not data or not all(isinstance(row, Mapping) for row in data):
        return None
    head = list(dict.fromkeys(name for row in data for name in row))
    if any(isinstance(value, (Mapping, list, tuple)) for row in data for value in row.values()):
        return None
    rows = [[_cell(row.get(name)) for name in head] for row in data[:_MOST_ROWS]]
    if len(data) > _MOST_ROWS:
        rows.append([f"and {len(data) - _MOST_ROWS:,} more", *("" for _ in head[1:])])
    return head, rows


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _settings(config: Record) -> list[str]:
    from ...publishing.markdown import code
    from ...publishing.markdown import table as markdown

    rows = [["speech", config["speech"]], ["text", config["text"]]]
    rows += [[name, config[name]] for name in ("class_rule", "limit", "resamples")]
    rows += [[f"training: {name}", value] for name, value in config["training"].items()]
    rows += [[f"setting: {name}", value] for name, value in config["settings"].items()]
    shown = [[name, code(_plain(value))] for name, value in rows]
    return ["## Settings", "", str(markdown(["what", "value"], shown)), ""]


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _encoder(one: Record) -> str:
    told = "".join(f" {note}." if not note.endswith(".") else f" {note}" for note in one["notices"])
    return f"{one['name']} ({one['kind']}), weights {one['identity'][:12]}.{told}"
