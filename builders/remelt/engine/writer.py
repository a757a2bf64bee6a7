"""Replies on their way into the journal."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from ..errors import RemeltError
from ..journal import Journal
from ..records import Reply, Request
from .stats import Stop


class Writer:
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
            except RemeltError as error:
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
