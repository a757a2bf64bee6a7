"""The bundled sample corpus: MELD's layout, sound clips, and exactly the defects its README names."""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import yaml

from remelt.corpora import load
from remelt.corpora.base import Corpus
from remelt.selection import load_profile, select

HEADER = [
    "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID",
    "Season", "Episode", "StartTime", "EndTime",
]  # fmt: skip
MEDIA = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
EMOTIONS = {"anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"}
NAMED = {"Amara", "Bogdan", "Clara", "Desmond", "Ines", "Kenji", "Petra", "Tomas"}
ROLES = {"The Courier", "Customer", "Man #1", "The Waiter", "Both"}
NO_CLIP = ("dev", "dia1_utt1")
ZERO_TIME = ("test", "dia1_utt2")

Row = dict[str, str]
Key = tuple[str, str]


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "builders" / "remelt" / "corpora" / "sample"


@pytest.fixture(scope="module")
def table(folder: Path) -> dict[Key, Row]:
    """(split, diaX_uttY) -> row, in file order."""
    rows = {}
    for split in MEDIA:
        with (folder / f"{split}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            assert reader.fieldnames == HEADER
            for row in reader:
                rows[split, f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"] = row
    return rows


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    path = repository / "scripts" / "make_sample_corpus.py"
    spec = importlib.util.spec_from_file_location("make_sample_corpus", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def clip(folder: Path, key: Key) -> Path:
    return folder / MEDIA[key[0]] / f"{key[1]}.flac"


def clips(folder: Path) -> list[tuple[str, int]]:
    """Path inside the corpus and number of samples of every clip."""
    paths = sorted(folder.rglob("*.flac"))
    return [(path.relative_to(folder).as_posix(), soundfile.info(path).frames) for path in paths]


def loudness(path: Path) -> float:
    samples, _ = soundfile.read(path)
    return float(20 * np.log10(np.sqrt(np.mean(samples**2))))


def test_it_is_small_and_of_the_promised_shape(folder: Path, table: dict[Key, Row]) -> None:
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 4_000_000
    assert Counter(split for split, _ in table) == {"train": 58, "dev": 11, "test": 16}
    dialogues = {(split, row["Dialogue_ID"]) for (split, _), row in table.items()}
    assert Counter(split for split, _ in dialogues) == {"train": 6, "dev": 2, "test": 2}
    assert {row["Speaker"] for row in table.values()} == NAMED | ROLES


def test_labels_cover_all_emotions_in_every_split(table: dict[Key, Row]) -> None:
    for split in MEDIA:
        assert {row["Emotion"] for key, row in table.items() if key[0] == split} == EMOTIONS
    polarity = {"joy": {"positive"}, "neutral": {"neutral"}, "surprise": {"positive", "negative"}}
    for key, row in table.items():
        assert row["Sentiment"] in polarity.get(row["Emotion"], {"negative"}), key


def test_clips_are_sound_and_as_long_as_the_times_say(folder: Path, table: dict[Key, Row]) -> None:
    for key, row in table.items():
        if key == NO_CLIP:
            continue
        info = soundfile.info(clip(folder, key))
        assert (info.samplerate, info.channels, info.format) == (16000, 1, "FLAC")
        samples, _ = soundfile.read(clip(folder, key))
        assert len(samples) == info.frames
        assert 0.02 < np.abs(samples).max() < 0.99, key
        if key != ZERO_TIME:
            said = seconds(row["EndTime"]) - seconds(row["StartTime"])
            assert info.frames / 16000 == pytest.approx(said, abs=0.0005), key
    assert {path for path, _ in clips(folder)} == {
        clip(folder, key).relative_to(folder).as_posix() for key in table if key != NO_CLIP
    }


def test_there_are_short_lines(table: dict[Key, Row]) -> None:
    lengths = [seconds(row["EndTime"]) - seconds(row["StartTime"]) for row in table.values()]
    words = Counter(len(row["Utterance"].split()) for row in table.values())
    assert sum(length < 1 for length in lengths) >= 8
    assert words[1] >= 5
    assert words[2] >= 3


def test_the_deliberate_defects_and_no_others(table: dict[Key, Row]) -> None:
    zero, overlapping, short_hours, gaps = [], [], [], []
    previous, last_end, last_id = ("", ""), 0.0, -1
    for key, row in table.items():
        start, end = seconds(row["StartTime"]), seconds(row["EndTime"])
        dialogue = (key[0], row["Dialogue_ID"])
        if end <= start:
            zero.append(key)
        if not re.fullmatch(r"\d\d:\d\d:\d\d,\d{3}", row["StartTime"]):
            assert re.fullmatch(r"\d:\d\d:\d\d,\d{3}", row["StartTime"])
            short_hours.append(key)
        if dialogue == previous:
            if start < last_end:
                overlapping.append(key)
            if int(row["Utterance_ID"]) != last_id + 1:
                gaps.append(key)
        previous, last_end, last_id = dialogue, end, int(row["Utterance_ID"])
    assert zero == [ZERO_TIME]
    assert overlapping == [("train", "dia0_utt5")]
    assert short_hours == [("train", "dia1_utt0"), ("test", "dia0_utt0")]
    assert gaps == [("train", "dia4_utt5")]
    assert [key for key, row in table.items() if "â€™" in row["Utterance"]] == [("train", "dia4_utt1")]
    emotions = defaultdict(set)
    for row in table.values():
        emotions[row["Utterance"]].add(row["Emotion"])
    assert {text: found for text, found in emotions.items() if len(found) > 1} == {
        "I can’t believe it.": {"joy", "sadness"}
    }


def test_emotions_change_the_voice(folder: Path, table: dict[Key, Row]) -> None:
    level = defaultdict(list)
    for key, row in table.items():
        if key != NO_CLIP:
            level[row["Speaker"], row["Emotion"]].append(loudness(clip(folder, key)))
    both = [s for s in NAMED | ROLES if level[s, "anger"] and level[s, "sadness"]]
    assert len(both) >= 4
    for speaker in both:
        assert np.mean(level[speaker, "anger"]) > np.mean(level[speaker, "sadness"]) + 5, speaker


def test_the_script_says_what_the_files_hold(script: ModuleType, folder: Path, table: dict[Key, Row]) -> None:
    """From the source text and the clips' lengths alone come the label files, to the byte."""
    lines = list(script.read_lines(yaml.safe_load(script.SOURCE.read_text(encoding="utf-8"))))
    lengths = []
    for line in lines:
        key = (line.split, line.name)
        if key == NO_CLIP:
            lengths.append(round(1000 * (seconds(table[key]["EndTime"]) - seconds(table[key]["StartTime"]))))
        else:
            lengths.append(soundfile.info(clip(folder, key)).frames // 16)
    made = script.rows(lines, lengths)
    for split in MEDIA:
        with (folder / f"{split}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            assert [HEADER, *made[split]] == list(csv.reader(file))


def test_the_script_names_the_missing_synthesisers(repository: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, repository / "scripts" / "make_sample_corpus.py", tmp_path / "made"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == (
        "error: espeak-ng and flite not found; on Debian or Ubuntu: apt-get install espeak-ng flite\n"
    )
    assert not (tmp_path / "made").exists()


@pytest.mark.skipif(None in map(shutil.which, ("espeak-ng", "flite")), reason="needs espeak-ng and flite")
def test_the_script_makes_the_corpus_again(script: ModuleType, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("kept", encoding="utf-8")
    script.make(tmp_path, yaml.safe_load(script.SOURCE.read_text(encoding="utf-8")))
    assert [p for p, _ in clips(tmp_path)] == [p for p, _ in clips(folder)]
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in folder.iterdir()}
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "kept"
    # Other versions of the synthesisers speak a little faster or slower; the sum must be about right.
    lengths = [sum(frames for _, frames in clips(place)) for place in (folder, tmp_path)]
    assert lengths[1] == pytest.approx(lengths[0], rel=0.1)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load("sample")


def test_the_reader_reports_the_deliberate_defects(corpus: Corpus) -> None:
    flagged = defaultdict(list)
    for utterance in corpus.utterances:
        for flag in utterance.flags:
            flagged[flag].append(utterance.id.removeprefix("sample/"))
    assert flagged["starts_before_previous_ends"] == ["train/dia0_utt5"]
    assert flagged["short_hour"] == ["train/dia1_utt0", "test/dia0_utt0"]
    assert flagged["same_text_other_label_3_words"] == ["train/dia2_utt2", "train/dia2_utt8"]
    assert flagged["mojibake"] == ["train/dia4_utt1"]
    assert flagged["after_missing_turn"] == ["train/dia4_utt5"]
    assert flagged["clip_missing"] == ["dev/dia1_utt1"]
    assert flagged["zero_duration"] == ["test/dia1_utt2"]
    (broken,) = (u for u in corpus.utterances if u.text_repaired)
    assert broken.text_repaired == "It’s only the storm, stay where you are."
    for flag in ("label_unknown", "sentiment_mismatch", "clip_unreadable", "clip_truncated", "out_of_order"):
        assert flag not in flagged


def test_the_sample_profile_shows_every_rule(corpus: Corpus) -> None:
    selection = select(corpus.utterances, load_profile("sample"))
    kept = Counter((u.split, u.speaker) for u in selection.kept)
    assert {speaker for _, speaker in kept} == NAMED
    assert min(kept["train", speaker] for speaker in NAMED) == 4
    assert Counter(u.split for u in selection.kept) == {"train": 42, "dev": 9, "test": 11}
    alone = Counter(drop.reasons[0] for drop in selection.dropped if len(drop.reasons) == 1)
    # Courier and Customer speak often enough: only the test for generic names drops them.
    assert alone == {"generic_name": 8, "words": 1, "flag:clip_missing": 1}
    assert {reason for drop in selection.dropped for reason in drop.reasons} >= {"duration", "speaker_count"}
    (note,) = selection.notes
    assert note.endswith("the other would judge 1 row otherwise: sample/test/dia1_utt2")
