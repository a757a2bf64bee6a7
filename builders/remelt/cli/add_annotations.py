"""`remelt add-annotations`: labels that people or models gave elsewhere, into a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, Interrupted, bad_value
from .arguments import taking, vote_options

if TYPE_CHECKING:
    from ..recipes.finishing import BuildResult


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("add-annotations")(add_annotations)


@taking(vote_options())
def add_annotations(
    resolution: Any,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The dataset folder.")],
    file: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A table (CSV, TSV, JSONL, Parquet), a Label Studio or Argilla export, or a remelt dataset.",
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option("--format", help="table, remelt, label-studio or argilla; default: what the file is."),
    ] = "",
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Name of the annotator, or THEIRS=NAME for one of several; several times."
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            help="human or model: what a table's annotators are (human); of files that say it, those to take."
        ),
    ] = "",
    label_column: Annotated[
        list[str] | None,
        typer.Option(help="Column or question with the label; several: one annotator in each."),
    ] = None,
    id_column: Annotated[str, typer.Option(help="Column or field with the utterance's id.")] = "",
    split: Annotated[str, typer.Option(help="The split of rows that name none.")] = "",
    each: Annotated[
        bool, typer.Option("--each", help="Of a remelt dataset: each annotator, not the resolved labels.")
    ] = False,
    labels_of: Annotated[
        str, typer.Option(metavar="CORPUS", help="The labels are in this corpus's own names.")
    ] = "",
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Keep labels off the list as invalid votes.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of what was added under the same name.")
    ] = False,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Take an added annotator out; several times.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="OUT2", help="Write to another folder; OUT stays as it is."),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Plain log lines, no live display.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what needs attention.")] = False,
) -> None:
    """Add labels given elsewhere as votes, and publish the dataset again; nobody is asked anything.

    Without --vote the dataset's own rule holds; a dataset of one annotator keeps its labels, and the added
    ones count where that one has none. Alone, --vote decides anew.
    Exit codes: 0 done, 2 bad use or input, 3 the disk is full.
    """
    from ..recipes.exchange.adding import AddOptions
    from ..recipes.exchange.adding import add_annotations as run
    from .progress import reporter

    if kind and kind not in ("human", "model"):
        raise InputError(bad_value("kind", kind, ["human", "model"]))
    if file is None and not remove and resolution is None:
        raise InputError("Nothing to do: give --from FILE, --remove NAME or --vote RULE")
    if file is None and (form or source or kind or label_column or id_column or split or each or replace):
        raise InputError("Nothing is read: give --from FILE")
    options = AddOptions(
        file=file,
        form=form or None,
        sources=tuple(source or ()),
        kind="human" if kind == "human" else "model" if kind == "model" else None,
        label_columns=tuple(label_column or ()),
        id_column=id_column or None,
        split=split or None,
        each=each,
        labels_of=labels_of or None,
        skip_unknown=skip_unknown,
        replace=replace,
        remove=tuple(remove or ()),
        resolution=resolution,
        to=to,
    )
    try:
        result = run(out, options, reporter(plain, quiet))
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {out} is as it was, and the same command does it again.") from None
    if not quiet:
        _show(result)


def _show(result: BuildResult) -> None:
    """Who votes, how, and where the labels come from now."""
    manifest = result.manifest
    lines = []
    for member in manifest.get("annotators", ()):
        replies = member.get("replies") or {}
        lines.append(f"{member['name']} ({member['kind']}): {replies.get('valid', 0):,} votes")
    rule = (manifest.get("resolution") or {}).get("rule")
    lines.append(f"Rule     {rule}" if rule else "Rule     none: one annotator")
    lines.append(f"Dataset  {result.out}: {result.rows:,} rows, {result.quarantined:,} quarantined")
    unresolved = sum(int(counts.get("unresolved") or 0) for counts in manifest["counts"].values())
    if unresolved:
        lines.append(f"         {unresolved:,} utterances without a decision (see the config dropped)")
    lines.append(f"Report   {result.out / 'audit' / 'report.html'}")
    for line in lines:
        typer.echo(line)
