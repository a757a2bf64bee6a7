"""What happened in a run, and the way to end it cleanly."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ..records import Annotation, Reply, Verdict


class Latencies:
    """Durations in classes that are 5 % wide: percentiles in little memory, however many there are.

    >>> seconds = Latencies()
    >>> for number in range(1, 101): seconds.add(number / 100)
    >>> round(seconds.percentile(0.5), 1), round(seconds.percentile(0.99), 1)
    (0.5, 1.0)
    """

    _WIDTH = math.log(1.05)
    _LEAST = 1e-5

    def __init__(self) -> None:
        self._classes: Counter[int] = Counter()
        self.count = 0

    def add(self, seconds: float) -> None:
        self._classes[round(math.log(max(seconds, self._LEAST)) / self._WIDTH)] += 1
        self.count += 1

    def take(self, other: Latencies) -> None:
        """Adds the durations of another."""
        self._classes.update(other._classes)
        self.count += other.count

    def record(self) -> dict[str, int]:
        """As JSON can hold them; `from_record` gives them back."""
        return {str(place): count for place, count in self._classes.items()}

    @classmethod
    def from_record(cls, record: Mapping[str, int]) -> Latencies:
        """What `record` gave."""
        made = cls()
        made._classes.update({int(place): count for place, count in record.items()})
        made.count = sum(record.values())
        return made

    def percentile(self, share: float) -> float | None:
        """The duration in seconds that this share of all does not pass; None without any."""
        left = share * self.count
        for place in sorted(self._classes):
            left -= self._classes[place]
            if left <= 1e-9:
                return math.exp(place * self._WIDTH)
        return None


@dataclass(slots=True)
class Stats:
    """What happened so far; the progress display and the summary read it.

    Attributes:
        rows: utterances to annotate in this run.
        done: annotated, in this run or found in the journal.
        reused: utterances whose replies were all in the journal.
        asked: requests that were sent.
        repairs: replies to repair turns.
        replies, unusable: replies in this run, and those of them that are not valid.
        throttled: rate limits (429) met; they are no tries.
        failed_tries: requests without a reply for another reason.
        in_flight, peak: requests under way, and the most there were at once.
        window: how many may be under way at present; 0 before the first.
        pauses, paused: how often everybody was held back, and for how many seconds in all.
        cost: US dollars, of replies with a known price.
        batches, batch_rows: batches under way at the server, and the rows in them that it has dealt with.
        started: monotonic time at which the run began.
        finished: the same for its end; None while it runs.
        given_up: rows that wait for nobody any more, because their annotator failed.
        running: of several annotators together, who is at work (`gpt-4o 120/300`).
    """

    rows: int = 0
    done: int = 0
    valid: int = 0
    quarantined: int = 0
    reused: int = 0
    asked: int = 0
    repairs: int = 0
    replies: int = 0
    unusable: int = 0
    throttled: int = 0
    failed_tries: int = 0
    in_flight: int = 0
    peak: int = 0
    window: int = 0
    pauses: int = 0
    paused: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    batches: int = 0
    batch_rows: int = 0
    started: float = field(default_factory=time.monotonic)
    finished: float | None = None
    given_up: int = 0
    latencies: Latencies = field(default_factory=Latencies)
    running: tuple[str, ...] = ()

    def count(self, annotation: Annotation, reused: bool) -> None:
        self.done += 1
        self.reused += reused
        if annotation.verdict.status == "valid":
            self.valid += 1
        else:
            self.quarantined += 1

    def count_reply(self, reply: Reply, verdict: Verdict) -> None:
        """Counts a reply of this run; one that never came (`error`) is no reply."""
        if reply.failure == "error":
            return
        self.replies += 1
        self.repairs += reply.attempt > 0
        self.unusable += verdict.status != "valid"
        self.input_tokens += reply.input_tokens or 0
        self.output_tokens += reply.output_tokens or 0
        self.cost += reply.cost or 0.0

    @property
    def seconds(self) -> float:
        return max((self.finished or time.monotonic()) - self.started, 1e-6)

    @property
    def rows_per_second(self) -> float:
        """Rows finished a second, those from the journal not counted."""
        return (self.done - self.reused) / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """The run in numbers, as manifest.json and findings.json keep it under `run`.

        Keys: rows, done, valid, quarantined, reused (rows from the journal); requests, replies, retries
        (repair turns), rate_limited, failed_tries; invalid_share (of the replies, 0 to 1, None without);
        seconds, rows_per_second; latency (p50, p90, p99 in seconds, None without a reply); window (requests
        allowed in flight at the end), peak_in_flight; pauses, paused_seconds; input_tokens, output_tokens,
        cost (US dollars of this run's replies).
        """
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
        found = {name: self.latencies.percentile(share) for name, share in shares.items()}
        return {
            "rows": self.rows,
            "done": self.done,
            "valid": self.valid,
            "quarantined": self.quarantined,
            "reused": self.reused,
            "requests": self.asked,
            "replies": self.replies,
            "retries": self.repairs,
            "rate_limited": self.throttled,
            "failed_tries": self.failed_tries,
            "invalid_share": round(self.unusable / self.replies, 6) if self.replies else None,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows_per_second, 3),
            "latency": {name: None if s is None else float(f"{s:.3g}") for name, s in found.items()},
            "window": self.window,
            "peak_in_flight": self.peak,
            "pauses": self.pauses,
            "paused_seconds": round(self.paused, 3),
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": round(self.cost, 6),
        }


def stats_record(stats: Stats) -> dict[str, Any]:
    """A run that has ended as JSON can hold it; `stats_from` gives it back, on another machine too."""
    counts = {name: getattr(stats, name) for name in _SUMS}
    return {**counts, "seconds": stats.seconds, "latencies": stats.latencies.record()}


def stats_from(record: Mapping[str, Any]) -> Stats:
    """What `stats_record` gave, as if the run had ended now: clocks of two processes do not compare."""
    now = time.monotonic()
    return Stats(
        **{name: record[name] for name in _SUMS},
        started=now - record["seconds"],
        finished=now,
        latencies=Latencies.from_record(record["latencies"]),
    )


_SUMS = tuple(f.name for f in fields(Stats) if f.name not in ("started", "finished", "latencies", "running"))


def together(parts: Sequence[Stats], running: Sequence[str] = ()) -> Stats:
    """The runs of several annotators as one: counts are added up, the time is from the first to the last.

    Args:
        parts: at least one.
        running: who is still at work.
    """
    made = Stats(**{name: sum(getattr(part, name) for part in parts) for name in _SUMS})
    made.started = min(part.started for part in parts)
    ends = [part.finished for part in parts if part.finished is not None]
    made.finished = max(ends) if ends and not running else None
    made.running = tuple(running)
    for part in parts:
        made.latencies.take(part.latencies)
    return made


class Stop:
    """Asks a run to end cleanly: nothing new is asked, what is in flight is waited for."""

    def __init__(self) -> None:
        self.reason = ""
        self._sleepers: set[asyncio.Future[None]] = set()

    @property
    def asked(self) -> bool:
        return bool(self.reason)

    def ask(self, reason: str) -> None:
        self.reason = self.reason or reason
        for sleeper in self._sleepers:
            wake(sleeper)

    async def sleep(self, seconds: float, sleeper: asyncio.Future[None] | None = None) -> None:
        """Sleeps, but no longer than until the run is asked to stop.

        Args:
            seconds: may be infinite.
            sleeper: others wake it earlier with `wake`.
        """
        if self.asked:
            return
        loop = asyncio.get_running_loop()
        sleeper = loop.create_future() if sleeper is None else sleeper
        timer = None if math.isinf(seconds) else loop.call_later(seconds, wake, sleeper)
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            self._sleepers.discard(sleeper)
            if timer is not None:
                timer.cancel()


def wake(sleeper: asyncio.Future[None] | None) -> None:
    """Ends a sleep of `Stop.sleep`."""
    if sleeper is not None and not sleeper.done():
        sleeper.set_result(None)
