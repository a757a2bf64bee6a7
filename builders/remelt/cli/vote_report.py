"""`remelt vote-report`: how good the labels of several models and of their vote are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import console, put_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..audit.descriptions import Value
    from ..audit.matrix import Rate
    from ..recipes.feng_tables import Printed
    from ..recipes.vote_report import Quality, VoteReport


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("vote-report")(vote_report)


def vote_report(
    out: Annotated[
        list[Path], typer.Argument(help="Dataset folders, such as one on human words and one on ASR words.")
    ],
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap samples for the 95 % intervals; 0 for none.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the numbers to this file; - prints them.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
) -> None:
    """Hold the labels of each model, their vote and the vote + human against the corpus's own labels.

    Kept is the share of utterances that got one of the classes; accuracy, UAR and macro-F1 are of these;
    "right of all" counts what was not kept as wrong. Intervals are 95 %. What Feng & Narayanan (2023) print
    of the same corpus stands below: it is the UAR of models trained on such labels.
    """
    from ..recipes.vote_report import vote_report as run

    reports = [run(folder, resamples, seed) for folder in out]
    if put_json(json, [report.as_dict() for report in reports]):
        return
    shown = console(plain)
    for report in reports:
        _show(report, shown, plain)
    for told in {report.corpus: report.printed for report in reports}.values():
        if told is not None:
            _show_printed(told, shown, plain)


def _show(report: VoteReport, console: Console, plain: bool) -> None:
    words = f"words by {report.heard or 'a recogniser'}" if report.text == "asr" else "the corpus's own words"
    counts = ", ".join(f"{label} {count:,}" for label, count in report.counts.items())
    console.print(f"{report.out}: {report.corpus}, {words}; {report.asked:,} utterances ({counts})")
    if report.others:
        console.print(f"{report.others:,} more have no original label out of these and are not counted")
    table = _table(
        plain, "source", "asked", "kept", "accuracy", "UAR", "macro-F1", "kappa", "right of all", "lost"
    )
    for found in report.sources:
        score = found.score
        lost = ", ".join(f"{reason} {count:,}" for reason, count in found.lost.items())
        values = [_value(score.accuracy), _value(score.uar), _value(score.f1), _value(score.kappa)]
        table.add_row(
            found.name,
            _asked(found, report.asked),
            _rate(found.kept),
            *values,
            _rate(found.right),
            lost or "-",
        )
    console.print(table)
    if report.commonest is not None and report.chance is not None:
        console.print(
            f"Without a look at the words: accuracy {report.commonest:.3f} (always the commonest class), "
            f"UAR {report.chance:.3f}\n"
        )


def _show_printed(told: Printed, console: Console, plain: bool) -> None:
    from ..recipes.feng_tables import MEANING, SOURCE

    console.print(f"{SOURCE} on {told.corpus}: {MEANING}")
    table = _table(plain, "", *told.table_4)
    table.add_row("table 4 (words by Whisper)", *(f"{value:.2f}" for value in told.table_4.values()))
    for name, place in (("table 6, own words", 0), ("table 6, words by Whisper", 1)):
        if told.table_6:
            cells = (f"{told.table_6[c][place]:.2f}" if c in told.table_6 else "" for c in told.table_4)
            table.add_row(name, *cells)
    console.print(table)
    for remark in told.remarks:
        console.print(f"- {remark}", soft_wrap=True)


def _table(plain: bool, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=None if plain else box.SIMPLE, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _asked(found: Quality, total: int) -> str:
    return f"{found.asked:,}" if found.asked == total else f"{found.asked:,} of {total:,}"


def _value(value: Value) -> str:
    return _with_interval(value.value, value.low, value.high)


def _rate(rate: Rate) -> str:
    return _with_interval(rate.rate, rate.low, rate.high)


def _with_interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
