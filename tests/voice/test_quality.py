"""What is said of a clip: bad files of every kind, the numbers of good ones, peak-normalised corpora."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from remelt.voice.audio import Source
from remelt.voice.quality import FLAGS, SOUNDLESS, Quality, examine, peak_normalised, silence

from ..bad_audio import KINDS, Bad, encoded, make, tone

pytest.importorskip("av")
pytest.importorskip("soxr")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make(tmp_path_factory.mktemp("bad"))


@pytest.mark.parametrize("bad", KINDS, ids=lambda bad: bad.name)
def test_every_bad_clip_gets_its_flags(clips: dict[str, Path], bad: Bad) -> None:
    source = Source(clips[bad.name], bad.start, bad.end)
    sound, quality = examine(source, stated_seconds=bad.seconds, words=len(bad.text.split()))
    assert quality.flags == bad.flags
    assert quality.usable == SOUNDLESS.isdisjoint(bad.flags) == (sound is not None)
    if sound is None:
        assert str(clips[bad.name]) in quality.detail
        assert quality == Quality(flags=bad.flags, detail=quality.detail)
    else:
        assert np.isfinite(sound.samples).all()
        assert quality.seconds == pytest.approx(sound.seconds, abs=1e-6)


def test_every_flag_is_tested() -> None:
    assert {flag for bad in KINDS for flag in bad.flags} == set(FLAGS)
    assert set(FLAGS) > SOUNDLESS


def test_truncated_clips_give_what_there_is(clips: dict[str, Path]) -> None:
    for name, whole in (("truncated.wav", 2), ("truncated.flac", 4), ("truncated_index_first.mp4", 2)):
        sound, _ = examine(clips[name])
        assert sound is not None
        assert whole / 5 < sound.seconds < whole * 3 / 5
        assert np.abs(sound.samples - tone(whole)[: len(sound.samples)]).max() < 0.05


def test_numbers_of_a_clip(tmp_path: Path) -> None:
    left = np.concatenate([np.zeros(8000), tone(2), np.zeros(4000)]).astype(np.float32)
    left[20_000:20_100] = 1
    samples = np.stack([left, np.zeros_like(left)], axis=1)
    path = tmp_path / "x.wav"
    path.write_bytes(encoded(samples, "WAV", "FLOAT"))
    _, quality = examine(path)
    assert (quality.seconds, quality.rate, quality.channels) == (2.75, 16_000, 2)
    assert quality.peak_db == 0
    mono = samples.mean(axis=1, dtype=np.float64)
    assert quality.rms_db == pytest.approx(10 * np.log10(np.mean(mono**2)), abs=1e-3)
    assert quality.clipped_share == 100 / 44_000
    assert quality.flags == ("clipped",)
    # The tone itself begins and ends softly.
    assert quality.leading_silence == pytest.approx(0.5, abs=0.02)
    assert quality.trailing_silence == pytest.approx(0.25 + 1 / 6, abs=0.05)


def test_silence_at_the_ends() -> None:
    burst = np.concatenate([np.full(1600, 1e-4), np.full(800, 0.5), np.full(330, 1e-4)]).astype(np.float32)
    assert silence(burst, 16_000) == (0.1, 0.020625)
    assert silence(np.zeros(1600, np.float32), 16_000) == (0.1, 0.1)


@pytest.mark.parametrize(
    ("seconds", "stated", "words", "flags"),
    [
        (2.0, 2.25, 4, ()),
        (2.0, 1.75, 4, ()),
        (2.0, 2.26, 4, ("length_differs",)),
        (2.0, 0.0, 4, ("length_differs",)),
        (1.0, None, 8, ()),
        (1.0, None, 9, ("too_many_words",)),
        (10.0, None, 1, ()),
        (10.5, None, 3, ()),
        (10.5, None, 2, ("too_few_words",)),
        (10.5, None, 0, ()),
        (10.5, None, None, ()),
    ],
)  # fmt: skip
def test_signs_of_a_wrong_cut(
    tmp_path: Path, seconds: float, stated: float | None, words: int | None, flags: tuple[str, ...]
) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(encoded(tone(seconds)))
    assert examine(path, stated_seconds=stated, words=words)[1].flags == flags


def test_full_scale_of_8_bits_is_full_scale(tmp_path: Path) -> None:
    for subtype in ("PCM_U8", "ULAW", "PCM_16", "PCM_24"):
        path = tmp_path / "x.wav"
        path.write_bytes(encoded(np.clip(tone(level=2), -1, 1), "WAV", subtype))
        assert examine(path)[1].flags == ("clipped",), subtype
        path.write_bytes(encoded(np.clip(tone(level=2), -0.95, 0.95), "WAV", subtype))
        assert examine(path)[1].flags == (), subtype


def test_real_clips_are_sound_and_not_normalised(test_data: Path, tmp_path: Path) -> None:
    paths = sorted((test_data / "ravdess").rglob("*.wav"))[::3]
    found = [examine(path, words=6)[1] for path in paths]
    assert {quality.flags for quality in found} == {()}
    spread = peak_normalised(quality.peak_db for quality in found)
    assert spread.clips == 40
    assert spread.std_db == pytest.approx(np.std([quality.peak_db for quality in found]), abs=1e-3)
    assert spread.std_db > 5
    assert spread.normalised is False
    levelled = []
    for number, path in enumerate(paths):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        loudest = np.abs(samples).max()
        soundfile.write(tmp_path / "x.wav", samples / loudest * (0.7 + 0.005 * number), rate)
        levelled.append(examine(tmp_path / "x.wav")[1].peak_db)
    assert peak_normalised(levelled).normalised is True


def test_few_clips_decide_nothing() -> None:
    assert peak_normalised([-3.0] * 19).normalised is None
    assert peak_normalised([-3.0] * 20).normalised is True
    assert peak_normalised([-3.0] * 20 + [None, -80.0]).clips == 20
    assert peak_normalised([None]) == peak_normalised([])
