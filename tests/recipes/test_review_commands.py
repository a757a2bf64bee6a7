"""`remelt review` and `remelt review-report` as commands."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from remelt.cli import app
from remelt.errors import InputError
from remelt.recipes.reporting import Reporter
from remelt.recipes.reviewing.review import Address, ReviewOptions, review
from remelt.review.guard import is_loopback
from remelt.review.serving import address, listen

from ..review.builders import judgement, store_at
from ..review.datasets import row, write_dataset


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "out", [row(n) for n in range(4)])


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_server_says_where_it_is_keeps_others_out_and_ends_well(out: Path) -> None:
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "remelt", "review", str(out), "--no-browser", "--items", "9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        opened = server.stdout.readline()
        url = opened.split()[1]
        assert opened == f"Open {url} (Ctrl-C ends)\n"
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert b"Review: out" in answer.read()
            assert "server" not in answer.headers
        with pytest.raises(
            InputError, match=rf"Another remelt review \(pid {server.pid}, {url}\) is serving"
        ):
            review(out, ReviewOptions())
        server.send_signal(signal.SIGINT)
        said, told = server.communicate(timeout=120)
    assert server.returncode == 0
    assert said.startswith("0 judgements added")
    assert "4 items (original_label against label)" in told
    assert "Only 4 rows can be asked about, 9 were wanted." in told
    assert "No sound is at hand" in told


def test_a_report_on_the_screen_and_in_files(out: Path, tmp_path: Path) -> None:
    with store_at(out) as store:
        for item, choice in (("a", "second"), ("b", "second"), ("c", "first"), ("d", "same")):
            store.add(judgement("Ann [b]", item, choice))
            store.add(judgement("Bo", item, "second"))
        store.add(judgement("Bo", "l", "label", mode="label", label="fear", left="", confidence=5))
    found = run("review-report", out, "--to", tmp_path / "to", "--export", tmp_path / "l.csv")
    assert found.exit_code == 0, found.output
    assert re.search(r"original_label +label +same +skip +median seconds", found.output)
    for text in ("Ann [b]", "Preferred 'label' to 'original_label'", "85.7", "Fleiss' kappa", "20 people"):
        assert text in found.output
    assert (tmp_path / "l.csv").read_text(encoding="utf-8").splitlines()[1] == "s/train/l,Bo,fear,5,"
    assert (tmp_path / "to" / "preference.svg").is_file()
    printed = run("review-report", out, "--json", "-")
    assert json.loads(printed.stdout)["preference"][0]["overall"]["second"] == 6
    assert json.loads(printed.stdout) == json.loads((tmp_path / "to" / "review.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--labels", "label"), "Bad labels 'label', expected two names"),
        (("--labels", "mock:seed=3,invalid=0.2,label"), "--labels twice for names that hold commas"),
        (("--labels", "a", "--labels", "b", "--labels", "c"), "Bad labels 'a b c', expected two names"),
        (("--mode", "rank"), "Bad mode 'rank'"),
        (("--labels", "label,nobody"), "Bad label source 'nobody', expected one of"),
        (("--mode", "label", "--pick", "low-confidence"), "neither soft labels nor votes"),
        (("--split", "dev"), "Bad split 'dev'"),
    ],
)
def test_bad_use_is_refused_before_anything_is_served(
    out: Path, options: tuple[str, ...], message: str
) -> None:
    found = run("review", out, "--no-browser", *options)
    assert isinstance(found.exception, InputError)
    assert message in str(found.exception)
    assert not (out / ".remelt").exists()


@pytest.mark.parametrize("package", ["starlette.applications", "uvicorn"])
def test_a_missing_package_gives_the_install_line(
    out: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"pip install 'remelt\[review\]'"):
        review(out, ReviewOptions())


def test_a_review_comes_back_to_its_address(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("starlette")

    def serve(app: Any, listening: socket.socket, ready: Callable[[], None]) -> None:
        with listening:
            ready()

    monkeypatch.setattr("remelt.review.serving.serve", serve)
    told: list[str] = []
    reporter = Reporter()
    monkeypatch.setattr(reporter, "notice", told.append)

    def port(wanted: int | None = None) -> int:
        opened: list[str] = []
        review(out, ReviewOptions(), Address(port=wanted), reporter, opened.append)
        return int(opened[0].rstrip("/").rpartition(":")[2])

    first = port()
    assert [port(), port()] == [first, first]
    with listen("127.0.0.1", 0) as free:
        wanted = free.getsockname()[1]
    assert port(wanted) == wanted == port()
    told.clear()
    with listen("127.0.0.1", wanted):
        other = port()
    assert other != wanted
    assert any(f"--port {wanted} brings the address back" in notice for notice in told)
    assert port(0) != wanted


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ((), ("original_label", "label")),
        (("--labels", "a, b"), ("a", "b")),
        (("--labels", "mock:seed=3,invalid=0.2", "--labels", "b"), ("mock:seed=3,invalid=0.2", "b")),
    ],
)
def test_labels_whose_names_hold_commas(
    out: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], wanted: tuple[str, str]
) -> None:
    asked: list[Any] = []

    def serve(out: Path, options: ReviewOptions, *_: Any) -> int:
        asked.append(options.sources)
        return 0

    monkeypatch.setattr("remelt.recipes.reviewing.review.review", serve)
    found = run("review", out, "--no-browser", *options)
    assert (found.exit_code, asked) == (0, [wanted])


def test_addresses(out: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"Cannot listen on 127.0.0.1 port {port}: "):
            review(out, ReviewOptions(), Address(port=port))
    assert address("0.0.0.0", 80, "k").endswith(":80/?key=k")
    assert "0.0.0.0" not in address("0.0.0.0", 80)
    assert [is_loopback(h) for h in ("127.8.9.1", "localhost", "10.0.0.1", "evil.example")] == [
        True, True, False, False
    ]  # fmt: skip
