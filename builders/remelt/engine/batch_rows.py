"""The rows of a run in batches: which wait, how often each was tried, what was answered; requests on disk."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..journal import Journal
from ..protocols import Check
from ..records import Reply, Request, Verdict
from .spool import Spool

History = tuple[tuple[Reply, Verdict], ...]


def place(line: int, request: Request, attempt: int) -> str:
    """What a line of a batch is called: its number, and enough of the request to know it again."""
    return f"{line}-{attempt}-{request.key[:24]}"


@dataclass(slots=True)
class OpenBatch:
    """A batch under way.

    Attributes:
        number: in the journal.
        mark, id: see `batch_log.BatchRecord`.
        rows: by line, the number of the row; -1 where it is not wanted, or no more.
        tokens, bound: see `batch_log.BatchRecord`.
        wanted: how many rows this run waits for.
        met: how many of its rows are requests of this run, answered before or not.
        seen: what the journal knows of its state.
    """

    number: int
    mark: str
    id: str
    rows: array[int]
    tokens: int
    bound: float
    wanted: int = 0
    met: int = 0
    seen: tuple[str, int, int] = ("", 0, 0)

    @property
    def whole(self) -> bool:
        """Whether nothing in it belongs to another run's requests."""
        return self.met == len(self.rows)

    def take(self, name: str) -> tuple[int, int]:
        """Line and row that an answer's name stands for; the row is -1 where it is unknown or was taken."""
        digits = name.partition("-")[0]
        line = int(digits) if digits.isdecimal() and len(digits) < 10 else 0
        if not 1 <= line <= len(self.rows):
            return 0, -1
        row = self.rows[line - 1]
        self.rows[line - 1] = -1
        return line, row


class Rows:
    """The rows of a run; what is kept of each in memory is a few bytes.

    Args:
        folder: for the requests.
        journal: what was answered.
        check: judges a reply.
        retries: how often an unusable answer is asked again.

    Attributes:
        fresh: rows that nobody was asked about in this run.
        again: rows to be asked again, which go first.
        tries: by row, failed requests for its present attempt.
    """

    def __init__(self, folder: Path, journal: Journal, check: Check, retries: int) -> None:
        self._spool = Spool(folder)
        self._journal, self._check, self._retries = journal, check, retries
        self.fresh: deque[int] = deque()
        self.again: deque[int] = deque()
        self.tries = bytearray()
        self._asked = bytearray()

    @property
    def waiting(self) -> bool:
        return bool(self.fresh or self.again)

    def add(self, request: Request) -> int:
        """Keeps a request; returns the number of its row."""
        self.tries.append(0)
        self._asked.append(0)
        return self._spool.add(request)

    def take_fresh(self) -> int:
        """The next row that nobody was asked about in this run."""
        row = self.fresh.popleft()
        self._asked[row] = 1
        return row

    def ask_again(self, row: int) -> None:
        """A row that got no usable answer waits again; one of an earlier run's batch counts as fresh."""
        if self._asked[row]:
            self.again.append(row)
        else:
            self.fresh.appendleft(row)

    def get(self, row: int) -> Request:
        return self._spool.get(row)

    def histories(self, requests: Sequence[Request]) -> list[History]:
        """The replies to each request, with the verdicts on them."""
        known = self._journal.replies([request.key for request in requests])
        return [tuple((a, self._check(q, a)) for a in known.get(q.key, ())) for q in requests]

    def with_reply(self, history: History, request: Request, reply: Reply) -> History:
        return (*history, (reply, self._check(request, reply)))

    def finished(self, history: History) -> bool:
        """Whether nothing more is asked: a valid answer, or all retries used up."""
        return bool(history) and (history[-1][1].status == "valid" or len(history) > self._retries)

    def failed(self, row: int) -> int:
        """Counts a failed request; returns how many there were for this attempt."""
        self.tries[row] = min(255, self.tries[row] + 1)
        return self.tries[row]

    def close(self) -> None:
        self._spool.close()
