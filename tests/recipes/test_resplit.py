"""The seeded draw of train and validation."""

from __future__ import annotations

from typing import Any

import pytest

from remelt.errors import InputError
from remelt.recipes.resplit import SplitOptions, draw
from remelt.records import Utterance


def rows(count: int, per_dialogue: int = 1, speakers: int = 7) -> list[Utterance]:
    return [row(n, n // per_dialogue, f"S{n % speakers}") for n in range(count)]


def row(number: int, dialogue: int, speaker: str) -> Utterance:
    split = ("train", "dev")[number % 2]
    key = f"c/{split}/dia{dialogue}_utt{number}"
    return Utterance(key, "c", split, dialogue, number, speaker, "Well.")


def ids(found: list[Utterance]) -> set[str]:
    return {one.id for one in found}


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [
        (10, 0.2, 2), (300, 0.2, 60), (13, 0.2, 3), (12, 0.2, 2),
        (1, 0.2, 0), (8, 0.0, 0), (4, 0.5, 2), (0, 0.2, 0),
    ],
)  # fmt: skip
def test_the_share_is_met_to_the_row(count: int, share: float, expected: int) -> None:
    given = rows(count)
    assert len(draw(given, ids(given), SplitOptions(share))) == expected


def test_the_seed_decides_and_not_the_order() -> None:
    given = rows(200)
    first = draw(given, ids(given), SplitOptions())
    assert draw(given[::-1], ids(given), SplitOptions()) == first
    other = draw(given, ids(given), SplitOptions(seed=1))
    assert other != first
    # Of independent draws of a fifth about a fifth is common.
    assert len(first & other) < 20


def test_every_corpus_split_is_drawn_from() -> None:
    given = rows(1000)
    held = draw(given, ids(given), SplitOptions())
    # 1,000 rows, half of each: 100 of 200 expected, standard deviation about 6.
    assert 70 < sum("/dev/" in key for key in held) < 130


def test_a_lost_row_moves_few_others() -> None:
    given = rows(500)
    before = draw(given, ids(given), SplitOptions())
    lost = sorted(before)[0]
    after = draw(given, ids(given) - {lost}, SplitOptions())
    assert len((before ^ after) - {lost}) <= 1


def test_rows_that_are_not_kept_take_no_place() -> None:
    given = rows(100)
    kept = ids(given[:50])
    held = draw(given, kept, SplitOptions())
    assert len(held & kept) == 10
    assert 0 < len(held - kept) < 25


@pytest.mark.parametrize("by", ["dialogue", "speaker"])
def test_what_belongs_together_stays_together(by: str) -> None:
    given = rows(600, per_dialogue=12, speakers=30)
    held = draw(given, ids(given), SplitOptions(by=by))
    assert abs(len(held) - 120) <= 10
    name = {"dialogue": lambda u: (u.split, u.dialogue_id), "speaker": lambda u: u.speaker}[by]
    inside = {name(u) for u in given if u.id in held}
    outside = {name(u) for u in given if u.id not in held}
    assert inside
    assert not inside & outside


def test_a_speaker_too_large_for_the_share_stays_in_train() -> None:
    given = [row(n, n, "Ross" if n < 90 else f"Extra {n}") for n in range(100)]
    held = draw(given, ids(given), SplitOptions(by="speaker"))
    assert held == ids(given[90:])


def test_speakers_without_a_name_are_not_one_person() -> None:
    given = [row(n, n, "") for n in range(100)]
    assert len(draw(given, ids(given), SplitOptions(by="speaker"))) == 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_share": 1.0}, "Bad validation share 1.0"),
        ({"validation_share": -0.1}, "Bad validation share"),
        ({"validation_share": float("nan")}, "Bad validation share"),
        ({"by": "session"}, "Bad unit of the split 'session'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SplitOptions(**options)
