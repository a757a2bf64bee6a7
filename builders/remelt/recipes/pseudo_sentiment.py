"""The pre-training set of MERITS-L (Dutta & Ganapathy 2025): three-way sentiment of a speech corpus's words.

The paper transcribes the 149,307 turns of MSP-Podcast, lets a language model call each positive, negative or
neutral, divides them 80/20 at random, and pre-trains a text encoder on them. `build` does that from a
corpus and its transcripts to the published set; `original_label` there is the oracle (see
`sentiment_oracle`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import InputError
from ..labels import SENTIMENT
from .building import RecipeSpec
from .common_labels import RENAMED
from .listening.texts import Texts
from .listening.voices import CHOOSE, VoiceOptions
from .listening.voices import NONE as NO_SOUND
from .resplit import SplitOptions, resplit, selected
from .sentiment_oracle import NONE, Oracle, OracleOptions, find_oracle

if TYPE_CHECKING:
    from ..corpora import Corpus
    from ..publishing import DatasetContent
    from ..records import Annotation, Drop, Utterance
    from .finishing import BuildResult
    from .options import BuildOptions
    from .planning import BuildPlan
    from .reporting import Reporter

NAME = "pseudo_sentiment"
PROMPT = "merits-l"
PROFILE = "every-turn"
ALL = "all"
# MERITS-L does not say.
TEMPERATURE = 0.0
# One word is wanted; a model that goes on talking is cut off and asked again.
MAX_TOKENS = 64
# The corpus of the paper, which takes its test sets too: it evaluates on other corpora.
_WHOLE = "msp_podcast"
_HELD_OUT = re.compile(r"(dev|val|test|eval)", re.IGNORECASE)


@dataclass(frozen=True)
class SentimentOptions:
    """What this recipe needs to know besides `BuildOptions`.

    Attributes:
        texts: the words that are annotated.
        oracle: where the sentiment to compare with comes from.
        split: how the rows are divided into train and validation.
    """

    texts: Texts = field(default_factory=Texts)
    oracle: OracleOptions = field(default_factory=OracleOptions)
    split: SplitOptions = field(default_factory=SplitOptions)


def build(
    options: BuildOptions, sentiment: SentimentOptions | None = None, reporter: Reporter | None = None
) -> BuildResult:
    """Builds the dataset, or goes on with one that was interrupted.

    Args:
        options: see `BuildOptions`; no `splits` is every split of MSP-Podcast, and of any other corpus those
            that are not its test or development sets; `("all",)` is every split. No `prompt` is MERITS-L's,
            no `profile` is every utterance with words, no `temperature` and `max_tokens` are `TEMPERATURE`
            and `MAX_TOKENS`, and `auto` in `voice` is `none`: the set is of words.
        sentiment: see `SentimentOptions`.
        reporter: is told what happens.

    Raises:
        InputError: an option or a file that cannot be used.
        AnnotatorError: the annotator can answer nothing (wrong key, unknown model).
        Interrupted: stopped before the end; the same call goes on.
    """
    from .building import build_recipe

    spec, options = _recipe(options, sentiment)
    return build_recipe(spec, options, reporter)


def plan(
    options: BuildOptions,
    sentiment: SentimentOptions | None = None,
    reporter: Reporter | None = None,
    show: int = 3,
) -> BuildPlan:
    """What `build` with the same options would ask, cost and take; asks nobody and changes nothing.

    Args:
        options, sentiment, reporter: see `build`.
        show: how many rendered prompts to include.

    Raises:
        InputError: an option or a file that cannot be used.
    """
    from .building import plan_recipe

    spec, options = _recipe(options, sentiment)
    return plan_recipe(spec, options, reporter, show)


def default_splits(corpus: Corpus) -> tuple[str, ...]:
    """The splits that become the pre-training set where nobody says.

    MSP-Podcast is taken whole, as in the paper. Of other corpora the test and development sets stay out, so
    that a model that was pre-trained on the set can be evaluated on them.
    """
    if corpus.name == _WHOLE:
        return corpus.splits
    return tuple(s for s in corpus.splits if not _HELD_OUT.match(s)) or corpus.splits


def _recipe(options: BuildOptions, sentiment: SentimentOptions | None) -> tuple[RecipeSpec, BuildOptions]:
    if options.labels:
        raise InputError(f"Bad labels {list(options.labels)!r}: the labels are {list(SENTIMENT.labels)!r}")
    every = options.splits == (ALL,)
    options = replace(
        options,
        splits=None if every else options.splits,
        prompt=options.prompt or PROMPT,
        profile=options.profile or PROFILE,
        voice=_unheard(options.voice),
    )
    recipe = _PseudoSentiment(sentiment or SentimentOptions(), options.splits, every)
    spec = RecipeSpec(
        name=NAME,
        labels=SENTIMENT,
        prompt=lambda corpus: PROMPT,
        splits=recipe.splits,
        prepare=recipe.prepare,
        content=recipe.content,
        temperature=TEMPERATURE,
        max_tokens=MAX_TOKENS,
    )
    return spec, options


def _unheard(voice: VoiceOptions) -> VoiceOptions:
    """Sound that was not asked for by name stays out: the set is one of words."""
    return replace(
        voice,
        audio=NO_SOUND if voice.audio == CHOOSE else voice.audio,
        acoustics=NO_SOUND if voice.acoustics == CHOOSE else voice.acoustics,
    )


class _PseudoSentiment:
    """What this recipe makes of a corpus before the annotation, and of the rows after it."""

    def __init__(self, options: SentimentOptions, asked: tuple[str, ...] | None, every: bool) -> None:
        self._options, self._asked, self._every = options, asked, every
        self._oracle = Oracle(NONE, {})

    def splits(self, corpus: Corpus) -> tuple[str, ...]:
        return corpus.splits if self._every else default_splits(corpus)

    def prepare(self, corpus: Corpus, reporter: Reporter) -> Corpus:
        """The corpus with the words to annotate; the oracle is found here, before anything is paid."""
        corpus = self._options.texts.prepare(corpus, reporter)
        wanted = self._asked or self.splits(corpus)
        self._oracle = find_oracle([u for u in corpus.utterances if u.split in wanted], self._options.oracle)
        notes = [*self._oracle.notes]
        if self._oracle.source == NONE:
            notes.append("There is no oracle: the corpus has no valence or sentiment to compare with.")
        if held := [split for split in wanted if _HELD_OUT.match(split)]:
            notes.append(
                f"The set holds the splits {', '.join(held)} of {corpus.name}: a model that was pre-trained "
                "on it must not be evaluated on them."
            )
        # The emotions do not reach the dataset, so neither does what they were renamed to.
        told = [note for note in corpus.notes if not note.startswith(RENAMED)]
        return replace(corpus, notes=(*told, *notes))

    def content(self, content: DatasetContent) -> DatasetContent:
        """The rows with the oracle as their original label, in the new splits."""
        origin = Counter(selected(content).values())
        pooled = {split: origin[split] for split in content.splits}
        content = resplit(self._labelled(content), self._options.split)
        by = self._options.split
        return replace(
            content,
            options={
                **content.options,
                **self._options.texts.record(),
                "oracle": dict(self._oracle.record),
                "split": {
                    "validation_share": by.validation_share,
                    "seed": by.seed,
                    "by": by.by,
                    "corpus_splits": pooled,
                },
            },
        )

    def _labelled(self, content: DatasetContent) -> DatasetContent:
        labels = self._oracle.labels

        def named(utterance: Utterance) -> Utterance:
            return replace(utterance, label=labels.get(utterance.id))

        def annotated(annotation: Annotation) -> Annotation:
            return replace(
                annotation, request=replace(annotation.request, utterance=named(annotation.utterance))
            )

        drops: Sequence[Drop] = [replace(d, utterance=named(d.utterance)) for d in content.drops]
        return replace(content, annotations=[annotated(a) for a in content.annotations], drops=drops)
