"""MELT (Jing et al. 2025): a language model relabels a corpus from text and describes the voice.

`build` goes from corpus to audited dataset: read, select, ask, validate, publish, audit, card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..labels import MELT, LabelSet, custom_label_set
from ..records import Annotation, Drop, Request, Utterance, digest
from .annotation import quarantined, run
from .finishing import BuildResult, finish
from .reporting import Reporter
from .workspace import workspace

if TYPE_CHECKING:
    from ..annotators import AnnotatorOptions
    from ..corpora import Corpus, TableMapping
    from ..engine import EngineOptions, Stats
    from ..prompting import Prompt
    from ..protocols import Annotator
    from ..selection import Selection, SelectionOptions

NAME = "melt"
_SEEDS = 2**31
_AT_ONCE = 512


@dataclass(frozen=True)
class MeltOptions:
    """What `build` needs to know.

    Attributes:
        corpus: the corpus folder or table file, or `sample` for the bundled one.
        out: the dataset folder to make or to go on with.
        annotator: who answers (`openai/MODEL`, `local/smollm2`, `mock`, `replay:FILE`, ...).
        corpus_name: the reader to use; None to find it from the folder's layout.
        mapping: the columns of a table (see `corpora.TableMapping`).
        splits: the splits to build; None for the corpus's own, without dev for MELD, which the paper
            does not annotate.
        profile: selection profile, by name or path; None for `sample` on the sample corpus, else `clean`.
        keep_speakers: speakers that the speaker rule always lets through.
        prompt: by name or path; None for the published prompt on MELD and its general form elsewhere.
        turns: previous turns shown by a prompt with context; None for the prompt's own number.
        labels: the labels to choose from; None for MELT's seven.
        limit: annotate at most so many utterances, in corpus order.
        temperature, top_p, seed, max_tokens: sent with every request; a None is not sent. The seed is
            mixed with the utterance's id, so that rows are drawn independently.
        engine: how requests are sent.
        connection: how the annotator is reached.
    """

    corpus: str
    out: Path
    annotator: str
    corpus_name: str | None = None
    mapping: TableMapping | None = None
    splits: tuple[str, ...] | None = None
    profile: str | None = None
    keep_speakers: tuple[str, ...] = ()
    prompt: str | None = None
    turns: int | None = None
    labels: tuple[str, ...] | None = None
    limit: int | None = None
    temperature: float | None = 1.0
    top_p: float | None = None
    seed: int | None = 0
    max_tokens: int | None = 512
    engine: EngineOptions | None = None
    connection: AnnotatorOptions | None = None


@dataclass(frozen=True)
class Plan:
    """What a build will ask: everything that is decided before the first request."""

    corpus: Corpus
    splits: tuple[str, ...]
    profile: str
    selection_options: SelectionOptions
    selection: Selection
    labels: LabelSet
    prompt: Prompt | None
    schema: Mapping[str, Any]
    requests: tuple[Request, ...]
    dropped: tuple[Drop, ...]
    turns: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)


def build(options: MeltOptions, reporter: Reporter | None = None) -> BuildResult:
    """Builds the dataset, or goes on with one that was interrupted.

    Args:
        options: see `MeltOptions`.
        reporter: is told what happens.

    Raises:
        InputError: an option or a file that cannot be used.
        AnnotatorError: the annotator can answer nothing (wrong key, unknown model).
        Interrupted: stopped before the end; the same call goes on.
    """
    from ..annotators import AnnotatorOptions, create
    from ..engine import EngineOptions

    reporter = reporter or Reporter()
    engine = options.engine or EngineOptions()
    options = replace(options, engine=engine)
    corpus, splits = read_corpus(options, reporter)
    connection = replace(
        options.connection or AnnotatorOptions(), concurrency=engine.concurrency, splits=splits
    )
    annotator = create(options.annotator, connection)
    plan = make_plan(options, corpus, splits, annotator, reporter)
    if getattr(annotator, "immediate", False):
        # Nobody is waited for, so many at once cost nothing and share the journal's commits.
        engine = replace(engine, concurrency=max(engine.concurrency, _AT_ONCE))
    if turns := getattr(annotator, "turns", None):
        engine = replace(engine, retries=max(engine.retries, turns - 1))
    if slots := getattr(annotator, "slots", None):
        engine = replace(engine, concurrency=min(engine.concurrency, slots))
    with workspace(options.out, NAME, corpus.name, corpus.folder) as journal:
        reporter.stage(f"Annotating {len(plan.requests):,} utterances with {annotator.name}")
        annotations, stats = _ask(plan, annotator, journal, engine, reporter)
        return _publish(options, plan, annotator, annotations, stats, reporter)


def read_corpus(options: MeltOptions, reporter: Reporter) -> tuple[Corpus, tuple[str, ...]]:
    """Reads the corpus and decides which splits to build.

    Raises:
        InputError: the corpus cannot be read, or lacks a split that was asked for.
    """
    from .. import corpora

    reporter.stage(f"Reading {options.corpus}")
    corpus = corpora.load(options.corpus, name=options.corpus_name, mapping=options.mapping)
    for note in corpus.notes:
        reporter.notice(note)
    splits = options.splits
    if splits is None:
        splits = tuple(s for s in corpus.splits if not (corpus.name == "meld" and s == "dev"))
    for split in splits:
        if split not in corpus.splits:
            raise InputError(f"Bad split {split!r}, {corpus.folder} has {list(corpus.splits)!r}")
    return corpus, splits


def make_plan(
    options: MeltOptions, corpus: Corpus, splits: tuple[str, ...], annotator: Annotator, reporter: Reporter
) -> Plan:
    """Selects the utterances and renders every request; nothing is asked yet.

    Raises:
        InputError: a profile, prompt, schema or label list that cannot be used.
    """
    from .. import answers, prompting

    labels = custom_label_set(list(options.labels)) if options.labels else MELT
    reporter.stage("Selecting")
    profile, selection_options, selection = _select(options, corpus, splits)
    for note in selection.notes:
        reporter.notice(note)
    wanted, dropped = _limit(selection.kept, options.limit)
    label_only = getattr(annotator, "schema_hint", None) == "label"
    default = getattr(annotator, "prompt_hint", None) or _default_prompt(corpus)
    prompt = None if label_only else prompting.load(options.prompt or default)
    schema = answers.load_schema(prompt.schema if prompt else "label", labels)
    turns = 0 if prompt is None or "turns" not in prompt.fields else prompt.turns
    if turns and options.turns is not None:
        turns = options.turns
    parameters: dict[str, Any] = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "max_tokens": options.max_tokens,
        "seed": options.seed,
    }
    asked_format = options.connection.answer_format if options.connection else "auto"
    if asked_format != "auto":
        # A reply that was asked for in another way is another reply.
        parameters["answer_format"] = asked_format
    parameters = {} if label_only else {k: v for k, v in parameters.items() if v is not None}
    plan = Plan(
        corpus=corpus,
        splits=splits,
        profile=profile,
        selection_options=selection_options,
        selection=selection,
        labels=labels,
        prompt=prompt,
        schema=schema,
        requests=(),
        dropped=(*selection.dropped, *dropped),
        turns=turns,
        parameters=parameters,
    )
    return _with_requests(plan, wanted, annotator)


def _select(
    options: MeltOptions, corpus: Corpus, splits: tuple[str, ...]
) -> tuple[str, SelectionOptions, Selection]:
    from ..corpora.defects import DEFECTS
    from ..selection import check_flags, load_profile, select

    profile = options.profile or ("sample" if corpus.name == "sample" else "clean")
    chosen = load_profile(profile)
    if options.keep_speakers:
        chosen = replace(chosen, keep_speakers=(*chosen.keep_speakers, *options.keep_speakers))
    check_flags(chosen, DEFECTS)
    return profile, chosen, select(corpus.utterances, chosen, splits)


def _limit(kept: Sequence[Utterance], limit: int | None) -> tuple[tuple[Utterance, ...], tuple[Drop, ...]]:
    """The utterances to ask about; those without words and those beyond the limit are accounted for."""
    if limit is not None and limit < 1:
        raise InputError(f"Bad limit {limit!r}, expected a whole number from 1")
    wanted: list[Utterance] = []
    dropped: list[Drop] = []
    for utterance in kept:
        if not utterance.words.strip():
            dropped.append(Drop(utterance, "selection", ("empty_text",), ("there is nothing to annotate",)))
        elif limit is not None and len(wanted) >= limit:
            dropped.append(Drop(utterance, "selection", ("limit",), (f"beyond the limit of {limit}",)))
        else:
            wanted.append(utterance)
    return tuple(wanted), tuple(dropped)


def _default_prompt(corpus: Corpus) -> str:
    return "melt" if corpus.name == "meld" else "melt-general"


def _with_requests(plan: Plan, utterances: Sequence[Utterance], annotator: Annotator) -> Plan:
    from .. import prompting

    dialogues = prompting.Dialogues(plan.corpus.utterances)
    prompt = plan.prompt
    prompt_hash = digest([prompt.sha256, prompting.load_repair().sha256]) if prompt else ""
    seed = plan.parameters.get("seed")
    name = public_name(annotator.name)
    requests = []
    for utterance in utterances:
        parameters = dict(plan.parameters)
        if seed is not None:
            parameters["seed"] = int(digest([seed, utterance.id])[:12], 16) % _SEEDS
        messages, prefill = (
            prompting.render(prompt, utterance, plan.labels, dialogues.before(utterance, plan.turns))
            if prompt
            else ((), "")
        )
        requests.append(
            Request(
                utterance=utterance,
                annotator=name,
                model=annotator.model,
                endpoint=annotator.endpoint,
                messages=messages,
                schema=plan.schema,
                parameters=parameters,
                prefill=prefill,
                prompt_hash=prompt_hash,
            )
        )
    return replace(plan, requests=tuple(requests))


def _ask(
    plan: Plan, annotator: Annotator, journal: Any, engine: EngineOptions, reporter: Reporter
) -> tuple[tuple[Annotation, ...], Stats]:
    from .. import answers, prompting

    repair = prompting.load_repair()
    checker = answers.Checker(plan.schema, plan.labels)
    return run(
        plan.requests,
        annotator,
        journal,
        checker.check,
        lambda request, history: prompting.repair_turn(repair, request, history, plan.labels),
        engine,
        reporter,
    )


def _publish(
    options: MeltOptions,
    plan: Plan,
    annotator: Annotator,
    annotations: tuple[Annotation, ...],
    stats: Stats,
    reporter: Reporter,
) -> BuildResult:
    from .. import corpora
    from ..publishing import DatasetContent

    differences = _replay_notes(plan, annotator)
    for note in differences:
        reporter.notice(note)
    corpus = plan.corpus
    info = corpora.info(corpus.name) if corpus.name in corpora.names() else None
    content = DatasetContent(
        recipe=NAME,
        corpus={
            "name": corpus.name,
            "title": info.title if info else corpus.name,
            "language": info.language if info else None,
            "licence": corpus.licence,
            "homepage": corpus.homepage,
            "citation": corpus.citation,
            "files": dict(corpus.files),
            "defects": {name: dict(counts) for name, counts in corpus.defects.items()},
        },
        splits=plan.splits,
        inputs={s: sum(u.split == s for u in corpus.utterances) for s in plan.splits},
        annotations=annotations,
        drops=(*plan.dropped, *quarantined(annotations)),
        label_set=plan.labels,
        schema=plan.schema,
        schema_name=plan.prompt.schema if plan.prompt else "label",
        annotator={
            "name": public_name(annotator.name),
            "model": annotator.model,
            "endpoint": annotator.endpoint,
            "parameters": dict(plan.parameters),
            "retires": getattr(annotator, "retires", None),
            "notices": list(annotator.notices),
            "caveat": getattr(annotator, "caveat", ""),
        },
        prompt=_prompt_record(plan.prompt),
        profile={"name": Path(plan.profile).name, "options": plan.selection_options},
        attrition=plan.selection.attrition,
        options={
            "limit": options.limit,
            "turns": plan.turns,
            "keep_speakers": list(options.keep_speakers),
            "retries": options.engine.retries if options.engine else None,
        },
        notes=[*plan.corpus.notes, *plan.selection.notes, *differences],
    )
    return finish(options.out, content, stats, reporter)


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


def _prompt_record(prompt: Prompt | None) -> dict[str, Any] | None:
    if prompt is None:
        return None
    return {
        "name": prompt.name,
        "version": prompt.version,
        "source": prompt.source,
        "sha256": prompt.sha256,
        "text": prompt.text,
    }


def _replay_notes(plan: Plan, annotator: Annotator) -> list[str]:
    """What a replayed file and the corpus do not have in common."""
    unused, compare = getattr(annotator, "unused", None), getattr(annotator, "compare", None)
    if unused is None or compare is None:
        return []
    notes = []
    compare([r.utterance for r in plan.requests])
    extra = unused([r.utterance.id for r in plan.requests])
    if extra:
        notes.append(f"{len(extra):,} replayed ids were not asked for, such as {', '.join(extra[:5])}")
    differences = list(getattr(annotator, "differences", ()))
    if differences:
        notes.append(
            f"{len(differences):,} replayed rows carry another text or speaker than the corpus, "
            f"such as {', '.join(str(d) for d in differences[:3])}"
        )
    return notes
