"""The batch way: the same requests in and annotations out, by way of files and within a day.

Rows that nobody has answered are put on disk, written into files that fit the server's limits, and sent as
batches; each batch is in the journal before the server hears of it. Ended batches are read row by row: what
is missing, failed or unusable goes into the next batch. A run may end at any moment; the batches go on at
the server, and the next run finds them.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator
from itertools import islice
from pathlib import Path

from ..batch_log import BatchLog
from ..errors import AnnotatorError, Interrupted
from ..journal import Journal
from ..protocols import BatchAnnotator, BatchState, Check, Conversation
from ..records import Annotation, Request
from .batch_rows import OpenBatch, Rows
from .collection import Collection
from .drafts import Drafter
from .options import EngineOptions
from .stats import Stats, Stop
from .submission import Submission

_LOOKUP = 256
_GROWTH = 1.5
_LONGEST_HOLD = 10
# How many runs of this process use a folder; the lock on OUT keeps other processes out.
_runs: Counter[Path] = Counter()


async def annotate_in_batches(
    requests: Iterable[Request],
    annotator: BatchAnnotator,
    journal: Journal,
    check: Check,
    conversation: Conversation,
    options: EngineOptions,
    stats: Stats,
    stop: Stop,
) -> AsyncGenerator[Annotation, None]:
    """Annotates requests in batches; takes and gives what `engine.annotate` does.

    Of the options, `retries`, `tries`, `wait`, `longest_wait`, `outage`, `budget`, `max_rows` and `deadline`
    (seconds after which the run leaves its batches to the server) hold here too.

    Args:
        requests: read one by one; those that must be asked are kept on disk beside the journal.
        annotator: a started batch annotator.
        journal: looked up before anything is asked; committed to before anything is yielded.
        check: judges a reply.
        conversation: the messages to send, given the earlier replies.
        options: see `EngineOptions`.
        stats: counts as the run goes.
        stop: ends the run when asked to, without waiting for the batches.

    Raises:
        Interrupted: stopped before the end; the next run goes on with the batches under way.
        AnnotatorError: no batch can succeed.
        InputError: there is a budget, but no price.
    """
    folder = journal.path.parent / "batches"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # What a killed process left; another annotator of this one may be using the folder.
        for left in (*folder.glob("*.jsonl"), *folder.glob("*.results*")) if not _runs[folder] else ():
            left.unlink()
    except OSError as error:
        raise Interrupted(f"Cannot write to {folder}: {error.strerror}") from error
    rows = Rows(folder, journal, check, options.retries)
    _runs[folder] += 1
    try:
        run = _Run(annotator, journal, rows, conversation, options, stats, stop)
        async with contextlib.aclosing(run.annotations(requests)) as annotations:
            async for annotation in annotations:
                yield annotation
    finally:
        _runs[folder] -= 1
        rows.close()


class _Run:
    def __init__(
        self,
        annotator: BatchAnnotator,
        journal: Journal,
        rows: Rows,
        conversation: Conversation,
        options: EngineOptions,
        stats: Stats,
        stop: Stop,
    ) -> None:
        self.annotator, self.journal, self.rows = annotator, journal, rows
        self.options, self.stats, self.stop = options, stats, stop
        self.log = BatchLog(journal)
        self.drafter = Drafter(journal.path.parent / "batches", annotator, rows, conversation, options)
        self.submission = Submission(annotator, self.log, options, stats, stop)
        self.collection = Collection(annotator, self.submission, journal, rows, options, stats, stop)
        self.open: dict[int, OpenBatch] = {}
        self.begun = time.monotonic()
        self.pause = annotator.batch_options.poll
        self.hold, self.holds = 0.0, 0

    async def annotations(self, requests: Iterable[Request]) -> AsyncGenerator[Annotation, None]:
        self.open = await self.submission.recover()
        for annotation in self._read(requests):
            yield annotation
        self._let_go()
        while (self.rows.waiting or self.open) and not self.stop.asked:
            await self._submit()
            self._count()
            if self.stop.asked or self._late():
                break
            if not self.open:
                await self._nothing_under_way()
                continue
            for batch, state in await self._ended():
                async with contextlib.aclosing(self._collect(batch, state)) as annotations:
                    async for annotation in annotations:
                        yield annotation
                self._count()
        if self.stop.asked:
            raise Interrupted(self.stop.reason + self._under_way())

    # -- what there is to do ------------------------------------------------------------------------

    def _read(self, requests: Iterable[Request]) -> Iterator[Annotation]:
        """Sorts the requests: answered before, in a batch under way, or to be asked."""
        source = iter(requests)
        numbers = list(self.open)
        while not self.stop.asked and (group := list(islice(source, _LOOKUP))):
            places = self.log.find([request.key for request in group], numbers) if numbers else {}
            for request, history in zip(group, self.rows.histories(group), strict=True):
                number, line, attempt = places.get(request.key, (0, 0, 0))
                if number:
                    self.open[number].met += 1
                if self.rows.finished(history):
                    annotation = Annotation(
                        request, tuple(r for r, _ in history), tuple(v for _, v in history)
                    )
                    self.stats.count(annotation, True)
                    yield annotation
                    continue
                row = self.rows.add(request)
                if number and attempt == len(history):
                    batch = self.open[number]
                    batch.rows[line - 1] = row
                    batch.wanted += 1
                else:
                    self.rows.fresh.append(row)

    def _let_go(self) -> None:
        """Waits for no batch in which nothing is wanted."""
        for batch in [b for b in self.open.values() if not b.wanted]:
            del self.open[batch.number]
            if batch.whole:
                self.log.finish(batch.number)
            else:
                self.annotator.notices.append(
                    f"Batch {batch.id} of an earlier run holds other requests than these; it is left alone"
                )

    # -- sending ------------------------------------------------------------------------------------

    async def _submit(self) -> None:
        """Sends batches as long as there are rows and room."""
        while not self.stop.asked and time.monotonic() >= self.hold:
            draft = self.drafter.next(self.journal, self.log, list(self.open.values()))
            if draft is None:
                return
            sent = await self.submission.send(draft)
            if sent is None:
                return
            batch, state = sent
            if state.full:
                self.rows.again.extend(batch.rows)
                self._no_room(batch, state)
                continue
            self.stats.asked += len(batch.rows)
            self.open[batch.number] = batch
            self.pause = self.annotator.batch_options.poll
            self._count()

    def _no_room(self, batch: OpenBatch, state: BatchState) -> None:
        """The server has no room for a batch: later, and smaller ones."""
        self.drafter.refused(batch.tokens, sum(b.tokens for b in self.open.values()), state.limit)
        notice = f"The server takes no more for now ({state.detail}); the rows go later"
        if notice not in self.annotator.notices:
            self.annotator.notices.append(notice)
        poll = self.annotator.batch_options
        longest = _LONGEST_HOLD * poll.longest_poll
        self.hold = time.monotonic() + min(longest, poll.poll * 2 ** min(self.holds, 30))
        self.holds += 1

    async def _nothing_under_way(self) -> None:
        """Waits for the server to have room, or ends a run that may send nothing more."""
        if (left := self.hold - time.monotonic()) > 0:
            await self.stop.sleep(left)
        elif self.drafter.why == "budget":
            self.stop.ask(
                f"the next row might pass the budget of ${self.options.budget:g}, of which "
                f"${self.journal.spent():.4f} is spent (--budget)"
            )
        elif self.drafter.why == "rows":
            self.stop.ask(f"{self.drafter.begun:,} rows were asked, as many as --max-rows allows")

    # -- waiting ------------------------------------------------------------------------------------

    def _late(self) -> bool:
        if (left := self._left()) > 0:
            return False
        self.stop.ask(f"the deadline has passed by {-left:.0f} s")
        return True

    def _left(self) -> float:
        if self.options.deadline is None:
            return float("inf")
        return self.begun + self.options.deadline - time.monotonic()

    async def _ended(self) -> list[tuple[OpenBatch, BatchState]]:
        """Waits, looks at every batch, and returns those that have ended."""
        await self.stop.sleep(max(0.0, min(self.pause, self._left())))
        if self.stop.asked:
            return []
        self.pause = min(self.annotator.batch_options.longest_poll, self.pause * _GROWTH)
        states = await self.submission.look_at_all(list(self.open.values()))
        self.stats.batch_rows = sum(s.completed + s.failed for _, s in states)
        return [(batch, state) for batch, state in states if state.ended]

    async def _collect(self, batch: OpenBatch, state: BatchState) -> AsyncGenerator[Annotation, None]:
        self.pause = self.annotator.batch_options.poll
        if state.hopeless:
            self.log.finish(batch.number)
            raise AnnotatorError(state.hopeless)
        if state.full:
            del self.open[batch.number]
            for row in batch.rows:
                if row >= 0:
                    self.rows.ask_again(row)
            self._no_room(batch, state)
            self.log.finish(batch.number)
            return
        self.hold, self.holds = 0.0, 0
        async with contextlib.aclosing(self.collection.collect(batch, state)) as annotations:
            async for annotation in annotations:
                yield annotation
        if not self.stop.asked:
            del self.open[batch.number]

    # -- telling ------------------------------------------------------------------------------------

    def _count(self) -> None:
        self.stats.batches = len(self.open)
        self.stats.in_flight = sum(batch.wanted for batch in self.open.values())
        self.stats.peak = max(self.stats.peak, self.stats.in_flight)

    def _under_way(self) -> str:
        """What becomes of the batches, as the end of a sentence."""
        count = len(self.log.unfinished(self.annotator.model, self.annotator.endpoint))
        if not count:
            return ""
        out: Path = self.journal.path.parent.parent
        go = "1 batch goes" if count == 1 else f"{count} batches go"
        return (
            f"; {go} on at the server and the same command fetches the answers "
            f"(`remelt batches {out}` lists and cancels)"
        )
