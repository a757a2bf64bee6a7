"""The reader of RAVDESS: on names, and on the real clips of two actors."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from remelt import corpora
from remelt.corpora import ravdess
from remelt.corpora.acted import Aside, Entry
from remelt.corpora.media import FoundFile
from remelt.labels import LABEL_MAPS

from ..clip_folders import fill


def parsed(stem: str) -> Entry | Aside:
    return ravdess.parse(FoundFile(f"Actor_16/{stem}.wav", f"{stem}.wav"))


def test_the_seven_fields() -> None:
    # The example of the corpus's own documentation, as sound: fearful, normal, "Dogs", first, actor 12.
    entry = parsed("03-01-06-01-02-01-12")
    assert isinstance(entry, Entry)
    assert (entry.label, entry.text) == ("fearful", "Dogs are sitting by the door")
    assert (entry.speaker, entry.sex) == ("Actor_12", "female")
    assert entry.attributes == {"intensity": 1.0, "repetition": 1.0}
    other = parsed("03-01-01-01-01-02-23")
    assert isinstance(other, Entry)
    assert (other.label, other.text) == ("neutral", "Kids are talking by the door")
    assert (other.speaker, other.sex, other.attributes["repetition"]) == ("Actor_23", "male", 2.0)


@pytest.mark.parametrize(
    ("stem", "why"),
    [
        ("03-01-09-01-01-01-01", "Bad emotion '09', expected one of ['01', '02', "),
        ("03-01-05-03-01-01-01", "Bad intensity '03', expected one of ['01', '02']"),
        ("03-01-05-01-03-01-01", "Bad statement '03', expected one of ['01', '02']"),
        ("03-01-05-01-01-03-01", "Bad repetition '03', expected one of ['01', '02']"),
        ("03-01-05-01-01-01-25", "Bad actor '25', expected one of ['01', "),
        ("04-01-05-01-01-01-01", "Bad modality '04', expected one of ['01', '02', '03']"),
        ("03-03-05-01-01-01-01", "Bad vocal channel '03', expected one of ['01', '02']"),
        ("03-01-01-02-01-01-01", "neutral with strong intensity, which RAVDESS does not have"),
        ("03-01-05-01-01-01", "not named like 03-01-05-01-02-01-16.wav"),
        ("03-01-05-01-01-01-01 (1)", "not named like 03-01-05-01-02-01-16.wav"),
    ],
)
def test_names_that_cannot_be_read_say_field_value_and_choices(stem: str, why: str) -> None:
    aside = parsed(stem)
    assert isinstance(aside, Aside)
    assert aside.kind == "unknown"
    assert aside.why.startswith(why)


def test_song_and_video_are_left_out_and_told(tmp_path: Path) -> None:
    folder = fill(
        tmp_path / "x",
        [
            "Actor_01/03-01-05-01-01-01-01.wav",
            "Actor_01/03-02-05-01-01-01-01.wav",
            "Actor_01/01-01-05-01-01-01-01.mp4",
            "Actor_01/02-01-05-01-01-01-01.mp4",
            "Actor_01/01-02-05-01-01-01-01.mp4",
        ],
    )
    found = corpora.load(folder)
    assert [u.clip for u in found.utterances] == ["Actor_01/03-01-05-01-01-01-01.wav"]
    assert found.findings["other_recordings"] == 4
    assert "1 file left aside, song (vocal channel 02): Actor_01/03-02-05-01-01-01-01.wav." in found.notes
    assert any("2 files left aside, video with sound (modality 01)" in note for note in found.notes)


def test_every_label_has_a_common_name_or_is_dropped() -> None:
    known = LABEL_MAPS["ravdess"]
    assert set(ravdess.INFO.labels) == set(known.to_common) | known.dropped
    assert set(ravdess.INFO.counts) == set(ravdess.INFO.labels)
    assert sum(ravdess.INFO.counts.values()) == ravdess.INFO.utterances
    # MELT's out-of-domain test has the rest (Jing et al. 2025, section on the test corpora).
    assert sum(n for label, n in ravdess.INFO.counts.items() if label not in known.dropped) == 1248


@pytest.fixture
def real(test_data: Path) -> corpora.Corpus:
    folder = test_data / "ravdess"
    if not folder.is_dir():
        pytest.skip(f"no RAVDESS at {folder}")
    return corpora.load(folder)


def test_the_real_clips_of_two_actors(real: corpora.Corpus) -> None:
    assert real.name == "ravdess"
    assert len(real) == 120
    assert Counter(u.label for u in real.utterances) == {
        label: 8 if label == "neutral" else 16 for label in ravdess.EMOTIONS.values()
    }
    assert Counter((u.speaker, u.sex) for u in real.utterances) == {
        ("Actor_01", "male"): 60,
        ("Actor_02", "female"): 60,
    }
    assert Counter(u.attributes["intensity"] for u in real.utterances) == {1.0: 64, 2.0: 56}
    assert not any(count for counts in real.defects.values() for count in counts.values())
    lengths = [u.clip_duration or 0.0 for u in real.utterances]
    assert 2.5 < min(lengths) < max(lengths) < 5.5


def test_the_length_of_a_real_clip_is_that_of_its_samples(real: corpora.Corpus) -> None:
    import soundfile

    for utterance in real.utterances[::17]:
        samples, rate = soundfile.read(real.folder / str(utterance.clip))
        assert utterance.clip_duration == pytest.approx(len(samples) / rate, abs=1e-6)
