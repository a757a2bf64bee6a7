"""What `remelt evaluate` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from ..recipes.evaluation.tables import Table

Record = Mapping[str, Any]


def show(results: Record, console: Console) -> None:
    """Scores, differences, the paper's numbers and warnings of a run."""
    from ..recipes.evaluation import tables

    shown = [tables.scores_table(results), tables.differences_table(results)]
    for table in (*shown, *tables.published_tables(results)):
        if table is not None:
            _print(table, console)
    for told in tables.warnings_of(results):
        console.print(f"! {told}", soft_wrap=True)
    console.print()


def show_comparison(found: Record, console: Console) -> None:
    """What `remelt evaluate compare` found."""
    from ..recipes.evaluation import compare

    _print(compare.table(found), console)
    for note in found["notes"]:
        console.print(f"! {note}", soft_wrap=True)


def show_systems(found: Sequence[Record], console: Console) -> None:
    """The systems, one after the other."""
    for one in found:
        console.print(f"{one['name']}: {one['title']}", soft_wrap=True)
        for what in ("paper", "task", "metric", "needs"):
            value = ", ".join(one[what]) if isinstance(one[what], list) else one[what]
            console.print(f"  {what}: {value or 'nothing'}", soft_wrap=True)
    console.print("remelt evaluate systems NAME shows one with its settings and presets.", soft_wrap=True)


def show_system(one: Record, console: Console) -> None:
    """A system with its settings and presets."""
    from ..recipes.evaluation.tables import Table

    console.print(f"{one['name']}: {one['title']}\n  {one['paper']}", soft_wrap=True)
    presets = list(one["presets"])
    rows = tuple(
        (s["name"], *(_plain(s[p]) for p in presets), ", ".join(map(str, s["choices"])), s["help"])
        for s in one["settings"]
    )
    _print(Table("Settings (--set name=value)", ("name", *presets, "choices", "what it is"), rows), console)
    rows = tuple(
        (name, *(_plain(one["presets"][p]["training"].get(name)) for p in presets))
        for name in one["training"]
    )
    encoders = tuple(
        (f"--{kind}", *(_plain(one["presets"][p][kind]) for p in presets)) for kind in ("speech", "text")
    )
    _print(
        Table("Encoders and training (--train name=value)", ("name", *presets), (*encoders, *rows)), console
    )


def show_encoders(found: Sequence[Record], console: Console) -> None:
    """The encoders that have a name."""
    from ..recipes.evaluation.tables import Table

    rows = tuple(
        (one["name"], one["kind"], one["source"], str(one["layers"] or "all"), one["title"]) for one in found
    )
    _print(Table("Encoders", ("name", "kind", "where it comes from", "layers", "what it is"), rows), console)
    console.print("Any Hub id (OWNER/NAME, OWNER/NAME@REVISION) or folder of a model works as well.")


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _print(table: Table, console: Console) -> None:
    from rich import box
    from rich.table import Table as RichTable

    shape = box.SIMPLE if console.is_terminal and not console.no_color else None
    shown = RichTable(box=shape, pad_edge=False, title=None)
    for place, name in enumerate(table.head):
        shown.add_column(name, no_wrap=place == 0, overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    console.print(f"\n{table.title}", soft_wrap=True)
    console.print(shown)
    for note in table.notes:
        console.print(note, soft_wrap=True)
