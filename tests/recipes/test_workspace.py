"""What is kept beside the journal, with several workers at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from filelock import FileLock

from remelt.errors import InputError, Interrupted
from remelt.recipes import workspace
from remelt.recipes.workspace import amend, recall, remember

WORKERS, TIMES = 4, 25


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / ".remelt").mkdir()
    return tmp_path


def at_once(work: Callable[[int], None]) -> None:
    """Has workers begin together; what one raises is raised."""
    begin = Barrier(WORKERS)

    def one(number: int) -> None:
        begin.wait()
        work(number)

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(one, range(WORKERS)))


def test_no_record_of_another_worker_is_lost(out: Path) -> None:
    def count(number: int) -> None:
        def more(kept: dict[str, Any]) -> dict[str, Any]:
            return {"run": kept.get("run", 0) + 1}

        for _ in range(TIMES):
            amend(out, "members.json", f"worker {number}", more)
            amend(out, "members.json", "all", more)

    at_once(count)
    each = {f"worker {number}": {"run": TIMES} for number in range(WORKERS)}
    assert recall(out, "members.json") == {**each, "all": {"run": WORKERS * TIMES}}
    assert sorted(p.name for p in (out / ".remelt").iterdir()) == ["members.json", "members.lock"]


def test_a_file_is_whole_whoever_writes_it(out: Path) -> None:
    long = "x" * 20_000

    def write(number: int) -> None:
        for time in range(TIMES):
            remember(out, "local.json", {"worker": number, "time": time, "long": long})
            assert recall(out, "local.json")["long"] == long

    at_once(write)
    assert [p.name for p in (out / ".remelt").iterdir()] == ["local.json"]


def test_what_has_not_changed_is_not_written(out: Path) -> None:
    amend(out, "members.json", "a", lambda _: {})
    assert not (out / ".remelt" / "members.json").exists()
    amend(out, "members.json", "a", lambda _: {"run": 1})
    before = (out / ".remelt" / "members.json").stat().st_mtime_ns
    amend(out, "members.json", "a", dict)
    assert (out / ".remelt" / "members.json").stat().st_mtime_ns == before


def test_what_cannot_be_read_or_reached_is_told(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = out / ".remelt" / "members.json"
    path.write_text('{"a": ', encoding="utf-8")
    with pytest.raises(InputError, match=r"members\.json is damaged"):
        amend(out, "members.json", "a", dict)
    path.write_text(json.dumps({"a": {"run": 1}}), encoding="utf-8")
    monkeypatch.setattr(workspace, "_PATIENCE", 0)
    with (
        FileLock(str(out / ".remelt" / "members.lock")),
        pytest.raises(Interrupted, match=r"at work on .*members\.json"),
    ):
        amend(out, "members.json", "a", dict)
    with pytest.raises(Interrupted, match="Cannot write"):
        amend(path, "members.json", "a", lambda _: {"run": 1})
