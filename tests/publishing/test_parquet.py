"""Parquet files: same bytes for the same rows, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from remelt.errors import InputError
from remelt.publishing import parquet
from remelt.publishing.parquet import (
    WriteError,
    commit,
    read_table,
    shard,
    shard_count,
    stage_table,
    write_bytes,
)


def rows(count: int) -> pa.Table:
    return pa.table(
        {"id": [f"row {i}" for i in range(count)], "flags": [["a"] * (i % 3) for i in range(count)]}
    )


def test_same_rows_same_bytes_whatever_their_chunks(tmp_path: Path):
    whole = rows(25_000)
    chunked = pa.concat_tables([whole.slice(0, 7), whole.slice(7, 12_000), whole.slice(12_007)])
    for name, table in (("a", whole), ("b", rows(25_000)), ("c", chunked.combine_chunks())):
        stage_table(table, tmp_path / f"{name}.parquet").commit()
    a, b, c = ((tmp_path / f"{name}.parquet").read_bytes() for name in "abc")
    assert a == b == c
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    assert metadata.num_row_groups == 3
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_nothing_of_the_run_is_in_the_file(tmp_path: Path):
    stage_table(rows(3), tmp_path / "rows.parquet").commit()
    metadata = pq.read_metadata(tmp_path / "rows.parquet")
    assert metadata.created_by == f"parquet-cpp-arrow version {pa.__version__}"
    assert set(metadata.metadata) == {b"ARROW:schema"}


def test_no_rows_no_row_group(tmp_path: Path):
    stage_table(rows(0), tmp_path / "rows.parquet").commit()
    assert pq.read_metadata(tmp_path / "rows.parquet").num_row_groups == 0
    assert read_table(tmp_path / "rows.parquet").schema == rows(0).schema


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    stage_table(rows(3), path).commit()
    before = path.read_bytes()
    (tmp_path / ".rows.parquet.part").symlink_to("/dev/full")
    with pytest.raises(WriteError, match=r"rows\.parquet could not be written \(No space left on device\)"):
        stage_table(rows(100_000), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["rows.parquet"]


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parquet, "_write_rows", interrupt)
    with pytest.raises(KeyboardInterrupt):
        stage_table(rows(3), tmp_path / "rows.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(WriteError, match="Permission denied"):
        write_bytes(b"x", tmp_path / "locked" / "file")


def test_a_file_in_the_way_is_named(tmp_path: Path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(WriteError, match=r"data.*could not be written"):
        write_bytes(b"x", tmp_path / "data" / "file")


def test_a_place_that_cannot_be_replaced_is_named(tmp_path: Path):
    staged = [stage_table(rows(1), tmp_path / name) for name in ("a.parquet", "b.parquet")]
    (tmp_path / "b.parquet").mkdir()
    with pytest.raises(WriteError, match=r"b\.parquet could not be replaced"):
        commit(staged)
    assert not list(tmp_path.glob(".*.part"))


def test_shards_cover_all_rows_in_order(monkeypatch: pytest.MonkeyPatch):
    table = rows(10)
    assert shard_count(table) == 1
    monkeypatch.setattr(parquet, "ROWS_PER_SHARD", 4)
    assert shard_count(table) == 3
    parts = [shard(table, index, 3) for index in range(3)]
    assert pa.concat_tables(parts).equals(table)
    assert [part.num_rows for part in parts] == [3, 3, 4]
    monkeypatch.setattr(parquet, "BYTES_PER_SHARD", table.nbytes // 4)
    assert shard_count(table) == 5
    assert shard_count(rows(0)) == 1


@pytest.mark.parametrize("content", [b"", b"PAR1 this is none PAR1"])
def test_broken_files_are_named(tmp_path: Path, content: bytes):
    (tmp_path / "rows.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"rows\.parquet cannot be read as Parquet"):
        read_table(tmp_path / "rows.parquet")
