import collections
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from remelt.errors import InputError, Interrupted
from remelt.journal import _MIGRATIONS, Journal, JournalFull, OutLock
from remelt.records import Message

from .builders import reply, request


def test_replies_come_back_as_they_were(tmp_path: Path) -> None:
    first, second = request(0), request(1)
    stored = [reply(first), reply(first, 1, raw="“ü\n\0\\"), reply(second, cost=None, input_tokens=None)]
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.append([(first, stored[0]), (first, stored[1]), (second, stored[2])])
    with Journal(tmp_path / "j.sqlite") as journal:
        found = journal.replies([second.key, first.key, "missing"])
        assert found == {first.key: (stored[0], stored[1]), second.key: (stored[2],)}
        assert journal.count() == 3
        assert list(journal.all_replies()) == stored


def test_the_system_prompt_is_stored_once(tmp_path: Path) -> None:
    asked = [request(n) for n in range(50)]
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.append([(r, reply(r)) for r in asked])
    contents = [
        row[0] for row in sqlite3.connect(tmp_path / "j.sqlite").execute("SELECT content FROM contents")
    ]
    assert contents.count("Label it.") == 1
    assert len(contents) == 50 + 2


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"endpoint": "http://other/v1"},
        {"messages": (Message("system", "Label it well."), Message("user", "This is line 0."))},
        {"parameters": {"temperature": 0.5}},
        {"schema": {"type": "object"}},
        {"prefill": "{"},
        {"prompt_hash": "x"},
    ],
)
def test_whatever_shapes_the_answer_is_in_the_key(change: dict[str, object]) -> None:
    assert request(0).key != request(0, **change).key


def test_the_same_words_twice_are_two_requests() -> None:
    twin = request(1, messages=request(0).messages)
    assert twin.key != request(0).key


def test_failed_requests_are_kept_but_are_no_replies(tmp_path: Path) -> None:
    asked = request(0)
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.append([(asked, reply(asked, raw="", failure="error", detail="timeout"))])
        assert journal.replies([asked.key]) == {}
    rows = sqlite3.connect(tmp_path / "j.sqlite").execute("SELECT detail FROM failures").fetchall()
    assert rows == [("timeout",)]


def test_a_refusal_is_a_reply(tmp_path: Path) -> None:
    asked = request(0)
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.append([(asked, reply(asked, raw="", failure="refused", detail="no"))])
        assert journal.replies([asked.key])[asked.key][0].failure == "refused"


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    path.write_bytes(b"this is not a database at all, not even nearly" * 100)
    with pytest.raises(InputError, match=r"j.sqlite cannot be used as a remelt journal"):
        Journal(path)
    with pytest.raises(InputError, match="No journal at"):
        Journal(tmp_path / "none.sqlite", read_only=True)


def test_a_journal_of_a_newer_remelt_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite"):
        pass
    db = sqlite3.connect(tmp_path / "j.sqlite")
    db.execute("PRAGMA user_version=99")
    db.commit()
    db.close()
    with pytest.raises(InputError, match="newer remelt"):
        Journal(tmp_path / "j.sqlite")


def test_one_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    first, second = request(0), request(1)
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.append([(first, reply(first))])
        with pytest.raises(Interrupted, match="UNIQUE constraint failed"):
            journal.append([(second, reply(second)), (first, reply(first))])
        assert journal.replies([first.key, second.key]).keys() == {first.key}


def test_a_killed_process_loses_nothing_committed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from remelt.journal import Journal
        from tests.builders import reply, request
        journal = Journal(Path({str(tmp_path)!r}) / "j.sqlite")
        for n in range(20):
            journal.append([(request(n), reply(request(n)))])
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.path.join(root, "builders")])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    with Journal(tmp_path / "j.sqlite") as journal:
        assert journal.count() == 20


def test_the_lock_refuses_a_second_process(tmp_path: Path) -> None:
    with (
        OutLock(tmp_path),
        pytest.raises(InputError, match=rf"pid {os.getpid()}\) is working on"),
        OutLock(tmp_path),
    ):
        pass
    with OutLock(tmp_path):
        pass


def test_a_full_disk_loses_nothing_that_was_answered(small_disk: Path) -> None:
    journal = Journal(small_disk / "out" / "j.sqlite")
    stored = 0
    while not journal.full:
        asked = request(stored)
        journal.append([(asked, reply(asked, raw="x" * 20_000))])
        stored += 1
    # The reserve was given back: what is still in flight fits.
    for number in range(stored, stored + 64):
        asked = request(number)
        journal.append([(asked, reply(asked, raw="x" * 5_000))])
    endless = ((asked, reply(asked, raw="x" * 20_000)) for asked in map(request, range(10_000, 20_000)))
    with pytest.raises(JournalFull, match="No space left"):
        collections.deque(map(journal.append, ([pair] for pair in endless)), maxlen=0)
    assert journal.count() >= stored + 64
    journal.close()


def test_no_room_for_a_journal_at_all(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * (23 * 1024 * 1024))
    with pytest.raises(JournalFull, match="No space left"):
        Journal(small_disk / "out" / "j.sqlite")


def test_what_was_spent_is_replies_lost_ones_and_what_is_held(tmp_path: Path) -> None:
    asked = request(0)
    lost = reply(asked, 0, raw="", failure="error", cost=0.02)
    with Journal(tmp_path / "j.sqlite") as journal:
        assert journal.spent() == 0
        journal.append(
            [(asked, reply(asked, 0, cost=0.5)), (asked, reply(asked, 1, cost=None)), (asked, lost)]
        )
        journal.hold(0)
        assert journal.spent() == pytest.approx(0.52)
        journal.hold(1.0)
        journal.hold(2.0)
        assert journal.spent() == pytest.approx(2.52)
        journal.hold(0.0, final=True)
        assert journal.spent() == pytest.approx(0.52)
        journal.hold(0.2, final=True)
        journal.hold(0.05)
    # A process that is gone cannot lower what it held.
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.hold(0.0)
        assert journal.spent() == pytest.approx(0.77)


def test_a_journal_of_the_first_format_goes_on(tmp_path: Path) -> None:
    path, asked, later = tmp_path / "j.sqlite", request(0), request(1)
    db = sqlite3.connect(path)
    db.executescript(f"{_MIGRATIONS[0]} PRAGMA user_version=1;")
    db.execute("INSERT INTO failures VALUES (1, 'k', 'u', 0, 'timeout', 2, '')")
    old = ("raw", "model", "means", "", "", "stop", 10, 5, 0.25, 1.0, "2026-01-01T00:00:00Z", 1)
    marks = ", ".join("?" * (3 + len(old)))
    db.execute(f"INSERT INTO replies VALUES ({marks})", (asked.key, 0, asked.utterance.id, *old))
    db.commit()
    db.close()
    with Journal(path) as journal:
        journal.append([(later, reply(later, cost=0.5))])
        assert journal.spent() == 0.75
        found = journal.replies([asked.key, later.key])
    assert found[asked.key][0].raw == "raw"
    assert found[later.key] == (reply(later, cost=0.5),)


def test_contents_and_hashes_are_what_they_always_were(tmp_path: Path) -> None:
    """Journals of earlier versions are looked up by these."""
    asked = request(0, schema={"b": [1, "é"], "a": None})
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.append([(asked, reply(asked))])
    db = sqlite3.connect(tmp_path / "j.sqlite")
    contents = dict(db.execute("SELECT sha256, content FROM contents"))
    schema = '{"a":null,"b":[1,"é"]}'
    assert contents == {
        **{hashlib.sha256(json.dumps(m.content).encode()).hexdigest(): m.content for m in asked.messages},
        hashlib.sha256(schema.encode()).hexdigest(): schema,
    }
    ((key, hashed),) = db.execute("SELECT key, schema_hash FROM requests")
    assert (key, hashed) == (asked.key, hashlib.sha256(schema.encode()).hexdigest())


def test_several_threads_may_write(tmp_path: Path) -> None:
    asked = [request(n) for n in range(400)]
    with Journal(tmp_path / "j.sqlite") as journal, ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda one: journal.append([(one, reply(one))]), asked))
        assert journal.count() == 400
        assert journal.replies([r.key for r in asked]).keys() == {r.key for r in asked}
