"""The workers' journals, without any worker: taken in once, and only whole."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from remelt.batch_log import BatchLog
from remelt.engine import EngineOptions
from remelt.errors import InputError, Interrupted
from remelt.journal import Journal
from remelt.protocols import BatchState
from remelt.recipes import melt
from remelt.recipes.cluster import shards
from remelt.recipes.cluster.executor import refuse, shared
from remelt.recipes.cluster.session import Cluster
from remelt.recipes.cluster.shards import Shard, clear, merge, merge_left, shard_path, write_known
from remelt.recipes.cluster.working import Crew, crew
from remelt.recipes.options import BuildOptions
from remelt.recipes.parts.options import PartOptions
from remelt.recipes.workspace import workspace

from ..builders import reply, request

TABLES = ("contents", "requests", "replies", "batch_rows")


def rows(path: Path, table: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(path)
    found = db.execute(f"SELECT * FROM {table}").fetchall()
    db.close()
    return sorted(found, key=repr)


def written(path: Path, numbers: range) -> Path:
    with Shard(path) as shard:
        shard.append([(request(n), reply(request(n))) for n in numbers])
    return path


def test_a_merged_journal_is_the_one_that_would_have_been_written(tmp_path: Path) -> None:
    asked = [request(n) for n in range(6)]
    pairs = [(q, reply(q)) for q in asked] + [(asked[0], reply(asked[0], 1, raw="again"))]
    lost = [(asked[5], reply(asked[5], 1, raw="", failure="error", detail="timeout", cost=0.5))]
    with Journal(tmp_path / "one.sqlite") as whole:
        whole.append(pairs + lost)
    with Shard(tmp_path / "a.sqlite") as first, Shard(tmp_path / "b.sqlite") as second:
        first.append(pairs[:3] + pairs[6:])
        second.append(pairs[3:6] + lost)
    with Journal(tmp_path / "main.sqlite") as main:
        assert merge(main, tmp_path / "a.sqlite") == 4
        assert merge(main, tmp_path / "b.sqlite") == 3
        assert main.spent() == pytest.approx(0.5 + 7 * 0.001)
        assert main.replies([asked[0].key])[asked[0].key] == (
            reply(asked[0]),
            reply(asked[0], 1, raw="again"),
        )
    for table in TABLES:
        assert rows(tmp_path / "main.sqlite", table) == rows(tmp_path / "one.sqlite", table)
    assert [r[1:] for r in rows(tmp_path / "main.sqlite", "failures")] == [
        r[1:] for r in rows(tmp_path / "one.sqlite", "failures")
    ]


def test_a_shard_is_taken_in_once(tmp_path: Path) -> None:
    """Also what has no key: two shards may hold the same cost, one shard's is counted once."""
    main = Journal(tmp_path / "main.sqlite")
    for name in ("a", "b"):
        with Shard(tmp_path / f"{name}.sqlite") as shard:
            shard.append([(request(0), reply(request(0), raw="", failure="error", cost=0.25))])
            shard.hold(1.0)
    for name in ("a", "a", "b", "a"):
        merge(main, tmp_path / f"{name}.sqlite")
    assert main.spent() == pytest.approx(2.5)
    with Shard(tmp_path / "a.sqlite") as shard:
        shard.append([(request(1), reply(request(1))), (request(2), reply(request(2), failure="error"))])
    assert [merge(main, tmp_path / "a.sqlite") for _ in range(3)] == [1, 0, 0]
    assert len(rows(tmp_path / "main.sqlite", "failures")) == 5
    main.close()


def test_nothing_that_is_there_is_changed(tmp_path: Path) -> None:
    with Journal(tmp_path / "main.sqlite") as main:
        main.append([(request(0), reply(request(0), raw="first"))])
        with Shard(tmp_path / "s.sqlite") as shard:
            shard.append([(request(0), reply(request(0), raw="other"))])
        assert merge(main, tmp_path / "s.sqlite") == 0
        assert main.replies([request(0).key])[request(0).key][0].raw == "first"


def test_batches_keep_their_marks_and_rows(tmp_path: Path) -> None:
    who = ("openai-batch/m", "m", "https://x/v1")
    with Journal(tmp_path / "main.sqlite") as main, Shard(tmp_path / "s.sqlite") as shard:
        BatchLog(main).begin(who, "first", [("k0", 0)], 10, 0.5)
        log = BatchLog(shard)
        number = log.begin(who, "second", [("k1", 0), ("k2", 1)], 20, 1.5)
    with Journal(tmp_path / "main.sqlite") as main:
        merge(main, tmp_path / "s.sqlite")
        assert [(b.number, b.mark, b.rows) for b in BatchLog(main).all()] == [
            (1, "first", 1), (2, "second", 2)
        ]  # fmt: skip
        assert BatchLog(main).find(["k2"], [2]) == {"k2": (2, 2, 1)}
        with Shard(tmp_path / "s.sqlite") as shard:
            BatchLog(shard).update(number, BatchState("id-2", "completed", 2, 0))
            BatchLog(shard).finish(number)
        for _ in range(2):
            merge(main, tmp_path / "s.sqlite")
        found = BatchLog(main).all()
        assert [(b.mark, b.id, b.status, b.done) for b in found] == [
            ("first", "", "creating", False), ("second", "id-2", "completed", True)
        ]  # fmt: skip
        assert len(rows(tmp_path / "main.sqlite", "batch_rows")) == 3


@pytest.mark.parametrize("damage", ["head", "middle"])
def test_a_damaged_shard_is_named_and_kept(tmp_path: Path, damage: str) -> None:
    out = tmp_path / "out"
    path = written(shard_path(out, "part-000001"), range(400))
    written(shard_path(out, "part-000000"), range(400, 402))
    content = bytearray(path.read_bytes())
    start = 0 if damage == "head" else len(content) // 4
    content[start : start + len(content) // 2] = os.urandom(len(content) // 2)
    path.write_bytes(content)
    with Journal(out / ".remelt" / "journal.sqlite") as main:
        with pytest.raises(InputError, match=r"part-000001\.sqlite"):
            merge_left(main, out)
        # Nothing of it; what was whole is in.
        assert main.count() == 2
        assert path.read_bytes() == content
        path.unlink()
        assert merge_left(main, out) == 0
    assert not path.parent.exists()


@pytest.mark.parametrize("wrong", [bytes(8192), b"\x07" * 8192], ids=["empty page", "no page"])
def test_no_page_of_a_shard_can_be_damaged_unseen(tmp_path: Path, wrong: bytes) -> None:
    """Whatever page it is, that of the shard's own name too, the error is ours and names the file."""
    content = written(tmp_path / "s.sqlite", range(40)).read_bytes()
    kinds = set()
    for start in range(0, len(content), 8192):
        path = tmp_path / f"{start}.sqlite"
        path.write_bytes(content[:start] + wrong + content[start + 8192 :])
        with Journal(tmp_path / f"main-{start}" / "j.sqlite") as main:
            if (told := refusal(main, path)) is not None:
                assert str(path) in told
                assert main.count() == 0
                kinds.add("is damaged" in told)
    assert kinds == {True, False}


def refusal(main: Journal, path: Path) -> str | None:
    """What is said of a shard that is not taken in."""
    try:
        merge(main, path)
    except InputError as error:
        return str(error)
    return None


def test_what_was_known_is_looked_up_and_not_written_again(tmp_path: Path) -> None:
    asked = [request(n) for n in range(3)]
    with Journal(tmp_path / ".remelt" / "journal.sqlite") as main:
        assert write_known(main, tmp_path) is None
        main.append([(asked[0], reply(asked[0])), (asked[1], reply(asked[1], raw="no"))])
        known = write_known(main, tmp_path)
        assert known is not None
        with Shard(shard_path(tmp_path, "part"), known) as shard:
            shard.append([(asked[1], reply(asked[1], 1)), (asked[2], reply(asked[2]))])
            found = shard.replies([one.key for one in asked] + ["unknown"])
            assert shard.count() == 2
        assert {key: [r.attempt for r in given] for key, given in found.items()} == {
            asked[0].key: [0], asked[1].key: [0, 1], asked[2].key: [0]
        }  # fmt: skip
        assert merge_left(main, tmp_path) == 2
        assert main.replies([one.key for one in asked]) == found
        assert not known.exists()


def test_nobody_else_may_write_to_a_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_PATIENCE", 0)
    path = shard_path(tmp_path, "part")
    with Journal(tmp_path / "main.sqlite") as main, Shard(path):
        with pytest.raises(Interrupted, match=r"still at work on .*part\.sqlite"):
            Shard(path)
        with pytest.raises(Interrupted, match="still at work"):
            merge(main, path)
    Shard(path).close()


def test_a_killed_worker_leaves_what_it_committed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from remelt.recipes.cluster.shards import Shard, shard_path
        from tests.builders import reply, request
        shard = Shard(shard_path(Path({str(tmp_path)!r}), "part"))
        for n in range(5):
            shard.append([(request(n), reply(request(n)))])
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.path.join(root, "builders")])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    # Whoever opens OUT next takes it in first.
    with workspace(tmp_path, "melt", "toy") as journal:
        assert journal.count() == 5
    assert [p.name for p in (tmp_path / ".remelt").iterdir() if p.name == shards.FOLDER] == []


def test_several_workers_share_what_is_allowed_a_minute() -> None:
    engine = EngineOptions(requests_per_minute=600, tokens_per_minute=9_000, concurrency=8)
    options = BuildOptions("corpus", Path("out"), "mock", engine=engine)
    divided = shared(options, 4).engine
    assert divided == replace(engine, requests_per_minute=150, tokens_per_minute=2_250)
    assert shared(replace(options, engine=None), 4).engine == EngineOptions()


@pytest.mark.parametrize(("name", "value"), [("budget", 2.5), ("max_rows", 10)])
def test_what_several_workers_cannot_keep_to_is_refused(name: str, value: float) -> None:
    options = BuildOptions("corpus", Path("out"), "mock", engine=EngineOptions(**{name: value}))
    with pytest.raises(InputError, match=rf"^--{name.replace('_', '-')} {value:g} cannot be kept by several"):
        refuse(options)


def test_without_ray_the_install_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "t.csv").write_text("id,split,text,label\n1,train,Hello there you.,joy\n", encoding="utf-8")
    parts = PartOptions(engine="ray")
    options = BuildOptions(str(tmp_path / "t.csv"), tmp_path / "out", "mock", corpus_name="toy", parts=parts)
    with pytest.raises(InputError, match=r"--engine ray needs Ray .*pip install 'remelt\[ray\]'"):
        melt.build(options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("workers", "items", "in_process", "threads", "expected"),
    [
        (None, 100, False, 1, Crew(8, 1, 0)),
        (3, 100, False, 1, Crew(3, 1, 0)),
        (None, 2, False, 1, Crew(2, 1, 0)),
        (None, 100, True, 4, Crew(2, 4, 1)),
        (None, 100, True, 1, Crew(8, 1, 0.25)),
        (3, 100, True, 1, Crew(3, 1, 0.5)),
        # More than there are: each has to do with fewer.
        (16, 100, True, 4, Crew(16, 1, 0.125)),
    ],
)
def test_what_each_worker_has(
    workers: int | None, items: int, in_process: bool, threads: int, expected: Crew
) -> None:
    assert crew(Cluster(None, "", 8, 2), workers, items, in_process, threads) == expected


def test_clearing_up_leaves_what_is_not_taken_in(tmp_path: Path) -> None:
    clear(tmp_path)
    path = written(shard_path(tmp_path, "part"), range(1))
    clear(tmp_path)
    assert path.is_file()
