"""`remelt inspect`: what a corpus holds and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from ..corpora.inspection import Inspection, Summary


def register(app: typer.Typer) -> None:
    app.command("inspect")(inspect)


def inspect(
    source: Annotated[
        str, typer.Argument(help="Corpus folder or table file; `sample` is the bundled corpus.")
    ],
    json: Annotated[
        Path | None, typer.Option(help="Also write the numbers to this file; - prints them.")
    ] = None,
    splits: Annotated[str | None, typer.Option(help="Only these splits, separated by commas.")] = None,
    name: Annotated[
        str | None, typer.Option(help="A reader (see `remelt corpora`), or a name for a table.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="COLUMN=FIELD, for tables; may be given several times.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file for tables (YAML, TOML).")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
) -> None:
    """Count utterances, speakers and labels of a corpus, and everything that is wrong with it."""
    from ..corpora import from_options
    from ..corpora.inspection import inspect as count

    found = count(
        source,
        name=name,
        splits=None if splits is None else [s.strip() for s in splits.split(",") if s.strip()],
        mapping=from_options(column or [], mapping, name),
    )
    if json is not None and str(json) == "-":
        typer.echo(_json(found))
        return
    _show(found, plain)
    if json is not None:
        _write(json, _json(found))


def _json(found: Inspection) -> str:
    from json import dumps

    return dumps(found.to_dict(), ensure_ascii=False, indent=2)


def _write(path: Path, text: str) -> None:
    from ..errors import InputError

    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}") from None


def _show(found: Inspection, plain: bool) -> None:
    from rich.console import Console

    console = Console(no_color=plain, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        # A pipe has no width; a table cut at 80 columns would lose numbers.
        console = Console(no_color=True, highlight=False, emoji=False, markup=False, width=160)
    corpus = found.corpus
    console.print(f"{corpus.name}: {len(corpus):,} utterances in {corpus.folder}")
    console.print(_sizes(found, plain))
    console.print(_defects(found, plain))
    absent = [name for name, counts in corpus.defects.items() if not any(counts.values())]
    if absent:
        console.print(f"Looked for and not found: {', '.join(absent)}.")
    if corpus.findings:
        console.print(_findings(found, plain))
    for note in corpus.notes:
        console.print(f"- {note}")


def _table(plain: bool, title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None if plain else box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="left" if column in ("", "meaning") else "right", no_wrap=column != "meaning"
        )
    return table


def _sizes(found: Inspection, plain: bool) -> Table:
    table = _table(plain, "Size", "", *found.splits, "all")
    parts = [*found.splits.values(), found.total]

    def row(what: str, *values: str) -> None:
        table.add_row(what, *values)

    row("utterances", *(f"{p.utterances:,}" for p in parts))
    row("dialogues", *(f"{p.dialogues:,}" for p in parts))
    row("speakers", *(f"{p.speakers:,}" for p in parts))
    row("mean duration (s)", *("-" if p.mean_duration is None else f"{p.mean_duration:.2f}" for p in parts))
    row("mean words", *(f"{p.mean_words:.1f}" for p in parts))
    row("clips", *(f"{p.clips:,}" for p in parts))
    for label in found.total.labels:
        row(label if label.isprintable() else repr(label), *(_share(p, label) for p in parts))
    return table


def _share(part: Summary, label: str) -> str:
    count = part.labels.get(label, 0)
    return f"{count:,} ({100 * count / part.utterances:.1f} %)"


def _defects(found: Inspection, plain: bool) -> Table:
    from ..corpora.defects import DEFECTS

    table = _table(plain, "Defects", "", *found.splits, "all", "meaning")
    for name, counts in found.corpus.defects.items():
        if any(counts.values()):
            numbers = [counts[split] for split in found.splits]
            table.add_row(name, *(f"{n:,}" for n in [*numbers, sum(numbers)]), DEFECTS[name].says)
    return table


def _findings(found: Inspection, plain: bool) -> Table:
    table = _table(plain, "In the corpus as a whole", "", "count")
    for name, count in found.corpus.findings.items():
        table.add_row(name, f"{count:,}")
    return table
