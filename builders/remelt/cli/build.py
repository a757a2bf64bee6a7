"""`remelt build RECIPE`: from corpus to audited dataset; `remelt rebuild`: again from published replies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ..errors import Interrupted
from .arguments import melt_options, taking
from .parts_arguments import parts_options
from .voice_arguments import voice_options

if TYPE_CHECKING:
    from ..recipes.finishing import BuildResult
    from ..recipes.listening.voices import VoiceOptions
    from ..recipes.options import BuildOptions
    from ..recipes.parts.options import PartOptions
    from ..recipes.reporting import Reporter

Made = TypeVar("Made")
build_app = typer.Typer(help="Relabel a corpus with one of the published recipes.", no_args_is_help=True)

Plain = Annotated[bool, typer.Option("--plain", help="Plain log lines instead of a live display.")]
MaxInvalid = Annotated[
    float | None,
    typer.Option(min=0.0, help="Exit with 1 above so many quarantined rows: a share below 1, else a count."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what needs attention.")]


def register(app: typer.Typer) -> None:
    app.add_typer(build_app, name="build")
    app.command("rebuild")(rebuild)


@build_app.command("melt")
@taking(melt_options, voice_options, parts_options)
def melt(
    options: BuildOptions,
    voice: VoiceOptions,
    parts: PartOptions | None,
    max_invalid: MaxInvalid = None,
    plain: Plain = False,
    quiet: Quiet = False,
) -> None:
    """MELT (Jing et al. 2025): emotion labels and voice descriptions from text.

    With several --annotator, or a --panel FILE, their votes become one label (docs/panel.md).
    The same command goes on after an interruption; nothing that was answered is asked again. `remelt plan
    melt` with the same arguments tells beforehand what it will ask and cost.
    Exit codes: 0 done, 1 too many quarantined rows, 2 bad use or input, 3 interrupted and resumable.
    """
    from ..recipes.melt import build

    options = replace(options, voice=voice, parts=parts)
    result = run_build(lambda reporter: build(options, reporter), plain, quiet)
    conclude(result, quiet, max_invalid)


def rebuild(
    source: Annotated[Path, typer.Argument(metavar="OUT", help="A dataset folder made by remelt.")],
    out: Annotated[Path, typer.Option(help="Where to write the dataset again.")],
    plain: Plain = False,
    quiet: Quiet = False,
) -> None:
    """Make a dataset again from its own replies: no model, no key, no network, byte-identical Parquet."""
    from ..recipes.rebuild import rebuild as run
    from .progress import reporter

    result = run(source, out, reporter(plain, quiet))
    if not quiet:
        summary(result)


def summary(result: BuildResult) -> None:
    """What was made, how to load it, and what to do next."""
    from rich.console import Console

    from ..audit import print_summary

    console = Console()
    # A file or pipe has no width; 80 columns would leave numbers out.
    print_summary(result.findings, console if console.is_terminal else Console(width=160))
    lines = [
        "",
        *_run_lines(result),
        f"Dataset  {result.out}: {result.rows:,} rows, {result.quarantined:,} quarantined",
        f"Report   {result.out / 'audit' / 'report.html'}",
        f"Load     from datasets import load_dataset; load_dataset({str(result.out)!r})"
        if result.rows
        else "Load     no row was kept, so there is nothing to load; `dropped` has the reasons",
        f"Replies  load_dataset({str(result.out)!r}, 'annotations')",
        f"Next     remelt audit {result.out}",
        f"         remelt verify {result.out}",
        f"         remelt rebuild {result.out} --out OUT2",
    ]
    caveat = result.manifest["annotator"].get("caveat")
    if caveat:
        lines.insert(1, f"Note     {caveat}")
    for text in lines:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _run_lines(result: BuildResult) -> list[str]:
    """What this run asked, and what all replies of the dataset have cost."""
    stats, total, members = result.stats, result.manifest["replies"], result.manifest.get("annotators")
    annotator = f"{len(members)} annotators" if members else result.manifest["annotator"]["name"]
    lines = list(_member_lines(members)) if members else []
    if stats.asked:
        lines.append(
            f"Asked    {annotator}: {stats.asked:,} requests, {stats.rows_per_second:,.1f} rows/s, "
            f"{stats.input_tokens:,} tokens in and {stats.output_tokens:,} out"
        )
    if total["cost"]:
        lines.append(f"Cost     {annotator}: ${stats.cost:,.4f} in this run, ${total['cost']:,.4f} in all")
    elif total["cost"] is None and total["input_tokens"]:
        lines.append(f"Cost     {annotator}: no price known (see remelt plan, --prices)")
    return lines


def _member_lines(members: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How far each of several annotators came, and what the run that asked it last has cost."""
    for member in members:
        run = member.get("run")
        text = f"{member['kind']}, {member['model']}"
        if run:
            text += f"; {run['valid']:,} of {run['rows']:,} rows valid"
            if run["cost"]:
                text += f", ${run['cost']:,.4f}"
        if member.get("missing"):
            text += f"; did not finish: {member['missing']}"
        yield f"Member   {member['name']}: {text}"


def run_build(build: Callable[[Reporter], Made], plain: bool, quiet: bool) -> Made:
    """Runs a recipe's build with the display that fits; one that is interrupted says how to go on.

    Raises:
        Interrupted: stopped before the end.
    """
    from .progress import reporter

    kept = "Everything answered is kept"
    try:
        return build(reporter(plain, quiet))
    except Interrupted as error:
        text = str(error)
        # The engine says itself how to go on where the same command would stop again.
        raise Interrupted(
            f"{text}. {kept}." if "goes on" in text else f"{text}. {kept}; the same command goes on."
        ) from error
    except KeyboardInterrupt:
        raise Interrupted(f"stopped. {kept}; the same command goes on.") from None


def conclude(result: BuildResult, quiet: bool, max_invalid: float | None) -> None:
    """Says what a build has made, and ends with 1 where too many rows are quarantined."""
    if not quiet:
        summary(result)
    if max_invalid is not None:
        _check_quarantine(result, max_invalid)


def _check_quarantine(result: BuildResult, most: float) -> None:
    asked = result.rows + result.quarantined
    allowed = most * asked if most < 1 else most
    if result.quarantined > allowed:
        typer.echo(
            f"{result.quarantined:,} of {asked:,} rows are quarantined, more than --max-invalid {most:g}",
            err=True,
        )
        raise typer.Exit(1)
