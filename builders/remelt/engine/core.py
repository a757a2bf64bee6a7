"""The async core: requests in, annotations out, every reply in the journal before it counts.

A pool of workers pulls requests one by one, so one slow request holds nobody else. An answer that the
check refuses is asked again (its own budget, `retries`); a server that cannot answer now is asked again
later (another budget, `tries`); a rate limit pauses everybody and is no attempt at all. A worker does not
wait for the journal: the row is handed on once its last reply is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from itertools import islice

from ..errors import Interrupted, RemeltError
from ..journal import Journal
from ..protocols import Annotator, Check, Conversation
from ..records import Annotation, Reply, Request, Verdict
from .budget import Budget
from .options import EngineOptions
from .sending import Sender, Sent
from .stats import Stats, Stop
from .writer import Writer

_LOOKUP = 128
_ROOM = 64

Item = tuple[Request, str, tuple[Reply, ...]]


async def annotate(
    requests: Iterable[Request],
    annotator: Annotator,
    journal: Journal,
    check: Check,
    conversation: Conversation,
    options: EngineOptions,
    stats: Stats,
    stop: Stop,
) -> AsyncGenerator[Annotation, None]:
    """Annotates requests and yields them in completion order.

    Args:
        requests: read as workers get free, never all at once.
        annotator: a started annotator.
        journal: looked up before anything is asked; committed to before anything is yielded.
        check: judges a reply.
        conversation: the messages to send, given the earlier replies.
        options: see `EngineOptions`.
        stats: counts as the run goes.
        stop: ends the run cleanly when asked to.

    Raises:
        Interrupted: stopped before the end (asked to, an outage, a full disk, the budget, `max_rows`, the
            deadline); can be resumed.
        AnnotatorError: no request can succeed.
        InputError: there is a budget, and nobody knows what a request may cost.
    """
    run = _Run(annotator, journal, check, conversation, options, stats, stop)
    async with contextlib.aclosing(run.annotations(_with_replies(requests, journal))) as found:
        async for annotation in found:
            yield annotation


def _with_replies(requests: Iterable[Request], journal: Journal) -> Iterator[Item]:
    source = iter(requests)
    while part := list(islice(source, _LOOKUP)):
        keys = [request.key for request in part]
        known = journal.replies(keys)
        for request, key in zip(part, keys, strict=True):
            yield request, key, known.get(key, ())


class _Room:
    """So many places; those who find none wait in line."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._line: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        while not self._places:
            turn = asyncio.get_running_loop().create_future()
            self._line.append(turn)
            await turn
        self._places -= 1

    def give(self) -> None:
        self._places += 1
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                break


class _Run:
    def __init__(
        self,
        annotator: Annotator,
        journal: Journal,
        check: Check,
        conversation: Conversation,
        options: EngineOptions,
        stats: Stats,
        stop: Stop,
    ) -> None:
        self.check, self.conversation = check, conversation
        self.options, self.stats, self.stop = options, stats, stop
        self.writer = Writer(journal, self._fail, self._full)
        self.budget: Budget | None = None
        if options.budget is not None and hasattr(annotator, "estimate"):
            self.budget = Budget(options.budget, journal.spent(), self.writer.hold, options.concurrency)
        self.sender = Sender(annotator, options, stats, stop, self.writer, self.budget)
        # Rows between being read and being yielded, also those that wait for the journal or the reader.
        self.room = _Room(2 * options.concurrency + _ROOM)
        self.results: asyncio.Queue[Annotation | None] = asyncio.Queue()
        self.failure: Exception | None = None
        self.enough = ""
        self.rows_asked = 0

    async def annotations(self, source: Iterator[Item]) -> AsyncGenerator[Annotation, None]:
        self.stats.started = time.monotonic()
        workers = [asyncio.create_task(self._work(source)) for _ in range(self.options.concurrency)]
        driver = asyncio.create_task(self._drive(workers))
        try:
            while (annotation := await self.results.get()) is not None:
                self.room.give()
                yield annotation
        finally:
            for worker in workers:
                worker.cancel()
            # The driver itself is never cancelled: it stores what was answered.
            await asyncio.wait({driver})
            self.stats.finished = time.monotonic()
        driver.result()
        if self.failure is not None:
            raise self.failure
        if reason := self.stop.reason or self.enough:
            raise Interrupted(reason)

    async def _drive(self, workers: list[asyncio.Task[None]]) -> None:
        """Waits for the workers' end and leaves everything that was answered in the journal."""
        late = self.options.deadline
        over = f"the deadline of {(late or 0) / 60:g} minutes has passed"
        timer = None if late is None else asyncio.get_running_loop().call_later(late, self.stop.ask, over)
        try:
            await asyncio.gather(*workers)
        finally:
            if timer is not None:
                timer.cancel()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await self.writer.flush()
            try:
                if self.budget is not None:
                    await self.budget.close()
            except RemeltError as error:
                self._fail(error)
            self.writer.close()
            self.results.put_nowait(None)

    async def _work(self, source: Iterator[Item]) -> None:
        while True:
            await self.room.take()
            if self.stop.asked or self.enough:
                break
            try:
                item = next(source, None)
                if item is None or not await self._annotate(*item):
                    break
            except Exception as error:  # noqa: BLE001 - whatever it is, the replies in flight are paid for
                self._fail(error)
                break
        # The next worker that waits for room sees for itself that nothing is left to do.
        self.room.give()

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error
        self.stop.ask(str(error))

    def _full(self) -> None:
        self.stop.ask("the disk is full; the replies in flight were still stored")

    async def _annotate(self, request: Request, key: str, known: tuple[Reply, ...]) -> bool:
        """Takes one row to its end; False where the run ends before it."""
        history = tuple((reply, self.check(request, reply)) for reply in known)
        if history and not self._goes_on(history):
            self._yield(request, history, reused=True)
            return True
        if self.options.max_rows is not None and self.rows_asked >= self.options.max_rows:
            self.enough = f"{self.rows_asked} rows were asked, no more than --max-rows says"
            return False
        self.rows_asked += 1
        while not self.stop.asked:
            sent = await self.sender.ask(request, key, self.conversation(request, history), len(history))
            if sent is None:
                self.enough = self.enough or self.sender.refused
                return False
            verdict = self.check(request, sent.reply)
            self.stats.count_reply(sent.reply, verdict)
            # Where a repair turn is refused, the earlier unusable answer stays the last word.
            if not (sent.rejected and history):
                history = (*history, (sent.reply, verdict))
            if sent.reply.failure == "error" or not self._goes_on(history):
                self._finish(request, history, sent)
                return True
            stored = await self.writer.keep(request, sent.reply)
            self.sender.stored(sent, stored)
            if not stored:
                return False
        return False

    def _goes_on(self, history: tuple[tuple[Reply, Verdict], ...]) -> bool:
        return history[-1][1].status != "valid" and len(history) <= self.options.retries

    def _finish(self, request: Request, history: tuple[tuple[Reply, Verdict], ...], sent: Sent) -> None:
        """Yields a row as soon as its last reply is durable."""

        def then(stored: bool) -> None:
            self.sender.stored(sent, stored)
            if stored:
                self._yield(request, history, reused=False)
            else:
                self.room.give()

        self.writer.put(request, sent.reply, then)

    def _yield(self, request: Request, history: tuple[tuple[Reply, Verdict], ...], reused: bool) -> None:
        # Replies beyond the present number of retries stay part of the record, none is hidden.
        annotation = Annotation(request, tuple(r for r, _ in history), tuple(v for _, v in history))
        self.stats.count(annotation, reused)
        self.results.put_nowait(annotation)
