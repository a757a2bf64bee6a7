"""`remelt wer`: the word error rate of transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import console, put_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..recipes.listening.wer import WerReport
    from ..voice.wer import Rate

_SHOWN = 15


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("wer")(wer)


def wer(
    out: Annotated[
        Path,
        typer.Argument(
            help="Folder of `remelt transcribe`, dataset folder, or table file (CSV, JSONL, Parquet)."
        ),
    ],
    reference: Annotated[
        str | None, typer.Option(help="Column of what was said. Default: reference, else text.")
    ] = None,
    hypothesis: Annotated[
        str | None, typer.Option(help="Column of what was heard. Default: transcript, else hypothesis.")
    ] = None,
    normalizer: Annotated[
        str, typer.Option(help="A third reading: none, whisper or whisper-english.")
    ] = "none",
    by: Annotated[
        str, typer.Option(help="Groups, with commas: split, speaker, label, duration; or none.")
    ] = "split,speaker,label,duration",
    worst: Annotated[int, typer.Option(min=0, help="How many of the worst utterances to show.")] = 10,
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap samples for the 95 % intervals; 0 for none.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    json: Annotated[
        Path | None, typer.Option(help="Also write the numbers to this file; - prints them.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder for wer.json and CSV files. Default: OUT/wer for transcripts.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
) -> None:
    """Compare transcripts with the corpus's words: WER as it stands and without case and punctuation."""
    from ..recipes.listening.wer import word_error_rate
    from ..voice.wer import WerOptions

    wanted = tuple(dict.fromkeys(part.strip() for part in by.split(",") if part.strip()))
    options = WerOptions(
        normalizer=normalizer,
        by=() if wanted == ("none",) else wanted,
        resamples=resamples,
        seed=seed,
        worst=worst,
    )
    report = word_error_rate(out, options, reference=reference, hypothesis=hypothesis, to=to)
    if not put_json(json, report.as_dict()):
        _show(report, console(plain), plain)


def _show(report: WerReport, console: Console, plain: bool) -> None:
    result = report.result
    model = f", model {report.model}" if report.model else ""
    console.print(f"{report.source}: {report.hypothesis!r} against {report.reference!r}{model}")
    console.print(_counts(result.counts))
    console.print(_total(report, plain))
    if result.failed:
        rates = ", ".join(f"{n} {_percent(r)}" for n, r in result.with_failed.items())
        console.print(
            f"{len(result.failed):,} utterances without a transcript are not in the rates; counted as all "
            f"deleted: {rates}."
        )
    for by, groups in result.groups.items():
        if len(groups) > 1:
            console.print(_groups(by, groups, result.readings, plain))
    if result.worst:
        console.print(_worst(report, plain))
    if report.files:
        console.print(f"Written: {', '.join(str(path) for path in report.files)}")


def _counts(counts: Any) -> str:
    said = [f"{counts['scored']:,} of {counts['utterances']:,} utterances scored"]
    for key, what in (
        ("no_transcript", "without a transcript"),
        ("no_clip", "without a clip"),
        ("no_reference", "without a reference"),
        ("empty_reference", "scored with an empty reference"),
        ("empty_transcript", "scored with an empty transcript"),
    ):
        if counts[key]:
            said.append(f"{counts[key]:,} {what}")
    return "; ".join(said) + "."


def _table(plain: bool, title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None if plain else box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    return table


def _total(report: WerReport, plain: bool) -> Table:
    table = _table(plain, "Word error rate", "", "WER %", "95 % interval", "words", "S", "D", "I", "hits")
    for name, rate in report.result.total.items():
        numbers = (rate.words, rate.substitutions, rate.deletions, rate.insertions, rate.hits)
        table.add_row(name, _percent(rate.wer), _interval(rate), *(f"{n:,}" for n in numbers))
    for value in report.published:
        where = f"{value.model} on {report.corpus.upper()}, Feng & Narayanan 2023"
        table.add_row(f"{where}: original", f"{value.original:.2f}")
        table.add_row(f"{where}: processed", f"{value.processed:.2f}")
    return table


def _groups(by: str, groups: Any, readings: tuple[str, ...], plain: bool) -> Table:
    shown = list(groups)
    if len(shown) > _SHOWN:
        shown = sorted(shown, key=lambda value: -groups[value]["original"].words)[:_SHOWN]
    more = f" ({len(shown)} with the most words of {len(groups):,})" if len(groups) > len(shown) else ""
    table = _table(
        plain,
        f"By {by}{more}",
        "",
        "utterances",
        "words",
        *(f"{n} %" for n in readings),
        f"95 % of {readings[-1]}",
    )
    for value in shown:
        rates = groups[value]
        first = rates["original"]
        table.add_row(
            value if value.isprintable() else repr(value),
            f"{first.utterances:,}",
            f"{first.words:,}",
            *(_percent(rates[name].wer) for name in readings),
            _interval(rates[readings[-1]]),
        )
    return table


def _worst(report: WerReport, plain: bool) -> Table:
    table = _table(plain, "Most errors (processed)", "", "S", "D", "I", "said / heard")
    table.columns[4].justify = "left"
    table.columns[4].no_wrap = False
    for row in report.result.worst:
        numbers = row.counts["processed"][:3]
        table.add_row(row.pair.key, *map(str, numbers), repr(row.pair.reference))
        table.add_row("", "", "", "", repr(row.pair.hypothesis))
    return table


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{100 * rate:.2f}"


def _interval(rate: Rate) -> str:
    if rate.low is None or rate.high is None:
        return "–"
    return f"{100 * rate.low:.2f} to {100 * rate.high:.2f}"
