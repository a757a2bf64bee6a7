"""Shows the parts of a build as one run."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ...engine import Stats, together
from ..reporting import Reporter
from .summary import PartSummary

_SHOWN_EVERY = 0.1


def one_run(parts: Sequence[Stats]) -> Stats:
    """What happened in several parts as one run; as much was in flight at once as in the busiest of them."""
    whole = together(parts)
    for name in ("window", "peak"):
        setattr(whole, name, max(getattr(part, name) for part in parts))
    return whole


class WholeRun(Reporter):
    """Told of each part, it tells of all of them together; what every part says is passed on once.

    Args:
        reporter: is told.
        rows: of the corpus, in all parts.
        most: rows to annotate at most, counted once for each annotator; None for no limit.
    """

    def __init__(self, reporter: Reporter, rows: int, most: int | None = None) -> None:
        self._reporter, self._rows, self._most = reporter, rows, most
        self._seen = self._wanted = 0
        self._told: set[str] = set()
        self._done: Stats | None = None
        self._now: Stats | None = None
        self._shown = 0.0
        self._begun = time.monotonic()

    def take(self, summary: PartSummary, stats: Stats) -> None:
        """A part is made: `stats` are what its annotators did in this run."""
        self._seen += summary.rows
        self._wanted += stats.rows
        self._now = None
        self._done = one_run([*([self._done] if self._done else []), stats])

    def notice(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._reporter.notice(text)

    def progress(self, stats: Stats) -> None:
        self._now = stats
        now = time.monotonic()
        if now - self._shown >= _SHOWN_EVERY:
            self._shown = now
            self._reporter.progress(self._whole(stats))

    def member(self, name: str, stats: Stats, failure: str) -> None:
        if failure:
            self._reporter.member(name, stats, failure)

    def end(self) -> None:
        """All parts are made, or the run stopped."""
        if self._done is not None or self._now is not None:
            self._reporter.annotated(self._whole(self._now))

    def _whole(self, stats: Stats | None) -> Stats:
        """What was done so far, with the rows to come as far as they can be guessed from those before."""
        whole = one_run([one for one in (self._done, stats) if one is not None])
        whole.started = min(self._begun, whole.started)
        if stats is not None and self._seen:
            # Of the rows of the corpus some are dropped; as many as so far, it is assumed.
            guess = round(self._wanted * self._rows / self._seen)
            whole.rows = max(whole.rows, guess if self._most is None else min(guess, self._most))
        return whole
