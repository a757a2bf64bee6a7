"""Puts waiting jobs of similar length together, for a worker thread that does several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ...errors import AnnotatorError, RemeltError, RequestRejected

# Seconds in which requests that come at the same time find each other before the first batch begins.
_GATHER = 0.01


class OutOfMemory(RemeltError):
    """A batch does not fit into the device's memory."""


class Job(Protocol):
    """What a batcher must know of a job.

    Attributes:
        length: how long it takes, in tokens.
        group: only jobs of one group go together.
    """

    @property
    def length(self) -> int: ...

    @property
    def group(self) -> Hashable: ...


J = TypeVar("J", bound=Job)
R = TypeVar("R")


@dataclass(eq=False)
class _Waiting(Generic[J, R]):
    job: J
    result: asyncio.Future[R] = field(repr=False)


class Batcher(Generic[J, R]):
    """Hands jobs to a worker thread, in batches.

    Args:
        thread: the one thread that works.
        work: does a batch; returns a result for each job.
        size: jobs in a batch at most; halved when a batch does not fit into memory.
        notices: is told of that.

    Attributes:
        size: jobs in a batch at most, at this moment.
    """

    def __init__(
        self,
        thread: ThreadPoolExecutor,
        work: Callable[[Sequence[J]], Sequence[R]],
        size: int,
        notices: list[str],
    ) -> None:
        self._thread, self._work, self.size, self._notices = thread, work, size, notices
        self._waiting: list[_Waiting[J, R]] = []
        self._wake = asyncio.Event()
        self._runner = asyncio.ensure_future(self._run())

    async def do(self, job: J) -> R:
        """Waits for a job's result.

        Raises:
            RequestRejected: the job alone does not fit into memory.
            AnnotatorError: the batcher is closed, or the work failed.
        """
        if self._runner.done():
            raise AnnotatorError("The model is not running (closed, or failed)")
        waiting = _Waiting[J, R](job, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.result

    async def close(self) -> None:
        """Gives up everything that waits; the batch being worked on is not waited for."""
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)
        for waiting in self._waiting:
            waiting.result.cancel()
        self._waiting.clear()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                await asyncio.sleep(_GATHER)
            if not (batch := self._pick()):
                continue
            done = loop.run_in_executor(self._thread, self._work, [w.job for w in batch])
            try:
                await asyncio.wait([done])
            except asyncio.CancelledError:
                for waiting in batch:
                    waiting.result.cancel()
                # Its end is of no interest, and asyncio would complain that nobody looked.
                done.add_done_callback(lambda d: d.cancelled() or d.exception())
                raise
            self._deliver(batch, done)

    def _pick(self) -> list[_Waiting[J, R]]:
        """The job that has waited longest and those of its group that are most like it in length."""
        self._waiting = [w for w in self._waiting if not w.result.done()]
        if not self._waiting:
            return []
        first = self._waiting[0]
        fitting = [w for w in self._waiting if w.job.group == first.job.group]
        fitting.sort(key=lambda w: abs(w.job.length - first.job.length))
        batch = fitting[: self.size]
        self._waiting = [w for w in self._waiting if w not in batch]
        return batch

    def _deliver(self, batch: list[_Waiting[J, R]], done: asyncio.Future[Sequence[R]]) -> None:
        error = done.exception()
        if isinstance(error, OutOfMemory):
            if len(batch) > 1:
                self.size = max(1, len(batch) // 2)
                self._waiting[:0] = batch
                self._notices.append(
                    f"{error}: {len(batch)} at once are too many, {self.size} at once from now"
                )
                return
            error = RequestRejected(f"{error}, even for this request alone")
        for place, waiting in enumerate(batch):
            if waiting.result.done():
                continue
            if error is None:
                waiting.result.set_result(done.result()[place])
            else:
                waiting.result.set_exception(error)
