import asyncio
import math
import random
from collections.abc import Iterator

import pytest

from remelt.engine import EngineOptions, Stats, Stop
from remelt.engine.pace import Pace, Ticket
from remelt.records import RateLimits


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A pace with a clock that the test moves."""

    def __init__(self, **options: float) -> None:
        settings = EngineOptions(**{"concurrency": 8, **options})  # type: ignore[arg-type]
        self.clock, self.stop, self.stats = Clock(), Stop(), Stats()
        self.pace = Pace(settings, self.stop, self.stats, self.clock)

    async def enter(self, tokens: float = 0.0) -> Ticket:
        assert self.pace.wait(tokens) <= 0
        ticket = await self.pace.enter(tokens)
        assert ticket is not None
        return ticket

    def answer(self, ticket: Ticket, limits: RateLimits | None = None, tokens: int | None = None) -> None:
        self.pace.answered(ticket, tokens)
        self.pace.leave(ticket, limits)

    def throttle(self, ticket: Ticket, retry_after: float | None = None) -> None:
        self.pace.throttled(ticket, retry_after)
        self.pace.leave(ticket)

    def pass_time(self) -> float:
        """Moves the clock to when the next may go; the seconds that were waited."""
        seconds = max(0.0, self.pace.wait())
        assert seconds < math.inf
        self.clock.now += seconds + 1e-6
        return seconds


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    return None


async def test_no_more_in_flight_than_the_ceiling() -> None:
    bench = Bench(concurrency=3)
    tickets = [await bench.enter() for _ in range(3)]
    assert bench.pace.wait() == math.inf
    waiting = asyncio.create_task(bench.pace.enter())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    bench.answer(tickets[1])
    assert (await waiting) is not None
    assert (bench.stats.in_flight, bench.stats.peak, bench.stats.asked) == (3, 3, 4)


async def test_a_stop_lets_nobody_out_any_more() -> None:
    bench = Bench(concurrency=1)
    await bench.enter()
    waiting = [asyncio.create_task(bench.pace.enter()) for _ in range(3)]
    await asyncio.sleep(0.01)
    bench.stop.ask("enough")
    assert await asyncio.gather(*waiting) == [None, None, None]


async def test_the_servers_word_is_kept_by_everybody() -> None:
    bench = Bench()
    tickets = [await bench.enter() for _ in range(4)]
    bench.throttle(tickets[0], 7.0)
    bench.throttle(tickets[1], 7.5)
    bench.answer(tickets[2])
    assert bench.pace.wait() == pytest.approx(7.5)
    assert (bench.stats.pauses, bench.stats.paused) == (1, pytest.approx(7.5))
    # One decrease for one pause.
    assert bench.stats.window == 5


async def test_the_servers_word_is_capped_by_the_outage() -> None:
    bench = Bench(outage=30.0)
    bench.throttle(await bench.enter(), 86_400.0)
    assert bench.pace.wait() == pytest.approx(30)


async def test_without_a_word_the_pauses_grow_up_to_five_seconds_and_one_probes() -> None:
    bench = Bench(concurrency=64)
    tickets = [await bench.enter() for _ in range(64)]
    for ticket in tickets:
        bench.throttle(ticket)
    begun, pauses, asked = bench.clock.now, [], bench.stats.asked
    while bench.clock.now - begun < 60:
        pauses.append(bench.pass_time())
        if len(pauses) > 1:
            probes = [await bench.enter()]
            assert bench.pace.wait() > 0
        else:
            probes = [await bench.enter() for _ in range(11)]
            assert bench.pace.wait() > 0
        for probe in probes:
            bench.throttle(probe)
    assert pauses[:7] == pytest.approx([0.125, 0.25, 0.5, 1, 2, 4, 5], abs=1e-3)
    assert pauses[7:] == pytest.approx([5] * len(pauses[7:]), abs=1e-3)
    assert bench.stats.asked - asked < 30


async def test_a_probe_that_takes_long_holds_nobody_for_long() -> None:
    bench = Bench()
    bench.throttle(await bench.enter())
    bench.pass_time()
    bench.throttle(await bench.enter())
    bench.pass_time()
    await bench.enter()
    assert bench.pass_time() == pytest.approx(1, abs=0.01)
    await bench.enter()
    assert bench.pass_time() == pytest.approx(1, abs=0.01)


async def test_one_answer_ends_the_probing_and_the_growth() -> None:
    bench = Bench()
    for _ in range(6):
        bench.throttle(await bench.enter())
        bench.pass_time()
    bench.answer(await bench.enter())
    assert bench.pace.wait() <= 0
    bench.throttle(await bench.enter())
    assert bench.pass_time() == pytest.approx(0.125, abs=1e-3)


async def test_answers_from_before_a_pause_do_not_end_it() -> None:
    bench = Bench()
    early = await bench.enter()
    bench.throttle(await bench.enter(), 3.0)
    bench.answer(early)
    assert bench.pace.wait() == pytest.approx(3)


async def test_a_word_that_did_not_help_is_not_trusted() -> None:
    bench = Bench()
    for expected in (0.0, 0.25, 0.5, 1.0):
        bench.throttle(await bench.enter(), 0.0)
        assert bench.pass_time() == pytest.approx(expected, abs=1e-3)


async def test_endless_rate_limits_are_an_outage() -> None:
    bench = Bench(outage=60.0)
    begun = bench.clock.now
    while not bench.stop.asked:
        bench.throttle(await bench.enter())
        bench.pass_time()
        assert bench.clock.now - begun < 80
    assert bench.stop.reason == "the server answered nothing but rate limits for 60 s"
    assert bench.clock.now - begun > 60


async def test_rows_in_a_row_without_an_answer_are_an_outage() -> None:
    bench = Bench()
    for number in range(40):
        if number == 12:
            bench.answer(await bench.enter())
        bench.pace.exhausted("refused")
        if bench.stop.asked:
            break
    assert number == 12 + 15
    assert bench.stop.reason == "16 rows in a row got no answer; the last error: refused"


async def test_a_few_rows_that_fail_for_too_long_are_one_too() -> None:
    bench = Bench(outage=60.0)
    for _ in range(3):
        ticket = await bench.enter()
        bench.clock.now += 50
        bench.pace.failed(ticket)
        bench.pace.leave(ticket)
        bench.pace.exhausted("timeout")
    assert bench.stop.reason.startswith("3 rows in a row")


async def test_requests_per_minute_by_hand() -> None:
    bench = Bench(requests_per_minute=600)
    begun = bench.clock.now
    for _ in range(601):
        bench.pass_time()
        bench.answer(await bench.enter())
    assert bench.clock.now - begun == pytest.approx(60, abs=1)


async def test_tokens_per_minute_by_hand_count_as_they_turn_out() -> None:
    bench = Bench(tokens_per_minute=60_000)
    assert bench.pace.counts_tokens
    begun = bench.clock.now
    for _ in range(101):
        bench.pass_time()
        bench.answer(await bench.enter(1_000), tokens=400)
    assert bench.clock.now - begun == pytest.approx(40, abs=1)


async def test_a_server_that_tells_no_limits_is_not_throttled() -> None:
    bench = Bench()
    for limits in (None, RateLimits()):
        for _ in range(2_000):
            bench.answer(await bench.enter(), limits)
    assert not bench.pace.counts_tokens
    assert bench.stats.pauses == 0


async def test_what_the_server_tells_is_kept() -> None:
    bench = Bench()
    told = RateLimits(requests=60, requests_left=0, requests_reset=60)
    bench.answer(await bench.enter(), told)
    assert bench.pace.wait() == pytest.approx(1)
    bench.clock.now += 1.01
    assert bench.pace.wait() <= 0


async def test_tokens_that_the_server_tells_are_kept() -> None:
    bench = Bench()
    bench.answer(await bench.enter(), RateLimits(tokens=60_000, tokens_left=500, tokens_reset=59.5))
    assert bench.pace.counts_tokens
    assert bench.pace.wait(500) <= 0
    assert bench.pace.wait(1_500) == pytest.approx(1)


async def test_an_older_answer_does_not_unsay_a_newer_one() -> None:
    bench = Bench()
    for _ in range(16):
        bench.answer(await bench.enter())
    slow, quick = await bench.enter(), await bench.enter()
    bench.answer(quick, RateLimits(requests=60, requests_left=0, requests_reset=60))
    bench.answer(slow, RateLimits(requests=60, requests_left=50, requests_reset=10))
    assert bench.pace.wait() == pytest.approx(1)
