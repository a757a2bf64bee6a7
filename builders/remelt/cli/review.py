"""`remelt review` and `remelt review-report`: people judge a dataset in a browser, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import console, put_json


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("review")(review)
    app.command("review-report")(review_report)


def review(
    out: Annotated[Path, typer.Argument(help="A dataset folder.")],
    mode: Annotated[
        str, typer.Option(help="preference (which of two labels fits better) or label (choose one).")
    ] = "preference",
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B",
            help="The two labels: columns, or sources of the votes, with a comma between; given twice, each "
            "is one name, commas and all. Default: original_label,label.",
        ),
    ] = None,
    pick: Annotated[
        str, typer.Option(help="Mode label: items by random, disagreement or low-confidence.")
    ] = "random",
    items: Annotated[
        int | None, typer.Option(min=1, help="How many items at most. Default: all that fit.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Items of this split only.")] = None,
    raters_per_item: Annotated[
        int | None,
        typer.Option(min=1, help="Judgements per item. Default: every rater may judge every item."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the items, their order and the sides.")] = 0,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Others than this machine's own get a secret key.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port; 0 for one that is free. Default: that of the last time, else one that is free.",
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser here.")] = True,
) -> None:
    """Let people judge a dataset's labels in a browser; every choice is saved at once."""
    from ..recipes.reviewing.review import Address, ReviewOptions
    from ..recipes.reviewing.review import review as serve
    from .progress import PlainReporter

    options = ReviewOptions(
        mode=mode,  # type: ignore[arg-type]  # checked there
        sources=_pair(labels or ["original_label,label"]),
        pick=pick,
        items=items,
        split=split,
        raters_per_item=raters_per_item,
        seed=seed,
    )

    def ready(url: str) -> None:
        typer.echo(f"Open {url} (Ctrl-C ends)")
        if browser and _has_screen():
            import webbrowser

            webbrowser.open(url)

    added = serve(out, options, Address(host, port), PlainReporter(), ready)
    typer.echo(f"{added:,} judgements added; `remelt review-report {out}` shows what they say")


def _pair(labels: list[str]) -> tuple[str, str]:
    """The two names; those of some sources hold commas, such as `mock:seed=3,invalid=0.2`."""
    from ..errors import InputError

    names = [name.strip() for name in (labels[0].split(",") if len(labels) == 1 else labels)]
    if len(names) != 2 or not all(names):
        raise InputError(
            f"Bad labels {' '.join(labels)!r}, expected two names with a comma between, or --labels twice "
            "for names that hold commas"
        )
    return names[0], names[1]


def _has_screen() -> bool:
    """Whether a browser can open a window; one that runs in the terminal would take it over."""
    import os
    import sys

    return sys.platform in ("darwin", "win32") or any(
        name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def review_report(
    out: Annotated[Path, typer.Argument(help="The dataset folder that was reviewed.")],
    json: Annotated[
        Path | None, typer.Option(help="Also write the numbers to this file; - prints them.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder for the figure, the numbers and a CSV of every judgement.")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="CSV of the labels (mode label) for `remelt add-annotations`."),
    ] = None,
) -> None:
    """What people said: preference shares with intervals, agreement, labels against the model's."""
    from ..recipes.reviewing.report import export_labels, report, write_report
    from .review_tables import show

    found = report(out)
    if not put_json(json, found.as_dict()):
        show(found, console())
    if to is not None:
        typer.echo(f"Written to {to}: {', '.join(write_report(found, to))}", err=True)
    if export is not None:
        rows = export_labels(found, export)
        typer.echo(f"{rows:,} labels written to {export}", err=True)
