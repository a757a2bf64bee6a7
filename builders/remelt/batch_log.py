"""The batches of a build in its journal: which there are, where they stand, and which rows are in them.

A batch is written down before anything is sent, so that a run that was killed at any moment finds it again:
by the server's id where that came back, else by the mark that it was created with.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from .protocols import BatchState

CREATING = "creating"
ABANDONED = "abandoned"
_CHUNK = 500
_COLUMNS = (
    "number", "mark", "id", "file", "annotator", "model", "endpoint", "status", "rows", "tokens", "bound",
    "completed", "failed", "created", "touched", "detail", "done",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM batches"


class Store(Protocol):
    """What is needed of the journal."""

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]: ...

    def query(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One batch as the journal knows it.

    Attributes:
        number: counts up from 1 within a build.
        mark: what the batch is found by at the server where its id did not come back.
        id: the server's id; empty until it is known.
        file: the server's id of the file with the requests; empty until it is known.
        annotator, model, endpoint: who was asked.
        status: creating, abandoned (never made), or as the server said last.
        rows: requests in it.
        tokens: input tokens in it, as estimated.
        bound: US dollars that it can cost at most; 0 where no price is known.
        completed, failed: requests, as the server said last.
        created: UTC time in ISO 8601.
        touched: seconds since 1970 at the last step of its making.
        detail: what the server said of a failure.
        done: whether its answers are in the journal and nothing more is wanted of it.
    """

    number: int
    mark: str
    id: str
    file: str
    annotator: str
    model: str
    endpoint: str
    status: str
    rows: int
    tokens: int
    bound: float
    completed: int
    failed: int
    created: str
    touched: float
    detail: str
    done: bool


class BatchLog:
    """The batches in a journal.

    Args:
        store: the journal.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- writing ------------------------------------------------------------------------------------

    def begin(
        self, who: tuple[str, str, str], mark: str, rows: Iterable[tuple[str, int]], tokens: int, bound: float
    ) -> int:
        """Writes a batch down before it is sent.

        Args:
            who: annotator, model and endpoint.
            mark: see `BatchRecord`.
            rows: request key and attempt of each line, in the file's order.
            tokens: see `BatchRecord`.
            bound: see `BatchRecord`.

        Returns:
            The batch's number.
        """
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        values = (mark, "", "", *who, CREATING, 0, tokens, bound, 0, 0, created, time.time(), "", 0)
        with self._store.transaction() as db:
            number = db.execute(
                f"INSERT INTO batches ({', '.join(_COLUMNS[1:])}) VALUES ({', '.join('?' * len(values))})",
                values,
            ).lastrowid
            assert number is not None
            lines = ((number, line, key, attempt) for line, (key, attempt) in enumerate(rows, 1))
            count = db.executemany("INSERT INTO batch_rows VALUES (?, ?, ?, ?)", lines).rowcount
            db.execute("UPDATE batches SET rows = ? WHERE number = ?", (count, number))
        return number

    def uploaded(self, number: int, file: str) -> None:
        """Keeps the id of the uploaded file, before the batch is created on it."""
        self._update(number, file=file, touched=time.time())

    def update(self, number: int, state: BatchState) -> None:
        """Keeps what the server said."""
        self._update(
            number,
            id=state.id,
            status=state.status,
            completed=state.completed,
            failed=state.failed,
            detail=state.detail,
            **({"created": state.created} if state.created else {}),
        )

    def abandon(self, number: int, detail: str = "") -> None:
        """The server never made this batch, or does not know it any more: its rows are free again."""
        self._update(number, status=ABANDONED, done=1, detail=detail)

    def finish(self, number: int) -> None:
        """All answers of this batch that there are have been dealt with."""
        self._update(number, done=1)

    def _update(self, number: int, **changes: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in changes)
        with self._store.transaction() as db:
            db.execute(f"UPDATE batches SET {names} WHERE number = ?", (*changes.values(), number))

    # -- reading ------------------------------------------------------------------------------------

    def all(self) -> list[BatchRecord]:
        """Every batch, oldest first."""
        return [_record(row) for row in self._store.query(f"{_SELECT} ORDER BY number")]

    def unfinished(self, model: str | None = None, endpoint: str | None = None) -> list[BatchRecord]:
        """The batches that are not done, of one model at one server where they are named."""
        return [
            record
            for record in self.all()
            if not record.done and model in (None, record.model) and endpoint in (None, record.endpoint)
        ]

    def bound(self) -> float:
        """US dollars that all batches that are not done can cost at most."""
        return sum(record.bound for record in self.unfinished())

    def find(self, keys: Sequence[str], numbers: Sequence[int]) -> dict[str, tuple[int, int, int]]:
        """Batch, line and attempt of each of these requests that is in these batches (the latest counts)."""
        found: dict[str, tuple[int, int, int]] = {}
        batches = ",".join(str(number) for number in numbers)
        for start in range(0, len(keys), _CHUNK):
            part = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(part))
            query = (
                "SELECT request_key, batch, line, attempt FROM batch_rows"
                f" WHERE request_key IN ({marks}) AND batch IN ({batches}) ORDER BY batch"
            )
            for key, *place in self._store.query(query, part):
                found[key] = (place[0], place[1], place[2])
        return found


def _record(row: tuple[Any, ...]) -> BatchRecord:
    named = dict(zip(_COLUMNS, row, strict=True))
    return BatchRecord(**{**named, "done": bool(named["done"])})
