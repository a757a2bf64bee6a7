"""`remelt agreement`: how far several raters agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import console, put_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..recipes.agreement import AgreementReport, Judged

_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("agreement")(agreement)


def agreement(
    source: Annotated[
        Path,
        typer.Argument(help="Dataset folder with votes, corpus with ratings, or a CSV, JSONL, Parquet file."),
    ],
    json: Annotated[
        Path | None, typer.Option(help="Also write the numbers to this file; - prints them.")
    ] = None,
    label_columns: Annotated[
        str | None, typer.Option(help="Of a table with a column per rater: their names, with commas.")
    ] = None,
    long: Annotated[
        str | None,
        typer.Option(help="Of a table with a row per vote: columns of item, rater, label. "
                          "Default: id,rater,label."),
    ] = None,
    item: Annotated[
        str | None, typer.Option("--id", help="Column of ids beside --label-columns. Default: id.")
    ] = None,
    original: Annotated[
        str | None,
        typer.Option(help="Column to hold the majority against. Default: original_label where there is one."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="CREMA-D: judged by voice, face, audiovisual, with commas. Default: all."),
    ] = None,
    ordinal: Annotated[
        str | None, typer.Option(help="The labels from low to high, with commas, where they have an order.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap samples of the items for 95 % intervals; 0 for none.")
    ] = 2000,
    splits: Annotated[int, typer.Option(min=1, help="Random halvings for the split-half ceiling.")] = 50,
    least_common: Annotated[
        int, typer.Option(min=1, help="Items that two raters must share to be compared.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")] = 0,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
) -> None:  # fmt: skip
    """Measure how far raters agree: kappa, alpha, AC1, per label, pairs, ceilings, majority, ties."""
    from ..audit.agreement import AgreementOptions
    from ..recipes.agreement import TableColumns, measure_agreement

    options = AgreementOptions(
        resamples=resamples, seed=seed, splits=splits, order=_names(ordinal), least_common=least_common
    )
    columns = TableColumns(_names(label_columns), _names(long), item, original)
    report = measure_agreement(source, options, columns=columns, by=_names(by))
    if not put_json(json, report.as_dict()):
        _show(report, console(plain), plain)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _show(report: AgreementReport, console: Console, plain: bool) -> None:
    from ..audit.console_panel import agreement_grid, pairs_grid

    def make(title: str, first: str, *others: str) -> Table:
        return _grid(plain, title, first, *others)

    console.print(f"{report.source}: {report.kind}" + (f" {report.name}" if report.name else ""))
    console.print(_votes(report, make))
    for name, judged in report.groups.items():
        found = judged.agreement
        console.print(agreement_grid(found, make, f"Agreement, {name}"))
        console.print(_labels(name, judged, make))
        if judged.change is not None and judged.change.total:
            console.print(_change(name, judged, make))
        if found.pairs is not None and 2 <= len(found.pairs.raters) <= _SHOWN:
            console.print(pairs_grid(found, make))
        elif found.pairs is not None and found.pairs.compared:
            console.print(
                f"{found.pairs.enough:,} of {found.pairs.met:,} pairs of raters share "
                f"{found.pairs.least_common} items or more; {len(found.pairs.compared):,} are in the JSON."
            )
        if found.by_rater:
            console.print(_raters(name, judged, make))
    for note in report.notes:
        console.print(f"• {note}")


def _grid(plain: bool, title: str, first: str, *others: str) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title), title_justify="left", box=None if plain else box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column(Text(first), no_wrap=True)
    for name in others:
        table.add_column(Text(name), justify="right", no_wrap=True)
    return table


def _votes(report: AgreementReport, make: Callable[..., Table]) -> Table:
    table = make(
        "Votes",
        *("", "items", "votes", "raters", "per item", "unanimous", "tied", "over half", "not the original"),
    )
    for name, judged in report.groups.items():
        found = judged.agreement
        least, mean, most = found.per_item
        change = None if judged.change is None else judged.change.change
        table.add_row(
            name,
            f"{found.judged:,}",
            f"{found.votes:,}",
            "unknown" if found.raters is None else f"{found.raters:,}",
            f"{mean:.2f} ({least} to {most})",
            *(_rate(rate) for rate in (found.unanimous, found.tied, judged.strict, change)),
        )
    return table


def _rate(rate: Any) -> str:
    if rate is None or rate.rate is None:
        return "–"
    return f"{100 * rate.rate:.2f} % ({rate.count:,} of {rate.total:,})"


def _labels(name: str, judged: Judged, make: Callable[..., Table]) -> Table:
    from ..audit.console_panel import between
    from ..audit.names import number

    table = make(
        f"Per label, {name}", "label", "votes", "specific agreement", "95 %", "kappa against others", "95 %"
    )
    for found in judged.agreement.by_label:
        cells = (
            text
            for value in (found.specific, found.kappa)
            for text in (number(value.value, 3, "undefined"), between(value))
        )
        table.add_row(found.label, f"{found.votes:,}", *cells)
    return table


def _change(name: str, judged: Judged, make: Callable[..., Table]) -> Table:
    matrix = judged.change
    assert matrix is not None
    table = make(
        f"Original label (down) to the majority (across), {name}", "original", *matrix.labels, "kept"
    )
    for label, counts, shares in zip(matrix.labels, matrix.counts.tolist(), matrix.row_shares(), strict=True):
        kept = shares[matrix.labels.index(label)]
        table.add_row(label, *(f"{n:,}" for n in counts), "–" if kept is None else f"{100 * kept:.1f} %")
    return table


def _raters(name: str, judged: Judged, make: Callable[..., Table]) -> Table:
    from ..audit.console_panel import between
    from ..audit.names import clean, number

    found = judged.agreement.by_rater or ()
    more = f" ({_SHOWN} of {judged.agreement.raters:,})" if len(found) > _SHOWN else ""
    table = make(
        f"Each against the majority of the others, {name}{more}",
        *("rater", "votes", "compared", "accuracy", "95 %", "UAR", "kappa"),
    )
    for rater in found[:_SHOWN]:
        table.add_row(
            clean(rater.name, 60),
            f"{rater.votes:,}",
            f"{rater.compared:,}",
            number(rater.accuracy.value, 3),
            between(rater.accuracy),
            number(rater.uar.value, 3),
            number(rater.kappa.value, 3),
        )
    return table
