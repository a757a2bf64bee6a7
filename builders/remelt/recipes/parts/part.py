"""Makes one part of a build: selects, asks, judges, decides, and leaves the rows in Arrow files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...engine import Stats
from ..annotation import quarantined
from ..panel.content import base_content, member_record, panel_content
from ..panel.members import Made, Panel, make_member, make_panel
from ..panel.run import Asked, ask_panel
from ..planning import check_budget
from ..reporting import Reporter
from ..requests import Rows, choose_labels, limited
from .summary import FILE, PartSummary, part_folder, write_summary

if TYPE_CHECKING:
    from ...corpora.store import CorpusStore
    from ...journal import Journal
    from ...publishing import DatasetContent
    from .job import PartJob, PartTask

_TOLD = ("notices", "retires", "caveat", "run")


class PartMaker:
    """Makes parts of one job, one after the other. Close it, or use it in a `with` statement.

    Args:
        job: what all parts have in common.
    """

    def __init__(self, job: PartJob) -> None:
        from ...corpora.store import CorpusStore

        self.job = job
        self._store: CorpusStore = CorpusStore.attach(job.store)
        self._made: tuple[Made, ...] | None = None

    def __enter__(self) -> PartMaker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the corpus."""
        self._store.close()

    def make(self, task: PartTask, journal: Journal, reporter: Reporter) -> PartSummary:
        """Makes a part; what the journal knows is not asked again.

        Raises:
            Interrupted, AnnotatorError, InputError: as `panel.run.ask_panel`; the part is to be made again.
            WriteError: the disk is full; so is the part.
        """
        from ...publishing.streamed import write_spool

        job = self.job
        folder = part_folder(job.folder, task.number)
        # Without its summary a part counts for nothing, so it can be written over from here on.
        (folder / FILE).unlink(missing_ok=True)
        panel = self.panel(task, reporter)
        for one in panel.members:
            check_budget(one.annotator, one.questions.requests, one.engine.budget)
        asked = self._ask(panel, journal, reporter)
        content = _content(job, panel, asked)
        summary = PartSummary(
            number=task.number,
            split=task.split,
            start=task.start,
            rows=sum(panel.rows.selection.counts.given.values()),
            fingerprint=job.fingerprint,
            complete=all(a.verdict.status != "error" for a in asked.annotations),
            counts=panel.rows.selection.counts,
            spooled=write_spool(folder, content, job.columns),
            stats=asked.stats,
            each=asked.each,
            members=_told(panel, asked),
            info=content.panel.resolution["info"] if content.panel else None,
        )
        write_summary(job.folder, summary)
        return summary

    def panel(self, task: PartTask, reporter: Reporter) -> Panel:
        """The annotators, and what each is asked about the rows of a part."""
        made = [_within(one, task) for one in self._annotators()]
        return make_panel(self.job.spec, self.rows(task), made, reporter)

    def rows(self, task: PartTask) -> Rows:
        """What is asked about in a part."""
        from ...selection import select

        job = self.job
        part = self._store.part(task.split, task.start, task.size, number=task.number, turns=job.turns)
        utterances = tuple(job.renaming.rows(part.utterances))
        selection = select(utterances, job.selection_options, (task.split,), job.totals)
        wanted, dropped = limited(selection.kept, job.options.limit, task.limit)
        place = {utterance.id: n for n, utterance in enumerate(utterances)}
        return Rows(
            corpus=replace(job.head, utterances=(*part.context, *utterances)),
            splits=job.splits,
            profile=job.profile,
            selection_options=job.selection_options,
            selection=replace(selection, counts=selection.counts.with_left_out(dropped)),
            labels=choose_labels(job.spec, job.options),
            utterances=wanted,
            dropped=tuple(sorted((*selection.dropped, *dropped), key=lambda d: place[d.utterance.id])),
            attrition=(),
        )

    def _annotators(self) -> Sequence[Made]:
        """New ones for each part, for most cannot be started twice; a file of replies is read once."""
        options = self.job.options
        made = self._made or tuple(make_member(options, one, self.job.splits) for one in options.members)
        if all(getattr(annotator, "immediate", False) for _, _, annotator in made):
            self._made = made
        return made

    def _ask(self, panel: Panel, journal: Journal, reporter: Reporter) -> Asked:
        if not panel.rows.utterances:
            nothing = {name: Stats() for name in panel.names}
            for stats in nothing.values():
                stats.finished = stats.started
            return Asked((), next(iter(nothing.values())), each=nothing)
        return ask_panel(panel, journal, self.job.options, reporter)


def make_part(job: PartJob, task: PartTask, journal: Journal, reporter: Reporter) -> PartSummary:
    """Makes one part; see `PartMaker.make`."""
    with PartMaker(job) as maker:
        return maker.make(task, journal, reporter)


def _within(made: Made, task: PartTask) -> Made:
    """An annotator with what is left of the limits of a run."""
    member, options, annotator = made
    assert options.engine is not None
    engine = replace(options.engine, max_rows=task.max_rows, deadline=task.deadline)
    return member, replace(options, engine=engine), annotator


def _content(job: PartJob, panel: Panel, asked: Asked) -> DatasetContent:
    """The part's rows as they are published."""
    content = replace(
        base_content(job.spec.name, job.options, panel), inputs=panel.rows.selection.counts.given
    )
    if job.rule is None:
        annotations = asked.annotations
        return replace(content, annotations=annotations, drops=(*content.drops, *quarantined(annotations)))
    members = [member_record(one) for one in panel.members]
    return panel_content(content, members, asked.annotations, panel.rows.utterances, job.rule)


def _told(panel: Panel, asked: Asked) -> dict[str, dict[str, Any]]:
    found = {}
    for one in panel.members:
        record: Mapping[str, Any] = {**member_record(one), **asked.records.get(one.name, {})}
        found[one.name] = {name: record[name] for name in _TOLD if name in record}
    return found
