"""Labels by the vote of several language models (Feng & Narayanan 2023, "Foundation Model Assisted Automatic
Speech Emotion Recognition: Transcribing, Annotating, and Augmenting").

Speech is transcribed, each model chooses one of the prompt's five options for the words, a majority decides,
`other` rejects, and where people rated the corpus the label can be held against one of them. `build` goes
from the corpus to the filtered set; `vote_report` gives the numbers about its labels, and `augmentation`
adds them to the training folds of another corpus.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..labels import FENG
from .building import RecipeSpec
from .listening.texts import ASR, Texts

if TYPE_CHECKING:
    from ..annotators.asr import AsrOptions
    from ..publishing import DatasetContent
    from ..resolution import ResolutionOptions
    from .finishing import BuildResult
    from .options import BuildOptions
    from .planning import BuildPlan
    from .reporting import Reporter

NAME = "transcribe_vote"
PROMPT = "feng"
PROFILE = "feng"
HUMAN = "human"
# The paper's; the others of its generation are not stated.
TEMPERATURE = 0.02
# One word is wanted; a model that goes on talking is cut off and asked again.
MAX_TOKENS = 64


@dataclass(frozen=True)
class VoteOptions:
    """What this recipe needs to know besides `BuildOptions`.

    Attributes:
        texts: the words that are annotated.
        asr: a recogniser that listens first (`whisper/large-v2`, `mms/1b-all`, ...);
            its transcripts are kept in the folder `transcripts_folder` and are the words.
        hearing: how it listens; see `annotators.asr.AsrOptions`.
        human: keep a label only where one of the corpus's own raters says the same: one drawn for each row,
            or the one that `BuildOptions.resolution` names. The rule there is then that of the models.

    Raises:
        InputError: a recogniser beside transcripts that are there already.
    """

    texts: Texts = field(default_factory=Texts)
    asr: str | None = None
    hearing: AsrOptions | None = None
    human: bool = False

    def __post_init__(self) -> None:
        if self.asr is not None and self.texts.transcripts is not None:
            raise InputError(
                f"The words come from --asr {self.asr} or from the transcripts in {self.texts.transcripts}; "
                "give one of them"
            )


def build(
    options: BuildOptions, vote: VoteOptions | None = None, reporter: Reporter | None = None
) -> BuildResult:
    """Builds the dataset, or goes on with one that was interrupted.

    Args:
        options: see `BuildOptions`; no `prompt` is the paper's, no `profile` the four classes, no `splits`
            all of them, no `temperature` and `max_tokens` `TEMPERATURE` and `MAX_TOKENS`.
        vote: see `VoteOptions`.
        reporter: is told what happens.

    Raises:
        InputError: an option or a file that cannot be used; a check by a human where nobody judged: MELD
            publishes no ratings.
        AnnotatorError: the recogniser or the only model can answer nothing.
        Interrupted: stopped before the end, or one of several models failed; the same call goes on.
    """
    from .building import build_recipe

    vote = vote or VoteOptions()
    if vote.asr is not None:
        vote = replace(vote, texts=_transcribed(options, vote, reporter), asr=None)
    spec, options = _recipe(options, vote)
    return build_recipe(spec, options, reporter)


def plan(
    options: BuildOptions,
    vote: VoteOptions | None = None,
    reporter: Reporter | None = None,
    show: int = 3,
) -> BuildPlan:
    """What `build` with the same options would ask, cost and take; asks nobody and changes nothing.

    Where a recogniser has not listened yet, the corpus's own words stand for what it will hear.

    Args:
        options, vote, reporter: see `build`.
        show: how many rendered prompts of each model to include.

    Raises:
        InputError: an option or a file that cannot be used.
    """
    from .building import plan_recipe

    vote = vote or VoteOptions()
    if vote.asr is not None:
        folder = transcripts_folder(options.out)
        heard = (folder / "transcripts.json").is_file()
        if reporter is not None and not heard:
            reporter.notice(f"Nothing is transcribed in {folder} yet; planned with the corpus's own words")
        vote = replace(vote, texts=Texts(ASR, folder) if heard else Texts(), asr=None)
    spec, options = _recipe(options, vote)
    return plan_recipe(spec, options, reporter, show)


def transcripts_folder(out: Path) -> Path:
    """Where a recogniser of `VoteOptions.asr` writes: beside OUT, as a folder of `remelt transcribe`."""
    return Path(out).parent / f"{Path(out).name}-transcripts"


def _transcribed(options: BuildOptions, vote: VoteOptions, reporter: Reporter | None) -> Texts:
    """The words that the recogniser hears in the clips of the splits to build; nothing is heard twice."""
    from .listening.transcribe import TranscribeOptions, transcribe

    assert vote.asr is not None
    folder = transcripts_folder(options.out)
    hearing = TranscribeOptions(
        corpus=options.corpus,
        out=folder,
        asr=vote.asr,
        corpus_name=options.corpus_name,
        mapping=options.mapping,
        splits=options.splits,
        hearing=vote.hearing,
    )
    transcribe(hearing, reporter)
    return Texts(ASR, folder)


def _recipe(options: BuildOptions, vote: VoteOptions) -> tuple[RecipeSpec, BuildOptions]:
    if options.labels:
        raise InputError(f"Bad labels {list(options.labels)!r}: the prompt's are {list(FENG.prompt_order)!r}")
    rule = _rule(options.resolution, vote)
    options = replace(
        options,
        prompt=options.prompt or PROMPT,
        profile=options.profile or PROFILE,
        resolution=options.resolution and replace(rule, seed=options.resolution.seed),
    )
    spec = RecipeSpec(
        name=NAME,
        labels=FENG,
        prompt=lambda corpus: PROMPT,
        prepare=vote.texts.prepare,
        content=lambda content: _content(content, vote),
        resolution=rule,
        temperature=TEMPERATURE,
        max_tokens=MAX_TOKENS,
    )
    return spec, options


def _rule(asked: ResolutionOptions | None, vote: VoteOptions) -> ResolutionOptions:
    """A strict majority, or what was asked for; with a human it is what decides before the human is asked."""
    from ..resolution import ResolutionOptions

    rule = asked or ResolutionOptions(rule="majority")
    rule = replace(rule, reject=rule.reject or FENG.reject)
    if vote.human and rule.rule != HUMAN:
        if rule.base != ResolutionOptions.base:
            raise InputError(
                f"The base rule {rule.base!r} is for --vote human; with --human, --vote is the models'"
            )
        rule = replace(rule, rule=HUMAN, base=rule.rule)
    if rule.human is not None and rule.rule != HUMAN:
        raise InputError(f"Nobody asks the rater {rule.human!r}: without --human the models decide alone")
    return rule


def _content(content: DatasetContent, vote: VoteOptions) -> DatasetContent:
    return replace(content, options={**content.options, **vote.texts.record()})
