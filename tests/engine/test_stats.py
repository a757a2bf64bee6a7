import asyncio
import json
import random
import time

import numpy as np
import pytest

from remelt.engine import Stats, Stop
from remelt.engine.stats import Latencies, wake
from remelt.errors import TransientError
from remelt.journal import Journal
from remelt.records import RateLimits

from .fakes import GOOD, Scripted, collect

KEYS = {
    "rows", "done", "valid", "quarantined", "reused", "requests", "replies", "retries", "rate_limited",
    "failed_tries", "invalid_share", "seconds", "rows_per_second", "latency", "window", "peak_in_flight",
    "pauses", "paused_seconds", "input_tokens", "output_tokens", "cost",
}  # fmt: skip


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_percentiles_are_within_three_per_cent(share: float) -> None:
    dice, seconds = random.Random(3), Latencies()
    values = [dice.lognormvariate(0, 1.5) for _ in range(5_000)]
    for value in values:
        seconds.add(value)
    expected = np.percentile(values, 100 * share, method="inverted_cdf")
    assert seconds.percentile(share) == pytest.approx(expected, rel=0.03)


def test_percentiles_take_little_memory() -> None:
    dice, seconds = random.Random(3), Latencies()
    for _ in range(20_000):
        seconds.add(dice.expovariate(1) * 600)
    seconds.add(0.0)
    assert len(seconds._classes) < 400
    assert Latencies().percentile(0.5) is None


async def test_the_numbers_of_a_run(journal: Journal) -> None:
    await collect(Scripted(), journal, 10)

    def script(asked: object, attempt: int, before: int) -> str | Exception:
        number = asked.utterance.utterance_id  # type: ignore[attr-defined]
        if number == 12 and not before:
            return TransientError("503")
        if number == 15 and not before:
            return TransientError("429", 0.05, throttled=True)
        return "no" if number in (11, 13) and (attempt == 0 or number == 13) else GOOD

    _, stats = await collect(Scripted(script, seconds=0.01), journal, 30, retries=1)
    told = stats.as_dict()
    json.dumps(told)
    assert set(told) == KEYS
    names = ("rows", "done", "valid", "quarantined", "reused", "requests", "replies", "retries")
    assert [told[n] for n in names] == [30, 30, 29, 1, 10, 24, 22, 2]
    assert [told[n] for n in ("rate_limited", "failed_tries", "pauses")] == [1, 1, 1]
    assert told["invalid_share"] == pytest.approx(3 / 22, abs=1e-6)
    assert told["paused_seconds"] == pytest.approx(0.05, abs=0.01)
    assert 0.008 < told["latency"]["p50"] <= told["latency"]["p99"]
    assert 1 <= told["window"] <= 4
    assert told["peak_in_flight"] == 4
    assert (told["input_tokens"], told["output_tokens"], told["cost"]) == (220, 110, 0.022)
    assert told["rows_per_second"] == pytest.approx(20 / told["seconds"], rel=0.05)


def test_a_run_that_asked_nothing() -> None:
    told = Stats(rows=3, done=3, reused=3).as_dict()
    assert told["invalid_share"] is None
    assert told["latency"] == {"p50": None, "p90": None, "p99": None}
    assert told["rows_per_second"] == 0


async def test_the_engine_reads_the_annotators_limits(journal: Journal) -> None:
    class Telling(Scripted):
        async def answer(self, *args: object) -> object:  # type: ignore[override]
            self.limits = RateLimits(requests=6_000, requests_left=0, requests_reset=60)
            return await super().answer(*args)  # type: ignore[arg-type]

    begun = time.monotonic()
    _, stats = await collect(Telling(), journal, 21, concurrency=1)
    # One every 10 ms; to wait for the reset would take a minute each.
    assert 0.19 < time.monotonic() - begun < 60
    assert stats.throttled == 0


async def test_a_sleep_ends_with_the_stop_or_when_woken() -> None:
    stop, loop = Stop(), asyncio.get_running_loop()
    begun, sleeper = loop.time(), loop.create_future()
    sleeping = [asyncio.create_task(stop.sleep(60)), asyncio.create_task(stop.sleep(60, sleeper))]
    await stop.sleep(0.01)
    wake(sleeper)
    await sleeping[1]
    assert not sleeping[0].done()
    stop.ask("first")
    stop.ask("second")
    await sleeping[0]
    await stop.sleep(60)
    assert stop.reason == "first"
    assert loop.time() - begun < 50
