"""Files of requests for batches, cut by the limits of the server and of the budget."""

from __future__ import annotations

import uuid
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from ..batch_log import BatchLog
from ..errors import InputError, Interrupted
from ..journal import Journal
from ..protocols import BatchAnnotator, Conversation
from ..records import Request
from .batch_rows import OpenBatch, Rows, place
from .options import EngineOptions

_LOOKUP = 256
_MARGIN = 0.9
_SHRINK = 0.8
_SMALL = 0.1


class Draft:
    """A batch's file in the making."""

    def __init__(self, folder: Path) -> None:
        self.mark = f"remelt-{uuid.uuid4().hex}"
        self.path = folder / f"{self.mark}.jsonl"
        self.rows = array("q")
        self.asked: list[tuple[str, int]] = []
        self.size, self.tokens, self.bound = 0, 0, 0.0
        self._file: BinaryIO | None = None

    def add(self, row: int, request: Request, attempt: int, line: bytes) -> None:
        try:
            if self._file is None:
                self._file = self.path.open("wb")
            self._file.write(line)
        except OSError as error:
            raise Interrupted(f"Cannot write {self.path}: {error.strerror}") from error
        self.rows.append(row)
        self.asked.append((request.key, attempt))
        self.size += len(line)

    def close(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise Interrupted(f"Cannot write {self.path}: {error.strerror}") from error

    def discard(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)


class Drafter:
    """Makes the next batch out of the rows that wait.

    Attributes:
        limit: input tokens that may be enqueued at the server; None as long as nobody knows.
        why: what ended the last draft, or kept it from being made: `size`, `tokens`, `budget`, `rows`, or
            empty where all rows are in it.
    """

    def __init__(
        self,
        folder: Path,
        annotator: BatchAnnotator,
        rows: Rows,
        conversation: Conversation,
        options: EngineOptions,
    ) -> None:
        self._folder, self._annotator, self._rows = folder, annotator, rows
        self._conversation, self._options = conversation, options
        self._most = annotator.batch_options
        self.limit: float | None = self._most.enqueued_tokens
        self.begun = 0
        self.why = ""
        self._largest = 0.0

    def next(self, journal: Journal, log: BatchLog, under_way: Sequence[OpenBatch]) -> Draft | None:
        """The next batch's file; None where nothing waits or nothing fits now.

        Raises:
            InputError: there is a budget, but a row's cost is not known.
            Interrupted: the disk is full.
        """
        waiting = sum(batch.tokens for batch in under_way)
        tokens = float("inf") if self.limit is None else self.limit - waiting
        if not under_way:
            tokens = max(tokens, 1.0)
        dollars = float("inf")
        if self._options.budget is not None:
            dollars = self._options.budget - journal.spent() - log.bound()
        draft = Draft(self._folder)
        self._fill(draft, tokens, dollars, alone=not under_way)
        draft.close()
        if not draft.rows:
            return None
        if self.why in ("tokens", "budget") and (under_way or self.why == "budget"):
            # A crumb now would only wait beside the others; it goes with what they leave room for. At the end
            # of a budget each crumb would wait a day for the next, smaller one.
            largest = max((batch.tokens for batch in under_way), default=self._largest)
            if draft.tokens < _SMALL * largest:
                self.put_back(draft)
                return None
        self._largest = max(self._largest, draft.tokens)
        return draft

    def _fill(self, draft: Draft, tokens: float, dollars: float, alone: bool) -> None:
        while group := self._group(len(draft.rows)):
            requests = [self._rows.get(row) for row in group]
            for at, (request, history) in enumerate(
                zip(requests, self._rows.histories(requests), strict=True)
            ):
                messages = self._conversation(request, history)
                estimate = self._annotator.estimate(request, messages)
                name = place(len(draft.rows) + 1, request, len(history))
                line = self._annotator.line(name, request, messages, len(history))
                cost = estimate.cost
                if cost is None and self._options.budget is not None:
                    raise InputError(
                        f"A budget needs the prices of {self._annotator.model} (--prices FILE) and a limit "
                        "on the reply (--max-tokens)"
                    )
                self.why = ""
                if draft.rows and draft.size + len(line) > self._most.bytes:
                    self.why = "size"
                elif draft.bound + (cost or 0.0) > dollars:
                    self.why = "budget"
                elif draft.tokens + estimate.input_tokens > tokens and (draft.rows or not alone):
                    self.why = "tokens"
                if self.why:
                    self._return(group[at:])
                    return
                draft.add(group[at], request, len(history), line)
                draft.tokens += estimate.input_tokens
                draft.bound += cost or 0.0

    def _group(self, filled: int) -> list[int]:
        """The next rows to put in; `why` says what keeps others out."""
        room = min(_LOOKUP, self._most.requests - filled)
        if room <= 0:
            self.why = "size"
            return []
        self.why = ""
        group = [self._rows.again.popleft() for _ in range(min(room, len(self._rows.again)))]
        fresh = min(room - len(group), len(self._rows.fresh))
        if (most := self._options.max_rows) is not None and self.begun + fresh > most:
            fresh, self.why = most - self.begun, "rows"
        self.begun += fresh
        return [*group, *(self._rows.take_fresh() for _ in range(fresh))]

    def _return(self, rows: Sequence[int]) -> None:
        # They count as begun, so they wait with the others that were: the order of the rest is kept.
        self._rows.again.extendleft(reversed(rows))

    def put_back(self, draft: Draft) -> None:
        """Undoes a draft: its rows wait again."""
        draft.discard()
        self._return(draft.rows)

    def refused(self, tokens: int, beside: int, told: int | None) -> None:
        """Learns from a server that had no room for a batch.

        Args:
            tokens: of the refused batch.
            beside: tokens of our other batches at that moment.
            told: the limit, where the server names it.
        """
        known = [limit for limit in (self.limit, told and _MARGIN * told) if limit]
        self.limit = max(1.0, min([*known, _SHRINK * (tokens + beside)]))
