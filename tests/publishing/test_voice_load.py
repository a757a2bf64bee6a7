"""What a user sees of the voice: load_dataset with nothing but datasets, and the card."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import soundfile
from datasets import Audio
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard

from remelt.publishing import find_problems, publish, shareable, sounds

from .voices import INFO, LEVELS, MEASURES, each_sound, with_voice

SCRIPT = """
import base64, json, sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, *others):
        absent = ("torch", "torchcodec", "tensorflow", "jax", "soundfile", "remelt")
        return None if name.partition(".")[0] in absent else super().find_spec(name, *others)

sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
from datasets import Audio, load_dataset
out = sys.argv[1]
loaded = load_dataset(out)
train = loaded["train"]
found = {"rows": {split: loaded[split].num_rows for split in loaded}, "feature": str(train.features["audio"])}
plain = train.cast_column("audio", Audio(decode=False))
found["sounds"] = [
    row["audio"] and [base64.b64encode(row["audio"]["bytes"]).decode(), row["audio"]["path"]] for row in plain
]
found["others"] = {name: list(train[name]) for name in train.column_names if name != "audio"}
streamed = load_dataset(out, split="train", streaming=True).cast_column("audio", Audio(decode=False))
found["streamed"] = [row["audio"] and row["audio"]["path"] for row in streamed]
found["kept"] = plain.filter(lambda row: row["audio_seconds"] is not None).num_rows
plain.to_parquet(sys.argv[2])
found["again"] = [bool(row["audio"]) for row in load_dataset("parquet", data_files=sys.argv[2], split="train")
                  .cast_column("audio", Audio(decode=False))]
print(json.dumps(found))
"""


def load(out, folder):
    environment = {
        **os.environ,
        "HF_DATASETS_CACHE": str(folder),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(out), str(folder / "copy.parquet")],
        env=environment, capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_it_loads_without_torch(content, tmp_path, monkeypatch):
    # More than one row group and more than one file.
    monkeypatch.setattr(sounds, "ROWS_PER_GROUP", 1)
    monkeypatch.setattr(sounds, "BYTES_PER_SHARD", 15_000)
    spoken = with_voice(content)
    publish(tmp_path / "out", spoken)
    assert len(list((tmp_path / "out" / "data").glob("train-*"))) > 1
    assert find_problems(tmp_path / "out") == []
    found = load(tmp_path / "out", tmp_path)
    assert found["rows"] == {"train": 4, "test": 1}
    assert found["feature"].startswith("Audio(sampling_rate=16000, decode=True")
    expected = [sound for name, sound in each_sound(spoken) if name in found["others"]["id"]]
    decoded = [s and (base64.b64decode(s[0]), s[1]) for s in found["sounds"]]
    assert decoded == expected
    lengths = [s and soundfile.info(io.BytesIO(s[0])).duration for s in decoded]
    assert lengths == found["others"]["audio_seconds"] == [0.5, 0.75, None, 1.25]
    assert found["streamed"] == [s and s[1] for s in expected]
    assert (found["kept"], found["again"]) == (3, [True, True, False, True])
    assert found["others"][LEVELS[0]] == ["low", "mid", None, "low"]
    assert found["others"][MEASURES[1]] == [0.25, 0.25, None, None]


@pytest.fixture(scope="module")
def card(content, tmp_path_factory):
    out = tmp_path_factory.mktemp("card") / "out"
    publish(out, with_voice(content))
    return (out / "README.md").read_text("utf-8")


def test_the_front_matter_has_the_audio_feature(card):
    infos = DatasetInfosDict.from_dataset_card_data(DatasetCard(card).data)
    assert infos["default"].features["audio"] == Audio(sampling_rate=16_000)
    assert list(infos["default"].features)[-1] == "audio"
    assert "size_categories:\n- n<1K" in card


@pytest.mark.parametrize(
    "text",
    [
        "| `audio` | Audio (16000 Hz) |",
        "`audio` holds each utterance's sound as FLAC (16,000 Hz, mono, 16 bit)",
        "4 of 5 rows have one, 0.00 hours in all.",
        "They are passed on under its licence (GPL-3.0), whatever the licence of remelt",
        "> **Do not share this dataset as it is.** The licence of MELD (GPL-3.0) is not known to allow",
        "measured by `toy` (version: 1.2; licence: Toy licence) on the sound at 16 kHz. Columns: `f0_sem",
        "> **Licence of the measurements.** For research only, values included.",
        "`pitch_level`, from `f0_semitone_mean`: 2 low, 1 mid, 1 high, 1 without. Low is at or below",
        "| sex | female | 40 | 31.23 | 35 |",
        "`transcript` is what a recogniser heard (4 rows), not the corpus's words, which are `text`. "
        "Source: asr/toy, model `toy-tiny`.",
        '"beam": 1',
        "| `clipped` | 1 |\n| `clip_missing` | 1 |\n\n- All clips have the same peak.",
        'for row in dataset["train"].cast_column("audio", Audio(decode=False)):',
    ],
)
def test_the_card_says(card, text):
    assert text in card


def test_the_card_of_a_free_corpus_warns_of_nothing(content, tmp_path):
    free = replace(content, corpus={**content.corpus, "name": "own", "licence": "CC BY-NC-SA 4.0"})
    publish(tmp_path / "out", with_voice(free, info={"audio": "flac"}, levels=(), measures=(), rows={}))
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "passed on under its licence (CC BY-NC-SA 4.0)" in card
    assert "Do not share" not in card
    assert "### Measurements" not in card
    assert "### Levels" not in card
    assert "No kept row has a fault of the sound" in card


def test_the_limits_of_many_speakers_are_left_to_the_manifest(content, tmp_path):
    groups = [{"kind": "speaker", "name": f"S{n}", "n": 30, "low": n, "high": n + 1.0} for n in range(40)]
    publish(tmp_path / "out", with_voice(content, info=INFO | {"bins": {"pitch_level": {"groups": groups}}}))
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "| speaker | S11 | 30 | 11 | 12 |" in card
    assert "S12" not in card.partition("## Known limits")[0]
    assert "28 more are in `manifest.json`" in card


def test_a_card_of_words_alone_says_nothing_of_a_voice(built):
    card = (built / "README.md").read_text("utf-8")
    assert "## Voice" not in card
    assert "decode=False" not in card


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC BY 4.0", True), ("ODbL 1.0", True), ("CC0-1.0", True), ("MIT", True), ("Apache-2.0", True),
        ("GPL-3.0", False), ("", False), ("unknown", False), ("IEMOCAP data release form", False),
    ],
)  # fmt: skip
def test_which_licences_let_recordings_be_passed_on(licence, expected):
    assert shareable(licence) is expected
