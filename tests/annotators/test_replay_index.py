"""Large sources of replies lie on disk: kept for the next time, with the same words for what is wrong."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from remelt.annotators import AnnotatorOptions, create, replay_index, replay_sources
from remelt.annotators.replay import Replay
from remelt.errors import InputError
from remelt.records import Request, Utterance

Rows = list[dict[str, object]]


def large(monkeypatch: pytest.MonkeyPatch, yes: bool = True) -> None:
    for name in ("LARGE_BYTES", "LARGE_ROWS"):
        monkeypatch.setattr(replay_sources, name, -1 if yes else 1 << 40)


def write(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def opened(path: Path, workspace: Path | None = None) -> Replay:
    annotator = create(f"replay:{path}", AnnotatorOptions(splits=("train",), workspace=workspace))
    assert isinstance(annotator, Replay)
    return annotator


def utterance(number: int, text: str = "Hey", speaker: str = "Ann") -> Utterance:
    return Utterance(f"toy/train/{number}", "toy", "train", 0, number, speaker, text)


def labels(count: int) -> Rows:
    return [{"id": f"train/{n}", "label": "joy", "text": "Hey", "speaker": "Ann"} for n in range(count)]


def replies(count: int) -> Rows:
    return [
        {"id": f"train/{n}", "raw": f"r{n} \ud800", "attempt": turn, "model": f"m{n % 3}", "speaker": "Ann",
         "text": f"{turn}", "status": "refused" if n == 0 else "valid", "cost": 0.5, "tries": 1 + turn}
        for turn in (1, 0) for n in range(count)
    ]  # fmt: skip


def both(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Replay, Replay]:
    large(monkeypatch, False)
    memory = opened(path)
    large(monkeypatch)
    return memory, opened(path)


@pytest.mark.parametrize("rows", [labels(30) + labels(3), replies(12)], ids=["labels", "replies"])
def test_a_large_source_answers_like_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    path = write(tmp_path / "a.jsonl", rows)
    memory, disk = both(path, monkeypatch)
    source = disk._sources[None]
    assert source.index is not None
    assert memory._sources[None].index is None
    for name in ("name", "model", "endpoint", "turns", "notices", "schema_hint", "summary"):
        assert getattr(disk, name) == getattr(memory, name), name
    assert dict(source.replies) == dict(memory._sources[None].replies)
    assert list(source.replies) == list(memory._sources[None].replies)
    assert dict(source.spoken) == dict(memory._sources[None].spoken)
    asked = [utterance(n, "Ho" if n % 2 else "Hey", "Bob") for n in (7, 3, 99, 5)]
    for annotator in (memory, disk):
        annotator.compare([*asked, asked[0]])
    assert list(disk.differences) == list(memory.differences)
    assert [d.id for d in disk.differences] == [f"toy/train/{n}" for n in (3, 5, 7)]
    for part in (slice(1), slice(1, 3), slice(None), slice(-2, None), slice(None, None, 2)):
        assert disk.differences[part] == memory.differences[part]
        ids = [u.id for u in asked]
        assert disk.unused(ids)[part] == memory.unused(ids)[part]
    assert len(disk.unused(ids)) == len(memory.unused(ids)) == len(source.replies) - 3
    assert (disk.unused(ids)[-1], disk.differences[0]) == (memory.unused(ids)[-1], memory.differences[0])
    with pytest.raises(IndexError):
        disk.unused(ids)[len(source.replies)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*labels(5), {"id": "train/3", "label": "fear"}, {"id": "train/1", "label": "x"}],
         r"line 6: train/3 comes twice with different labels"),
        ([*replies(4), replies(3)[-1], replies(2)[0]], "two replies of the same attempt for train/0"),
        ([{**row, "annotator": f"{n % 2}"} for n, row in enumerate(replies(3))],
         r"several annotators, \['0', '1'\]"),
        ([*labels(3), {"id": "train/9/", "gold": 1}, {"label": "joy"}], r"line 5: bad key ''"),
        ([*replies(2), {"id": "x", "raw": "y", "attempt": "z"}],
         "line 5: not a reply as remelt publishes it"),
    ],
)  # fmt: skip
def test_errors_are_the_same_and_leave_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Rows, message: str
) -> None:
    path = write(tmp_path / "a.jsonl", rows)
    large(monkeypatch, False)
    with pytest.raises(InputError, match=message) as expected:
        opened(path)
    large(monkeypatch)
    with pytest.raises(InputError) as found:
        opened(path, tmp_path / "work")
    assert str(found.value) == str(expected.value)
    assert list((tmp_path / "work").iterdir()) == []


def test_the_index_is_kept_and_made_anew_for_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(monkeypatch)
    made: list[Path] = []
    make: Callable[..., None] = replay_index._make

    def counted(path: Path, *rest: object) -> None:
        made.append(path)
        make(path, *rest)

    monkeypatch.setattr(replay_index, "_make", counted)
    path, work = write(tmp_path / "a.jsonl", labels(20)), tmp_path / "out" / ".remelt"
    for _ in range(2):
        annotator = opened(path, work)
        request = Request(utterance(4), annotator.name, annotator.model, annotator.endpoint, (), {})
        assert asyncio.run(annotator.answer(request, (), 0)).raw == '{"label":"joy"}'
    assert len(made) == len(list(work.iterdir())) == 1
    write(path, labels(21))
    assert len(opened(path, work)._sources[None].replies) == 21
    assert len(made) == 2
    # Without a folder the index goes when the annotator does.
    temporary = opened(path)
    assert made[-1].parent.is_dir()
    del temporary
    gc.collect()
    assert not made[-1].parent.exists()


@pytest.mark.parametrize("left", [0, 4096, 10_000])
def test_an_index_that_was_cut_off_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    large(monkeypatch)
    path = write(tmp_path / "a.jsonl", labels(200))
    workspace = tmp_path / "kept"
    opened(path, workspace)
    gc.collect()
    (index,) = workspace.iterdir()
    whole = index.read_bytes()
    index.write_bytes(whole[:left])
    assert opened(path, workspace).summary.startswith("200 utterances")
    assert index.read_bytes() == whole


def test_a_small_source_stays_in_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", labels(20))
    assert opened(path, tmp_path / "work")._sources[None].index is None
    assert not (tmp_path / "work").exists()
