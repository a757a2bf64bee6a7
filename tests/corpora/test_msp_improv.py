"""The MSP-Improv reader on a faithful miniature of the release."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from remelt import corpora
from remelt.corpora import inspection, msp_improv
from remelt.errors import InputError
from remelt.labels import LABEL_MAPS

from ..clip_folders import write_wav

LABELS = """\
% FILE; EMOTION; A:activation; V:valence; D:dominance; N:naturalness
UTD-IMPROV-S01A-F01-P-FM01.avi; H; A:2.600000; V:4.200000; D:3.000000 ; N:4.000000;
A1B2-C_d; Happy; Happy,Amused; A:2.000000; V:5.000000; D:3.000000; N:4.000000;
9XYZ; Neutral; Neutral,Other: a "bit"; tired; A:3.000000; V:3.000000; D:NaN; N:4.000000;
9XYZ; Neutral; Neutral,Other: a "bit"; tired; A:3.000000; V:3.000000; D:NaN; N:4.000000;

UTD-IMPROV-S01A-F01-S-MF02.avi; A; A:1.500000; V:1.200000; D:NaN ; N:NaN;
A1B2-C_d; Angry; Angry,Frustrated; A:1.000000; V:1.000000; D:5.000000; N:5.000000;
E5; Other; ; A:2.000000; V:1.000000; D:4.000000; N:3.000000;

UTD-IMPROV-S20N-M06-R-MM01.avi; X; A:3.000000; V:3.000000; D:3.000000 ; N:2.000000;
UTD-IMPROV-S05S-F03-T-FM01.avi; S; A:4.000000; V:2.000000; D:2.000000 ; N:3.000000;
"""
CLIPS = [
    "session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01", "session1/S01A/S/MSP-IMPROV-S01A-F01-S-MF02",
    "session6/S20N/R/MSP-IMPROV-S20N-M06-R-MM01", "session3/S05S/T/MSP-IMPROV-S05S-F03-T-FM01",
]  # fmt: skip


def release(folder: Path, labels: str = LABELS, name: str = "Evalution.txt", clips: str = "Audio") -> Path:
    root = folder / "MSP-IMPROV"
    root.mkdir(parents=True)
    (root / name).write_text(labels, encoding="utf-8")
    for clip in CLIPS if clips else ():
        write_wav(root / clips / f"{clip}.wav", 1.25)
    texts = root / "Human_transcriptions" / "All_human_transcriptions"
    texts.mkdir(parents=True)
    (texts / "MSP-IMPROV-S01A-F01-P-FM01.txt").write_text("How can\n I not?\n", encoding="utf-8")
    return folder


def test_turns_are_read(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path))
    first = read.utterances[0]
    assert first.id == "msp_improv/train/MSP-IMPROV-S01A-F01-P-FM01"
    assert (first.dialogue_id, first.utterance_id) == ("S01A-F01-P", "MSP-IMPROV-S01A-F01-P-FM01")
    assert (first.label, first.text, first.clip_duration) == ("happiness", "How can I not?", 1.25)
    assert first.attributes == {"arousal": 2.6, "valence": 4.2, "dominance": 3.0, "naturalness": 4.0}
    assert first.source == "MSP-IMPROV/Evalution.txt:2"
    assert first.clip == "MSP-IMPROV/Audio/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav"
    assert [u.label for u in read.utterances] == ["happiness", "anger", "no agreement", "sadness"]
    assert read.utterances[1].attributes == {"arousal": 1.5, "valence": 1.2}


def test_speaker_sex_and_session_come_from_the_name(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path))
    assert [(u.speaker, u.sex, u.session) for u in read.utterances] == [
        ("F01", "female", "session1"), ("F01", None, "session1"), ("M06", "male", "session6"),
        ("F03", "female", "session3"),
    ]  # fmt: skip
    assert any(note.startswith("1 turns name one actor") for note in read.notes)


def test_raters_are_kept_once(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path))
    first, second, third, _ = read.utterances
    assert [(r.rater, r.labels) for r in first.ratings] == [
        ("A1B2-C_d", ("happiness",)), ("9XYZ", ("neutral",)),
    ]  # fmt: skip
    assert first.ratings[1].attributes == {"arousal": 3, "valence": 3, "naturalness": 4}
    assert [r.labels for r in second.ratings] == [("anger",), ("other",)]
    assert third.ratings == ()
    assert any("1 ratings stand there twice" in note for note in read.notes)
    assert json.loads(json.dumps([asdict(r) for r in first.ratings]))[0]["rater"] == "A1B2-C_d"


@pytest.mark.parametrize(
    ("name", "clips"), [("Evaluation.txt", ""), ("Evalution.txt", "."), ("evaluation.TXT", "Audio")]
)
def test_copies_of_the_release_differ(tmp_path: Path, name: str, clips: str) -> None:
    folder = release(tmp_path, name=name, clips=clips)
    assert corpora.detect(folder) == "msp_improv"
    read = corpora.load(folder)
    assert len(read) == 4
    assert all(u.clip is not None for u in read.utterances) is bool(clips)
    assert ("clip_missing" in read.defects) is bool(clips)


def test_missing_and_extra_clips_are_told(tmp_path: Path) -> None:
    folder = release(tmp_path)
    [gone] = folder.rglob("*-R-MM01.wav")
    gone.rename(gone.with_name("MSP-IMPROV-S20N-M06-R-MM09.wav"))
    read = corpora.load(folder)
    assert [u.speaker for u in read.utterances if "clip_missing" in u.flags] == ["M06"]
    assert read.defects["extra_clips"] == {"train": 1}
    notes = " ".join(read.notes)
    assert "1 clips have no row in the label files: MSP-IMPROV-S20N-M06-R-MM09" in notes
    assert "3 turns have no transcript" in notes
    assert "4 utterances (published: 8,438)" in notes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("W1; Happy; Happy; A:9; V:3; D:3; N:3;", r":2: bad A '9', expected a number from 1 to 5"),
        ("W1; Happy; Happy; A:x; V:3; D:3; N:3;", r":2: bad A 'x', expected a number"),
        ("UTD-IMPROV-S01A-F01-Q-FM01.avi; H; A:3; V:3; D:3 ; N:3;", r":2: bad turn .*\['P', 'R', 'S', 'T'\]"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    labels = f"UTD-IMPROV-S01A-F01-P-FM01.avi; H; A:3; V:3; D:3 ; N:3;\n{line}\n"
    with pytest.raises(InputError, match=message):
        corpora.load(release(tmp_path, labels), name="msp_improv")


def test_lines_that_are_no_rating_are_counted(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path, f"{LABELS}what is this\n"))
    assert any("1 lines are no rating" in note for note in read.notes)
    assert len(read) == 4


def test_unknown_and_missing_letters_are_flagged(tmp_path: Path) -> None:
    labels = LABELS.replace("; H;", "; Q;").replace("avi; A;", "avi; ;")
    read = corpora.load(release(tmp_path, labels))
    assert [(u.label, u.flags) for u in read.utterances[:2]] == [
        ("q", ("label_unknown",)), (None, ("empty_text", "label_missing")),
    ]  # fmt: skip


def test_two_different_label_files_are_refused(tmp_path: Path) -> None:
    folder = release(tmp_path)
    (folder / "MSP-IMPROV" / "Evaluation.txt").write_text(LABELS.replace("; H;", "; N;"), encoding="utf-8")
    with pytest.raises(InputError, match="different label files"):
        corpora.load(folder)


def test_the_published_counts_add_up() -> None:
    """Busso et al. 2017, tables 3 and 4; Feng & Narayanan 2023, table 2, has the four classes."""
    info = msp_improv.INFO
    assert sum(info.counts.values()) == info.utterances == 8438
    assert set(info.counts) == set(info.labels)
    four = Counter({LABEL_MAPS["msp_improv"].common(name): count for name, count in info.counts.items()})
    del four[None]
    assert four == {"neutral": 3477, "joy": 2644, "sadness": 885, "anger": 792}
    assert four.total() == 7798


def test_only_this_reader_finds_it(tmp_path: Path) -> None:
    folder = release(tmp_path)
    readers = corpora._readers()
    assert [name for name in readers if name != "table" and readers[name].matches(folder)] == ["msp_improv"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "Evaluation.txt").write_text("Our evaluation of something else", encoding="utf-8")
    assert not msp_improv.matches(other)


def test_inspect_counts_it(tmp_path: Path) -> None:
    found = inspection.inspect(release(tmp_path)).total
    assert (found.utterances, found.speakers, found.clips) == (4, 3, 4)
