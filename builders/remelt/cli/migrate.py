"""`remelt migrate OUT --annotator NEW`: what another model would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, bad_value
from .build import run_build
from .output import console, put_json

if TYPE_CHECKING:
    from rich.table import Table

    from ..annotators import AnnotatorOptions
    from ..recipes.migrate import MigrateOptions, Migration
    from ..recipes.migrating.compare import Nearer

_STRATA = 12


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("migrate")(migrate)


def migrate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A dataset folder made by remelt.")],
    annotator: Annotated[str, typer.Option(help="The new annotator, such as openai/MODEL.")],
    sample: Annotated[int, typer.Option(min=1, help="Rows to ask about.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the sample and the intervals.")] = 0,
    splits: Annotated[str, typer.Option(help="Splits to draw from, with commas; default: all.")] = "",
    of: Annotated[
        str, typer.Option(metavar="NAME", help="The annotator to compare with; default: the first model.")
    ] = "",
    prompt: Annotated[
        str, typer.Option(help="Another prompt; default: the messages as they were sent.")
    ] = "",
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="Instead of the dataset's temperature.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Instead of the dataset's tokens of a reply at most.")
    ] = None,
    reasoning_effort: Annotated[
        str, typer.Option(metavar="TEXT", help="How hard a reasoning model thinks: minimal, low, ...")
    ] = "",
    base_url: Annotated[
        list[str] | None,
        typer.Option(help="Address of an OpenAI-compatible server; several times for equal servers."),
    ] = None,
    answer_format: Annotated[
        str, typer.Option(help="auto, json_schema, json_object, grammar, prefill or prompt.")
    ] = "auto",
    budget: Annotated[
        float | None,
        typer.Option(metavar="USD", help="US dollars that all replies of this migration may cost (3)."),
    ] = None,
    max_rows: Annotated[
        int | None, typer.Option(min=0, help="Ask about at most N rows in this run (3).")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Prices of models (YAML, TOML) before ours.")
    ] = None,
    rpm: Annotated[float | None, typer.Option(metavar="N", help="Requests a minute at most.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests in flight at most.")] = 8,
    retries: Annotated[
        int | None, typer.Option(min=0, help="Repair turns; default: as the dataset had.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for one reply.")] = 120.0,
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap samples for 95 % intervals.")] = 2000,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Journal and results; default: OUT/.remelt/migrate/NEW."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the numbers as JSON; - prints them only.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what needs attention.")] = False,
) -> None:
    """Ask another model about a sample of a dataset: how far the two agree, and what it would cost.

    The messages are sent as they were, from the dataset itself; no corpus is needed and nothing in OUT's
    data changes. The same command goes on after an interruption.
    Exit codes: 0 done, 2 bad use or input, 3 interrupted and resumable.
    """
    from ..recipes import migrate as recipe

    options = _options(dict(locals()))
    found = run_build(lambda reporter: recipe.migrate(out, options, reporter), plain, quiet)
    if not put_json(json, found.as_dict()) and not quiet:
        _show(found, plain)


def _options(given: dict[str, Any]) -> MigrateOptions:
    from ..engine import EngineOptions
    from ..publishing import read_manifest
    from ..recipes.migrate import MigrateOptions

    retries = given["retries"]
    if retries is None:
        known = read_manifest(given["out"])["options"].get("retries")
        retries = known if isinstance(known, int) else EngineOptions().retries
    parameters = {name: given[name] for name in ("temperature", "max_tokens") if given[name] is not None}
    if given["reasoning_effort"]:
        parameters["reasoning_effort"] = given["reasoning_effort"]
    splits = tuple(part.strip() for part in given["splits"].split(",") if part.strip())
    return MigrateOptions(
        annotator=given["annotator"],
        sample=given["sample"],
        seed=given["seed"],
        splits=splits or None,
        of=given["of"] or None,
        prompt=given["prompt"] or None,
        parameters=parameters,
        to=given["to"],
        engine=EngineOptions(
            concurrency=given["concurrency"],
            retries=retries,
            requests_per_minute=given["rpm"],
            budget=given["budget"],
            max_rows=given["max_rows"],
        ),
        connection=_connection(given),
        resamples=given["resamples"],
    )


def _connection(given: dict[str, Any]) -> AnnotatorOptions:
    from ..annotators import AnnotatorOptions
    from ..annotators.base import ANSWER_FORMATS

    known: dict[str, Any] = {form: form for form in ANSWER_FORMATS}
    if given["answer_format"] not in known:
        raise InputError(bad_value("answer format", given["answer_format"], ANSWER_FORMATS))
    if given["base_url"] and not given["annotator"].startswith("openai"):
        raise InputError(f"--base-url has no effect on {given['annotator']!r}; it is for openai")
    first, *more = given["base_url"] or [None]
    return AnnotatorOptions(
        base_url=first,
        more_urls=tuple(more),
        timeout=given["timeout"],
        answer_format=known[given["answer_format"]],
        concurrency=given["concurrency"],
        seed=given["seed"],
        prices=given["prices"],
    )


# -- what was found -----------------------------------------------------------------------------------


def _show(found: Migration, plain: bool) -> None:
    screen = console(plain)
    for name, text in _lines(found):
        screen.print(f"{name:<9}{text}", soft_wrap=True)
    for table in _tables(found, plain):
        screen.print(table)
    for note in found.notes:
        screen.print(f"• {note}", soft_wrap=True)
    screen.print(f"Files    {found.folder}: migration.json, change_matrix.csv, rows.csv", soft_wrap=True)


def _lines(found: Migration) -> Iterator[tuple[str, str]]:
    counts, spent, projection = found.counts, found.spent, found.projection
    for name, side in (("Old", found.old), ("New", found.new)):
        when = "" if side.first is None or side.last is None else f", asked {_days(side.first, side.last)}"
        retires = f", switched off on {side.retires}" if side.retires else ""
        yield name, f"{side.name} ({side.endpoint}){when}{retires}"
    bad = ", ".join(f"{counts[name]:,} {name}" for name in ("invalid", "refused", "error") if counts[name])
    yield (
        "Sample",
        f"{counts['asked']:,} of {found.sample.population:,} rows, seed {found.seed}: "
        f"{counts['valid']:,} with a usable answer{f', {bad}' if bad else ''}",
    )
    tokens = "tokens not counted"
    if spent.input_tokens is not None:
        tokens = f"{spent.input_tokens:,} tokens in, {spent.output_tokens or 0:,} out"
    cost = "nobody to pay" if projection.free else "no price known (--prices)"
    if spent.cost is not None and not projection.free:
        cost = f"${spent.cost:,.4f}"
    slow = ", ".join(f"{name} {seconds:.3g} s" for name, seconds in spent.latency.items())
    yield "Took", f"{spent.replies:,} replies, {tokens}, {cost}{f'; a reply {slow}' if slow else ''}"
    yield "All", _all(found)


def _all(found: Migration) -> str:
    projection = found.projection
    parts = [f"all {projection.rows:,} rows"]
    if projection.input_tokens is not None:
        parts.append(f"about {projection.input_tokens:,} tokens in, {projection.output_tokens or 0:,} out")
    if projection.free:
        parts.append("nobody to pay")
    else:
        for name, dollars in (("list", projection.list_price), ("batch", projection.batch_price)):
            parts.append(f"{name} price " + ("not known" if dollars is None else f"about ${dollars:,.2f}"))
    if projection.seconds is not None:
        parts.append(f"about {_span(projection.seconds)} with {projection.concurrency} at a time")
    return "; ".join(parts)


def _days(first: str, last: str) -> str:
    return " to ".join(dict.fromkeys((first[:10], last[:10])))


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _tables(found: Migration, plain: bool) -> Iterator[Table]:
    def make(title: str, first: str, *others: str) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        style = None if plain else box.SIMPLE_HEAD
        table = Table(title=Text(title), title_justify="left", box=style, pad_edge=False)
        table.add_column(Text(first), no_wrap=True)
        for name in others:
            table.add_column(Text(name), justify="right", no_wrap=True)
        return table

    yield _allocation(found, make)
    yield _agreement(found, make)
    yield _labels(found, make)
    yield _matrix(found, make)
    for name, nearer in found.comparison.references.items():
        yield _against(name, nearer, make)
    if found.comparison.fields:
        table = make("Other fields", "field", "same", "kappa")
        for field in found.comparison.fields:
            table.add_row(field.name, _rate(field.same), _number(field.kappa))
        yield table


def _allocation(found: Migration, make: Callable[..., Table]) -> Table:
    strata = found.sample.strata
    more = f" ({_STRATA} of {len(strata)})" if len(strata) > _STRATA else ""
    table = make(f"Sample{more}", "split", "published label", "rows", "asked")
    for one in sorted(strata, key=lambda s: -s.rows)[:_STRATA]:
        table.add_row(one.split, one.label, f"{one.rows:,}", f"{one.drawn:,}")
    return table


def _agreement(found: Migration, make: Callable[..., Table]) -> Table:
    score, whole = found.comparison.score, found.comparison.whole
    table = make("Agreement of old and new", "", f"sample ({score.rows:,} rows)", "95 %", "all rows", "95 %")
    for name, title in (("accuracy", "same label"), ("kappa", "kappa"), ("uar", "UAR"), ("f1", "macro-F1")):
        mine = getattr(score, name)
        theirs = (whole or {}).get(name)
        cells = ("–", "–") if theirs is None else (_number(theirs.value), _between(theirs))
        table.add_row(title, _number(mine.value), _between(mine), *cells)
    return table


def _labels(found: Migration, make: Callable[..., Table]) -> Table:
    table = make("Per label", "label", "old", "new", "kept of the old", "specific", "else mostly")
    for one in found.comparison.each:
        other = f"{one.goes_to[0]} ({one.goes_to[1]:,})" if one.goes_to else "–"
        table.add_row(
            one.label, f"{one.old:,}", f"{one.new:,}", _rate(one.kept), _number(one.specific), other
        )
    return table


def _matrix(found: Migration, make: Callable[..., Table]) -> Table:
    matrix = found.comparison.matrix
    table = make("Old label (down) to new (across)", "", *matrix.labels)
    for label, counts in zip(matrix.labels, matrix.counts.tolist(), strict=True):
        table.add_row(label, *(f"{count:,}" for count in counts))
    return table


def _against(name: str, nearer: Nearer, make: Callable[..., Table]) -> Table:
    told = "" if nearer.p is None else f" (p = {nearer.p:.2g})"
    table = make(
        f"Against the {name} labels, {nearer.old.rows:,} rows",
        *("", "same label", "95 %", "kappa", "95 %", "UAR", "macro-F1", f"right alone{told}"),
    )
    for side, score, alone in (("old", nearer.old, nearer.only_old), ("new", nearer.new, nearer.only_new)):
        table.add_row(
            side,
            _number(score.accuracy.value),
            _between(score.accuracy),
            _number(score.kappa.value),
            _between(score.kappa),
            _number(score.uar.value),
            _number(score.f1.value),
            f"{alone:,}",
        )
    return table


def _rate(rate: Any) -> str:
    return "–" if rate.rate is None else f"{100 * rate.rate:.1f} % ({rate.count:,} of {rate.total:,})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _between(value: Any) -> str:
    return "" if value.low is None else f"{value.low:.3f} to {value.high:.3f}"
