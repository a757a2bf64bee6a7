"""`remelt corpora`: the corpora that can be read."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command("corpora")(corpora)


def corpora(plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False) -> None:
    """List the corpora that can be read, with licence, homepage and layout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from ..corpora import info, names

    console = Console(no_color=plain, highlight=False, emoji=False, markup=False)
    if plain or not console.is_terminal:
        for known in map(info, names()):
            console.print(f"{known.name}: {known.title}", soft_wrap=True)
            for what, value in (
                ("licence", known.licence),
                ("homepage", known.homepage),
                ("labels", ", ".join(known.labels)),
                ("layout", known.layout),
            ):
                if value:
                    console.print(f"  {what}: {value}", soft_wrap=True)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    for column in ("name", "corpus", "licence", "homepage", "layout"):
        table.add_column(column, no_wrap=column in ("name", "licence"), overflow="fold")
    for known in map(info, names()):
        table.add_row(known.name, known.title, known.licence, known.homepage, known.layout)
    console.print(table)
