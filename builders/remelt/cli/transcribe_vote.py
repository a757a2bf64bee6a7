"""`remelt build transcribe-vote` and `remelt plan transcribe-vote`: labels by the vote of several models."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, bad_value
from . import build as builds
from . import plan as plans
from .arguments import recipe_options, taking
from .voice_arguments import voice_options

if TYPE_CHECKING:
    from ..recipes.listening.voices import VoiceOptions
    from ..recipes.options import BuildOptions
    from ..recipes.transcribe_vote import VoteOptions

_NAME = "transcribe-vote"


def register(app: typer.Typer) -> None:
    """Adds nothing here: the commands belong to `remelt build` and `remelt plan`."""


_build_options = recipe_options(
    {
        "splits": "Splits to build, with commas; default: all.",
        "profile": "A selection profile or a file; default: feng, every utterance of the four classes.",
        "labels": "Not for this recipe: the prompt's options are the labels.",
        "temperature": "Sampling temperature; default: Feng & Narayanan's 0.02.",
        "max_tokens": "Tokens of a reply at most, a reasoning model's thinking included; default: 64.",
    },
)


def vote_options(
    text: Annotated[
        str,
        typer.Option(help="Whose words: reference (the corpus's own) or asr (--transcripts or --asr)."),
    ] = "",
    asr: Annotated[
        str,
        typer.Option(
            help="Transcribe first, into OUT-transcripts: whisper/large-v2, mms/1b-all, "
            "faster-whisper/tiny.en, ... (see `remelt transcribe`)."
        ),
    ] = "",
    language: Annotated[
        str, typer.Option(help="What --asr hears: en, ...; auto to detect; default: the corpus's own.")
    ] = "",
    human: Annotated[
        bool,
        typer.Option("--human", help="Keep a label only where one of the corpus's raters says the same."),
    ] = False,
) -> dict[str, Any]:
    """What this recipe takes besides the arguments of every build."""
    return {"text": text, "asr": asr, "language": language, "human": human}


@builds.build_app.command(_NAME)
@taking(_build_options, voice_options, vote_options)
def build(
    options: BuildOptions,
    voice: VoiceOptions,
    vote: dict[str, Any],
    max_invalid: builds.MaxInvalid = None,
    plain: builds.Plain = False,
    quiet: builds.Quiet = False,
) -> None:
    """Feng & Narayanan (2023): transcripts, one word from each of several models, a majority decides.

    The prompt's `other` rejects; what gets no label is in `dropped` with the reason. With --human a label is
    kept only where a person who rated the utterance said the same. The same command goes on after an
    interruption. `remelt vote-report OUT` then says how good the labels are.
    Exit codes: 0 done, 1 too many quarantined rows, 2 bad use or input, 3 interrupted and resumable.
    """
    from ..recipes.transcribe_vote import build as run

    mine, voice = _chosen(vote, voice, options)
    options = replace(options, voice=voice)
    result = builds.run_build(lambda reporter: run(options, mine, reporter), plain, quiet)
    builds.conclude(result, quiet, max_invalid)


@plans.plan_app.command(_NAME)
@taking(_build_options, voice_options, vote_options)
def plan(
    options: BuildOptions,
    voice: VoiceOptions,
    vote: dict[str, Any],
    json_: plans.Json = None,
    show: plans.Show = 3,
    plain: plans.Plain = False,
    quiet: plans.Quiet = False,
) -> None:
    """What `remelt build transcribe-vote` with these arguments will ask, cost and take.

    Asks nobody, transcribes nothing and changes nothing. Exit codes: 0 done, 2 bad use or input.
    """
    from ..recipes.transcribe_vote import plan as run
    from .progress import reporter

    mine, voice = _chosen(vote, voice, options)
    found = run(replace(options, voice=voice), mine, reporter(plain, quiet), show)
    plans.show_plan(found, json_, plain, quiet)


def _chosen(
    vote: dict[str, Any], voice: VoiceOptions, options: BuildOptions
) -> tuple[VoteOptions, VoiceOptions]:
    """What was asked for, and what is left to take from the clips."""
    from ..annotators.asr import AsrOptions
    from ..recipes.listening.texts import ASR, REFERENCE, TEXTS, choose_texts
    from ..recipes.transcribe_vote import VoteOptions

    if not vote["asr"]:
        if vote["language"]:
            raise InputError(f"--language {vote['language']} has no effect without --asr")
        texts, voice = choose_texts(vote["text"] or REFERENCE, voice)
        return VoteOptions(texts, human=vote["human"]), voice
    if vote["text"] == REFERENCE:
        raise InputError(f"--asr {vote['asr']} has no effect on --text {REFERENCE}; leave --text out")
    if vote["text"] not in ("", ASR):
        raise InputError(bad_value("text", vote["text"], TEXTS))
    if voice.transcripts is not None:
        raise InputError(f"--asr {vote['asr']} and --transcripts {voice.transcripts}: give one of them")
    connection = options.connection
    hearing = AsrOptions(
        language=vote["language"] or None,
        device=connection.device if connection else None,
        threads=connection.threads if connection else 1,
    )
    return VoteOptions(asr=vote["asr"], hearing=hearing, human=vote["human"]), voice
