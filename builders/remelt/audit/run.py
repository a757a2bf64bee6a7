"""The audit from a folder to its files."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, Interrupted
from .build_info import BuildInfo, read_build
from .dataset import Table, join_tables
from .findings import Findings, Scope, find
from .layout import AFTER, BEFORE
from .matrix import Rate
from .options import AuditOptions
from .panel import Panel, find_panel
from .panel_rows import VOTES
from .sound import Sound
from .streamed import Streamed, open_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FINDINGS = "findings.json"
REPORT = "report.html"
LABEL_COLUMNS = (
    "label",
    "before",
    "after",
    "kept",
    *("by_row", "by_row_low", "by_row_high"),
    *("by_column", "by_column_low", "by_column_high"),
)


def audit(out: Path, options: AuditOptions = AuditOptions()) -> Findings:  # noqa: B008
    """Audits a dataset and writes change matrices, figures, `report.html` and `findings.json`.

    Args:
        out: a remelt dataset folder, another Parquet dataset folder, or a CSV, TSV, JSONL or Parquet file.
        options: see `AuditOptions`.

    Raises:
        InputError: nothing to read, an unknown column, datasets that cannot be joined, or a folder that
            cannot be written to.
    """
    out = Path(out)
    build = read_build(out) if out.is_dir() else None
    order = tuple(str(s) for s in (build.get("splits") or ()) if build) if build else ()
    sides = (options.before, options.after)
    plain = not (options.before or options.after or options.against)
    table: Table | Streamed
    if options.against is None:
        table = open_table(out, *sides, order, whole_with=(VOTES,) if plain else ())
    else:
        table = join_tables(out, Path(options.against), *sides, order)
    folder = options.to or _folder(out, options)
    findings = find(table, build, options, folder)
    if plain and isinstance(table, Table):
        findings = _with_panel(findings, find_panel(out, table, build))
    return write(findings, table, build, out, options)


def _with_panel(findings: Findings, panel: Panel | None) -> Findings:
    if panel is None:
        return findings
    return replace(findings, panel=panel, caveats=(*findings.caveats, *panel.caveats))


def write(
    findings: Findings,
    table: Table | Streamed,
    build: BuildInfo | None,
    out: Path,
    options: AuditOptions,
) -> Findings:
    """Writes every file of an audit and returns the findings with the files' names."""
    files: dict[str, bytes] = {}
    for scope, slug in _slugs(findings):
        files.update(_tables(scope, slug))
    if findings.unmatched is not None:
        pairs = ((name, key) for name, keys in findings.unmatched.items() for key in keys)
        files["unmatched.csv"] = _csv(("dataset", "id"), pairs)
    if findings.sound is not None and isinstance(table, Table):
        files.update(_sound_tables(findings.sound, table))
    if findings.panel is not None:
        from .panel_files import panel_tables

        files.update({name: _csv(head, rows) for name, (head, rows) in panel_tables(findings.panel).items()})
    if options.figures:
        files.update(_figures(findings))
    findings = replace(findings, files=(*sorted(files), FINDINGS, REPORT))
    files[FINDINGS] = _json(findings.as_dict())
    from .report import report_html

    files[REPORT] = report_html(findings, table, build, out, options)
    _put(findings.folder, files)
    return findings


def _folder(out: Path, options: AuditOptions) -> Path:
    base = out / "audit" if out.is_dir() else out.with_name(f"{out.stem}-audit")
    if options.against is not None:
        return base / f"against-{_slug(Path(options.against).resolve().name)}"
    before, after = options.before or BEFORE, options.after or AFTER
    if out.is_dir() and (before, after) != (BEFORE, AFTER):
        return base / f"{_slug(before)}-{_slug(after)}"
    return base


def _slugs(findings: Findings) -> list[tuple[Scope, str]]:
    """A file name part for every scope: `all`, then the splits'; one that is taken gets a number."""
    found = [(findings.overall, "all")]
    taken = {"all"}
    for scope in findings.splits.values():
        slug, number = _slug(scope.name), 2
        while slug in taken:
            slug, number = f"{_slug(scope.name)}_{number}", number + 1
        taken.add(slug)
        found.append((scope, slug))
    return found


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._") or "split"


def _tables(scope: Scope, slug: str) -> dict[str, bytes]:
    matrix = scope.matrix
    head = ("before", *matrix.labels)
    counts = zip(matrix.labels, matrix.counts.tolist(), strict=True)
    groups = (
        (
            kind,
            g.value or "",
            g.change.total,
            g.change.count,
            *_rates(g.change),
        )
        for kind, found in scope.groups.items()
        for g in found
    )
    labels = (
        (c.label, c.before, c.after, c.kept, *_rates(c.by_row), *_rates(c.by_column)) for c in scope.labels
    )
    return {
        f"change_matrix_{slug}.csv": _csv(head, ((label, *row) for label, row in counts)),
        f"change_matrix_{slug}.json": _json({"split": scope.name, **matrix.as_dict()}),
        f"change_matrix_{slug}_row_percent.csv": _csv(head, _percents(matrix.labels, matrix.row_shares())),
        f"change_matrix_{slug}_column_percent.csv": _csv(
            head, _percents(matrix.labels, matrix.column_shares())
        ),
        f"labels_{slug}.csv": _csv(
            LABEL_COLUMNS,
            labels,
        ),
        f"groups_{slug}.csv": _csv(("group", "value", "rows", "changed", "rate", "low", "high"), groups),
    }


def _sound_tables(sound: Sound, table: Table) -> dict[str, bytes]:
    from .descriptions_files import description_tables
    from .levels import csv_bytes

    files = {"levels.csv": csv_bytes(sound.crossings)}
    if sound.descriptions is not None:
        for name, (head, rows) in description_tables(sound.descriptions, table).items():
            files[name] = _csv(head, rows)
    return files


def _percents(labels: Iterable[str], shares: Iterable[Iterable[float | None]]) -> Iterable[tuple[str, ...]]:
    return (
        (label, *("" if s is None else f"{100 * s:.2f}" for s in row))
        for label, row in zip(labels, shares, strict=True)
    )


def _rates(rate: Rate) -> tuple[str, ...]:
    return tuple("" if v is None else f"{v:.6f}" for v in (rate.rate, rate.low, rate.high))


def _figures(findings: Findings) -> dict[str, bytes]:
    from . import figures

    before, after = str(findings.dataset["before"]), str(findings.dataset["after"])
    drawn = {}
    scopes = _slugs(findings)
    if len(findings.splits) == 1:
        # One split is all of them: drawn once, filed under both names.
        scopes = [(next(iter(findings.splits.values())), "all")]
    for scope, slug in scopes:
        drawn[f"change_matrix_{slug}"] = figures.matrix_figure(scope, before, after)
        if slug == "all":
            drawn["distribution_all"] = figures.distribution_figure(scope, before, after)
            by_speaker = figures.speaker_figure(scope)
            if by_speaker is not None:
                drawn["change_by_speaker_all"] = by_speaker
    if findings.sound is not None:
        drawn.update(_sound_figures(findings.sound))
    if findings.panel is not None:
        from .panel_figure import panel_figure

        figure = panel_figure(findings.panel)
        if figure is not None:
            drawn["annotators_all"] = figure
    files = {}
    for name, figure in drawn.items():
        for kind, content in figures.figure_bytes(figure).items():
            files[f"{name}.{kind}"] = content
    if len(findings.splits) == 1:
        slug = _slugs(findings)[1][1]
        for kind in ("svg", "png"):
            files[f"change_matrix_{slug}.{kind}"] = files[f"change_matrix_all.{kind}"]
    return files


def _sound_figures(sound: Sound) -> dict[str, Figure]:
    from .descriptions_figure import TITLES, descriptions_figure
    from .levels import levels_figure

    drawn = {}
    if sound.descriptions is not None:
        drawn["descriptions_all"] = descriptions_figure(sound.descriptions)
    for by in dict.fromkeys(by for _, by in sound.crossings):
        panels = {TITLES[column]: found for (column, of), found in sound.crossings.items() if of == by}
        figure = levels_figure(panels, f"Levels of the voice by {by.replace('_', ' ')}")
        if figure is not None:
            drawn[f"levels_by_{by}"] = figure
    return drawn


def _csv(head: Iterable[object], rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _json(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    return (text + "\n").encode("utf-8", "replace")


def _put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files, each whole or not at all, and removes those of an earlier audit that are gone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        earlier = _earlier(folder)
        for name, content in files.items():
            part = folder / f".{name}.part"
            part.write_bytes(content)
            os.replace(part, folder / name)
        for name in earlier - set(files):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        kind = Interrupted if error.errno in (errno.ENOSPC, errno.EDQUOT) else InputError
        raise kind(f"The audit cannot be written to {folder}: {error.strerror or error}") from None


def _earlier(folder: Path) -> set[str]:
    path = folder / FINDINGS
    try:
        names = json.loads(path.read_text(encoding="utf-8")).get("files", [])
    except (OSError, ValueError, AttributeError):
        return set()
    return {n for n in names if isinstance(n, str) and Path(n).name == n}
