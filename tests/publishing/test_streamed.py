"""Publishing part by part: the same bytes as all at once, and the same files."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from remelt.errors import InputError
from remelt.labels import MELT
from remelt.publishing import DatasetContent, parquet, publish
from remelt.publishing.columns import columns_of
from remelt.publishing.parquet import WriteError
from remelt.publishing.sizes import Measure
from remelt.publishing.streamed import Spooled, publish_spooled, write_spool
from remelt.publishing.tally import Tally, together
from remelt.records import Annotation, Drop

from .conftest import make_annotation, make_utterance


def whole(content: DatasetContent, rows: int, seed: int = 0, soft: bool = False) -> DatasetContent:
    """Two splits with rows of every kind: kept, repaired, quarantined, dropped, with and without values."""
    drawn = random.Random(seed)
    annotations: list[Annotation] = []
    drops: list[Drop] = []
    inputs = {"train": rows, "test": rows // 3}
    for split, count in inputs.items():
        for number in range(count):
            utterance = make_utterance(
                split, number // 5, number, text=f"Line {number} " * drawn.randint(0, 9)
            )
            if number % 3:
                utterance = replace(utterance, season=None, text_repaired="mended", flags=("a", "b"))
            if drawn.random() < 0.2:
                drops.append(Drop(utterance, "selection", ("words",), (f"{number} words",)))
                continue
            made = make_annotation(utterance, *drawn.choice([("joy",), (None, "fear"), (None, None)]))
            if soft and drawn.random() < 0.5:
                replies = [replace(r, label_logprobs='{"joy": -0.1, "fear": -3.0}') for r in made.replies]
                made = replace(made, replies=tuple(replies))
            annotations.append(made)
            if made.verdict.status != "valid":
                drops.append(Drop(utterance, "annotation", ("invalid_answer",), ("no JSON",)))
    return replace(
        content, annotations=annotations, drops=drops, inputs=inputs, attrition=(), notes=("A note.",)
    )


def cut(content: DatasetContent, sizes: Sequence[int]) -> list[DatasetContent]:
    """The parts of a build, each with rows of one split, in the order of the corpus."""
    parts = []
    for split in content.splits:
        rows = sorted(
            {u.id: u for u in content.utterances() if u.split == split}.values(),
            key=lambda u: int(u.utterance_id),
        )
        start = turn = 0
        while start < len(rows):
            ids = {u.id for u in rows[start : start + sizes[turn % len(sizes)]]}
            parts.append(
                replace(
                    content,
                    annotations=[a for a in content.annotations if a.utterance.id in ids],
                    drops=[d for d in content.drops if d.utterance.id in ids],
                    inputs={split: len(ids)},
                )
            )
            start, turn = start + len(ids), turn + 1
    return parts


def stream(content: DatasetContent, folder: Path, sizes: Sequence[int]) -> dict[str, Any]:
    """Publishes the content in parts of these sizes, their records written down and read again."""
    columns = columns_of(content.utterances(), content.label_set, content.schema, soft=True)
    parts: dict[str, list[tuple[Path, Spooled]]] = {}
    for number, part in enumerate(cut(content, sizes)):
        place = folder / "parts" / str(number)
        spooled = Spooled.from_dict(write_spool(place, part, columns).as_dict())
        parts.setdefault(next(iter(part.inputs)), []).append((place, spooled))
    tally = together([spooled.tally for own in parts.values() for _, spooled in own])
    frame = replace(content, annotations=(), drops=())
    return publish_spooled(folder / "out", frame, tally, parts, columns)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("sizes", "soft"), [((7,), False), ((1, 40, 3), True), ((1000,), False)])
def test_parts_are_the_same_bytes(
    tmp_path: Path, content: DatasetContent, sizes: Sequence[int], soft: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_PER_GROUP", 12)
    monkeypatch.setattr(parquet, "ROWS_PER_SHARD", 40)
    build = whole(content, 100, soft=soft)
    publish(tmp_path / "memory", build)
    manifest = stream(build, tmp_path, sizes)
    expected, found = files(tmp_path / "memory"), files(tmp_path / "out")
    assert found == expected
    assert manifest["counts"]["train"]["input"] == 100
    assert "data/train-00001-of-00002.parquet" in found
    schema = pq.read_schema(tmp_path / "out" / "data" / "train-00000-of-00002.parquet")
    assert ("soft_label" in schema.names) == soft


def test_files_are_shared_out_by_size_as_in_memory(
    tmp_path: Path, content: DatasetContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = whole(content, 90)
    monkeypatch.setattr(parquet, "BYTES_PER_SHARD", 20_000)
    publish(tmp_path / "memory", build)
    stream(build, tmp_path, (13,))
    names = {path for path in files(tmp_path / "memory") if path.endswith(".parquet")}
    assert names == {path for path in files(tmp_path / "out") if path.endswith(".parquet")}
    assert len(names) > 6
    assert files(tmp_path / "out") == files(tmp_path / "memory")


def test_a_split_without_rows_has_its_files(tmp_path: Path, content: DatasetContent) -> None:
    build = replace(whole(content, 20), splits=("train", "empty", "test"))
    build = replace(build, inputs={**build.inputs, "empty": 0})
    publish(tmp_path / "memory", build)
    stream(build, tmp_path, (9,))
    assert files(tmp_path / "out") == files(tmp_path / "memory")


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 1000])
def test_measures_add_up_to_what_arrow_says(rows: int) -> None:
    drawn = random.Random(rows)

    def some(value: Any) -> Any:
        return None if drawn.random() < 0.3 else value

    columns: dict[str, tuple[list[Any], pa.DataType]] = {
        "text": ([some("é" * drawn.randint(0, 9)) for _ in range(rows)], pa.string()),
        "full": (["x" * n for n in range(rows)], pa.string()),
        "number": ([some(float(n)) for n in range(rows)], pa.float64()),
        "small": (list(range(rows)), pa.int32()),
        "truth": ([some(n % 2 == 0) for n in range(rows)], pa.bool_()),
        "texts": ([["ab"] * drawn.randint(0, 3) for _ in range(rows)], pa.list_(pa.string())),
        "shares": ([some([0.5, 0.5]) for _ in range(rows)], pa.list_(pa.float64())),
        "votes": (
            [[{"source": "a", "label": some("joy")}] * drawn.randint(0, 2) for _ in range(rows)],
            pa.list_(pa.struct({"source": pa.string(), "label": pa.string()})),
        ),
    }
    table = pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})
    assert Measure.of(table).nbytes(table.schema) == table.nbytes
    parts, start = Measure({}), 0
    while start < rows:
        length = drawn.randint(1, 100)
        parts = parts.plus(Measure.of(table.slice(start, length)))
        start += length
    assert parts.nbytes(table.schema) == table.nbytes


def test_tallies_of_parts_add_up(content: DatasetContent) -> None:
    build = whole(content, 60)
    tally = together([Tally.of(part) for part in cut(build, (11,))])
    expected = Tally.of(build)
    assert tally.replies.record() == expected.replies.record()
    assert tally.replies.means_record() == expected.replies.means_record()
    assert tally.rows == expected.rows
    assert expected.replies.record()["total"] == sum(len(a.replies) for a in build.annotations)


def test_a_part_that_does_not_add_up_is_refused(tmp_path: Path, content: DatasetContent) -> None:
    build = whole(content, 20)
    columns = columns_of(build.utterances(), MELT, build.schema, soft=True)
    twice = replace(build, annotations=[*build.annotations, build.annotations[0]])
    with pytest.raises(InputError, match="annotated more than once"):
        write_spool(tmp_path / "part", twice, columns)
    spooled = write_spool(tmp_path / "part", replace(build, splits=build.splits), columns)
    frame = replace(build, annotations=(), drops=(), inputs={"train": 21, "test": 6})
    with pytest.raises(InputError, match="do not add up: 21 came in"):
        publish_spooled(tmp_path / "out", frame, spooled.tally, {"train": [(tmp_path, spooled)]}, columns)
    assert not (tmp_path / "out").exists()


def test_a_damaged_part_leaves_an_earlier_build_as_it_was(tmp_path: Path, content: DatasetContent) -> None:
    build = whole(content, 30)
    stream(build, tmp_path, (10,))
    before = files(tmp_path / "out")
    other = whole(content, 30, seed=1)
    columns = columns_of(other.utterances(), other.label_set, other.schema, soft=True)
    parts = cut(other, (10,))
    places = [(tmp_path / "other" / str(n), p) for n, p in enumerate(parts)]
    spooled = {s: [(f, write_spool(f, p, columns)) for f, p in places if s in p.inputs] for s in other.splits}
    (places[-1][0] / "dropped.arrow").write_bytes(b"ARROW1 and then nothing")
    tally = together([own.tally for group in spooled.values() for _, own in group])
    frame = replace(other, annotations=(), drops=())
    with pytest.raises(InputError, match=r"dropped\.arrow, a part of the build, cannot be read"):
        publish_spooled(tmp_path / "out", frame, tally, spooled, columns)
    assert files(tmp_path / "out") == before


def test_a_full_disk_while_a_part_is_written(
    tmp_path: Path, content: DatasetContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = whole(content, 20)
    columns = columns_of(build.utterances(), build.label_set, build.schema, soft=True)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        write_spool(tmp_path / "part", build, columns)
    assert not list((tmp_path / "part").iterdir())
