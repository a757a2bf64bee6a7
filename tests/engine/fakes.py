"""Annotators and a runner for the engine's tests."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from remelt.answers import Checker
from remelt.engine import EngineOptions, Stats, Stop, annotate
from remelt.errors import TransientError
from remelt.journal import Journal
from remelt.labels import custom_label_set
from remelt.records import Annotation, Estimate, Message, RateLimits, Reply, Request

from ..builders import SCHEMA, reply, request

CHECKER = Checker(SCHEMA, custom_label_set(["Anger", "Joy", "Neutral"]))
GOOD = '{"label": "Joy"}'
Script = Callable[[Request, int, int], "str | Exception"]


class Scripted:
    """Answers by a function of (request, attempt, number of earlier calls for this attempt)."""

    name, model, endpoint = "test/model", "model", "test"

    def __init__(self, script: Script = lambda *_: GOOD, seconds: float = 0.0) -> None:
        self.script, self.seconds = script, seconds
        self.notices: list[str] = []
        self.limits: RateLimits | None = None
        self.calls: Counter[tuple[str, int]] = Counter()
        self.flying = self.most_flying = 0

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        place = (asked.utterance.id, attempt)
        before = self.calls[place]
        self.calls[place] += 1
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            await asyncio.sleep(self.seconds)
            said = self.script(asked, attempt, before)
        finally:
            self.flying -= 1
        if isinstance(said, Exception):
            raise said
        return reply(asked, attempt, raw=said, request_key="")


class Priced(Scripted):
    """Charges a random cost up to the bound for each answer, and for some replies that are lost.

    Attributes:
        charged: US dollars, of everything it ever did.
    """

    def __init__(self, seed: int, bound: float = 0.01, faults: float = 0.2) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.bound, self.faults = bound, faults
        self.charged = 0.0

    def estimate(self, asked: Request, messages: tuple[Message, ...]) -> Estimate:
        return Estimate(10, 5, self.bound * len(messages) / 2)

    async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        draw, cost = self.random.random(), self.random.uniform(0.2, 1) * self.bound * len(messages) / 2
        try:
            await asyncio.sleep(self.random.choice((0, 0, 0.001, 0.003)))
        except asyncio.CancelledError:
            # Nobody waits for the answer any more, but the server is at work.
            self.charged += cost
            raise
        if draw < self.faults / 4:
            raise TransientError("429", throttled=True, retry_after=0.001)
        if draw < self.faults / 2:
            raise TransientError("503")
        self.charged += cost
        if draw < self.faults * 3 / 4:
            raise TransientError("dropped", charged=True)
        said = "no" if draw < self.faults else GOOD
        told = None if self.random.random() < self.faults / 4 else cost
        return reply(asked, attempt, raw=said, request_key="", cost=told)


async def collect(
    annotator: Any,
    journal: Journal,
    rows: int | Iterable[Request] = 20,
    stop: Stop | None = None,
    stats: Stats | None = None,
    **options: Any,
) -> tuple[dict[str, Annotation], Stats]:
    """Runs the engine over so many rows; the annotations by utterance."""
    requests = (request(n) for n in range(rows)) if isinstance(rows, int) else rows
    stats = stats or Stats(rows=rows if isinstance(rows, int) else 0)
    settings = EngineOptions(**{"concurrency": 4, "wait": 0.001, **options})
    found: dict[str, Annotation] = {}
    async for annotation in annotate(
        requests,
        annotator,
        journal,
        CHECKER.check,
        lambda asked, history: asked.messages,
        settings,
        stats,
        stop or Stop(),
    ):
        assert annotation.utterance.id not in found
        found[annotation.utterance.id] = annotation
    return found, stats
