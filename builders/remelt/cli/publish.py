"""`remelt publish`: a dataset to the Hugging Face Hub."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, Interrupted
from .output import check_json, console, put_json, show_bars

if TYPE_CHECKING:
    from rich.table import Table

    from ..recipes.hub.publish import Published, PublishPlan

_MOST_ROWS = 40
_WIDEST = 120
_HUB = "https://huggingface.co"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("publish")(publish)


def publish(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The dataset folder.")],
    repo: Annotated[str, typer.Argument(metavar="USER/NAME", help="The dataset's name at the Hub.")],
    private: Annotated[
        bool | None,
        typer.Option("--private/--public", help="Who sees it. Default: as it is; a new one is public."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Publish to this branch; made where there is none.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option(metavar="NAME", help="Give this version a name that stays, such as v1.0.")
    ] = None,
    labels_only: Annotated[
        bool | None,
        typer.Option(
            "--labels-only/--full",
            help="Publish labels and ids only, or everything. Default: what the corpus's licence allows.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite a repository that holds something else, all of it.")
    ] = False,
    message: Annotated[str, typer.Option(help="The commit's message. Default: what it is.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and compare, and send nothing; needs no token.")
    ] = False,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Another Hub. Default: HF_ENDPOINT, or huggingface.co.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal.")] = False,
    json: Annotated[
        Path | None, typer.Option(help="Also write what was done to this file; - prints it alone.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No colours or moving bars.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what must be known.")] = False,
) -> None:
    """Publish a dataset folder at the Hugging Face Hub, as one commit.

    The token comes from the variable HF_TOKEN or from `hf auth login`. An interrupted upload goes on where it
    was: run the same command again.
    """
    from ..recipes.hub.publish import PublishOptions, publish_to_hub
    from .progress import reporter

    options = PublishOptions(private, revision, tag, message, labels_only, replace, dry_run, endpoint)
    alone = str(json) == "-"
    check_json(json)
    show_bars(not (plain or quiet or alone) and sys.stderr.isatty())
    told, approve = reporter(plain, quiet or alone), _approve(plain, quiet or alone, yes)
    try:
        found = publish_to_hub(out, repo, options, told, approve)
    except KeyboardInterrupt:
        raise Interrupted("stopped; run the same command again, it goes on where it stopped") from None
    if put_json(json, found.as_dict()):
        return
    if dry_run:
        _show(found.plan, plain)
        typer.echo("Dry run: nothing was sent.")
    elif not found.commit:
        raise InputError("Nothing was published")
    else:
        _done(found)


def _approve(plain: bool, quiet: bool, yes: bool) -> Callable[[PublishPlan], bool]:
    """Shows the plan; asks where somebody sits at a terminal, and nowhere else."""

    def approve(plan: PublishPlan) -> bool:
        if not quiet:
            _show(plan, plain)
        elif plan.warnings:
            print("\n".join(f"note: {warning}" for warning in plan.warnings), file=sys.stderr)
        changes = any(change.change != "same" for change in plan.changes)
        if yes or quiet or not changes or not _somebody_there():
            return True
        return typer.confirm(f"Publish to {plan.url}?")

    return approve


def _somebody_there() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _show(plan: PublishPlan, plain: bool) -> None:
    """What will be uploaded, and what the licence says."""
    from ..audit.names import clean

    out = console(plain)
    say = partial(out.print, soft_wrap=True)
    out.print(_table(plan, plain))
    there = {None: "not compared", True: f"version {plan.base[:12]}", False: "not there yet"}[plan.exists]
    seen = {None: "as the account has it", True: "private", False: "public"}[plan.private]
    say(f"To       {plan.url} ({there}; branch {plan.branch}; {seen})")
    what = "labels and ids only" if plan.guarded.labels_only else "everything"
    say(f"Content  {what}; the licence allows {plan.guarded.sharing.describe}")
    say(f"Files    {_counts(plan)}; {_size(plan.sent)} to send")
    if plan.left_here:
        shown = ", ".join(clean(name, _WIDEST) for name in plan.left_here[:5]) + (
            ", ..." if len(plan.left_here) > 5 else ""
        )
        say(f"Stays    {shown} (not in the manifest)")
    for warning in plan.warnings:
        say(f"note: {warning}", style=None if plain else "yellow")


def _counts(plan: PublishPlan) -> str:
    if plan.exists is None:
        return f"{len(plan.changes)}"
    told = {"new": "new", "changed": "changed", "same": "the same", "deleted": "to be deleted there"}
    counts = {words: sum(c.change == kind for c in plan.changes) for kind, words in told.items()}
    return ", ".join(f"{count} {words}" for words, count in counts.items() if count)


def _table(plan: PublishPlan, plain: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ..audit.names import clean

    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("File")
    table.add_column("Size", justify="right", no_wrap=True)
    table.add_column("At the Hub", no_wrap=True)
    for name, size, change in _rows(plan):
        table.add_row(
            Text(clean(name, _WIDEST)), _size(size), change if plan.exists is not None else "not compared"
        )
    return table


def _rows(plan: PublishPlan) -> list[tuple[str, int, str]]:
    """A row for each file; those of the audit, and of a large folder, together."""
    rows = []
    for (folder, change), group in groupby(
        sorted(plan.changes, key=lambda c: (c.path.rpartition("/")[0], c.change, c.path)),
        key=lambda c: (c.path.rpartition("/")[0], c.change),
    ):
        files = list(group)
        if (folder == "audit" and len(files) > 1) or len(files) > _MOST_ROWS:
            rows.append((f"{folder}/ ({len(files)} files)", sum(f.size for f in files), change))
        else:
            rows += [(file.path, file.size, change) for file in files]
    return rows


def _done(found: Published) -> None:
    from ..recipes.hub.publish import load_lines

    plan = found.plan
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    if found.new_commit:
        typer.echo(f"Published {found.commit_url}")
    else:
        typer.echo(f"{plan.url} has exactly this already (commit {found.commit}); no new commit was made")
    if found.tag:
        typer.echo(f"Its tag: {found.tag}")
    typer.echo("Load it:")
    endpoint = plan.url.removesuffix(f"/datasets/{plan.repo}")
    if endpoint != _HUB:
        typer.echo(f"  (with HF_ENDPOINT={endpoint})")
    for line in load_lines(plan, found.commit):
        typer.echo(f"  {line}")


def _size(size: int) -> str:
    if size < 1_000_000:
        return f"{size / 1e3:,.1f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 10**9 else f"{size / 1e9:,.2f} GB"
