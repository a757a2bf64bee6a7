"""Writing the column of sound: row groups, files, memory, and what goes wrong."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from remelt.errors import InputError
from remelt.publishing import find_problems, parquet, publish, sounds
from remelt.publishing.parquet import WriteError, commit, read_table
from remelt.publishing.sounds import stage_sounds, unique_name
from remelt.publishing.voice import AUDIO

from .voices import Sounds, ids, with_voice

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "F0semitoneFrom27.5Hz": pa.float64(),
        "flags": pa.list_(pa.string()),
        AUDIO: pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    }
)


class Noise:
    """Sounds of a given length that are made when they are asked for."""

    def __init__(self, length: int) -> None:
        self.length = length

    def read(self, utterance_id: str) -> tuple[bytes, str]:
        return utterance_id.encode().ljust(self.length, b"."), f"{utterance_id}.flac"


def table(rows: int) -> pa.Table:
    schema = SCHEMA.remove(SCHEMA.get_field_index(AUDIO))
    names = [f"row{n:05d}" for n in range(rows)]
    return pa.table({"id": names, schema.names[1]: [0.5] * rows, "flags": [["a"]] * rows}, schema=schema)


def stage_at(folder: Path, rows: int, store: object) -> list[Path]:
    before = list(folder.glob("*.parquet"))
    staged = stage_sounds(
        table(rows), SCHEMA, store, lambda n, count: folder / f"x-{n:05d}-of-{count:05d}.parquet"
    )
    assert list(folder.glob("*.parquet")) == before
    commit(staged)
    return [file.path for file in staged]


def groups(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]


def test_row_groups_are_small_in_rows_and_in_bytes(tmp_path, monkeypatch):
    assert groups(stage_at(tmp_path, 250, Noise(10))[0]) == [100, 100, 50]
    monkeypatch.setattr(sounds, "BYTES_PER_GROUP", 10_000)
    assert groups(stage_at(tmp_path, 7, Noise(4_000))[0]) == [2, 2, 2, 1]
    # A clip that is larger than that has a row group for itself.
    assert groups(stage_at(tmp_path, 3, Noise(20_000))[0]) == [1, 1, 1]


def test_sound_is_stored_as_it_is_and_the_rest_compressed(tmp_path):
    (path,) = stage_at(tmp_path, 3, Noise(50_000))
    group = pq.read_metadata(path).row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert {name: column.compression for name, column in columns.items()} == {
        "id": "ZSTD",
        "F0semitoneFrom27.5Hz": "ZSTD",
        "flags.list.element": "ZSTD",
        "audio.bytes": "UNCOMPRESSED",
        "audio.path": "ZSTD",
    }
    content = columns["audio.bytes"]
    assert content.statistics is None
    assert not content.has_dictionary_page
    assert content.has_offset_index
    assert 150_000 < content.total_compressed_size < 151_000


def test_a_split_is_spread_over_files_by_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "ROWS_PER_GROUP", 2)
    monkeypatch.setattr(sounds, "BYTES_PER_SHARD", 10_000)
    paths = stage_at(tmp_path, 11, Noise(2_000))
    assert [path.name for path in paths] == [f"x-{n:05d}-of-00003.parquet" for n in range(3)]
    assert [groups(path) for path in paths] == [[2, 2], [2, 2], [2, 1]]
    assert [pq.read_table(p)["id"].to_pylist()[0] for p in paths] == ["row00000", "row00004", "row00008"]
    assert pq.read_table(paths[2])[AUDIO].to_pylist()[-1] == {
        "bytes": b"row00010".ljust(2_000, b"."),
        "path": "row00010.flac",
    }


def test_a_split_without_rows_is_a_file_without_row_groups(tmp_path):
    (path,) = stage_at(tmp_path, 0, Noise(1))
    assert groups(path) == []
    assert pq.read_schema(path) == SCHEMA


def test_same_sounds_same_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (a,), (b,) = (stage_at(tmp_path / name, 205, Noise(333)) for name in "ab")
    assert a.read_bytes() == b.read_bytes()


def test_reading_rows_leaves_the_sound_where_it_is(tmp_path):
    (path,) = stage_at(tmp_path, 5, Noise(1_000_000))
    before = pa.total_allocated_bytes()
    found = read_table(path)
    assert found.column_names == [name for name in SCHEMA.names if name != AUDIO]
    assert pa.total_allocated_bytes() - before < 1_000_000
    assert read_table(path, ["id", AUDIO]).column_names == ["id"]


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "BYTES_PER_GROUP", 1_000_000)
    default, peaks = pa.default_memory_pool(), []
    for rows in (20, 200):
        pool = pa.proxy_memory_pool(default)
        pa.set_memory_pool(pool)
        tracemalloc.start()
        try:
            stage_at(tmp_path, rows, Noise(200_000))
            peaks.append((tracemalloc.get_traced_memory()[1], pool.max_memory()))
        finally:
            tracemalloc.stop()
            pa.set_memory_pool(default)
    # 40 MB of sound go through, and five clips (1 MB) are held at once.
    for few, many in zip(*peaks, strict=True):
        assert 1_000_000 <= many < min(few + 300_000, 6_000_000)


def test_a_sound_that_cannot_be_read_names_its_row_and_leaves_nothing(tmp_path):
    class Broken(Noise):
        def read(self, utterance_id: str) -> tuple[bytes, str]:
            if utterance_id == "row00150":
                raise FileNotFoundError(2, "No such file or directory")
            return super().read(utterance_id)

    with pytest.raises(InputError, match="The sound of row00150 cannot be read: No such file"):
        stage_at(tmp_path, 200, Broken(10))
    assert list(tmp_path.iterdir()) == []


def test_files_written_before_a_failure_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "ROWS_PER_GROUP", 2)
    monkeypatch.setattr(sounds, "BYTES_PER_SHARD", 1_000)

    class Interrupting(Noise):
        def read(self, utterance_id: str) -> tuple[bytes, str]:
            if utterance_id == "row00009":
                assert list(tmp_path.glob(".x-00001-*.part"))
                raise KeyboardInterrupt
            return super().read(utterance_id)

    with pytest.raises(KeyboardInterrupt):
        stage_at(tmp_path, 20, Interrupting(500))
    assert list(tmp_path.iterdir()) == []


def test_a_sound_too_long_for_a_row_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "_LARGEST", 99)
    with pytest.raises(InputError, match="The sound of row00000 has 100 bytes, expected 99 at most"):
        stage_at(tmp_path, 1, Noise(100))


def test_nothing_is_no_sound(tmp_path):
    (path,) = stage_at(tmp_path, 2, Sounds({"row00000": (b"", "a.flac")}))
    assert pq.read_table(path)[AUDIO].to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("a.flac", set(), "a.flac"),
        ("C:\\clips\\a.flac", set(), "a.flac"),
        ("../../etc/a.flac", set(), "a.flac"),
        ("", set(), "dia1_utt/2"),
        ("a.flac", {"a.flac"}, "dia1_utt/2.flac"),
        ("a.flac", {"a.flac", "dia1_utt_2.flac"}, "dia1_utt/2_2.flac"),
    ],
)
def test_names_are_plain_and_each_its_own(name, taken, expected):
    assert unique_name(name, "toy/train/dia1_utt/2", taken) == expected.replace("/", "_")


def test_a_full_disk_leaves_the_earlier_build(small_disk, content, monkeypatch):
    out = small_disk / "out"
    publish(out, content)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    noise = Sounds({name: (bytes(9_000_000), f"{n}.flac") for n, name in enumerate(ids(content))})
    with pytest.raises(WriteError, match=r"could not be written \(.*No space left on device"):
        publish(out, with_voice(content, audio=noise))
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert find_problems(out) == []
    assert parquet.BYTES_PER_SHARD == 500_000_000
