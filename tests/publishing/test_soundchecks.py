"""Verification of the voice: every fault of a sound or of what is said of it is found."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from remelt.publishing import (
    PublishedAudio,
    find_problems,
    publish,
    read_manifest,
    seal,
    soundchecks,
    write_card,
)
from remelt.publishing.manifest import file_entry, write_manifest
from remelt.records import Voice

from .voices import INFO, Sounds, ids, tone, with_voice

TRAIN = "data/train-00000-of-00001.parquet"
FIRST, SECOND, THIRD, LAST = (f"meld/train/dia0_utt{n}" for n in range(4))
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def made(content, tmp_path_factory):
    """A dataset with a voice; not to be changed."""
    out = tmp_path_factory.mktemp("voice") / "out"
    publish(out, with_voice(content))
    return out


@pytest.fixture
def out(made, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(made, tmp_path / "out")
    return tmp_path / "out"


def forge(out, change: Callable[[Rows], object]) -> list[str]:
    """Changes rows and mends every hash, so that only the rows can tell; says what verify finds."""
    table = pq.read_table(out / TRAIN)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), out / TRAIN, row_group_size=2)
    manifest = read_manifest(out)
    manifest["files"][TRAIN] = file_entry(out / TRAIN)
    write_manifest(out, manifest)
    write_card(out, manifest)
    seal(out)
    return [str(problem) for problem in find_problems(out)]


def sound(row: int, content: bytes | None) -> Callable[[Rows], object]:
    return lambda rows: rows[row]["audio"].update(bytes=content)


def swapped(rows: Rows) -> None:
    rows[0]["audio"], rows[1]["audio"] = rows[1]["audio"], rows[0]["audio"]


def swapped_bytes(rows: Rows) -> None:
    rows[0]["audio"]["bytes"], rows[1]["audio"]["bytes"] = (rows[n]["audio"]["bytes"] for n in (1, 0))


def stereo() -> bytes:
    target = io.BytesIO()
    soundfile.write(target, np.zeros((8_000, 2)), 16_000, format="FLAC")
    return target.getvalue()


def damaged() -> bytes:
    content = bytearray(tone(0.5))
    content[-400:-300] = bytes(100)
    return bytes(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swapped, f"2 rows have a sound with another row's name: {FIRST}, {SECOND}"),
        (swapped, f"2 rows have a sound of another length than 'audio_seconds' says: {FIRST}, {SECOND}"),
        (swapped_bytes, f"2 rows have a sound of another length than 'audio_seconds' says: {FIRST}"),
        (sound(0, tone(0.35)), f"1 rows have a sound of another length than 'audio_seconds' says: {FIRST}"),
        (sound(0, tone(0.5)[:-900]), f"1 rows have a sound that cannot be decoded: {FIRST}"),
        (sound(0, damaged()), f"1 rows have a sound that cannot be decoded: {FIRST}"),
        (sound(0, tone(0.5, kind="WAV")), f"1 rows have a sound that is no FLAC file: {FIRST}"),
        (sound(0, b"fLaC"), f"1 rows have a sound that cannot be decoded: {FIRST}"),
        (sound(0, tone(0.5, rate=8_000)), f"1 rows have a sound that is not 16000 Hz mono: {FIRST}"),
        (sound(0, stereo()), f"1 rows have a sound that is not 16000 Hz mono: {FIRST}"),
        (sound(0, b""), f"1 rows have a sound without bytes: {FIRST}"),
        (sound(0, None), f"1 rows have a sound without bytes: {FIRST}"),
        (lambda r: r[0].update(audio=None), f"1 rows have 'audio_seconds' but no sound: {FIRST}"),
        (lambda r: r[0]["audio"].update(path="dia0_utt1.flac"), "whose name another row has"),
        (lambda r: r[0]["audio"].update(path="x/a.flac"), f"without a plain file name: {FIRST}"),
        (lambda r: r[0]["audio"].update(path=None), f"without a plain file name: {FIRST}"),
        (lambda r: r[0].update(audio_seconds=-1.0), f"1 rows have an impossible 'audio_seconds': {FIRST}"),
        (lambda r: r[0].update(voice_flags=None), f"1 rows have a voice but no 'voice_flags': {FIRST}"),
        (lambda r: r[0].update(pitch_level="loud"), "something else than low, mid, high in 'pitch_level'"),
        (lambda r: r[3].update(f0_semitone_mean=float("inf")), "no finite number in 'f0_semitone_mean'"),
        (lambda r: r[1].update(transcript_source="asr/other"), "another 'transcript_source' than the man"),
        (lambda r: r[2].update(transcript_source="asr/toy"), "another 'transcript_source' than the man"),
    ],
)
def test_a_forged_voice_is_found(out, change, message):
    found = forge(out, change)
    assert any(message in problem and problem.startswith("data/train: ") for problem in found), found


def test_an_honest_rewrite_is_none(out):
    assert forge(out, lambda rows: None) == []


def test_a_cut_file_is_found_by_its_hash(out):
    content = (out / TRAIN).read_bytes()
    place = content.index(b"fLaC") + 200
    (out / TRAIN).write_bytes(content[:place] + b"\0\1\2\3" + content[place + 4 :])
    assert f"{TRAIN}: is not the file of the manifest: its sha256 differs" in map(str, find_problems(out))


def test_sound_is_read_a_row_group_at_a_time(out, monkeypatch):
    read = []
    plain = pq.ParquetFile.read_row_group

    def counting(self, group, columns=None, **others):
        read.append((group, tuple(columns)))
        return plain(self, group, columns=columns, **others)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    forge(out, lambda rows: None)
    wanted = ("id", "audio_seconds", "voice_flags", "audio")
    assert [group for group, columns in read if columns == wanted] == [0, 1, 0]


def test_the_column_of_sound_is_checked_like_the_others(out):
    table = pq.read_table(out / TRAIN)
    plain = table.replace_schema_metadata(
        {b"huggingface": table.schema.metadata[b"huggingface"].replace(b"16000", b"22050")}
    )
    pq.write_table(plain, out / TRAIN)
    manifest = read_manifest(out)
    manifest["files"][TRAIN] = file_entry(out / TRAIN)
    write_manifest(out, manifest)
    problems = "\n".join(map(str, find_problems(out)))
    assert "data/train: column 'audio' is Audio(sampling_rate=22050" in problems
    pq.write_table(table.drop_columns(["audio"]), out / TRAIN)
    problems = "\n".join(map(str, find_problems(out)))
    assert "data/train: its columns are" in problems


def test_a_manifest_without_its_voice_does_not_fit(out):
    manifest = read_manifest(out)
    del manifest["voice"]
    write_manifest(out, manifest)
    assert any("data/train: its columns are" in str(problem) for problem in find_problems(out))


def test_files_of_the_corpus_may_be_what_soundfile_cannot_open(content, tmp_path):
    mp4 = b"\0\0\0\x18ftypmp42" + bytes(100)
    names = ids(content)
    files: dict[str, Any] = {name: (mp4, f"{n}.mp4") for n, name in enumerate(names) if n != 2}
    files[names[0]] = (b"<html>", "0.wav")
    # What the flags say is no fault of the dataset: this row is `clipped`.
    files[names[1]] = (tone(0.3), "1.wav")
    files[names[2]] = (b"nobody could read this either", "2.wav")
    out = tmp_path / "out"
    publish(out, with_voice(content, info=INFO | {"audio": "original"}, audio=Sounds(files)))
    problems = [str(problem) for problem in find_problems(out)]
    assert problems == [f"data/train: 1 rows have a sound that cannot be decoded: {FIRST}"]


def test_ids_with_folders_in_them_are_no_strangers_to_each_other(content, annotation, utterance, tmp_path):
    names = ["meld/train/a/x", "meld/train/b/x", "meld/train/c/\ud83d"]
    rows = [annotation(utterance("train", n, 0, id=name), "joy") for n, name in enumerate(names)]
    alone = replace(content, annotations=rows, drops=[], inputs={"train": 3}, attrition=())
    sounds = {name: (tone(0.5 + n / 4), f"{name[-1]}.flac") for n, name in enumerate(names)}
    rows = {name: Voice(name, 0.5 + n / 4) for n, name in enumerate(names)}
    publish(tmp_path / "out", with_voice(alone, rows=rows, audio=Sounds(sounds)))
    found = pq.read_table(tmp_path / "out" / TRAIN)["audio"].to_pylist()
    assert [sound["path"] for sound in found] == ["x.flac", "b_x.flac", "\ufffd{d83d}.flac"]
    assert PublishedAudio(tmp_path / "out").read(names[2]) == (tone(1.0), "\ud83d.flac")
    assert find_problems(tmp_path / "out") == []


def test_the_tolerance_is_a_tenth_of_a_second(content, tmp_path):
    assert soundchecks.TOLERANCE == 0.1
    files = {name: (tone(0.5 + n / 4 + 0.099), f"{n}.flac") for n, name in enumerate(ids(content)) if n != 2}
    publish(tmp_path / "out", with_voice(content, audio=Sounds(files)))
    assert find_problems(tmp_path / "out") == []
    files = {name: (tone(0.5 + n / 4 + 0.101), f"{n}.flac") for n, name in enumerate(ids(content)) if n != 2}
    publish(tmp_path / "out", with_voice(content, audio=Sounds(files)))
    problems = list(map(str, find_problems(tmp_path / "out")))
    assert len(problems) == 2
    assert all("another length than 'audio_seconds'" in problem for problem in problems)


def test_transcripts_are_searched_for_keys_too(out):
    found = forge(out, lambda rows: rows[0].update(transcript="sk-proj-0123456789abcdefghij"))
    assert found == [f"data/train: column 'transcript' of {FIRST} holds what looks like an API key (sk-pro…)"]
    assert json.loads((out / "manifest.json").read_text())["voice"]["audio"] == "flac"
