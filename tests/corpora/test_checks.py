"""The checks that compare rows, against plain statements of what they look for."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from remelt.corpora import corpus_checks
from remelt.corpora.base import Draft
from remelt.corpora.defects import DEFECTS, tally

INTERVALS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3000)), max_size=12)


def draft(
    dialogue: int = 0,
    utterance: int = 0,
    start: int | None = None,
    end: int | None = None,
    *,
    split: str = "train",
    text: str = "What is it",
    label: str = "joy",
    episode: int | None = 1,
) -> Draft:
    made = Draft(split, dialogue, utterance, "Ann", text, "f.csv:2", label=label, start=start, end=end)
    made.season, made.episode = (None if episode is None else 1), episode
    return made


@given(INTERVALS, INTERVALS)
def test_shared_time_is_found_as_by_comparing_all(
    one: list[tuple[int, int]], two: list[tuple[int, int]]
) -> None:
    train = [draft(n, 0, s, s + d) for n, (s, d) in enumerate(one)]
    test = [draft(n, 0, s, s + d, split="test") for n, (s, d) in enumerate(two)]
    corpus_checks.shared_recordings({"train": train, "test": test})
    for row, (s, d) in zip(test, two, strict=True):
        expected = any(min(s + d, a + b) - max(s, a) > 500 for a, b in one)
        assert ("overlaps_earlier_split" in row.flags) == expected
    assert not any(row.flags for row in train)


def test_half_a_second_in_common_is_not_yet_an_overlap() -> None:
    test = [draft(0, 0, 1500, 9000, split="test"), draft(0, 1, 1499, 9000, split="test")]
    corpus_checks.shared_recordings({"train": [draft(0, 0, 0, 2000)], "test": test})
    assert [row.flags for row in test] == [set(), {"overlaps_earlier_split"}]


def test_time_is_shared_only_within_one_episode_and_between_splits() -> None:
    train = [draft(0, 0, 0, 5000), draft(0, 1, 0, 5000)]
    other = [draft(0, 0, 0, 5000, split="test", episode=2), draft(0, 1, 0, 5000, split="test", episode=None)]
    counts = corpus_checks.shared_recordings({"train": train, "test": other})
    assert not any(row.flags for row in (*train, *other))
    assert counts == {"episodes_in_train": {"test": 0}}


@given(st.sets(st.integers(0, 30), min_size=1), st.integers(0, 1))
def test_missing_turns_are_those_not_in_the_range(numbers: set[int], first: int) -> None:
    rows = [draft(0, first)] + [draft(1, first + n) for n in sorted(numbers)]
    counts = corpus_checks.numbering(rows, corpus_checks.dialogues(rows))
    missing = set(range(max(numbers) + 1)) - numbers
    assert counts["missing_turns"] == {"train": len(missing)}
    assert counts["dialogues_with_missing_turns"] == {"train": int(bool(missing))}
    after = {r.utterance_id - first for r in rows[1:] if "after_missing_turn" in r.flags}  # type: ignore[operator]
    assert after == {n for n in numbers if n and n - 1 not in numbers}


def flags(*times: tuple[int, int]) -> list[set[str]]:
    rows = [draft(0, n, start, end) for n, (start, end) in enumerate(times)]
    corpus_checks.turns(corpus_checks.dialogues(rows))
    return [row.flags for row in rows]


def test_turns() -> None:
    assert flags((0, 1000), (1000, 2000)) == [set(), set()]
    assert flags((0, 1000), (999, 2000))[1] == {"starts_before_previous_ends"}
    assert flags((0, 3000), (2000, 4000))[1] == {"starts_before_previous_ends"}
    assert flags((0, 3001), (2000, 4000))[1] == {
        "starts_before_previous_ends",
        "starts_1s_before_previous_ends",
    }
    assert flags((500, 600), (499, 700))[1] == {"starts_before_previous_ends", "out_of_order"}
    assert flags((5, 600), (5, 600))[1] == {"starts_before_previous_ends", "same_interval_as_previous"}
    assert flags((0, 1000), (61_000, 62_000))[1] == set()
    assert flags((0, 1000), (61_001, 62_000))[1] == {"over_60s_after_previous"}


def test_turns_without_times_or_of_other_dialogues_are_not_compared() -> None:
    rows = [draft(0, 0, 5000, 6000), draft(1, 0, 0, 1000), draft(1, 1), draft(1, 2, 0, 500)]
    corpus_checks.turns(corpus_checks.dialogues(rows))
    assert not any(row.flags for row in rows)


def test_repeats() -> None:
    rows = [
        draft(0, 0, 0, 500, text="What is it?", label="joy"),
        draft(1, 0, 0, 900, text="what IS it", label="anger", split="test"),
        draft(2, 0, 0, 900, text="What is it", label="joy"),
        draft(3, 0, 7, 900, text="Yes.", label="joy"),
        draft(4, 0, 8, 900, text="Yes!", label="joy"),
        draft(5, 0, 9, 900, text="?", label="joy"),
        draft(6, 0, 9, 900, text="!", label="anger"),
    ]
    found = corpus_checks.repeats(rows)
    assert found == {
        "same_line_pairs": 2, "same_line_pairs_other_label": 1, "same_line_pairs_across_splits": 1,
        "repeated_texts": 2, "repeated_texts_other_label": 1, "repeated_texts_3_words": 1,
        "repeated_texts_other_label_3_words": 1,
    }  # fmt: skip
    both = {
        "same_line_twice",
        "same_line_other_label",
        "same_text_other_label",
        "same_text_other_label_3_words",
    }
    assert [row.flags for row in rows] == [both, both, both, set(), set(), set(), set()]


def groups(*names: str) -> list[list[str]]:
    rows = [Draft("train", 0, n, name, "What is it", "f.csv:2") for n, name in enumerate(names)]
    return [[name for name, _ in group] for group in corpus_checks.spellings(rows)]


def test_spellings() -> None:
    assert groups("Phoebe Sr", "Phoebe Sr.", "Ann") == [["Phoebe Sr", "Phoebe Sr."]]
    assert groups("Fireman #1", "Fireman No. 1", "Fireman No. 2") == [["Fireman #1", "Fireman No. 1"]]
    assert groups("The Woman", "Woman") == [["The Woman", "Woman"]]
    assert groups("Dr. Ledbetter", "Dr. Leedbetter") == [["Dr. Ledbetter", "Dr. Leedbetter"]]
    assert groups("Richard’s Date", "Richard's Date") == [["Richard's Date", "Richard’s Date"]]
    assert groups("Julie", "Julio", "Mark", "Marc", "Joanne", "Joanna", "Guy #1", "Guy #2", "Ann") == []
    assert groups("", "!", "?") == []


@given(st.lists(st.text(max_size=12), max_size=8))
def test_any_names_can_be_compared(names: Sequence[str]) -> None:
    found = groups(*names)
    assert all(len(group) > 1 for group in found)
    listed = [name for group in found for name in group]
    assert len(listed) == len(set(listed))


def test_tally_counts_what_was_looked_for_zeros_included() -> None:
    rows = [draft(), draft(split="test")]
    rows[0].flags |= {"one_word", "under_1s"}
    counts = tally(rows, {"text"}, ("train", "test"), {})
    assert counts["one_word"] == {"train": 1, "test": 0}
    assert counts["two_words"] == {"train": 0, "test": 0}
    assert "under_1s" not in counts
    assert all(DEFECTS[name].family == "text" for name in counts)
