"""`remelt transcribe`: what is said in a corpus's clips, by a speech recogniser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import Interrupted
from .arguments import taking
from .parts_arguments import ray_options

if TYPE_CHECKING:
    from ..recipes.listening.transcribe import TranscribeOptions, TranscribeResult
    from ..recipes.parts.options import PartOptions


def register(app: typer.Typer) -> None:
    app.command("transcribe")(transcribe)


@taking(ray_options)
def transcribe(
    parts: PartOptions | None,
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="Corpus folder or table file.")],
    asr: Annotated[
        str,
        typer.Option(
            help="faster-whisper/tiny.en, faster-whisper/ID_OR_FOLDER, whisper/large-v2, "
            "whisper/ID_OR_FOLDER, mms/1b-all, mms/ID_OR_FOLDER (any CTC model) or openai-asr/MODEL."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to make, or to go on with.")],
    splits: Annotated[str, typer.Option(help="Splits to transcribe, with commas; default: all.")] = "",
    name: Annotated[str, typer.Option(help="A reader (see `remelt corpora`), or a name for a table.")] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="COLUMN=FIELD, for tables; may be given several times.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file for tables (YAML, TOML).")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Transcribe at most N clips.")] = None,
    language: Annotated[
        str,
        typer.Option(help="ISO 639 code such as en; auto to detect; default: the corpus's own where known."),
    ] = "",
    beam: Annotated[int, typer.Option(min=1, help="Beams of the search; 1 is greedy.")] = 1,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest words.")] = 0.0,
    task: Annotated[
        str, typer.Option(help="transcribe, or translate (into English; Whisper).")
    ] = "transcribe",
    prompt: Annotated[str, typer.Option(help="Text taken as having come before: names, spelling.")] = "",
    batch: Annotated[int | None, typer.Option(min=1, help="Clips that a local model hears at once.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda; default: cuda where there is one.")] = "",
    compute_type: Annotated[
        str,
        typer.Option(help="float32, float16, bfloat16; faster-whisper also int8; default by device."),
    ] = "",
    threads: Annotated[int, typer.Option(min=1, help="Threads of a local model.")] = 1,
    vad: Annotated[
        bool, typer.Option("--vad", help="Leave out what holds no speech beforehand (faster-whisper).")
    ] = False,
    no_speech: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="No words above this probability of no speech, such as 0.6 (faster-whisper).",
        ),
    ] = None,
    base_url: Annotated[
        list[str] | None,
        typer.Option(help="Address of a server for openai-asr/; several times for equal servers."),
    ] = None,
    upload: Annotated[str, typer.Option(help="flac or wav: what a server is sent.")] = "flac",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for a server.")] = 120.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Clips that a server has at once at most.")] = 8,
    retries: Annotated[int, typer.Option(min=0, help="How often a clip is sent again after a failure.")] = 5,
    plain: Annotated[
        bool, typer.Option("--plain", help="Plain log lines instead of a live display.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what needs attention.")] = False,
) -> None:
    """Transcribe the clips of a corpus with a speech recogniser.

    The same command goes on after an interruption; no clip is transcribed twice. A clip that cannot be
    decoded keeps its row, with the reason. `remelt wer OUT` then compares with the corpus's own words.
    Exit codes: 0 done, 2 bad use or input, 3 interrupted and resumable.
    """
    from ..annotators.asr import AsrOptions
    from ..corpora import from_options
    from ..recipes.listening.transcribe import TranscribeOptions

    first, *more = base_url or [""]
    # AsrOptions itself says what may stand here.
    checked: dict[str, Any] = {"task": task, "upload": upload}
    hearing = AsrOptions(
        language=language or None,
        beam=beam,
        temperature=temperature,
        prompt=prompt,
        compute_type=compute_type or None,
        device=device or None,
        batch=batch,
        threads=threads,
        vad=vad,
        no_speech=no_speech,
        base_url=first or None,
        more_urls=tuple(more),
        timeout=timeout,
        concurrency=concurrency,
        **checked,
    )
    options = TranscribeOptions(
        corpus=corpus,
        out=out,
        asr=asr,
        corpus_name=name or None,
        mapping=from_options(column or [], mapping, name or None),
        splits=tuple(s.strip() for s in splits.split(",") if s.strip()) if splits else None,
        limit=limit,
        retries=retries,
        hearing=hearing,
        parts=parts,
    )
    result = _run(options, plain, quiet)
    if not quiet:
        _summary(result)


def _run(options: TranscribeOptions, plain: bool, quiet: bool) -> TranscribeResult:
    from ..recipes.listening.transcribe import transcribe as run
    from .progress import reporter

    kept = "Everything transcribed is kept"
    try:
        return run(options, reporter(plain, quiet))
    except Interrupted as error:
        raise Interrupted(f"{error}. {kept}; the same command goes on.") from error
    except KeyboardInterrupt:
        raise Interrupted(f"stopped. {kept}; the same command goes on.") from None


def _summary(result: TranscribeResult) -> None:
    info, run = result.info, result.info.get("run") or {}
    for split, counts in info["counts"].items():
        parts = [f"{counts['transcribed']:,} of {counts['utterances']:,} transcribed"]
        for key, words in (
            ("empty", "of them without words"),
            ("failed", "failed"),
            ("no_clip", "without a clip"),
            ("not_asked", "beyond the limit"),
        ):
            if counts[key]:
                parts.append(f"{counts[key]:,} {words}")
        typer.echo(f"{split:8} {', '.join(parts)}")
    if result.heard:
        typer.echo(
            f"Heard    {run['audio_seconds'] / 60:,.1f} min of speech in {run['seconds'] / 60:,.1f} min "
            f"(real-time factor {run['real_time_factor']:.3g}) by {info['source']}"
        )
    for row in info["failed"][:3]:
        typer.echo(f"Failed   {row['id']}: {row['reason']}")
    if len(info["failed"]) > 3:
        typer.echo(f"         and {len(info['failed']) - 3:,} more, in {result.out / 'transcripts.json'}")
    typer.echo(f"Written  {result.out / 'transcripts'}")
    typer.echo(f"Next     remelt wer {result.out}")
