"""The MELD reader on corpora that are small, broken, or laid out in other ways."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from remelt.corpora import load, media
from remelt.corpora.meld import COLUMNS, LABEL_FILES
from remelt.errors import InputError

Write = Callable[..., Path]
ROW = ("1", "Hello there, you.", "Ann", "joy", "positive", "0", "0", "1", "1", "00:00:01,000", "00:00:02,500")


def changed(**values: str) -> tuple[str, ...]:
    return tuple(values.get(column, value) for column, value in zip(COLUMNS, ROW, strict=True))


def test_a_row_is_read(corpus: Write) -> None:
    first, second, *_ = load(corpus()).utterances
    assert first.id == "meld/train/dia0_utt0"
    assert (first.corpus, first.split, first.dialogue_id, first.utterance_id) == ("meld", "train", 0, 0)
    assert (first.speaker, first.text, first.label, first.sentiment) == (
        "Ann",
        "Hello there, you.",
        "joy",
        "positive",
    )
    assert (first.season, first.episode, first.start, first.end, first.duration) == (1, 1, 1.0, 2.5, 1.5)
    assert first.source == "train_sent_emo.csv:2"
    assert first.flags == ()
    assert second.flags == ("short_hour",)
    assert first.clip is None


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({"StartTime": "00:00:03,000"}, ["negative_duration"]),
        ({"StartTime": "00:00:02,500"},
         ["over_6_words_per_s", "over_8_words_per_s", "under_1s", "under_500ms", "zero_duration"]),
        ({"StartTime": "1.5"}, ["time_unreadable"]),
        ({"EndTime": ""}, ["time_missing"]),
        ({"EndTime": "00:00:02,5"}, ["short_decimals"]),
        ({"EndTime": "00:00:16,001"},
         ["over_15s", "starts_1s_before_previous_ends", "starts_before_previous_ends"]),
        ({"Emotion": "Frustration"}, ["label_unknown"]),
        ({"Emotion": ""}, ["label_missing"]),
        ({"Emotion": " JOY "}, []),
        ({"Sentiment": "happy"}, ["sentiment_unknown"]),
        ({"Sentiment": "negative"}, ["sentiment_mismatch"]),
        ({"Season": "one"}, ["episode_unreadable"]),
        ({"Episode": ""}, ["episode_unreadable"]),
        ({"Speaker": "  "}, ["speaker_missing"]),
        ({"Speaker": "All"}, ["several_speakers"]),
        ({"Speaker": "Ann and Bob"}, ["several_speakers"]),
        ({"Speaker": "Ann/Bob"}, ["several_speakers"]),
        ({"Speaker": "Andy Anderson"}, []),
        ({"Speaker": "an"}, ["speaker_lower_case"]),
        ({"Utterance": ""}, ["empty_text"]),
        ({"Utterance": "?!"}, ["no_letters", "one_word"]),
        ({"Utterance": "...and so on"}, ["leading_punctuation"]),
        ({"Utterance": "Well then. (She sits down in the"}, ["stage_direction"]),
        ({"Utterance": 'He said "no to me'}, ["unbalanced_quotes"]),
        ({"Utterance": 'He said "no" to me'}, []),
        ({"Utterance": "two\nlines here"}, ["line_break"]),
        ({"Utterance": "a\0b c d"}, ["nul_character"]),
        ({"Utterance": "It\x92s me, so"}, ["cp1252_controls", "non_ascii"]),
        ({"Utterance": "Itâ€™s me, so"}, ["mojibake", "non_ascii"]),
        ({"Utterance": "It\ufffds me, so"}, ["non_ascii", "replacement_character"]),
        ({"Utterance": "Well\x85so what\x85"}, ["cp1252_controls", "non_ascii", "two_words"]),
    ],
)  # fmt: skip
def test_row_defects_are_flags(corpus: Write, values: dict[str, str], flags: list[str]) -> None:
    read = load(corpus(**values))
    first = read.utterances[0]
    expected = [f for f in flags if not f.startswith("starts_")]
    assert list(first.flags) == expected
    assert [f for f in flags if f.startswith("starts_")] == [
        f for f in read.utterances[1].flags if f.startswith("starts_")
    ]
    for flag in flags:
        assert read.defects[flag]["train"] == 1
        assert read.defects[flag]["test"] == 0
    if "Utterance" in values:
        assert first.text == values["Utterance"]


def test_broken_text_is_kept_and_mended_beside_it(corpus: Write) -> None:
    first = load(corpus(Utterance="It\x92s\0 fine", Speaker="Ann\x92s Mum")).utterances[0]
    assert (first.text, first.text_repaired, first.speaker) == ("It\x92s\0 fine", "It’s fine", "Ann’s Mum")
    assert "speaker_mended" in first.flags


def test_a_file_in_two_encodings(corpus: Write) -> None:
    folder = corpus(Utterance="It’s me again")
    path = folder / "train_sent_emo.csv"
    path.write_bytes(path.read_bytes().replace(b"What do you want?", b"You\x92re late for the caf\xe9"))
    first, second, *_ = load(folder).utterances
    assert (first.text, first.text_repaired) == ("It’s me again", None)
    assert (second.text, second.text_repaired) == (
        "You\x92re late for the caf\xe9",
        "You’re late for the café",
    )
    assert "not_utf8" in second.flags
    assert "not_utf8" not in first.flags


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"Dialogue_ID": "x"}, r"train_sent_emo\.csv:2: bad Dialogue_ID 'x', expected a whole number"),
        ({"Utterance_ID": ""}, r"train_sent_emo\.csv:2: bad Utterance_ID ''"),
        ({"Utterance_ID": "-1"}, r"bad Utterance_ID '-1'"),
        ({"Utterance_ID": "../1"}, r"bad Utterance_ID"),
        ({"Utterance_ID": "1"}, r"Duplicate key: meld/train/dia0_utt1 in train_sent_emo\.csv:2 and .*csv:3"),
    ],
)
def test_broken_keys_are_errors(corpus: Write, values: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(corpus(**values))


def test_missing_and_renamed_columns_are_errors(corpus: Write) -> None:
    header = ["Sr_No." if c == "Sr No." else "Emotions" if c == "Emotion" else c for c in COLUMNS]
    with pytest.raises(InputError, match=r"train_sent_emo\.csv: missing columns .*'Emotions' for 'Emotion'"):
        load(corpus(header=header))


def test_columns_may_be_in_any_order_and_more(tmp_path: Path) -> None:
    order = list(reversed(range(len(COLUMNS))))
    lines = [[COLUMNS[i] for i in order] + ["extra"], [f'"{ROW[i]}"' for i in order] + ["x"]]
    (tmp_path / "dev_sent_emo.csv").write_text("\n".join(",".join(line) for line in lines), encoding="utf-8")
    read = load(tmp_path)
    assert read.utterances[0].text == ROW[1]
    assert read.splits == ("dev",)
    assert [note for note in read.notes if "without the train split" in note]


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (",".join(COLUMNS).encode(), "no rows")])
def test_empty_files_are_errors(corpus: Write, content: bytes, message: str) -> None:
    folder = corpus()
    (folder / "dev_sent_emo.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"dev_sent_emo\.csv .*{message}"):
        load(folder)


def test_wrong_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder or file '/nowhere/at/all'"):
        load("/nowhere/at/all")
    with pytest.raises(InputError, match="Nothing to read below"):
        load(tmp_path)
    (tmp_path / "train_sent_emo_dya.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"No MELD label file below .*train_sent_emo_dya\.csv"):
        load(tmp_path, name="meld")


def test_label_files_anywhere_below(corpus: Write, tmp_path: Path) -> None:
    folder = corpus()
    deep = tmp_path / "MELD.Raw"
    for split in ("train", "dev", "test"):
        (deep / "a" / split).mkdir(parents=True)
        shutil.move(folder / f"{split}_sent_emo.csv", deep / "a" / split)
    read = load(deep)
    assert read.splits == ("train", "dev", "test")
    assert set(read.files) == {f"a/{s}/{s}_sent_emo.csv" for s in read.splits}
    assert read.utterances[0].source == "a/train/train_sent_emo.csv:2"


def test_equal_copies_are_one_and_different_ones_an_error(corpus: Write) -> None:
    folder = corpus()
    (folder / "copy").mkdir()
    shutil.copy(folder / "dev_sent_emo.csv", folder / "copy")
    assert "dev_sent_emo.csv" in load(folder).files
    with (folder / "copy" / "dev_sent_emo.csv").open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(InputError, match=r"different files named dev_sent_emo\.csv"):
        load(folder)


def test_links_in_a_circle_end(corpus: Write) -> None:
    folder = corpus()
    (folder / "again").symlink_to(folder, target_is_directory=True)
    assert len(load(folder)) == 4
    assert [file.path for file in media.walk(folder)] == sorted(LABEL_FILES.values())


def test_numbering_gaps(corpus: Write) -> None:
    rows = [changed(**{"Sr No.": s, "Dialogue_ID": d, "Utterance_ID": u})
            for s, d, u in (("1", "0", "1"), ("2", "0", "2"), ("2", "2", "0"), ("9", "2", "4"))]  # fmt: skip
    read = load(corpus(train=rows))
    counts = {name: read.defects[name]["train"] for name in read.defects if read.defects[name]["train"]}
    assert counts["missing_dialogues"] == 1
    assert counts["dialogues_with_missing_turns"] == 2
    assert counts["missing_turns"] == 1 + 3
    assert counts["repeated_serial"] == 1
    assert [u.id for u in read.utterances if "after_missing_turn" in u.flags] == [
        "meld/train/dia0_utt1", "meld/train/dia2_utt4",
    ]  # fmt: skip


def test_turns_out_of_file_order_are_compared_in_turn_order(corpus: Write) -> None:
    rows = [
        changed(Utterance_ID="1", StartTime="00:00:05,000", EndTime="00:00:06,500"),
        changed(Utterance_ID="0", StartTime="00:00:01,000", EndTime="00:00:02,500"),
    ]
    read = load(corpus(train=rows))
    assert read.defects["out_of_order"]["train"] == 0
    assert [u.utterance_id for u in read.utterances if u.split == "train"] == [1, 0]


def test_unknown_split_and_bad_name(corpus: Write) -> None:
    folder = corpus()
    with pytest.raises(
        InputError, match=r"Bad split 'validation', expected one of \['train', 'dev', 'test'\]"
    ):
        load(folder, splits=["validation"])
    with pytest.raises(InputError, match="No split was asked for"):
        load(folder, splits=[])
    for name in ("../x", "", "a b", "-x", "a/b"):
        with pytest.raises(InputError, match="Bad corpus name"):
            load(folder, name=name)
    assert load(folder, name="friends").utterances[0].id == "friends/train/dia0_utt0"
