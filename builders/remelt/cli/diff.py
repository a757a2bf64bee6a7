"""`remelt diff`: what changed between two versions of a dataset."""

from __future__ import annotations

import json as text
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from ..audit import ChangeMatrix
    from ..recipes.hub.diff import Difference, Edit

_SHOWN = 5
_LONG = 90
_MOST_INSIDE = 10


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("diff")(diff)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A folder, a table, or hub:USER/NAME[@REVISION].")],
    b: Annotated[str, typer.Argument(metavar="B", help="What A is compared with; the same forms.")],
    before: Annotated[str, typer.Option(help="Column with A's label (default: label).")] = "",
    after: Annotated[str, typer.Option(help="Column with B's label (default: label).")] = "",
    split: Annotated[str, typer.Option(help="The split of a table's rows that name none.")] = "",
    json: Annotated[Path | None, typer.Option(help="Write all differences here; - prints them.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No colour.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
) -> None:
    """Compare two versions of a dataset: rows, labels with a change matrix, columns, values, how it was made.

    Dates and versions are told and are no difference.
    Exit codes, as of diff: 0 the same, 1 different, 2 bad use or input; 3 the Hub cannot be reached.
    """
    from ..recipes.hub.diff import diff as run
    from .output import check_json, console, put_json, show_bars

    check_json(json)
    show_bars(not (plain or quiet or str(json) == "-") and sys.stderr.isatty())
    found = run(a, b, before or None, after or None, split or None)
    if not put_json(json, found.as_dict()) and not quiet:
        _show(found, console(plain))
    if not found.same:
        raise typer.Exit(1)


def _show(found: Difference, console: Console) -> None:
    say = partial(console.print, soft_wrap=True)
    say(f"A  {found.names[0]}: {found.rows[0]:,} rows")
    say(f"B  {found.names[1]}: {found.rows[1]:,} rows")
    for what, by_split in (("only in B", found.added), ("only in A", found.removed)):
        for split, ids in by_split.items():
            say(f"{len(ids):,} rows {what} ({split}): {_some(list(ids))}")
    if found.moved:
        say(f"{len(found.moved):,} rows are in another split: {_some(list(found.moved))}")
    if found.label_columns[0] != found.label_columns[1]:
        say(f"Labels: column {found.label_columns[0]!r} of A, {found.label_columns[1]!r} of B")
    for split, matrix in found.labels.items():
        _show_labels(split, matrix, console)
    _show_edits("Columns", found.columns, console)
    if found.values:
        say("\nValues of other columns, in rows that both have:")
        for name, change in found.values.items():
            identity, edit = next(iter(change.examples.items()))
            say(f"  {name}: {change.count:,} rows differ, such as {identity}: {_arrow(edit)}")
    _show_edits("How it was made", found.made, console)
    _show_edits("Card", found.card, console)
    _show_edits("Dates and versions, no difference of the data", found.told, console)
    say("\nThe datasets are the same." if found.same else "\nThe datasets differ.")


def _show_labels(split: str, matrix: ChangeMatrix, console: Console) -> None:
    from rich.table import Table

    changed, kappa = matrix.total - matrix.kept, matrix.kappa()
    share = f" ({100 * changed / matrix.total:.2f} %)" if matrix.total else ""
    told = f"{split}: {changed:,} of {matrix.total:,} labels differ{share}"
    console.print(told + ("" if kappa is None else f", Cohen's kappa {kappa:.3f}"))
    if not changed:
        return
    table = Table(title=f"Labels of A in rows, of B in columns ({split})")
    table.add_column("")
    for name in matrix.labels:
        table.add_column(name, justify="right")
    for name, row in zip(matrix.labels, matrix.counts.tolist(), strict=True):
        table.add_row(name, *(f"{count:,}" for count in row))
    console.print(table)


def _show_edits(title: str, found: Mapping[str, Edit], console: Console) -> None:
    if found:
        console.print(f"\n{title}:")
    for name, edit in found.items():
        narrowed = list(_narrowed(name, edit))
        for path, inner in narrowed[:_MOST_INSIDE]:
            console.print(f"  {path}: {_arrow(inner)}", soft_wrap=True)
        if len(narrowed) > _MOST_INSIDE:
            console.print(f"  {name}: {len(narrowed) - _MOST_INSIDE:,} more (--json has all)")


def _narrowed(name: str, edit: Edit) -> Iterator[tuple[str, Edit]]:
    """What differs inside two records, by its path; long ones would be cut where they are still the same."""
    from ..recipes.hub.diff import Edit

    before, after = edit.before, edit.after
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            if before.get(key) != after.get(key):
                yield from _narrowed(f"{name}.{key}", Edit(before.get(key), after.get(key)))
    else:
        yield name, edit


def _arrow(edit: Edit) -> str:
    return f"{_short(edit.before)} -> {_short(edit.after)}"


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    words = value if isinstance(value, str) else text.dumps(value, ensure_ascii=False, default=str)
    return words if len(words) <= _LONG else f"{words[: _LONG - 3]}..."


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
