"""The duration rule by the clip's own length, and where it differs from the time stamps."""

from __future__ import annotations

import pytest

from remelt.errors import InputError
from remelt.records import Utterance
from remelt.selection import SelectionOptions, select

from .builders import utterance


def row(n: int, stamps: float | None, clip: float | None) -> Utterance:
    end = None if stamps is None else stamps
    return utterance(n, start=0.0, end=end, clip_duration=clip)


ROWS = [row(0, 0.96, 1.04), row(1, 1.2, 0.8), row(2, None, 2.0), row(3, 1.5, None), row(4, 0.5, None)]


@pytest.mark.parametrize(("source", "kept"), [("stamps", [1, 3]), ("clip", [0, 2, 3])])
def test_the_duration_rule_takes_the_length_it_is_told_to(source: str, kept: list[int]) -> None:
    found = select(ROWS, SelectionOptions(min_duration=1.0, duration_from=source))  # type: ignore[arg-type]
    assert [u.utterance_id for u in found.kept] == kept
    details = {d.utterance.utterance_id: d.details for d in found.dropped}
    assert details[4] == ("0.500 s is under 1 s",)
    if source == "clip":
        assert details[1] == ("the clip's 0.800 s is under 1 s",)
    else:
        assert details[2] == ("no readable time stamps, 1 s are needed",)


@pytest.mark.parametrize("source", ["stamps", "clip"])
def test_rows_that_the_two_lengths_judge_differently_are_named(source: str) -> None:
    notes = select(ROWS, SelectionOptions(min_duration=1.0, duration_from=source)).notes  # type: ignore[arg-type]
    assert len(notes) == 1
    assert "would judge 2 rows otherwise" in notes[0]
    assert all(ROWS[n].id in notes[0] for n in (0, 1))


def test_no_note_without_clips_or_without_the_rule() -> None:
    assert select([ROWS[3]], SelectionOptions(min_duration=1.0)).notes == ()
    assert select(ROWS, SelectionOptions()).notes == ()


def test_a_wrong_source_names_the_choices() -> None:
    with pytest.raises(InputError, match=r"Bad duration_from 'ear', expected one of \['stamps', 'clip'\]"):
        SelectionOptions(duration_from="ear")  # type: ignore[arg-type]
