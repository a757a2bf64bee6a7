"""What the readers of corpora made of files share: copies, odd names, counts, pointers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from remelt import corpora
from remelt.corpora import acted, media, ravdess
from remelt.corpora.acted import Aside, Entry
from remelt.errors import InputError

from ..clip_folders import emodb_names, fill, ravdess_names, tess_names, write_wav

GOOD = "03-01-05-02-01-02-16.wav"


def parse(file: media.FoundFile) -> Entry | Aside:
    speaker, _, label = file.name.partition(".")[0].partition("-")
    if not label:
        return Aside("no dash")
    if label == "song":
        return Aside("a song", "other")
    return Entry(f"{speaker}-{label}", speaker, "Hello there", label)


def collect(folder: Path) -> acted.Collection:
    return acted.collect(folder, media.walk(folder), "small", parse)


def test_files_become_rows_by_speaker_and_name(tmp_path: Path) -> None:
    found = collect(fill(tmp_path / "x", ["z/ann-sad.wav", "a/bob-sad.wav", "ann-angry.WAV"]))
    assert [d.id for d in found.drafts] == [
        "small/train/ann-angry",
        "small/train/ann-sad",
        "small/train/bob-sad",
    ]
    first = found.drafts[0]
    assert (first.split, first.dialogue_id, first.utterance_id) == ("train", "ann-angry", 0)
    assert (first.clip, first.source) == ("ann-angry.WAV", "ann-angry.WAV")
    assert not any(found.findings.values())
    assert not found.notes


def test_the_nearest_of_equal_names_counts_and_wav_goes_before_mp3(tmp_path: Path) -> None:
    folder = fill(
        tmp_path / "x", ["AudioMP3/ann-sad.mp3", "AudioWAV/ann-sad.wav", "a/a/bob-sad.wav", "b/bob-sad.wav"]
    )
    found = collect(folder)
    assert [d.clip for d in found.drafts] == ["AudioWAV/ann-sad.wav", "b/bob-sad.wav"]
    assert found.findings["copies"] == 2
    assert found.notes == (
        "2 files left aside, another file of the same recording: "
        "AudioMP3/ann-sad.mp3 (of AudioWAV/ann-sad.wav), a/a/bob-sad.wav (of b/bob-sad.wav).",
    )


def test_copies_of_another_size_are_told(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", ["bob-sad.wav"])
    write_wav(folder / "old" / "bob-sad.wav", seconds=0.5)
    assert (
        "1 file among them of another size than the one kept: old/bob-sad.wav and bob-sad.wav."
        in collect(folder).notes
    )


def test_a_link_that_leads_nowhere_is_a_broken_clip_and_no_crash(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", [f"Actor_16/{GOOD}"])
    (folder / GOOD).symlink_to(folder / "gone.wav")
    found = corpora.load(folder)
    assert [(u.clip, u.flags) for u in found.utterances] == [(GOOD, ("clip_unreadable",))]
    assert any("among them of another size" in note for note in found.notes)


def test_odd_names_cost_only_themselves_and_are_counted(tmp_path: Path) -> None:
    folder = fill(
        tmp_path / "x", ["ann-sad.wav", "what.wav", "why.wav", "bob-song.wav", "clip.flv", "readme.txt"]
    )
    found = collect(folder)
    assert [d.speaker for d in found.drafts] == ["ann"]
    assert dict(found.findings) == {"unknown_names": 2, "other_recordings": 2, "copies": 0, "mended_names": 0}
    assert found.notes == (
        "2 files left aside, no dash: what.wav, why.wav.",
        "1 file left aside, a song: bob-song.wav.",
        "1 file left aside, video without a reader: clip.flv.",
    )


def test_many_reasons_are_summed_up(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", [f"{n}.wav" for n in range(9)])
    found = acted.collect(folder, media.walk(folder), "x", lambda file: Aside(f"reason {file.name}"))
    assert len(found.notes) == 7
    assert found.notes[-1] == "3 files left aside for 3 further reasons: 6.wav, 7.wav, 8.wav."


@pytest.mark.parametrize(
    ("reader", "names", "rows", "per_label"),
    [
        ("ravdess", ravdess_names, 1440, {"neutral": 96, "calm": 192, "surprised": 192}),
        ("tess", tess_names, 2800, {"pleasant surprise": 400, "neutral": 400}),
        ("emodb", emodb_names, 535, {"anger": 127, "boredom": 81, "disgust": 46, "fear": 69}),
    ],
)
def test_whole_corpora_are_found_counted_and_told_so(
    tmp_path: Path, reader: str, names: object, rows: int, per_label: dict[str, int]
) -> None:
    assert callable(names)
    folder = fill(tmp_path / "corpus", names())
    assert corpora.detect(folder) == reader
    found = corpora.load(folder)
    assert found.name == reader
    assert len(found) == rows == corpora.info(reader).utterances
    labels = [u.label for u in found.utterances]
    assert {label: labels.count(label) for label in per_label} == per_label
    assert (
        found.notes[0]
        == f"All {rows:,} rows of the published corpus are there, with its counts of each label."
    )
    assert {"clip_missing", "clip_unreadable", "clip_truncated"} <= set(found.defects)
    assert all(counts == {"train": 0} for counts in found.defects.values())
    assert {u.clip_duration for u in found.utterances} == {1.25}
    assert {u.sex for u in found.utterances} <= {"female", "male"}
    assert found.profile == "acted"


def test_a_part_of_a_corpus_is_compared_with_the_whole(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", ["03-01-01-01-01-01-01.wav", "03-01-08-01-01-01-07.wav"])
    note = corpora.load(folder).notes[0]
    assert "2 utterances (published: 1,440), neutral 1 (96), calm 0 (192)" in note
    assert note.endswith("2 of 24 speakers: Actor_01, Actor_07.")


def test_the_only_split_is_train(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", [GOOD])
    assert corpora.load(folder, splits=["train"]).splits == ("train",)
    with pytest.raises(InputError, match=r"Bad split 'test', expected one of \['train'\]"):
        corpora.load(folder, splits=["test"])


def test_another_name_stands_in_the_ids(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", [GOOD])
    assert corpora.load(folder, name="mine").utterances[0].id == "mine/train/03-01-05-02-01-02-16"
    with pytest.raises(InputError, match="Bad corpus name"):
        corpora.load(folder, name="a/b")


def test_broken_clips_are_flagged_and_pointers_recognised(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", [GOOD])
    whole = (folder / GOOD).read_bytes()
    (folder / "03-01-05-02-01-01-16.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "03-01-05-02-02-01-16.wav").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    )
    (folder / "03-01-05-02-02-02-16.wav").write_bytes(b"")
    found = corpora.load(folder)
    flags = {u.dialogue_id: u.flags for u in found.utterances}
    assert flags == {
        "03-01-05-02-01-01-16": ("clip_truncated",),
        "03-01-05-02-01-02-16": (),
        "03-01-05-02-02-01-16": ("clip_unreadable",),
        "03-01-05-02-02-02-16": ("clip_unreadable",),
    }
    pointers = [note for note in found.notes if "Git-LFS" in note]
    assert pointers == [
        "Git-LFS pointers in place of sound, which `git lfs pull` fetches: 1 file, 03-01-05-02-02-01-16.wav."
    ]


def test_nothing_but_odd_names_says_why(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", ["03-01-09-01-01-01-01.wav"])
    with pytest.raises(InputError, match=r"No clip of RAVDESS.*Bad emotion '09', expected one of .*'08'"):
        corpora.load(folder)
    with pytest.raises(InputError, match=r"No clip of TESS.*not named like OAF_back_angry.wav"):
        corpora.load(folder, name="tess")


def test_several_corpora_in_one_folder_are_not_guessed(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", ["R/" + GOOD, "T/OAF_back_angry.wav"])
    with pytest.raises(
        InputError, match=r"holds several corpora, \['ravdess', 'tess'\]; give the folder of one"
    ):
        corpora.detect(folder)
    assert corpora.detect(folder / "T") == "tess"
    assert [u.speaker for u in corpora.load(folder, name="ravdess").utterances] == ["Actor_16"]


def test_a_table_beside_clips_of_known_names_is_not_passed_over(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", ["clips/" + GOOD, "clips/mine.wav"])
    (folder / "rows.csv").write_text(f"id,text,clip\n1,so it is,clips/{GOOD}\n2,and on,clips/mine.wav\n")
    with pytest.raises(InputError, match=r"clips named as ravdess names them, and tables; .* --name ravdess"):
        corpora.load(folder)
    assert len(corpora.load(folder, name="ravdess")) == 1
    assert len(corpora.load(folder, name="table")) == 2
    assert len(corpora.load(folder, mapping=corpora.from_options(["clip=clip"], None, None))) == 2


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        (GOOD, "ravdess"),
        ("01-01-05-02-01-02-16.mp4", "ravdess"),
        ("OAF_back_ps.wav", "tess"),
        ("1001_DFA_ANG_XX.wav", "cremad"),
        ("03a01Fa.wav", "emodb"),
    ],
)
def test_each_layout_is_one_readers_and_no_others(tmp_path: Path, name: str, reader: str) -> None:
    assert corpora.detect(fill(tmp_path / "x", [name])) == reader


def test_tables_and_the_sample_are_still_their_own(tmp_path: Path, test_data: Path) -> None:
    folder = fill(tmp_path / "x", ["hello.wav", "dia0_utt0.wav"])
    (folder / "train.csv").write_text("id,text\n1,Hello\n", encoding="utf-8")
    assert corpora.detect(folder) == "table"
    assert corpora.detect(corpora._readers()["sample"].FOLDER) == "sample"
    assert corpora.detect(test_data / "meld") == "meld"


def test_layout_does_not_change_the_rows(tmp_path: Path) -> None:
    names = ravdess_names()[::97]
    nested = fill(tmp_path / "nested", [f"audio_speech_actors_01-24/{name}" for name in names])
    flat = fill(tmp_path / "flat", [Path(name).name for name in reversed(names)])
    shutil.copytree(nested / "audio_speech_actors_01-24", nested / "deep" / "audio_speech_actors_01-24")
    ids = [[u.id for u in corpora.load(folder).utterances] for folder in (nested, flat)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == len(names)


def test_findings_reach_the_json_of_inspect(tmp_path: Path) -> None:
    from remelt.corpora.inspection import inspect

    folder = fill(tmp_path / "x", [GOOD, "03-02-05-02-01-02-16.wav", "odd.wav"])
    found = json.loads(json.dumps(inspect(folder).to_dict()))
    assert found["findings"] == {"unknown_names": 1, "other_recordings": 1, "copies": 0, "mended_names": 0}
    assert found["total"]["labels"] == {"angry": 1}
    assert ravdess.INFO.counts["angry"] == 192
