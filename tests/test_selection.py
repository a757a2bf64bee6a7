from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt.errors import InputError, RemeltError
from remelt.records import Drop, Utterance
from remelt.selection import (
    AttritionRow,
    Selection,
    SelectionOptions,
    check_counts,
    overlap,
    select,
)

from .builders import utterance


def failures(selection: Selection) -> dict[str, dict[str, str]]:
    """Id without the corpus -> reason -> detail."""
    return {
        d.utterance.id.removeprefix("toy/"): dict(zip(d.reasons, d.details, strict=True))
        for d in selection.dropped
    }


def lines(*speakers: str, split: str = "train", **changes: Any) -> list[Utterance]:
    return [
        utterance(n, id=f"toy/{split}/dia0_utt{n}", split=split, speaker=speaker, **changes)
        for n, speaker in enumerate(speakers)
    ]


def one_rule(rows: list[Utterance], **options: Any) -> dict[str, dict[str, str]]:
    return failures(select(rows, SelectionOptions(**options)))


def test_no_options_keep_everything() -> None:
    rows = lines("Ann", "All", "")
    assert select(rows, SelectionOptions()) == Selection(tuple(rows), (), ())


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        (1.0, 1.961, True),
        (1.0, 1.960, False),
        (100.1, 101.061, True),  # 101.061 - 100.1 is 0.9609999999999985 in floating point
        (3599.999, 3600.960, True),
        (5.0, 5.0, False),
        (5.0, 4.0, False),
        (None, 4.0, False),
    ],
)
def test_durations_are_exact_to_the_millisecond(start: float | None, end: float | None, kept: bool) -> None:
    found = one_rule([utterance(0, start=start, end=end)], min_duration=0.961)
    assert list(found) == ([] if kept else ["train/dia0_utt0"])


def test_details_say_what_was_found_and_what_is_needed() -> None:
    rows = [
        utterance(0, start=0.0, end=0.917, text="Oh no"),
        utterance(1, start=None, text=" Hm "),
        utterance(2, clip_duration=0.5, label="fear"),
        utterance(3, label=None, flags=("a", "b", "c")),
    ]
    options = SelectionOptions(
        min_duration=0.961, min_clip_duration=1, min_words=3, labels=("Joy", "neutral"), drop_flags=("c", "a")
    )
    assert failures(select(rows, options)) == {
        "train/dia0_utt0": {
            "duration": "0.917 s is under 0.961 s",
            "words": "2 words, 3 are needed",
        },
        "train/dia0_utt1": {
            "duration": "no readable time stamps, 0.961 s are needed",
            "words": "1 word, 3 are needed",
        },
        "train/dia0_utt2": {
            "clip_duration": "the clip's 0.5 s is under 1 s",
            "label": "'fear' is not in ['joy', 'neutral']",
        },
        "train/dia0_utt3": {
            "label": "no label, one of ['joy', 'neutral'] is needed",
            "flag:c": "the row is flagged 'c'",
            "flag:a": "the row is flagged 'a'",
        },
    }


def test_words_are_counted_in_the_mended_text() -> None:
    # U+0085, an ellipsis in cp1252, is white space to Python.
    broken = utterance(0, text="Well\x85 you\x85see", text_repaired="Well… you…see")
    assert list(one_rule([broken], min_words=3)) == ["train/dia0_utt0"]
    assert one_rule([broken], min_words=2) == {}
    assert one_rule([utterance(0, text="a - b")], min_words=3) == {}


def test_a_clip_that_was_not_measured_is_not_judged() -> None:
    assert one_rule([utterance(0, clip_duration=None)], min_clip_duration=9) == {}


def test_a_list_of_speakers_is_compared_without_case() -> None:
    rows = lines("ANN", " ann ", "Ann Lee", "Ánn")
    found = one_rule(rows, speaker_rule="list", speakers=("Ann",))
    assert {k: v["speaker"] for k, v in found.items()} == {
        "train/dia0_utt2": "'Ann Lee' is not among the 1 listed speakers",
        "train/dia0_utt3": "'Ánn' is not among the 1 listed speakers",
    }


def test_a_minimum_count_is_taken_after_duration_and_words_in_one_split() -> None:
    rows = [
        *lines("Ann", "ann", "Bob", "Bob", "Cy"),
        utterance(7, speaker="Bob", text="Too short"),
        utterance(8, speaker="Bob", end=8.1),
        *lines("Ann", "Bob", "Bob", "Bob", split="test"),
    ]
    options: dict[str, Any] = {"min_words": 3, "min_duration": 1.0, "min_speaker_count": 2}
    assert {k: v.get("speaker_count") for k, v in one_rule(rows, **options).items()} == {
        "train/dia0_utt4": "'Cy' has 1 of the 2 utterances needed in train",
        "train/dia0_utt7": None,
        "train/dia0_utt8": None,
    }
    three = one_rule(rows, **{**options, "min_speaker_count": 3})
    assert "test/dia0_utt1" in three
    everywhere = one_rule(rows, **{**options, "min_speaker_count": 3}, speaker_count_split="all")
    assert {k for k, v in everywhere.items() if "speaker_count" in v} == {"train/dia0_utt4"}
    in_test = one_rule(rows, **{**options, "min_speaker_count": 3}, speaker_count_split="test")
    assert "train/dia0_utt0" in in_test
    assert "train/dia0_utt2" not in in_test


def test_speakers_are_counted_in_train_though_only_test_is_asked_for() -> None:
    rows = [*lines("Ann", "Ann"), *lines("Ann", "Bob", split="test")]
    selection = select(rows, SelectionOptions(min_speaker_count=2), ["test"])
    assert [u.id for u in selection.kept] == ["toy/test/dia0_utt0"]
    assert selection.attrition == (AttritionRow("speaker_count", "test", 1, 1, 1),)


def test_generic_names_fail_unless_kept() -> None:
    rows = lines("Ann", "The Waiter", "Woman", "woman", text="That woman knows a woman.")
    assert list(one_rule(rows, speaker_rule="named")) == [f"train/dia0_utt{n}" for n in (1, 2, 3)]
    assert one_rule(rows, speaker_rule="named")["train/dia0_utt2"] == {
        "generic_name": "'Woman' is written in lower case 8 times, capitalised inside sentences 0 times"
    }
    assert list(one_rule(rows, speaker_rule="named", keep_speakers=("WOMAN",))) == ["train/dia0_utt1"]


def test_kept_speakers_pass_every_speaker_rule_but_no_other() -> None:
    rows = [*lines("Ann", "Ann", "Woman"), utterance(5, speaker="Woman", text="Hm")]
    found = one_rule(rows, keep_speakers=("woman",), min_speaker_count=2, min_words=2)
    assert found == {"train/dia0_utt5": {"words": "1 word, 2 are needed"}}
    assert one_rule(rows[:3], keep_speakers=("woman",), speaker_rule="list", speakers=("Ann",)) == {}


def test_dropped_speakers_fail_with_any_speaker_rule() -> None:
    found = one_rule(
        lines("Ann", "Bob", "Cy"), drop_speakers=("ann",), speaker_rule="list", speakers=("Ann", "Cy")
    )
    assert found == {
        "train/dia0_utt0": {"speaker": "drop_speakers has 'Ann'"},
        "train/dia0_utt1": {"speaker": "'Bob' is not among the 2 listed speakers"},
    }
    assert list(one_rule(lines("Ann", "Bob"), drop_speakers=("ann",))) == ["train/dia0_utt0"]


def test_merged_spellings_count_together_and_share_a_verdict() -> None:
    rows = lines("Kristen", "Kristin", "KRISTIN", "Bob")
    merge = {"Kristen": ("Kristin",)}
    assert list(one_rule(rows, min_speaker_count=3)) == [f"train/dia0_utt{n}" for n in range(4)]
    assert list(one_rule(rows, min_speaker_count=3, merge_speakers=merge)) == ["train/dia0_utt3"]
    assert list(one_rule(rows, drop_speakers=("Kristin",), merge_speakers=merge)) == [
        f"train/dia0_utt{n}" for n in range(3)
    ]
    listed = one_rule(rows, speaker_rule="list", speakers=("Kristin",), merge_speakers=merge)
    assert list(listed) == ["train/dia0_utt3"]
    kept = select(rows, SelectionOptions(merge_speakers=merge)).kept
    assert [u.speaker for u in kept] == ["Kristen", "Kristin", "KRISTIN", "Bob"]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("toy/train/dia2_utt5", ["train/dia2_utt5"]),
        ("*/dia2_utt5", ["train/dia2_utt5", "test/dia2_utt5"]),
        ("*/train/dia2_utt5", ["train/dia2_utt5"]),
        ("toy/test/*", ["test/dia2_utt5", "test/dia23_utt5"]),
        ("*/dia23_*", ["train/dia23_utt5", "test/dia23_utt5"]),
        ("*", ["train/dia2_utt5", "train/dia23_utt5", "test/dia2_utt5", "test/dia23_utt5"]),
        ("dia2_utt5", []),
        ("*/dia._utt5", []),
        ("toy/*/dia._utt5", []),
        ("toy/*/dia2_utt5", ["train/dia2_utt5", "test/dia2_utt5"]),
        ("*/dia[2]_utt5", []),
    ],
)
def test_id_patterns(pattern: str, matched: list[str]) -> None:
    rows = [
        utterance(5, id=f"toy/{split}/dia{d}_utt5", split=split)
        for split in ("train", "test")
        for d in (2, 23)
    ]
    selection = select(rows, SelectionOptions(exclude_ids=(pattern,)))
    assert failures(selection) == {i: {"excluded": f"exclude_ids has {pattern!r}"} for i in matched}
    idle = [note for note in selection.notes if note.startswith("exclude_ids")]
    assert idle == ([] if matched else [f"exclude_ids: 1 of 1 meet no row: {pattern}"])
    included = select(rows, SelectionOptions(min_words=99, include_ids=(pattern,)))
    assert [u.id.removeprefix("toy/") for u in included.kept] == matched


def test_included_rows_are_kept_counted_and_noted() -> None:
    rows = [utterance(0, text="Hm"), utterance(1), utterance(2, text="Hm")]
    options = SelectionOptions(
        min_words=2,
        min_speaker_count=2,
        include_ids=("*/dia0_utt0", "toy/train/dia0_utt1"),
        exclude_ids=("*_utt0",),
    )
    selection = select(rows, options)
    assert [u.utterance_id for u in selection.kept] == [0, 1]
    assert selection.notes == (
        "include_ids keeps rows against the rules they fail (1): toy/train/dia0_utt0 (words, excluded)",
    )
    assert [(r.rule, r.alone, r.in_order, r.left) for r in selection.attrition] == [
        ("words", 1, 1, 2),
        ("speaker_count", 0, 0, 2),
        ("excluded", 0, 0, 2),
    ]


def test_attrition_alone_and_in_order() -> None:
    rows = [
        utterance(0, text="Hm", end=0.5),
        utterance(1, text="Hm"),
        utterance(2, end=2.5, flags=("x",)),
        utterance(3, id="toy/test/dia0_utt3", split="test", text="Hm"),
    ]
    selection = select(
        rows, SelectionOptions(min_duration=1, min_words=2, drop_flags=("x", "y")), ["test", "train"]
    )
    assert [(r.split, r.rule, r.alone, r.in_order, r.left) for r in selection.attrition] == [
        ("test", "duration", 0, 0, 1),
        ("test", "words", 1, 1, 0),
        ("test", "flag:x", 0, 0, 0),
        ("test", "flag:y", 0, 0, 0),
        ("train", "duration", 2, 2, 1),
        ("train", "words", 2, 1, 0),
        ("train", "flag:x", 1, 0, 0),
        ("train", "flag:y", 0, 0, 0),
    ]
    assert set(selection.notes) == {"test: no row is kept", "train: no row is kept"}


def test_options_that_meet_nothing_are_noted() -> None:
    options = SelectionOptions(
        keep_speakers=("Wonan", "ann"), labels=("angry", "neutral"), merge_speakers={"Ann": ("Anne",)}
    )
    assert select(lines("Ann"), options).notes == (
        "keep_speakers: 1 of 2 do not occur in the corpus: Wonan",
        "merge_speakers: 1 of 1 do not occur in the corpus: Anne",
        "labels: 1 of 2 do not occur in the corpus: angry",
    )


def test_unknown_splits_and_repeated_ids() -> None:
    with pytest.raises(InputError, match=r"Bad split 'dev', expected one of \['train'\]"):
        select(lines("Ann"), SelectionOptions(), ["dev"])
    with pytest.raises(
        InputError, match=r"Bad speaker_count_split 'trian', expected one of \['train', 'all'\]"
    ):
        select(lines("Ann"), SelectionOptions(min_speaker_count=1, speaker_count_split="trian"))
    with pytest.raises(InputError, match="Ids that stand more than once: toy/train/dia0_utt0"):
        select([*lines("Ann"), *lines("Bob")], SelectionOptions())


def test_counts_that_do_not_add_up_stop_the_build() -> None:
    rows = lines("Ann", "Bob", "Cy")
    drop = Drop(rows[2], "selection", ("x",), ("y",))
    check_counts(rows, rows[:2], [drop])
    for kept, dropped in ((rows[:1], [drop]), (rows, [drop]), ([*rows[:1], rows[0]], [drop])):
        with pytest.raises(RemeltError, match="Selection does not add up: 3 rows given"):
            check_counts(rows, kept, dropped)


def test_overlap_of_nothing() -> None:
    empty = overlap([], [])
    assert (empty.precision, empty.recall, empty.jaccard) == (0, 0, 0)
    assert overlap(iter("ab"), iter("b")).precision == 0.5


ROW = st.builds(
    dict,
    split=st.sampled_from(["train", "dev", "test"]),
    speaker=st.sampled_from(["Ann", "ann", "Bob", "All", "The Cook", ""]),
    text=st.sampled_from(["", "Hm", "Oh no", "Now that is it"]),
    end=st.sampled_from([None, 0.0, 0.9, 1.0, 2.0]),
    label=st.sampled_from([None, "joy", "fear"]),
    flags=st.sampled_from([(), ("a",), ("a", "b")]),
)


@given(
    data=st.lists(ROW, min_size=1, max_size=30),
    seconds=st.sampled_from([0.0, 1.0]),
    words=st.integers(0, 3),
    count=st.integers(0, 4),
    rule=st.sampled_from(["any", "named"]),
    labels=st.sampled_from([(), ("joy",)]),
    flags=st.sampled_from([(), ("a",), ("b", "a")]),
)
def test_every_row_is_accounted_for_with_all_the_rules_it_fails(
    data: list[dict[str, Any]], seconds: float, words: int, count: int, rule: Any, labels: Any, flags: Any
) -> None:
    rows = [
        utterance(n, **{**row, "start": 0.0, "id": f"toy/{row['split']}/dia0_utt{n}"})
        for n, row in enumerate(data)
    ]
    options = SelectionOptions(
        min_duration=seconds, min_words=words, min_speaker_count=count, speaker_rule=rule, labels=labels,
        drop_flags=flags, speaker_count_split="all",
    )  # fmt: skip
    asked = sorted({u.split for u in rows})[:2]

    def short(u: Utterance) -> bool:
        return seconds > 0 and (u.end is None or u.end < seconds)

    def terse(u: Utterance) -> bool:
        return len(u.text.split()) < words

    said = [u.speaker.lower() for u in rows if not short(u) and not terse(u)]
    wrong = {
        "duration": short,
        "words": terse,
        "generic_name": lambda u: rule == "named" and u.speaker in ("All", "The Cook", ""),
        "speaker_count": lambda u: said.count(u.speaker.lower()) < count,
        "label": lambda u: bool(labels) and u.label not in labels,
        **{f"flag:{flag}": lambda u, flag=flag: flag in u.flags for flag in flags},
    }
    selection = select(rows, options, asked)
    expected = {
        u.id: tuple(name for name, test in wrong.items() if test(u)) for u in rows if u.split in asked
    }
    assert [u.id for u in selection.kept] == [i for i, reasons in expected.items() if not reasons]
    assert {d.utterance.id: d.reasons for d in selection.dropped} == {i: r for i, r in expected.items() if r}
    assert all(len(d.reasons) == len(d.details) and all(d.details) for d in selection.dropped)
    for row in selection.attrition:
        failing = [r for i, r in expected.items() if row.rule in r and i.startswith(f"toy/{row.split}/")]
        assert row.alone == len(failing)
        assert row.in_order == sum(r[0] == row.rule for r in failing)
    for split in asked:
        last = [r.left for r in selection.attrition if r.split == split][-1:]
        assert last in ([], [sum(u.split == split for u in selection.kept)])
