"""What a build needs to know: the corpus, who answers and how, how votes become a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ..errors import InputError
from .listening.voices import VoiceOptions

if TYPE_CHECKING:
    from ..annotators import AnnotatorOptions
    from ..annotators.base import AnswerFormat
    from ..corpora import TableMapping
    from ..engine import EngineOptions
    from ..resolution.base import ResolutionOptions
    from .parts.options import PartOptions

# Of an option: the recipe's own value.
RECIPE: Final = "recipe"


@dataclass(frozen=True)
class Member:
    """One annotator of several, with its own settings; a None is as the build says.

    Attributes:
        annotator: who answers (`openai/MODEL`, `local/smollm2`, `replay:FILE`, ...).
        name: what votes, weights and tables call it; empty for its specification.
        prompt, temperature, top_p, seed, max_tokens, turns, reasoning_effort: see `BuildOptions`.
        base_url: addresses of equal servers, used in turn (openai).
        answer_format, logprobs: see `annotators.AnnotatorOptions`.
        concurrency: requests in flight at most.
        label_column: the column that holds the label in a label file (replay).
    """

    annotator: str
    name: str = ""
    prompt: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    turns: int | None = None
    reasoning_effort: str | None = None
    base_url: tuple[str, ...] = ()
    answer_format: AnswerFormat | None = None
    logprobs: bool | None = None
    concurrency: int | None = None
    label_column: str | None = None


@dataclass(frozen=True)
class BuildOptions:
    """What a build needs to know.

    Attributes:
        corpus: the corpus folder or table file, or `sample` for the bundled one.
        out: the dataset folder to make or to go on with.
        annotator: who answers (`openai/MODEL`, `local/smollm2`, `mock`, `replay:FILE`, ...); several, as
            such texts or as `Member`s with settings of their own, in the order of their votes.
        corpus_name: the reader to use; None to find it from the folder's layout.
        mapping: the columns of a table (see `corpora.TableMapping`).
        splits: the splits to build; None for the corpus's own, without dev for MELD, which the paper
            does not annotate.
        profile: selection profile, by name or path; None for the one that suits the corpus, else `clean`.
        keep_speakers: speakers that the speaker rule always lets through.
        prompt: by name or path; None for the recipe's own (MELT: the published prompt on MELD and its
            general form elsewhere).
        turns: previous turns shown by a prompt with context; None for the prompt's own number.
        labels: the labels to choose from; None for the recipe's own (MELT: seven).
        limit: annotate at most so many utterances, in corpus order.
        temperature, top_p, seed, max_tokens: sent with every request; a None is not sent, and `RECIPE` is
            the recipe's own (MELT: 1.0 and 512 tokens). The seed is mixed with the utterance's id, so that
            rows are drawn independently.
        reasoning_effort: how hard a reasoning model thinks, in its maker's words (`low`, `high`); None for
            the model's own.
        engine: how requests are sent; with several annotators the limits hold for each, the budget for all.
        connection: how the annotator is reached.
        voice: what to take from the clips.
        resolution: how several votes become a label; None for the rule that `remelt add-annotations` was
            asked for, else the recipe's, else a strict majority (or the first source, where one annotator
            got company by `remelt add-annotations`).
        allow_missing: publish although some of the annotators did not finish; what is missing is noted.
        parts: how the rows are done in parts, so that memory does not grow with them; None for in memory, but
            in parts where a table has more than 200,000 rows.
    """

    corpus: str
    out: Path
    annotator: str | Member | Sequence[str | Member]
    corpus_name: str | None = None
    mapping: TableMapping | None = None
    splits: tuple[str, ...] | None = None
    profile: str | None = None
    keep_speakers: tuple[str, ...] = ()
    prompt: str | None = None
    turns: int | None = None
    labels: tuple[str, ...] | None = None
    limit: int | None = None
    temperature: float | Literal["recipe"] | None = RECIPE
    top_p: float | None = None
    seed: int | None = 0
    max_tokens: int | Literal["recipe"] | None = RECIPE
    reasoning_effort: str | None = None
    engine: EngineOptions | None = None
    connection: AnnotatorOptions | None = None
    voice: VoiceOptions = field(default_factory=VoiceOptions)
    resolution: ResolutionOptions | None = None
    allow_missing: bool = False
    parts: PartOptions | None = None

    def __post_init__(self) -> None:
        # From Python a path is often a plain string, and a corpus a path.
        object.__setattr__(self, "out", Path(self.out))
        object.__setattr__(self, "corpus", str(self.corpus))

    @property
    def members(self) -> tuple[Member, ...]:
        """Who answers, in the order of their votes.

        Raises:
            InputError: nobody is named.
        """
        given = [self.annotator] if isinstance(self.annotator, (str, Member)) else list(self.annotator)
        if not given:
            raise InputError("No annotator is named")
        return tuple(one if isinstance(one, Member) else Member(one) for one in given)


def member_options(options: BuildOptions, member: Member) -> BuildOptions:
    """The build's options as they hold for one of its annotators, with engine and connection filled in."""
    from ..annotators import AnnotatorOptions, scheme
    from ..engine import EngineOptions

    engine = options.engine or EngineOptions()
    connection = options.connection or AnnotatorOptions()
    if member.concurrency is not None:
        least = min(engine.least_concurrency, member.concurrency)
        engine = replace(engine, concurrency=member.concurrency, least_concurrency=least)
    if member.base_url:
        connection = replace(connection, base_url=member.base_url[0], more_urls=member.base_url[1:])
    elif not scheme(member.annotator).startswith("openai"):
        # A model in this process has an address of its own.
        connection = replace(connection, base_url=None, more_urls=())
    given = {
        "answer_format": member.answer_format,
        "logprobs": member.logprobs,
        "column": member.label_column,
        "seed": member.seed,
    }
    connection = replace(connection, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    own = {
        name: value
        for name in ("prompt", "temperature", "top_p", "seed", "max_tokens", "turns", "reasoning_effort")
        if (value := getattr(member, name)) is not None
    }
    return replace(options, annotator=member.annotator, engine=engine, connection=connection, **own)
