import asyncio
import random
import sqlite3

import pytest

from remelt.engine import Stats, Stop
from remelt.engine.budget import Budget, bound
from remelt.errors import InputError, Interrupted, TransientError
from remelt.journal import Journal
from remelt.records import Estimate, Message, Reply, Request

from ..builders import request
from .fakes import Priced, Scripted, collect


class Holds:
    def __init__(self) -> None:
        self.stored: list[float] = []

    async def __call__(self, cost: float, final: bool) -> None:
        await asyncio.sleep(0)
        self.stored.append(cost)


async def test_what_is_in_flight_counts_at_its_bound() -> None:
    budget = Budget(1.0, 0.5, Holds())
    assert await budget.reserve(0.3)
    waiting = asyncio.create_task(budget.reserve(0.3))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    budget.settle(0.3, 0.1)
    assert await waiting
    assert budget.spent == pytest.approx(0.6)


async def test_no_room_and_nothing_in_flight_is_the_end() -> None:
    budget = Budget(1.0, 0.95, Holds())
    assert not await budget.reserve(0.1)
    assert budget.over(0.1) == (
        "the budget of $1 is used up: $0.9500 are spent (replies that were lost or came without usage "
        "counted at their bound) and the next request may cost $0.1000; "
        "a larger --budget goes on"
    )
    assert await budget.reserve(0.05)


async def test_more_is_held_than_is_in_flight_and_seldom_stored() -> None:
    holds = Holds()
    budget = Budget(100.0, 0.0, holds, at_once=8)
    for number in range(8):
        assert await budget.reserve(0.1 + number / 1000)
        assert holds.stored[-1] >= 0.1 * (number + 1)
    assert len(holds.stored) == 1
    for _ in range(8):
        budget.settle(0.1, 0.05)
    await budget.close()
    assert holds.stored[-1] == 0


async def test_a_cost_that_could_not_be_stored_stays_held() -> None:
    holds = Holds()
    budget = Budget(1.0, 0.0, holds)
    await budget.reserve(0.1)
    budget.settle(0.1, 0.07, stored=False)
    await budget.close()
    assert holds.stored[-1] == pytest.approx(0.07)


@pytest.mark.parametrize(
    ("estimate", "said"), [(Estimate(5, None, None), "--max-tokens"), (Estimate(5, 9, None), "--prices FILE")]
)
def test_an_unknown_cost_says_what_to_give(estimate: Estimate, said: str) -> None:
    with pytest.raises(InputError, match=said):
        bound(estimate, request(0))


async def test_nothing_is_asked_where_the_cost_is_unknown(journal: Journal) -> None:
    class Unpriced(Scripted):
        def estimate(self, asked: Request, messages: tuple[Message, ...]) -> Estimate:
            return Estimate(10, 5, None)

    annotator = Unpriced()
    with pytest.raises(InputError, match="A budget for 'test/model' needs its prices"):
        await collect(annotator, journal, 5, budget=1.0)
    assert not annotator.calls
    found, _ = await collect(annotator, journal, 5)
    assert len(found) == 5


async def test_a_budget_does_not_hold_what_is_free(journal: Journal) -> None:
    found, _ = await collect(Scripted(), journal, 50, budget=0.001)
    assert len(found) == 50


async def test_the_end_of_the_budget_is_told_and_a_larger_one_goes_on(journal: Journal) -> None:
    annotator = Priced(1, faults=0)
    with pytest.raises(
        Interrupted, match=r"the budget of \$0.1 is used up: \$0.0[89].* a larger --budget goes on"
    ):
        await collect(annotator, journal, 200, budget=0.1)
    assert 0.08 < annotator.charged <= 0.1
    assert journal.spent() == pytest.approx(annotator.charged)
    asked = journal.count()
    found, stats = await collect(annotator, journal, 200, budget=10.0)
    assert (len(found), stats.reused) == (200, asked)


@pytest.mark.parametrize("seed", range(100))
async def test_the_charges_never_pass_the_cap(journal: Journal, seed: int) -> None:
    """Random costs, faults, lost replies that were charged, caps, concurrencies, stops at once."""
    dice = random.Random(seed)
    annotator = Priced(seed, faults=dice.choice((0.0, 0.2, 0.5)))
    cap, rows, interruptions = 0.0, 40, 0
    options = {"retries": 1, "tries": 50, "longest_wait": 0.002}
    while True:
        cap = round(cap + dice.uniform(0.005, 0.15), 3) if interruptions < 12 else 100.0
        run = collect(annotator, journal, rows, budget=cap, concurrency=dice.choice((1, 3, 16)), **options)
        try:
            if dice.random() < 0.3:
                found, _ = await asyncio.wait_for(run, dice.uniform(0.001, 0.05))
            else:
                found, _ = await run
        except (Interrupted, asyncio.TimeoutError):
            interruptions += 1
        else:
            break
        finally:
            assert annotator.charged <= cap
            # What the journal says is never less than what was really charged.
            assert journal.spent() >= annotator.charged - 1e-9
    assert interruptions
    assert len(found) == rows
    assert all(a.verdict.status in ("valid", "invalid") for a in found.values())


async def test_a_lost_reply_that_was_charged_counts_also_in_the_next_run(journal: Journal) -> None:
    class Losing(Priced):
        async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
            raise TransientError("timeout", charged=True)

    losing = Losing(0)
    with pytest.raises(Interrupted, match="the budget of"):
        await collect(losing, journal, 50, budget=0.1, tries=3)
    assert journal.spent() == pytest.approx(0.1)
    with pytest.raises(Interrupted, match=r"\$0.1000 are spent"):
        await collect(Priced(0), journal, 50, budget=0.105)


async def test_a_lost_reply_counts_at_its_bound_without_a_budget_too(journal: Journal) -> None:
    class Once(Priced):
        lost = False

        async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
            if not self.lost:
                self.lost = True
                raise TransientError("timeout", charged=True)
            return await super().answer(asked, messages, attempt)

    annotator = Once(0, faults=0)
    await collect(annotator, journal, 1)
    assert journal.spent() == pytest.approx(annotator.charged + 0.01)


async def test_refusals_to_work_cost_nothing(journal: Journal) -> None:
    class Busy(Priced):
        async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
            self.calls[asked.utterance.id, attempt] += 1
            if self.calls[asked.utterance.id, attempt] < 4:
                raise TransientError("503")
            return await super().answer(asked, messages, attempt)

    annotator = Busy(0, faults=0)
    found, stats = await collect(annotator, journal, 10, budget=0.2)
    assert (len(found), stats.failed_tries) == (10, 30)
    assert journal.spent() == pytest.approx(annotator.charged)


async def test_a_run_that_is_killed_leaves_its_requests_in_flight_counted(journal: Journal) -> None:
    at_work = asyncio.Event()

    class Slow(Priced):
        async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
            self.flying += 1
            if self.flying == 8:
                at_work.set()
            await asyncio.sleep(60)
            raise AssertionError

    slow = Slow(0)
    run = asyncio.create_task(collect(slow, journal, 50, budget=1.0, concurrency=8))
    await at_work.wait()
    # Another process would read this after a kill.
    with sqlite3.connect(journal.path) as other:
        assert other.execute("SELECT TOTAL(cost) FROM failures").fetchone()[0] >= 0.08
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert journal.spent() == pytest.approx(0.08)


async def test_a_stop_gives_back_what_was_not_sent(journal: Journal) -> None:
    stop = Stop()

    class Stopping(Priced):
        async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
            stop.ask("stopped")
            return await super().answer(asked, messages, attempt)

    annotator = Stopping(0, faults=0)
    with pytest.raises(Interrupted, match="stopped"):
        await collect(annotator, journal, 50, stop=stop, stats=Stats(), budget=1.0, requests_per_minute=600)
    assert journal.spent() == pytest.approx(annotator.charged)
