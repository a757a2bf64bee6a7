"""Work on Ray's workers gives what one process gives; all tests share one Ray with two workers."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import wave
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remelt.annotators import AnnotatorOptions
from remelt.annotators.asr import AsrOptions
from remelt.engine import EngineOptions
from remelt.errors import AnnotatorError, InputError, Interrupted
from remelt.recipes import melt
from remelt.recipes.cluster import session, shards
from remelt.recipes.cluster.session import Cluster, check_machines, connect
from remelt.recipes.cluster.shards import Shard
from remelt.recipes.cluster.working import Crew, spread
from remelt.recipes.listening.measuring import MeasureOptions, measure
from remelt.recipes.listening.transcribe import TranscribeOptions, TranscribeResult, transcribe
from remelt.recipes.options import BuildOptions
from remelt.recipes.parts.options import PartOptions
from remelt.recipes.reporting import Reporter

from ..servers import ChatServer
from ..transcription_server import TranscriptionServer
from .parts_corpus import findings

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
LIMIT = 240.0
CLIPS = 9
RAY = PartOptions(engine="ray", workers=2, rows=2)
TWO = Crew(2)
ROWS, CONCURRENCY = 60, 2
PARTS = PartOptions(engine="ray", workers=2, rows=10)
KILLED_AT, STOPPED_AT = 14, 34
KEY = "sk-canary-of-the-cluster"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as environment:
        # Workers on this machine have the environment that Ray was started in.
        environment.setenv("OPENAI_API_KEY", KEY)
        environment.delenv("OPENAI_BASE_URL", raising=False)
        with connect(workers=2) as started:
            yield started


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {LIMIT:g} s: {what}"
        time.sleep(0.02)
    return found


class Heard(Reporter):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


# -- the workers themselves --------------------------------------------------------------------------


def marking(folder: Path, wrong: int) -> Callable[[int, Reporter], int]:
    """Work that leaves a mark for each item; Ray sends it as it is, so workers need not find this file."""

    def work(item: int, reporter: Reporter) -> int:
        (folder / str(item)).touch()
        # Workers stand where the user does, wherever Ray was started.
        assert Path(str(item)).samefile(folder / str(item))
        reporter.notice("a worker is at work")
        if item == wrong:
            raise AnnotatorError(f"nobody answers {item}")
        return item

    return work


def test_an_item_that_fails_ends_the_run_with_its_own_error(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, done = Heard(), []
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AnnotatorError, match=r"^nobody answers 1$"):
        done += spread(cluster, TWO, marking(tmp_path, wrong=1), range(100), told)
    # The others were told; most were not begun any more.
    assert len(list(tmp_path.iterdir())) < 100
    assert told.notices == ["a worker is at work"]


def test_a_machine_that_does_not_see_out_is_named(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_machines(cluster, tmp_path, tmp_path)
    with pytest.raises(InputError, match=r"127\.0\.0\.1 .* does not see /nowhere/clips"):
        check_machines(cluster, tmp_path, Path("/nowhere/clips"))
    everywhere = Cluster.everywhere

    def elsewhere(self: Cluster, look: Any, path: str, *read: str) -> dict[str, Any]:
        """As on a machine with another disk under the same path."""
        return everywhere(self, look, path.replace(str(tmp_path), str(tmp_path / "other")), *read)

    monkeypatch.setattr(Cluster, "everywhere", elsewhere)
    with pytest.raises(InputError, match=r"127\.0\.0\.1 .* does not see OUT .* \(No such file"):
        check_machines(cluster, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(session, "__version__", "9.9")
    with pytest.raises(InputError, match=r"has remelt .*, this one has 9\.9: .*remelt\[ray\]==9\.9"):
        check_machines(cluster, tmp_path)


def test_ray_listens_on_loopback_alone_and_reports_to_nobody(cluster: Cluster) -> None:
    mine = offspring(os.getpid())
    assert len(mine) > 3
    assert {host for host in listening(mine) if not host.startswith("127.")} == set()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_no_ray_starts_by_itself() -> None:
    """As it would when the threads of a run that was stopped at once go on after its Ray has ended."""
    program = "from remelt.recipes.cluster.session import require; require().put(1)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "Ray has not been started" in done.stderr


def offspring(parent: int) -> set[int]:
    """The processes that a process has started, and those that they have."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = set(), {parent}
    while new:
        found |= new
        new = {child for child, of in parents.items() if of in new} - found
    return found - {parent}


def listening(processes: set[int]) -> set[str]:
    """The addresses that some processes listen on."""
    inodes = set()
    for process in processes:
        try:
            links = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
        except OSError:
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    hosts = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                raw = bytes.fromhex(fields[1].partition(":")[0])[-4:]
                hosts.add(".".join(str(byte) for byte in raw[::-1]))
    return hosts


# -- a build in parts --------------------------------------------------------------------------------


class GatedServer(ChatServer):
    """Answers so many requests; those after them wait until the gate is moved."""

    def __init__(self, gate: int, **options: Any) -> None:
        super().__init__(**options)
        self.gate, self.came = gate, 0

    async def _chat(self, request: Any) -> Any:
        self.came += 1
        place = self.came
        while place > self.gate:  # noqa: ASYNC110 - another thread moves the gate
            await asyncio.sleep(0.02)
        return await super()._chat(request)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    lines = ["id,split,speaker,text,label,start,end"]
    for n in range(ROWS):
        split, speaker, label = ("train", "test")[n % 3 == 0], ("Ann", "Bob")[n % 2], ("joy", "anger")[n % 2]
        lines.append(f"u{n},{split},{speaker},This is line number {n}.,{label},0.0,2.5")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def build(
    table: Path, out: Path, url: str, parts: PartOptions | None, reporter: Reporter | None = None
) -> Any:
    options = BuildOptions(
        corpus=str(table),
        out=out,
        corpus_name="toy",
        profile="clean",
        annotator="openai/test",
        connection=AnnotatorOptions(base_url=url, timeout=LIMIT),
        engine=EngineOptions(concurrency=CONCURRENCY),
        parts=parts,
    )
    return melt.build(options, reporter)


def committed(out: Path) -> set[str]:
    """The hash, as the server has it, of each prompt that is answered in the journal or a shard."""
    found = set()
    for path in [out / ".remelt" / "journal.sqlite", *out.glob(".remelt/shards/*.sqlite")]:
        if not path.is_file():
            continue
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            found |= {
                hashed(content)
                for (content,) in database.execute(
                    "SELECT content FROM replies JOIN requests ON key = request_key"
                    " JOIN contents ON sha256 = json_extract(messages, '$[1][1]')"
                )
            }
        except sqlite3.OperationalError:
            # It is being made, or taken in, at this moment.
            continue
        finally:
            database.close()
    return found


def told_of_loss(notice: str) -> bool:
    return notice.startswith("A worker was lost")


def leave_shard(out: Path, other: Path, kept: set[str]) -> None:
    """As a killed run leaves one: with the answers to three prompts that have none in OUT yet."""
    path = shards.shard_path(out, "part-000009")
    with Shard(path) as shard:
        shards.merge(shard, other / ".remelt" / "journal.sqlite")
    database = sqlite3.connect(path)
    prompts = dict(
        database.execute(
            "SELECT key, content FROM requests JOIN contents ON sha256 = json_extract(messages, '$[1][1]')"
        )
    )
    new = [key for key, text in prompts.items() if hashed(text) not in kept][:3]
    marks = ", ".join("?" * len(new))
    database.execute(f"DELETE FROM replies WHERE request_key NOT IN ({marks})", new)
    database.commit()
    database.close()


def hashed(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def at_work(out: Path) -> set[int]:
    """The workers that have a shard of OUT open."""
    found = set()
    for process in offspring(os.getpid()):
        try:
            links = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
        except OSError:
            continue
        if any(link.startswith(f"{out}/.remelt/shards/") and link.endswith(".sqlite") for link in links):
            found.add(process)
    return found


def test_a_killed_worker_and_a_stopped_run_repeat_nothing_that_was_committed(
    cluster: Cluster, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "ray"
    seen: dict[str, Any] = {}

    def disturb(server: GatedServer) -> None:
        seen["first"] = until(lambda: len(found := committed(out)) == server.gate and found, "first answers")
        (victim, *_) = seen["workers"] = until(lambda: at_work(out), "workers")
        os.kill(victim, signal.SIGKILL)
        server.gate = STOPPED_AT
        seen["second"] = until(lambda: len(found := committed(out)) >= ROWS // 2 and found, "more answers")
        until(lambda: any(told_of_loss(notice) for notice in told.notices), "another worker in its place")
        os.kill(os.getpid(), signal.SIGINT)
        while not over.wait(0.1):
            server.gate += 1
        server.gate = 10 * ROWS

    over, told = threading.Event(), Heard()
    with GatedServer(10 * ROWS, key=KEY) as server, ThreadPoolExecutor(1) as threads:
        build(table, tmp_path / "local", server.url, None)
        server.asked.clear()
        server.came, server.gate = 0, KILLED_AT
        disturbed = threads.submit(disturb, server)
        try:
            with pytest.raises(Interrupted, match="stopped by SIGINT"):
                build(table, out, server.url, PARTS, told)
        finally:
            over.set()
        disturbed.result()
        assert any(notice.startswith("Stopping") for notice in told.notices)
        assert not (out / ".remelt" / shards.FOLDER).exists()
        kept = committed(out)
        assert kept >= seen["second"] >= seen["first"]
        leave_shard(out, tmp_path / "local", kept)
        kept, before = committed(out), server.came
        result = build(table, out, server.url, PARTS)
        assert server.came - before == ROWS - len(kept)
        asked = Counter(entry["hash"] for entry in server.asked)
        assert {asked[one] for one in seen["first"]} == {1}
        # Of the others, those that the killed worker had in flight.
        assert asked.keys() | kept == committed(out)
        assert asked.total() - len(asked) <= CONCURRENCY
        assert result.rows == ROWS
    assert files(out / "data") == files(tmp_path / "local" / "data") != {}
    assert findings(out) == findings(tmp_path / "local")


# -- what is heard -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with clips; one of them is no sound, one is missing."""
    folder = tmp_path_factory.mktemp("spoken")
    lines = ["id,split,speaker,text,label,clip"]
    for number in range(CLIPS):
        seconds = np.arange(8_000) / 16_000
        sound = sum(np.sin(2 * np.pi * (110 + 20 * number) * k * seconds) / k for k in range(1, 8))
        with wave.open(str(folder / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", "NONE"))
            file.writeframes(np.asarray(4_000 * sound, dtype="<i2").tobytes())
        lines.append(f"u{number},train,Ann,Line {number}.,joy,{number}.wav")
    (folder / "4.wav").write_text("not a sound at all", encoding="utf-8")
    (folder / "7.wav").unlink()
    (folder / "all.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def hear(corpus: Path, out: Path, url: str, parts: PartOptions | None) -> TranscribeResult:
    hearing = AsrOptions(base_url=url, timeout=60.0, concurrency=2)
    return transcribe(
        TranscribeOptions(
            str(corpus), out, "openai-asr/tiny", corpus_name="toy", hearing=hearing, parts=parts, retries=0
        )
    )


def files(out: Path) -> dict[str, bytes]:
    found = sorted(path for path in out.rglob("*") if path.is_file() and ".remelt" not in path.parts)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def test_transcripts_are_the_same(cluster: Cluster, spoken: Path, tmp_path: Path) -> None:
    with TranscriptionServer() as server:
        local = hear(spoken, tmp_path / "local", server.url, None)
        asked = len(server.asked)
        told = hear(spoken, tmp_path / "ray", server.url, RAY)
        assert len(server.asked) == 2 * asked
        again = hear(spoken, tmp_path / "ray", server.url, RAY)
        assert len(server.asked) == 2 * asked
    assert (
        files(tmp_path / "ray")["transcripts/train.parquet"]
        == (tmp_path / "local" / "transcripts" / "train.parquet").read_bytes()
    )
    different = ("seconds", "rows_per_second", "latency", "window", "peak_in_flight", "real_time_factor")
    plain = [
        {**r.info, "run": {n: v for n, v in r.info["run"].items() if n not in different}}
        for r in (local, told, again)
    ]
    assert plain[0] == plain[1] == plain[2]
    assert (told.stats.done, told.stats.reused, again.stats.reused) == (CLIPS - 1, 0, asked)
    assert not (tmp_path / "ray" / ".remelt" / shards.FOLDER).exists()


def test_measures_are_the_same(cluster: Cluster, spoken: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    pytest.importorskip("soxr")
    for name, parts in (("local", None), ("ray", RAY)):
        measure(MeasureOptions(str(spoken), tmp_path / name, corpus_name="toy", parts=parts))
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    sounds = [sorted(p.name for p in (tmp_path / n / ".remelt").rglob("*.flac")) for n in ("local", "ray")]
    assert sounds[0] == sounds[1] != []


def test_no_key_is_left_in_what_ray_writes(cluster: Cluster) -> None:
    """Comes last: the builds have used it."""
    folder = Path(cluster.ray._private.worker._global_node.get_session_dir_path())
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert [path for path in written if KEY.encode() in path.read_bytes()] == []
