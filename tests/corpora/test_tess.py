"""The reader of TESS, with the slips of the copies that are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from remelt import corpora
from remelt.corpora import tess
from remelt.corpora.acted import Aside, Entry
from remelt.corpora.media import FoundFile
from remelt.labels import LABEL_MAPS

from ..clip_folders import fill, tess_names


def parsed(name: str) -> Entry | Aside:
    return tess.parse(FoundFile(name, name.rpartition("/")[2]))


@pytest.mark.parametrize(
    ("name", "stem", "label", "age"),
    [
        ("OAF_angry/OAF_back_angry.wav", "OAF_back_angry", "angry", 64.0),
        ("YAF_pleasant_surprised/YAF_dog_ps.wav", "YAF_dog_ps", "pleasant surprise", 26.0),
        ("OAF_Pleasant_surprise/OAF_dog_ps.wav", "OAF_dog_ps", "pleasant surprise", 64.0),
        ("oaf_neutral/OA_bite_neutral.wav", "OAF_bite_neutral", "neutral", 64.0),
        ("YAF_Back_Fear.WAV", "YAF_back_fear", "fear", 26.0),
        ("YAF_back_pleasant_surprise.wav", "YAF_back_ps", "pleasant surprise", 26.0),
    ],
)
def test_names(name: str, stem: str, label: str, age: float) -> None:
    entry = parsed(name)
    assert isinstance(entry, Entry)
    assert (entry.stem, entry.label, entry.sex) == (stem, label, "female")
    assert entry.attributes == {"age": age}
    assert entry.text == f"Say the word {stem.split('_')[1]}"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("OAF_back_bored.wav", "Bad emotion 'bored', expected one of ['angry', 'disgust', "),
        ("MAF_back_sad.wav", "not named like OAF_back_angry.wav"),
        ("OAF_back.wav", "not named like OAF_back_angry.wav"),
    ],
)
def test_names_that_cannot_be_read(name: str, why: str) -> None:
    aside = parsed(name)
    assert isinstance(aside, Aside)
    assert aside.why.startswith(why)


def test_the_copy_that_holds_everything_twice(tmp_path: Path) -> None:
    names = tess_names()[::7]
    title = "TESS Toronto emotional speech set data"
    folder = fill(
        tmp_path / "archive", [*(f"{title}/{n}" for n in names), *(f"{title}/{title}/{n}" for n in names)]
    )
    found = corpora.load(folder)
    assert len(found) == len(names) == 400
    assert found.findings["copies"] == 400
    assert {str(u.clip).count(title) for u in found.utterances} == {1}


def test_the_misnamed_clip_is_read_as_meant_and_told(tmp_path: Path) -> None:
    found = corpora.load(fill(tmp_path / "x", ["OAF_neutral/OA_bite_neutral.wav"]))
    row = found.utterances[0]
    assert (row.id, row.speaker) == ("tess/train/OAF_bite_neutral", "OAF")
    assert row.clip == "OAF_neutral/OA_bite_neutral.wav"
    assert found.findings["mended_names"] == 1
    assert (
        "1 file with a slip in the name, read as meant: OAF_neutral/OA_bite_neutral.wav is OAF_bite_neutral."
        in found.notes
    )


def test_clips_in_a_wrong_folder_are_told(tmp_path: Path) -> None:
    names = ["OAF_Sad/OAF_back_sad.wav", "OAF_Sad/OAF_bar_angry.wav", "YAF_fear/OAF_base_fear.wav"]
    found = corpora.load(fill(tmp_path / "x", names))
    assert [u.label for u in found.utterances] == ["sad", "angry", "fear"]
    assert (
        "2 clips lie in the folder of another speaker or emotion; their names are believed: "
        "OAF_Sad/OAF_bar_angry.wav, YAF_fear/OAF_base_fear.wav." in found.notes
    )


def test_the_folders_of_the_whole_corpus_are_in_order(tmp_path: Path) -> None:
    found = corpora.load(fill(tmp_path / "x", tess_names()[::50]))
    assert not any("their names are believed" in note for note in found.notes)


def test_every_label_has_a_common_name() -> None:
    assert set(tess.INFO.labels) == set(LABEL_MAPS["tess"].to_common) == set(tess.INFO.counts)
    assert sum(tess.INFO.counts.values()) == tess.INFO.utterances == 2800
