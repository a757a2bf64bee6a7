"""`remelt voice`: measures the sound of a corpus and makes levels of pitch, loudness and rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import Interrupted
from .arguments import taking
from .parts_arguments import ray_options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..audit.levels import Crossing
    from ..recipes.listening.measuring import Measured
    from ..recipes.parts.options import PartOptions


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("voice")(voice)


@taking(ray_options)
def voice(
    parts: PartOptions | None,
    corpus: Annotated[
        str, typer.Argument(help="Corpus folder or table file; `sample` is the bundled corpus.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the tables and figures; made if need be.")],
    splits: Annotated[str | None, typer.Option(help="Only these splits, separated by commas.")] = None,
    acoustics: Annotated[
        str, typer.Option(help="Acoustics backend: default, or a name (see docs/acoustics.md).")
    ] = "default",
    functionals: Annotated[
        bool, typer.Option("--functionals", help="Also measure the 88 functionals of eGeMAPSv02.")
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Processes that decode and measure.")] = 1,
    pitch_by: Annotated[
        str,
        typer.Option(help="Compare pitch with its speaker, sex, or corpus; auto: the first with 30 clips."),
    ] = "auto",
    bins_from: Annotated[
        str | None,
        typer.Option(help="Split the quantiles come from, or all. Default: train where there is one."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="A reader (see `remelt corpora`), or a name for a table.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="COLUMN=FIELD, for tables; may be given several times.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file for tables (YAML, TOML).")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
) -> None:
    """Measure pitch, loudness and rate of every clip, and how they fall on emotions and sexes."""
    from ..corpora import from_options
    from ..recipes.listening.measuring import MeasureOptions, measure
    from ..voice.bins import as_by
    from .progress import reporter

    options = MeasureOptions(
        corpus=corpus,
        out=out,
        corpus_name=name,
        mapping=from_options(column or [], mapping, name),
        splits=None if splits is None else [s.strip() for s in splits.split(",") if s.strip()],
        acoustics=acoustics,
        functionals=functionals,
        processes=processes,
        pitch_by=as_by(pitch_by),
        bins_from=bins_from,
        parts=parts,
    )
    try:
        found = measure(options, reporter(plain, quiet=False))
    except KeyboardInterrupt:
        raise Interrupted("stopped. Everything measured is kept; the same command goes on.") from None
    _show(found, out, plain)


def _show(found: Measured, out: Path, plain: bool) -> None:
    from ..recipes.listening.measuring import TITLES

    console = _console(plain)
    console.print(f"{found.corpus.name}: {len(found.corpus):,} utterances, acoustics {found.backend.name}")
    console.print(_counts(found, plain))
    if found.flags:
        console.print(_flags(found, plain))
    said = {column: scheme.describe() for column, scheme in found.schemes.items()}
    rules = {sentences[0] for sentences in said.values()}
    for rule in sorted(rules) if len(rules) == 1 else ():
        console.print(rule)
    for column, sentences in said.items():
        console.print(f"{TITLES[column]}: {' '.join(sentences[1:] if len(rules) == 1 else sentences)}")
    for by, what in (("label", "Levels by emotion (low / mid / high, %)"), ("sex", "Levels by sex")):
        tables = {c: t for (b, c), t in found.crossings.items() if b == by}
        if tables:
            console.print(_levels(tables, TITLES, what, plain))
    for note in (*found.corpus.notes, *found.notes):
        console.print(f"- {note}")
    console.print(f"Written to {out}: {', '.join(found.files)}")


def _console(plain: bool) -> Console:
    from rich.console import Console

    kept: dict[str, Any] = {"highlight": False, "emoji": False, "markup": False}
    console = Console(no_color=plain, **kept)
    # A pipe has no width; a table cut at 80 columns would lose numbers.
    return console if console.is_terminal else Console(no_color=True, width=160, **kept)


def _table(plain: bool, title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None if plain else box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=column != "meaning")
    return table


def _counts(found: Measured, plain: bool) -> Table:
    counts = found.counts
    table = _table(plain, "Clips", "", *counts, *(["all"] if len(counts) > 1 else []))
    for key, what in (
        ("utterances", "utterances"),
        ("no_clip", "without a clip"),
        ("no_sound", "clip without usable sound"),
        ("measured", "measured"),
    ):
        numbers = [row[key] for row in counts.values()]
        table.add_row(what, *(f"{n:,}" for n in [*numbers, *([sum(numbers)] if len(numbers) > 1 else [])]))
    return table


def _flags(found: Measured, plain: bool) -> Table:
    from ..voice.quality import FLAGS

    table = _table(plain, "Quality flags", "", "clips", "meaning")
    table.columns[2].justify = "left"
    for flag, count in found.flags.items():
        table.add_row(flag, f"{count:,}", FLAGS.get(flag, ""))
    return table


def _levels(tables: dict[str, Crossing], titles: Any, what: str, plain: bool) -> Table:
    table = _table(plain, what, "", "rows", *(titles[column] for column in tables))
    names = sorted({name for t in tables.values() for name in t.names})
    rows = {c: dict(zip(t.names, t.counts, strict=True)) for c, t in tables.items()}
    without = {c: dict(zip(t.names, t.without, strict=True)) for c, t in tables.items()}
    first = next(iter(tables))
    for name in names:
        total = sum(rows[first].get(name, ())) + without[first].get(name, 0)
        shown = name if name.isprintable() else repr(name)
        table.add_row(shown, f"{total:,}", *(_shares(rows[c].get(name, ())) for c in tables))
    for label, value in (("Cramér's V", "v"), ("  by chance about", "expected_v"), ("  p", "p")):
        found = [t.association for t in tables.values()]
        cells = ["–" if a is None else _figure(getattr(a, value), value) for a in found]
        table.add_row(label, "", *cells)
    return table


def _shares(counts: Any) -> str:
    total = sum(counts)
    return " / ".join(f"{100 * n / total:.1f}" for n in counts) if total else "–"


def _figure(value: float | None, kind: str) -> str:
    if value is None:
        return "–"
    return f"{value:.2g}" if kind == "p" else f"{value:.3f}"
