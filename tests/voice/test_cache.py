"""What is kept of a corpus's sound: whole or not at all, whatever kills the process or fills the disk."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from remelt.errors import InputError, Interrupted
from remelt.voice import cache
from remelt.voice.cache import Cache, Kept, audio_path, content_hash, spool
from remelt.voice.quality import Quality

# Only so that a process that hangs ends the test.
LIMIT = 300
GOOD = Quality(1.5, 48_000, 2, -3.0, -20.0, 0.001, 0.1, 0.25, ("clipped", "length_differs"), "")


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "voice"
    with Cache(folder) as store:
        name = spool(folder, b"sound")
        store.keep_sound("key", GOOD, name)
        store.keep_measures(name, "shs: 1", {"b": 0.1 + 0.2, "a": None})
    with Cache(folder) as store:
        assert store.sound("key") == Kept(GOOD, name)
        assert store.sound("other") is None
        assert store.measures(name, "shs: 1") == {"b": 0.1 + 0.2, "a": None}
        assert store.measures(name, "shs: 2") is None
        assert store.measures("other", "shs: 1") is None


def test_files_are_named_by_their_content(tmp_path: Path) -> None:
    name = spool(tmp_path, b"sound")
    assert name == hashlib.sha256(b"sound").hexdigest()
    assert audio_path(tmp_path, name).read_bytes() == b"sound"
    written = audio_path(tmp_path, name).stat().st_mtime_ns
    assert spool(tmp_path, b"sound") == name
    assert audio_path(tmp_path, name).stat().st_mtime_ns == written
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [audio_path(tmp_path, name)]


@pytest.mark.parametrize("damage", ["remove", "shorten", "change"])
def test_a_sound_that_is_not_whole_is_unknown(tmp_path: Path, damage: str) -> None:
    with Cache(tmp_path) as store:
        name = spool(tmp_path, b"sound")
        store.keep_sound("key", GOOD, name)
        path = audio_path(tmp_path, name)
        if damage == "remove":
            path.unlink()
        else:
            path.write_bytes(b"so" if damage == "shorten" else b"so\0\0\0")
        assert store.sound("key") is None
        assert spool(tmp_path, b"sound") == name
        assert store.sound("key") == Kept(GOOD, name)
        assert path.read_bytes() == b"sound"


def test_the_content_is_on_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, int]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, len(list((tmp_path / "audio").rglob("*.flac")))))
        fsync(descriptor)

    monkeypatch.setattr(cache.os, "fsync", watched)
    spool(tmp_path, b"sound")
    assert synced == [(5, 0)]


def test_what_the_killed_left_is_swept_after_an_hour(tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    partial.mkdir()
    old, young = partial / "old", partial / "young"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    Cache(tmp_path).close()
    assert not old.exists()
    assert young.exists()


def test_a_changed_file_has_another_hash(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(b"one")
    assert content_hash(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"another")
    assert content_hash(path) == hashlib.sha256(b"another").hexdigest()
    assert content_hash(tmp_path) is None
    assert content_hash(tmp_path / "missing.wav") is None


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    Cache(tmp_path).close()
    database = sqlite3.connect(tmp_path / cache.FILE)
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(InputError, match="newer remelt: format 99"):
        Cache(tmp_path)


def test_one_waits_for_whoever_makes_the_file_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(tmp_path / cache.FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            other.execute("ROLLBACK")

    monkeypatch.setattr(cache.time, "sleep", wait)
    with Cache(tmp_path) as store:
        assert len(waits) == 3
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_one_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = sqlite3.connect(tmp_path / cache.FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    clock = count(0, 25)
    monkeypatch.setattr(cache.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(cache.time, "monotonic", lambda: next(clock))
    with pytest.raises(Interrupted, match="database is locked"):
        Cache(tmp_path)
    other.close()


def test_a_file_that_is_no_cache_is_told(tmp_path: Path) -> None:
    (tmp_path / cache.FILE).write_bytes(b"not a database " * 100)
    with pytest.raises(InputError, match=r"measures\.sqlite cannot be read .* remove it"):
        Cache(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="Cannot write to"):
        Cache(tmp_path / "file" / "voice")


def test_a_full_disk_is_told_and_loses_nothing(small_disk: Path) -> None:
    kept: list[str] = []

    def fill(store: Cache) -> None:
        for number in range(100):
            name = spool(small_disk, np.random.default_rng(number).bytes(1 << 20))
            store.keep_sound(str(number), GOOD, name)
            kept.append(name)

    with Cache(small_disk) as store:
        with pytest.raises(Interrupted, match=r"No space left .* what was measured before is kept"):
            fill(store)
        assert 10 < len(kept) < 30
    assert not list((small_disk / "partial").iterdir())
    audio_path(small_disk, kept.pop()).unlink()
    with Cache(small_disk) as store:
        assert [store.sound(str(number)) for number in range(len(kept))] == [
            Kept(GOOD, name) for name in kept
        ]


def test_a_disk_too_full_for_the_database(small_disk: Path) -> None:
    stored = 0

    def fill(store: Cache) -> None:
        nonlocal stored
        for stored in range(10_000):
            store.keep_measures(str(stored), "b", {f"measure {n}": 0.123456 for n in range(100)})

    with Cache(small_disk) as store:
        (small_disk / "filler").write_bytes(b"x" * (24 * 1024 * 1024 - 400_000))
        with pytest.raises(
            Interrupted, match=r"measures\.sqlite cannot be written .*what was measured before is kept"
        ):
            fill(store)
        (small_disk / "filler").unlink()
        assert stored > 3
        assert all(store.measures(str(n), "b") for n in range(stored))
        store.keep_measures("last", "b", {})


WRITER = """
import sys
from pathlib import Path
from remelt.voice.cache import Cache, spool
from remelt.voice.quality import Quality
folder, start, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with Cache(folder) as store:
    for number in range(start, start + count):
        name = spool(folder, b"%d " % number * 5000)
        store.keep_measures(name, "b", {"number": number})
        store.keep_sound(str(number), Quality(seconds=number), name)
        print(number, flush=True)
"""


def writer(folder: Path, start: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(start), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def whole(folder: Path, number: int) -> bool:
    """Whether a number that a writer kept is there, with its file and its measures."""
    with Cache(folder) as store:
        found = store.sound(str(number))
        if found is None:
            return False
        assert found.quality.seconds == number
        assert audio_path(folder, found.audio).read_bytes() == b"%d " % number * 5000
        return store.measures(found.audio, "b") == {"number": number}


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    writers = [writer(tmp_path, start, 60) for start in (0, 30)]
    for process in writers:
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0
    assert all(whole(tmp_path, number) for number in range(90))


def test_killed_writers_lose_nothing(tmp_path: Path) -> None:
    for kill in range(2):
        process = writer(tmp_path, kill * 1000, 1000)
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(5 + 11 * kill)]
        process.kill()
        process.communicate(timeout=LIMIT)
        assert all(whole(tmp_path, number) for number in said)
    for path in (tmp_path / "audio").rglob("*.flac"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
