"""Builds that listen: sound, measures, levels and transcripts join the dataset."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

import remelt.voice
from remelt.corpora import load
from remelt.errors import InputError
from remelt.publishing import find_problems
from remelt.recipes.listening.clips import measure_lengths
from remelt.recipes.listening.transcripts import Transcript, write
from remelt.recipes.listening.voices import VoiceOptions
from remelt.recipes.melt import MeltOptions, build, plan
from remelt.recipes.rebuild import rebuild
from remelt.recipes.reporting import Reporter

pytest.importorskip("soxr", reason="sound needs remelt[voice]")


class Listener(Reporter):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.counts: list[tuple[int, int]] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def counted(self, done: int, total: int, what: str) -> None:
        self.counts.append((done, total))


def make(out: Path, listener: Reporter | None = None, limit: int = 14, **voice: Any) -> Path:
    options = MeltOptions("sample", out, "mock", limit=limit, splits=("train",), voice=VoiceOptions(**voice))
    return build(options, listener).out


def rows(out: Path) -> list[dict[str, Any]]:
    return [
        row for path in sorted((out / "data").glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("heard") / "out")


def test_a_build_listens_where_there_are_clips(heard: Path) -> None:
    found = rows(heard)
    assert len(found) == 14
    folder = load("sample").folder
    for row in found:
        samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        own, own_rate = soundfile.read(folder / row["clip"])
        assert rate == own_rate == 16_000
        assert np.abs(samples - own).max() < 1 / 32_000
        assert row["audio_seconds"] == pytest.approx(len(own) / rate)
        assert row["peak_db"] == pytest.approx(20 * np.log10(np.abs(own).max()), abs=0.01)
        assert 0 < row["f0_semitone_mean"] < 60
        assert row["loudness_mean"] > 0
    for level in ("pitch_level", "loudness_level", "rate_level"):
        assert {row[level] for row in found} <= {"low", "mid", "high", None}
    loudness = sorted(found, key=lambda row: float(row["loudness_mean"]))
    # With 14 values the quantile .3 lies between the fourth and the fifth, .7 between the tenth and the next.
    assert [row["loudness_level"] for row in loudness] == ["low"] * 4 + ["mid"] * 6 + ["high"] * 4
    assert find_problems(heard) == []


def test_the_manifest_says_how(heard: Path) -> None:
    voice = json.loads((heard / "manifest.json").read_text(encoding="utf-8"))["voice"]
    assert voice["audio"] == "flac"
    assert voice["acoustics"]["backend"]
    assert voice["acoustics"]["version"]
    assert voice["bins"]["loudness_level"]["by"] == "corpus"
    assert voice["bins"]["pitch_level"]["measure"] == "f0_semitone_mean"
    flags = Counter(flag for row in rows(heard) for flag in row["voice_flags"])
    assert voice["quality"] == dict(sorted(flags.items()))


def test_the_same_command_and_a_rebuild_give_the_same_bytes(heard: Path, tmp_path: Path) -> None:
    again = make(tmp_path / "again", processes=2)
    rebuilt = rebuild(heard, tmp_path / "rebuilt").out
    for path in sorted((heard / "data").iterdir()):
        assert (again / "data" / path.name).read_bytes() == path.read_bytes()
        assert (rebuilt / "data" / path.name).read_bytes() == path.read_bytes()


def test_without_audio_and_measures_the_dataset_is_as_it_was(tmp_path: Path) -> None:
    found = rows(make(tmp_path / "out", audio="none", acoustics="none"))
    assert not {"audio", "audio_seconds", "peak_db", "pitch_level"} & set(found[0])


def test_originals_are_the_corpus_s_own_files(tmp_path: Path) -> None:
    folder = load("sample").folder
    for row in rows(make(tmp_path / "out", limit=4, audio="original", acoustics="none")):
        assert row["audio"]["bytes"] == (folder / row["clip"]).read_bytes()
        assert row["audio"]["path"].endswith(".flac")


def test_a_second_run_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rows(make(tmp_path / "out", limit=4))

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a clip was decoded again")

    monkeypatch.setattr("remelt.voice.quality.examine", fail)
    monkeypatch.setattr("remelt.voice.analysis.examine", fail, raising=False)
    assert rows(make(tmp_path / "out", limit=4)) == first


def transcripts(folder: Path, texts: dict[str, str | None], corpus: str = "sample", words: str = "") -> Path:
    own = {u.id: u.words for u in load("sample").utterances}
    found = [
        Transcript(
            key, "train", "", None, 1.0, words or own.get(key), text, "valid" if text else "error", "", "m"
        )
        for key, text in texts.items()
    ]
    about = {"source": "whisper/tiny", "model": "m", "splits": ["train"], "corpus": corpus}
    write(folder, {"train": found}, about)
    return folder


def test_transcripts_join_by_id_and_gaps_are_told(heard: Path, tmp_path: Path) -> None:
    ids = [row["id"] for row in rows(heard)][:3]
    folder = transcripts(tmp_path / "asr", {ids[0]: "so it goes", ids[1]: None, "sample/train/other": "x"})
    listener = Listener()
    out = make(tmp_path / "out", listener, limit=3, audio="none", acoustics="none", transcripts=folder)
    found = {row["id"]: row for row in rows(out)}
    assert [found[i]["transcript"] for i in ids] == ["so it goes", None, None]
    assert found[ids[0]]["transcript_source"] == "whisper/tiny"
    assert any(note.startswith("1 of 3 rows have no transcript") for note in listener.notices)


@pytest.mark.parametrize(
    ("texts", "changes", "message"),
    [
        ("own", {"corpus": "other"}, r"are of 'other', the corpus is \['sample'\]"),
        ("own", {"words": "quite other words"}, "3 of 3 rows .* had other words .* another corpus, it seems"),
        ("foreign", {}, "are of none of the 3 utterances"),
    ],
)
def test_transcripts_of_something_else_are_refused(
    heard: Path, tmp_path: Path, texts: str, changes: dict[str, str], message: str
) -> None:
    ids = [row["id"] for row in rows(heard)][:3] if texts == "own" else ["sample/train/other"]
    folder = transcripts(tmp_path / "asr", dict.fromkeys(ids, "so it goes"), **changes)
    with pytest.raises(InputError, match=message):
        make(tmp_path / "out", limit=3, transcripts=folder)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_transcripts_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no transcripts"):
        make(tmp_path / "out", transcripts=tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("voice", "message"),
    [
        ({"audio": "mp3"}, r"Bad audio 'mp3', expected one of \['auto', 'flac', 'original', 'none'\]"),
        ({"acoustics": "ears"}, r"Bad acoustics 'ears', expected one of \['auto', 'none', 'afx'"),
        ({"processes": 0}, "Bad processes 0"),
        ({"pitch_by": "mood"}, "Bad grouping 'mood'"),
        ({"acoustics": "none", "functionals": True}, "--functionals has no effect: nothing is measured"),
        ({"acoustics": "none", "pitch_by": "sex"}, "--pitch-by has no effect"),
        ({"bins_from": "tran"}, r"Bad bins_from 'tran', expected one of \['train', 'all'\]"),
    ],
)
def test_bad_options_are_told_before_anything_is_asked(
    tmp_path: Path, voice: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make(tmp_path / "out", **voice)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "voice", [{"acoustics": "ears"}, {"bins_from": "tran"}, {"transcripts": Path("nowhere")}]
)
def test_a_plan_refuses_what_the_build_would(tmp_path: Path, voice: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        plan(MeltOptions("sample", tmp_path / "out", "mock", voice=VoiceOptions(**voice)))


def test_missing_packages_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remelt.voice, "missing_packages", lambda: ["av"])
    with pytest.raises(InputError, match=r"Sound needs av; install with: pip install 'remelt\[voice\]'"):
        make(tmp_path / "asked", audio="flac")
    listener = Listener()
    found = rows(make(tmp_path / "left-out", listener, limit=2))
    assert "audio" not in found[0]
    assert any("clips are left out" in note for note in listener.notices)


def test_sound_of_a_corpus_without_clips(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("id,text,label\n1,so it goes on,joy\n2,and on and on,anger\n", encoding="utf-8")
    options = MeltOptions(
        str(table), tmp_path / "out", "mock", profile="sample", voice=VoiceOptions(audio="flac")
    )
    with pytest.raises(InputError, match="the corpus has no clips to read"):
        build(options)


def test_lengths_that_the_reader_does_not_measure(tmp_path: Path) -> None:
    from dataclasses import replace

    corpus = load("sample")
    bare = replace(corpus, utterances=tuple(replace(u, clip_duration=None) for u in corpus.utterances))
    listener = Listener()
    measured = measure_lengths(bare, listener)
    pairs = [
        (u.clip_duration, v.clip_duration)
        for u, v in zip(corpus.utterances, measured.utterances, strict=True)
    ]
    assert all(mine == pytest.approx(theirs, abs=1e-4) for theirs, mine in pairs if theirs is not None)
    assert listener.counts[-1][0] == listener.counts[-1][1] > 50


def test_a_corpus_without_train_takes_the_limits_from_all_rows(tmp_path: Path) -> None:
    options = MeltOptions("sample", tmp_path / "out", "mock", limit=3, splits=("test",))
    result = build(options)
    assert result.manifest["voice"]["bins"]["loudness_level"]["fitted_on"] == "all"


def test_a_clip_that_is_not_there_is_no_faultless_one(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    shutil.copytree(load("sample").folder, folder)
    clip = next(u.clip for u in load("sample", splits=["test"]).utterances if u.clip)
    (folder / str(clip)).unlink()
    profile = tmp_path / "all.yaml"
    profile.write_text("name: all\n", encoding="utf-8")
    options = MeltOptions(
        str(folder), tmp_path / "out", "mock", splits=("test",), profile=str(profile), corpus_name="meld"
    )
    listener = Listener()
    result = build(options, listener)
    # MELD's licence is not one that lets its sound travel in a report.
    assert any("the report has no sound" in note for note in listener.notices)
    assert "This page was made without sound" in (result.out / "audit" / "report.html").read_text("utf-8")
    missing = [row for row in rows(result.out) if row["audio"] is None]
    assert len(missing) >= 1
    assert all(row["voice_flags"] == ["clip_missing"] for row in missing)
    assert result.manifest["voice"]["quality"]["clip_missing"] == len(missing)
    assert find_problems(result.out) == []
