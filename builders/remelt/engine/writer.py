"""Replies on their way into the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..journal import Journal
from ..records import Reply, Request

Then = Callable[[bool], None]
_MOST = 256
_APART = 0.005


class Writer:
    """Commits replies in groups.

    A commit starts at once where the last one began some milliseconds ago; otherwise whatever arrives until
    then, or during a longer commit, is the next group, of at most 256. Nobody need wait for it: what is to
    happen after the commit is handed in.

    Args:
        journal: is written by one thread.
        failed: told why a group could not be stored.
        full: told when the disk is full, though the group was stored.
    """

    def __init__(
        self, journal: Journal, failed: Callable[[Exception], None], full: Callable[[], None]
    ) -> None:
        self._journal, self._failed, self._full = journal, failed, full
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="remelt-journal")
        self._waiting: list[tuple[Request, Reply, Then]] = []
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def put(self, request: Request, reply: Reply, then: Then) -> None:
        """Hands in a reply; `then` is called with True once it is durable, with False if it cannot be."""
        self._waiting.append((request, reply, then))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._commit())

    async def keep(self, request: Request, reply: Reply) -> bool:
        """Hands in a reply and waits until it is durable; False if it cannot be."""
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.put(request, reply, lambda done: None if stored.done() else stored.set_result(done))
        return await stored

    async def hold(self, cost: float, final: bool) -> None:
        """See `Journal.hold`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.hold, cost, final)

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            begun = loop.time()
            group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            stored = await self._store([(request, reply) for request, reply, _ in group])
            for _, _, then in group:
                then(stored)
            left = begun + _APART - loop.time()
            if left > 0 and len(self._waiting) < _MOST and not self._closing:
                await asyncio.sleep(left)

    async def _store(self, batch: Sequence[tuple[Request, Reply]]) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.append, batch)
        except Exception as error:  # noqa: BLE001 - whoever waits for the commit must hear of it
            self._failed(error)
            return False
        if self._journal.full:
            self._full()
        return True

    async def flush(self) -> None:
        """Commits what still waits."""
        self._closing = True
        while self._task is not None and not self._task.done():
            await self._task

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=True)
