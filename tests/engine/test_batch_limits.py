"""Batches under limits: enqueued tokens, the budget, rows, the deadline."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from remelt.engine import Stats
from remelt.errors import InputError, Interrupted
from remelt.journal import Journal

from ..batch_runs import batch_annotator, conversation, make, run
from ..batch_server import BatchServer

PRICES = """
models:
  - ids: [m]
    input: 2.0
    output: 8.0
    batch_input: 1.0
    batch_output: 4.0
"""


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES, encoding="utf-8")
    return path


def spent(out: Path) -> float:
    with Journal(out / ".remelt" / "journal.sqlite") as journal:
        return journal.spent()


# -- enqueued tokens --------------------------------------------------------------------------------


async def test_a_known_limit_is_kept_from_the_start(tmp_path: Path) -> None:
    annotator = batch_annotator("http://localhost:1/v1")
    each = annotator.estimate(make(1), make(1).messages).input_tokens
    with BatchServer(seconds=0.05) as server:
        found = await run(batch_annotator(server.url, enqueued_tokens=10 * each + each // 2), tmp_path, 40)
        assert max(server.sizes) <= 11
        assert min(server.sizes[:-1]) >= 9
        assert {b["status"] for b in server.batches.values()} == {"completed"}
    assert len(found) == 40


@pytest.mark.parametrize("refuses", [True, False])
@pytest.mark.parametrize("names_limit", [True, False])
async def test_a_limit_is_learned_from_a_refusal(tmp_path: Path, refuses: bool, names_limit: bool) -> None:
    limits = {"enqueued": 2500, "refuses": refuses, "names_limit": names_limit}
    with BatchServer(seconds=0.03, **limits) as server:
        annotator = batch_annotator(server.url)
        found = await run(annotator, tmp_path, 60, tries=1)
        assert server.peak_tokens <= 2500
        assert set(server.answered.values()) == {1}
        assert len(server.sizes) < 30
    assert {a.verdict.status for a in found.values()} == {"valid"}
    assert any("Enqueued token limit reached" in notice for notice in annotator.notices)


# -- money ------------------------------------------------------------------------------------------


async def test_costs_are_at_the_batch_price(tmp_path: Path, prices: Path) -> None:
    stats = Stats(rows=5)
    with BatchServer() as server:
        found = await run(batch_annotator(server.url, prices), tmp_path, 5, stats=stats)
    for annotation in found.values():
        reply = annotation.replies[0]
        assert reply.cost == pytest.approx(((reply.input_tokens or 0) + 4 * (reply.output_tokens or 0)) / 1e6)
    assert (
        stats.cost
        == pytest.approx(spent(tmp_path))
        == pytest.approx(sum(a.replies[0].cost or 0 for a in found.values()))
    )


async def test_the_bound_holds(prices: Path) -> None:
    annotator = batch_annotator("http://localhost:1/v1", prices)
    estimate = annotator.estimate(make(1), conversation(make(1), ()))
    assert estimate.cost is not None
    assert estimate.cost > (estimate.input_tokens + 4 * 40) / 1e6


async def test_a_batch_is_cut_so_that_it_fits_the_budget(tmp_path: Path, prices: Path) -> None:
    annotator = batch_annotator("http://localhost:1/v1", prices)
    bound = annotator.estimate(make(1), make(1).messages).cost or 0.0
    budget = 4.5 * bound
    with BatchServer() as server:
        with pytest.raises(Interrupted, match=r"the next row might pass the budget of \$.*--budget"):
            await run(batch_annotator(server.url, prices), tmp_path, 200, budget=budget)
        assert server.sizes[0] == 4
        # What the batches cost less than they might have makes room for more.
        assert sum(server.sizes) > 4
        assert 0.5 * budget < spent(tmp_path) <= budget
        assert len(await run(batch_annotator(server.url, prices), tmp_path, 200, budget=1.0)) == 200
        assert set(server.answered.values()) == {1}


async def test_the_end_of_a_budget_is_not_reached_in_crumbs(tmp_path: Path, prices: Path) -> None:
    """Each batch waits for the one before; the last few rows are not worth a day each."""
    annotator = batch_annotator("http://localhost:1/v1", prices)
    bound = annotator.estimate(make(1), make(1).messages).cost or 0.0
    with BatchServer() as server:
        with pytest.raises(Interrupted, match="the next row might pass the budget"):
            await run(batch_annotator(server.url, prices), tmp_path, 400, budget=12.5 * bound)
        assert server.sizes[0] == 12
        assert min(server.sizes) > 1


async def test_charges_never_pass_the_budget(tmp_path: Path, prices: Path) -> None:
    chance = random.Random(11)
    for number in range(5):
        out, budget = tmp_path / str(number), chance.uniform(0.0005, 0.006)
        faults = {"off_list": 0.2, "500": 0.1, "length": 0.1}
        with BatchServer(faults=faults, seed=number, batches={2: "expired"}) as server:
            for _ in range(2):
                annotator = batch_annotator(server.url, prices, requests=chance.randint(1, 9))
                with contextlib.suppress(Interrupted):
                    await run(annotator, out, 25, budget=budget)
                assert spent(out) <= budget
            assert set(server.answered.values()) <= {1}


async def test_a_budget_without_a_price_is_refused(tmp_path: Path) -> None:
    with BatchServer() as server:
        with pytest.raises(InputError, match=r"A budget needs the prices of m \(--prices FILE\)"):
            await run(batch_annotator(server.url), tmp_path, 5, budget=1.0)
        assert server.sizes == []


# -- rows and time ----------------------------------------------------------------------------------


async def test_so_many_rows_and_their_repairs(tmp_path: Path) -> None:
    with BatchServer(faults={"off_list": 0.5}, seed=1) as server:
        for number in range(1, 4):
            with pytest.raises(Interrupted, match="4 rows were asked, as many as --max-rows allows"):
                await run(batch_annotator(server.url, requests=3), tmp_path, 20, max_rows=4)
            with Journal(tmp_path / ".remelt" / "journal.sqlite") as journal:
                asked = list(journal.query("SELECT COUNT(DISTINCT utterance_id) FROM replies"))
            assert asked == [(4 * number,)]
        found = await run(batch_annotator(server.url), tmp_path, 20, max_rows=8)
        assert len(found) == 20


async def test_the_deadline_leaves_the_batches_to_the_server(tmp_path: Path) -> None:
    with BatchServer(hold=True) as server:
        with pytest.raises(Interrupted, match=r"the deadline has passed .*; 1 batch goes on"):
            await run(batch_annotator(server.url), tmp_path, 5, deadline=0.3)
        server.release()
        assert len(await run(batch_annotator(server.url), tmp_path, 5, deadline=60)) == 5
        assert server.sizes == [5]
