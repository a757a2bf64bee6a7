"""Several annotators of one build: who fails leaves the others' work, and nothing is asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from remelt.annotators import AnnotatorOptions
from remelt.annotators.mock import Mock
from remelt.engine import EngineOptions
from remelt.errors import InputError, Interrupted
from remelt.journal import Journal
from remelt.labels import MELT
from remelt.protocols import BatchOptions
from remelt.publishing import find_problems
from remelt.recipes.options import Member
from remelt.recipes.rebuild import rebuild
from remelt.resolution import ResolutionOptions

from ..batch_server import BatchServer
from ..builders import write_meld
from ..held_server import HeldServer
from ..panels import (
    FailingServer,
    Told,
    answered,
    closed_port,
    journaled,
    members,
    only_publish,
    rows,
    run,
    stored,
    votes,
    write_panel,
)
from ..server_faults import error
from ..servers import ChatServer

ROWS = 40
# Of some 3 dollars that all rows would cost both annotators together.
BUDGET = 2.0


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_meld(tmp_path / "corpus", ROWS)


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    if "whole" not in request.keywords:
        monkeypatch.setattr("remelt.recipes.building.finish", only_publish)
        monkeypatch.setattr("remelt.recipes.rebuild.finish", only_publish)


def label(row: dict[str, Any]) -> str:
    return MELT.labels[row["label"]]


@pytest.mark.parametrize("status", [401, 500])
def test_one_fails_half_way_and_later_resumes_alone(corpus: Path, tmp_path: Path, status: int) -> None:
    out, told = tmp_path / "out", Told()
    with ChatServer(seed=1) as a, ChatServer(seed=2) as b, FailingServer(12, status, seed=3) as c:
        panel = members(a=a, b=b, c=c)
        with pytest.raises(Interrupted, match=r"2 of 3 annotators are done; c has 12 of 40 rows") as end:
            run(corpus, out, panel, told)
        assert "--allow-missing" in str(end.value)
        assert (told.members["a"], told.members["b"]) == ("", "")
        assert told.members["c"] in str(end.value)
        assert not (out / "manifest.json").exists()
        kept = journaled(out)
        assert (kept["a"], kept["b"], kept["c"]) == (ROWS, ROWS, 12)
        asked = len(a.asked), len(b.asked)
        c.healed = True
        result = run(corpus, out, panel)
        assert (len(a.asked), len(b.asked)) == asked == (ROWS, ROWS)
        assert set(answered(c).values()) == {1}
        assert len(answered(c)) == ROWS
    assert (result.stats.asked, result.stats.reused) == (ROWS - 12, 2 * ROWS + 12)
    runs = {one["name"]: one["run"] for one in result.manifest["annotators"]}
    # Those that were asked in the first run keep what it said of them.
    assert {name: run["requests"] for name, run in runs.items()} == {"a": ROWS, "b": ROWS, "c": ROWS - 12}
    assert all("missing" not in one for one in result.manifest["annotators"])
    assert find_problems(out) == []


def test_the_votes_are_the_servers_answers(corpus: Path, tmp_path: Path) -> None:
    with ChatServer(seed=1) as a, ChatServer(seed=2) as b, ChatServer(seed=3) as c:
        panel = members(a=a, b=b, c=c)
        result = run(corpus, tmp_path / "out", panel, resolution=ResolutionOptions("plurality", ties="first"))
        alone = {
            one.name: {r["id"]: label(r) for r in rows(run(corpus, tmp_path / one.name, one).out, "data")}
            for one in panel
        }
    found = votes(result.out)
    assert len(found) == ROWS
    for name, said in found.items():
        assert said == {member: labels[name] for member, labels in alone.items()}
    for row in rows(result.out, "data"):
        said = list(found[row["id"]].values())
        most = max(said.count(one) for one in said)
        assert label(row) == next(one for one in said if said.count(one) == most)
    replies = rows(result.out, "annotations")
    assert [(r["id"], r["annotator"]) for r in replies] == [(i, m) for i in found for m in "abc"]
    again = rebuild(result.out, tmp_path / "again")
    assert rows(again.out, "data") == rows(result.out, "data")


def test_a_majority_that_is_none_is_dropped_with_its_reason(corpus: Path, tmp_path: Path) -> None:
    with ChatServer(seed=1) as a, ChatServer(seed=2) as b, ChatServer(seed=3) as c:
        result = run(corpus, tmp_path / "out", members(a=a, b=b, c=c))
    counts = result.manifest["counts"]["train"]
    assert counts["kept"] + counts["unresolved"] == ROWS
    assert counts["unresolved"] > 0
    lost = [r for r in rows(result.out, "dropped") if r["stage"] == "resolution"]
    assert len(lost) == counts["unresolved"]
    for row in rows(result.out, "data"):
        labels = Counter(vote["label"] for vote in row["votes"])
        assert labels[label(row)] > 1


def test_a_missing_annotator(corpus: Path, tmp_path: Path) -> None:
    out, port = tmp_path / "out", closed_port()
    with ChatServer(seed=1) as a, ChatServer(seed=2) as b:
        panel = members(a=a, b=b, c=f"http://127.0.0.1:{port}/v1")
        with pytest.raises(Interrupted, match=r"2 of 3 annotators are done; c has 0 of 40 rows"):
            run(corpus, out, panel)
        told = Told()
        result = run(corpus, out, panel, told, allow_missing=True)
        assert (told.given_up["a"], told.given_up["c"]) == (0, ROWS)
        missing = {one["name"]: one.get("missing", "") for one in result.manifest["annotators"]}
        assert (missing["a"], missing["b"]) == ("", "")
        assert missing["c"].endswith("; 0 of 40 rows have its answer")
        assert any(note.startswith("The annotator c did not finish") for note in result.manifest["notes"])
        assert all(set(said) == {"a", "b"} for said in votes(out).values())
        assert find_problems(out) == []
        assert rows(rebuild(out, tmp_path / "again").out, "dropped") == rows(out, "dropped")
        with ChatServer(seed=3, port=port) as c:
            result = run(corpus, out, panel)
            assert (len(a.asked), len(b.asked), len(c.asked)) == (ROWS, ROWS, ROWS)
    assert all(set(said) == {"a", "b", "c"} for said in votes(out).values())
    assert not any("did not finish" in note for note in result.manifest["notes"])


def test_what_a_server_says_of_a_failure_is_not_published(corpus: Path, tmp_path: Path) -> None:
    key = "sk-proj-0123456789abcdefghij"

    class Talkative(FailingServer):
        def _refuse(self, request: web.Request, body: Mapping[str, Any]) -> web.Response | None:
            if self.good <= 0:
                return error(401, f"Incorrect API key {key}, see /srv/models/x.gguf")
            return super()._refuse(request, body)

    out, told = tmp_path / "out", Told()
    with ChatServer(seed=1) as a, Talkative(5, seed=2) as b:
        result = run(corpus, out, members(a=a, b=b), told, allow_missing=True)
    assert find_problems(out) == []
    published = [p.read_bytes() for p in out.rglob("*") if p.is_file() and ".remelt" not in p.parts]
    assert not [text for text in published if key.encode() in text or b"/srv/models" in text]
    assert "/srv/models" not in json.dumps(rows(out, "annotations"))
    missing = result.manifest["annotators"][1]["missing"]
    assert missing == "it can answer nothing; 5 of 40 rows have its answer"
    assert f"The annotator b did not finish: {missing}" in result.manifest["notes"]
    # Who has to mend it is told.
    assert "/srv/models/x.gguf" in told.members["b"]
    assert "/srv/models/x.gguf" in (out / ".remelt" / "members.json").read_text(encoding="utf-8")


def test_nobody_at_all_publishes_nothing(corpus: Path, tmp_path: Path) -> None:
    panel = members(a=f"http://127.0.0.1:{closed_port()}/v1", b=f"http://127.0.0.1:{closed_port()}/v1")
    with pytest.raises(Interrupted, match="0 of 2 annotators are done"):
        run(corpus, tmp_path / "out", panel, allow_missing=True)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_row_that_nobody_has_answered_is_accounted_for(corpus: Path, tmp_path: Path) -> None:
    engine = EngineOptions(concurrency=1, retries=0, max_rows=10)
    with ChatServer(seed=1) as a, ChatServer(seed=2) as b:
        result = run(corpus, tmp_path / "out", members(a=a, b=b), engine=engine, allow_missing=True)
    counts = result.manifest["counts"]["train"]
    assert sum(counts.values()) - counts["input"] == counts["input"] == ROWS
    reasons = Counter(r["reasons"][0] for r in rows(result.out, "dropped") if r["stage"] == "selection")
    assert reasons == {"not_asked": ROWS - 10}
    assert find_problems(result.out) == []


def test_servers_are_asked_side_by_side_and_in_turn_with_a_budget(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remelt.recipes.panel.run._SHOWN_EVERY", 0)
    prices = tmp_path / "prices.yaml"
    prices.write_text("models: [{ids: [a, b], input: 100.0, output: 100.0}]")
    told = Told()
    with HeldServer(seed=1) as a, HeldServer(seed=2) as b:
        # Neither gets beyond its first rows without the other.
        a.may_answer = lambda: len(a.asked) < 4 or len(b.asked) >= 4
        b.may_answer = lambda: len(b.asked) < 4 or len(a.asked) >= 4
        run(corpus, tmp_path / "out", members(a=a, b=b), told)
        assert ("a", "b") in told.running
    engine = EngineOptions(concurrency=4, retries=0, budget=BUDGET)
    with ChatServer(seed=1) as a, ChatServer(seed=2) as b:
        panel = tuple(
            Member(m.annotator, m.name, base_url=m.base_url, max_tokens=100) for m in members(a=a, b=b)
        )
        connection = AnnotatorOptions(timeout=120.0, prices=prices)
        with pytest.raises(Interrupted, match=r"(?s)b has .* of 40 rows \(the budget of \$2 is used up"):
            run(corpus, tmp_path / "paid", panel, engine=engine, connection=connection)
        assert max(r["at"] for r in a.asked) < min((r["at"] for r in b.asked), default=float("inf"))
    with Journal(tmp_path / "paid" / ".remelt" / "journal.sqlite", read_only=True) as journal:
        assert 0 < journal.spent() <= BUDGET


def test_models_in_this_process_are_loaded_one_after_the_other(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = []

    async def start(self: Mock) -> None:
        events.append(("start", self.name))

    async def close(self: Mock) -> None:
        events.append(("close", self.name))

    monkeypatch.setattr(Mock, "start", start)
    monkeypatch.setattr(Mock, "close", close)
    monkeypatch.setattr("remelt.annotators.in_process", lambda spec: spec.startswith("mock"))
    names = [f"mock:seed={n}" for n in (1, 2, 3)]
    run(corpus, tmp_path / "out", names)
    assert events == [(what, name) for name in names for what in ("start", "close")]
    events.clear()
    # What is answered needs no model.
    run(corpus, tmp_path / "out", names)
    assert events == []


def test_annotators_that_cannot_be_told_apart_are_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Two annotators are called 'mock'; .*--panel FILE"):
        run(corpus, tmp_path / "out", ["mock", "mock"])
    twins = [Member("mock", name="one"), Member("mock", name="two")]
    with pytest.raises(
        InputError, match="'one' and 'two' would be asked the same about meld/train/dia0_utt0"
    ):
        run(corpus, tmp_path / "out", twins)
    # Without previous turns the first row of a dialogue is the same question for both.
    turns = [Member("mock", name=str(n), prompt="melt", turns=n) for n in (1, 2)]
    with pytest.raises(InputError, match=r"would be asked the same"):
        run(corpus, tmp_path / "out", turns)
    assert not (tmp_path / "out").exists()
    run(corpus, tmp_path / "out", [Member("mock", name="one"), Member("mock", name="two", seed=1)])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (ResolutionOptions("most"), "Bad resolution rule 'most', expected one of"),
        (
            ResolutionOptions("weighted", weights={"c": 2.0}),
            r"Bad source with a weight 'c', expected one of \['a', 'b'\]",
        ),
        (ResolutionOptions(sources=("a", "d")), r"Bad vote source 'd', expected one of \['a', 'b'\]"),
        (
            ResolutionOptions("human"),
            r"needs somebody's judgements: meld has no ratings.*review-report \S+ --export FILE.csv` and "
            r"`remelt add-annotations \S+ --from FILE.csv`",
        ),
        (ResolutionOptions(quorum=3), r"Bad quorum 3, expected at most 2: .* votes of \['a', 'b'\]"),
        (ResolutionOptions(quorum=2, sources=("b",)), r"Bad quorum 2, expected at most 1: .*\['b'\]"),
        (ResolutionOptions("consistency", sources=("a",)), r"got \['a'\].*\(--vote-sources\)"),
        (ResolutionOptions(human="a"), "The rule 'majority' has no use for the rater 'a'"),
        (ResolutionOptions(reject=("other",)), "Bad label to reject 'other'"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_before_anybody_is_asked(
    corpus: Path, tmp_path: Path, rule: ResolutionOptions, said: str
) -> None:
    with ChatServer() as a, ChatServer() as b, pytest.raises(InputError, match=said):
        run(corpus, tmp_path / "out", members(a=a, b=b), resolution=rule)
    assert a.asked == b.asked == []
    assert not (tmp_path / "out").exists()


def test_one_annotator_is_published_as_ever_whatever_it_is_called(corpus: Path, tmp_path: Path) -> None:
    plain = run(corpus, tmp_path / "plain", "mock:invalid=0.2")
    named = run(corpus, tmp_path / "named", [Member("mock:invalid=0.2", name="mine")])
    assert "annotators" not in plain.manifest
    assert "votes" not in rows(plain.out, "data")[0]
    assert [{**r, "annotator": ""} for r in rows(named.out, "data")] == [
        {**r, "annotator": ""} for r in rows(plain.out, "data")
    ]
    assert named.manifest["annotator"]["name"] == "mine"
    one = run(corpus, tmp_path / "one", "mock", resolution=ResolutionOptions(quorum=1))
    assert set(rows(one.out, "data")[0]["votes"][0].values()) >= {"mock", "model"}


def test_what_an_earlier_run_was_told_is_published_by_the_later_one(corpus: Path, tmp_path: Path) -> None:
    with ChatServer(rejects=("json_schema",), model="a") as a, FailingServer(5, 401) as b:
        panel = members(a=a, b=b)
        with pytest.raises(Interrupted):
            run(corpus, tmp_path / "out", panel)
        b.healed = True
        result = run(corpus, tmp_path / "out", panel)
    first = result.manifest["annotators"][0]
    assert any("json_schema" in notice for notice in first["notices"])
    assert first["retires"] == "2027-01-14"


def test_batches_of_several_and_a_server_online_share_a_folder(corpus: Path, tmp_path: Path) -> None:
    quick = BatchOptions(poll=0.01, longest_poll=0.05, settle=0.05)
    connection = AnnotatorOptions(timeout=120.0, batch=quick)
    with BatchServer(seed=1) as one, BatchServer(seed=2) as two, ChatServer(seed=3) as chat:
        panel = (
            Member("openai-batch/m", "first", base_url=(one.url,)),
            # The same model at the same server waits its turn, so that neither takes the other's batches.
            Member("openai-batch/m", "second", base_url=(one.url,), seed=1),
            Member("openai-batch/m", "third", base_url=(two.url,)),
            Member("openai/m", "fourth", base_url=(chat.url,)),
        )
        result = run(corpus, tmp_path / "out", panel, connection=connection)
        assert set(one.answered.values()) == set(two.answered.values()) == {1}
    assert journaled(tmp_path / "out") == dict.fromkeys(("first", "second", "third", "fourth"), ROWS)
    assert [one["run"]["valid"] for one in result.manifest["annotators"]] == [ROWS] * 4
    assert not list((tmp_path / "out" / ".remelt" / "batches").iterdir())


# -- stopped ------------------------------------------------------------------------------------------------


def start(corpus: Path, out: Path, panel: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "remelt", "build", "melt", "--corpus", str(corpus), "--out", str(out),
        "--splits", "train", "--profile", "clean", "--panel", str(panel), "--concurrency", "4", "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "OPENAI_API_KEY": "not-a-key", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_killed_and_gone_on_with_nothing_that_was_stored_is_asked_again(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        HeldServer(seed=1) as a,
        HeldServer(seed=2) as b,
        HeldServer(seed=3) as c,
    ):
        servers = {"a": a, "b": b, "c": c}
        for server in servers.values():
            # However late the kill comes, it finds the build under way.
            server.may_answer = lambda held=server: len(held.asked) < 12  # type: ignore[misc]
        process = start(corpus, out, write_panel(tmp_path / "panel.yaml", **servers))
        while min(len(s.asked) for s in servers.values()) < 8 or len({n for n, _, _ in stored(out)}) < 3:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.kill()
        process.communicate()
        known, since = stored(out), time.time()
        for server in servers.values():
            server.may_answer = lambda: True
        assert {name for name, _, _ in known} == {"a", "b", "c"}
        assert len(known) < 3 * ROWS
        run(corpus, out, members(**servers))
        asked = [(n, r["hash"], r["turn"]) for n, s in servers.items() for r in s.asked if r["at"] > since]
        assert len(asked) == len(set(asked)) == 3 * ROWS - len(known)
        assert not known & set(asked)
    assert find_problems(out) == []


def test_ctrl_c_stops_all_keeps_what_is_in_flight_and_goes_on(corpus: Path, tmp_path: Path) -> None:
    class Impatient(ChatServer):
        def _refuse(self, request: Any, body: Any) -> Any:
            if len(self.bodies) == 10:
                os.kill(os.getpid(), signal.SIGINT)
                a.may_answer = lambda: True
            return super()._refuse(request, body)

    out, told = tmp_path / "out", Told()
    with HeldServer(seed=1, latency=0.02) as a, Impatient(seed=2, latency=0.02) as b:
        a.may_answer = lambda: len(a.asked) < 10
        with pytest.raises(Interrupted, match=r"^stopped by SIGINT$"):
            run(corpus, out, members(a=a, b=b), told, allow_missing=True)
        assert told.members == {"a": "stopped by SIGINT", "b": "stopped by SIGINT"}
        assert len(stored(out)) == len(a.asked) + len(b.asked) < 2 * ROWS
        b.bodies.clear()
        b.bodies.extend([{}] * 11)
        run(corpus, out, members(a=a, b=b))
        assert set(answered(a).values()) == set(answered(b).values()) == {1}
        assert (len(a.asked), len(b.asked)) == (ROWS, ROWS)
