"""Who makes the parts: this process, one after the other, or the workers of a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import Interrupted
from ..reporting import Reporter
from .job import Executor, PartJob, PartTask
from .options import PartOptions
from .part import PartMaker
from .summary import PartSummary

if TYPE_CHECKING:
    from ...journal import Journal


def executor_of(options: PartOptions) -> Executor:
    """The executor that the options ask for.

    Raises:
        InputError: Ray is asked for and not installed.
    """
    if options.engine == "ray":
        from ..cluster.executor import executor

        return executor(options)
    return local


def local(
    job: PartJob, tasks: Sequence[PartTask], journal: Journal, reporter: Reporter
) -> Iterator[PartSummary]:
    """Makes the parts one after the other; see `Executor`."""
    engine = job.options.engine
    most = engine.max_rows if engine else None
    deadline = engine.deadline if engine else None
    begun, asked = time.monotonic(), 0
    with PartMaker(job) as maker:
        for task in tasks:
            left = None if deadline is None else begun + deadline - time.monotonic()
            if left is not None and left <= 0:
                raise Interrupted(f"the deadline of {(deadline or 0) / 60:g} minutes has passed")
            room = None if most is None else most - asked
            try:
                summary = maker.make(replace(task, max_rows=room, deadline=left), journal, reporter)
            except Interrupted as error:
                told = str(error).replace(f"{room} rows were asked, no", f"{most} rows were asked, no")
                if told == str(error):
                    raise
                raise Interrupted(told) from error
            asked += max(own.done - own.reused for own in summary.each.values())
            yield summary
