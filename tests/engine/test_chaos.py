"""The engine with the real annotator and checker against a server that misbehaves."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from held_server import HeldServer
from openai_requests import chat, make
from remelt.answers import Checker, load_schema
from remelt.engine import EngineOptions, Stats, Stop, annotate
from remelt.engine.pace import Pace
from remelt.errors import Interrupted
from remelt.journal import Journal
from remelt.labels import MELT
from remelt.records import Annotation, Message, Reply, Request, Verdict
from server_faults import RateLimiter
from servers import ChatServer, prompt_hash

SCHEMA = load_schema("melt", MELT)
# 429, 500, dropped, invalid JSON, HTML, cut-off, hanging: as shares of all requests.
FAULTS = {
    "429": 0.01, "500": 0.01, "drop": 0.01, "html200": 0.005, "half_json": 0.0025, "hang": 0.001,
    "invalid_json": 0.01, "length": 0.0025,
}  # fmt: skip
BEFORE_A_REPLY = ("429", "500", "drop", "html200", "half_json", "hang")
INVALID = ("invalid_json", "length")


def row(number: int) -> Request:
    return replace(make(number), schema=SCHEMA)


def repair(request: Request, history: tuple[tuple[Reply, Verdict], ...]) -> tuple[Message, ...]:
    if not history:
        return request.messages
    said, verdict = history[-1]
    return (*request.messages, Message("assistant", said.raw), Message("user", "; ".join(verdict.problems)))


class Patient:
    """The annotator, giving up early only where the server will hang: no other request may be lost to a
    machine that stands still for a while."""

    def __init__(self, server: ChatServer) -> None:
        self.server = server
        self.usual = chat(server, timeout=120.0, concurrency=32)
        self.short = chat(server, timeout=0.5, concurrency=32)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.usual, name)

    async def close(self) -> None:
        await self.usual.close()
        await self.short.close()

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        key = prompt_hash({"messages": [{"role": m.role, "content": m.content} for m in messages]})
        hangs = self.server._draw(key, self.server.counts[key] + 1) == "hang"
        return await (self.short if hangs else self.usual).answer(request, messages, attempt)


async def run(
    server: ChatServer,
    journal: Journal,
    rows: int,
    stats: Stats | None = None,
    stop: Stop | None = None,
    **options: Any,
) -> tuple[dict[str, Annotation], Stats]:
    stats = stats or Stats(rows=rows)
    settings = EngineOptions(**{"concurrency": 32, "wait": 0.02, **options})
    checker, annotator = Checker(SCHEMA, MELT), Patient(server)
    found: dict[str, Annotation] = {}
    try:
        await annotator.start()
        async for annotation in annotate(
            map(row, range(rows)), annotator, journal, checker.check, repair, settings, stats, stop or Stop()
        ):
            assert annotation.utterance.id not in found
            found[annotation.utterance.id] = annotation
    finally:
        await annotator.close()
    return found, stats


async def test_chaos(journal: Journal) -> None:
    rows = 1_500
    with ChatServer(faults=FAULTS, latency=0.005, keep_bodies=False) as server:
        found, stats = await run(server, journal, rows)
        met = Counter(asked["fault"] for asked in server.asked)
        assert set(FAULTS) - set(met) <= {"hang"}
        # Nothing is lost: every row is valid, or has its reasons.
        assert len(found) == stats.done == rows
        for annotation in found.values():
            assert (annotation.verdict.status == "valid") != bool(annotation.verdict.problems)
        assert stats.valid >= rows - 2
        # As few requests as the faults allow: one per reply wanted, one more per fault met before a reply.
        before, after = (sum(FAULTS[name] for name in names) for names in (BEFORE_A_REPLY, INVALID))
        least = rows * (1 + after) / (1 - before)
        assert stats.asked <= 1.03 * least
        replies = sum(len(annotation.replies) for annotation in found.values())
        assert stats.asked == replies + sum(met[name] for name in BEFORE_A_REPLY) + _hung(met, stats)
        assert stats.throttled == met["429"]
        # A 429 is no attempt, and no failed try.
        assert stats.failed_tries == sum(met[n] for n in BEFORE_A_REPLY[1:]) + _hung(met, stats)
        seen = len(server.asked)
        again, stats = await run(server, journal, rows)
        assert len(server.asked) - seen <= 3 * (rows - stats.reused)
        assert {i: a.replies for i, a in again.items() if found[i].verdict.status != "error"} == {
            i: a.replies for i, a in found.items() if a.verdict.status != "error"
        }


def _hung(met: Counter[str], stats: Stats) -> int:
    """Requests that hang are not in the server's log: nobody waited for their end."""
    assert met["hang"] == 0
    return stats.asked - stats.replies - sum(met[name] for name in BEFORE_A_REPLY)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["429", "429_retry_after"])
async def test_an_outage_of_rate_limits_at_the_start_costs_its_time_and_no_row(
    journal: Journal, kind: str
) -> None:
    stats = Stats(rows=400)

    class Outage(ChatServer):
        def _draw(self, key: tuple[str, int], nth: int) -> str:
            return kind if stats.pauses < 4 else ""

    with Outage(latency=0.02, keep_bodies=False) as server:
        found, _ = await run(server, journal, 400, stats, wait=0.5, tries=1, retries=0)
    assert len(found) == stats.valid == 400
    # Few requests while nobody is served, and everybody back at work soon after.
    assert stats.throttled < 32 + 24
    assert stats.pauses == 4
    # Each late refusal of the first requests may lengthen a pause by the second that it names.
    assert 1.4 <= stats.paused < 60
    assert stats.window == 32
    assert stats.failed_tries == 0
    assert all(a.replies[0].attempt == 0 for a in found.values())


async def test_a_server_without_rate_headers_is_not_throttled(journal: Journal) -> None:
    with HeldServer(latency=0.01, keep_bodies=False) as server:
        # The first request goes alone, to find out what the server takes.
        server.may_answer = lambda: not server.asked or server.peak == 32
        found, stats = await run(server, journal, 640)
        assert server.peak == stats.peak == stats.window == 32
    assert (len(found), stats.pauses, stats.throttled) == (640, 0, 0)


async def test_limits_that_the_server_tells_are_kept_without_refusals(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engine and server share a clock that only the engine's waiting moves."""

    class Clock:
        now = 1_000.0

        def __call__(self) -> float:
            return self.now

    class Leaping(Stop):
        async def sleep(self, seconds: float, sleeper: object = None) -> None:
            clock.now += seconds

    clock = Clock()
    monkeypatch.setattr("remelt.engine.sending.Pace", functools.partial(Pace, clock=clock))
    with ChatServer(rate_headers=True, keep_bodies=False) as server:
        server.limiter = RateLimiter(1_200, None, 2.0, clock)
        found, stats = await run(server, journal, 100, stop=Leaping(), concurrency=1)
    assert len(found) == stats.asked == 100
    assert stats.throttled == 0
    # 40 at once, then 20 a second, in whole windows of two seconds.
    assert 3 <= clock.now - 1_000 <= 6


async def test_one_bad_row_harms_no_other(journal: Journal) -> None:
    bad = prompt_hash({"messages": [{"role": "user", "content": row(7).messages[1].content}]})[0]

    class Poisoned(ChatServer):
        def _draw(self, key: tuple[str, int], nth: int) -> str:
            return "hang" if key[0] == bad else ""

    with Poisoned(latency=0.01, keep_bodies=False) as server:
        found, stats = await run(server, journal, 300, tries=2, concurrency=4)
        assert len(server.asked) == 299
    assert (stats.valid, stats.quarantined) == (299, 1)
    assert found[row(7).utterance.id].verdict.status == "error"
    assert "(2 tries)" in found[row(7).utterance.id].verdict.problems[0]
    assert stats.window == 4


@pytest.mark.slow
async def test_a_server_that_dies_is_an_interruption_and_the_next_run_goes_on(journal: Journal) -> None:
    class Mortal(ChatServer):
        dying = True

        def _draw(self, key: tuple[str, int], nth: int) -> str:
            return "drop" if self.dying and len(self.asked) >= 300 else ""

    with Mortal(latency=0.01, keep_bodies=False) as server:
        stats = Stats()
        with pytest.raises(Interrupted, match="rows in a row got no answer"):
            await run(server, journal, 2_000, stats, tries=2)
        assert 0 < stats.valid == journal.count() < 2_000
        # It was spared at the end.
        assert stats.window < 8
        server.dying = False
        found, again = await run(server, journal, 2_000)
    assert len(found) == 2_000
    assert again.reused == stats.valid
