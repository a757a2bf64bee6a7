"""`remelt batches OUT`: the batches of a build at the server."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import put_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..batch_log import BatchRecord

_HEAD = ("id", "state", "answered", "failed", "rows", "created")


def register(app: typer.Typer) -> None:
    app.command("batches")(batches)


def batches(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A dataset folder of an openai-batch build.")],
    cancel: Annotated[str, typer.Option(help="End this batch (its id), or `all`.")] = "",
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask the server how they stand.")] = False,
    base_url: Annotated[
        str | None, typer.Option(help="Address of the server, if not as in the build.")
    ] = None,
    json_: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the list as JSON; - prints it only."),
    ] = None,
) -> None:
    """List the batches of a build, or cancel them.

    Works while a build is running, but for --cancel: stop the build first (Ctrl-C leaves the batches
    running), or it would send the rows again. What a cancelled batch has answered is fetched by the next
    build.
    """
    from ..recipes.batches import cancel_batches, list_batches

    if cancel:
        gone = cancel_batches(out, cancel, base_url)
        typer.echo(
            f"{len(gone)} cancelled or given up" if gone else "There is no batch to cancel",
            err=str(json_) == "-",
        )
    records = list_batches(out, refresh, base_url)
    if put_json(json_, [asdict(record) for record in records]):
        return
    if not records:
        typer.echo(f"{out} has no batches")
        return
    for line in _table(records):
        typer.echo(line)


def _table(records: Sequence[BatchRecord]) -> list[str]:
    lines: list[tuple[str, ...]] = [_HEAD]
    for record in records:
        state = record.status if not record.done or record.status == "abandoned" else f"{record.status}, read"
        counts = (f"{n:,}" for n in (record.completed, record.failed, record.rows))
        lines.append((record.id or record.mark, state, *counts, record.created))
    widths = [max(len(line[n]) for line in lines) for n in range(len(_HEAD))]
    details = ["", *(f"  {record.detail}" if record.detail else "" for record in records)]
    shown = []
    for line, detail in zip(lines, details, strict=True):
        cells = [
            cell.rjust(width) if 2 <= n <= 4 else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        shown.append("  ".join(cells).rstrip() + detail)
    return shown
