"""A cap on what a run may cost, kept whatever happens to the requests in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..errors import InputError
from ..records import Estimate, Request

_AHEAD = 1.25


class Budget:
    """Lets a request out only where the cap holds even if everything in flight costs all it can.

    Args:
        cap: US dollars.
        spent: of them, spent before this run.
        hold: stores an amount that counts as spent should this process be killed; called before the amount
            is in flight, and seldom. With True: for the last time.
        at_once: requests in flight at most; so much is held from the start.
    """

    def __init__(
        self, cap: float, spent: float, hold: Callable[[float, bool], Awaitable[None]], at_once: int = 1
    ) -> None:
        self.cap, self.spent = cap, spent
        self._store, self._at_once = hold, at_once
        self._reserved, self._count = 0.0, 0
        self._unstored = 0.0
        self._held = 0.0
        self._holding = asyncio.Lock()
        self._waiting: set[asyncio.Future[None]] = set()

    async def reserve(self, amount: float) -> bool:
        """Sets aside what a request may cost, once there is room; False where there will be none.

        Waits while requests in flight may still turn out cheaper than they could have been.
        """
        while self.spent + self._reserved + amount > self.cap:
            if not self._count:
                return False
            settled = asyncio.get_running_loop().create_future()
            self._waiting.add(settled)
            try:
                await settled
            finally:
                self._waiting.discard(settled)
        self._reserved += amount
        self._count += 1
        try:
            await self._cover(amount)
        except BaseException:
            self.settle(amount, 0.0)
            raise
        return True

    async def _cover(self, amount: float) -> None:
        """Makes sure that all that is reserved is also held in the journal."""
        while self._needed > self._held:
            async with self._holding:
                if (needed := self._needed) <= self._held:
                    return
                most = max(needed, min(self.cap - self.spent, max(self._at_once * amount, needed) * _AHEAD))
                await self._store(most, False)
                self._held = most

    @property
    def _needed(self) -> float:
        return self._reserved + self._unstored

    def settle(self, amount: float, cost: float, stored: bool = True) -> None:
        """A reservation is over.

        Args:
            amount: what was reserved.
            cost: what was spent of it.
            stored: False where the journal could not take the cost in.
        """
        self._count -= 1
        self._reserved = self._reserved - amount if self._count else 0.0
        self.spent += cost
        if not stored:
            self._unstored += cost
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def close(self) -> None:
        """Holds no more than what nobody knows the end of."""
        if self._held:
            await self._store(self._needed, True)

    def over(self, amount: float) -> str:
        """Why no more is sent."""
        return (
            f"the budget of ${self.cap:g} is used up: ${self.spent:.4f} are spent (replies that were lost or "
            f"came without usage counted at their bound) and the next request may cost ${amount:.4f}; "
            "a larger --budget goes on"
        )


def bound(estimate: Estimate, request: Request) -> float:
    """What a request may cost at most, in US dollars.

    Raises:
        InputError: nobody knows; says what to give.
    """
    if estimate.cost is not None:
        return estimate.cost
    if estimate.output_tokens is None:
        what = "an upper limit of the reply: give --max-tokens"
    else:
        what = "its prices: give --prices FILE"
    raise InputError(f"A budget for {request.annotator!r} needs {what} (the model is {request.model!r})")
