"""How many requests and tokens may go out: a rate set by hand, and what a server tells of its own."""

from __future__ import annotations

_BURST = 0.25
_OFF_BUCKET = 1.5


class Rate:
    """So many a minute, evenly spread: no minute holds more, but for the last one taken.

    A quarter of a second's worth can be saved up, so that a late wake-up costs nothing. What turns out
    smaller than thought is given back, what turns out larger becomes a debt.
    """

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / (60 + _BURST)
        self._level = 0.0
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until the next one may go."""
        if self._at is not None:
            self._level = min(_BURST * self._rate, self._level + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._level >= -1e-9 else -self._level / self._rate

    def take(self, amount: float) -> None:
        self._level -= amount


class Allowance:
    """What a server says is still allowed, of requests or of tokens.

    Some servers refill all the time (a token bucket: full again after the missing share of a minute), some
    at the end of a window. Which one it is shows in how the time to the reset fits to what is left.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._limit: float | None = None
        self._left: float | None = None
        self._most = 0.0
        self._at = 0.0
        self._full_at: float | None = None
        self._windowed = False

    def told(
        self, limit: float | None, left: float | None, reset: float | None, unseen: float, now: float
    ) -> None:
        """Takes in what the server told.

        Args:
            limit: allowed in one minute.
            left: of them, still allowed.
            reset: seconds until all are allowed again.
            unseen: what was sent since and the server did not know of.
            now: monotonic time.
        """
        if left is None:
            self._left = None
            return
        if limit and reset is not None:
            refilled = (limit - left) * 60 / limit
            self._windowed |= abs(reset - refilled) > max(_OFF_BUCKET, 0.1 * refilled)
        self._limit, self._left, self._at = limit, left - unseen, now
        self._most = max(self._most, left)
        self._full_at = None if reset is None else now + reset

    def wait(self, need: float, now: float) -> float:
        """Seconds until so much is allowed; 0 where nothing is known, or where it would take too long.

        A reset further away than an outage may last (a limit by the day) is left to the refusals.
        """
        if self._left is None:
            return 0.0
        need = min(need, self._limit) if self._limit else need
        rate = self._limit / 60 if self._limit and not self._windowed else 0.0
        missing = need - self._left - rate * (now - self._at)
        if missing <= 1e-9:
            return 0.0
        if rate:
            seconds = missing / rate
        elif self._full_at is None:
            return 0.0
        elif now >= self._full_at:
            # Some let less through at once than their limit for a minute is.
            self._left, self._at, self._full_at = max(self._most, need), now, None
            return 0.0
        else:
            seconds = self._full_at - now
        return seconds if seconds <= self._longest else 0.0

    def take(self, amount: float) -> None:
        if self._left is not None:
            self._left -= amount
