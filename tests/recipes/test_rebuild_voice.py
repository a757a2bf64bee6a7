"""A dataset with sound, made again from itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import remelt.publishing
import remelt.recipes.building
import remelt.recipes.rebuild
from remelt.errors import InputError
from remelt.publishing import DatasetContent, PublishedAudio, find_problems, publish, read_manifest
from remelt.recipes.finishing import BuildResult
from remelt.recipes.melt import MeltOptions, build
from remelt.recipes.rebuild import rebuild

from ..builders import write_meld
from ..publishing.voices import with_voice

DATA = "data/train-00000-of-00001.parquet"


def finish(out: Path, content: DatasetContent, stats: Any, reporter: Any) -> BuildResult:
    """The last steps of a recipe without the audit, which takes most of the time."""
    return BuildResult(out, publish(out, content), None, stats)  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def small_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remelt.publishing.sounds, "ROWS_PER_GROUP", 9)
        patch.setattr(remelt.recipes.rebuild, "finish", finish)
        yield


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mock build with a voice: row groups, a row without sound, quarantined rows."""
    folder = tmp_path_factory.mktemp("spoken")
    corpus = write_meld(folder / "corpus", 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            remelt.recipes.building,
            "finish",
            lambda out, content, *others: finish(out, with_voice(content), *others),
        )
        build(
            MeltOptions(
                corpus=str(corpus), out=folder / "out", annotator="mock:invalid=0.3", splits=("train",)
            )
        )
    return folder / "out"


def test_it_gives_the_same_bytes(spoken: Path, tmp_path: Path) -> None:
    first, again = rebuild(spoken, tmp_path / "first"), rebuild(tmp_path / "first", tmp_path / "again")
    assert first.quarantined > 0
    assert pq.read_metadata(spoken / DATA).num_row_groups > 1
    for out in (first.out, again.out):
        for folder in ("data", "annotations", "dropped"):
            for path in sorted((spoken / folder).iterdir()):
                assert path.read_bytes() == (out / folder / path.name).read_bytes(), path.name
        assert find_problems(out) == []
        assert read_manifest(out)["voice"] == read_manifest(spoken)["voice"]
        assert (out / "README.md").read_bytes() == (spoken / "README.md").read_bytes()


def test_each_row_group_is_read_once(spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    plain = pq.ParquetFile.read_row_group

    def counting(self: pq.ParquetFile, group: int, **others: Any) -> Any:
        if others.get("columns") == ["audio"]:
            read.append(group)
        return plain(self, group, **others)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    rebuild(spoken, tmp_path / "again")
    assert read == list(range(pq.read_metadata(spoken / DATA).num_row_groups))


def test_the_sound_has_to_be_there_unchanged(spoken: Path, tmp_path: Path) -> None:
    shutil.copytree(spoken, tmp_path / "source")
    content = (tmp_path / "source" / DATA).read_bytes()
    (tmp_path / "source" / DATA).write_bytes(content.replace(b"fLaC", b"fLaK", 1))
    with pytest.raises(InputError, match=r"train-00000-of-00001.parquet'\] were changed or removed"):
        rebuild(tmp_path / "source", tmp_path / "again")
    (tmp_path / "source" / DATA).unlink()
    with pytest.raises(InputError, match=r"train-00000-of-00001.parquet'\] were changed or removed"):
        rebuild(tmp_path / "source", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_row_that_is_valid_only_now_has_no_voice(
    spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remelt import answers
    from remelt.records import Verdict

    plain = answers.Checker.check

    def lenient(self: answers.Checker, request: Any, reply: Any) -> Verdict:
        verdict = plain(self, request, reply)
        return verdict if verdict.status == "valid" else replace(verdict, status="valid", label="joy")

    monkeypatch.setattr(answers.Checker, "check", lenient)
    result = rebuild(spoken, tmp_path / "again")
    assert result.quarantined == 0
    table = pq.read_table(tmp_path / "again" / DATA)
    assert table.num_rows > pq.read_metadata(spoken / DATA).num_rows
    before = set(pq.read_table(spoken / DATA, columns=["id"])["id"].to_pylist())
    new = [row for row in table.to_pylist() if row["id"] not in before]
    assert {(row["audio"], row["voice_flags"], row["audio_seconds"]) for row in new} == {(None, None, None)}
    with PublishedAudio(spoken) as old, PublishedAudio(tmp_path / "again") as found:
        assert all(found.read(name) == old.read(name) for name in before)
