"""MELT (Jing et al. 2025): a language model relabels a corpus from text and describes the voice.

`build` goes from corpus to audited dataset: read, select, ask, validate, publish, audit, card. `plan` says
what that will take, and asks nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..records import Annotation
from .annotation import quarantined, run
from .finishing import BuildResult, finish
from .planning import BuildPlan, check_budget, make_plan
from .reporting import Reporter
from .requests import Questions, make_questions, public_name, read_corpus
from .voices import Listening, VoiceOptions, listen, prepare
from .workspace import workspace

if TYPE_CHECKING:
    from ..annotators import AnnotatorOptions
    from ..corpora import TableMapping
    from ..engine import EngineOptions, Stats
    from ..prompting import Prompt
    from ..protocols import Annotator
    from ..publishing import DatasetContent, VoiceContent

NAME = "melt"
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
        profile: selection profile, by name or path; None for the one that suits the corpus, else `clean`.
        keep_speakers: speakers that the speaker rule always lets through.
        prompt: by name or path; None for the published prompt on MELD and its general form elsewhere.
        turns: previous turns shown by a prompt with context; None for the prompt's own number.
        labels: the labels to choose from; None for MELT's seven.
        limit: annotate at most so many utterances, in corpus order.
        temperature, top_p, seed, max_tokens: sent with every request; a None is not sent. The seed is
            mixed with the utterance's id, so that rows are drawn independently.
        reasoning_effort: how hard a reasoning model thinks, in its maker's words (`low`, `high`); None for
            the model's own.
        engine: how requests are sent.
        connection: how the annotator is reached.
        voice: what to take from the clips.
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
    reasoning_effort: str | None = None
    engine: EngineOptions | None = None
    connection: AnnotatorOptions | None = None
    voice: VoiceOptions = field(default_factory=VoiceOptions)

    def __post_init__(self) -> None:
        # From Python a path is often a plain string, and a corpus a path.
        object.__setattr__(self, "out", Path(self.out))
        object.__setattr__(self, "corpus", str(self.corpus))


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
    reporter = reporter or Reporter()
    options, questions, annotator = _prepare(options, reporter)
    engine = options.engine
    assert engine is not None
    check_budget(annotator, questions.requests, engine.budget)
    listening = prepare(options.voice, [r.utterance for r in questions.requests], reporter)
    if getattr(annotator, "immediate", False):
        # Nobody is waited for, so many at once cost nothing and share the journal's commits.
        engine = replace(engine, concurrency=max(engine.concurrency, _AT_ONCE))
    with workspace(options.out, NAME, questions.corpus.name, questions.corpus.folder) as journal:
        reporter.stage(f"Annotating {len(questions.requests):,} utterances with {annotator.name}")
        annotations, stats = _ask(questions, annotator, journal, engine, reporter)
        content = _content(options, questions, annotator, annotations, reporter)
        content = replace(content, voice=_hear(listening, questions, annotations, options.out, reporter))
        return finish(options.out, content, stats, reporter)


def plan(options: MeltOptions, reporter: Reporter | None = None, show: int = 3) -> BuildPlan:
    """What `build` with the same options would ask, cost and take; asks nobody and changes nothing.

    An OUT that exists is looked up, so that only the rows that are still missing count.

    Args:
        options: see `MeltOptions`.
        reporter: is told what happens.
        show: how many rendered prompts to include, spread over the rows that would be asked.

    Raises:
        InputError: an option or a file that cannot be used.
    """
    from .. import answers

    reporter = reporter or Reporter()
    options, questions, annotator = _prepare(options, reporter)
    prepare(options.voice, [r.utterance for r in questions.requests], reporter)
    checker = answers.Checker(questions.schema, questions.labels)
    return make_plan(options, questions, annotator, checker.check, NAME, show)


def _prepare(options: MeltOptions, reporter: Reporter) -> tuple[MeltOptions, Questions, Annotator]:
    """The options with nothing left open, what they ask, and whom."""
    from ..annotators import AnnotatorOptions, create
    from ..engine import EngineOptions

    engine = options.engine or EngineOptions()
    connection = options.connection or AnnotatorOptions()
    corpus, splits = read_corpus(options, reporter)
    connection = replace(connection, concurrency=engine.concurrency, splits=splits)
    annotator = create(options.annotator, connection)
    if turns := getattr(annotator, "turns", None):
        engine = replace(engine, retries=max(engine.retries, turns - 1))
    if slots := getattr(annotator, "slots", None):
        engine = replace(engine, concurrency=min(engine.concurrency, slots))
    if at_once := getattr(annotator, "at_once", None):
        engine = replace(engine, concurrency=at_once)
    options = replace(options, engine=engine, connection=connection)
    return options, make_questions(options, corpus, splits, annotator, reporter), annotator


def _ask(
    questions: Questions, annotator: Annotator, journal: Any, engine: EngineOptions, reporter: Reporter
) -> tuple[tuple[Annotation, ...], Stats]:
    from .. import answers, prompting

    repair = prompting.load_repair()
    checker = answers.Checker(questions.schema, questions.labels)
    return run(
        questions.requests,
        annotator,
        journal,
        checker.check,
        lambda request, history: prompting.repair_turn(repair, request, history, questions.labels),
        engine,
        reporter,
    )


def _hear(
    listening: Listening,
    questions: Questions,
    annotations: tuple[Annotation, ...],
    out: Path,
    reporter: Reporter,
) -> VoiceContent | None:
    """What was heard in the clips of the rows that reach the dataset."""
    kept = [a.utterance for a in annotations if a.verdict.status == "valid"]
    return listen(listening, questions.corpus.folder, kept, out, reporter)


def _content(
    options: MeltOptions,
    questions: Questions,
    annotator: Annotator,
    annotations: tuple[Annotation, ...],
    reporter: Reporter,
) -> DatasetContent:
    from .. import corpora
    from ..publishing import DatasetContent

    differences = _replay_notes(questions, annotator)
    for note in differences:
        reporter.notice(note)
    corpus = questions.corpus
    info = corpora.info(corpus.name) if corpus.name in corpora.names() else None
    return DatasetContent(
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
        splits=questions.splits,
        inputs={s: sum(u.split == s for u in corpus.utterances) for s in questions.splits},
        annotations=annotations,
        drops=(*questions.dropped, *quarantined(annotations)),
        label_set=questions.labels,
        schema=questions.schema,
        schema_name=questions.prompt.schema if questions.prompt else "label",
        annotator={
            "name": public_name(annotator.name),
            "model": annotator.model,
            "endpoint": annotator.endpoint,
            "parameters": dict(questions.parameters),
            "retires": getattr(annotator, "retires", None),
            "notices": list(annotator.notices),
            "caveat": getattr(annotator, "caveat", ""),
        },
        prompt=_prompt_record(questions.prompt),
        profile={"name": Path(questions.profile).name, "options": questions.selection_options},
        attrition=questions.attrition,
        options={
            "limit": options.limit,
            "turns": questions.turns,
            "keep_speakers": list(options.keep_speakers),
            "retries": options.engine.retries if options.engine else None,
        },
        notes=[*questions.corpus.notes, *questions.selection.notes, *differences],
    )


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


def _replay_notes(questions: Questions, annotator: Annotator) -> list[str]:
    """What a replayed file and the corpus do not have in common."""
    unused, compare = getattr(annotator, "unused", None), getattr(annotator, "compare", None)
    if unused is None or compare is None:
        return []
    notes = []
    compare([r.utterance for r in questions.requests])
    extra = unused([r.utterance.id for r in questions.requests])
    if extra:
        notes.append(f"{len(extra):,} replayed ids were not asked for, such as {', '.join(extra[:5])}")
    differences = list(getattr(annotator, "differences", ()))
    if differences:
        notes.append(
            f"{len(differences):,} replayed rows carry another text or speaker than the corpus, "
            f"such as {', '.join(str(d) for d in differences[:3])}"
        )
    return notes
