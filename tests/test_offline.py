"""Nothing leaves the machine offline, and nothing unasked leaves it otherwise: connections are forbidden.

The commands run in a process whose sockets note every address and refuse those that are not loopback, and
once in a network of its own that has nothing but loopback, where no code of any language can leave.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from remelt.offline import stays_here

from .commands import Ran, run
from .servers import ChatServer
from .test_canary import table

# Below the interpreter's own socket module, so that nothing is missed that remelt's hook would refuse first.
FORBIDDEN = """
import socket, sys
def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host is None or host in ("localhost", "::1") or str(host).startswith("127."):
        return
    print(f"ATTEMPT {event} {host}", file=sys.stderr, flush=True)
    raise OSError(f"forbidden here: {host}")
sys.addaudithook(watch)
"""
ALONE = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$0" "$@"']
PYTHON = """
import os, sys
assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "1"
assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
assert not {"huggingface_hub", "datasets", "transformers", "ray"} & set(sys.modules)
"""


def alone() -> list[str]:
    """The command that starts others in a network of their own."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs unshare and ip")
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to make a network of its own")
    return ALONE


def local_commands(corpus: Path, work: Path) -> list[list[object]]:
    """The commands that need nothing but this machine."""
    return [
        ["corpora"],
        ["inspect", corpus],
        [
            "plan",
            "melt",
            "--corpus",
            corpus,
            "--profile",
            "any-speaker",
            "--annotator",
            "mock",
            "--out",
            work,
        ],
        [
            "build",
            "melt",
            "--corpus",
            corpus,
            "--profile",
            "any-speaker",
            "--annotator",
            "mock",
            "--out",
            work,
        ],
        ["audit", work, "--no-figures"],
        ["verify", work],
        ["rebuild", work, "--out", f"{work}-again"],
        ["diff", work, f"{work}-again"],
        ["export-annotations", work, "--to", f"{work}.csv"],
        ["prompts", "show", "melt"],
    ]


def assert_kept_in(ran: Ran) -> None:
    attempts = [line for line in ran.errors.splitlines() if line.startswith("ATTEMPT")]
    assert attempts == []
    assert ran.codes == [0] * len(ran.codes), ran.errors


def test_local_work_makes_no_connection_and_reports_to_nobody(tmp_path: Path) -> None:
    corpus = table(tmp_path / "corpus")
    ran = run(local_commands(corpus, tmp_path / "out"), first=FORBIDDEN + PYTHON, environment=_plain())
    assert_kept_in(ran)


@pytest.mark.slow
def test_offline_is_kept_in_a_network_of_its_own(tmp_path: Path) -> None:
    corpus = table(tmp_path / "corpus")
    build, verify = local_commands(corpus, tmp_path / "out")[3:6:2]
    lines = [["--offline", *build], ["--offline", *verify]]
    ran = run(lines, first=FORBIDDEN, environment=_plain(), before=alone())
    assert_kept_in(ran)


@pytest.mark.slow
@pytest.mark.local_model
@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs the extra local")
def test_the_embedded_model_answers_offline(tmp_path: Path) -> None:
    from remelt.annotators import local_models

    if local_models.locate(local_models.catalogue()["smollm2"]) is None:
        pytest.skip("needs the embedded model")
    line = ["build", "melt", "--corpus", table(tmp_path / "corpus", 2), "--profile", "any-speaker"]
    more = ["--annotator", "local/smollm2", "--max-tokens", "60", "--retries", "0", "--max-invalid", "9"]
    ran = run(
        [[*line, *more, "--out", tmp_path / "out"]],
        first=FORBIDDEN,
        environment={**_plain(), "REMELT_OFFLINE": "1"},
    )
    assert_kept_in(ran)


def test_what_needs_the_network_is_refused_at_once_and_this_machine_is_not(tmp_path: Path) -> None:
    corpus = table(tmp_path / "corpus")
    build = ["--offline", "build", "melt", "--corpus", corpus, "--profile", "any-speaker", "--out"]
    lines: list[list[object]] = [
        [],
        [*build, tmp_path / "a", "--annotator", "openai/m", "--base-url", "https://models.example.org/v1"],
        [*build, tmp_path / "b", "--annotator", "openai-batch/m"],
        [*build, tmp_path / "c", "--annotator", "local/somebody/model-GGUF"],
        [*build, tmp_path / "d", "--annotator", "replay:hf://somebody/data"],
        ["--offline", "publish", tmp_path / "ok", "me/it", "--yes"],
        ["--offline", "diff", tmp_path / "ok", "hub:me/it"],
        ["--offline", "review", tmp_path / "ok", "--host", "0.0.0.0", "--no-browser"],
        [
            "--offline",
            "plan",
            "melt",
            "--corpus",
            corpus,
            "--annotator",
            "openai/gpt-4o",
            "--out",
            tmp_path / "p",
        ],
    ]
    environment = {
        **_plain(),
        "OPENAI_API_KEY": "a-key-0123456789",
        "TIKTOKEN_CACHE_DIR": str(tmp_path / "none"),
    }
    environment["HF_HOME"] = str(tmp_path / "hub")
    with ChatServer() as server:
        lines[0] = [*build, tmp_path / "ok", "--annotator", "openai/any", "--base-url", server.url]
        ran = run(lines, first=FORBIDDEN, environment=environment)
        assert len(server.asked) == 9
    assert [line for line in ran.errors.splitlines() if line.startswith("ATTEMPT")] == []
    assert ran.codes == [0, 2, 2, 2, 2, 2, 2, 2, 0], ran.errors
    told = [line for line in ran.errors.splitlines() if line.startswith("error:")]
    assert len(told) == 7
    assert all("offline" in line.lower() for line in told), told
    assert "https://models.example.org/v1 needs the network" in told[0]


def test_the_hook_stops_what_goes_past_remelt() -> None:
    """Also a library's own connection, and one of a process that is started from here."""
    code = """
import socket, subprocess, sys, urllib.request
import remelt
from remelt.offline import OfflineError, active
if len(sys.argv) < 2:
    remelt.go_offline()
assert active()
for call in (
    lambda: socket.create_connection(("192.0.2.1", 80)),
    lambda: socket.getaddrinfo("example.org", 80),
    lambda: socket.gethostbyname("example.org"),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
    lambda: socket.create_server(("0.0.0.0", 0)),
    lambda: urllib.request.urlopen("http://192.0.2.1/"),
):
    try:
        call()
    except OSError as error:
        assert "offline" in str(error), error
    else:
        raise AssertionError("went out")
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
    socket.getaddrinfo("localhost", 80)
one, other = socket.socketpair()
import huggingface_hub, datasets
assert huggingface_hub.constants.HF_HUB_OFFLINE and datasets.config.HF_HUB_OFFLINE
if len(sys.argv) < 2:
    subprocess.run([sys.executable, "-c", sys.stdin.read() or open(__file__).read(), "child"], check=True)
"""
    code = code.replace("sys.stdin.read() or open(__file__).read()", "sys.orig_argv[2]")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1] / "builders")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("LOCALHOST.", True),
        ("::ffff:127.0.0.1", True), ("::ffff:8.8.8.8", False), ("0.0.0.0", False), ("", False),
        ("localhost.example.org", False), ("127.0.0.1.example.org", False), ("192.168.0.1", False),
        ("fe80::1%eth0", False),
    ],
)  # fmt: skip
def test_loopback_is_told_from_the_rest(host: str, here: bool) -> None:
    assert stays_here(host) is here


def _plain() -> dict[str, str]:
    """An environment that says nothing about keys and proxies."""
    return {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "HTTP_PROXY": "", "HTTPS_PROXY": "", "HF_TOKEN": ""}
