"""Rows that are published in other splits than the corpus's: their ids keep the corpus's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remelt.errors import InputError
from remelt.publishing import (
    DatasetContent,
    find_problems,
    publish,
    read_annotations,
    read_dropped,
    read_manifest,
)
from remelt.publishing.layout import split_of
from remelt.publishing.manifest import write_manifest
from remelt.records import Annotation, Utterance


def moved(content: DatasetContent) -> DatasetContent:
    """The test row goes into train, the first train row into validation."""

    def place(row: Utterance) -> Utterance:
        return replace(row, split="validation" if row.id == "meld/train/dia0_utt0" else "train")

    return replace(
        content,
        splits=("train", "validation"),
        inputs={"train": 6, "validation": 1},
        annotations=tuple(
            replace(a, request=replace(a.request, utterance=place(a.utterance))) for a in content.annotations
        ),
        drops=tuple(replace(drop, utterance=place(drop.utterance)) for drop in content.drops),
        attrition=(),
        resplit=True,
    )


def test_ids_keep_the_corpuss_split_and_everything_comes_back(
    content: DatasetContent, tmp_path: Path
) -> None:
    other = moved(content)
    manifest = publish(tmp_path / "out", other)
    assert manifest["resplit"] is True
    assert manifest["counts"]["train"] == {"input": 6, "kept": 4, "dropped": 1, "quarantined": 1}
    assert find_problems(tmp_path / "out") == []
    by_split = sorted(other.annotations, key=lambda a: a.utterance.split)
    back = list(read_annotations(tmp_path / "out"))
    assert back == [(a.request, a.replies) for a in by_split]
    assert {(r.utterance.corpus, split_of(r.utterance.id), r.utterance.split) for r, _ in back} == {
        ("meld", "train", "train"), ("meld", "train", "validation"), ("meld", "test", "train"),
    }  # fmt: skip
    assert sorted(read_dropped(tmp_path / "out"), key=str) == sorted(other.drops, key=str)
    verdicts = {a.utterance.id: a.verdicts for a in other.annotations}
    again = [Annotation(request, replies, verdicts[request.utterance.id]) for request, replies in back]
    publish(tmp_path / "again", replace(other, annotations=again))
    for path in (tmp_path / "out").rglob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(tmp_path / "out")).read_bytes()


def test_nothing_is_said_where_the_splits_are_the_corpuss(built: Path) -> None:
    assert "resplit" not in read_manifest(built)


def test_an_id_of_another_split_is_refused_elsewhere(content: DatasetContent, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Bad id 'meld/train/dia0_utt0', expected meld/validation/"):
        replace(moved(content), resplit=False).check()
    publish(tmp_path, moved(content))
    manifest = read_manifest(tmp_path)
    del manifest["resplit"]
    write_manifest(tmp_path, manifest)
    with pytest.raises(InputError, match=r"Bad id 'meld/test/dia0_utt0' in the split 'train'"):
        list(read_annotations(tmp_path))


@pytest.mark.parametrize("name", ["iemocap/train/x", "meld", "meld/", "meld//x"])
def test_an_id_without_corpus_and_split_is_refused(content: DatasetContent, name: str) -> None:
    first = content.annotations[0]
    odd = replace(first, request=replace(first.request, utterance=replace(first.utterance, id=name)))
    with pytest.raises(InputError, match=f"Bad id '{name}', expected meld/"):
        replace(content, resplit=True, annotations=(odd, *content.annotations[1:])).check()
