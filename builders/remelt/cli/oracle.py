"""`remelt oracle`: how often each annotator's sentiment is the one that raters' valence gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .output import console, put_json

if TYPE_CHECKING:
    from rich.table import Table

    from ..audit.descriptions import Value
    from ..recipes.oracle import OracleReport, Overlap


Above = Annotated[float | None, typer.Option(help="A valence above it is positive (MERITS-L: 5).")]
Below = Annotated[float | None, typer.Option(help="A valence below it is negative (MERITS-L: 3).")]
Scale = Annotated[
    str, typer.Option(metavar="LOW,HIGH", help="The scale of the valence; default: the corpus's, or 1,7.")
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("oracle")(oracle)


def oracle_options(
    oracle: Annotated[
        str,
        typer.Option(
            help="What to compare with: valence, sentiment (the corpus's own), none, or auto: valence where "
            "the corpus has it from 1 to 7, else sentiment."
        ),
    ] = "auto",
    positive_above: Above = None,
    negative_below: Below = None,
    valence_scale: Scale = "",
) -> Any:
    """The options of the oracle (`OracleOptions`) from the command line.

    Raises:
        InputError: a value that cannot be used.
    """
    from ..recipes.sentiment_oracle import OracleOptions

    return OracleOptions(oracle, positive_above, negative_below, _scale(valence_scale))


def _scale(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"Bad --valence-scale {text!r}, expected two numbers such as 1,7") from None
    return low, high


def oracle(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A dataset of `remelt build pseudo-sentiment`.")],
    oracle: Annotated[
        str, typer.Option(help="valence, sentiment or auto; default: as the dataset was built.")
    ] = "",
    positive_above: Above = None,
    negative_below: Below = None,
    valence_scale: Scale = "",
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap samples for the intervals of UAR; 0 for none.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write all numbers as JSON; - prints them only.")
    ] = None,
) -> None:
    """How often each annotator's sentiment is the one that raters' valence gives (MERITS-L's oracle)."""
    from ..recipes.oracle import oracle_overlap

    asked = oracle or positive_above is not None or negative_below is not None or valence_scale
    options = (
        oracle_options(oracle or "auto", positive_above, negative_below, valence_scale) if asked else None
    )
    report = oracle_overlap(out, options, seed=seed, resamples=resamples)
    if not put_json(json, report.as_dict()):
        show(report)


def show(report: OracleReport) -> None:
    """Prints the report."""
    shown = console()
    shown.print(f"{report.source}: {_against(report)}", soft_wrap=True)
    shown.print(_overlaps(report))
    shown.print(_published(), soft_wrap=True)
    for one in report.overlaps:
        shown.print(_confusion(one))
    for note in report.oracle.notes:
        shown.print(f"Note: {note}", soft_wrap=True)


def _against(report: OracleReport) -> str:
    record = report.oracle.record
    counts = ", ".join(f"{count:,} {label}" for label, count in record["counts"].items())
    if report.oracle.source != "valence":
        return f"compared with the sentiment of {report.corpus} itself ({counts})"
    low, high = record["scale"]
    return (
        f"compared with the valence of {report.corpus} ({low:g} to {high:g}): above "
        f"{record['positive_above']:g} positive, below {record['negative_below']:g} negative, else neutral "
        f"({counts})"
    )


def _overlaps(report: OracleReport) -> Table:
    from ..recipes.oracle import DATASET

    table = _table("Overlap with the oracle", "", "rows", "same", "overlap %", "95 %", "UAR %", "95 %",
                   "kappa", "no answer")  # fmt: skip
    for one in report.overlaps:
        table.add_row(
            "published label" if one.name == DATASET else one.name,
            f"{one.rows:,}",
            f"{one.matrix.kept:,}",
            _percent(one.overlap.value),
            _interval(one.overlap),
            _percent(one.uar.value),
            _interval(one.uar),
            "–" if one.kappa is None else f"{one.kappa:.3f}",
            f"{one.unanswered:,}",
        )
    return table


def _published() -> str:
    from ..recipes.oracle import PUBLISHED, PUBLISHED_SOURCE

    values = ", ".join(f"{model} {percent:.2f} %" for model, percent in PUBLISHED.items())
    return f"Measured on another sample ({PUBLISHED_SOURCE}): {values}.\n"


def _confusion(one: Overlap) -> Table:
    labels = one.matrix.labels
    table = _table(f"{one.name}: oracle in rows, label in columns", "", *labels, "recall %")
    for label, row in zip(labels, one.matrix.counts.tolist(), strict=True):
        table.add_row(label, *(f"{count:,}" for count in row), _percent(one.recalls[label]))
    return table


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    return table


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def _interval(score: Value) -> str:
    if score.low is None or score.high is None:
        return "–"
    return f"{100 * score.low:.2f} to {100 * score.high:.2f}"
