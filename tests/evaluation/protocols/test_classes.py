"""Classes of a test corpus on the published labels, and augmentation of training rows alone."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from remelt.errors import InputError
from remelt.evaluation import protocols

from ..answers import example, sessions


@pytest.fixture(scope="module")
def both(test_data: Path) -> dict[str, dict[str, str]]:
    """MELD's own train labels, and those of MELT's release."""

    def labels(path: str, column: str) -> dict[str, str]:
        with (test_data / path).open(encoding="utf-8", newline="") as file:
            return {
                f"{row['Dialogue_ID']}_{row['Utterance_ID']}": row[column] for row in csv.DictReader(file)
            }

    return {
        "old": labels("meld/train_sent_emo.csv", "Emotion"),
        "new": labels("melt/meld_train.csv", "llm_label"),
    }


@pytest.mark.parametrize(
    ("corpus", "classes", "new", "old", "common"),
    [
        ("iemocap", 4, 4_924, 5_838, 4_544),
        ("cremad", 6, 5_815, 6_261, 5_547),
        ("tess", 7, 7_024, 7_024, 7_024),
        ("ravdess", 7, 7_024, 7_024, 7_024),
    ],
)
def test_sizes_of_melt_for_each_test_corpus(
    both: dict[str, dict[str, str]], corpus: str, classes: int, new: int, old: int, common: int
) -> None:
    wanted = protocols.classes_of(corpus)
    assert len(wanted) == classes
    own = protocols.intersection(both, wanted, "own")
    assert (len(own["new"]), len(own["old"])) == (new, old)
    found = protocols.intersection(both, wanted)
    assert (len(found["new"]), len(found["old"])) == (common, common)
    assert set(found["new"]) == set(found["old"]) == set(own["new"]) & set(own["old"])
    for name, labels in found.items():
        assert set(labels.values()) == set(wanted)
        assert all(both[name][row] == label for row, label in labels.items())


def test_classes_come_from_the_corpora() -> None:
    assert protocols.classes_of("ravdess") == protocols.classes_of("meld")
    assert "surprise" not in protocols.classes_of("cremad")
    with pytest.raises(InputError, match=r"Bad corpus 'savee', expected one of \['meld', 'iemocap'"):
        protocols.classes_of("savee")


def test_three_conditions_have_the_same_rows() -> None:
    labels = {
        "a": {"1": "joy", "2": "joy", "3": "fear", "4": "joy"},
        "b": {"1": "joy", "2": "fear", "3": "joy", "4": "anger"},
        "c": {"1": "anger", "2": "joy", "3": "joy"},
    }
    assert protocols.intersection(labels, ["joy", "anger"]) == {
        "a": {"1": "joy"},
        "b": {"1": "joy"},
        "c": {"1": "anger"},
    }
    assert protocols.intersection(labels, ["joy", "anger"], "own") == {
        "a": {"1": "joy", "2": "joy"},
        "b": {"1": "joy", "3": "joy"},
        "c": {"1": "anger", "2": "joy", "3": "joy"},
    }


def test_rules_that_leave_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"Bad rule .* 'all', expected one of \['both', 'own'\]"):
        protocols.intersection({"a": {"1": "joy"}}, ["joy"], "all")
    with pytest.raises(InputError, match=r"No rows are left of 'a' for the classes \['fear'\] .*a 1, b 2"):
        protocols.intersection({"a": {"1": "joy"}, "b": {"1": "joy", "2": "joy"}}, ["fear"])
    with pytest.raises(InputError, match="No label condition"):
        protocols.intersection({}, ["joy"])


def test_extra_rows_go_to_training_alone() -> None:
    fold = protocols.by_session(sessions(5))[0]
    extra = [example(f"m{k}", corpus="meld", id=f"meld/train/m{k}") for k in range(3)]
    found = protocols.augmented(fold, extra)
    assert found.train == (*fold.train, *extra)
    assert (found.validation, found.test) == (fold.validation, fold.test)
    assert found.notes[-1] == "3 rows were added to the training rows alone"


def test_extra_rows_of_the_test_are_refused() -> None:
    fold = protocols.by_session(sessions(5))[0]
    for rows, message in (
        (fold.test[:1], "ids in it more than once"),
        (fold.validation[:2], "ids in it more than once"),
        (fold.train[:1], "ids in it more than once"),
        (
            [example("new", speaker="Ses1F", session="Session9")],
            "speakers in several parts: 1, such as 'toy/Ses1F'",
        ),
        (
            [example("new", speaker="x", session="y", dialogue="toy/Ses1_0")],
            "dialogues in several parts",
        ),
    ):
        with pytest.raises(InputError, match=message):
            protocols.augmented(fold, rows)
