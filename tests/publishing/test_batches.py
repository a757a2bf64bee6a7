"""Verification of rows that come some at a time says what it says of all rows together."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from remelt.publishing import DatasetContent, batches, find_problems, publish, read_manifest
from remelt.publishing.batches import HeldRows, PublishedRows, published_rows
from remelt.publishing.columns import columns_of
from remelt.publishing.derivation import _by_request
from remelt.publishing.idtables import IdTables
from remelt.publishing.layout import CONFIGS
from remelt.publishing.parquet import read_table, stage_table
from remelt.publishing.problem import Problem, listed
from remelt.publishing.reading import read_split
from remelt.publishing.rowchecks import row_problems
from remelt.records import Drop

from .conftest import make_annotation, make_utterance
from .test_verify import edited


@pytest.fixture(scope="module")
def large(content: DatasetContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty utterances: thirty-eight kept, some after a second reply, six quarantined, six dropped."""
    rows = [make_utterance("train", n // 7, n) for n in range(50)]
    said = [("joy",), (None, "fear"), ("anger",), (None, "neutral"), (None, None), ("sadness",), ("joy",), ()]
    asked = [make_annotation(row, *said[n % 8]) for n, row in enumerate(rows) if said[n % 8]]
    drops = [Drop(row, "selection", ("words",), ()) for n, row in enumerate(rows) if not said[n % 8]]
    drops += [Drop(a.utterance, "annotation", ("invalid",), ()) for a in asked if a.verdict.status != "valid"]
    out = tmp_path_factory.mktemp("large")
    inputs = {"train": 50, "test": 0}
    publish(out, replace(content, annotations=asked, drops=drops, inputs=inputs, attrition=()))
    return out


def swapped(table: pa.Table) -> pa.Table:
    order = list(range(table.num_rows))
    order[2], order[3] = order[3], order[2]
    return table.take(order)


def doubled(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(0, 3), table.slice(1)]).combine_chunks()


DAMAGE: list[tuple[str, Callable[[pa.Table], pa.Table], str]] = [
    ("default", swapped, "its rows or their order are not those of the replies"),
    ("default", doubled, "ids stand more than once: meld/train/dia0_utt1, meld/train/dia0_utt2"),
    ("default", lambda t: t.slice(0, 30), "8 utterances with a valid reply are missing"),
    ("default", edited("id", 30, "meld/train/x"), "1 rows have no valid reply in annotations: meld/train/x"),
    ("default", edited("label", 30, 0), "1 rows have another label than their last reply"),
    ("default", edited("text", 30, "other"), "1 rows have another 'text' than their replies and utterances"),
    ("annotations", swapped, ""),
    ("annotations", doubled, "replies stand more than once"),
    ("annotations", edited("messages", 40, "[]"), "does not have its hash"),
    ("annotations", edited("answer", 40, "{"), "is not JSON"),
    ("annotations", edited("cost", 40, 5.0), "replies say cost"),
    ("dropped", lambda t: t.slice(0, 9), "3 utterances without a valid reply are missing"),
    ("dropped", edited("id", 3, "meld/train/dia0_utt1"), "1 rows are also in dropped: meld/train/dia0_utt1"),
    ("dropped", doubled, "ids stand more than once"),
]


class SlicedRows(HeldRows):
    """Rows that come three at a time."""

    def batches(self, columns: Collection[str] | None = None) -> Iterator[pa.Table]:
        table = self.table(columns)
        yield from (table.slice(start, 3) for start in range(0, table.num_rows, 3))


@pytest.mark.parametrize(("config", "change", "message"), DAMAGE)
def test_damage_is_told_the_same_however_many_rows_come_at_a_time(
    large: Path,
    content: DatasetContent,
    config: str,
    change: Callable[[pa.Table], pa.Table],
    message: str,
) -> None:
    manifest = read_manifest(large)
    tables = {(c, s): read_split(large, manifest, c, s) for c in CONFIGS for s in manifest["splits"]}
    tables[config, "train"] = change(tables[config, "train"])
    columns = columns_of(content.utterances(), content.label_set, content.schema)
    at_once = list(row_problems(tables, manifest, columns))
    assert message in "\n".join(map(str, at_once))
    assert at_once
    sliced = {key: SlicedRows(table) for key, table in tables.items()}
    assert list(row_problems(sliced, manifest, columns)) == at_once


def test_a_damaged_folder_is_read_some_rows_at_a_time(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(large, tmp_path / "out")
    name = "data/train-00000-of-00001.parquet"
    stage_table(swapped(read_table(out / name)), out / name).commit()
    at_once = find_problems(out)
    assert "its rows or their order are not those of the replies" in "\n".join(map(str, at_once))
    monkeypatch.setattr(batches, "BATCH_ROWS", 7)
    assert find_problems(out) == at_once


def test_a_good_folder_is_never_read_at_once(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("all rows were read at once")

    monkeypatch.setattr(PublishedRows, "table", refuse)
    monkeypatch.setattr(batches, "BATCH_ROWS", 3)
    assert find_problems(large) == []


def test_batches_are_the_rows_of_the_files(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 7)
    manifest = read_manifest(large)
    rows = published_rows(large, manifest, "annotations", "train")
    whole = read_split(large, manifest, "annotations", "train")
    sizes = [part.num_rows for part in rows.batches()]
    assert max(sizes) == 7
    assert sum(sizes) == rows.num_rows == whole.num_rows
    assert rows.table().equals(whole)
    assert rows.table(("status", "id")).column_names == ["id", "status"]
    assert HeldRows(whole).table(("status", "id")).equals(rows.table(("status", "id")))
    empty = published_rows(large, manifest, "default", "test")
    assert list(empty.batches()) == []
    assert empty.table().schema == empty.schema


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_the_replies_to_one_request_stay_together(
    large: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", size)
    rows = published_rows(large, read_manifest(large), "annotations", "train")
    parts = [part["request_hash"].to_pylist() for part in _by_request(rows)]
    assert [asked for part in parts for asked in part] == rows.table()["request_hash"].to_pylist()
    seen = Counter(asked for part in parts for asked in set(part))
    assert set(seen.values()) == {1}
    assert max(map(len, parts)) <= size + 2


def test_ids_are_joined_as_sets_would() -> None:
    rng = random.Random(4)
    names = [f"c/train/{n}" for n in range(40)] + ["é", "z\0b", "z"]
    data = [(rng.choice(names), rng.choice(["joy", "fear"])) for _ in range(30)]
    dropped = [(rng.choice(names), rng.choice(["selection", "annotation"])) for _ in range(30)]
    replies = [
        (rng.choice(names), rng.choice(["valid", "error"]), rng.choice(["joy", "fear", None]))
        for _ in range(60)
    ]
    asked = [(rng.choice("abc"), rng.randrange(9)) for _ in range(30)]
    kept, stages = {name for name, _ in data}, dict(dropped)
    last = {name: (status, label) for name, status, label in replies}
    valid = {name for name, (status, _) in last.items() if status == "valid"}
    with IdTables() as ids:
        ids.add_data(1, ["of another split"], ["joy"])
        ids.add_data(0, *zip(*data, strict=True))
        ids.add_dropped(0, *zip(*dropped, strict=True))
        ids.choose(1)
        assert (ids.kept(), ids.stages()) == (1, {})
        ids.choose(0)
        ids.add_replies(replies[:20])
        ids.add_replies(replies[20:])
        ids.add_asked(asked)
        ids.replied()
        twice = {name for name, count in Counter(name for name, _ in data).items() if count > 1}
        assert sorted(ids.doubles("data")) == sorted(twice)
        assert sorted(ids.also_dropped()) == sorted(kept & stages.keys())
        assert sorted(ids.without_reply()) == sorted(kept - valid)
        assert sorted(ids.missing()) == sorted(valid - kept)
        other = [name for name, label in data if name in last and last[name][1] != label]
        assert sorted(ids.relabelled()) == sorted(other)
        quarantined = {name for name, stage in stages.items() if stage == "annotation"}
        assert sorted(ids.unexplained()) == sorted(last.keys() - valid - quarantined)
        assert sorted(ids.repeated()) == sorted(pair for pair, n in Counter(asked).items() if n > 1)
        assert (ids.kept(), ids.stages(), ids.stage_of()) == (len(kept), Counter(stages.values()), stages)


@pytest.mark.parametrize("count", [0, 1, 5, 6, 400])
def test_of_many_rows_the_first_names_are_told(count: int) -> None:
    names = [str(random.Random(n).randrange(300)) for n in range(count)]
    first = ", ".join(sorted(names)[:5]) + (", ..." if count > 5 else "")
    expected: list[Any] = [Problem("data", f"{count} rows are odd: {first}")] if count else []
    assert list(listed("data", "rows are odd", iter(names))) == expected
