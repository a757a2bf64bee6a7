"""A transcription that is killed again and again hears no clip twice, and ends as if never killed."""

from __future__ import annotations

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

from ..transcription_server import TranscriptionServer
from .test_transcribe import files, write_corpus

ROWS = 120
KILLS = 6


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")


def command(corpus: Path, out: Path, url: str) -> list[str]:
    return [
        "transcribe", str(corpus), "--asr", "openai-asr/tiny",
        "--out", str(out), "--base-url", url, "--concurrency", "4", "--quiet",
    ]  # fmt: skip


def start(corpus: Path, out: Path, url: str) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "remelt", *command(corpus, out, url)]
    return subprocess.Popen(line, env={**os.environ}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def transcribe(corpus: Path, out: Path, url: str) -> None:
    """A transcription that nobody kills, in this process."""
    done = CliRunner().invoke(app, command(corpus, out, url), catch_exceptions=False)
    assert done.exit_code == 0, done.output


def committed(out: Path) -> set[str]:
    """The transcripts in the journal, which name their clips."""
    if not (out / ".remelt" / "journal.sqlite").is_file():
        return set()
    copy = out.parent / "look"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in (out / ".remelt").glob("journal.sqlite*"):
        shutil.copy(path, copy / path.name)
    database = sqlite3.connect(copy / "journal.sqlite")
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'replies'").fetchall():
        return set()
    found = {raw for (raw,) in database.execute("SELECT raw FROM replies")}
    database.close()
    return found


@pytest.mark.slow
def test_kills(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", ROWS)
    moments = random.Random(7)
    with TranscriptionServer(latency=0.05) as server:
        transcribe(corpus, tmp_path / "whole", server.url)
        whole = files(tmp_path / "whole")
        out, twice, while_asking = tmp_path / "killed", [], 0
        for _ in range(KILLS):
            before, seen = committed(out), len(server.asked)
            process = start(corpus, out, server.url)
            target = seen + moments.randint(1, 16)
            # However late the kill comes, it finds the transcription under way.
            server.may_answer = lambda most=target: len(server.asked) <= most  # type: ignore[misc]
            while len(server.asked) < target and process.poll() is None:
                time.sleep(0.002)
            while_asking += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.communicate()
            server.may_answer = lambda: True
            time.sleep(0.1)
            twice += [a["clip"] for a in server.asked[seen:] if f"The {a['clip']}." in before]
        before, seen = committed(out), len(server.asked)
        transcribe(corpus, out, server.url)
        twice += [a["clip"] for a in server.asked[seen:] if f"The {a['clip']}." in before]
        lost = len(server.asked) - 2 * (ROWS - 1)
    assert while_asking == KILLS
    assert twice == []
    # A kill loses what is in flight, and nothing else: four requests, and the replies to the four before them
    # where these were being committed.
    assert 0 <= lost <= 2 * 4 * KILLS
    assert files(out) == whole


@pytest.mark.slow
def test_ctrl_c_stops_cleanly(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", 60)
    with TranscriptionServer(latency=0.02) as server:
        server.may_answer = lambda: len(server.asked) < 12
        process = start(corpus, tmp_path / "out", server.url)
        while len(server.asked) < 8 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        server.may_answer = lambda: True
        _, said = process.communicate(timeout=300)
        assert process.returncode == 3
        assert "Everything transcribed is kept; the same command goes on." in said.decode()
        assert len(committed(tmp_path / "out")) == len(server.asked) < 59
        transcribe(corpus, tmp_path / "out", server.url)
        assert len(server.asked) == 59
