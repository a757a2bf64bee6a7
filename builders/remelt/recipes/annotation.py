"""Runs the engine over a recipe's requests: Ctrl-C, progress, and the order of the corpus kept."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ..engine import EngineOptions, Stats, Stop, annotate
from ..errors import Interrupted
from ..journal import Journal
from ..protocols import Annotator, Check, Conversation
from ..records import Annotation, Drop, Request
from .reporting import Reporter

T = TypeVar("T")


def run(
    requests: Sequence[Request],
    annotator: Annotator,
    journal: Journal,
    check: Check,
    conversation: Conversation,
    options: EngineOptions,
    reporter: Reporter,
) -> tuple[tuple[Annotation, ...], Stats]:
    """Annotates all requests; the first Ctrl-C waits for what is in flight, the second does not.

    Returns:
        The annotations in the order of the requests, and what happened.

    Raises:
        Interrupted: stopped before the end; everything answered is in the journal.
        AnnotatorError: no request can succeed.
    """

    async def main() -> tuple[tuple[Annotation, ...], Stats]:
        stop, stats = Stop(), Stats(rows=len(requests))
        place = {request.utterance.id: n for n, request in enumerate(requests)}
        found: list[Annotation | None] = [None] * len(requests)
        with _signals(stop, stats, reporter):
            try:
                await annotator.start()
                told = 0
                answers = annotate(requests, annotator, journal, check, conversation, options, stats, stop)
                async with contextlib.aclosing(answers):
                    async for annotation in answers:
                        found[place[annotation.utterance.id]] = annotation
                        for notice in annotator.notices[told:]:
                            reporter.notice(notice)
                        told = len(annotator.notices)
                        reporter.progress(stats)
            except asyncio.CancelledError:
                raise Interrupted("stopped at once; replies in flight were given up") from None
            finally:
                reporter.annotated(stats)
                await annotator.close()
        return tuple(a for a in found if a is not None), stats

    return _run(main())


@contextlib.contextmanager
def _signals(stop: Stop, stats: Stats, reporter: Reporter) -> Iterator[None]:
    """The first SIGINT or SIGTERM asks the run to end; the second cancels it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def on_signal(name: str) -> None:
        if stop.asked:
            if task is not None:
                task.cancel()
            return
        stop.ask(f"stopped by {name}")
        if stats.in_flight:
            reporter.notice(
                f"Stopping: waiting for {stats.in_flight} requests in flight; again to stop at once"
            )

    caught = []
    if threading.current_thread() is threading.main_thread():
        for sign in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(sign, on_signal, sign.name)
                caught.append(sign)
    try:
        yield
    finally:
        for sign in caught:
            loop.remove_signal_handler(sign)


def _run(main: Coroutine[Any, Any, T]) -> T:
    """asyncio.run, also from inside a notebook, whose thread already runs a loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, main).result()


_REASONS = {"invalid": "invalid_answer", "refused": "refused", "error": "no_answer"}


def quarantined(annotations: Sequence[Annotation]) -> tuple[Drop, ...]:
    """The drops for annotations without a valid answer, with what was wrong at the last attempt."""
    return tuple(
        Drop(a.utterance, "annotation", (_REASONS[a.verdict.status],), ("; ".join(a.verdict.problems),))
        for a in annotations
        if a.verdict.status != "valid"
    )
