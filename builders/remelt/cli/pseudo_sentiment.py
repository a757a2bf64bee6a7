"""`remelt build pseudo-sentiment` and `remelt plan pseudo-sentiment`: the pre-training set of MERITS-L."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import recipe_options, taking
from .build import MaxInvalid, Plain, Quiet, build_app, conclude, run_build
from .oracle import oracle_options
from .oracle import show as show_oracle
from .plan import Json, Show, plan_app, show_plan
from .plan import Plain as PlainPlan
from .plan import Quiet as QuietPlan
from .voice_arguments import voice_options

if TYPE_CHECKING:
    from ..recipes.finishing import BuildResult
    from ..recipes.listening.voices import VoiceOptions
    from ..recipes.options import BuildOptions
    from ..recipes.pseudo_sentiment import SentimentOptions
    from ..recipes.resplit import SplitOptions

_build_options = recipe_options(
    {
        "splits": "Splits of the corpus to take, with commas, or all; default: all of MSP-Podcast, and of "
        "others those that are neither test nor development sets.",
        "profile": "Selection profile or file; default: every-turn.",
        "prompt": "Prompt name (see `remelt prompts`) or .md file; default: merits-l.",
        "labels": "Not used: the labels are positive, negative and neutral.",
        "temperature": "Sampling temperature (MERITS-L does not say); default: 0.",
        "max_tokens": "Tokens of a reply at most, a reasoning model's thinking included; default: 64.",
    },
)


@dataclass(frozen=True)
class _Chosen:
    """The recipe's own arguments, but for the transcripts, which stand among those about sound."""

    text: str
    split: SplitOptions


def _sentiment_options(
    text: Annotated[
        str,
        typer.Option(help="What is annotated: reference (the corpus's words), or asr (--transcripts)."),
    ] = "reference",
    validation_share: Annotated[
        float, typer.Option(help="Share of the selected rows that become the validation split.")
    ] = 0.2,
    split_seed: Annotated[int, typer.Option(help="Seed of the division into train and validation.")] = 0,
    split_by: Annotated[
        str, typer.Option(help="What stays in one split: utterance (MERITS-L), dialogue or speaker.")
    ] = "utterance",
) -> Any:
    from ..recipes.resplit import SplitOptions

    return _Chosen(text, SplitOptions(validation_share, split_seed, split_by))


@build_app.command("pseudo-sentiment")
@taking(_build_options, voice_options, _sentiment_options, oracle_options)
def build_command(
    options: BuildOptions,
    voice: VoiceOptions,
    chosen: Any,
    oracle: Any,
    max_invalid: MaxInvalid = None,
    plain: Plain = False,
    quiet: Quiet = False,
) -> None:
    """MERITS-L (Dutta & Ganapathy 2025): sentiment of transcripts, 80/20, to pre-train text encoders on.

    The same command goes on after an interruption; nothing that was answered is asked again.
    Exit codes: 0 done, 1 too many quarantined rows, 2 bad use or input, 3 interrupted and resumable.
    """
    from ..recipes.pseudo_sentiment import build

    options, sentiment = _together(options, voice, chosen, oracle)
    result = run_build(lambda reporter: build(options, sentiment, reporter), plain, quiet)
    conclude(result, quiet, None)
    if not quiet:
        _show_overlap(result)
    conclude(result, True, max_invalid)


@plan_app.command("pseudo-sentiment")
@taking(_build_options, voice_options, _sentiment_options, oracle_options)
def plan_command(
    options: BuildOptions,
    voice: VoiceOptions,
    chosen: Any,
    oracle: Any,
    json_: Json = None,
    show: Show = 3,
    plain: PlainPlan = False,
    quiet: QuietPlan = False,
) -> None:
    """What `remelt build pseudo-sentiment` with these arguments will ask, cost and take.

    Asks nobody, needs no key and changes nothing. Exit codes: 0 done, 2 bad use or input.
    """
    from ..recipes.pseudo_sentiment import plan
    from .progress import reporter

    options, sentiment = _together(options, voice, chosen, oracle)
    show_plan(plan(options, sentiment, reporter(plain, quiet), show), json_, plain, quiet)


def _together(
    options: BuildOptions, voice: VoiceOptions, chosen: Any, oracle: Any
) -> tuple[BuildOptions, SentimentOptions]:
    from ..recipes.listening.texts import choose_texts
    from ..recipes.pseudo_sentiment import SentimentOptions

    texts, voice = choose_texts(chosen.text, voice)
    return replace(options, voice=voice), SentimentOptions(texts, oracle, chosen.split)


def _show_overlap(result: BuildResult) -> None:
    """The overlap with the oracle, where there is one."""
    from ..recipes.oracle import oracle_overlap

    if result.rows and result.manifest["options"]["oracle"]["source"] != "none":
        print()
        show_oracle(oracle_overlap(result.out))
