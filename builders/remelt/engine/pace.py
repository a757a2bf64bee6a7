"""When the next request may go out."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..records import RateLimits
from .limits import Allowance, Rate
from .options import EngineOptions
from .stats import Stats, Stop, wake
from .window import Window

_LONGEST_PAUSE = 5.0
_ONE_MORE_PROBE = 1.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that was let out.

    Attributes:
        number: counts from 1, in the order of sending.
        tokens: reserved for it.
        tokens_before: all tokens reserved up to and with it.
    """

    number: int
    tokens: float
    tokens_before: float


class Pace:
    """When the next request may go out.

    Holds back for four reasons: too many in flight, a pause after a rate limit, a limit set by hand, and a
    limit that the server told. Gives up on a server that answers nothing but rate limits, or nobody.

    Args:
        options: see `EngineOptions`.
        stop: wakes those who wait; asked to stop where the server is given up.
        stats: counts.
        clock: seconds that never go back.
    """

    def __init__(
        self, options: EngineOptions, stop: Stop, stats: Stats, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._options, self._stop, self._stats, self._clock = options, stop, stats, clock
        self._window = Window(options.least_concurrency, options.concurrency)
        self._by_hand_requests = Rate(options.requests_per_minute) if options.requests_per_minute else None
        self._by_hand_tokens = Rate(options.tokens_per_minute) if options.tokens_per_minute else None
        self._requests, self._tokens = Allowance(options.outage), Allowance(options.outage)
        self._limits: RateLimits | None = None
        self._limits_of = 0
        self._sent, self._tokens_sent = 0, 0.0
        self._resume = 0.0
        self._pauses = 0
        self._paused_after = 0
        self._probes = math.inf
        self._lost_rows = 0
        self._trouble: float | None = None
        self._turn = asyncio.Lock()
        self._waker: asyncio.Future[None] | None = None
        stats.window = self._window.size

    @property
    def counts_tokens(self) -> bool:
        """Whether the tokens of a request must be known before it is sent."""
        return self._by_hand_tokens is not None or (
            self._limits is not None and self._limits.tokens_left is not None
        )

    async def enter(self, tokens: float = 0.0) -> Ticket | None:
        """Waits until a request may go out; None where the run is to stop instead.

        Every ticket must be handed to `leave`, and before that to the method that says what came of it.
        """
        # One at a time, first come first served: the others need not look at the clock.
        async with self._turn:
            while not self._stop.asked:
                seconds = self.wait(tokens)
                if seconds <= 0:
                    return self._take(tokens)
                self._waker = asyncio.get_running_loop().create_future()
                await self._stop.sleep(seconds, self._waker)
        return None

    def wait(self, tokens: float = 0.0) -> float:
        """Seconds until a request may go out; infinite while too many are in flight."""
        probing = self._probes < math.inf
        # While probing, the number of probes rules: one that takes long must not hold the next.
        if self._stats.in_flight >= (self._options.concurrency if probing else self._window.size):
            return math.inf
        now = self._clock()
        seconds = self._resume - now
        if seconds <= 0 and probing:
            more = (now - self._resume) // _ONE_MORE_PROBE
            if self._sent - self._paused_after >= self._probes + more:
                seconds = self._resume + (more + 1) * _ONE_MORE_PROBE - now
        if self._by_hand_requests is not None:
            seconds = max(seconds, self._by_hand_requests.wait(now))
        if self._by_hand_tokens is not None:
            seconds = max(seconds, self._by_hand_tokens.wait(now))
        if self._limits is not None:
            seconds = max(seconds, self._requests.wait(1, now), self._tokens.wait(tokens, now))
        return seconds

    def _take(self, tokens: float) -> Ticket:
        self._sent += 1
        self._tokens_sent += tokens
        if self._by_hand_requests is not None:
            self._by_hand_requests.take(1)
        if self._by_hand_tokens is not None:
            self._by_hand_tokens.take(tokens)
        self._requests.take(1)
        self._tokens.take(tokens)
        stats = self._stats
        stats.asked += 1
        stats.in_flight += 1
        stats.peak = max(stats.peak, stats.in_flight)
        return Ticket(self._sent, tokens, self._tokens_sent)

    def leave(self, ticket: Ticket, limits: RateLimits | None = None) -> None:
        """A request is no longer in flight.

        Args:
            limits: what the server told last.
        """
        self._stats.in_flight -= 1
        self._stats.window = self._window.size
        # An answer that comes late tells of an earlier time than what is known already.
        if limits is not None and limits is not self._limits and ticket.number >= self._limits_of:
            self._limits, self._limits_of = limits, ticket.number
            now = self._clock()
            unseen, unseen_tokens = self._sent - ticket.number, self._tokens_sent - ticket.tokens_before
            if ticket.number <= 2 * self._options.concurrency:
                # An annotator may hold the first ones back until one of them has found its way; they then
                # go out in another order.
                unseen = max(unseen, self._stats.in_flight)
            self._requests.told(limits.requests, limits.requests_left, limits.requests_reset, unseen, now)
            self._tokens.told(limits.tokens, limits.tokens_left, limits.tokens_reset, unseen_tokens, now)
        wake(self._waker)

    def answered(self, ticket: Ticket, tokens: int | None) -> None:
        """A request was answered, and took so many tokens (None: nobody counted them)."""
        self._lost_rows, self._trouble = 0, None
        if self._by_hand_tokens is not None and tokens is not None:
            self._by_hand_tokens.take(tokens - ticket.tokens)
        if ticket.number > self._paused_after:
            self._pauses, self._probes = 0, math.inf
            self._window.answered()

    def throttled(self, ticket: Ticket, retry_after: float | None) -> None:
        """A rate limit slows everybody down: as long as the server says, else a growing pause."""
        now = self._clock()
        options = self._options
        self._trouble = now if self._trouble is None else self._trouble
        if now - self._trouble > options.outage:
            self._stop.ask(f"the server answered nothing but rate limits for {options.outage:.0f} s")
        pause = retry_after or 0.0
        if ticket.number > self._paused_after:
            longest = min(_LONGEST_PAUSE, options.longest_wait)
            if retry_after is None or self._pauses:
                # From the second in a row on, what the server said did not help.
                growing = min(longest, options.wait / 4 * 2 ** min(self._pauses, 30))
                pause = max(pause, growing * random.uniform(0.75, 1))
            if self._pauses:
                self._window.collapse()
                self._probes = 1
            else:
                self._window.shrink()
                self._probes = max(1, self._window.size // 4)
            self._pauses += 1
            self._paused_after = self._sent
            self._stats.pauses += 1
        resume = now + min(pause, options.outage)
        if resume > self._resume:
            self._stats.paused += resume - max(now, self._resume)
            self._resume = resume

    def failed(self, ticket: Ticket) -> None:
        """The server failed at a request (5xx, timeout, dropped connection)."""
        if ticket.number > self._paused_after:
            # It told nothing about the rate limit; another may try.
            self._probes += 1
        self._trouble = self._clock() if self._trouble is None else self._trouble
        self._window.failed()

    async def back_off(self, failed: int, retry_after: float | None) -> None:
        """Waits before a request that failed so many times is sent again."""
        options = self._options
        pause = min(options.longest_wait, options.wait * 2 ** (failed - 1)) * random.uniform(0.5, 1)
        await self._stop.sleep(max(pause, min(retry_after or 0.0, options.outage)))

    def exhausted(self, message: str) -> None:
        """A row got no answer in all its tries."""
        options = self._options
        self._lost_rows += 1
        lasts = self._trouble is not None and self._clock() - self._trouble > options.outage
        if self._lost_rows >= max(10, 2 * options.concurrency) or (self._lost_rows >= 3 and lasts):
            self._stop.ask(f"{self._lost_rows} rows in a row got no answer; the last error: {message}")
