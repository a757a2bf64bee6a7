from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from remelt.batch_log import BatchLog
from remelt.journal import _MIGRATIONS, Journal
from remelt.protocols import BatchState

WHO = ("openai-batch/m", "m", "http://localhost/v1")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def test_the_life_of_a_batch(journal: Journal) -> None:
    log = BatchLog(journal)
    number = log.begin(WHO, "mark-1", [("a", 0), ("b", 1)], 500, 0.25)
    (record,) = log.unfinished()
    assert (record.status, record.id, record.file, record.rows, record.bound) == ("creating", "", "", 2, 0.25)
    assert (record.annotator, record.model, record.endpoint) == WHO
    log.uploaded(number, "file-1")
    log.update(number, BatchState("batch_1", "in_progress", "2026-01-01T00:00:00Z", completed=1))
    (record,) = log.all()
    assert (record.id, record.file, record.status, record.completed) == (
        "batch_1",
        "file-1",
        "in_progress",
        1,
    )
    assert record.created == "2026-01-01T00:00:00Z"
    assert log.bound() == 0.25
    log.finish(number)
    assert log.unfinished() == []
    assert log.bound() == 0
    assert log.all()[0].done is True


def test_batches_of_others_are_left_out(journal: Journal) -> None:
    log = BatchLog(journal)
    log.begin(WHO, "1", [], 0, 0)
    log.begin((WHO[0], "n", WHO[2]), "2", [], 0, 0)
    log.begin((*WHO[:2], "elsewhere"), "3", [], 0, 0)
    log.abandon(log.begin(WHO, "4", [], 0, 0), "no")
    assert [r.mark for r in log.unfinished("m", WHO[2])] == ["1"]
    assert [r.mark for r in log.unfinished()] == ["1", "2", "3"]
    assert [(r.status, r.detail) for r in log.all()][-1] == ("abandoned", "no")


def test_rows_are_found_in_the_latest_batch(journal: Journal) -> None:
    log = BatchLog(journal)
    keys = [f"k{n}" for n in range(1200)]
    first = log.begin(WHO, "1", [(key, 0) for key in keys], 0, 0)
    second = log.begin(WHO, "2", [("k7", 1)], 0, 0)
    found = log.find([*keys, "other"], [first, second])
    assert len(found) == 1200
    assert found["k7"] == (second, 1, 1)
    assert found["k1199"] == (first, 1200, 0)
    assert log.find(["k7"], [first]) == {"k7": (first, 8, 0)}


def test_a_mark_stands_once(journal: Journal) -> None:
    log = BatchLog(journal)
    log.begin(WHO, "1", [("a", 0)], 0, 0)
    with pytest.raises(sqlite3.IntegrityError):
        log.begin(WHO, "1", [("b", 0)], 0, 0)
    assert [r.rows for r in log.all()] == [1]


def test_a_journal_from_before_batches(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    database = sqlite3.connect(path)
    database.executescript("".join(_MIGRATIONS[:2]) + "PRAGMA user_version=2;")
    database.close()
    with Journal(path, read_only=True) as old:
        assert BatchLog(old).all() == []
    with Journal(path) as brought:
        assert BatchLog(brought).begin(WHO, "1", [("a", 0)], 0, 0) == 1
