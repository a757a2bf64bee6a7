"""The CMU-MOSI reader on faithful miniatures of its two layouts."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from remelt import corpora
from remelt.corpora import cmu_mosi, inspection
from remelt.corpora.mosi_folds import SPLIT_OF
from remelt.errors import InputError

from ..clip_folders import write_wav

# Start, end, video, segment, score: one video of each fold.
OPINIONS = [
    ("0.35", "4.10", "03bSnISJMiM", "1", "2.4"), ("8.00", "12.50", "03bSnISJMiM", "3", "-0.6"),
    ("4.10", "8.00", "03bSnISJMiM", "2", "0.0"), ("1.00", "2.50", "_dI--eQ6qVU", "1", "-3.0"),
    ("0.00", "3.00", "c7UH_rxdZv4", "1", "3.0"),
]  # fmt: skip
WORDS = {
    "03bSnISJMiM": "1_DELIM_ANYHOW IT WAS REALLY GOOD\n2_DELIM_THEY DIDN'T\n3_DELIM_(umm) NO\n",
    "_dI--eQ6qVU": "1_DELIM_I HATED IT\n",
}
COLUMNS = ("video_id", "clip_id", "text", "label", "label_T", "annotation", "mode", "index")


def rows(modes: Sequence[str] = ("train", "train", "train", "valid", "test")) -> list[tuple[str, ...]]:
    return [
        (video, number, f"Words of {number}", score, "", "Negative", mode, str(place))
        for place, ((_, _, video, number, score), mode) in enumerate(zip(OPINIONS, modes, strict=True))
    ]


def raw(folder: Path, clips: str = "Segmented", opinions: Sequence[Sequence[str]] = OPINIONS) -> Path:
    """The raw release; `clips` is `Segmented`, `Full` or empty."""
    root = folder / "Raw"
    (root / "Labels").mkdir(parents=True)
    with (root / "Labels" / "OpinionLevelSentiment.csv").open("w", newline="") as file:
        csv.writer(file).writerows(opinions)
    texts = root / "Transcript" / "Segmented"
    texts.mkdir(parents=True)
    for video, words in WORDS.items():
        (texts / f"{video}.annotprocessed").write_text(words, encoding="utf-8")
    for start, end, video, number, _ in opinions:
        if clips == "Segmented":
            sound = root / "Audio" / "WAV_16000" / "Segmented" / f"{video}_{number}.wav"
            write_wav(sound, float(end) - float(start))
    for video in {row[2] for row in opinions} if clips == "Full" else ():
        write_wav(root / "Audio" / "WAV_16000" / "Full" / f"{video}.wav", 12.0)
    return folder


def prepared(folder: Path, table: Sequence[Sequence[str]] | None = None) -> Path:
    """The layout of `label.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "label.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *(table or rows())])
    for video, number, *_ in rows():
        write_wav(folder / "Raw" / video / f"{number}.wav", 1.25)
    return folder


def test_the_raw_release(tmp_path: Path) -> None:
    read = corpora.load(raw(tmp_path))
    assert read.splits == ("train", "valid", "test")
    first = read.utterances[0]
    assert first.id == "cmu_mosi/train/03bSnISJMiM_1"
    assert (first.dialogue_id, first.utterance_id, first.speaker) == ("03bSnISJMiM", 1, "03bSnISJMiM")
    assert (first.text, first.start, first.end) == ("ANYHOW IT WAS REALLY GOOD", 0.35, 4.1)
    assert first.clip == "Raw/Audio/WAV_16000/Segmented/03bSnISJMiM_1.wav"
    assert (first.clip_start, first.label) == (None, None)
    assert first.clip_duration == pytest.approx(3.75, abs=0.001)
    assert [u.utterance_id for u in read.utterances] == [1, 2, 3, 1, 1]
    assert first.source == "Raw/Labels/OpinionLevelSentiment.csv:1"


def test_zero_is_positive(tmp_path: Path) -> None:
    read = corpora.load(raw(tmp_path))
    found = {u.id.rpartition("/")[2]: (u.attributes["sentiment"], u.sentiment) for u in read.utterances}
    assert found == {
        "03bSnISJMiM_1": (2.4, "positive"), "03bSnISJMiM_2": (0.0, "positive"),
        "03bSnISJMiM_3": (-0.6, "negative"), "_dI--eQ6qVU_1": (-3.0, "negative"),
        "c7UH_rxdZv4_1": (3.0, "positive"),
    }  # fmt: skip


def test_segments_are_cut_from_whole_videos(tmp_path: Path) -> None:
    read = corpora.load(raw(tmp_path, clips="Full"))
    second = next(u for u in read.utterances if u.utterance_id == 2)
    assert second.clip == "Raw/Audio/WAV_16000/Full/03bSnISJMiM.wav"
    assert (second.clip_start, second.clip_end, second.clip_duration) == (4.1, 8.0, 3.9)
    assert [u.id for u in read.utterances if "cut_past_end" in u.flags] == ["cmu_mosi/train/03bSnISJMiM_3"]
    assert any("5 segments have no clip of their own" in note for note in read.notes)


def test_the_table_layout(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    assert corpora.detect(folder) == "cmu_mosi"
    read = corpora.load(folder)
    assert [u.split for u in read.utterances] == ["train", "train", "train", "valid", "test"]
    assert read.utterances[0].text == "Words of 1"
    assert read.utterances[0].clip == "Raw/03bSnISJMiM/1.wav"
    assert read.utterances[0].start is None
    assert "under_1s" not in read.defects


def test_a_mode_that_is_not_the_standard_fold_is_told(tmp_path: Path) -> None:
    read = corpora.load(prepared(tmp_path, rows(("train", "train", "train", "test", "test"))))
    assert [u.split for u in read.utterances if u.dialogue_id == "_dI--eQ6qVU"] == ["valid"]
    assert any("1 videos stand in another split" in note for note in read.notes)


def test_videos_beyond_the_standard_folds(tmp_path: Path) -> None:
    table = [
        *rows(),
        ("abcdefghijk", "1", "Hello", "1", "", "", "test", "9"),
        ("zzz", "1", "", "1", "", "", "", ""),
    ]
    read = corpora.load(prepared(tmp_path, table))
    assert {u.dialogue_id: u.split for u in read.utterances}["abcdefghijk"] == "test"
    assert {u.dialogue_id: u.split for u in read.utterances}["zzz"] == "train"
    assert any("2 videos are not among the 93" in note for note in read.notes)


def test_missing_texts_and_clips(tmp_path: Path) -> None:
    folder = raw(tmp_path)
    next(folder.rglob("c7UH_rxdZv4_1.wav")).unlink()
    read = corpora.load(folder)
    assert [u.id for u in read.utterances if "clip_missing" in u.flags] == ["cmu_mosi/test/c7UH_rxdZv4_1"]
    assert any("1 segments have no transcript" in note for note in read.notes)
    assert any("5 utterances (published: 2,199)" in note for note in read.notes)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            ("0", "1", "03bSnISJMiM", "1", "3.2"),
            r"Sentiment.csv:1: bad sentiment '3.2', expected a number from -3",
        ),
        (("0", "1", "03bSnISJMiM", "1", "nan"), r":1: bad sentiment 'nan'"),
        (("0", "1", "03bSnISJMiM", "one", "1"), r":1: bad segment 'one', expected a whole number"),
        (("0", "x", "03bSnISJMiM", "1", "1"), r":1: bad time 'x', expected seconds"),
        (("0", "1", "../x", "1", "1"), r":1: bad video '../x', expected 1 to 200 characters"),
        (("0", "1", "1"), r":1: 3 fields, expected 5: start, end, video, segment, sentiment"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, row: Sequence[str], message: str) -> None:
    (tmp_path / "OpinionLevelSentiment.csv").write_text(",".join(row) + "\n")
    with pytest.raises(InputError, match=message):
        corpora.load(tmp_path)


def test_a_broken_transcript_and_mode_are_named(tmp_path: Path) -> None:
    folder = raw(tmp_path / "a")
    next(folder.rglob("_dI*.annotprocessed")).write_text("1 I HATED IT\n")
    with pytest.raises(
        InputError, match=r"annotprocessed:1: bad line '1 I HATED IT', expected 'NUMBER_DELIM_"
    ):
        corpora.load(folder)
    with pytest.raises(InputError, match=r"label.csv:2: Bad mode 'later', expected one of"):
        corpora.load(prepared(tmp_path / "b", rows(("later", *["train"] * 4))))


def test_a_segment_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Duplicate key: cmu_mosi/train/03bSnISJMiM_1"):
        corpora.load(raw(tmp_path, clips="", opinions=[OPINIONS[0], OPINIONS[0]]))


def test_the_standard_folds() -> None:
    """The CMU Multimodal SDK's numbers; the last 31 of 93 are test in all published splits."""
    assert Counter(SPLIT_OF.values()) == {"train": 52, "valid": 10, "test": 31}
    assert all(len(video) == 11 for video in SPLIT_OF)


def test_only_this_reader_finds_it_and_nothing_alike(tmp_path: Path) -> None:
    readers = corpora._readers()
    for folder in (raw(tmp_path / "a"), prepared(tmp_path / "b")):
        found = [name for name in readers if name != "table" and readers[name].matches(folder)]
        assert found == ["cmu_mosi"]
    mosei = prepared(tmp_path / "c", [("-3g5yACwYnA", *row[1:]) for row in rows()[:1]])
    assert not cmu_mosi.matches(mosei)


def test_inspect_counts_it(tmp_path: Path) -> None:
    found = inspection.inspect(raw(tmp_path)).total
    assert (found.utterances, found.dialogues, found.clips, found.labels) == (5, 3, 5, {})
