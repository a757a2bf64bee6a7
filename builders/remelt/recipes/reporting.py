"""What a recipe tells while it runs. Light to import: the command line builds on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engine import Stats


class Reporter:
    """Told what a recipe does; this one stays silent. The command line has one that shows it."""

    def stage(self, text: str) -> None:
        """A step begins."""

    def notice(self, text: str) -> None:
        """Something the user should know: a fallback, a caveat, a flag in the input."""

    def progress(self, stats: Stats) -> None:
        """Rows were finished; called often. `stats` is of all annotators, where there are several."""

    def counted(self, done: int, total: int, what: str) -> None:
        """So many of something (`clips`) are finished; called often."""

    def member(self, name: str, stats: Stats, failure: str) -> None:
        """One of several annotators is finished, or (`failure` says why) will not be."""

    def annotated(self, stats: Stats) -> None:
        """All rows are finished, or the run stopped."""
