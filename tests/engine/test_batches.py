"""Rows through batches: what comes back good, broken, half or never, and what is asked again."""

from __future__ import annotations

from pathlib import Path

import pytest

from remelt.annotators import AnnotatorOptions
from remelt.annotators.openai_chat import OpenAIChat
from remelt.engine import Stats
from remelt.errors import AnnotatorError, InputError, Interrupted
from remelt.journal import Journal

from ..batch_runs import batch_annotator, outcomes, run, run_online
from ..batch_server import BatchServer
from ..servers import ChatServer


def failures(out: Path) -> list[tuple[str, str]]:
    with Journal(out / ".remelt" / "journal.sqlite") as journal:
        return [tuple(row) for row in journal.query("SELECT utterance_id, detail FROM failures")]  # type: ignore[misc]


async def test_every_row_is_answered_in_one_batch(tmp_path: Path) -> None:
    stats = Stats(rows=30)
    with BatchServer() as server:
        found = await run(batch_annotator(server.url), tmp_path, 30, stats=stats)
        assert server.sizes == [30]
        body = server.bodies[0]
    assert body["model"] == "m"
    assert body["max_tokens"] == 40
    assert body["response_format"]["json_schema"]["strict"] is True
    assert sorted(found) == list(range(30))
    assert {a.verdict.status for a in found.values()} == {"valid"}
    assert {a.replies[0].means for a in found.values()} == {"json_schema"}
    assert (stats.valid, stats.asked, stats.reused, stats.in_flight, stats.batches) == (30, 30, 0, 0, 0)
    assert stats.output_tokens > 0
    assert list((tmp_path / ".remelt" / "batches").iterdir()) == []


async def test_nothing_answered_is_asked_again(tmp_path: Path) -> None:
    with BatchServer() as server:
        first = await run(batch_annotator(server.url), tmp_path, 12)
        stats = Stats(rows=20)
        second = await run(batch_annotator(server.url), tmp_path, 20, stats=stats)
        assert server.sizes == [12, 8]
    assert stats.reused == 12
    assert {n: second[n].verdict for n in range(12)} == {n: a.verdict for n, a in first.items()}


async def test_batches_are_cut_by_count_and_bytes(tmp_path: Path) -> None:
    with BatchServer(seconds=0.05) as server:
        await run(batch_annotator(server.url, requests=7), tmp_path / "count", 20)
        assert server.sizes == [7, 7, 6]
    with BatchServer() as server:
        await run(batch_annotator(server.url, bytes=4000), tmp_path / "bytes", 20)
        assert sum(server.sizes) == 20
        sizes = [path.stat().st_size for path in server.folder.glob("file-*")]
    assert len(sizes) > 3
    assert all(2000 < size <= 4000 for size in sorted(sizes)[1:])


@pytest.mark.parametrize("fault", ["429", "500", "missing", "garbage", "error200", "error_null", "no_choice"])
async def test_a_row_that_fails_goes_into_the_next_batch(tmp_path: Path, fault: str) -> None:
    with BatchServer(faults={f"{fault}:once": 1}) as server:
        found = await run(batch_annotator(server.url), tmp_path, 10)
        assert server.sizes == [10, 10]
        assert set(server.answered.values()) == {1}
    assert {a.verdict.status for a in found.values()} == {"valid"}
    assert {a.replies[0].tries for a in found.values()} == {2}


async def test_a_row_that_always_fails_is_quarantined_and_harms_no_other(tmp_path: Path) -> None:
    with BatchServer(faults={"500": 0.3}, seed=4) as server:
        found = await run(batch_annotator(server.url), tmp_path, 40, tries=2)
        first, second = server.sizes
        assert first == 40
    lost = [n for n, a in found.items() if a.verdict.status != "valid"]
    assert 0 < len(lost) < second < 20
    assert found[lost[0]].verdict.problems == ("the server answered 500: The server had an error. (2 tries)",)
    assert len(failures(tmp_path)) == len(lost)
    with BatchServer() as server:
        again = await run(batch_annotator(server.url), tmp_path, 40)
        assert server.sizes == [len(lost)]
    assert {a.verdict.status for a in again.values()} == {"valid"}


@pytest.mark.parametrize("fault", ["500", "missing", "off_list"])
async def test_one_row_beyond_help_keeps_nobody_from_the_end(tmp_path: Path, fault: str) -> None:
    with BatchServer(always={"line 3.": fault}) as server:
        found = await run(batch_annotator(server.url), tmp_path, 20, tries=6, retries=5)
        assert server.sizes == [20, 1, 1, 1, 1, 1]
    assert [n for n, a in found.items() if a.verdict.status != "valid"] == [3]


@pytest.mark.parametrize("fault", ["field", "failed_all"])
async def test_a_last_row_that_is_refused_ends_nothing(tmp_path: Path, fault: str) -> None:
    with BatchServer(always={"line 3.": "missing"}) as server:
        found = await run(batch_annotator(server.url), tmp_path, 20, tries=1)
        assert found[3].verdict.status == "error"
        server.options.always = {"line 3.": "field"}
        server.options.batches = {2: fault} if fault == "failed_all" else {}
        found = await run(batch_annotator(server.url), tmp_path, 20)
        assert server.sizes == [20, 1]
    assert [n for n, a in found.items() if a.verdict.status != "valid"] == [3]


async def test_a_rejected_row_is_quarantined_at_once(tmp_path: Path) -> None:
    with BatchServer(faults={"400": 0.3}, seed=4) as server:
        found = await run(batch_annotator(server.url), tmp_path, 40)
        assert server.sizes == [40]
    problems = {a.verdict.problems for a in found.values() if a.verdict.status == "error"}
    assert problems == {("the server answered 400: This model's maximum context length is 512 tokens.",)}


async def test_an_unusable_answer_is_asked_again_with_the_reason(tmp_path: Path) -> None:
    with BatchServer(faults={"off_list": 0.5}, seed=1) as server:
        found = await run(batch_annotator(server.url), tmp_path, 30, retries=2)
        assert len(server.sizes) == 3
        lines = (server.folder / "file-2").read_text().splitlines()
        assert server.sizes[1] == len(lines)
    assert "Frustration" in lines[0]
    assert "is not one of" in lines[0]
    counts = {n: len(a.replies) for n, a in found.items()}
    assert set(counts.values()) == {1, 2, 3}
    assert sum(a.verdict.status == "invalid" for a in found.values()) > 0
    assert all(a.verdict.status == "valid" or len(a.replies) == 3 for a in found.values())
    assert all([r.attempt for r in a.replies] == list(range(len(a.replies))) for a in found.values())


@pytest.mark.parametrize(
    ("fault", "word"), [("expired", "expired"), ("expired_empty", "expired"), ("cancelled", "cancelled")]
)
async def test_a_batch_that_ends_early_is_gone_through_row_by_row(
    tmp_path: Path, fault: str, word: str
) -> None:
    with BatchServer(batches={1: fault}) as server:
        annotator = batch_annotator(server.url)
        found = await run(annotator, tmp_path, 20)
        assert server.sizes == ([20, 20] if fault == "expired_empty" else [20, 10])
        assert set(server.answered.values()) == {1}
    assert {a.verdict.status for a in found.values()} == {"valid"}
    assert any(word in notice and "they go into the next batch" in notice for notice in annotator.notices)


async def test_a_failed_batch_is_sent_again(tmp_path: Path) -> None:
    with BatchServer(batches={1: "failed"}) as server:
        found = await run(batch_annotator(server.url), tmp_path, 10)
        assert server.sizes == [10, 10]
    assert {a.verdict.status for a in found.values()} == {"valid"}


async def test_a_bad_line_costs_no_other_row_a_try(tmp_path: Path) -> None:
    with BatchServer(batches={1: "failed_line"}) as server:
        found = await run(batch_annotator(server.url), tmp_path, 10, tries=1)
        assert server.sizes == [10, 9]
    assert found[1].verdict.problems == ("This line is not parseable as valid JSON.",)
    assert sum(a.verdict.status == "valid" for a in found.values()) == 9


async def test_batches_that_bring_nothing_stop_the_run(tmp_path: Path) -> None:
    with BatchServer(batches=dict.fromkeys(range(1, 9), "failed")) as server:
        with pytest.raises(
            Interrupted, match="3 batches in a row brought no answer; the last failed: Someth"
        ):
            await run(batch_annotator(server.url), tmp_path, 10)
        assert server.sizes == [10, 10, 10]
    with BatchServer() as server:
        assert len(await run(batch_annotator(server.url), tmp_path, 10)) == 10


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no_model", "model 'm' does not exist"),
        ("no_credit", "Billing hard limit"),
        ("failed_all", "All 10 rows were refused: Unknown parameter: 'seed'"),
    ],
)
async def test_a_batch_that_can_never_succeed_ends_the_run(tmp_path: Path, fault: str, words: str) -> None:
    with BatchServer(batches={1: fault}) as server:
        with pytest.raises(AnnotatorError, match=words):
            await run(batch_annotator(server.url), tmp_path, 10)
        assert server.sizes == [10]
        assert len(await run(batch_annotator(server.url), tmp_path, 10)) == 10


async def test_a_field_refused_in_every_row_names_the_option(tmp_path: Path) -> None:
    with BatchServer(faults={"field": 1}) as server:
        annotator = batch_annotator(server.url)
        with pytest.raises(
            AnnotatorError, match=r"All 10 rows were refused: .*'temperature' does not support"
        ):
            await run(annotator, tmp_path, 10)
        assert server.sizes == [10]


async def test_a_field_refused_in_some_rows_quarantines_these(tmp_path: Path) -> None:
    with BatchServer(faults={"field": 0.3}, seed=2) as server:
        found = await run(batch_annotator(server.url), tmp_path, 20)
        assert server.sizes == [20]
    statuses = [a.verdict.status for a in found.values()]
    assert 0 < statuses.count("error") < 20
    assert statuses.count("valid") == 20 - statuses.count("error")


async def test_no_credit_half_way_keeps_what_was_answered(tmp_path: Path) -> None:
    with BatchServer(faults={"quota": 0.5}, seed=2) as server:
        with pytest.raises(AnnotatorError, match="You exceeded your current quota"):
            await run(batch_annotator(server.url), tmp_path, 20)
        answered = sum(server.answered.values())
        server.options.faults = {}
        assert len(await run(batch_annotator(server.url), tmp_path, 20)) == 20
        assert server.sizes == [20, 20 - answered]


async def test_the_same_rows_as_the_online_way(tmp_path: Path) -> None:
    replies = {"off_list": 0.1, "invalid_json": 0.1, "refusal": 0.05, "length": 0.05}
    with ChatServer(faults=replies, seed=3) as server:
        chat = OpenAIChat("openai/m", "m", AnnotatorOptions(base_url=server.url))
        online = outcomes(await run_online(chat, tmp_path / "online", 200, retries=1))
    faults = {"500": 0.05, "429": 0.05, "missing": 0.05, **replies}
    with BatchServer(faults=faults, seed=3, batches={2: "expired"}) as server:
        annotator = batch_annotator(server.url, requests=60)
        batched = outcomes(await run(annotator, tmp_path / "batch", 200, retries=1))
        assert set(server.answered.values()) == {1}
        assert set(server.created.values()) == {1}
    assert batched == online
    assert {status for status, _, _ in online.values()} == {"valid", "invalid", "refused"}


async def test_what_was_asked_in_batches_counts_online(tmp_path: Path) -> None:
    with BatchServer() as server:
        await run(batch_annotator(server.url), tmp_path, 10)
    with ChatServer() as chat:
        annotator = OpenAIChat("openai/m", "m", AnnotatorOptions(base_url=chat.url))
        assert len(await run_online(annotator, tmp_path, 12)) == 12
        assert len(chat.asked) == 2


async def test_a_full_disk_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, mode: str = "r", **others: object) -> object:
        raise OSError(28, "No space left on device")

    with BatchServer() as server:
        annotator = batch_annotator(server.url)
        monkeypatch.setattr("remelt.engine.drafts.Path.open", full)
        with pytest.raises(Interrupted, match="No space left on device"):
            await run(annotator, tmp_path, 10)
        assert server.sizes == []


@pytest.mark.parametrize("bad", [{"requests": 0}, {"bytes": 0}, {"enqueued_tokens": 0}, {"poll": -1}])
def test_bad_limits_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected a"):
        batch_annotator("http://localhost:1/v1", **bad)
