"""How many requests may be in flight: additive increase, multiplicative decrease."""

from __future__ import annotations

_DECREASE = 0.7
_STEP = 1 / 16
_FEW_FAILURES = 4


class Window:
    """The number of requests that may be in flight, between a floor and a ceiling; starts at the ceiling.

    Each answer adds to it: a sixteenth of the ceiling (at least 1) per round of answers, and a whole one
    each while it is below the size that last went well.
    """

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = float(min(least, most)), float(most)
        self._size = self._safe = self._most
        self._step = max(1.0, _STEP * most)
        self._failures = 0

    @property
    def size(self) -> int:
        return int(self._size)

    def answered(self) -> None:
        self._failures = 0
        if self._size < self._most:
            more = 1.0 if self._size < self._safe else self._step / self._size
            self._size = min(self._most, self._size + more)

    def shrink(self) -> None:
        """Too much for the server."""
        self._size = self._safe = max(self._least, _DECREASE * self._size)

    def collapse(self) -> None:
        """Nobody is answered at all: to the floor, and back up fast once somebody is."""
        self._size = self._least

    def failed(self) -> None:
        """A request failed; a run of failures without an answer between shrinks the window."""
        self._failures += 1
        if self._failures >= max(_FEW_FAILURES, self._size / 2):
            self._failures = 0
            self.shrink()
