"""A build in parts: the corpus in a store, each part by itself, and then all of them put together."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...engine import Stats
from ...journal import OutLock
from ...records import digest
from ..common_labels import Renaming, renaming
from ..finishing import BuildResult, conclude
from ..panel.content import Standing, asked_rule, base_content, member_record, panel_content, replay_notes
from ..panel.members import Panel, check_names, make_member, make_panel, panel_rule
from ..requests import Rows, choose_labels, choose_profile, choose_splits
from ..workspace import check_free, workspace
from .executing import executor_of
from .job import Executor, PartJob, PartTask
from .merge import publish_parts, whole_frame
from .part import PartMaker
from .progress import WholeRun, one_run
from .suiting import check_corpus
from .summary import PartSummary, part_folder, read_summary

if TYPE_CHECKING:
    from ...corpora import Corpus
    from ...corpora.store import CorpusStore
    from ...journal import Journal
    from ...labels import LabelSet
    from ...publishing import DatasetContent
    from ...publishing.columns import Columns
    from ...records import Utterance
    from ...resolution.base import ResolutionOptions
    from ...selection import SelectionOptions
    from ..building import RecipeSpec
    from ..options import BuildOptions
    from ..reporting import Reporter
    from .options import PartOptions

STORE = "corpus.sqlite"
# Of the parts as they lie in OUT; one of another format is made anew.
FORMAT = 1


@dataclass(frozen=True)
class Prepared:
    """A build in parts before anything is asked.

    Attributes:
        job: what all parts have in common.
        tasks: all parts, in the order of the corpus.
        panel: the annotators, without any row.
        rows: split -> rows of the corpus.
    """

    job: PartJob
    tasks: tuple[PartTask, ...]
    panel: Panel
    rows: dict[str, int]


def build_in_parts(
    spec: RecipeSpec, options: BuildOptions, parts: PartOptions, reporter: Reporter
) -> BuildResult:
    """Builds a dataset part by part, or goes on with one that was interrupted; see `building.build_recipe`.

    What is published is the same, byte for byte, whatever the parts are.

    Args:
        parts: how it is done.

    Raises:
        NeedsAllRows: the corpus shows that it cannot be done in parts; nothing was asked.
        InputError, AnnotatorError, Interrupted: as `building.build_recipe`.
    """
    options = _with_workspace(spec.filled(options))
    execute = executor_of(parts)
    check_names(options.members)
    check_free(options.out)
    with OutLock(options.out), open_store(options, options.out / ".remelt" / STORE, reporter) as store:
        head = store.head
        prepared = prepare_parts(spec, options, parts, store, reporter)
    job = prepared.job
    with workspace(options.out, spec.name, head.name, head.folder) as journal:
        summaries, stats = _make(prepared, execute, journal, reporter)
        frame = _frame(prepared, summaries, reporter)
        frame = _with_replayed(prepared, frame, reporter)
        result = conclude(
            options.out, frame, stats, reporter, lambda content: publish_parts(job, content, summaries)
        )
        shutil.rmtree(job.folder, ignore_errors=True)
        return result


def _with_workspace(options: BuildOptions) -> BuildOptions:
    """The options with a place in OUT for what annotators keep for the next time."""
    from ...annotators import AnnotatorOptions

    connection = replace(options.connection or AnnotatorOptions(), workspace=options.out / ".remelt")
    return replace(options, connection=connection)


@contextmanager
def open_store(options: BuildOptions, path: Path, reporter: Reporter) -> Iterator[CorpusStore]:
    """The corpus in a file, read once."""
    from ...corpora.store import CorpusStore

    reporter.stage(f"Reading {options.corpus}")
    with closing(CorpusStore.open(path, options.corpus, options.mapping, options.corpus_name)) as store:
        yield store


def prepare_parts(
    spec: RecipeSpec, options: BuildOptions, parts: PartOptions, store: CorpusStore, reporter: Reporter
) -> Prepared:
    """Decides everything that all parts have in common, and what the parts are.

    Raises:
        NeedsAllRows, InputError: see `build_in_parts`.
    """
    from ...selection import totals_of

    names = Renaming() if options.labels else renaming(store.head.name, store.totals().labels)
    head = replace(store.head, notes=(*store.head.notes, *([names.note] if names.note else [])))
    for note in head.notes:
        reporter.notice(note)
    # With a row of each split it looks to the recipe like the whole corpus.
    probe = replace(
        head, utterances=tuple(u for s in store.splits for u in store.part(s, 0, 1, turns=0).utterances)
    )
    splits = choose_splits(spec, options, probe)
    rows = {split: store.count(split) for split in store.splits if split in splits}
    profile, selection_options = choose_profile(options, probe)
    check_corpus(options, selection_options, store.head, {s: store.count(s) for s in store.splits})
    made = [make_member(options, member, splits) for member in options.members]
    reporter.stage("Selecting")
    totals = totals_of(lambda: names.rows(store.rows()), selection_options)
    nothing = _no_rows(probe, splits, profile, selection_options, choose_labels(spec, options))
    panel = make_panel(spec, nothing, made, reporter)
    rule = panel_rule(spec, options, panel)
    witnesses = names.rows(store.totals(tuple(rows)).witnesses)
    job = PartJob(
        spec=spec,
        options=options,
        out=options.out.resolve(),
        store=store.path.resolve(),
        head=head,
        renaming=names,
        splits=splits,
        profile=profile,
        selection_options=selection_options,
        totals=totals,
        columns=_columns(spec.name, options, panel, rule, witnesses),
        turns=max(member.questions.turns for member in panel.members),
        rule=rule,
        fingerprint="",
    )
    tasks = tuple(
        PartTask(place.number, place.split, place.start, place.size)
        for place in store.places(tuple(rows), parts.size)
    )
    job = replace(job, fingerprint=_fingerprint(job, panel, store.made_of, parts.size))
    if options.limit is not None:
        tasks = _with_limits(job, tasks, options.limit)
    return Prepared(job, tasks, panel, rows)


def _with_limits(job: PartJob, tasks: Sequence[PartTask], limit: int) -> tuple[PartTask, ...]:
    """The parts with as many rows to annotate in each as a limit on all of them leaves."""
    found = []
    with PartMaker(job) as maker:
        for task in tasks:
            room = min(limit, task.size)
            wanted = len(maker.rows(replace(task, limit=room)).utterances) if room else 0
            found.append(replace(task, limit=wanted))
            limit -= wanted
    return tuple(found)


def _no_rows(
    corpus: Corpus, splits: tuple[str, ...], profile: str, options: SelectionOptions, labels: LabelSet
) -> Rows:
    from ...selection import Selection

    return Rows(corpus, splits, profile, options, Selection((), (), ()), labels, (), (), ())


def _columns(
    recipe: str,
    options: BuildOptions,
    panel: Panel,
    rule: ResolutionOptions | None,
    witnesses: Iterable[Utterance],
) -> Columns:
    """Those of the whole build; whether there are soft labels shows later."""
    from ...publishing.columns import columns_of

    content = base_content(recipe, options, panel)
    if rule is not None:
        content = panel_content(content, [member_record(one) for one in panel.members], (), (), rule)
    return columns_of(witnesses, content.label_set, content.schema, soft=True, panel=rule is not None)


def _fingerprint(job: PartJob, panel: Panel, made_of: str, size: int) -> str:
    """Of all that decides what a part holds: what is asked of whom, and about which rows of which files."""
    from ... import __version__
    from ...publishing.manifest import plain

    asked = [
        [
            one.name,
            one.annotator.model,
            one.annotator.endpoint,
            one.questions.prompt.sha256 if one.questions.prompt else "",
            one.questions.schema,
            plain(one.questions.parameters),
            one.questions.turns,
            one.engine.retries,
        ]
        for one in panel.members
    ]
    corpus = [job.head.name, made_of]
    chosen = [
        plain(job.selection_options),
        plain(job.totals),
        plain(job.renaming),
        plain(panel.rows.labels),
        list(job.splits),
    ]
    return digest(
        [FORMAT, __version__, job.spec.name, corpus, chosen, plain(job.columns), plain(job.rule), asked,
         size, job.options.limit]
    )  # fmt: skip


def _make(
    prepared: Prepared, execute: Executor, journal: Journal, reporter: Reporter
) -> tuple[list[PartSummary], Stats]:
    """Makes the parts that are not there yet; all summaries in the order of the corpus, and what happened."""
    job = prepared.job
    limit = job.options.limit
    most = None if limit is None else limit * len(prepared.panel.members)
    whole = WholeRun(reporter, sum(prepared.rows.values()), most)
    names = ", ".join(prepared.panel.names)
    found: dict[int, PartSummary] = {}
    for task in prepared.tasks:
        summary = read_summary(job.folder, task.number, job.fingerprint)
        if summary is not None:
            found[task.number] = settled = _of_before(summary)
            whole.take(settled, settled.stats)
    left = [task for task in prepared.tasks if task.number not in found]
    told = f" ({len(found):,} are made already)" if found else ""
    reporter.stage(f"Annotating with {names} in {len(prepared.tasks):,} parts{told}")
    try:
        for summary in execute(job, left, journal, whole):
            found[summary.number] = summary
            whole.take(summary, summary.stats)
    finally:
        whole.end()
    ordered = [found[task.number] for task in prepared.tasks]
    for name in prepared.panel.names if len(prepared.panel.names) > 1 else ():
        reporter.member(name, one_run([summary.each[name] for summary in ordered]), "")
    return ordered, one_run([summary.stats for summary in ordered])


def _of_before(summary: PartSummary) -> PartSummary:
    """A part of an earlier run: nothing of it was asked in this one."""

    def reused(stats: Stats) -> Stats:
        now = Stats()
        return replace(
            now, rows=stats.rows, done=stats.done, valid=stats.valid, quarantined=stats.quarantined,
            reused=stats.done, finished=now.started,
        )  # fmt: skip

    return replace(
        summary,
        stats=reused(summary.stats),
        each={name: reused(stats) for name, stats in summary.each.items()},
    )


def _with_replayed(prepared: Prepared, frame: DatasetContent, reporter: Reporter) -> DatasetContent:
    """The same with what a replayed file and the corpus do not have in common."""
    from ...publishing.streamed import spooled_utterances

    job = prepared.job

    def asked() -> Iterator[list[Utterance]]:
        for task in prepared.tasks:
            yield from spooled_utterances(part_folder(job.folder, task.number), job.head.name, task.split)

    notes = [note for one in prepared.panel.members for note in replay_notes(one, asked())]
    for note in notes:
        reporter.notice(note)
    return replace(frame, notes=[*frame.notes, *notes])


def _frame(prepared: Prepared, summaries: Sequence[PartSummary], reporter: Reporter) -> DatasetContent:
    """All that is published but the rows; what is to be said of the whole is told."""
    from ...selection import merge_counts, selection_notes

    job, panel = prepared.job, prepared.panel
    counts = merge_counts(s.counts for s in summaries)
    notes = list(selection_notes(counts, job.selection_options, job.totals, job.splits))
    for note in notes:
        reporter.notice(note)
    base = base_content(job.spec.name, job.options, panel)
    asked = job.options.resolution is None and asked_rule(job.options.out) is not None
    alone = job.options.resolution is None and job.spec.resolution is None and len(panel.members) == 1
    frame = whole_frame(job, base, panel, summaries, notes, Standing(asked, alone))
    for note in frame.panel.resolution["notes"] if frame.panel else ():
        reporter.notice(note)
    return frame
