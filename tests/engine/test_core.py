import asyncio
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from remelt.engine import EngineOptions, Stats, Stop, annotate
from remelt.errors import AnnotatorError, InputError, Interrupted, RequestRejected, TransientError
from remelt.journal import Journal
from remelt.records import Message, Reply, Request

from ..builders import request
from .fakes import CHECKER, GOOD, Scripted, collect


def conversation(asked: Request, history: object) -> tuple[Message, ...]:
    return asked.messages


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
    moments: list[float] = []

    def script(asked: Request, attempt: int, before: int) -> str | Exception:
        moments.append(time.monotonic())
        if len(moments) <= 4:
            return TransientError("slow down", retry_after=0.35, throttled=True)
        return GOOD

    annotator = Scripted(script)
    found, stats = await collect(annotator, journal, 40, tries=1, retries=0)
    assert all(a.verdict.status == "valid" for a in found.values())
    assert (stats.throttled, stats.pauses, len(moments)) == (4, 1, 44)
    assert moments[4] - moments[0] >= 0.35


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
    order: list[int] = []
    others_done = asyncio.Event()

    class Slow(Scripted):
        async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
            if asked.utterance.utterance_id == 0:
                await asyncio.wait_for(others_done.wait(), 60)
            answered = await super().answer(asked, messages, attempt)
            order.append(int(asked.utterance.utterance_id))
            if len(order) == 59:
                others_done.set()
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
        await asyncio.wait_for(collect(Odd(lambda *_: GOOD), journal, 5), 60)


async def test_a_full_disk_stops_the_run(journal: Journal) -> None:
    journal._db.execute("PRAGMA max_page_count=40")
    with pytest.raises(Interrupted, match="No space left"):
        await collect(Scripted(lambda *_: '{"label": "Joy"}' + " " * 9000), journal, 500)
    assert 0 < journal.count() < 100


async def test_max_rows_ends_the_run_after_so_many_whole_rows(journal: Journal) -> None:
    await collect(Scripted(), journal, 5)
    annotator = Scripted(lambda asked, attempt, before: GOOD if attempt else "no")
    stats = Stats()
    with pytest.raises(Interrupted, match="7 rows were asked, no more than --max-rows says"):
        await collect(annotator, journal, 30, stats=stats, max_rows=7)
    assert len({row for row, _ in annotator.calls}) == 7
    # Also the repair turns of the rows that were taken.
    assert (stats.reused, stats.valid, stats.repairs, journal.count()) == (5, 12, 7, 19)
    found, stats = await collect(Scripted(), journal, 30, max_rows=18)
    assert (len(found), stats.reused, stats.asked) == (30, 12, 18)


async def test_after_the_deadline_nothing_is_sent_and_what_is_in_flight_ends(journal: Journal) -> None:
    annotator = Scripted(seconds=0.05)
    with pytest.raises(Interrupted, match=r"the deadline of 0.002 minutes has passed"):
        await collect(annotator, journal, 500, deadline=0.12)
    assert journal.count() == sum(annotator.calls.values())
    assert 4 <= journal.count() < 40


async def test_the_deadline_ends_a_pause(journal: Journal) -> None:
    begun = time.monotonic()
    with pytest.raises(Interrupted, match="deadline"):
        await collect(
            Scripted(lambda *_: TransientError("429", 60, throttled=True)), journal, 5, deadline=0.1
        )
    assert time.monotonic() - begun < 50


async def test_requests_are_read_as_they_are_needed(journal: Journal) -> None:
    read = []

    def endless() -> Iterator[Request]:
        for number in itertools.count():
            read.append(number)
            yield request(number)

    seen = 0
    settings = EngineOptions(concurrency=2)
    run = annotate(endless(), Scripted(), journal, CHECKER.check, conversation, settings, Stats(), Stop())
    async for _ in run:
        seen += 1
        # Whoever reads slowly holds the engine back.
        await asyncio.sleep(0.001)
        assert len(read) - seen < 350
        if seen == 400:
            break
    await run.aclose()


async def test_who_stops_reading_ends_the_run(journal: Journal) -> None:
    annotator = Scripted(seconds=0.002)
    run = annotate(
        map(request, range(500)), annotator, journal, CHECKER.check, conversation, EngineOptions(),
        Stats(), Stop(),
    )  # fmt: skip
    async for _ in run:
        break
    await run.aclose()
    assert annotator.flying == 0
    assert journal.count() <= sum(annotator.calls.values()) < 400


async def test_a_journal_that_cannot_store_ends_the_run(journal: Journal) -> None:
    """No row counts, and no repair turn is asked, before its reply is durable."""
    stats = Stats()
    journal._db.execute("CREATE TRIGGER t BEFORE INSERT ON replies BEGIN SELECT RAISE(ABORT, 'no'); END")
    annotator = Scripted(lambda *_: "unusable")
    with pytest.raises(Interrupted, match="cannot be written: no"):
        await collect(annotator, journal, 500, stats=stats)
    assert stats.done == 0
    assert {attempt for _, attempt in annotator.calls} == {0}


@pytest.mark.parametrize(
    "bad",
    [{"concurrency": 0}, {"retries": -1}, {"tries": 0}, {"least_concurrency": 0}, {"max_rows": -1}],
)
def test_bad_options_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected a whole number from"):
        EngineOptions(**bad)


@pytest.mark.parametrize("name", ["budget", "deadline", "requests_per_minute", "tokens_per_minute"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_bad_amounts_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"Bad {name} {value}, expected a number above 0"):
        EngineOptions(**{name: value})  # type: ignore[arg-type]
