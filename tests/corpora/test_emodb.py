"""The reader of EMO-DB."""

from __future__ import annotations

from pathlib import Path

import pytest

from remelt import corpora
from remelt.corpora import emodb
from remelt.corpora.acted import Aside, Entry
from remelt.corpora.media import FoundFile
from remelt.labels import LABEL_MAPS

from ..clip_folders import fill


def parsed(stem: str) -> Entry | Aside:
    return emodb.parse(FoundFile(f"wav/{stem}.wav", f"{stem}.wav"))


@pytest.mark.parametrize(
    ("stem", "label", "sex", "age", "begins"),
    [
        # The example of the corpus's own page: speaker 03, text a01, Freude.
        ("03a01Fa", "happiness", "male", 31, "Der Lappen"),
        ("16b10Wb", "anger", "female", 31, "Die wird"),
        ("08a05Lc", "boredom", "female", 34, "Das schwarze Stück Papier"),
        ("15b01Ed", "disgust", "male", 25, "Was sind denn das für Tüten"),
        ("09a04Aa", "fear", "female", 21, "Heute"),
        ("10b09Ta", "sadness", "male", 32, "Ich will"),
        ("13a07Nb", "neutral", "female", 32, "In sieben Stunden"),
    ],
)
def test_names(stem: str, label: str, sex: str, age: int, begins: str) -> None:
    entry = parsed(stem)
    assert isinstance(entry, Entry)
    assert (entry.stem, entry.speaker, entry.label, entry.sex) == (stem, stem[:2], label, sex)
    assert entry.attributes == {"age": float(age)}
    assert entry.text.startswith(begins)


@pytest.mark.parametrize(
    ("stem", "why"),
    [
        ("01a01Fa", "Bad speaker '01', expected one of ['03', '08', "),
        ("03a03Fa", "Bad sentence 'a03', expected one of ['a01', 'a02', 'a04', "),
        ("03a01Xa", "Bad emotion 'X', expected one of ['W', 'L', "),
        ("03a01F", "not named like 03a01Fa.wav"),
        ("03a01Faxx", "not named like 03a01Fa.wav"),
    ],
)
def test_names_that_cannot_be_read(stem: str, why: str) -> None:
    aside = parsed(stem)
    assert isinstance(aside, Aside)
    assert aside.why.startswith(why)


def test_laryngograms_of_the_second_release_are_no_clips(tmp_path: Path) -> None:
    found = corpora.load(fill(tmp_path / "x", ["laryngo/03a01Fa.wav", "wav/03a01Fa.wav"]))
    assert [u.clip for u in found.utterances] == ["wav/03a01Fa.wav"]
    assert (found.findings["other_recordings"], found.findings["copies"]) == (1, 0)


def test_five_women_five_men_and_the_published_counts() -> None:
    assert sorted(sex for sex, _ in emodb.SPEAKERS.values()) == ["female"] * 5 + ["male"] * 5
    assert len(emodb.SENTENCES) == 10
    assert sum(emodb.INFO.counts.values()) == emodb.INFO.utterances == 535
    known = LABEL_MAPS["emodb"]
    assert set(emodb.INFO.labels) == set(known.to_common) | known.dropped == set(emodb.INFO.counts)
    assert emodb.INFO.language == "de"
