"""A build that is killed again and again loses nothing, asks nothing twice, and ends as if never killed.

What is killed or stopped is a process of its own; what runs to its end unharmed runs in the test's.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from remelt.cli import app
from remelt.errors import RemeltError

from ..builders import write_meld
from ..held_server import HeldServer
from ..servers import ChatServer

ROWS = 400
KILLS = 20
FAULTS = {"429": 0.02, "500": 0.02, "drop": 0.02, "invalid_json": 0.02, "off_list": 0.02}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")


def command(corpus: Path, out: Path, url: str) -> list[str]:
    return [
        "build", "melt", "--corpus", str(corpus), "--out", str(out), "--splits", "train",
        "--profile", "clean", "--annotator", "openai/test", "--base-url", url,
        "--concurrency", "8", "--quiet", "--retries", "1",
    ]  # fmt: skip


def start(corpus: Path, out: Path, url: str) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "remelt", *command(corpus, out, url)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def build(corpus: Path, out: Path, url: str) -> None:
    done = CliRunner().invoke(app, command(corpus, out, url), catch_exceptions=False)
    assert done.exit_code == 0, done.output


def committed(out: Path) -> set[tuple[str, int]]:
    """(hash of the user's message as the server logs it, turn) of every reply in the journal."""
    source = out / ".remelt" / "journal.sqlite"
    if not source.is_file():
        return set()
    copy = out.parent / "look"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in source.parent.glob("journal.sqlite*"):
        shutil.copy(path, copy / path.name)
    database = sqlite3.connect(copy / "journal.sqlite")
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'replies'").fetchall():
        return set()
    rows = database.execute(
        "SELECT content, attempt FROM replies JOIN requests ON key = request_key"
        " JOIN contents ON sha256 = json_extract(messages, '$[1][1]')"
    ).fetchall()
    database.close()
    return {(hashlib.sha256(content.encode()).hexdigest()[:16], attempt) for content, attempt in rows}


def parquet(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (out / "data").iterdir()}


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", ROWS)
    moments = random.Random(7)
    with ChatServer(faults=FAULTS, latency=0.05, keep_bodies=False) as server:
        build(corpus, tmp_path / "whole", server.url)
        whole = parquet(tmp_path / "whole")
        out, kills_while_asking, twice = tmp_path / "killed", 0, []
        for number in range(KILLS):
            before = committed(out)
            seen = len(server.asked)
            process = start(corpus, out, server.url)
            if number % 4 == 3:
                time.sleep(moments.uniform(0.2, 3.0))
            else:
                target = seen + moments.randint(1, 30)
                while len(server.asked) < target and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(moments.uniform(0, 0.05))
            kills_while_asking += process.poll() is None and len(server.asked) > seen
            process.send_signal(signal.SIGKILL)
            process.communicate()
            time.sleep(0.1)
            twice += [(a["hash"], a["turn"]) for a in server.asked[seen:] if (a["hash"], a["turn"]) in before]
        before, seen = committed(out), len(server.asked)
        build(corpus, out, server.url)
        twice += [(a["hash"], a["turn"]) for a in server.asked[seen:] if (a["hash"], a["turn"]) in before]
        seen = len(server.asked)
        build(corpus, out, server.url)
        assert len(server.asked) == seen
    assert kills_while_asking >= KILLS // 2
    assert twice == []
    assert parquet(out) == whole


def test_a_second_build_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", 40)
    with HeldServer(lambda: False) as server:
        first = start(corpus, tmp_path / "out", server.url)
        while not server.in_flight and first.poll() is None:
            time.sleep(0.01)
        with pytest.raises(RemeltError, match=rf"Another remelt process \(pid {first.pid}\) is working on"):
            build(corpus, tmp_path / "out", server.url)
        server.may_answer = lambda: True
        _, said = first.communicate(timeout=600)
        assert first.returncode == 0, said.decode()


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", 200)
    with HeldServer(latency=0.02, keep_bodies=False) as server:
        server.may_answer = lambda: len(server.asked) < 24
        process = start(corpus, tmp_path / "out", server.url)
        while len(server.asked) < 20 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        server.may_answer = lambda: True
        _, said = process.communicate(timeout=300)
        assert process.returncode == 3
        assert "the same command goes on" in said.decode()
        assert len(committed(tmp_path / "out")) == len(server.asked) < 200
        build(corpus, tmp_path / "out", server.url)
        assert len(server.asked) == 200
