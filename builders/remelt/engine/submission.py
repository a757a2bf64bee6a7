"""Batches on their way to the server: written down first, created once, found again after a crash."""

from __future__ import annotations

import asyncio
import random
import time
from array import array
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..batch_log import CREATING, BatchLog, BatchRecord
from ..errors import AnnotatorError, TransientError
from ..protocols import BatchAnnotator, BatchState
from .batch_rows import OpenBatch
from .drafts import Draft
from .options import EngineOptions
from .stats import Stats, Stop

T = TypeVar("T")


class Submission:
    """Sends batches and finds those that were sent.

    Attributes:
        last_answer: monotonic time of the server's last answer.
    """

    def __init__(
        self, annotator: BatchAnnotator, log: BatchLog, options: EngineOptions, stats: Stats, stop: Stop
    ) -> None:
        self._annotator, self._log, self._options = annotator, log, options
        self._stats, self._stop = stats, stop
        self.last_answer = time.monotonic()

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Calls until the server answers; None where the run is to end before."""
        failed = 0
        while not self._stop.asked:
            try:
                found = await call()
            except TransientError as error:
                failed += 1
                await self.wait(error, failed)
                continue
            self.last_answer = time.monotonic()
            return found
        return None

    async def wait(self, error: TransientError, failed: int) -> None:
        """Waits before the next try; ends the run when the server has been silent for too long."""
        self._stats.throttled += error.throttled
        self._stats.failed_tries += not error.throttled
        self.check_outage(error)
        pause = min(self._options.longest_wait, self._options.wait * 2 ** min(failed - 1, 20))
        await self._stop.sleep(max(pause * random.uniform(0.5, 1), error.retry_after or 0.0))

    def check_outage(self, error: TransientError) -> None:
        if time.monotonic() - self.last_answer > self._options.outage:
            self._stop.ask(f"no answer for {self._options.outage:.0f} s; the last error: {error}")

    async def send(self, draft: Draft) -> tuple[OpenBatch, BatchState] | None:
        """Uploads a file and creates its batch, exactly once; None where the run is to end before.

        Raises:
            AnnotatorError: the server takes no batch like this one.
        """
        who = (self._annotator.name, self._annotator.model, self._annotator.endpoint)
        number = self._log.begin(who, draft.mark, draft.asked, draft.tokens, draft.bound)
        try:
            file = await self.patiently(lambda: self._annotator.upload(draft.path, draft.mark))
        except AnnotatorError as error:
            self._log.abandon(number, str(error))
            raise
        if file is None:
            return None
        self._log.uploaded(number, file)
        state = await self._create(number, file, draft.mark)
        if state is None:
            return None
        if not state.id:
            self._log.abandon(number, state.detail)
        else:
            self._log.update(number, state)
        draft.discard()
        count = len(draft.rows)
        batch = OpenBatch(number, draft.mark, state.id, draft.rows, draft.tokens, draft.bound, count, count)
        return batch, state

    async def _create(self, number: int, file: str, mark: str) -> BatchState | None:
        failed, unsure = 0, False
        while not self._stop.asked:
            try:
                state = await self._annotator.find_batch(file, mark) if unsure else None
                unsure = False
                if state is None:
                    state = await self._create_now(number, file, mark)
            except TransientError as error:
                failed += 1
                # Where the answer was lost the batch may exist; it takes a moment to be listed.
                unsure = unsure or not error.throttled
                await self.wait(error, failed)
                if unsure:
                    await self._stop.sleep(self._annotator.batch_options.settle)
                continue
            self.last_answer = time.monotonic()
            return state
        return None

    async def _create_now(self, number: int, file: str, mark: str) -> BatchState:
        try:
            return await self._annotator.create_batch(file, mark)
        except AnnotatorError as error:
            self._log.abandon(number, str(error))
            raise

    async def recover(self) -> dict[int, OpenBatch]:
        """The unfinished batches of earlier runs with this annotator, those included whose id was lost.

        Raises:
            AnnotatorError: the server cannot tell whether a batch was created.
        """
        found = {}
        for record in self._log.unfinished(self._annotator.model, self._annotator.endpoint):
            batch_id = record.id or await self._look_for(record)
            if self._stop.asked:
                break
            if not batch_id:
                self._log.abandon(record.number, "it was never created")
                continue
            rows = array("q", [-1]) * record.rows
            found[record.number] = OpenBatch(
                record.number, record.mark, batch_id, rows, record.tokens, record.bound
            )
        return found

    async def _look_for(self, record: BatchRecord) -> str:
        """The server's id of a batch whose creation was cut short; empty where it was never created."""
        if record.status != CREATING or not record.file:
            return ""
        settled = record.touched + self._annotator.batch_options.settle
        while not self._stop.asked:
            state = await self.patiently(lambda: self._find(record))
            if state is not None and state.id:
                self._log.update(record.number, state)
                self._annotator.notices.append(f"Batch {state.id} of an earlier run was found at the server")
                return state.id
            if (left := settled - time.time()) <= 0:
                break
            await self._stop.sleep(min(left, 1.0))
        return ""

    async def _find(self, record: BatchRecord) -> BatchState:
        """Like `find_batch`, with an empty state for none: None is what a stopped call returns."""
        return await self._annotator.find_batch(record.file, record.mark) or BatchState("", "")

    async def look(self, batch: OpenBatch) -> BatchState | None:
        """How a batch stands; None where the server does not say it now."""
        try:
            state = await self._annotator.batch(batch.id)
        except TransientError as error:
            self._stats.throttled += error.throttled
            self._stats.failed_tries += not error.throttled
            self.check_outage(error)
            return None
        self.last_answer = time.monotonic()
        seen = (state.status, state.completed, state.failed)
        if seen != batch.seen:
            batch.seen = seen
            self._log.update(batch.number, state)
        return state

    async def look_at_all(self, batches: list[OpenBatch]) -> list[tuple[OpenBatch, BatchState]]:
        """The states that the server tells, all asked for at once."""
        states = await asyncio.gather(*(self.look(batch) for batch in batches))
        return [(b, s) for b, s in zip(batches, states, strict=True) if s is not None]
