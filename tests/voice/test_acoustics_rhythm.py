"""Syllables and pauses on trains of syllables whose number and times are known, and on real sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from remelt.voice import audio
from remelt.voice.acoustics import create, rhythm, shs

pytest.importorskip("scipy")
RATE = 16_000


def train(count: int, rate: float, pauses: dict[int, float] | None = None, edge: float = 0.5) -> np.ndarray:
    """Syllables as vowel-like bursts with dips of about 20 dB between them, and silence around it all.

    Args:
        count: of syllables.
        rate: per second.
        pauses: syllable -> seconds of silence after it.
        edge: seconds of silence before and after.
    """
    length = round(RATE / rate)
    time = np.arange(length) / length
    parts = [np.zeros(round(edge * RATE))]
    for syllable in range(count):
        parts.append(0.1 + 0.9 * np.sin(np.pi * time) ** 2)
        parts.append(np.zeros(round((pauses or {}).get(syllable, 0.0) * RATE)))
    envelope = np.concatenate([*parts, np.zeros(round(edge * RATE))])
    phase = 2 * np.pi * 140 * np.arange(len(envelope)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 15))
    noise = np.random.default_rng(0).normal(0, 1e-4, len(envelope))
    return (0.1 * envelope * voice + noise).astype(np.float32)


@pytest.mark.parametrize("rate", [2.0, 3.0, 4.0, 5.0, 6.5])
@pytest.mark.parametrize("count", [4, 11])
def test_the_syllables_of_a_train(rate: float, count: int) -> None:
    found = create().measure(train(count, rate))
    assert found["syllable_rate"] == pytest.approx(rate, rel=0.08)
    assert found["pauses"] == 0.0
    assert found["pause_share"] == 0.0


def test_silence_around_the_speech_changes_nothing() -> None:
    rates = {create().measure(train(8, 4.0, edge=edge))["syllable_rate"] for edge in (0.0, 0.5, 3.0)}
    assert max(rates) - min(rates) < 0.1  # type: ignore[operator]


def test_nuclei_lie_in_the_middle_of_the_syllables() -> None:
    sound = train(5, 2.5).astype(np.float64)
    found = rhythm.measure(sound, np.isfinite(shs.contour(sound)), 0.03, 0.01)
    assert found is not None
    np.testing.assert_allclose(found.nuclei, 0.5 + (np.arange(5) + 0.5) / 2.5, atol=0.03)


@pytest.mark.parametrize(("pause", "counted"), [(0.15, 0), (0.4, 1), (1.0, 1)])
def test_pauses_from_a_quarter_of_a_second(pause: float, counted: int) -> None:
    found = create().measure(train(10, 4.0, {4: pause}))
    assert found["pauses"] == counted
    # The window that measures the level reaches into a silence from both sides.
    share = (pause - 0.03) / (10 / 4.0 + pause) if counted else 0.0
    assert found["pause_share"] == pytest.approx(share, abs=0.03)
    assert found["syllable_rate"] == pytest.approx(10 / (2.5 + pause), rel=0.08)


def test_three_pauses() -> None:
    found = create().measure(train(12, 4.0, {2: 0.5, 5: 0.6, 8: 0.7}))
    assert found["pauses"] == 3


def test_unvoiced_bursts_are_no_syllables() -> None:
    """The same envelope on noise: peaks of intensity without a voice."""
    sound = train(8, 4.0)
    envelope = np.abs(sound) > 0.001
    noise = np.random.default_rng(1).normal(0, 1, len(sound))
    hissed = np.convolve(np.abs(sound), np.ones(400) / 400, mode="same") * noise * envelope
    assert create().measure(hissed.astype(np.float32))["syllable_rate"] == 0.0


def test_a_click_is_no_speech() -> None:
    sound = np.concatenate([np.zeros(RATE), train(6, 4.0)]).astype(np.float32)
    sound[100:200] = 0.9
    assert create().measure(sound)["syllable_rate"] == pytest.approx(4.0, rel=0.1)


def test_the_level_is_in_decibels_of_full_scale() -> None:
    tone = 0.1 * np.sqrt(2) * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    level = rhythm.intensity(tone)
    assert len(level) == 100
    np.testing.assert_allclose(level[5:95], -20.0, atol=0.05)


@pytest.fixture(scope="module")
def sentences(test_data: Path) -> list[np.ndarray]:
    pytest.importorskip("soxr")
    paths = sorted((test_data / "ravdess").rglob("03-01-*.wav"))[::4]
    if not paths:
        pytest.skip("no RAVDESS clips")
    return [audio.read(path).samples for path in paths]


def test_real_sentences_of_seven_syllables(sentences: list[np.ndarray]) -> None:
    """ "Kids are talking by the door" and "Dogs are sitting by the door" have seven each."""
    counts, rates = [], []
    for samples in sentences:
        sound = samples.astype(np.float64)
        found = rhythm.measure(sound, np.isfinite(shs.contour(sound)), 0.03, 0.01)
        assert found is not None
        counts.append(len(found.nuclei))
        rates.append(found.syllable_rate)
    assert 6.4 < np.mean(counts) < 7.6
    assert np.mean(np.abs(np.array(counts) - 7) <= 1) > 0.85
    assert min(rates) > 1.5
    assert max(rates) < 7.5
