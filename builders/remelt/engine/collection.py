"""What a batch that has ended brought: every row of it is answered, refused, or asked again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ..batch_log import BatchLog
from ..errors import AnnotatorError, FieldRefused, Interrupted, RequestRejected, TransientError
from ..journal import Journal
from ..protocols import BatchAnnotator, BatchState
from ..records import Annotation, Reply, Request
from .batch_rows import History, OpenBatch, Rows, place
from .options import EngineOptions
from .stats import Stats, Stop
from .submission import Submission

_GROUP = 256
_MOST_BARREN = 3
_FEW = 10


@dataclass(slots=True)
class _Outcome:
    """What became of a batch's rows so far."""

    answered: int = 0
    settled: int = 0
    missing: int = 0
    refused: list[tuple[int, FieldRefused]] = field(default_factory=list)
    fatal: AnnotatorError | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    row: int
    request: Request
    history: History


class Collection:
    """Takes the answers of ended batches in: into the journal first, then out as annotations."""

    def __init__(
        self,
        annotator: BatchAnnotator,
        submission: Submission,
        journal: Journal,
        rows: Rows,
        options: EngineOptions,
        stats: Stats,
        stop: Stop,
    ) -> None:
        self._annotator, self._submission, self._journal = annotator, submission, journal
        self._rows, self._options, self._stats, self._stop = rows, options, stats, stop
        self._log = BatchLog(journal)
        self._folder = journal.path.parent / "batches"
        self._barren = 0

    async def collect(self, batch: OpenBatch, state: BatchState) -> AsyncGenerator[Annotation, None]:
        """Deals with every row of an ended batch.

        Raises:
            AnnotatorError: no batch of this run can succeed; what was answered is in the journal.
        """
        outcome, name = _Outcome(), f"Batch {batch.id}"
        if len(state.bad_lines) >= len(batch.rows) > 1 and not self._taken(outcome):
            self._log.finish(batch.number)
            raise AnnotatorError(f"All {len(batch.rows):,} rows were refused: {state.bad_lines[0][1]}")
        for number, file in enumerate(f for f in (state.output_file, state.error_file) if f):
            path = self._folder / f"{batch.mark}.{number}.results"
            try:
                async for annotation in self._read(batch, file, path, outcome):
                    yield annotation
            except RequestRejected as error:
                self._annotator.notices.append(f"{name}: a file of its answers cannot be had ({error})")
            finally:
                path.unlink(missing_ok=True)
        if self._stop.asked:
            return
        for annotation in self._missing(batch, state, outcome):
            yield annotation
        for annotation in self._refused(batch, outcome):
            yield annotation
        if batch.whole:
            self._log.finish(batch.number)
        if outcome.missing:
            said = f" ({state.detail})" if state.detail else ""
            self._annotator.notices.append(
                f"{name} {state.status} without {outcome.missing:,} of {batch.wanted:,} rows{said}; "
                "they go into the next batch"
            )
        self._judge(batch, state, outcome)

    def _taken(self, outcome: _Outcome) -> bool:
        """Whether the server has taken a request like these: then a refusal is about a row, not about all."""
        return bool(outcome.answered or outcome.fatal or self._stats.replies or self._stats.reused)

    def _judge(self, batch: OpenBatch, state: BatchState, outcome: _Outcome) -> None:
        """Ends a run in which batch after batch brings nothing."""
        if outcome.fatal is not None:
            raise outcome.fatal
        # A few rows that are beyond help must not end the run: they have their own number of tries.
        if outcome.answered or outcome.settled or batch.wanted < _FEW:
            self._barren = 0
            return
        self._barren += 1
        if self._barren >= _MOST_BARREN:
            why = f": {state.detail}" if state.detail else ""
            self._stop.ask(f"{self._barren} batches in a row brought no answer; the last {state.status}{why}")

    async def _read(
        self, batch: OpenBatch, file: str, path: Path, outcome: _Outcome
    ) -> AsyncGenerator[Annotation, None]:
        async def fetch() -> bool:
            await self._annotator.fetch(file, path)
            return True

        if not await self._submission.patiently(fetch):
            return
        for lines in _groups(path):
            for annotation in self._take_in(batch, lines, outcome):
                yield annotation
            await asyncio.sleep(0)
            if self._stop.asked:
                return

    def _take_in(self, batch: OpenBatch, lines: Sequence[bytes], outcome: _Outcome) -> list[Annotation]:
        """Deals with some lines of an answer or error file."""
        found: list[tuple[int, int, str, Any]] = []
        for line in lines:
            name, content = self._annotator.parse(line)
            number, row = batch.take(name)
            if row >= 0:
                found.append((number, row, name, content))
        requests = [self._rows.get(row) for _, row, _, _ in found]
        histories = self._rows.histories(requests)
        replies: list[tuple[Request, Reply]] = []
        finished: list[Annotation] = []
        for (number, row, name, content), request, history in zip(found, requests, histories, strict=True):
            item = _Row(row, request, history)
            if name != place(number, request, len(history)):
                self._again(item, "an answer under another name", replies, finished, outcome)
                continue
            try:
                reply = self._annotator.reply(content, request, len(history))
            except FieldRefused as error:
                outcome.refused.append((row, error))
            except RequestRejected as error:
                self._reject(item, str(error), replies, finished, outcome)
            except TransientError as error:
                self._again(item, str(error), replies, finished, outcome)
            except AnnotatorError as error:
                outcome.fatal = outcome.fatal or error
                outcome.missing += 1
                self._rows.ask_again(row)
            else:
                self._answer(item, reply, replies, finished, outcome)
        self._store(replies)
        return self._counted(finished)

    def _answer(
        self,
        item: _Row,
        reply: Reply,
        replies: list[tuple[Request, Reply]],
        finished: list[Annotation],
        outcome: _Outcome,
    ) -> None:
        tries = self._rows.tries[item.row] + 1
        reply = replace(reply, request_key=item.request.key, tries=tries)
        replies.append((item.request, reply))
        history = self._rows.with_reply(item.history, item.request, reply)
        self._stats.count_reply(*history[-1])
        outcome.answered += 1
        self._rows.tries[item.row] = 0
        if self._rows.finished(history):
            finished.append(_annotation(item.request, history))
        else:
            self._rows.ask_again(item.row)

    def _reject(
        self,
        item: _Row,
        detail: str,
        replies: list[tuple[Request, Reply]],
        finished: list[Annotation],
        outcome: _Outcome,
    ) -> None:
        """The row can never succeed; an earlier unusable answer stays the last word."""
        outcome.settled += 1
        failed = _failed(item, detail, self._rows.tries[item.row] + 1)
        replies.append((item.request, failed))
        history = item.history or self._rows.with_reply((), item.request, failed)
        finished.append(_annotation(item.request, history))

    def _again(
        self,
        item: _Row,
        detail: str,
        replies: list[tuple[Request, Reply]],
        finished: list[Annotation],
        outcome: _Outcome,
    ) -> None:
        """Puts a row into the next batch, unless it has failed too often."""
        self._stats.failed_tries += 1
        tries = self._rows.failed(item.row)
        if tries < self._options.tries:
            outcome.missing += 1
            self._rows.ask_again(item.row)
            return
        failed = _failed(item, f"{detail} ({tries} tries)", tries)
        replies.append((item.request, failed))
        finished.append(_annotation(item.request, self._rows.with_reply(item.history, item.request, failed)))

    def _missing(self, batch: OpenBatch, state: BatchState, outcome: _Outcome) -> Iterator[Annotation]:
        """Deals with the rows that stand in neither file."""
        bad = dict(state.bad_lines)
        left = ((line, row) for line, row in enumerate(batch.rows, 1) if row >= 0)
        reason = f"the batch {state.status} without it"
        while group := list(islice(left, _GROUP)):
            requests = [self._rows.get(row) for _, row in group]
            replies: list[tuple[Request, Reply]] = []
            finished: list[Annotation] = []
            histories = self._rows.histories(requests)
            for (line, row), request, history in zip(group, requests, histories, strict=True):
                item = _Row(row, request, history)
                if line in bad:
                    self._reject(item, bad[line], replies, finished, outcome)
                elif bad:
                    # Another line's fault kept it from being asked: that is no try of its own.
                    outcome.missing += 1
                    self._rows.ask_again(row)
                else:
                    self._again(item, reason, replies, finished, outcome)
            self._store(replies)
            yield from self._counted(finished)

    def _refused(self, batch: OpenBatch, outcome: _Outcome) -> list[Annotation]:
        """Deals with the rows that were refused for one of their fields.

        Raises:
            AnnotatorError: it was all of them, so it will be all of the next batch too.
        """
        refused = outcome.refused
        if refused and len(refused) == batch.wanted and not self._taken(outcome):
            self._log.finish(batch.number)
            error = refused[0][1]
            raise AnnotatorError(f"All {len(refused):,} rows were refused: {error}; {error.advice}")
        replies: list[tuple[Request, Reply]] = []
        finished: list[Annotation] = []
        for row, error in refused:
            request = self._rows.get(row)
            item = _Row(row, request, self._rows.histories([request])[0])
            self._reject(item, str(error), replies, finished, outcome)
        self._store(replies)
        return self._counted(finished)

    def _store(self, replies: list[tuple[Request, Reply]]) -> None:
        if replies:
            self._journal.append(replies)
        if self._journal.full:
            self._stop.ask("the disk is full; the answers read so far were still stored")

    def _counted(self, finished: list[Annotation]) -> list[Annotation]:
        for annotation in finished:
            self._stats.count(annotation, False)
        return finished


def _groups(path: Path) -> Iterator[list[bytes]]:
    try:
        with contextlib.closing(path.open("rb")) as file:
            lines = (line for line in file if line.strip())
            while group := list(islice(lines, _GROUP)):
                yield group
    except OSError as error:
        raise Interrupted(f"Cannot read {path}: {error.strerror}") from error


def _annotation(request: Request, history: History) -> Annotation:
    return Annotation(request, tuple(r for r, _ in history), tuple(v for _, v in history))


def _failed(item: _Row, detail: str, tries: int) -> Reply:
    return Reply(
        request_key=item.request.key,
        utterance_id=item.request.utterance.id,
        attempt=len(item.history),
        raw="",
        model=item.request.model,
        means="",
        failure="error",
        detail=detail,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        tries=tries,
    )
