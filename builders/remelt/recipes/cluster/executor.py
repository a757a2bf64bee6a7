"""The parts of a build on Ray's workers: each makes whole parts, with a journal of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...batch_log import BatchLog
from ...engine import EngineOptions
from ...errors import InputError, RemeltError
from ..parts.summary import PartSummary
from . import session, shards, working

if TYPE_CHECKING:
    from ...journal import Journal
    from ..options import BuildOptions
    from ..parts.job import Executor, PartJob, PartTask
    from ..parts.options import PartOptions
    from ..parts.part import PartMaker
    from ..reporting import Reporter


def executor(options: PartOptions) -> Executor:
    """Makes parts on a cluster, or on a Ray that is started on this machine.

    Raises:
        InputError: ray is not installed.
    """
    session.require()

    def execute(
        job: PartJob, tasks: Sequence[PartTask], journal: Journal, reporter: Reporter
    ) -> Iterator[PartSummary]:
        """See `parts.job.Executor`."""
        refuse(job.options)
        shards.merge_left(journal, job.out)
        if not tasks:
            return
        _refuse_batches(journal)
        try:
            with session.connect(options.address, options.workers) as cluster:
                session.check_machines(cluster, job.out)
                yield from _make(cluster, options, job, tasks, journal, reporter)
        except RemeltError:
            # The workers are gone; what they were answered is not to be asked again.
            shards.merge_left(journal, job.out)
            raise
        shards.clear(job.out)

    return execute


def refuse(options: BuildOptions) -> None:
    """Refuses what several workers cannot keep to together.

    Raises:
        InputError: a limit on all rows of a run, or on what they cost.
    """
    engine = options.engine or EngineOptions()
    for name, value in (("--budget", engine.budget), ("--max-rows", engine.max_rows)):
        if value is not None:
            raise InputError(
                f"{name} {value:g} cannot be kept by several workers, which do not know of each other's "
                "requests; leave it out, or use --engine local"
            )


def _refuse_batches(journal: Journal) -> None:
    left = BatchLog(journal).unfinished()
    if left:
        names = ", ".join(record.id or record.mark for record in left[:3])
        raise InputError(f"Batches are not done ({names}), which workers do not wait for: use --engine local")


def _make(
    cluster: session.Cluster,
    options: PartOptions,
    job: PartJob,
    tasks: Sequence[PartTask],
    journal: Journal,
    reporter: Reporter,
) -> Iterator[PartSummary]:
    crew = _crew(cluster, options, job, len(tasks))
    deadline = job.options.engine.deadline if job.options.engine else None
    work = _PartsOf(
        job=replace(job, options=shared(job.options, crew.workers)),
        known=shards.write_known(journal, job.out),
        ends=None if deadline is None else time.time() + deadline,
    )
    for done in working.spread(cluster, crew, work, tasks, reporter):
        shard = _shard(job, tasks[done.number])
        shards.merge(journal, shard)
        shards.remove(shard)
        yield PartSummary.from_dict(done.result)


def _crew(cluster: session.Cluster, options: PartOptions, job: PartJob, parts: int) -> working.Crew:
    from ...annotators import in_process

    loaded = any(in_process(member.annotator) for member in job.options.members)
    threads = job.options.connection.threads if job.options.connection else None
    return working.crew(cluster, options.workers, parts, loaded, threads or 1)


def shared(options: BuildOptions, workers: int) -> BuildOptions:
    """The options with each worker's share of the limits per minute."""
    engine = options.engine or EngineOptions()
    shares = {
        name: value / workers
        for name in ("requests_per_minute", "tokens_per_minute")
        if (value := getattr(engine, name)) is not None
    }
    return replace(options, engine=replace(engine, **shares))


def _shard(job: PartJob, task: PartTask) -> Path:
    return shards.shard_path(job.out, f"part-{task.number:06d}")


@dataclass
class _PartsOf:
    """What a worker does with a part (see `working.spread`)."""

    job: PartJob
    known: Path | None
    ends: float | None
    _maker: tuple[int, PartMaker] | None = field(default=None, init=False)

    def __call__(self, task: PartTask, reporter: Reporter) -> dict[str, Any]:
        left = None if self.ends is None else max(0.001, self.ends - time.time())
        with shards.Shard(_shard(self.job, task), self.known) as journal:
            return self._made().make(replace(task, deadline=left), journal, reporter).as_dict()

    def _made(self) -> PartMaker:
        from ..parts.part import PartMaker

        # The corpus's store is a file that only the thread that opened it may read.
        thread = threading.get_ident()
        if self._maker is None or self._maker[0] != thread:
            self._maker = (thread, PartMaker(self.job))
        return self._maker[1]
