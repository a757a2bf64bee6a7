"""Clips are found in every layout, and missing, broken and extra ones are reported."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remelt.corpora import load, media

from ..bad_audio import within

Write = Callable[..., Path]
MP4 = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + b"\0\0\0\x08moov" + b"\0\0\0\x0cmdat1234"


def sound(path: Path, seconds: float = 0.5, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(int(seconds * rate), dtype="float32"), rate)


def video(path: Path, content: bytes = MP4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_official_folders(corpus: Write) -> None:
    folder = corpus()
    video(folder / "train" / "train_splits" / "dia0_utt0.mp4")
    sound(folder / "dev_splits_complete" / "dia0_utt0.flac", 1.25)
    sound(folder / "output_repeated_splits_test" / "dia0_utt0.wav", 0.75, 44_100)
    sound(folder / "output_repeated_splits_test" / "dia9_utt1.wav")
    video(folder / "output_repeated_splits_test" / "final_videos_testdia0_utt0.mp4")
    video(folder / "output_repeated_splits_test" / "._dia0_utt0.mp4", b"resource fork")
    read = load(folder)
    assert [u.clip for u in read.utterances] == [
        "train/train_splits/dia0_utt0.mp4", None, "dev_splits_complete/dia0_utt0.flac",
        "output_repeated_splits_test/dia0_utt0.wav",
    ]  # fmt: skip
    assert [u.clip_duration for u in read.utterances] == [None, None, 1.25, 0.75]
    assert ["clip_missing" in u.flags for u in read.utterances] == [False, True, False, False]
    assert read.defects["clip_missing"] == {"train": 1, "dev": 0, "test": 0}
    assert read.defects["extra_clips"] == {"train": 0, "dev": 0, "test": 1}
    notes = " ".join(read.notes)
    assert "dia9_utt1.wav" in notes
    assert "final_videos_testdia0_utt0.mp4" in notes
    assert "._dia0" not in notes


def test_without_media_nothing_is_missing(corpus: Write) -> None:
    read = load(corpus())
    assert "clip_missing" not in read.defects
    assert all(u.clip is None and "clip_missing" not in u.flags for u in read.utterances)


def test_only_splits_with_media_have_missing_clips(corpus: Write) -> None:
    folder = corpus()
    sound(folder / "dev_splits_complete" / "dia7_utt7.wav")
    read = load(folder)
    assert read.defects["clip_missing"] == {"train": 0, "dev": 1, "test": 0}


def test_a_flat_folder_of_one_split(corpus: Write) -> None:
    folder = corpus(splits=["train"])
    sound(folder / "dia0_utt0.wav")
    sound(folder / "audio" / "dia0_utt1.wav")
    assert [u.clip for u in load(folder).utterances] == ["dia0_utt0.wav", "audio/dia0_utt1.wav"]


def test_a_flat_folder_of_several_splits_needs_the_split_in_the_name(corpus: Write) -> None:
    folder = corpus()
    sound(folder / "clips" / "train_dia0_utt0.wav")
    sound(folder / "clips" / "test-dia0_utt0.wav")
    sound(folder / "clips" / "dia0_utt1.wav")
    read = load(folder)
    assert [u.clip for u in read.utterances] == [
        "clips/train_dia0_utt0.wav", None, None, "clips/test-dia0_utt0.wav",
    ]  # fmt: skip
    assert any("clips/dia0_utt1.wav" in note and "whose they are" in note for note in read.notes)


def test_the_split_in_a_folder_above_the_corpus_says_nothing(corpus: Write, tmp_path: Path) -> None:
    folder = tmp_path / "train" / "meld"
    shutil.copytree(corpus(), folder)
    sound(folder / "dia0_utt0.wav")
    assert all(u.clip is None for u in load(folder).utterances)


def test_the_nearest_folder_says_the_split(corpus: Write) -> None:
    folder = corpus()
    video(folder / "test_copy" / "train_splits" / "mp4" / "dia0_utt0.mp4")
    assert [u.clip is not None for u in load(folder).utterances] == [True, False, False, False]


def test_of_several_clips_the_readable_format_is_taken(corpus: Write) -> None:
    folder = corpus()
    video(folder / "train_splits" / "dia0_utt0.mp4")
    sound(folder / "train_wav" / "dia0_utt0.wav")
    sound(folder / "train_flac" / "dia0_utt0.flac")
    read = load(folder)
    assert read.utterances[0].clip == "train_flac/dia0_utt0.flac"
    assert any("2 media files" in note and "another clip" in note for note in read.notes)


def wav_bytes(path: Path) -> bytes:
    sound(path, 1.0)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("a.wav", lambda b: b, ""),
        ("a.wav", lambda b: b"", "clip_unreadable"),
        ("a.wav", lambda b: b[:20], "clip_unreadable"),
        ("a.wav", lambda b: b"<html>" + b, "clip_unreadable"),
        ("a.wav", lambda b: b[: len(b) // 2], "clip_truncated"),
        ("a.flac", lambda b: b, "clip_unreadable"),
        ("a.mp4", lambda b: b, "clip_unreadable"),
        ("a.mp4", lambda b: MP4, ""),
        ("a.mp4", lambda b: MP4[:-1], "clip_unreadable"),
        ("a.mp4", lambda b: MP4.replace(b"moov", b"free"), "clip_unreadable"),
        ("a.mp4", lambda b: b"", "clip_unreadable"),
        ("a.mp4", lambda b: b"\0" * 100, "clip_unreadable"),
        ("a.WAV", lambda b: b, ""),
    ],
)
def test_health(tmp_path: Path, name: str, change: Callable[[bytes], bytes], problem: str) -> None:
    content = change(wav_bytes(tmp_path / "whole.wav"))
    path = tmp_path / name
    path.write_bytes(content)
    health = media.examine(path)
    assert health.problem == problem
    if name.lower().endswith(".wav") and not problem:
        assert health.duration == 1.0


def test_streamed_wav_of_unknown_length_is_not_truncated(tmp_path: Path) -> None:
    content = bytearray(wav_bytes(tmp_path / "whole.wav"))
    content[4:8] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(content)
    assert media.examine(tmp_path / "a.wav").problem == ""


def test_an_mp4_with_a_long_box(tmp_path: Path) -> None:
    long_box = b"\0\0\0\x01mdat" + (20).to_bytes(8, "big") + b"1234"
    video(tmp_path / "a.mp4", MP4 + long_box)
    assert media.examine(tmp_path / "a.mp4").problem == ""


@pytest.mark.parametrize("suffix", ["raw", "RAW", "vox", "gsm", "au", "snd"])
def test_noise_that_only_its_name_calls_sound_has_no_length(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(np.random.default_rng(2).bytes(20_000))
    assert media.examine(path) == media.Health()


def test_a_header_is_believed_whatever_the_name(tmp_path: Path) -> None:
    sound(tmp_path / "a.au", 1.0)
    (tmp_path / "a.vox").write_bytes((tmp_path / "a.au").read_bytes())
    assert media.examine(tmp_path / "a.au") == media.Health("", 1.0)
    assert media.examine(tmp_path / "a.vox") == media.Health("", 1.0)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp4", "a.mp3"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / f"link_{name}").symlink_to(tmp_path / name)
    with within(30):
        assert media.examine(tmp_path / name).problem == "clip_unreadable"
        assert media.examine(tmp_path / f"link_{name}").problem == "clip_unreadable"


def test_broken_clips_are_flagged_and_kept(corpus: Write) -> None:
    folder = corpus()
    video(folder / "train_splits" / "dia0_utt0.mp4", b"\0" * 50)
    os.symlink("nowhere.mp4", folder / "train_splits" / "dia0_utt1.mp4")
    read = load(folder)
    assert ["clip_unreadable" in u.flags for u in read.utterances[:2]] == [True, True]
    assert read.utterances[0].clip == "train_splits/dia0_utt0.mp4"
    assert read.defects["clip_unreadable"]["train"] == 2


def test_melds_known_media_faults(test_data: Path, tmp_path: Path) -> None:
    """A missing clip, and extra clips without labels, as its public issue threads say."""
    for name in ("dev_sent_emo.csv", "test_sent_emo.csv"):
        shutil.copy(test_data / "meld" / name, tmp_path)
    names = {"dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
    for u in load(tmp_path).utterances:
        if u.id != "meld/dev/dia110_utt7":
            video(tmp_path / names[u.split] / f"dia{u.dialogue_id}_utt{u.utterance_id}.mp4")
    for key in ("dia49_utt4", "dia49_utt5", "dia66_utt9", "dia66_utt10"):
        video(tmp_path / names["dev"] / f"{key}.mp4")
    video(tmp_path / names["test"] / "dia108_utt2.mp4")
    read = load(tmp_path)
    assert read.defects["clip_missing"] == {"dev": 1, "test": 0}
    assert [u.id for u in read.utterances if "clip_missing" in u.flags] == ["meld/dev/dia110_utt7"]
    assert read.defects["extra_clips"] == {"dev": 4, "test": 1}
    assert read.defects["clip_unreadable"] == {"dev": 0, "test": 0}


def test_each_folder_is_listed_once(corpus: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = corpus()
    for number in range(300):
        video(folder / "train_splits" / f"dia1_utt{number}.mp4")
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(media.os, "scandir", lambda path: listed.append(str(path)) or scandir(path))
    from remelt.corpora import meld

    meld.load(folder)
    assert len(listed) == 2


def test_finding_the_reader_and_reading_look_once(corpus: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = corpus()
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(media.os, "scandir", lambda path: listed.append(str(path)) or scandir(path))
    load(folder)
    assert len(listed) == 1
    load(folder)
    assert len(listed) == 2


@pytest.mark.parametrize("name", ["a.mkv", "a.WEBM", "a.avi", "a.aac"])
def test_containers_that_only_decoding_can_judge(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x1a\x45\xdf\xa3 whatever it holds")
    assert media.examine(path) == media.Health()
    path.write_bytes(b"")
    assert media.examine(path) == media.Health("clip_unreadable")
