"""The async core: requests in, annotations out, every reply in the journal before it counts.

A pool of workers pulls requests one by one, so one slow request holds nobody else. An answer that the
check refuses is asked again (its own budget, `retries`); a server that cannot answer now is asked again
later (another budget, `tries`); a rate limit pauses everybody and is no attempt at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from ..errors import Interrupted, RemeltError, RequestRejected, TransientError
from ..journal import Journal
from ..protocols import Annotator, Check, Conversation
from ..records import Annotation, Reply, Request, Verdict
from .options import EngineOptions
from .pace import Pace
from .stats import Stats, Stop
from .writer import Writer

_LOOKUP = 256


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
        self.writer = Writer(journal, stop)
        self.pace = Pace(options, stop)
        self.results: asyncio.Queue[Annotation | None] = asyncio.Queue(maxsize=4 * options.concurrency)
        self.failure: RemeltError | None = None

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
            except RemeltError as error:
                self._fail(error)
                return
            if annotation is None:
                return
            self.stats.count(annotation, reused)
            await self.results.put(annotation)

    def _fail(self, error: RemeltError) -> None:
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
