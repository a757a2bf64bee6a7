"""`remelt corpora`: the corpora that can be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import put_json

if TYPE_CHECKING:
    from rich.console import Console

    from ..corpora import CorpusInfo

FORMAT = 1


def register(app: typer.Typer) -> None:
    app.command("corpora")(corpora)


def corpora(
    name: Annotated[str, typer.Argument(help="Show this one in full, with its citation.")] = "",
    json_: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write it as JSON; - prints it only.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
) -> None:
    """List the corpora that can be read: licence, how to get them, layout, classes and counts."""
    from rich.console import Console

    from ..corpora import info, names

    shown = [info(name)] if name else [info(known) for known in names()]
    if put_json(json_, {"format": FORMAT, "corpora": list(map(_plain, shown))}):
        return
    console = Console(no_color=plain, highlight=False, emoji=False, markup=False)
    if name or plain or not console.is_terminal:
        for known in shown:
            _show(console, known, full=bool(name))
    else:
        _table(console, shown)


def _show(console: Console, known: CorpusInfo, full: bool) -> None:
    console.print(f"{known.name}: {known.title}", soft_wrap=True)
    for what, value in _lines(known, full):
        if value:
            console.print(f"  {what}: {value}", soft_wrap=True)
    if full and known.citation:
        console.print(f"\n{known.citation}", soft_wrap=True)


def _lines(known: CorpusInfo, full: bool) -> list[tuple[str, str]]:
    lines = [
        ("licence", known.licence),
        ("homepage", known.homepage),
        ("access", known.access),
        ("layout", known.layout),
        ("size", _size(known)),
        ("labels", _labels(known)),
    ]
    if full:
        lines += [
            ("common names", ", ".join(f"{own} is {name}" for own, name in _renamed(known).items())),
            ("language", known.language),
            ("profile", known.profile),
        ]
    return lines


def _size(known: CorpusInfo) -> str:
    sizes = ((known.utterances, "utterances"), (known.speakers, "speakers"))
    return ", ".join(f"{count:,} {what}" for count, what in sizes if count is not None)


def _labels(known: CorpusInfo) -> str:
    counts = known.counts
    return ", ".join(f"{label} {counts[label]:,}" if label in counts else label for label in known.labels)


def _renamed(known: CorpusInfo) -> dict[str, str]:
    """The labels that carry another name in common, as far as the corpus has them."""
    from ..labels import LABEL_MAPS

    mapped = LABEL_MAPS[known.name].to_common if known.name in LABEL_MAPS else {}
    return {own: name for own, name in mapped.items() if own != name}


def _table(console: Console, shown: list[CorpusInfo]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    for column in ("name", "corpus", "labels and counts", "how to get it", "layout"):
        table.add_column(column, no_wrap=column == "name", overflow="fold")
    for known in shown:
        about = "\n".join(part for part in (known.title, known.licence, known.homepage) if part)
        classes = "\n".join(part for part in (_size(known), _labels(known)) if part)
        table.add_row(known.name, about, classes, known.access, known.layout)
    console.print(table)
    console.print("remelt corpora NAME shows one in full, with its citation.")


def _plain(known: CorpusInfo) -> dict[str, Any]:
    from dataclasses import asdict

    from ..labels import LABEL_MAPS

    mapped = LABEL_MAPS.get(known.name)
    return {**asdict(known), "common_labels": dict(mapped.to_common) if mapped else {}}
