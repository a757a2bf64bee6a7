"""From a corpus to requests: what a build will ask, decided before the first question."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..labels import LabelSet, custom_label_set
from ..records import Drop, Message, Request, Utterance, digest
from .common_labels import common_labels
from .listening.clips import measure_lengths
from .reporting import Reporter

if TYPE_CHECKING:
    from ..corpora import Corpus
    from ..prompting import Prompt
    from ..protocols import Annotator
    from ..selection import AttritionRow, Selection, SelectionOptions
    from .building import RecipeSpec
    from .options import BuildOptions

_SEEDS = 2**31

# The messages to one utterance, and how the answer is to begin.
Rendered = tuple[tuple[Message, ...], str]


@dataclass(frozen=True)
class Rows:
    """What a build will ask about, whoever is asked.

    Attributes:
        utterances: those to ask about, in corpus order.
        dropped: all others of the splits, in corpus order.
        rendered: messages by prompt and turns; annotators that are shown the same hold them once.
    """

    corpus: Corpus
    splits: tuple[str, ...]
    profile: str
    selection_options: SelectionOptions
    selection: Selection
    labels: LabelSet
    utterances: tuple[Utterance, ...]
    dropped: tuple[Drop, ...]
    attrition: tuple[AttritionRow, ...]
    rendered: dict[tuple[str, int], tuple[Rendered, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )


@dataclass(frozen=True)
class Questions:
    """What one annotator will be asked, one request per utterance of `rows`.

    Attributes:
        name: the annotator's, as it is published.
    """

    rows: Rows
    name: str
    prompt: Prompt | None
    schema: Mapping[str, Any]
    requests: tuple[Request, ...]
    turns: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read_corpus(
    spec: RecipeSpec, options: BuildOptions, reporter: Reporter
) -> tuple[Corpus, tuple[str, ...]]:
    """Reads the corpus, makes of it what the recipe wants, and decides which splits to build.

    Raises:
        InputError: the corpus cannot be read, or lacks a split that was asked for.
    """
    from .. import corpora

    reporter.stage(f"Reading {options.corpus}")
    corpus = corpora.load(options.corpus, name=options.corpus_name, mapping=options.mapping)
    if not options.labels:
        corpus = common_labels(corpus)
    if spec.prepare is not None:
        corpus = spec.prepare(corpus, reporter)
    for note in corpus.notes:
        reporter.notice(note)
    return corpus, choose_splits(spec, options, corpus)


def choose_splits(spec: RecipeSpec, options: BuildOptions, corpus: Corpus) -> tuple[str, ...]:
    """The splits to build, in the order asked for.

    Raises:
        InputError: the corpus lacks one, or none is named.
    """
    splits = options.splits
    if splits is not None and not splits:
        raise InputError(f"No split is named, {corpus.folder} has {list(corpus.splits)!r}")
    if splits is None:
        splits = spec.splits(corpus) if spec.splits is not None else tuple(corpus.splits)
    for split in splits:
        if split not in corpus.splits:
            raise InputError(f"Bad split {split!r}, {corpus.folder} has {list(corpus.splits)!r}")
    return splits


def select_rows(
    spec: RecipeSpec, options: BuildOptions, corpus: Corpus, splits: tuple[str, ...], reporter: Reporter
) -> Rows:
    """Selects the utterances to ask about.

    Raises:
        InputError: a profile, limit or label list that cannot be used.
    """
    from ..selection import attrition, select

    profile, selection_options = choose_profile(options, corpus)
    if selection_options.duration_from == "clip" or selection_options.min_clip_duration:
        corpus = measure_lengths(corpus, reporter)
    reporter.stage("Selecting")
    selection = select(corpus.utterances, selection_options, splits)
    for note in selection.notes:
        reporter.notice(note)
    wanted, dropped = limited(selection.kept, options.limit)
    place = {utterance.id: n for n, utterance in enumerate(corpus.utterances)}
    return Rows(
        corpus=corpus,
        splits=splits,
        profile=profile,
        selection_options=selection_options,
        selection=selection,
        labels=choose_labels(spec, options),
        utterances=wanted,
        dropped=tuple(sorted((*selection.dropped, *dropped), key=lambda d: place[d.utterance.id])),
        attrition=attrition(selection.counts.with_left_out(dropped), splits),
    )


def make_questions(
    spec: RecipeSpec,
    options: BuildOptions,
    rows: Rows,
    annotator: Annotator,
    name: str,
    tell: Callable[[str], None],
) -> Questions:
    """Renders every request to one annotator; nothing is asked yet.

    Args:
        options: as they hold for this annotator.
        name: the annotator's, as it is published.
        tell: is told what has no effect.

    Raises:
        InputError: a prompt or schema that cannot be used.
    """
    from .. import answers, prompting

    label_only = getattr(annotator, "schema_hint", None) == "label"
    default = getattr(annotator, "prompt_hint", None) or (
        spec.prompt(rows.corpus) if spec.prompt is not None else "melt-general"
    )
    prompt = None if label_only else prompting.load(options.prompt or default)
    schema = answers.load_schema(prompt.schema if prompt else "label", rows.labels)
    turns = 0 if prompt is None or "turns" not in prompt.fields else prompt.turns
    if turns and options.turns is not None:
        turns = options.turns
    elif options.turns is not None:
        tell(f"--turns {options.turns} has no effect: {_turnless(prompt)}")
    parameters: dict[str, Any] = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "max_tokens": options.max_tokens,
        "seed": options.seed,
        "reasoning_effort": options.reasoning_effort,
        # A reply that was asked for in another way is another reply.
        "answer_format": _asked_format(options),
    }
    unsampled = label_only or getattr(annotator, "unsampled", False)
    parameters = {} if unsampled else {k: v for k, v in parameters.items() if v is not None}
    questions = Questions(
        rows=rows, name=name, prompt=prompt, schema=schema, requests=(), turns=turns, parameters=parameters
    )
    return _with_requests(questions, annotator)


def choose_labels(spec: RecipeSpec, options: BuildOptions) -> LabelSet:
    """What annotators choose from: the user's labels, else the recipe's."""
    return custom_label_set(list(options.labels)) if options.labels else spec.labels


def choose_profile(options: BuildOptions, corpus: Corpus) -> tuple[str, SelectionOptions]:
    """The selection profile's name and its options.

    Raises:
        InputError: there is no such profile, or it cannot be used.
    """
    from ..corpora.defects import DEFECTS
    from ..selection import check_flags, load_profile

    profile = options.profile or ("sample" if corpus.name == "sample" else corpus.profile or "clean")
    chosen = load_profile(profile)
    if options.keep_speakers:
        chosen = replace(chosen, keep_speakers=(*chosen.keep_speakers, *options.keep_speakers))
    check_flags(chosen, DEFECTS)
    return profile, chosen


def limited(
    kept: Sequence[Utterance], limit: int | None, room: int | None = None
) -> tuple[tuple[Utterance, ...], tuple[Drop, ...]]:
    """The utterances to ask about; those without words and those beyond the limit are accounted for.

    Args:
        kept: those that the selection keeps, in corpus order.
        limit: ask about so many in the whole corpus; None for all.
        room: how many of them these rows may be, where they are a part of the corpus; None for `limit`.

    Raises:
        InputError: a limit below 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"Bad limit {limit!r}, expected a whole number from 1")
    room = limit if room is None else room
    wanted: list[Utterance] = []
    dropped: list[Drop] = []
    for utterance in kept:
        if not utterance.words.strip():
            dropped.append(Drop(utterance, "selection", ("empty_text",), ("there is nothing to annotate",)))
        elif room is not None and len(wanted) >= room:
            dropped.append(Drop(utterance, "selection", ("limit",), (f"beyond the limit of {limit}",)))
        else:
            wanted.append(utterance)
    return tuple(wanted), tuple(dropped)


def _turnless(prompt: Prompt | None) -> str:
    return f"the prompt {prompt.name!r} shows no previous turns" if prompt else "nothing is prompted for"


def _asked_format(options: BuildOptions) -> str | None:
    asked = options.connection.answer_format if options.connection else "auto"
    return None if asked == "auto" else asked


def _with_requests(questions: Questions, annotator: Annotator) -> Questions:
    from .. import prompting

    rows, prompt = questions.rows, questions.prompt
    prompt_hash = digest([prompt.sha256, prompting.load_repair(questions.schema).sha256]) if prompt else ""
    seed = questions.parameters.get("seed")
    requests = []
    for utterance, (messages, prefill) in zip(rows.utterances, _rendered(questions), strict=True):
        parameters = dict(questions.parameters)
        if seed is not None:
            parameters["seed"] = int(digest([seed, utterance.id])[:12], 16) % _SEEDS
        requests.append(
            Request(
                utterance=utterance,
                annotator=questions.name,
                model=annotator.model,
                endpoint=annotator.endpoint,
                messages=messages,
                schema=questions.schema,
                parameters=parameters,
                prefill=prefill,
                prompt_hash=prompt_hash,
            )
        )
    return replace(questions, requests=tuple(requests))


def _rendered(questions: Questions) -> tuple[Rendered, ...]:
    from .. import prompting

    rows, prompt = questions.rows, questions.prompt
    if prompt is None:
        return (((), ""),) * len(rows.utterances)
    shown = (prompt.sha256, questions.turns)
    if shown not in rows.rendered:
        dialogues = prompting.Dialogues(rows.corpus.utterances)
        rows.rendered[shown] = tuple(
            prompting.render(prompt, u, rows.labels, dialogues.before(u, questions.turns))
            for u in rows.utterances
        )
    return rows.rendered[shown]


def public_name(spec: str) -> str:
    """An annotator's specification without the user's own folders, as it is published.

    >>> public_name("openai/gpt-4o"), public_name("replay:train=/nowhere/a.csv")
    ('openai/gpt-4o', 'replay:train=/nowhere/a.csv')
    """
    head = re.match(r"[^/:]*[/:]?", spec)
    start = head.end() if head else 0
    if Path(spec[start:]).exists():
        return spec[:start] + Path(spec[start:]).name
    parts = [part.rpartition("=") for part in spec[start:].split(",")]
    shown = [
        f"{key}{sign}{Path(value).name if Path(value).exists() else value}" for key, sign, value in parts
    ]
    return spec[:start] + ",".join(shown)
