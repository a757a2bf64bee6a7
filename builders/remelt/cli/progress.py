"""Shows a running build: a live rich display on a terminal, plain log lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from ..recipes.reporting import Reporter

if TYPE_CHECKING:
    from ..engine import Stats

_PLAIN_EVERY = 10.0
_LIVE_EVERY = 0.1


def reporter(plain: bool, quiet: bool) -> Reporter:
    """The reporter that fits the options and where the output goes."""
    if quiet:
        return QuietReporter()
    if plain or not sys.stderr.isatty():
        return PlainReporter()
    return LiveReporter()


def line(stats: Stats) -> str:
    """What happened so far, in one line."""
    rate = stats.rows_per_second
    left = stats.rows - stats.done - stats.given_up
    parts = [
        f"{stats.done:,}/{stats.rows:,} rows",
        f"{stats.valid:,} kept",
        f"{stats.quarantined:,} quarantined",
        f"{rate:.1f} rows/s",
        f"{stats.input_tokens + stats.output_tokens:,} tokens",
    ]
    if stats.batches:
        name = "1 batch" if stats.batches == 1 else f"{stats.batches:,} batches"
        parts.append(f"{name} at the server: {stats.batch_rows:,} of {stats.in_flight:,} rows done there")
    if stats.reused:
        parts.insert(1, f"{stats.reused:,} from the journal")
    if stats.cost:
        parts.append(f"${stats.cost:.4f}")
    if (usual := stats.latencies.percentile(0.5)) is not None and usual >= 0.01:
        slow = stats.latencies.percentile(0.99) or usual
        parts.append(f"{usual:.2g} s a request (99 %: {slow:.2g} s)")
    if stats.replies and stats.unusable:
        parts.append(f"{100 * stats.unusable / stats.replies:.2g} % unusable")
    if stats.repairs:
        parts.append(f"{stats.repairs:,} repair turns")
    if stats.throttled:
        parts.append(f"{stats.throttled:,} rate limits ({stats.paused:.0f} s held back)")
    if stats.failed_tries:
        parts.append(f"{stats.failed_tries:,} failed tries")
    if left and rate > 0:
        parts.append(f"about {_span(left / rate)} left")
    if stats.running:
        parts.append(f"at work: {'; '.join(stats.running)}")
    return ", ".join(parts)


def member_line(name: str, stats: Stats, failure: str) -> str:
    """How it went with one of several annotators."""
    return f"{name} did not finish ({failure}): {line(stats)}" if failure else f"{name}: {line(stats)}"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class QuietReporter(Reporter):
    """Says only what the user must know, on standard error."""

    def notice(self, text: str) -> None:
        print(f"note: {text}", file=sys.stderr, flush=True)

    def member(self, name: str, stats: Stats, failure: str) -> None:
        if failure:
            self.notice(member_line(name, stats, failure))


class PlainReporter(QuietReporter):
    """Log lines on standard error, at most one every ten seconds while rows come in."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def stage(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def progress(self, stats: Stats) -> None:
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY:
            self._last = now
            print(f"  {line(stats)}", file=sys.stderr, flush=True)

    def member(self, name: str, stats: Stats, failure: str) -> None:
        print(f"  {member_line(name, stats, failure)}", file=sys.stderr, flush=True)

    def annotated(self, stats: Stats) -> None:
        print(f"  {line(stats)}", file=sys.stderr, flush=True)

    def counted(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY:
            self._last = now
            print(f"  {done:,}/{total:,} {what}", file=sys.stderr, flush=True)


class LiveReporter(Reporter):
    """A progress bar on standard error."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._bar: Any = None
        self._task: Any = None
        self._shown = 0.0

    def stage(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def notice(self, text: str) -> None:
        self._console.print(f"note: {text}", style="yellow", markup=False, highlight=False)

    def progress(self, stats: Stats) -> None:
        # Called for every row; nobody reads faster than this.
        if time.monotonic() - self._shown >= _LIVE_EVERY:
            self._show(stats)

    def counted(self, done: int, total: int, what: str) -> None:
        if done == total or time.monotonic() - self._shown >= _LIVE_EVERY:
            self._update(done, total, f"{done:,}/{total:,} {what}")
        if done == total:
            self._end()

    def _show(self, stats: Stats) -> None:
        self._update(stats.done, stats.rows, line(stats))

    def _update(self, done: int, total: int, text: str) -> None:
        self._shown = time.monotonic()
        if self._bar is None:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[line]}", markup=False),
                TimeElapsedColumn(),
                console=self._console,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=total, line="")
        self._bar.update(self._task, completed=done, line=text)

    def member(self, name: str, stats: Stats, failure: str) -> None:
        style = "yellow" if failure else None
        self._console.print(member_line(name, stats, failure), style=style, markup=False, highlight=False)

    def annotated(self, stats: Stats) -> None:
        if self._bar is not None:
            self._show(stats)
            self._end()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
