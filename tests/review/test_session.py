from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remelt.errors import InputError
from remelt.review.judgements import Item, current, item_key, rater_name
from remelt.review.session import Question, Session, StaleItem
from remelt.review.store import Store

from .builders import LABELS, SOURCES, choice_of, session, store_at


def walk(asked: Session, rater: str, choices: list[str]) -> list[Any]:
    """Judges one item after the other; returns what was served."""
    shown = []
    for choice in choices:
        served = asked.next(rater)
        assert served is not None
        asked.judge(rater, choice_of(served, choice, label="joy"))
        shown.append(served)
    return shown


def test_the_side_decides_which_label_was_chosen(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        asked = session(store, 40)
        shown = walk(asked, "Ann", ["left", "right", "same", "skip"] * 10)
        stored = store.judgements()
    assert {served.left == served.item.first for served in shown} == {True, False}
    for served, said, choice in zip(shown, stored, ["left", "right", "same", "skip"] * 10, strict=True):
        assert {served.left, served.right} == {said.first, said.second}
        chosen = {"first": said.first, "second": said.second}.get(said.choice, said.choice)
        assert chosen == {"left": served.left, "right": served.right}.get(choice, choice)
        assert (said.left == "first") == (served.left == said.first)


def test_a_rater_goes_on_after_a_restart_under_any_capitals(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        first = session(store, 5)
        done = {served.token for served in walk(first, first.rater("Ann Lee"), ["left"] * 3)}
        waiting = first.next("Ann Lee")
    with store_at(tmp_path) as store:
        again = session(store, 5)
        rater = again.rater(" ann  LEE ")
        assert rater == "Ann Lee"
        assert again.progress(rater) == {"done": 3, "open": 2}
        assert again.next(rater) == waiting
        rest = {served.token for served in walk(again, rater, ["right"] * 2)}
        assert again.next(rater) is None
    assert done.isdisjoint(rest)
    assert len(done | rest) == 5


def test_asking_again_gives_the_same_item(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        asked = session(store)
        served = asked.next("Ann")
        asked.next("Bo")
        assert asked.next("Ann") == served


def test_undo_goes_back_step_by_step_and_keeps_the_history(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        asked = session(store)
        first, second = walk(asked, "Ann", ["left", "same"])
        assert asked.last("Ann") == second.token
        asked.undo("Ann", second.token)
        asked.undo("Ann", second.token)
        served = asked.next("Ann")
        assert served is not None
        assert (served.token, asked.last("Ann")) == (second.token, first.token)
        assert served.earlier is not None
        assert served.earlier.choice == "same"
        asked.undo("Ann", first.token)
        back = asked.next("Ann")
        assert back is not None
        assert back.token == first.token
        assert asked.last("Ann") is None
        choices = [j.choice for j in store.judgements()]
        assert choices[1:] == ["same", "withdrawn", "withdrawn"]
        assert current(store.judgements()) == []
    with store_at(tmp_path) as store:
        asked = session(store)
        again = asked.next("Ann")
        assert again is not None
        assert again.token == first.token
        asked.judge("Ann", choice_of(again, "skip"))
        assert asked.next("Ann") == served
        assert [j.choice for j in current(store.judgements())] == ["skip"]


def test_a_changed_mind_replaces_and_the_same_click_twice_does_not(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        asked = session(store, mode="label")
        served = asked.next("Ann")
        assert served is not None
        for said in (
            {"label": "joy"},
            {"label": "joy"},
            {"label": "joy", "confidence": 4},
            {"label": "anger"},
        ):
            asked.judge("Ann", {"item": served.token, "choice": "label", **said})
        rows = [(j.label, j.confidence) for j in store.judgements()]
        assert rows == [("joy", None), ("joy", 4), ("anger", None)]
        assert [j.label for j in current(store.judgements())] == ["anger"]
        assert asked.progress("Ann") == {"done": 1, "open": 5}
        assert sum(asked.counts().values()) == 1


def test_skips_are_done_for_the_rater_and_leave_the_item_open(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        asked = session(store, 2, raters_per_item=1)
        walk(asked, "Ann", ["skip", "left"])
        assert asked.next("Ann") is None
        assert asked.progress("Ann") == {"done": 2, "open": 0}
        assert asked.progress("Bo") == {"done": 0, "open": 1}
        assert sorted(asked.counts().values()) == [0, 1]


def test_labels_that_stand_otherwise_now_are_refused(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        asked = session(store)
        served = asked.next("Ann")
        assert served is not None
        swapped = {**choice_of(served, "left"), "left": served.right, "right": served.left}
        with pytest.raises(StaleItem, match="stand otherwise"):
            asked.judge("Ann", swapped)
        for token in ("0" * 64, None, 7):
            with pytest.raises(StaleItem, match="not part of the review"):
                asked.judge("Ann", {**swapped, "item": token})
        assert store.judgements() == []


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"choice": "left"}, r"Bad choice 'left', expected one of \['label', 'skip'\]"),
        ({"choice": "label", "label": "bliss"}, "Bad label 'bliss', expected one of"),
        ({"choice": "label", "label": ["joy"]}, "Bad label"),
        ({"choice": "label", "label": "joy", "confidence": 6}, "Bad confidence 6, expected one of"),
        ({"choice": "label", "label": "joy", "confidence": True}, "Bad confidence True"),
        ({"choice": "label", "label": "joy", "note": "x" * 2001}, "Bad note of 2,001 characters"),
        ({"choice": "label", "label": "joy", "note": ["x"]}, "Bad note"),
    ],
)
def test_bad_values_are_named_and_not_stored(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    with store_at(tmp_path) as store:
        asked = session(store, mode="label")
        served = asked.next("Ann")
        assert served is not None
        with pytest.raises(InputError, match=message):
            asked.judge("Ann", {"item": served.token, **said})
        assert store.judgements() == []


@pytest.mark.parametrize(("said", "kept"), [(1.23456, 1.235), (-1, None), (float("nan"), None), ("3", None)])
def test_seconds_are_kept_where_they_can_be(tmp_path: Path, said: Any, kept: float | None) -> None:
    with store_at(tmp_path) as store:
        asked = session(store)
        served = asked.next("Ann")
        assert served is not None
        assert asked.judge("Ann", choice_of(served, "left", seconds=said)).seconds == kept


def test_a_rebuilt_dataset_keeps_the_judgements_of_what_stayed(tmp_path: Path) -> None:
    same = Item("s/train/a", "train", "One.", first="joy", second="anger")
    old = Item("s/train/b", "train", "Two.", first="joy", second="anger")
    new = Item("s/train/b", "train", "Two.", first="joy", second="fear")
    question = Question("preference", SOURCES)
    with store_at(tmp_path) as store:
        walk(Session([same, old], store, question), "Ann", ["left", "left"])
        asked = Session([same, new], store, question)
        served = asked.next("Ann")
        assert asked.progress("Ann") == {"done": 1, "open": 1}
    assert served is not None
    assert served.item == new


def test_a_key_stands_for_the_question_too() -> None:
    item = Item("s/train/a", "train", "One.", first="joy", second="anger")
    keys = {
        item_key("preference", SOURCES, item),
        item_key("preference", ("label", "original_label"), item),
        item_key("label", SOURCES, item),
    }
    assert len(keys) == 3
    assert item_key("label", ("a", "b"), item) in keys


def test_tokens_tell_nothing_and_outlive_the_server(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    tokens = []
    for folder in (tmp_path, tmp_path, tmp_path / "other"):
        with store_at(folder) as store:
            served = session(store, 1).next("Ann")
            assert served is not None
            tokens.append(served.token)
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\x00b", "a\u202eb", "\ud800"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="Bad name"):
        rater_name(name)


def test_bad_questions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Bad mode 'rank', expected one of \['preference', 'label'\]"):
        Question("rank", SOURCES)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="two or more are needed"):
        Question("label", SOURCES, LABELS[:1])
    with Store(tmp_path / "s.sqlite") as store, pytest.raises(InputError, match="no item to judge"):
        Session([], store, Question("preference", SOURCES))


def test_a_review_is_known_by_its_store_and_its_question(tmp_path: Path) -> None:
    def names(folder: Path) -> list[str]:
        with store_at(folder) as store:
            return [session(store, mode=mode).name for mode in ("preference", "label")]

    first = names(tmp_path / "a")
    assert names(tmp_path / "a") == first
    assert len({*first, *names(tmp_path / "b")}) == 4
