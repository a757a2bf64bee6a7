"""Prints an audit as rich tables. Names from the data are printed as they are, never read as markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from .console_panel import panel_grids, panel_lines, scores_grid
from .console_sound import sound_grids, sound_lines
from .findings import Findings, Scope
from .matrix import Rate
from .names import clean, number
from .reference import Comparison
from .sound import Sound

TOP_SPEAKERS = 10
_STYLES = {"same": "green", "recomputed": "yellow", "differs": "red", "missing": "dim"}
_WORDS = {"same": "as published", "recomputed": "as recomputed", "differs": "differs", "missing": "not here"}


def print_findings(findings: Findings, console: Console | None = None) -> None:
    """Prints the summary, the change matrix, the tables behind it, and where the files are."""
    console = console or Console()
    console.print(_line(f"Audit of {clean(str(findings.dataset['name']), 60)}", "bold"))
    before, after = findings.dataset["before"], findings.dataset["after"]
    console.print(_line(f"before: {clean(str(before), 60)}   after: {clean(str(after), 60)}", "dim"))
    _print_changes(findings, console)
    if findings.overall.matrix.total:
        console.print(_labels(findings.overall))
        for name in ("speaker", "season", "duration", "words"):
            if name in findings.overall.groups:
                console.print(_groups(findings.overall, name))
    if findings.reference is not None:
        console.print(_reference(findings.reference.source, findings.reference.comparisons))
        counts = findings.reference.summary
        console.print(_line(", ".join(f"{n} {_WORDS[v]}" for v, n in counts.items() if n), "dim"))
    if findings.sound is not None:
        _print_sound(findings.sound, console)
    if findings.panel is not None:
        for grid in panel_grids(findings.panel, _grid, partial(_fits, console)):
            console.print(grid)
        for line in panel_lines(findings.panel):
            console.print(_line(line))
    for sentence in findings.caveats:
        console.print(_line(f"• {sentence}"))
    console.print(_line(f"Report: {findings.folder / 'report.html'}", "bold"))


def _print_sound(sound: Sound, console: Console) -> None:
    for grid in sound_grids(sound, _grid):
        console.print(grid)
    if sound.descriptions is not None:
        for line in sound_lines(sound.descriptions):
            console.print(_line(line, "dim"))


def print_summary(findings: Findings, console: Console | None = None) -> None:
    """Prints the short form: changes per split, the change matrix, how many published values are met."""
    console = console or Console()
    _print_changes(findings, console)
    if findings.reference is not None:
        counts = ", ".join(f"{n} {_WORDS[v]}" for v, n in findings.reference.summary.items() if n)
        console.print(_line(f"Beside {findings.reference.source}: {counts}"))
    if findings.panel is not None:
        console.print(scores_grid(findings.panel, _grid, partial(_fits, console)))
        for line in panel_lines(findings.panel):
            console.print(_line(line))


def _print_changes(findings: Findings, console: Console) -> None:
    console.print(_summary(findings.scopes if len(findings.splits) > 1 else (findings.overall,)))
    if not findings.overall.matrix.total:
        return
    grid = _matrix(findings.overall)
    if _fits(console, grid):
        console.print(grid)
    else:
        console.print(_line("The change matrix is too wide for here: see change_matrix_all.csv.", "dim"))


def _fits(console: Console, grid: Grid) -> bool:
    return grid.__rich_measure__(console, console.options.update(width=1000)).maximum <= console.width


def _summary(scopes: Sequence[Scope]) -> Grid:
    grid = _grid("Summary", "split", "rows", "compared", "changed", "95 %", "kappa", "entropy (bits)")
    for scope in scopes:
        entropies = (scope.entropy_before, scope.entropy_after)
        _row(
            grid,
            scope.name,
            f"{scope.rows:,}",
            f"{scope.matrix.total:,}",
            _percent(scope.change, 2),
            _interval(scope.change),
            number(scope.kappa, 3, "undefined"),
            " → ".join(number(e, 2) for e in entropies),
        )
    return grid


def _matrix(scope: Scope) -> Grid:
    labels = [clean(label, 12) for label in scope.matrix.labels]
    grid = _grid("Change matrix (down: before, across: after; count, % of the row)", "before", *labels)
    pairs = zip(labels, scope.matrix.counts.tolist(), scope.matrix.row_shares(), strict=True)
    for i, (label, counts, shares) in enumerate(pairs):
        cells = []
        for j, (count, share) in enumerate(zip(counts, shares, strict=True)):
            text = f"{count:,}" if share is None else f"{count:,}\n{100 * share:.0f} %"
            cells.append(Text(text, style="bold" if i == j else ""))
        grid.add_row(Text(label), *cells)
    return grid


def _labels(scope: Scope) -> Grid:
    grid = _grid(
        "Per label (share changed, of the label's row and of its column)",
        *("label", "before", "after", "kept", "by row", "by column", "goes to"),
    )
    for change in scope.labels:
        goes = change.goes_to
        _row(
            grid,
            change.label,
            f"{change.before:,}",
            f"{change.after:,}",
            f"{change.kept:,}",
            _percent(change.by_row),
            _percent(change.by_column),
            "–" if goes is None else f"{clean(goes[0], 16)} ({goes[1]:,})",
        )
    return grid


def _groups(scope: Scope, name: str) -> Grid:
    found = [g for g in scope.groups[name] if g.change.total]
    shown = found[:TOP_SPEAKERS] if name == "speaker" else found
    more = f" ({len(shown)} of {len(found)})" if len(shown) < len(found) else ""
    grid = _grid(f"Change by {name}{more}", name, "rows", "changed", "95 %")
    for group in shown:
        value = "unknown" if group.value is None else clean(group.value, 30)
        _row(grid, value, f"{group.change.total:,}", _percent(group.change), _interval(group.change))
    return grid


def _reference(source: str, comparisons: Iterable[Comparison]) -> Grid:
    grid = _grid(f"Beside {source}", "table", "split", "", "quantity", "published", "ours", "difference", "")
    for found in comparisons:
        decimals = found.decimals
        difference = found.difference
        shown = "" if difference is None or found.verdict == "same" else f"{difference:+,.{decimals}f}"
        grid.add_row(
            *(Text(t) for t in (found.table, found.split, found.side.upper(), found.quantity)),
            Text(number(found.published, decimals)),
            Text(number(found.ours, decimals)),
            Text(shown),
            Text(_WORDS[found.verdict], style=_STYLES[found.verdict]),
        )
    return grid


def _grid(title: str, first: str, *others: str) -> Grid:
    grid = Grid(
        box=SIMPLE_HEAD, title=Text(title), title_justify="left", title_style="bold", header_style="bold"
    )
    grid.add_column(Text(first), overflow="fold")
    for name in others:
        grid.add_column(Text(name), justify="right")
    return grid


def _row(grid: Grid, *cells: str) -> None:
    grid.add_row(*(Text(cell) for cell in cells))


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style)


def _percent(rate: Rate, decimals: int = 1) -> str:
    return "–" if rate.rate is None else f"{100 * rate.rate:.{decimals}f} %"


def _interval(rate: Rate) -> str:
    return "–" if rate.low is None or rate.high is None else f"{100 * rate.low:.1f}–{100 * rate.high:.1f}"
