"""`remelt verify`: checks a dataset folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("verify")(verify)


def verify(out: Annotated[Path, typer.Argument(metavar="OUT", help="The dataset folder.")]) -> None:
    """Check a dataset folder: hashes, counts, schemas, labels, replies and card; nothing is changed."""
    from ..publishing import find_problems, read_manifest

    problems = find_problems(out)
    for problem in problems:
        typer.echo(str(problem))
    if problems:
        typer.echo(f"{out}: {len(problems)} problem{'s' if len(problems) != 1 else ''} found", err=True)
        raise typer.Exit(2)
    manifest = read_manifest(out)
    rows = sum(entry["rows"] or 0 for entry in manifest["files"].values())
    typer.echo(f"{out}: no problem found in {len(manifest['files'])} files with {rows:,} rows")
