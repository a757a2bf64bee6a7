"""When the next request may go out."""

from __future__ import annotations

import random
import time

from .options import EngineOptions
from .stats import Stop


class Pace:
    """When the next request may go out: pauses after a rate limit, and gives up on a dead server."""

    def __init__(self, options: EngineOptions, stop: Stop) -> None:
        self._options, self._stop = options, stop
        self._resume = 0.0
        self._pauses = 0
        self._lost_rows = 0
        self._last_answer = time.monotonic()

    async def ready(self) -> None:
        while not self._stop.asked and (left := self._resume - time.monotonic()) > 0:
            await self._stop.sleep(left)

    def throttled(self, retry_after: float | None) -> None:
        """A rate limit slows everybody down: as long as the server says, else a growing pause."""
        now = time.monotonic()
        if now - self._last_answer > self._options.outage:
            self._stop.ask(f"the server answered nothing but rate limits for {self._options.outage:.0f} s")
        if now < self._resume and retry_after is None:
            return
        pause = retry_after
        if pause is None:
            pause = min(self._options.longest_wait, self._options.wait * 2**self._pauses) * random.uniform(
                0.75, 1
            )
            self._pauses += 1
        self._resume = max(self._resume, now + min(pause, self._options.outage))

    async def back_off(self, failed: int, retry_after: float | None) -> None:
        pause = min(self._options.longest_wait, self._options.wait * 2 ** (failed - 1)) * random.uniform(
            0.5, 1
        )
        await self._stop.sleep(max(pause, min(retry_after or 0.0, self._options.outage)))

    def exhausted(self, message: str) -> None:
        self._lost_rows += 1
        if self._lost_rows >= max(10, 2 * self._options.concurrency):
            self._stop.ask(f"{self._lost_rows} rows in a row got no answer; the last error: {message}")

    def answered(self) -> None:
        self._lost_rows = 0
        self._pauses = 0
        self._last_answer = time.monotonic()
