"""`remelt audit`: what a relabelling changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("audit")(audit)


def audit(
    out: Annotated[Path, typer.Argument(help="A dataset folder, or a Parquet, CSV, TSV or JSONL file.")],
    before: Annotated[
        str | None, typer.Option(help="Column with the label before (default: original_label).")
    ] = None,
    after: Annotated[str | None, typer.Option(help="Column with the label after (default: label).")] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Another dataset, joined by id: OUT's label is before, its own after."),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Where the files go (default: OUT/audit).")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write findings.json here as well; - prints it only.")
    ] = None,
    figures: Annotated[bool, typer.Option(help="Draw SVG and PNG figures.")] = True,
    audio: Annotated[bool, typer.Option(help="Embed clips in the report, up to 20 MB.")] = True,
) -> None:
    """Compare labels before and after: change matrix, agreement, groups, figures and a report."""
    from dataclasses import replace

    from rich.console import Console

    from ..audit import AuditOptions, print_findings
    from ..errors import InputError
    from ..recipes.finishing import audit_dataset

    options = AuditOptions(before=before, after=after, against=against, to=to, figures=figures)
    findings = audit_dataset(out, options if audio else replace(options, audio_bytes=0))
    if json is not None and str(json) == "-":
        typer.echo((findings.folder / "findings.json").read_text(encoding="utf-8"), nl=False)
        return
    if json is not None:
        try:
            json.write_bytes((findings.folder / "findings.json").read_bytes())
        except OSError as error:
            raise InputError(f"The findings cannot be written to {json}: {error.strerror or error}") from None
    console = Console()
    # A file or pipe has no width; 80 columns would leave numbers out.
    print_findings(findings, console if console.is_terminal else Console(width=160))
