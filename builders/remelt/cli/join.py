"""`remelt join`: published labels and the user's own copy of their corpus, in one dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..recipes.hub.join import JoinReport

_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("join")(join)


def join(
    labels: Annotated[
        str,
        typer.Argument(
            metavar="LABELS",
            help="A labels-only folder, another remelt dataset, hub:USER/NAME[@REVISION], or a table.",
        ),
    ],
    corpus: Annotated[str, typer.Option(help="Your own copy: corpus folder or table file.")],
    out: Annotated[Path, typer.Option(metavar="OUT2", help="Dataset folder to write.")],
    name: Annotated[str, typer.Option(help="A reader (see `remelt corpora`), or a name for a table.")] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="COLUMN=FIELD, for a table corpus; several times.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file for a table corpus.")] = None,
    split: Annotated[str, typer.Option(help="The split of rows of a table of labels that name none.")] = "",
    label_column: Annotated[str, typer.Option(help="Column of the label in a table of labels.")] = "",
    id_column: Annotated[str, typer.Option(help="Column of the id in a table of labels.")] = "",
    labels_from: Annotated[
        str, typer.Option("--labels", help="The labels of a table, with commas; default: MELT's seven.")
    ] = "",
    audio: Annotated[
        bool, typer.Option("--audio", help="Put the corpus's own sound files into the column audio.")
    ] = False,
    drop_different: Annotated[
        bool, typer.Option("--drop-different", help="Leave out rows with other words; else they are flagged.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 where any label does not fit the corpus.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write here what matched and what did not; - prints it.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Plain log lines, no live display.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what needs attention.")] = False,
) -> None:
    """Join published labels to your own copy of the corpus; writes a dataset that load_dataset reads.

    Exit codes: 0 done, 1 with --strict where something does not match, 2 bad use or input, 3 the Hub cannot
    be reached or the disk is full.
    """
    from ..corpora import from_options
    from ..labels import MELT, custom_label_set
    from ..recipes.hub.join import JoinOptions
    from ..recipes.hub.join import join as run
    from .output import check_json, put_json, show_bars
    from .progress import reporter

    check_json(json)

    names = [part.strip() for part in labels_from.split(",") if part.strip()]
    options = JoinOptions(
        labels=labels,
        corpus=corpus,
        out=out,
        corpus_name=name or None,
        mapping=from_options(column or [], mapping, name or None),
        split=split or None,
        label_column=label_column or None,
        id_column=id_column or None,
        label_set=custom_label_set(names) if names else MELT,
        audio=audio,
        drop_different=drop_different,
    )
    printed = json is not None and str(json) == "-"
    show_bars(not (plain or quiet or printed) and sys.stderr.isatty())
    result = run(options, reporter(plain, quiet or printed))
    put_json(json, result.report.as_dict())
    if not printed:
        _show(result.report, out, quiet)
    if strict and not result.report.matches:
        raise typer.Exit(1)


def _show(report: JoinReport, out: Path, quiet: bool) -> None:
    told = {
        "missing": "labels whose id the corpus does not have",
        "different": "rows with other words than those that were labelled (flag text_differs)",
        "relabelled": "rows with another original label than the published one",
    }
    for name, what in told.items():
        if found := getattr(report, name):
            typer.echo(f"{len(found):,} {what}: {_some(found)}")
    if quiet:
        return
    if report.unlabelled:
        some = _some(report.unlabelled)
        typer.echo(f"{len(report.unlabelled):,} utterances of the corpus without a label: {some}")
    words = f"words of {report.checked:,} compared"
    if not report.checked:
        words = "no words compared, for the labels carry nothing to do it by"
    typer.echo(f"Joined   {report.joined:,} of {report.labels:,} labels, {words}")
    typer.echo(f"Dataset  {out}")


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
