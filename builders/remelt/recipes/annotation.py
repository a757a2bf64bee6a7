"""Runs the engine over a recipe's requests: Ctrl-C, progress, and the order of the corpus kept."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from ..batch_log import BatchLog
from ..engine import EngineOptions, Stats, Stop, annotate, annotate_in_batches
from ..errors import InputError, Interrupted
from ..journal import Journal
from ..protocols import Annotator, BatchAnnotator, Check, Conversation
from ..records import Annotation, Drop, Request
from .reporting import Reporter

T = TypeVar("T")
_LOOK = 1.0
# What asks each run of this process to end; another thread may use it, where no signal reaches the run.
_ends: dict[int, Callable[[str], None]] = {}


@dataclass(frozen=True)
class Work:
    """What one annotator is to do.

    Attributes:
        requests: at most one per utterance.
        check: judges a reply.
        conversation: the messages to send, given the earlier replies.
        options: how requests are sent.
    """

    requests: Sequence[Request]
    annotator: Annotator | BatchAnnotator
    check: Check
    conversation: Conversation
    options: EngineOptions


def run(work: Work, journal: Journal, reporter: Reporter) -> tuple[tuple[Annotation, ...], Stats]:
    """Annotates all requests; the first Ctrl-C waits for what is in flight, the second does not.

    An annotator that works in batches is asked that way; Ctrl-C leaves its batches to the server.

    Returns:
        The annotations in the order of the requests, and what happened.

    Raises:
        Interrupted: stopped before the end; everything answered is in the journal.
        AnnotatorError: no request can succeed.
        InputError: batches of the same model are under way at the server, and this annotator works online.
    """

    async def main() -> tuple[tuple[Annotation, ...], Stats]:
        stop, stats = Stop(), Stats(rows=len(work.requests))
        found: dict[str, Annotation] = {}

        def on_signal(name: str) -> None:
            stop.ask(f"stopped by {name}")
            if stats.in_flight and not stats.batches:
                reporter.notice(
                    f"Stopping: waiting for {stats.in_flight} requests in flight; again to stop at once"
                )

        with signals(on_signal):
            try:
                await carry_out(work, journal, stats, stop, reporter, found)
            except asyncio.CancelledError:
                raise Interrupted("stopped at once; replies in flight were given up") from None
        return in_order(work, found), stats

    return run_loop(main())


def in_order(work: Work, found: Mapping[str, Annotation]) -> tuple[Annotation, ...]:
    """The annotations in the order of the requests."""
    ids = (request.utterance.id for request in work.requests)
    return tuple(found[name] for name in ids if name in found)


async def carry_out(
    work: Work,
    journal: Journal,
    stats: Stats,
    stop: Stop,
    reporter: Reporter,
    found: dict[str, Annotation],
) -> None:
    """Starts an annotator, asks it everything, and closes it.

    Args:
        found: takes the annotations by utterance id as they come, so that none is lost where the run ends
            early.

    Raises:
        Interrupted, AnnotatorError, InputError: see `run`.
    """
    annotator = work.annotator
    common = (journal, work.check, work.conversation, work.options, stats, stop)
    try:
        if isinstance(annotator, BatchAnnotator):
            answers = annotate_in_batches(work.requests, annotator, *common)
        else:
            _refuse_open_batches(annotator, journal)
            answers = annotate(work.requests, annotator, *common)
        await annotator.start()
        _warn(annotator, reporter)
        async with _telling(annotator.notices, stats, reporter) as tell, contextlib.aclosing(answers):
            async for annotation in answers:
                found[annotation.utterance.id] = annotation
                tell()
                reporter.progress(stats)
    finally:
        reporter.annotated(stats)
        await annotator.close()


def _warn(annotator: Annotator | BatchAnnotator, reporter: Reporter) -> None:
    """Says of a model that it is switched off soon, or was, before it is asked anything."""
    from ..annotators.retirement import warning

    told = warning(annotator.model, getattr(annotator, "retires", None))
    if told and not getattr(annotator, "immediate", False):
        reporter.notice(told)


def _refuse_open_batches(annotator: Annotator, journal: Journal) -> None:
    """What waits in batches would be asked, and paid for, once more."""
    left = BatchLog(journal).unfinished(annotator.model, annotator.endpoint)
    if left:
        names = ", ".join(record.id or record.mark for record in left[:3])
        raise InputError(
            f"{annotator.model} has batches that are not done ({names}): go on with --annotator "
            f"{left[0].annotator}, or cancel them with `remelt batches {journal.path.parent.parent} --cancel "
            f"all` and take in what they have brought with --annotator {left[0].annotator} --max-rows 0"
        )


@contextlib.asynccontextmanager
async def _telling(notices: list[str], stats: Stats, reporter: Reporter) -> AsyncIterator[Callable[[], None]]:
    """Gives what passes new notices on; while batches are waited for, it happens by itself."""
    told, seen = 0, (0, 0, 0)

    def tell() -> None:
        nonlocal told
        for notice in notices[told:]:
            reporter.notice(notice)
        told = len(notices)

    async def watch() -> None:
        nonlocal seen
        while True:
            await asyncio.sleep(_LOOK)
            tell()
            now = (stats.batches, stats.in_flight, stats.batch_rows)
            if stats.batches and now != seen:
                seen = now
                reporter.progress(stats)

    watching = asyncio.create_task(watch())
    try:
        yield tell
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        tell()


@contextlib.contextmanager
def signals(asked: Callable[[str], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM asks the run to end, with its name; the second cancels it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    seen = False

    def on_signal(name: str) -> None:
        nonlocal seen
        if seen and task is not None:
            task.cancel()
            return
        seen = True
        asked(name)

    def end(name: str) -> None:
        loop.call_soon_threadsafe(on_signal, name)

    caught = []
    _ends[id(on_signal)] = end
    if threading.current_thread() is threading.main_thread():
        for sign in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(sign, on_signal, sign.name)
                caught.append(sign)
    try:
        yield
    finally:
        _ends.pop(id(on_signal), None)
        for sign in caught:
            loop.remove_signal_handler(sign)


def stop_runs(name: str) -> None:
    """Asks every run of this process to end, from another thread; each is asked once."""
    for run in tuple(_ends):
        if (end := _ends.pop(run, None)) is not None:
            # One that has ended meanwhile has no loop any more.
            with contextlib.suppress(RuntimeError):
                end(name)


def run_loop(main: Coroutine[Any, Any, T]) -> T:
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
