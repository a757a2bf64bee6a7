"""Folds and splits: who is where, and that every row is in one part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remelt.errors import InputError
from remelt.evaluation import protocols
from remelt.evaluation.examples import Example
from remelt.evaluation.protocols import Split

from ..answers import EMOTIONS, example, sessions


def names(rows: Sequence[Example], what: str) -> list[str]:
    return sorted({getattr(row, what) for row in rows})


def whole(split: Split, rows: Sequence[Example]) -> bool:
    """Every row is in one part, in the order of the corpus."""
    order = {row.id: k for k, row in enumerate(rows)}
    for _, part in split.parts():
        places = [order[row.id] for row in part]
        assert places == sorted(places)
    return Counter(row.id for _, part in split.parts() for row in part) == Counter(row.id for row in rows)


def test_each_session_tests_once_and_the_next_validates() -> None:
    rows = sessions(5)
    folds = protocols.by_session(rows)
    assert [fold.name for fold in folds] == [f"Session{k}" for k in range(1, 6)]
    for k, fold in enumerate(folds):
        assert names(fold.test, "session") == [f"Session{k + 1}"]
        assert names(fold.validation, "session") == [f"Session{(k + 1) % 5 + 1}"]
        assert whole(fold, rows)
        protocols.check_leaks(fold)
    assert folds[0].promises == ("sessions", "dialogues", "speakers")
    assert protocols.by_session(rows, "none")[2].validation == ()


def test_sessions_are_in_the_order_of_their_numbers() -> None:
    rows = [example(f"r{k}", session=f"session{k}", speaker=f"s{k}") for k in (10, 2, 1)]
    assert [fold.name for fold in protocols.by_session(rows)] == ["session1", "session2", "session10"]


def test_sessions_without_speakers_promise_nothing_of_them() -> None:
    rows = [example(f"r{k}", session=f"p{k % 3}", speaker="" if k else "s") for k in range(9)]
    fold = protocols.by_session(rows)[0]
    assert fold.promises == ("sessions", "dialogues")
    assert fold.notes == ("8 rows have no speaker, so nothing is promised of speakers",)


def test_merits_tests_on_the_last_session_and_validates_on_the_first() -> None:
    fold = protocols.merits_iemocap(sessions(5))
    assert [names(rows, "session") for _, rows in fold.parts()] == [
        ["Session2", "Session3", "Session4"],
        ["Session1"],
        ["Session5"],
    ]


def test_alqurashi_holds_the_last_session_out_by_sex() -> None:
    rows = sessions(5)
    fold = protocols.alqurashi_si(rows)
    assert names(fold.train, "session") == [f"Session{k}" for k in range(1, 5)]
    assert (names(fold.validation, "speaker"), names(fold.test, "speaker")) == (["Ses5M"], ["Ses5F"])
    assert whole(fold, rows)
    protocols.check_leaks(fold)
    assert fold.notes == ("validation and test are the two sides of the same 2 dialogues",)
    with pytest.raises(InputError, match="dialogues in several parts: 2"):
        protocols.check_leaks(fold, ["dialogues"])
    assert names(protocols.alqurashi_si(rows, "Session2").test, "session") == ["Session2"]
    with pytest.raises(InputError, match=r"Bad session 'Session9', expected one of \['Session1'"):
        protocols.alqurashi_si(rows, "Session9")
    with pytest.raises(InputError, match="Session 'Session5' has 0 rows of men and 4 of women"):
        protocols.alqurashi_si([row for row in rows if row.speaker != "Ses5M"])
    with pytest.raises(InputError, match="all rows are of 'Session1'"):
        protocols.alqurashi_si(sessions(1))


def test_speakers_leave_one_by_one() -> None:
    rows = sessions(2)
    folds = protocols.by_speaker(rows)
    assert [fold.name for fold in folds] == ["Ses1F", "Ses1M", "Ses2F", "Ses2M"]
    assert names(folds[3].validation, "speaker") == ["Ses1F"]
    for fold in folds:
        assert whole(fold, rows)
        protocols.check_leaks(fold)


@given(st.integers(2, 8), st.integers(0, 5), st.booleans())
@settings(max_examples=10)
def test_speaker_folds_cover_every_row_once(folds: int, seed: int, context: bool) -> None:
    rows = sessions(8)
    if context:
        rows = [row if k % 5 else example(f"c{k}", None, speaker=row.speaker) for k, row in enumerate(rows)]
    found = protocols.by_speaker(rows, folds, "none" if folds == 2 else "next", seed)
    assert Counter(row.id for fold in found for row in fold.test) == Counter(row.id for row in rows)
    for fold in found:
        protocols.check_leaks(fold)
        assert whole(fold, rows)
        # 16 alike speakers: no fold is more than one speaker larger than the mean.
        assert len(fold.test) <= 4 * (16 / folds + 1)


def test_a_class_rarer_than_folds_does_not_stop_them() -> None:
    rows = [*sessions(5), example("only", "fear", speaker="Ses1F")]
    assert len(protocols.by_speaker(rows, 5)) == 5


@pytest.mark.parametrize(
    ("split", "share"), [(protocols.speaker_shares, 0.06), (protocols.dialogue_shares, 0.06)]
)
def test_shares_of_whole_groups(split: object, share: float) -> None:
    rows = sessions(20, rows=16)
    found: Split = split(rows, (0.7, 0.1, 0.2), seed=3)  # type: ignore[operator]
    assert whole(found, rows)
    protocols.check_leaks(found)
    for (_, part), wanted in zip(found.parts(), (0.7, 0.1, 0.2), strict=True):
        assert len(part) / len(rows) == pytest.approx(wanted, abs=share)
        counts = Counter(row.label for row in part)
        assert max(counts.values()) - min(counts[label] for label in EMOTIONS[:4]) <= 0.2 * len(part)
    assert found == split(rows, (0.7, 0.1, 0.2), seed=3)  # type: ignore[operator]
    assert found.test != split(rows, (0.7, 0.1, 0.2), seed=4).test  # type: ignore[operator]


@given(st.integers(3, 12), st.integers(0, 50), st.sampled_from([0.0, 0.1, 0.3]))
@settings(max_examples=15)
def test_every_part_of_shares_has_a_group(speakers: int, seed: int, validation: float) -> None:
    rows = [
        example(f"{s}_{k}", EMOTIONS[k % 3], speaker=f"s{s}")
        for s in range(speakers)
        for k in range(1 + s * s)
    ]
    found = protocols.speaker_shares(rows, (0.8 - validation, validation, 0.2), seed)
    assert whole(found, rows)
    assert found.train
    assert found.test
    assert bool(found.validation) == bool(validation)
    protocols.check_leaks(found)


def test_rows_without_a_dialogue_go_by_themselves() -> None:
    rows = [example(f"r{k}", EMOTIONS[k % 2]) for k in range(100)]
    assert [len(part) for _, part in protocols.dialogue_shares(rows).parts()] == [80, 10, 10]


def test_speaker_dependent_keeps_each_classes_share() -> None:
    rows = [example(f"{label}{k}", label) for label, n in (("joy", 200), ("fear", 50)) for k in range(n)]
    found = protocols.speaker_dependent([*rows, example("context", None)], seed=1)
    assert [Counter(row.label for row in part) for _, part in found.parts()] == [
        {"joy": 160, "fear": 40},
        {"joy": 20, "fear": 5},
        {"joy": 20, "fear": 5},
    ]
    assert whole(found, rows)
    assert found.notes[-1] == "1 rows without a label were left out"
    assert protocols.speaker_dependent(rows, (0.9, 0, 0.1)).validation == ()
    with pytest.raises(
        InputError, match="Every class needs 3 rows or more, one for each part; too few have joy 1"
    ):
        protocols.speaker_dependent([*rows[200:], rows[0]])
    with pytest.raises(InputError, match="None of 1 rows has a label"):
        protocols.speaker_dependent([example("context", None)])


def test_standard_splits_by_their_usual_or_given_names() -> None:
    rows = [
        example(f"{split}{k}", split=split)
        for split in ("train", "development", "test1", "test2")
        for k in range(3)
    ]
    found = protocols.standard(rows)
    assert [names(part, "split") for _, part in found.parts()] == [["train"], ["development"], ["test1"]]
    assert found.notes == ("the 3 rows of split 'test2' are not used",)
    assert names(protocols.standard(rows, test="test2").test, "split") == ["test2"]
    assert protocols.standard(rows, validation="").validation == ()
    with pytest.raises(
        InputError, match=r"Bad test split 'test3', expected one of \['train', 'development', 'test1'"
    ):
        protocols.standard(rows, test="test3")
    with pytest.raises(InputError, match="Bad validation split 'dev or validation or valid or development'"):
        protocols.standard(rows[:3])
    with pytest.raises(InputError, match="each must be another"):
        protocols.standard(rows, validation="test1")


ROWS = sessions(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: protocols.by_session(ROWS, "last"), r"Bad validation 'last', expected one of \['next'"),
        (lambda: protocols.by_session(sessions(2)), "There are 2 sessions .Session1, Session2.; with"),
        (lambda: protocols.by_session([]), "0 of 0 rows"),
        (lambda: protocols.by_session([*ROWS, example("x")]), "session of every row; 1 of 25 rows have none"),
        (lambda: protocols.by_speaker(ROWS, 7), "Bad number of folds 7, expected 2 to 6"),
        (lambda: protocols.by_speaker(ROWS, 2), "There are 2 folds"),
        (lambda: protocols.speaker_shares(ROWS[:8]), "2 speakers cannot be split into 3 parts"),
        (lambda: protocols.speaker_shares(ROWS, (0.8, 0.1, 0.2)), "Bad shares"),
        (lambda: protocols.dialogue_shares(ROWS, (1.0, 0.0, 0.0)), "Bad shares"),
        (lambda: Split("x", (), (), (), ("rows",)), r"Bad promise of a split 'rows', expected"),
    ],
)  # fmt: skip
def test_splits_that_cannot_be_are_refused(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
