"""`remelt plan RECIPE`: what a build with the same arguments would ask, cost and take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .arguments import melt_options, taking
from .output import put_json
from .parts_arguments import parts_options
from .voice_arguments import voice_options

if TYPE_CHECKING:
    from ..recipes.listening.voices import VoiceOptions
    from ..recipes.options import BuildOptions
    from ..recipes.parts.options import PartOptions
    from ..recipes.plan_notes import Cost
    from ..recipes.planning import BuildPlan

plan_app = typer.Typer(
    help="Tell what a build will ask, cost and take, before anything is asked.", no_args_is_help=True
)
_EXAMPLES = 5

Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write it as JSON; - prints it only.")
]
Show = Annotated[int, typer.Option(min=0, help="Show so many of the prompts.")]
Plain = Annotated[bool, typer.Option("--plain", help="No colours, no lines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no prompts, say only what counts.")]


def register(app: typer.Typer) -> None:
    app.add_typer(plan_app, name="plan")


@plan_app.command("melt")
@taking(melt_options, voice_options, parts_options)
def melt(
    options: BuildOptions,
    voice: VoiceOptions,
    parts: PartOptions | None,
    json_: Json = None,
    show: Show = 3,
    plain: Plain = False,
    quiet: Quiet = False,
) -> None:
    """What `remelt build melt` with these arguments will ask, cost and take.

    Asks nobody, needs no key and changes nothing. An OUT that exists is looked up: rows that were answered
    are not counted again. Exit codes: 0 done, 2 bad use or input.
    """
    from ..recipes.melt import plan
    from .progress import reporter

    options = replace(options, voice=voice, parts=parts)
    show_plan(plan(options, reporter(plain, quiet), show), json_, plain, quiet)


def show_plan(plan: BuildPlan, path: Path | None, plain: bool, quiet: bool) -> None:
    """Shows a recipe's plan, and writes it as JSON where a path is given (`-`: prints that alone).

    Raises:
        InputError: the file cannot be written.
    """
    if not put_json(path, plan.as_dict()):
        _print(plan, plain, quiet)


def _print(plan: BuildPlan, plain: bool, quiet: bool) -> None:
    from rich.console import Console
    from rich.rule import Rule
    from rich.table import Table

    console = Console(no_color=plain, highlight=False, emoji=False, markup=False)
    bare = plain or not console.is_terminal
    lines = [*_lines(plan), *(("Note", note) for note in plan.notes)]
    if bare:
        for name, text in lines:
            console.print(f"{name:<12} {text}", soft_wrap=True)
    else:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in lines:
            table.add_row(name, text)
        console.print(table)
    for number, shown in enumerate(() if quiet else plan.prompts, 1):
        whom = f" (for {', '.join(shown.annotators)})" if shown.annotators else ""
        title = f"Prompt {number} of {len(plan.prompts)}{whom}: {shown.utterance_id}"
        console.print(f"\n--- {title}" if bare else Rule(title, align="left"), soft_wrap=True)
        for message in shown.messages:
            console.print(f"[{message.role}]", style="bold" if not bare else None)
            console.print(message.content, soft_wrap=True)
        if shown.prefill:
            console.print("[assistant begins, where the answer format is prefill]")
            console.print(shown.prefill, soft_wrap=True)


def _lines(plan: BuildPlan) -> Iterator[tuple[str, str]]:
    """The plan as named lines."""
    splits = ", ".join(plan.splits)
    yield (
        "Corpus",
        f"{plan.corpus}: {plan.utterances:,} utterances in {splits}; "
        f"{plan.rows:,} to annotate (profile {plan.profile})",
    )
    if plan.members:
        yield from _members(plan)
        return
    yield "Asks", f"{plan.annotator} ({plan.endpoint})"
    yield "Rows", _rows(plan)
    yield from _token_lines(plan)
    yield from _price_lines(plan)
    yield from _time_lines(plan)
    if plan.context is None:
        yield "Context", "the model's size is not known"
    elif not plan.too_long:
        yield "Context", f"all prompts with their replies fit into {plan.context:,} tokens"
    else:
        shown = ", ".join(plan.too_long[:_EXAMPLES])
        yield "Context", f"{len(plan.too_long):,} do not surely fit into {plan.context:,} tokens: {shown}"


def _members(plan: BuildPlan) -> Iterator[tuple[str, str]]:
    """The plan of several annotators: a few lines for each, and the sum."""
    for number, member in enumerate(plan.members, 1):
        asked = "" if member.annotator == member.model else f"{member.model}, "
        yield f"Annotator {number}", f"{member.annotator} ({asked}{member.endpoint})"
        yield "  Rows", _rows(member)
        for name, text in (*_token_lines(member), *_price_lines(member, spent=False), *_time_lines(member)):
            yield f"  {name}", text
    yield "Together", f"{len(plan.members)} annotators, {_rows(plan)} (each utterance once for each)"
    yield from _token_lines(plan)
    if plan.free:
        yield "Price", "nobody to pay"
    elif plan.price is None:
        yield "Price", "not known of all (see the notes)"
    else:
        yield "Price", f"{_dollars(plan.price)}, each in the way it is asked"
    if plan.spent:
        yield "Spent", f"${plan.spent:,.4f} in {plan.out} so far"
    if plan.duration.seconds is not None:
        yield "Time", f"{_span(plan.duration.seconds)} at least"


def _rows(plan: BuildPlan) -> str:
    rows = f"{plan.rows_now:,} to ask"
    if plan.rows_now != plan.rows_left:
        rows += f" in this run, {plan.rows_left:,} in all"
    rows += f", {plan.answered:,} answered before"
    if plan.repairs:
        rows += f"; {plan.repairs:,} have an unusable answer and are asked again"
    return rows


def _token_lines(plan: BuildPlan) -> Iterator[tuple[str, str]]:
    tokens, rows = plan.tokens, plan.rows_now
    if not tokens.input:
        yield "Tokens", "none"
        return
    each = f", {tokens.input / rows:,.0f} a row" if rows else ""
    if tokens.encoding:
        yield "Tokens in", f"{tokens.input:,} ({tokens.encoding}{each})"
    else:
        yield "Tokens in", f"about {tokens.input:,} (an estimate{each})"
    parts = []
    if tokens.output is not None:
        each = f", {tokens.output / rows:,.0f} a row" if rows else ""
        basis = f"{tokens.output_basis}{each}".strip(", ")
        parts.append(f"about {tokens.output:,}" + (f" ({basis})" if basis else ""))
    elif rows:
        parts.append(f"not known beforehand ({tokens.output_basis})")
    if tokens.output_most is not None:
        parts.append(f"at most {tokens.output_most:,}")
    yield "Tokens out", "; ".join(parts) or "none"


def _price_lines(plan: BuildPlan, spent: bool = True) -> Iterator[tuple[str, str]]:
    if plan.free:
        yield "Price", "nobody to pay"
    elif plan.price is None:
        yield "Price", "not known (see the notes)"
    else:
        yield "List price", _dollars(plan.price)
        if plan.batch_price is None:
            yield "Batch price", "not known"
        else:
            how = "what this annotator pays" if plan.batched else f"--annotator openai-batch/{plan.model}"
            yield "Batch price", f"{_dollars(plan.batch_price)} ({how})"
    if spent and plan.spent:
        yield "Spent", f"${plan.spent:,.4f} in {plan.out} so far"


def _dollars(cost: Cost) -> str:
    parts = []
    if cost.expected is not None:
        parts.append(f"about {_amount(cost.expected)}")
    if cost.most is not None:
        parts.append(f"at most {_amount(cost.most)}")
    return ", ".join(parts) or "no limit known"


def _amount(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 1 else f"${dollars:.4f}"


def _time_lines(plan: BuildPlan) -> Iterator[tuple[str, str]]:
    seconds, reasons = plan.duration.seconds, plan.duration.reasons
    if seconds is None:
        yield "Time", "; ".join(reasons)
    elif reasons:
        yield "Time", f"{_span(seconds)} at least ({'; '.join(reasons)})"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
