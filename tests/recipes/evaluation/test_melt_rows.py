"""Which rows MELT's system trains and tests on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from remelt.errors import InputError
from remelt.evaluation.examples import Example
from remelt.recipes.evaluation.base import Material, Trial
from remelt.recipes.evaluation.sources import Wants, read
from remelt.recipes.evaluation.utterances import melt_rows
from remelt.recipes.evaluation.utterances.settings import MeltSettings

from .utterances import CLASSES, corpus, relabelled, setup_of

TEXT = MeltSettings(modality="text")


def other(name: str, labels: tuple[str, ...]) -> Material:
    """A test corpus with one row of each class."""
    rows = tuple(Example(f"{name}/train/{label}", name, "train", text="word") for label in labels)
    return Material(name, name, "corpus", rows, {"old": {row.id: row.id.split("/")[2] for row in rows}})


@pytest.fixture(scope="module")
def meld(test_data: Path) -> Material:
    """MELD's training rows with both kinds of labels."""
    labels = {"new": test_data / "melt" / "meld_train.csv"}
    return read(f"meld={test_data / 'meld'}@train", Wants(label_files=labels))


@pytest.mark.parametrize(
    ("test", "sizes"),
    [
        # Counted on the published labels: both rules, MELT's and MELD's side (new, old).
        (("iemocap", 4), {"both": (4_544, 4_544), "own": (4_924, 5_838)}),
        (("cremad", 6), {"both": (5_547, 5_547), "own": (5_815, 6_261)}),
        (("ravdess", 7), {"both": (7_024, 7_024), "own": (7_024, 7_024)}),
    ],
)
def test_class_rules_leave_the_counted_rows(
    meld: Material, tmp_path: Path, test: tuple[str, int], sizes: dict[str, tuple[int, int]]
) -> None:
    name, classes = test
    tests = {name: other(name, ("anger", "joy", "neutral", "sadness"))}
    for rule, expected in sizes.items():
        setup = setup_of(tmp_path, meld, TEXT, tests=tests, labels=("old", "new"), class_rule=rule)
        found = []
        for condition in ("new", "old"):
            trial = Trial(condition, "", name, 0)
            assert len(melt_rows.classes_for(trial, setup)) == classes
            split = melt_rows.splits(trial, setup)[name]
            found.append(len(split.train))
            assert {row.label for row in split.train} == set(melt_rows.classes_for(trial, setup))
            assert all(row.label == meld.labels[condition][row.id] for row in split.train[:200])
        assert tuple(found) == expected


def test_both_conditions_train_on_the_same_audio(tmp_path: Path) -> None:
    material = relabelled(corpus(), missing=3)
    setup = setup_of(tmp_path, material, MeltSettings(inside="sessions"), limit=20)
    for trial in melt_rows.trials(setup):
        twin = replace(trial, condition="new" if trial.condition == "old" else "old")
        mine, others = melt_rows.splits(trial, setup), melt_rows.splits(twin, setup)
        assert set(mine) == {"folds-old", "folds-new"}
        for name, split in mine.items():
            assert [row.id for row in split.train] == [row.id for row in others[name].train]
            assert len(split.train) == 20
            assert split.test == others[name].test
            assert not {row.session for row in split.train} & {row.session for row in split.test}
            reference = material.labels[name.partition("-")[2]]
            assert all(row.label == reference[row.id] for row in split.test)
    assert {trial.fold for trial in melt_rows.trials(setup)} == {f"own-Session{k}" for k in range(1, 5)}


def test_own_splits_are_used_and_dev_chooses_the_epoch(tmp_path: Path) -> None:
    material = relabelled(corpus(splits=("train", "dev", "test")))
    # Rows of a dialogue lie in one split: these corpora have one dialogue in each.
    setup = setup_of(tmp_path, material, MeltSettings(), training={"keep": "best"})
    (trial, *_) = melt_rows.trials(setup)
    assert trial.fold == "own"
    found = melt_rows.splits(trial, setup)
    assert set(found) == {"test-old", "test-new"}
    assert {row.split for row in found["test-old"].validation} == {"dev"}
    setup = setup_of(tmp_path, material, MeltSettings(), training={"keep": "last"})
    found = melt_rows.splits(trial, setup)
    assert set(found) == {"dev-old", "dev-new", "test-old", "test-new"}
    assert found["test-old"].validation == ()


def test_a_head_has_the_classes_of_its_corpus(tmp_path: Path) -> None:
    material = corpus()
    tests = {"strange": other("strange", ("joy", "neutral", "boredom"))}
    setup = setup_of(tmp_path, material, TEXT, tests=tests)
    (trial,) = melt_rows.trials(setup)
    split = melt_rows.splits(trial, setup)["strange"]
    assert melt_rows.classes_for(trial, setup) == ("joy", "neutral")
    assert Counter(row.label for row in split.train) == {"joy": 16, "neutral": 16}
    assert sorted(str(row.label) for row in split.test) == ["joy", "neutral"]
    assert split.notes == ("1 of 3 rows of strange have no label of the head",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tests": {"odd": other("odd", ("boredom", "joy"))}}, r"two classes or more"),
        ({"settings": MeltSettings(inside="none")}, r"nothing to test on"),
        ({"encoders": (None, None)}, r"needs an encoder: name one with --speech"),
        ({"kind": "folds"}, r"remelt augment"),
        ({"silent": True}, r"No row of acted-folder has sound"),
        ({"only": "joy"}, r"all \d+ training rows are|two"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    material = corpus()
    if "kind" in change:
        material = replace(material, kind=str(change.pop("kind")))
    if change.pop("silent", False):
        material = replace(
            material, examples=tuple(replace(row, has_sound=False) for row in material.examples)
        )
    if (only := change.pop("only", None)) is not None:
        material = replace(material, labels={"old": dict.fromkeys(material.labels["old"], str(only))})
    settings = change.pop("settings", MeltSettings())
    with pytest.raises(InputError, match=message):
        melt_rows.trials(setup_of(tmp_path, material, settings, **change))  # type: ignore[arg-type]


def test_a_class_with_one_training_row_is_refused_or_told(tmp_path: Path) -> None:
    material = corpus(splits=("train", "test"))
    old = dict(material.labels["old"])
    train = [row.id for row in material.examples if row.split == "train" and old[row.id] == "joy"]
    old |= dict.fromkeys(train[1:], "anger")
    material = replace(material, labels={"old": old})
    with pytest.raises(InputError, match=r"[Oo]ne training row only: joy"):
        melt_rows.trials(setup_of(tmp_path, material, MeltSettings()))
    assert melt_rows.trials(setup_of(tmp_path, material, MeltSettings(unseen="tell")))
    assert set(CLASSES) == set(old.values())
