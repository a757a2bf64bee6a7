"""The MSP-Podcast reader on faithful miniatures of its releases."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from remelt import corpora
from remelt.corpora import inspection, msp, msp_podcast
from remelt.errors import InputError
from remelt.labels import LABEL_MAPS

from ..clip_folders import write_wav

HEADER = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
ROWS = [
    ("MSP-PODCAST_0001_0008.wav", "N", "2.6", "4.2", "3.0", "127", "Male", "Test1"),
    ("MSP-PODCAST_0001_0019.wav", "H", "5.25", "6.0", "5.0", "127", "Male", "Test1"),
    ("MSP-PODCAST_0002_0033.wav", "X", "4.0", "3.8", "4.0", "Unknown", "Unknown", "Train"),
    ("MSP-PODCAST_1023_0047_0001.wav", "C", "4.0", "", "NaN", "8", "Female", "Development"),
    ("MSP-PODCAST_0153_0217.wav", "U", "5.0", "4.0", "4.0", "9", "Female", "Test2"),
]
DETAILED = ("FileName", "WorkerID", "EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
RATED = [
    ("MSP-PODCAST_0001_0008.wav", "WORKER00000001", "Neutral", "Neutral,Concerned", "3.0", "4.0", "3.0"),
    ("MSP-PODCAST_0001_0008.wav", "WORKER00000002", "Angry", "Angry", "2.0", "4.0", "3.0"),
    ("MSP-PODCAST_0001_0019.wav", "WORKER00000001", "Happy", "Happy,Excited", "5.0", "6.0", "5.0"),
    ("MSP-PODCAST_0002_0033.wav", "WORKER00000007", "Other-annoyed, a bit", "", "4.0", "3.0", ""),
]
TEXT = """\
MSP-PODCAST_0001_0008.wav; N; A:2.600000; V:4.200000; D:3.000000;
WORKER00000001; Neutral; Neutral,Concerned; A:3.000000; V:4.000000; D:3.000000;
WORKER00000002; Angry; Angry; A:2.000000; V:4.000000; D:3.000000;

MSP-PODCAST_0001_0019.wav; H; A:5.250000; V:6.000000; D:5.000000;
WORKER00000001; Happy; Happy,Excited; A:5.000000; V:6.000000; D:5.000000;
"""
CONSENSUS = "labels_consensus.csv"


def table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def release(
    folder: Path,
    rows: Sequence[Sequence[str]] = ROWS,
    header: Sequence[str] = HEADER,
    name: str = f"Labels/{CONSENSUS}",
    audio: str = "Audios",
) -> Path:
    table(folder / name, header, rows)
    for row in rows if audio else ():
        write_wav(folder / audio / row[0], 1.25)
    old = folder / "Previous_releases_information" / "previous_releases_info" / "v1.10" / "Labels"
    table(old / CONSENSUS, HEADER, [("MSP-PODCAST_9999_0001.wav", "A", "1", "1", "1", "1", "Male", "Train")])
    write_wav(folder / "Previous_releases_information" / "files_removed" / "MSP-PODCAST_9999_0001.wav")
    return folder


def test_turns_are_read(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path))
    assert read.splits == ("train", "development", "test1", "test2")
    by_id = {u.id: u for u in read.utterances}
    first = by_id["msp_podcast/test1/MSP-PODCAST_0001_0008"]
    assert (first.label, first.speaker, first.sex, first.session) == ("neutral", "127", "male", "0001")
    assert first.attributes == {"arousal": 2.6, "valence": 4.2, "dominance": 3.0}
    assert (first.dialogue_id, first.utterance_id) == ("MSP-PODCAST_0001_0008", 0)
    assert first.source == "Labels/labels_consensus.csv:2"
    assert first.clip == "Audios/MSP-PODCAST_0001_0008.wav"
    odd = by_id["msp_podcast/development/MSP-PODCAST_1023_0047_0001"]
    assert (odd.label, odd.session, odd.attributes) == ("contempt", "1023", {"arousal": 4.0})
    assert len(by_id) == 5


def test_speakers_that_are_not_known(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path))
    assert [(u.speaker, u.sex) for u in read.utterances if u.split == "train"] == [("", None)]
    assert any("1 turns are of speakers whom the release does not know" in note for note in read.notes)


def test_other_releases_are_told_from_the_one_that_is_known(tmp_path: Path) -> None:
    notes = " ".join(corpora.load(release(tmp_path)).notes)
    assert "test1 2, train 1" in notes.replace("it has ", "")
    assert "1.11 has train 84,030, development 19,815, test1 30,647, test2 14,815" in notes
    assert sum((84_030, 19_815, 30_647, 14_815)) == msp_podcast.INFO.utterances == 149_307


@pytest.mark.parametrize(
    "name", ["label/labels_concensus.csv", "labels_consensus.csv", f"labels/{CONSENSUS}"]
)
@pytest.mark.parametrize("audio", ["Audio", ""])
def test_older_releases_have_other_names(tmp_path: Path, name: str, audio: str) -> None:
    rows = [(*row[:-1], row[-1].replace("Development", "Validation")) for row in ROWS]
    folder = release(tmp_path, rows, name=name, audio=audio)
    assert corpora.detect(folder) == "msp_podcast"
    read = corpora.load(folder)
    assert read.splits == ("train", "validation", "test1", "test2")
    assert ("clip_missing" in read.defects) is bool(audio)
    assert list(read.files) == [name]


def test_a_rating_that_stands_twice_counts_once_in_either_file(tmp_path: Path) -> None:
    twice = [RATED[0], *RATED]
    folder = release(tmp_path / "table")
    table(folder / "Labels" / "labels_detailed.csv", DETAILED, twice)
    other = release(tmp_path / "text")
    line = TEXT.splitlines()[1]
    (other / "Labels" / "labels.txt").write_text(TEXT.replace(line, f"{line}\n{line}"), encoding="utf-8")
    for read in (corpora.load(folder), corpora.load(other)):
        raters = [r.rater for u in read.utterances for r in u.ratings if u.id.endswith("0001_0008")]
        assert raters == ["WORKER00000001", "WORKER00000002"]
        assert any("1 ratings stand there twice" in note for note in read.notes)
    nameless = ("FileName", *DETAILED[2:])
    table(folder / "Labels" / "labels_detailed.csv", nameless, [(row[0], *row[2:]) for row in twice])
    assert sum(len(u.ratings) for u in corpora.load(folder).utterances) == len(twice)


def test_raters_of_the_detailed_table(tmp_path: Path) -> None:
    folder = release(tmp_path)
    table(folder / "Labels" / "labels_detailed.csv", DETAILED, RATED)
    (folder / "Labels" / "labels.txt").write_text(TEXT, encoding="utf-8")
    read = corpora.load(folder)
    by_turn = {u.dialogue_id: u.ratings for u in read.utterances}
    one, two = by_turn["MSP-PODCAST_0001_0008"]
    assert (one.rater, one.labels) == ("WORKER00000001", ("neutral",))
    assert (two.labels, two.attributes) == (("anger",), {"arousal": 2, "valence": 4, "dominance": 3})
    [other] = by_turn["MSP-PODCAST_0002_0033"]
    assert (other.labels, other.attributes) == (("other",), {"arousal": 4, "valence": 3})
    assert by_turn["MSP-PODCAST_0153_0217"] == ()
    assert json.loads(json.dumps([asdict(r) for r in (one, two)]))[1]["labels"] == ["anger"]
    assert list(read.files) == ["Labels/labels_consensus.csv", "Labels/labels_detailed.csv"]
    assert any("2 turns have no rater's own labels" in note for note in read.notes)


def test_ratings_of_turns_without_a_row_are_told(tmp_path: Path) -> None:
    folder = release(tmp_path, ROWS[:1], audio="")
    table(folder / "Labels" / "labels_detailed.csv", DETAILED, RATED)
    read = corpora.load(folder)
    assert [len(u.ratings) for u in read.utterances] == [2]
    assert any("2 rated turns are not in the label table" in note for note in read.notes)


def test_the_three_forms_of_the_raters_agree(tmp_path: Path) -> None:
    details = [
        (row[0], f"{row[1]}; {row[2]}; {row[3]}; A:{row[4]}; V:{row[5]}; D:{row[6]};") for row in RATED[:3]
    ]
    found = []
    for form in ("columns", "detail", "text"):
        folder = release(tmp_path / form, ROWS[:2], audio="")
        if form == "columns":
            table(folder / "Labels" / "labels_detailed.csv", DETAILED, RATED[:3])
        elif form == "detail":
            table(folder / "Labels" / "labels_detailed.csv", ("FileName", "EmoDetail"), details)
        else:
            (folder / "Labels" / "labels.txt").write_text(TEXT, encoding="utf-8")
        found.append([u.ratings for u in corpora.load(folder).utterances])
    assert found[0] == found[1] == found[2]
    assert [len(ratings) for ratings in found[0]] == [2, 1]


def test_transcripts(tmp_path: Path) -> None:
    folder = release(tmp_path)
    (folder / "Transcripts").mkdir()
    (folder / "Transcripts" / "MSP-PODCAST_0001_0008.txt").write_text("So what\ndo you  think?\n")
    (folder / "ForceAligned").mkdir()
    (folder / "ForceAligned" / "MSP-PODCAST_0001_0008.txt").write_text("0.1 0.2 SO")
    read = corpora.load(folder)
    assert {u.text for u in read.utterances} == {"So what do you think?", ""}
    assert any("4 turns have no transcript" in note for note in read.notes)
    assert read.defects["empty_text"] == {"train": 1, "development": 1, "test1": 1, "test2": 1}


def test_partitions_in_a_file_of_their_own(tmp_path: Path) -> None:
    rows = [row[:-1] for row in ROWS]
    folder = release(tmp_path, rows, HEADER[:-1])
    with pytest.raises(InputError, match=r"no column 'Split_Set'.*Partition.txt"):
        corpora.load(folder)
    listed = [f"{row[-1]}; {row[0]}" for row in ROWS]
    (folder / "Partition.txt").write_text("\n".join(listed) + "\n")
    assert corpora.load(folder).splits == ("train", "development", "test1", "test2")
    (folder / "Partition.txt").write_text("somewhere\n")
    with pytest.raises(InputError, match=r"Partition.txt:1: bad line 'somewhere', expected 'Train; FILE'"):
        corpora.load(folder)


def test_missing_and_extra_clips(tmp_path: Path) -> None:
    folder = release(tmp_path)
    (folder / "Audios" / "MSP-PODCAST_0153_0217.wav").rename(folder / "Audios" / "MSP-PODCAST_0153_0218.wav")
    read = corpora.load(folder)
    assert read.defects["clip_missing"] == {"train": 0, "development": 0, "test1": 0, "test2": 1}
    assert any("1 clips have no row" in note and "0153_0218" in note for note in read.notes)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("FileName", "clip1.wav", r"consensus.csv:2: bad FileName 'clip1.wav', expected one such as"),
        ("Split_Set", "Eval", r":2: Bad Split_Set 'Eval', expected one of \['Train', 'Development'"),
        ("EmoAct", "7.5", r":2: bad EmoAct '7.5', expected a number from 1 to 7"),
        ("EmoVal", "low", r":2: bad EmoVal 'low', expected a number from 1 to 7"),
        ("Gender", "7", r":2: Bad gender '7', expected one of \['Female', 'Male', 'Unknown'\]"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, column: str, value: str, message: str) -> None:
    first = list(ROWS[0])
    first[HEADER.index(column)] = value
    table(tmp_path / "Labels" / CONSENSUS, HEADER, [first, *ROWS[1:]])
    with pytest.raises(InputError, match=message):
        corpora.load(tmp_path)


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (
            DETAILED,
            (*RATED[0][:4], "8", "4", "3"),
            r"detailed.csv:2: bad arousal '8', expected a number from 1",
        ),
        (DETAILED, RATED[0][:5], r"detailed.csv:2: 5 fields, expected 7"),
        (
            ("FileName", "EmoDetail"),
            ("MSP-PODCAST_0001_0008.wav", "W1; Sad; Sad; A:0; V:1; D:1;"),
            r"detailed.csv:2: bad A '0', expected a number from 1 to 7",
        ),
        (("FileName", "Emotion"), ("MSP-PODCAST_0001_0008.wav", "W1"), r"missing columns \['emoclass_major'"),
    ],
)
def test_a_broken_rating_is_named(
    tmp_path: Path, header: Sequence[str], row: Sequence[str], message: str
) -> None:
    folder = release(tmp_path, audio="")
    table(folder / "Labels" / "labels_detailed.csv", header, [row])
    with pytest.raises(InputError, match=message):
        corpora.load(folder)


@pytest.mark.parametrize("form", ["detail", "text"])
def test_lines_that_are_no_rating_are_counted(tmp_path: Path, form: str) -> None:
    folder = release(tmp_path, ROWS[:2], audio="")
    if form == "text":
        (folder / "Labels" / "labels.txt").write_text(f"{TEXT}so it\nwent on\n", encoding="utf-8")
    else:
        rows = [(ROWS[0][0], "W1; Sad; Sad; A:1; V:1; D:1;"), *[(ROWS[0][0], "W2 went on")] * 2]
        table(folder / "Labels" / "labels_detailed.csv", ("FileName", "EmoDetail"), rows)
    read = corpora.load(folder)
    assert any("2 lines are no rating and were left out" in note for note in read.notes)
    assert read.utterances[0].ratings


def test_unknown_and_missing_labels_are_flagged(tmp_path: Path) -> None:
    rows = [("MSP-PODCAST_0001_0008.wav", label, *ROWS[0][2:]) for label in ("Q",)]
    rows += [("MSP-PODCAST_0001_0019.wav", "", *ROWS[0][2:])]
    found = corpora.load(release(tmp_path, rows, audio="")).utterances
    assert [(u.label, u.flags) for u in found] == [("q", ("label_unknown",)), (None, ("label_missing",))]


def test_every_label_of_the_release_is_mapped_or_dropped() -> None:
    known = LABEL_MAPS["msp_podcast"]
    assert {known.common(label) for label in msp.LETTERS.values()} == {
        "anger", "joy", "sadness", "neutral", "fear", "disgust", "surprise", None,
    }  # fmt: skip
    assert set(msp_podcast.INFO.labels) == known.to_common.keys() | known.dropped


def test_only_this_reader_finds_it_and_nothing_alike(tmp_path: Path) -> None:
    readers = corpora._readers()
    folder = release(tmp_path / "a")
    assert [name for name in readers if name != "table" and readers[name].matches(folder)] == ["msp_podcast"]
    table(tmp_path / "b" / CONSENSUS, HEADER, [("BIIC-PODCAST_0001_0008.wav", *ROWS[0][1:])])
    assert not msp_podcast.matches(tmp_path / "b")


def test_inspect_counts_it(tmp_path: Path) -> None:
    found = inspection.inspect(release(tmp_path)).total
    assert (found.utterances, found.speakers, found.clips, found.labels["neutral"]) == (5, 3, 5, 1)
