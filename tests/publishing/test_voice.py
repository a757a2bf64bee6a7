"""The voice on its way into a dataset and out of it again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from datasets import Audio, Features

from remelt.errors import InputError
from remelt.publishing import (
    DatasetContent,
    PublishedAudio,
    VoiceContent,
    check_replies,
    find_problems,
    publish,
    read_manifest,
    read_voice,
)
from remelt.publishing.manifest import write_manifest
from remelt.records import Voice

from .voices import INFO, LEVELS, MEASURES, NAMES, Sounds, each_sound, ids, tone, with_voice

TRAIN = "data/train-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def spoken(content) -> DatasetContent:
    return with_voice(content)


@pytest.fixture(scope="module")
def made(spoken, tmp_path_factory):
    """A dataset with a voice; not to be changed."""
    out = tmp_path_factory.mktemp("voice") / "out"
    publish(out, spoken)
    return out


@pytest.fixture
def out(made, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(made, tmp_path / "out")
    return tmp_path / "out"


def test_the_columns_stand_last_and_in_order(made, built):
    words, sound = (pq.read_schema(folder / TRAIN) for folder in (built, made))
    assert tuple(sound.names) == (*words.names, *NAMES)
    features = Features.from_arrow_schema(sound)
    assert features["audio"] == Audio(sampling_rate=16_000)
    assert features["voice_flags"].feature.dtype == "string"
    assert {features[name].dtype for name in ("audio_seconds", *MEASURES)} == {"float64"}
    assert {features[name].dtype for name in (*LEVELS, "transcript", "transcript_source")} == {"string"}


def test_the_rows_say_what_was_heard(made, spoken):
    rows = pq.read_table(made / TRAIN).to_pylist()
    assert [row["audio_seconds"] for row in rows] == [0.5, 0.75, None, 1.25]
    assert [row["voice_flags"] for row in rows] == [[], ["clipped"], ["clip_missing"], []]
    assert [row["f0_semitone_mean"] for row in rows] == [30.5, 31.5, None, 33.5]
    # What is no number is no measurement.
    assert [row[MEASURES[1]] for row in rows] == [0.25, 0.25, None, None]
    assert [row["pitch_level"] for row in rows] == ["low", "mid", None, "low"]
    assert [row["transcript"] for row in rows] == ["", "heard 1 \ufffd{d83d}", None, "heard 3 \ufffd{d83d}"]
    assert [row["transcript_source"] for row in rows] == ["asr/toy", "asr/toy", None, "asr/toy"]
    sounds = dict(each_sound(spoken))
    for row in rows:
        expected = sounds[row["id"]]
        assert row["audio"] == (expected and {"bytes": expected[0], "path": expected[1]})
    assert rows[2]["audio"] is None


def test_it_is_read_back_as_it_was(made, spoken):
    found = read_voice(made)
    assert found is not None
    assert spoken.voice is not None
    valid = [a.utterance.id for a in spoken.annotations if a.verdict.status == "valid"]
    assert list(found.rows) == valid
    for name in valid:
        mine, theirs = spoken.voice.rows[name], found.rows[name]
        assert (theirs.seconds, theirs.flags) == (mine.seconds, mine.flags)
        assert theirs.transcript == mine.transcript
        assert {k: v for k, v in theirs.levels.items() if v} == {k: v for k, v in mine.levels.items() if v}
    assert found.info == INFO
    assert (found.measures, found.levels, found.transcripts) == (MEASURES, LEVELS, True)
    again = replace(found, audio=None, info=INFO | {"audio": "none"})
    again.check()


def test_an_utterance_nobody_listened_to_stays_one(content, tmp_path):
    spoken = with_voice(content)
    rows = dict(spoken.voice.rows)
    silent = ids(content)[0]
    del rows[silent]
    sounds = dict.fromkeys(ids(content))
    publish(tmp_path / "out", replace(spoken, voice=replace(spoken.voice, rows=rows, audio=Sounds(sounds))))
    row = pq.read_table(tmp_path / "out" / TRAIN).to_pylist()[0]
    assert {row[name] for name in NAMES if name != "voice_flags"} == {None}
    assert row["voice_flags"] is None
    assert silent not in read_voice(tmp_path / "out").rows


def test_the_manifest_says_how_it_was_made(made):
    voice = read_manifest(made)["voice"]
    assert voice == {**INFO, "measures": list(MEASURES), "levels": list(LEVELS), "columns": list(NAMES)}
    assert "soundfile" in read_manifest(made)["versions"]
    assert find_problems(made) == []


def test_publishing_again_from_what_was_published_changes_no_byte(made, spoken, tmp_path):
    publish(tmp_path / "again", replace(spoken, voice=read_voice(made)))
    for name in ("data", "annotations", "dropped"):
        for path in sorted((made / name).iterdir()):
            assert path.read_bytes() == (tmp_path / "again" / name / path.name).read_bytes()
    assert read_manifest(made)["files"] == read_manifest(tmp_path / "again")["files"]


def test_measures_without_sound_or_transcripts(content, tmp_path):
    voice = VoiceContent(
        {ids(content)[0]: Voice(ids(content)[0], 1.5, measures={"loudness_mean": 0.5})},
        {"audio": "none"},
        ("loudness_mean",),
    )
    publish(tmp_path / "out", replace(content, voice=voice))
    names = pq.read_schema(tmp_path / "out" / TRAIN).names
    assert names[-3:] == ["audio_seconds", "voice_flags", "loudness_mean"]
    assert find_problems(tmp_path / "out") == []
    assert read_voice(tmp_path / "out").audio is None
    with pytest.raises(InputError, match="has no column of sound"):
        PublishedAudio(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "are not part of this dataset" in card


def test_a_dataset_of_words_has_no_voice(built):
    assert read_voice(built) is None
    assert "voice" not in read_manifest(built)
    assert "soundfile" not in read_manifest(built)["versions"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measures": (*MEASURES, "label")}, "Bad column of the voice 'label'"),
        ({"measures": (*MEASURES, MEASURES[0])}, "Bad column of the voice 'f0_semitone_mean'"),
        ({"measures": MEASURES[:1]}, "no column for .*F0semitone"),
        ({"transcripts": False}, "no column for the transcript"),
        ({"audio": None}, "Bad audio 'flac': there is no sound store"),
        ({"info": {"audio": "mp3"}}, r"Bad audio 'mp3', expected one of \['flac', 'original', 'none'\]"),
        ({"rows": {"a": Voice("b")}}, "The voice of 'b' stands under 'a'"),
        ({"rows": {"a": Voice("a", levels={"pitch_level": "loud"})}}, "a: Bad level 'loud'"),
    ],
)
def test_what_would_be_lost_is_refused(content, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        publish(tmp_path / "out", with_voice(content, **changes))
    assert not (tmp_path / "out").exists()


def test_an_answer_field_gives_way_to_a_column_of_the_voice(content, tmp_path):
    schema = json.loads(json.dumps(content.schema))
    schema["properties"]["elements"]["properties"]["pitch_level"] = {"type": "string"}
    publish(tmp_path / "words", replace(content, annotations=(), drops=(), inputs={}, schema=schema))
    publish(
        tmp_path / "voice", with_voice(replace(content, annotations=(), drops=(), inputs={}, schema=schema))
    )
    names = {f: pq.read_schema(tmp_path / f / TRAIN).names for f in ("words", "voice")}
    assert "pitch_level" in names["words"]
    assert "elements_pitch_level" not in names["words"]
    assert {"elements_pitch_level", "pitch_level"} <= set(names["voice"])


def test_sounds_are_read_back_one_by_one(made, spoken):
    expected = {name: sound for name, sound in each_sound(spoken) if name != ids(spoken)[4]}
    with PublishedAudio(made) as store:
        for name in reversed(expected):
            assert store.read(name) == expected[name]
        # Quarantined, so not in the dataset.
        assert store.read(ids(spoken)[4]) is None
        assert ids(spoken)[4] not in store
        assert ids(spoken)[0] in store


def test_a_changed_or_missing_data_file_is_no_source(out):
    check_replies(out)
    (out / TRAIN).write_bytes((out / TRAIN).read_bytes() + b"x")
    with pytest.raises(InputError, match=r"\['data/train-00000-of-00001.parquet'\] were changed or removed"):
        check_replies(out)
    (out / TRAIN).unlink()
    with pytest.raises(InputError, match=r"train-00000-of-00001.parquet"):
        check_replies(out)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("columns", ["audio"], r"Bad voice.columns \['audio'\]"),
        ("levels", None, "'voice.levels' is None, expected a list of names"),
        ("rate", "16k", "'voice.rate' is '16k', expected a whole number of Hz"),
    ],
)
def test_a_manifest_that_denies_its_columns_is_refused(out, key, value, message):
    manifest = read_manifest(out)
    manifest["voice"][key] = value
    write_manifest(out, manifest)
    with pytest.raises(InputError, match=message):
        read_voice(out)


def test_the_corpus_s_own_files_may_be_kept(content, tmp_path):
    names = ids(content)
    files = {name: (tone(0.5 + n / 4, rate=44_100, kind="WAV"), "same.wav") for n, name in enumerate(names)}
    files[names[2]] = None
    spoken = with_voice(content, info=INFO | {"audio": "original"}, audio=Sounds(files))
    publish(tmp_path / "out", spoken)
    sounds = [row["audio"] for row in pq.read_table(tmp_path / "out" / TRAIN).to_pylist()]
    # A name that an earlier row has is made from the id instead.
    assert [s and s["path"] for s in sounds] == ["same.wav", "dia0_utt1.wav", None, "dia0_utt3.wav"]
    assert find_problems(tmp_path / "out") == []
