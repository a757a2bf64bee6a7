"""A whole build through batches, by the command line: killed, gone on with, listed, cancelled, rebuilt.

What is killed or stopped is a process of its own; every other command runs in the test's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from remelt.cli import app
from remelt.errors import RemeltError

from ..batch_server import BatchServer
from ..builders import write_meld
from ..servers import ChatServer

ENVIRONMENT = {**os.environ, "OPENAI_API_KEY": "not-a-key", "HF_HUB_OFFLINE": "1"}


class Ended(NamedTuple):
    code: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")


def command(corpus: str | Path, out: Path, url: str, annotator: str = "openai-batch/m") -> list[str]:
    return [
        "build", "melt", "--corpus", str(corpus), "--out", str(out), "--audio", "none", "--acoustics", "none",
        "--annotator", annotator, "--base-url", url, "--quiet", "--retries", "1",
    ]  # fmt: skip


def remelt(*arguments: str | Path) -> Ended:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(done.exception, RemeltError):
        return Ended(2, done.stdout, str(done.exception))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


def build(corpus: str | Path, out: Path, url: str, annotator: str = "openai-batch/m", code: int = 0) -> str:
    done = remelt(*command(corpus, out, url, annotator))
    assert done.code == code, done.stderr
    return done.stderr


def start(corpus: str | Path, out: Path, server: BatchServer, batches: int = 1) -> subprocess.Popen[str]:
    """A build that waits for its batches."""
    line = [sys.executable, "-m", "remelt", *command(corpus, out, server.url)]
    process = subprocess.Popen(line, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while sum(b["status"] == "in_progress" for b in list(server.batches.values())) < batches:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def rows(out: Path) -> dict[str, list[dict[str, Any]]]:
    """What is published, by file, but for the annotator's name."""
    tables = {p.name: pq.read_table(p) for p in sorted((out / "data").iterdir())}
    return {name: table.drop_columns(["annotator"]).to_pylist() for name, table in tables.items()}


@pytest.mark.slow
def test_the_sample_through_batches_is_the_sample_online(tmp_path: Path) -> None:
    replies = {"off_list": 0.2, "invalid_json": 0.2}
    with ChatServer(faults=replies, keep_bodies=False) as chat:
        build("sample", tmp_path / "online", chat.url, "openai/m")
    with BatchServer(faults={"500": 0.1, "missing": 0.1, **replies}) as server:
        build("sample", tmp_path / "batch", server.url)
        assert set(server.answered.values()) == {1}
        assert remelt("verify", tmp_path / "batch").code == 0
        assert remelt("rebuild", tmp_path / "batch", "--out", tmp_path / "again", "--quiet").code == 0
    assert rows(tmp_path / "batch") == rows(tmp_path / "online") == rows(tmp_path / "again")
    manifest = json.loads((tmp_path / "batch" / "manifest.json").read_text())
    assert manifest["annotator"]["name"] == "openai-batch/m"
    assert not list((tmp_path / "batch" / ".remelt" / "batches").iterdir())


@pytest.mark.slow
def test_killed_while_the_batch_is_under_way(tmp_path: Path) -> None:
    corpus, out = write_meld(tmp_path / "corpus", 60), tmp_path / "out"
    with BatchServer(hold=True) as server:
        process = start(corpus, out, server)
        listed = remelt("batches", out, "--json", tmp_path / "list.json")
        assert "batch_1  validating" in listed.stdout or "batch_1  in_progress" in listed.stdout
        (record,) = json.loads((tmp_path / "list.json").read_text())
        assert (record["id"], record["model"], record["done"]) == ("batch_1", "m", False)
        assert "Another remelt process" in remelt("batches", out, "--cancel", "all").stderr
        process.send_signal(signal.SIGKILL)
        process.communicate()
        server.release()
        fresh = remelt("batches", out, "--refresh")
        assert fresh.code == 0, fresh.stderr
        assert "batch_1  completed  " in fresh.stdout
        build(corpus, out, server.url)
        assert len(server.sizes) == 1
        assert "completed, read" in remelt("batches", out).stdout


@pytest.mark.slow
def test_ctrl_c_leaves_the_batch_to_the_server(tmp_path: Path) -> None:
    corpus, out = write_meld(tmp_path / "corpus", 60), tmp_path / "out"
    with BatchServer(hold=True) as server:
        process = start(corpus, out, server)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 3
        assert (
            f"1 batch goes on at the server and the same command fetches the answers (`remelt batches {out}`"
            in said
        )
        with ChatServer() as chat:
            # Another server is another endpoint; the same one would be asked, and paid, a second time.
            build(corpus, tmp_path / "other", chat.url, "openai/m")
        refused = build(corpus, out, server.url, "openai/m", code=2)
        assert "m has batches that are not done (batch_1): go on with --annotator openai-batch/m" in refused
        server.release()
        build(corpus, out, server.url)
        assert len(server.sizes) == 1
    assert rows(out) == rows(tmp_path / "other")


@pytest.mark.slow
def test_a_cancelled_batch_gives_what_it_has(tmp_path: Path) -> None:
    corpus, out = write_meld(tmp_path / "corpus", 60), tmp_path / "out"
    with BatchServer(hold=True) as server:
        process = start(corpus, out, server)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
        wrong = remelt("batches", out, "--cancel", "batch_9")
        assert (wrong.code, "expected one of ['batch_1', 'all']" in wrong.stderr) == (2, True)
        done = remelt("batches", out, "--cancel", "all")
        assert done.code == 0, done.stderr
        assert "1 cancelled" in done.stdout
        assert "batch_1  cancelled " in done.stdout
        server.release()
        build(corpus, out, server.url)
        asked = server.sizes[0]
        assert server.sizes == [asked, asked - asked // 2]
        assert set(server.answered.values()) == {1}


@pytest.mark.slow
def test_a_batch_that_nobody_knows_can_be_given_up(tmp_path: Path) -> None:
    corpus, out = write_meld(tmp_path / "corpus", 60), tmp_path / "out"
    with BatchServer(hold=True) as server:
        process = start(corpus, out, server)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
        server.batches.clear()
        server.release()
        assert "--cancel batch_1" in build(corpus, out, server.url, code=2)
        assert "abandoned" in remelt("batches", out, "--cancel", "batch_1").stdout
        build(corpus, out, server.url)
        assert len(server.sizes) == 2


@pytest.mark.parametrize("made", [True, False])
def test_folders_without_batches(tmp_path: Path, made: bool) -> None:
    if made:
        corpus, out = write_meld(tmp_path / "corpus", 10), tmp_path / "out"
        made_of = ["--corpus", str(corpus), "--out", str(out), "--annotator", "mock", "--quiet"]
        assert remelt("build", "melt", *made_of).code == 0
        assert "has no batches" in remelt("batches", out).stdout
        assert "There is no batch to cancel" in remelt("batches", out, "--cancel", "all").stdout
    else:
        assert "No journal at" in remelt("batches", tmp_path).stderr
        assert "No journal at" in remelt("batches", tmp_path, "--cancel", "all").stderr
