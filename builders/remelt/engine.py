"""The async core: requests in, annotations out, every reply in the journal before it counts.

A pool of workers pulls requests one by one, so one slow request holds nobody else. An answer that the
check refuses is asked again (its own budget, `retries`); a server that cannot answer now is asked again
later (another budget, `tries`); a rate limit pauses everybody and is no attempt at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

from .errors import InputError, Interrupted, RequestRejected, TransientError
from .journal import Journal
from .protocols import Annotator, Check, Conversation
from .records import Annotation, Reply, Request, Verdict

log = logging.getLogger(__name__)

_LOOKUP = 256


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How requests are sent.

    Attributes:
        concurrency: requests in flight at most.
        retries: how often an unusable answer is asked again, with what was wrong.
        tries: requests per answer where the server fails (5xx, timeout, dropped connection).
        wait: seconds before the second try; doubles each time, with jitter.
        longest_wait: upper limit of one wait in seconds.
        outage: seconds without any reply after which the run stops (and can be resumed).
    """

    concurrency: int = 8
    retries: int = 2
    tries: int = 6
    wait: float = 0.5
    longest_wait: float = 60.0
    outage: float = 600.0

    def __post_init__(self) -> None:
        for name, low in (("concurrency", 1), ("retries", 0), ("tries", 1)):
            if getattr(self, name) < low:
                raise InputError(f"Bad {name} {getattr(self, name)!r}, expected a whole number from {low}")


@dataclass(slots=True)
class Stats:
    """What happened so far; the progress display and the summary read it.

    Attributes:
        rows: utterances to annotate in this run.
        done: annotated, in this run or found in the journal.
        reused: utterances whose replies were all in the journal.
        asked: requests that were sent.
        cost: US dollars, of replies with a known price.
    """

    rows: int = 0
    done: int = 0
    valid: int = 0
    quarantined: int = 0
    reused: int = 0
    asked: int = 0
    throttled: int = 0
    failed_tries: int = 0
    in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def count(self, annotation: Annotation, reused: bool) -> None:
        self.done += 1
        self.reused += reused
        if annotation.verdict.status == "valid":
            self.valid += 1
        else:
            self.quarantined += 1


class Stop:
    """Asks a run to end cleanly: nothing new is asked, what is in flight is waited for."""

    def __init__(self) -> None:
        self.reason = ""
        self._event = asyncio.Event()

    @property
    def asked(self) -> bool:
        return bool(self.reason)

    def ask(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._event.set()

    async def sleep(self, seconds: float) -> None:
        """Sleeps, but no longer than until the run is asked to stop."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)


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
        Interrupted: stopped before the end (asked to, an outage, a full disk); can be resumed.
        AnnotatorError: no request can succeed.
    """
    run = _Run(annotator, journal, check, conversation, options, stats, stop)
    async for annotation in run.annotations(_with_replies(requests, journal)):
        yield annotation


def _with_replies(
    requests: Iterable[Request], journal: Journal
) -> Iterator[tuple[Request, str, tuple[Reply, ...]]]:
    source = iter(requests)
    while part := list(islice(source, _LOOKUP)):
        keys = [request.key for request in part]
        known = journal.replies(keys)
        for request, key in zip(part, keys, strict=True):
            yield request, key, known.get(key, ())


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
        self.annotator, self.check, self.conversation = annotator, check, conversation
        self.options, self.stats, self.stop = options, stats, stop
        self.writer = _Writer(journal, stop)
        self.pace = _Pace(options, stop)
        self.results: asyncio.Queue[Annotation | None] = asyncio.Queue(maxsize=4 * options.concurrency)
        self.failure: Exception | None = None

    async def annotations(
        self, source: Iterator[tuple[Request, str, tuple[Reply, ...]]]
    ) -> AsyncGenerator[Annotation, None]:
        workers = asyncio.gather(*(self._work(source) for _ in range(self.options.concurrency)))
        finished = asyncio.ensure_future(self._finish(workers))
        try:
            while (annotation := await self.results.get()) is not None:
                yield annotation
            await finished
        finally:
            workers.cancel()
            await asyncio.gather(finished, return_exceptions=True)
            await self.writer.close()
        if self.failure is not None:
            raise self.failure
        if self.stop.asked:
            raise Interrupted(self.stop.reason)

    async def _finish(self, workers: asyncio.Future[list[None]]) -> None:
        try:
            await workers
        finally:
            if not workers.cancelled():
                await self.results.put(None)

    async def _work(self, source: Iterator[tuple[Request, str, tuple[Reply, ...]]]) -> None:
        while not self.stop.asked:
            item = next(source, None)
            if item is None:
                return
            try:
                annotation, reused = await self._annotate(*item)
            except Exception as error:  # noqa: BLE001 - whatever it is, the replies in flight are paid for
                self._fail(error)
                return
            if annotation is None:
                return
            self.stats.count(annotation, reused)
            await self.results.put(annotation)

    def _fail(self, error: Exception) -> None:
        """The run ends, but first the others store what they are waiting for."""
        self.failure = self.failure or error
        self.stop.ask(str(error))

    async def _annotate(
        self, request: Request, key: str, known: tuple[Reply, ...]
    ) -> tuple[Annotation | None, bool]:
        history = tuple((reply, self.check(request, reply)) for reply in known)
        while not history or (history[-1][1].status != "valid" and len(history) <= self.options.retries):
            if self.stop.asked:
                return None, False
            reply, rejected = await self._ask(request, key, history)
            if reply is None:
                return None, False
            await self.writer.put(request, reply)
            if rejected and history:
                # The earlier unusable answer stays the last word: there is no better one to be had.
                break
            history = (*history, (reply, self.check(request, reply)))
            if reply.failure == "error":
                break
        # Replies beyond the present number of retries stay part of the record, none is hidden.
        annotation = Annotation(request, tuple(r for r, _ in history), tuple(v for _, v in history))
        return annotation, len(history) == len(known)

    async def _ask(
        self, request: Request, key: str, history: tuple[tuple[Reply, Verdict], ...]
    ) -> tuple[Reply | None, bool]:
        """One answer, or a failed reply; True beside it when the annotator refuses this request for good."""
        attempt = len(history)
        messages = self.conversation(request, history)
        sent, failed = 0, 0
        while True:
            await self.pace.ready()
            if self.stop.asked:
                return None, False
            sent += 1
            self.stats.asked += 1
            self.stats.in_flight += 1
            try:
                reply = await self.annotator.answer(request, messages, attempt)
            except RequestRejected as error:
                return _failed(request, key, attempt, str(error), sent), True
            except TransientError as error:
                if error.throttled:
                    self.stats.throttled += 1
                    self.pace.throttled(error.retry_after)
                    continue
                failed += 1
                self.stats.failed_tries += 1
                if failed >= self.options.tries:
                    self.pace.exhausted(str(error))
                    return _failed(request, key, attempt, f"{error} ({failed} tries)", sent), False
                await self.pace.back_off(failed, error.retry_after)
                continue
            finally:
                self.stats.in_flight -= 1
            self.pace.answered()
            self._count(reply)
            return replace(reply, request_key=key, tries=sent - 1 + reply.tries), False

    def _count(self, reply: Reply) -> None:
        self.stats.input_tokens += reply.input_tokens or 0
        self.stats.output_tokens += reply.output_tokens or 0
        self.stats.cost += reply.cost or 0.0


class _Pace:
    """When the next request may go out: pauses after a rate limit, and gives up on a dead server."""

    def __init__(self, options: EngineOptions, stop: Stop) -> None:
        self._options, self._stop = options, stop
        self._resume = 0.0
        self._pauses = 0
        self._lost_rows = 0
        self._last_answer = time.monotonic()

    async def ready(self) -> None:
        while not self._stop.asked and (left := self._resume - time.monotonic()) > 0:
            await self._stop.sleep(left)

    def throttled(self, retry_after: float | None) -> None:
        """A rate limit slows everybody down: as long as the server says, else a growing pause."""
        now = time.monotonic()
        if now - self._last_answer > self._options.outage:
            self._stop.ask(f"the server answered nothing but rate limits for {self._options.outage:.0f} s")
        if now < self._resume and retry_after is None:
            return
        pause = retry_after
        if pause is None:
            pause = min(self._options.longest_wait, self._options.wait * 2**self._pauses) * random.uniform(
                0.75, 1
            )
            self._pauses += 1
        self._resume = max(self._resume, now + min(pause, self._options.outage))

    async def back_off(self, failed: int, retry_after: float | None) -> None:
        pause = min(self._options.longest_wait, self._options.wait * 2 ** (failed - 1)) * random.uniform(
            0.5, 1
        )
        await self._stop.sleep(max(pause, min(retry_after or 0.0, self._options.outage)))

    def exhausted(self, message: str) -> None:
        self._lost_rows += 1
        if self._lost_rows >= max(10, 2 * self._options.concurrency):
            self._stop.ask(f"{self._lost_rows} rows in a row got no answer; the last error: {message}")

    def answered(self) -> None:
        self._lost_rows = 0
        self._pauses = 0
        self._last_answer = time.monotonic()


class _Writer:
    """Commits replies in groups: whatever arrives during one commit is the next group."""

    def __init__(self, journal: Journal, stop: Stop) -> None:
        self._journal, self._stop = journal, stop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="remelt-journal")
        self._waiting: list[tuple[Request, Reply]] = []
        self._committed: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def put(self, request: Request, reply: Reply) -> None:
        """Returns when the reply is durable."""
        if self._committed is None:
            self._committed = asyncio.get_running_loop().create_future()
        self._waiting.append((request, reply))
        committed = self._committed
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._commit())
        await asyncio.shield(committed)

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            committed, self._committed = self._committed, None
            assert committed is not None
            try:
                await loop.run_in_executor(self._thread, self._journal.append, batch)
            except Exception as error:  # noqa: BLE001 - whoever waits for the commit must hear of it
                committed.set_exception(error)
                committed.exception()
                continue
            committed.set_result(None)
            if self._journal.full:
                self._stop.ask("the disk is full; the replies in flight were still stored")

    async def close(self) -> None:
        """Commits what still waits."""
        if self._task is not None:
            await self._task
        self._thread.shutdown(wait=True)


def _failed(request: Request, key: str, attempt: int, detail: str, tries: int) -> Reply:
    return Reply(
        request_key=key,
        utterance_id=request.utterance.id,
        attempt=attempt,
        raw="",
        model=request.model,
        means="",
        failure="error",
        detail=detail,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        tries=tries,
    )
