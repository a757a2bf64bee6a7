"""Which turns MERITS-L trains on, which it is tested on, and what the rest is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from remelt.corpora.mosi_folds import SPLIT_OF
from remelt.errors import InputError
from remelt.evaluation.examples import Example
from remelt.recipes.evaluation.base import Material
from remelt.recipes.evaluation.merits.rows import (
    Labelling,
    divided,
    limited,
    on_corpus,
    reference_of,
)
from remelt.recipes.evaluation.merits.settings import FUSION, STAGES, MeritsSettings, needed

from .conversations import conversations

OLD = Labelling("old", (), "old")


def of_rows(rows: list[Example], condition: str = "old") -> Material:
    labels = {row.id: "joy" if place % 2 else "anger" for place, row in enumerate(rows)}
    return Material("c", "c", "corpus", tuple(rows), {condition: labels})


def test_mosi_is_divided_by_the_order_of_its_monologues() -> None:
    rows = [
        Example(
            f"cmu_mosi/{fold}/{video}_{k}",
            "cmu_mosi",
            fold,
            speaker=video,
            dialogue=f"cmu_mosi/{video}",
            turn=k,
        )
        for video, fold in SPLIT_OF.items()
        for k in range(2)
    ]
    split = divided(of_rows(rows, "sentiment"), Labelling("sentiment", (), "sentiment"))
    videos = {part: {row.speaker for row in found} for part, found in split.parts()}
    assert {part: len(found) for part, found in videos.items()} == {"train": 49, "validation": 13, "test": 31}
    assert videos["test"] == {video for video, fold in SPLIT_OF.items() if fold == "test"}
    assert {"_dI--eQ6qVU", "HEsqda8_d0Q"} <= videos["validation"]


def test_iemocap_is_divided_by_its_sessions() -> None:
    rows = [
        Example(
            f"iemocap/train/{session}{k}", "iemocap", "train", session=f"Session{session}",
            speaker=f"Ses0{session}{'FM'[k % 2]}", dialogue=f"iemocap/{session}", turn=k,
        )
        for session in range(1, 6)
        for k in range(4)
    ]  # fmt: skip
    split = divided(of_rows(rows), OLD)
    sessions = {part: {row.session[-1] for row in found} for part, found in split.parts()}
    assert sessions == {"train": {"2", "3", "4"}, "validation": {"1"}, "test": {"5"}}


def test_corpora_with_splits_keep_them() -> None:
    split = divided(conversations(), OLD)
    assert all(
        {row.split for row in part} == {name.replace("validation", "dev")} for name, part in split.parts()
    )


def test_without_validation_rows_a_tenth_of_the_training_dialogues_validates() -> None:
    material = conversations(splits={"train": 20, "test": 4})
    found = [divided(material, Labelling(name, ("old", "new"), "old")) for name in ("old", "new")]
    held = [{row.dialogue for row in split.validation} for split in found]
    assert held[0] == held[1]
    assert len(held[0]) == 2
    assert not held[0] & {row.dialogue for row in found[0].train}
    assert "tenth" in " ".join(found[0].notes)


def test_rows_without_the_other_label_are_context_not_gone() -> None:
    material = conversations()
    own = divided(material, OLD)
    common = divided(material, Labelling("old", ("old", "new"), "old"))
    assert [row.id for row in common.train] == [row.id for row in own.train]
    learnt = {row.id for row in common.train if row.label}
    assert learnt == {row.id for row in own.train} & set(material.labels["new"])
    assert 0 < len(learnt) < len(own.train)
    new = divided(material, Labelling("new", ("old", "new"), "old"))
    assert {row.id for row in new.train if row.label} == learnt
    for part in ("validation", "test"):
        assert getattr(new, part) == getattr(own, part)
        assert all(row.label == material.labels["old"][row.id] for row in getattr(new, part))


@pytest.mark.parametrize(
    ("condition", "asked", "expected"),
    [
        ("new", "auto", "old"),
        ("old", "auto", "old"),
        ("sentiment", "auto", "sentiment"),
        ("old", "new", "new"),
    ],
)
def test_the_corpus_s_own_labels_are_the_reference(condition: str, asked: str, expected: str) -> None:
    material = conversations()
    material = replace(material, labels={**material.labels, "sentiment": {}})
    assert reference_of(material, condition, asked) == expected


def test_a_limit_takes_whole_dialogues() -> None:
    rows = divided(conversations(splits={"train": 40, "dev": 3, "test": 4}), OLD).train
    few = limited(rows, 10, seed=1)
    assert 10 <= len(few) < 10 + 5
    taken = {row.dialogue for row in few}
    assert [row for row in rows if row.dialogue in taken] == list(few)
    assert limited(rows, 10, seed=1) == few != limited(rows, 10, seed=2)
    assert limited(rows, None, seed=1) == rows


def test_another_corpus_is_tested_on_the_classes_it_shares() -> None:
    other = conversations("other")
    labels = {name: {"joy": "boredom"}.get(label, label) for name, label in other.labels["old"].items()}
    other = replace(other, labels={"old": labels})
    rows, shared = on_corpus(other, ("anger", "joy", "neutral"), "new")
    assert shared == ("anger", "neutral")
    assert len(rows) == len(other.examples)
    assert {row.label for row in rows} == {None, "anger", "neutral"}
    with pytest.raises(InputError, match="shares 1 of the classes"):
        on_corpus(other, ("anger", "joy"), "new")


def without_test(material: Material) -> Material:
    return replace(material, examples=tuple(row for row in material.examples if row.split != "test"))


def without_training_labels(material: Material) -> Material:
    kept = {name: label for name, label in material.labels["old"].items() if "/train/" not in name}
    return replace(material, labels={"old": kept})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_test, "Bad test split"),
        (without_training_labels, "no labelled train rows"),
        (lambda material: replace(material, labels={"new": {}}), "Bad labels of talk 'old'"),
    ],
)
def test_material_that_cannot_be_divided(change: Callable[[Material], Material], told: str) -> None:
    with pytest.raises(InputError, match=told):
        divided(change(conversations()), OLD)


def test_settings_that_cannot_be() -> None:
    for name, value in (
        ("text_encoder", "thawed"), ("rows", "some"), ("stages", "text_stage4"), ("pretrain_epochs", 0),
        ("speech_encoder", "care"),
    ):  # fmt: skip
        with pytest.raises(InputError, match="Bad"):
            MeritsSettings(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'plain' is taken"):
        MeritsSettings(pretrained="plain=FOLDER")


def test_pretrained_folders_are_named(tmp_path: Path) -> None:
    found = MeritsSettings(pretrained=f"gpt=A/b, {tmp_path / 'mix tral'}").pretrainings()
    assert [(one.name, one.folder) for one in found] == [
        ("gpt", Path("A/b")),
        ("mix_tral", tmp_path / "mix tral"),
    ]


def test_a_stage_brings_those_it_reads() -> None:
    assert needed([FUSION]) == STAGES[:5]
    assert needed(["speech_stage2"]) == ("speech_stage1", "speech_stage2")
