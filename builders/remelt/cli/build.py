"""`remelt build RECIPE`: from corpus to audited dataset; `remelt rebuild`: again from published replies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, Interrupted, bad_value

if TYPE_CHECKING:
    from ..recipes.finishing import BuildResult
    from ..recipes.melt import MeltOptions

build_app = typer.Typer(help="Relabel a corpus with one of the published recipes.", no_args_is_help=True)

Plain = Annotated[bool, typer.Option("--plain", help="Plain log lines instead of a live display.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what needs attention.")]


def register(app: typer.Typer) -> None:
    app.add_typer(build_app, name="build")
    app.command("rebuild")(rebuild)


@build_app.command("melt")
def melt(
    corpus: Annotated[str, typer.Option(help="Corpus folder or table file; `sample` is the bundled one.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make, or to go on with.")],
    annotator: Annotated[
        str,
        typer.Option(
            help="openai/MODEL, local/smollm2, local/PATH.gguf, local/HUB_ID, mock, "
            "replay:FILE_OR_DATASET or replay:train=FILE,test=FILE."
        ),
    ],
    splits: Annotated[
        str, typer.Option(help="Splits to build, with commas; default: all but MELD's dev.")
    ] = "",
    profile: Annotated[
        str,
        typer.Option(
            help="melt-release, melt-paper, clean, sample, or a file; default: clean (sample for the sample)."
        ),
    ] = "",
    keep_speaker: Annotated[
        list[str] | None, typer.Option(help="Keep this speaker whatever the rule says.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="Prompt name (see `remelt prompts`) or .md file.")] = "",
    turns: Annotated[
        int | None, typer.Option(min=0, help="Previous turns shown by a prompt with context.")
    ] = None,
    labels: Annotated[
        str, typer.Option(help="Labels to choose from, with commas; default: MELT's seven.")
    ] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Annotate at most N utterances.")] = None,
    name: Annotated[str, typer.Option(help="A reader (see `remelt corpora`), or a name for a table.")] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="COLUMN=FIELD, for tables; may be given several times.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file for tables (YAML, TOML).")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    answer_format: Annotated[
        str, typer.Option(help="auto, json_schema, json_object, prefill or prompt.")
    ] = "auto",
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="Sampling temperature (MELT: 1.0).")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed; mixed with each utterance's id.")] = 0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a reply at most.")] = 512,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests in flight at most.")] = 8,
    retries: Annotated[int, typer.Option(min=0, help="How often an unusable answer is asked again.")] = 2,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for one reply.")] = 120.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of a local model.")] = 1,
    slots: Annotated[int | None, typer.Option(min=1, help="Requests a local model works on at once.")] = None,
    context: Annotated[int, typer.Option(min=256, help="Tokens of context of a local model.")] = 2048,
    max_invalid: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Exit with 1 above so many quarantined rows: a share below 1, else a count."
        ),
    ] = None,
    plain: Plain = False,
    quiet: Quiet = False,
) -> None:
    """MELT (Jing et al. 2025): emotion labels and voice descriptions from text.

    The same command goes on after an interruption; nothing that was answered is asked again.
    Exit codes: 0 done, 1 too many quarantined rows, 2 bad use or input, 3 interrupted and resumable.
    """
    from ..annotators import AnnotatorOptions
    from ..annotators.base import ANSWER_FORMATS
    from ..corpora import from_options
    from ..engine import EngineOptions
    from ..recipes.melt import MeltOptions

    known: dict[str, Any] = {name: name for name in ANSWER_FORMATS}
    if answer_format not in known:
        raise InputError(bad_value("answer format", answer_format, ANSWER_FORMATS))
    wanted = _list(splits)
    options = MeltOptions(
        corpus=corpus,
        out=out,
        annotator=annotator,
        corpus_name=name or None,
        mapping=from_options(column or [], mapping, name or None),
        splits=wanted or None,
        profile=profile or None,
        keep_speakers=tuple(keep_speaker or ()),
        prompt=prompt or None,
        turns=turns,
        labels=_list(labels) or None,
        limit=limit,
        temperature=temperature,
        seed=seed,
        max_tokens=max_tokens,
        engine=EngineOptions(concurrency=concurrency, retries=retries),
        connection=AnnotatorOptions(
            base_url=base_url,
            timeout=timeout,
            answer_format=known[answer_format],
            concurrency=concurrency,
            seed=seed,
            threads=threads,
            slots=slots,
            context=context,
        ),
    )
    result = _run(options, plain, quiet)
    if not quiet:
        summary(result)
    if max_invalid is not None:
        _check_quarantine(result, max_invalid)


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
    print_summary(result.findings, console)
    lines = [
        "",
        f"Dataset  {result.out}: {result.rows:,} rows, {result.quarantined:,} quarantined",
        f"Report   {result.out / 'audit' / 'report.html'}",
        f"Load     from datasets import load_dataset; load_dataset({str(result.out)!r})",
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


def _run(options: MeltOptions, plain: bool, quiet: bool) -> BuildResult:
    from ..recipes.melt import build
    from .progress import reporter

    try:
        return build(options, reporter(plain, quiet))
    except Interrupted as error:
        raise Interrupted(f"{error}. Everything answered is kept; the same command goes on.") from error
    except KeyboardInterrupt:
        raise Interrupted("stopped. Everything answered is kept; the same command goes on.") from None


def _check_quarantine(result: BuildResult, most: float) -> None:
    asked = result.rows + result.quarantined
    allowed = most * asked if most < 1 else most
    if result.quarantined > allowed:
        typer.echo(
            f"{result.quarantined:,} of {asked:,} rows are quarantined, more than --max-invalid {most:g}",
            err=True,
        )
        raise typer.Exit(1)


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
