"""`remelt export-annotations`: utterances for people to label, in the format of their tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("export-annotations")(export_annotations)


def export_annotations(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The dataset folder.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")],
    form: Annotated[
        str,
        typer.Option("--format", help="csv, jsonl, label-studio or argilla; default: from FILE's ending."),
    ] = "",
    split: Annotated[list[str] | None, typer.Option(help="Only this split; several times.")] = None,
    only: Annotated[
        str,
        typer.Option(help="all, disagreement (the annotators differ) or unresolved (no label came about)."),
    ] = "all",
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most N utterances, drawn from --seed, in corpus order.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    blind: Annotated[bool, typer.Option("--blind", help="Without the labels that there are.")] = False,
    turns: Annotated[int, typer.Option(min=0, help="Previous turns shown.")] = 5,
    audio: Annotated[
        str,
        typer.Option(
            metavar="PREFIX",
            help="Show the clips, found at PREFIX and the clip's path (Label Studio: an address, such as "
            "/data/local-files/?d=meld/).",
        ),
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Write FILE, and the one beside it, anew where they exist.")
    ] = False,
) -> None:
    """Write utterances for people to label; `remelt add-annotations` reads the labelled file back."""
    from ..recipes.exchange.exporting import ExportOptions
    from ..recipes.exchange.exporting import export_annotations as run

    options = ExportOptions(
        form=form or None,
        splits=tuple(split or ()),
        only=only,
        limit=limit,
        seed=seed,
        blind=blind,
        turns=turns,
        audio=audio or None,
        replace=force,
    )
    result = run(out, to, options)
    typer.echo(f"{result.items:,} utterances written to {', '.join(map(str, result.paths))}")
