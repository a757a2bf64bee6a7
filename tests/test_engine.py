import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from remelt.answers import Checker
from remelt.engine import EngineOptions, Stats, Stop, annotate
from remelt.errors import AnnotatorError, InputError, Interrupted, RequestRejected, TransientError
from remelt.journal import Journal
from remelt.labels import custom_label_set
from remelt.records import Annotation, Message, Reply, Request

from .builders import SCHEMA, reply, request

CHECKER = Checker(SCHEMA, custom_label_set(["Anger", "Joy", "Neutral"]))
Script = Callable[[Request, int, int], "str | Exception"]


class Scripted:
    """Answers by a function of (request, attempt, number of earlier calls for this attempt)."""

    name, model, endpoint = "test/model", "model", "test"

    def __init__(self, script: Script, seconds: float = 0.0) -> None:
        self.script, self.seconds = script, seconds
        self.notices: list[str] = []
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


GOOD = '{"label": "Joy"}'


async def collect(
    annotator: Scripted, journal: Journal, rows: int = 20, stop: Stop | None = None, **options: float
) -> tuple[dict[str, Annotation], Stats]:
    stats = Stats(rows=rows)
    settings = EngineOptions(**{"concurrency": 4, "wait": 0.001, **options})  # type: ignore[arg-type]
    found = {}
    async for annotation in annotate(
        (request(n) for n in range(rows)),
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


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "j.sqlite")


async def test_every_row_is_answered_and_committed(journal: Journal) -> None:
    annotator = Scripted(lambda *_: GOOD, seconds=0.002)
    found, stats = await collect(annotator, journal, 50)
    assert len(found) == 50
    assert {a.verdict.label for a in found.values()} == {"joy"}
    assert journal.count() == 50
    assert annotator.most_flying == 4
    assert (stats.valid, stats.quarantined, stats.asked, stats.reused) == (50, 0, 50, 0)
    assert stats.cost == pytest.approx(0.05)


async def test_nothing_answered_is_asked_again(journal: Journal) -> None:
    await collect(Scripted(lambda *_: GOOD), journal, 30)
    again = Scripted(lambda *_: AnnotatorError("must not be asked"))
    found, stats = await collect(again, journal, 30)
    assert not again.calls
    assert len(found) == stats.reused == 30


async def test_an_unusable_answer_is_asked_again_and_then_quarantined(journal: Journal) -> None:
    def script(asked: Request, attempt: int, before: int) -> str:
        number = asked.utterance.utterance_id
        return GOOD if number != 3 and attempt >= (number == 2) else '{"label": "Concern"}'

    found, stats = await collect(Scripted(script), journal, 5, retries=2)
    assert [len(found[request(n).utterance.id].replies) for n in range(5)] == [1, 1, 2, 3, 1]
    lost = found[request(3).utterance.id]
    assert lost.verdict.status == "invalid"
    assert [r.attempt for r in lost.replies] == [0, 1, 2]
    assert (stats.valid, stats.quarantined) == (4, 1)
    assert journal.count() == 8


async def test_more_retries_go_on_where_the_journal_ends(journal: Journal) -> None:
    never = Scripted(lambda *_: "no")
    await collect(never, journal, 2, retries=1)
    later = Scripted(lambda asked, attempt, _: GOOD if attempt == 3 else "no")
    found, _ = await collect(later, journal, 2, retries=3)
    assert set(later.calls) == {(request(n).utterance.id, attempt) for n in range(2) for attempt in (2, 3)}
    assert all(a.verdict.status == "valid" for a in found.values())


async def test_a_failing_server_costs_tries_not_attempts(journal: Journal) -> None:
    flaky = Scripted(lambda asked, attempt, before: GOOD if before == 3 else TransientError("503"))
    found, stats = await collect(flaky, journal, 6, retries=0, tries=5)
    assert all(a.verdict.status == "valid" and a.replies[0].tries == 4 for a in found.values())
    assert stats.failed_tries == 18


async def test_one_row_that_always_fails_harms_no_other(journal: Journal) -> None:
    def script(asked: Request, attempt: int, before: int) -> str | Exception:
        return TransientError("timeout") if asked.utterance.utterance_id == 7 else GOOD

    found, stats = await collect(Scripted(script), journal, 20, tries=2)
    bad = found[request(7).utterance.id]
    assert bad.verdict.status == "error"
    assert "timeout (2 tries)" in bad.verdict.problems[0]
    assert stats.valid == 19
    assert journal.count() == 19
    again = Scripted(lambda *_: GOOD)
    found, _ = await collect(again, journal, 20)
    assert list(again.calls) == [(request(7).utterance.id, 0)]
    assert found[request(7).utterance.id].verdict.status == "valid"


async def test_rate_limits_are_no_tries_and_pause_everybody(journal: Journal) -> None:
    begun = time.monotonic()

    def script(asked: Request, attempt: int, before: int) -> str | Exception:
        if time.monotonic() - begun < 0.3:
            return TransientError("slow down", retry_after=0.35, throttled=True)
        return GOOD

    annotator = Scripted(script)
    found, stats = await collect(annotator, journal, 40, tries=1, retries=0)
    assert all(a.verdict.status == "valid" for a in found.values())
    assert 1 <= stats.throttled <= 4
    assert 0.3 <= time.monotonic() - begun < 3


async def test_rate_limits_without_a_hint_back_off_and_recover(journal: Journal) -> None:
    limited = Scripted(
        lambda asked, attempt, before: GOOD if before else TransientError("429", throttled=True)
    )
    found, _ = await collect(limited, journal, 12)
    assert len(found) == 12


async def test_a_dead_server_stops_the_run_which_can_be_resumed(journal: Journal) -> None:
    def script(asked: Request, attempt: int, before: int) -> str | Exception:
        return GOOD if asked.utterance.utterance_id < 10 else TransientError("connection refused")

    with pytest.raises(Interrupted, match="rows in a row got no answer; the last error: connection refused"):
        await collect(Scripted(script), journal, 200, tries=2)
    assert journal.count() == 10


async def test_endless_rate_limits_stop_the_run(journal: Journal) -> None:
    with pytest.raises(Interrupted, match="nothing but rate limits"):
        await collect(Scripted(lambda *_: TransientError("429", throttled=True)), journal, 5, outage=0.2)


async def test_a_wrong_key_stops_at_once_and_keeps_what_is_in_flight(journal: Journal) -> None:
    def script(asked: Request, attempt: int, before: int) -> str | Exception:
        return AnnotatorError("wrong key") if asked.utterance.utterance_id == 2 else GOOD

    annotator = Scripted(script, seconds=0.01)
    with pytest.raises(AnnotatorError, match="wrong key"):
        await collect(annotator, journal, 500)
    assert sum(annotator.calls.values()) <= 8
    assert journal.count() == sum(annotator.calls.values()) - 1


async def test_a_rejected_request_is_quarantined_at_once(journal: Journal) -> None:
    def script(asked: Request, attempt: int, before: int) -> str | Exception:
        return RequestRejected("context too long") if asked.utterance.utterance_id == 1 else GOOD

    annotator = Scripted(script)
    found, _ = await collect(annotator, journal, 4)
    assert found[request(1).utterance.id].verdict.problems == ("context too long",)
    assert max(annotator.calls.values()) == 1


async def test_a_rejected_repair_turn_leaves_the_earlier_verdict(journal: Journal) -> None:
    annotator = Scripted(lambda asked, attempt, before: RequestRejected("too long") if attempt else "no")
    found, _ = await collect(annotator, journal, 1)
    (annotation,) = found.values()
    assert annotation.verdict.status == "invalid"
    assert len(annotation.replies) == 1


async def test_stopping_waits_for_what_is_in_flight(journal: Journal) -> None:
    stop = Stop()

    def script(asked: Request, attempt: int, before: int) -> str:
        if asked.utterance.utterance_id == 5:
            stop.ask("stopped by SIGINT")
        return GOOD

    annotator = Scripted(script, seconds=0.01)
    with pytest.raises(Interrupted, match="stopped by SIGINT"):
        await collect(annotator, journal, 500, stop=stop)
    assert journal.count() == sum(annotator.calls.values()) < 20


async def test_a_slow_row_holds_nobody(journal: Journal) -> None:
    order = []

    class Slow(Scripted):
        async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
            if asked.utterance.utterance_id == 0:
                await asyncio.sleep(0.3)
            answered = await super().answer(asked, messages, attempt)
            order.append(asked.utterance.utterance_id)
            return answered

    await collect(Slow(lambda *_: GOOD), journal, 60, concurrency=2)
    assert order[-1] == 0


async def test_a_defect_in_the_program_is_not_hidden(journal: Journal) -> None:
    with pytest.raises(ZeroDivisionError):
        await collect(Scripted(lambda *_: ZeroDivisionError("bug")), journal, 5)


async def test_a_defect_in_one_row_loses_no_reply_in_flight(journal: Journal) -> None:
    def script(asked: Request, attempt: int, before: int) -> str | Exception:
        return ZeroDivisionError("bug") if asked.utterance.utterance_id == 0 else GOOD

    class Uneven(Scripted):
        async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
            await asyncio.sleep(0 if asked.utterance.utterance_id == 0 else 0.05)
            return await super().answer(asked, messages, attempt)

    with pytest.raises(ZeroDivisionError):
        await collect(Uneven(script), journal, 8, concurrency=8)
    assert journal.count() == 7


async def test_a_reply_that_cannot_be_stored_ends_the_run(journal: Journal) -> None:
    class Odd(Scripted):
        async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
            return replace(await super().answer(asked, messages, attempt), input_tokens=2**64)

    with pytest.raises(Interrupted, match="cannot be written"):
        await asyncio.wait_for(collect(Odd(lambda *_: GOOD), journal, 5), 20)


async def test_a_full_disk_stops_the_run(journal: Journal) -> None:
    journal._db.execute("PRAGMA max_page_count=40")
    with pytest.raises(Interrupted, match="No space left"):
        await collect(Scripted(lambda *_: '{"label": "Joy"}' + " " * 9000), journal, 500)
    assert 0 < journal.count() < 100


@pytest.mark.parametrize("bad", [{"concurrency": 0}, {"retries": -1}, {"tries": 0}])
def test_bad_options_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected a whole number from"):
        EngineOptions(**bad)
