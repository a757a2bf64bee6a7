"""Which rows `reclassify` trains, validates and tests on, and what it refuses."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from remelt.errors import InputError
from remelt.recipes.evaluation.base import Setup
from remelt.recipes.evaluation.hierarchy.rows import Fold, folds
from remelt.recipes.evaluation.hierarchy.settings import Settings
from remelt.recipes.evaluation.systems import reclassify as system

from .hierarchies import corpus, setup


def only(given: Setup) -> Fold:
    (found,) = folds(given, "old", 0)
    return found


def test_the_last_sessions_men_validate_and_its_women_test(tmp_path: Path) -> None:
    split = only(setup(tmp_path, corpus(), "reads", split="independent")).split
    assert {row.session for row in split.train} == {f"Session{n}" for n in range(1, 5)}
    assert {row.speaker for row in split.validation} == {"Ses5M"}
    assert {row.speaker for row in split.test} == {"Ses5F"}


def test_a_tenth_of_every_class_is_tested_where_speakers_are_shared(tmp_path: Path) -> None:
    found = only(setup(tmp_path, corpus(each=5), "reads", split="dependent"))
    assert (found.name, list(found.tests)) == ("dependent", ["test_dependent"])
    parts = (found.split.train, found.split.validation, found.split.test)
    assert [len(part) for part in parts] == [160, 20, 20]
    assert set(Counter(row.label for row in found.split.test).values()) == {5}


@pytest.mark.parametrize(
    ("fields", "count", "names"),
    [
        ({}, 5, ["independent"]),
        # No sessions: folds of speakers, at most five of them.
        ({"session": ""}, 5, ["fold1", "fold2", "fold3", "fold4", "fold5"]),
        ({"session": ""}, 1, ["Ses1F", "Ses1M"]),
    ],
)
def test_what_a_corpus_allows(
    tmp_path: Path, fields: dict[str, object], count: int, names: list[str]
) -> None:
    found = folds(setup(tmp_path, corpus(sessions=count, **fields), "reads"), "old", 0)
    assert [fold.name for fold in found] == names
    for fold in found:
        assert not {row.id for row in fold.split.train} & {row.id for row in fold.split.validation}
        speakers = {row.speaker for row in fold.split.test}
        assert not speakers & {row.speaker for row in (*fold.split.train, *fold.split.validation)}
        assert fold.split.validation
    if names[0] != "independent":
        assert sorted(row.id for fold in found for row in fold.split.test) == sorted(
            row.id for row in corpus(sessions=count).examples
        )


def test_a_corpus_with_splits_keeps_them(tmp_path: Path) -> None:
    material = corpus()
    splits = ("train", "train", "train", "dev", "test")
    rows = tuple(replace(row, split=splits[int(row.session[-1]) - 1]) for row in material.examples)
    found = only(setup(tmp_path, replace(material, examples=rows), "reads"))
    assert (found.name, list(found.tests)) == ("", ["test"])
    assert {row.session for row in found.split.validation} == {"Session4"}


def test_labels_that_are_no_class_are_left_out_and_training_can_be_limited(tmp_path: Path) -> None:
    material = corpus()
    labels = dict(material.labels["old"])
    gone = next(key for key in labels if "Ses2F_joy" in key)
    labels[gone] = "frustration"
    given = setup(tmp_path, replace(material, labels={"old": labels}), "reads", split="independent")
    assert gone not in {row.id for row in only(given).split.train}
    given = replace(given, options=replace(given.options, limit=40))
    assert len(only(given).split.train) == 40
    assert folds(given, "old", 1)[0].split.train != only(given).split.train


def test_folds_of_an_augmented_corpus(tmp_path: Path) -> None:
    material = corpus(sessions=3)
    ids = {n: tuple(row.id for row in material.examples if row.session[-1] == str(n)) for n in (1, 2, 3)}
    made = {"fold1": {"train": ids[1], "validation": ids[2], "test": ids[3]}}
    found = only(setup(tmp_path, replace(material, folds=made), "reads"))
    assert (found.name, list(found.tests)) == ("fold1", ["fold1"])
    assert tuple(row.id for row in found.split.test) == ids[3]


def test_rows_without_words_are_left_out_where_text_is_asked(tmp_path: Path) -> None:
    material = corpus()
    rows = tuple(replace(row, text="") if "joy0" in row.id else row for row in material.examples)
    given = setup(tmp_path, replace(material, examples=rows), "reads", split="independent")
    assert len(only(given).split.test) == 11
    alone = replace(given, settings=replace(given.settings, inputs=("s",)))
    assert len(only(alone).split.test) == 12
    mute = tuple(replace(row, text=None) for row in rows)
    with pytest.raises(InputError, match="--set inputs=s"):
        only(replace(given, material=replace(material, examples=mute)))
    heard = {"tiny": {row.id: "heard" for row in rows}}
    given = replace(given, material=replace(material, transcripts=heard))
    words = replace(given, settings=replace(given.settings, words="tiny"))
    assert {row.text for row in only(words).split.test} == {"heard"}
    with pytest.raises(InputError, match="Bad words of acted 'small', expected one of"):
        only(replace(given, settings=replace(given.settings, words="small")))


def test_what_cannot_be_learnt(tmp_path: Path) -> None:
    material = corpus()
    given = setup(tmp_path, material, "reads", split="independent")
    no_anger = {key: label for key, label in material.labels["old"].items() if label != "anger"}
    with pytest.raises(InputError, match=r"no training row is 'anger'.*--set classes="):
        only(replace(given, material=replace(material, labels={"old": no_anger})))
    mute = tuple(replace(row, has_sound=False) for row in material.examples)
    with pytest.raises(InputError, match="none of its 120 rows has sound"):
        only(replace(given, material=replace(material, examples=mute)))
    with pytest.raises(InputError, match="Bad labels of acted 'panel'"):
        only(replace(given, settings=replace(given.settings, reference="panel")))
    with pytest.raises(InputError, match="name one with --text, or --set inputs=s"):
        system.trials(replace(given, text=None))
    with pytest.raises(InputError, match="name them with --speech"):
        system.trials(replace(given, speech=None))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variants": ("gru",)}, "Bad variants 'gru', expected one of"),
        ({"inputs": ()}, r"Bad inputs \[\], expected one or more"),
        ({"split": "random"}, "Bad split 'random', expected one of"),
        ({"classes": ("anger", "joy")}, "expected 'neutral' and two other classes"),
        ({"classes": ("joy", "joy", "neutral")}, "expected 'neutral' and two other classes"),
        ({"thresholds": (0.3, 1.2)}, r"Bad threshold 1\.2"),
        ({"thresholds": ()}, r"Bad thresholds \[\]"),
        ({"folds": 1}, "Bad folds 1"),
        ({"tune": -1}, "Bad tune -1"),
    ],
)
def test_bad_settings(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Settings(**fields)  # type: ignore[arg-type]
