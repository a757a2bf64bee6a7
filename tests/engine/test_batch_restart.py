"""Batches and runs that end before them: nothing is submitted twice, nothing that was answered is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from remelt.annotators.openai_batch import OpenAIBatch
from remelt.batch_log import BatchLog, BatchRecord
from remelt.engine import Stats, Stop
from remelt.errors import AnnotatorError, Interrupted, RequestRejected
from remelt.journal import Journal
from remelt.protocols import BatchState

from ..batch_runs import batch_annotator, outcomes, run
from ..batch_server import BatchServer


class Killed(BaseException):
    """Ends a run as a kill would: nobody catches it and nothing is tidied up at the server."""


def kill_at(annotator: OpenAIBatch, step: str, after: bool) -> OpenAIBatch:
    """The annotator, dying in one of its steps: before the server hears of it, or after it has acted."""
    works = getattr(annotator, step)

    async def dies(*arguments: Any) -> Any:
        if after:
            await works(*arguments)
        raise Killed(step)

    setattr(annotator, step, dies)
    return annotator


def records(out: Path) -> list[BatchRecord]:
    with Journal(out / ".remelt" / "journal.sqlite") as journal:
        return BatchLog(journal).all()


async def stop_when(server: BatchServer, count: int, stop: Stop) -> None:
    while len(server.batches) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    stop.ask("stopped by SIGINT")


@pytest.mark.parametrize(
    ("step", "after", "batches"),
    [
        ("upload", False, 1),
        ("upload", True, 1),
        ("create_batch", False, 1),
        ("create_batch", True, 1),
        ("batch", False, 1),
        ("batch", True, 1),
        ("fetch", False, 1),
        ("fetch", True, 1),
    ],
)
@pytest.mark.parametrize("metadata", [True, False])
async def test_killed_at_any_step_nothing_is_submitted_twice(
    tmp_path: Path, step: str, after: bool, batches: int, metadata: bool
) -> None:
    with BatchServer(metadata=metadata) as server:
        with pytest.raises(Killed):
            await run(kill_at(batch_annotator(server.url), step, after), tmp_path, 12)
        found = await run(batch_annotator(server.url), tmp_path, 12)
        assert server.sizes == [12] * batches
        assert set(server.answered.values()) == {1}
    assert {a.verdict.status for a in found.values()} == {"valid"}
    assert len(found) == 12
    assert [r.done for r in records(tmp_path)] == [True] * len(records(tmp_path))


async def test_the_batch_of_a_killed_run_is_found_among_many_strangers(tmp_path: Path) -> None:
    with BatchServer(page=2) as server:
        with pytest.raises(Killed):
            await run(kill_at(batch_annotator(server.url), "create_batch", True), tmp_path / "a", 5)
        for number in range(5):
            await run(batch_annotator(server.url), tmp_path / f"other{number}", 3)
        await run(batch_annotator(server.url), tmp_path / "a", 5)
        assert server.sizes == [5, 3, 3, 3, 3, 3]


async def test_a_lost_answer_to_the_creation_makes_no_second_batch(tmp_path: Path) -> None:
    with BatchServer(lost_creates=1) as server:
        found = await run(batch_annotator(server.url), tmp_path, 10)
        assert server.sizes == [10]
        assert set(server.created.values()) == {1}
    assert len(found) == 10


async def test_a_batch_that_is_listed_late_is_found_all_the_same(tmp_path: Path) -> None:
    with BatchServer() as server:
        with pytest.raises(Killed):
            await run(kill_at(batch_annotator(server.url), "create_batch", True), tmp_path, 5)
        annotator = batch_annotator(server.url, settle=60)
        looks, find = [], annotator.find_batch

        async def late(file: str, mark: str) -> BatchState | None:
            looks.append(mark)
            return await find(file, mark) if len(looks) > 1 else None

        annotator.find_batch = late  # type: ignore[method-assign]
        await run(annotator, tmp_path, 5)
        assert server.sizes == [5]
    assert len(looks) == 2


async def test_a_server_without_a_list_is_not_sent_a_second_batch(tmp_path: Path) -> None:
    with BatchServer(listing=False, lost_creates=1) as server:
        with pytest.raises(
            RequestRejected, match=r"lists no batches .* `remelt batches OUT --cancel remelt-"
        ):
            await run(batch_annotator(server.url), tmp_path, 10)
        with pytest.raises(RequestRejected, match=r"lists no batches"):
            await run(batch_annotator(server.url), tmp_path, 10)
        assert server.sizes == [10]


async def test_a_run_between_creation_and_end_is_gone_on_with(tmp_path: Path) -> None:
    stats = Stats(rows=30)
    with BatchServer(hold=True) as server:
        stop = Stop()
        halt = asyncio.create_task(stop_when(server, 3, stop))
        with pytest.raises(Interrupted, match=r"stopped by SIGINT; 3 batches go on .*`remelt batches "):
            await run(batch_annotator(server.url, requests=10), tmp_path, 30, stop=stop)
        await halt
        server.release()
        found = await run(batch_annotator(server.url, requests=10), tmp_path, 30, stats=stats)
        assert server.sizes == [10, 10, 10]
        assert set(server.answered.values()) == {1}
    assert len(found) == 30
    assert (stats.asked, stats.reused, stats.valid) == (0, 0, 30)


async def test_killed_half_way_through_the_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append, calls = Journal.append, []

    def dying(self: Journal, batch: Any) -> None:
        calls.append(len(batch))
        if len(calls) == 2:
            raise Killed("append")
        append(self, batch)

    monkeypatch.setattr("remelt.engine.collection._GROUP", 7)
    with BatchServer(faults={"off_list": 0.3, "500": 0.2}, seed=5) as server:
        monkeypatch.setattr(Journal, "append", dying)
        with pytest.raises(Killed):
            await run(batch_annotator(server.url), tmp_path / "killed", 40)
        monkeypatch.setattr(Journal, "append", append)
        killed = outcomes(await run(batch_annotator(server.url), tmp_path / "killed", 40))
        assert set(server.answered.values()) == {1}
    with BatchServer(faults={"off_list": 0.3}, seed=5) as server:
        assert killed == outcomes(await run(batch_annotator(server.url), tmp_path / "whole", 40))


async def test_batches_hold_no_others_answers_back(tmp_path: Path) -> None:
    """A batch that was made for more rows than are wanted now gives its answers, now and later."""
    with BatchServer(hold=True) as server:
        stop = Stop()
        halt = asyncio.create_task(stop_when(server, 1, stop))
        with pytest.raises(Interrupted):
            await run(batch_annotator(server.url), tmp_path, 20, stop=stop)
        await halt
        server.release()
        assert len(await run(batch_annotator(server.url), tmp_path, 5)) == 5
        assert [r.done for r in records(tmp_path)] == [False]
        assert len(await run(batch_annotator(server.url), tmp_path, 20)) == 20
        assert [r.done for r in records(tmp_path)] == [True]
        assert server.sizes == [20]


async def test_a_batch_that_the_server_does_not_know_is_not_paid_for_again(tmp_path: Path) -> None:
    with BatchServer(hold=True) as server:
        stop = Stop()
        halt = asyncio.create_task(stop_when(server, 1, stop))
        with pytest.raises(Interrupted):
            await run(batch_annotator(server.url), tmp_path, 5, stop=stop)
        await halt
        server.batches.clear()
        with pytest.raises(RequestRejected, match=r"OPENAI_API_KEY of another project .* --cancel batch_1"):
            await run(batch_annotator(server.url), tmp_path, 5)


async def test_what_is_in_the_journal_when_the_batch_is_created(tmp_path: Path) -> None:
    """Another process finds mark and rows before the server hears of the batch, and the id after."""
    seen: list[list[Any]] = []
    with BatchServer() as server:
        annotator = batch_annotator(server.url)
        create, look = annotator.create_batch, annotator.batch

        def peek() -> None:
            database = sqlite3.connect(tmp_path / ".remelt" / "journal.sqlite")
            rows = "SELECT id, status, file, rows, (SELECT COUNT(*) FROM batch_rows) FROM batches"
            seen.append(database.execute(rows).fetchall())
            database.close()

        async def creating(file: str, mark: str) -> BatchState:
            peek()
            return await create(file, mark)

        async def looking(batch_id: str) -> BatchState:
            peek()
            return await look(batch_id)

        annotator.create_batch, annotator.batch = creating, looking  # type: ignore[method-assign]
        await run(annotator, tmp_path, 6)
    assert seen[0] == [("", "creating", "file-1", 6, 6)]
    assert seen[1] == [("batch_1", "validating", "file-1", 6, 6)]


async def test_passing_troubles_are_waited_out(tmp_path: Path) -> None:
    with BatchServer(lost_uploads=2, broken_polls=3, broken_contents=2) as server:
        found = await run(batch_annotator(server.url), tmp_path, 10)
        assert server.sizes == [10]
    assert len(found) == 10


async def test_a_dead_server_ends_the_run_which_can_be_resumed(tmp_path: Path) -> None:
    with BatchServer(broken_polls=10_000) as server:
        with pytest.raises(Interrupted, match=r"no answer for 0 s; the last error: .*500.*; 1 batch goes on"):
            await run(batch_annotator(server.url), tmp_path, 10, outage=0.3)
        server.options.broken_polls = 0
        assert len(await run(batch_annotator(server.url), tmp_path, 10)) == 10
        assert server.sizes == [10]


async def test_a_wrong_key_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecret0123456789")
    with BatchServer(key="another") as server:
        with pytest.raises(AnnotatorError, match=r"refuses the API key") as caught:
            await run(batch_annotator(server.url), tmp_path, 10)
        assert server.sizes == []
    assert "verysecret" not in str(caught.value)


async def test_rows_of_an_earlier_runs_batch_count_for_the_most_rows(tmp_path: Path) -> None:
    """A batch of an earlier run brought nothing: its rows are sent anew, but not more than are allowed."""
    with BatchServer(batches={1: "expired_empty"}) as server:
        with pytest.raises(Killed):
            await run(kill_at(batch_annotator(server.url), "create_batch", True), tmp_path, 40)
        for most in (0, 5, 1):
            with pytest.raises(Interrupted, match=f"{most} rows were asked"):
                await run(batch_annotator(server.url), tmp_path, 40, max_rows=most)
        assert server.sizes == [40, 5, 1]
        assert all(record.done for record in records(tmp_path))
        assert len(await run(batch_annotator(server.url), tmp_path, 40)) == 40
        assert server.sizes == [40, 5, 1, 34]
