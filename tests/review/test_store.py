from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from remelt.errors import InputError, Interrupted
from remelt.review.store import FILE, ReviewLock, Store

from .builders import judgement, store_at

KILLED = """
import os, signal, sys
from pathlib import Path
from remelt.review.judgements import Judgement
from remelt.review.store import Store
store = Store(Path(sys.argv[1]))
for number in range(5):
    store.add(Judgement("label", ("a", "b"), str(number), "id", "train", "Ann", "label", label="joy"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_added_is_there_again(tmp_path: Path) -> None:
    said = judgement(note="naïve “quotes”\n", seconds=1.25, left="second")
    labelled = judgement(mode="label", choice="label", label="joy", confidence=4, left="")
    with store_at(tmp_path) as store:
        assert [store.add(said).number, store.add(labelled).number] == [1, 2]
    with store_at(tmp_path) as store:
        assert store.judgements() == [said, labelled]
        assert [j.number for j in store.judgements()] == [1, 2]


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / FILE
    killed = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert killed.returncode == -9
    with Store(path) as store:
        assert [j.item for j in store.judgements()] == ["0", "1", "2", "3", "4"]


def test_it_is_durable_and_in_wal_mode(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        pragmas = [
            store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        ]
    assert pragmas == ["wal", 2]


def test_the_report_reads_while_the_server_writes(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        store.add(judgement())
        with Store(store.path, read_only=True) as reader:
            assert len(reader.judgements()) == 1
            store.add(judgement(item="y"))
            assert len(reader.judgements()) == 2
    before = sorted(p.name for p in store.path.parent.iterdir())
    with Store(store.path, read_only=True) as reader:
        assert len(reader.judgements()) == 2
        with pytest.raises(Interrupted, match="readonly"):
            reader.add(judgement(item="z"))
    assert sorted(p.name for p in store.path.parent.iterdir()) == before == [FILE]


def test_what_sqlite_cannot_store_is_replaced(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        assert store.add(judgement(note="a\ud800b\0c")).note == "a\ufffdb\ufffdc"
        assert store.judgements()[0].note == "a\ufffdb\ufffdc"


def test_secrets_stay_the_same(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        first = store.secret("key")
        assert len(first) >= 32
        assert store.secret("items") != first
    with store_at(tmp_path) as store:
        assert store.secret("key") == first


def test_files_that_are_no_store_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No judgements at"):
        Store(tmp_path / "none.sqlite", read_only=True)
    other = tmp_path / "other.sqlite"
    other.write_text("no database " * 100, encoding="utf-8")
    with pytest.raises(InputError, match="cannot be used as a store of judgements"):
        Store(other)
    newer = tmp_path / "newer.sqlite"
    Store(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(InputError, match="format 99, this remelt knows 1"):
        Store(newer)


def test_one_server_per_folder(tmp_path: Path) -> None:
    with ReviewLock(tmp_path) as lock:
        lock.tell("http://127.0.0.1:1234/")
        refused = r"Another remelt review \(pid \d+, http://127.0.0.1:1234/\) is serving"
        with pytest.raises(InputError, match=refused), ReviewLock(tmp_path):
            pass
    with ReviewLock(tmp_path):
        pass
