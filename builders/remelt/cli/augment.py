"""`remelt augment`: pseudo-labelled rows for the training folds of another corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..recipes.augment.augment import Augmented


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("augment")(augment)


def augment(
    corpus: Annotated[
        str, typer.Option(help="The corpus that gets more training rows: folder or table file.")
    ],
    with_: Annotated[
        list[Path],
        typer.Option("--with", metavar="OUT", help="Dataset by remelt whose rows are added; several times."),
    ],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder to make.")],
    folds: Annotated[
        str,
        typer.Option(
            help="session: each tests once; standard: the corpus's own splits; auto: as it has them."
        ),
    ] = "auto",
    validation: Annotated[
        str, typer.Option(help="With sessions: next (the one after the test session) or none.")
    ] = "next",
    splits: Annotated[str, typer.Option(help="Splits of OUT to add, with commas; default: all.")] = "",
    labels: Annotated[
        str, typer.Option(help="The classes, with commas; default: those that both sides have.")
    ] = "",
    text: Annotated[
        str, typer.Option(help="The corpus's words: reference or asr (--transcripts).")
    ] = "reference",
    transcripts: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Made by `remelt transcribe` from the corpus.")
    ] = None,
    name: Annotated[str, typer.Option(help="A reader (see `remelt corpora`), or a name for a table.")] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="COLUMN=FIELD, for tables; may be given several times.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file for tables (YAML, TOML).")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what needs attention.")] = False,
) -> None:
    """Add the rows of OUT to the training part of each fold of a corpus, never to validation or test.

    Refused are rows of the corpus itself: the same corpus, ids or clips. Exit codes: 0 done, 2 bad use or
    input.
    """
    from ..corpora import from_options
    from ..recipes.augment.augment import AugmentOptions
    from ..recipes.augment.augment import augment as run
    from ..recipes.listening.texts import Texts
    from .progress import reporter

    options = AugmentOptions(
        corpus=corpus,
        sources=tuple(with_),
        to=to,
        corpus_name=name or None,
        mapping=from_options(column or [], mapping, name or None),
        folds=folds,
        validation=validation,
        labels=_list(labels),
        splits=_list(splits),
        texts=Texts(text, transcripts),
    )
    result = run(options, reporter(plain, quiet))
    if not quiet:
        _show(result, plain)


def _list(text: str) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in text.split(",") if part.strip()) or None


def _show(result: Augmented, plain: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(no_color=plain, highlight=False, emoji=False, markup=False)
    table = Table(box=None if plain else box.SIMPLE, pad_edge=False)
    for name in ("fold", "split", "sessions", "origin", *result.manifest["classes"], "rows"):
        table.add_column(name)
    for name, fold in result.manifest["folds"].items():
        for split, found in fold["rows"].items():
            sessions = ", ".join(fold["sessions"].get(split, ()))
            for origin in (one for one in found if one != "rows"):
                counts = found[origin].values()
                cells = [f"{count:,}" for count in (*counts, sum(counts))]
                table.add_row(name, split, sessions, origin, *cells)
    console.print(table)
    first = next(iter(result.manifest["folds"]))
    for line in (
        f"Written  {result.to}",
        f"Load     from datasets import load_dataset; load_dataset({str(result.to)!r}, {first!r})",
    ):
        console.print(line, soft_wrap=True)
