"""Computed features against plain statements of their formulas, on sounds small enough to see through."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.signal.windows import hann

from remelt.errors import InputError
from remelt.evaluation import encoders
from remelt.evaluation.encoders import classical

RATE = 16_000


def voice(seconds: float = 0.6, seed: int = 0) -> NDArray[np.float32]:
    """A tone of 150 Hz with harmonics and noise, then a pause."""
    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    tone = sum(np.sin(2 * np.pi * 150 * n * time) / n for n in range(1, 8))
    noise = np.random.default_rng(seed).normal(0, 0.05, count)
    return np.asarray(0.2 * tone * (time < 0.7 * seconds) + noise * (time < 0.8 * seconds), np.float32)


def features(name: str, samples: NDArray[np.float32]) -> NDArray[np.float64]:
    found = classical.create(name).encode([samples])[0]
    assert found.dtype == np.float16
    assert found.shape[0] == 1
    return found[0].astype(np.float64)


def frames_of(samples: NDArray[np.float32], size: int = 2048, hop: int = 512) -> NDArray[np.float64]:
    padded = np.pad(samples.astype(np.float64), size // 2)
    return np.stack([padded[start : start + size] for start in range(0, len(padded) - size + 1, hop)])


def test_handcrafted_against_their_formulas() -> None:
    samples = voice()
    wide = samples.astype(np.float64)
    rms = np.array([np.sqrt(np.mean(frame**2)) for frame in frames_of(samples)])
    limit = 0.45 * np.mean(np.abs(wide))
    clipped = [s - limit if s > limit else s + limit if s < -limit else 0.0 for s in wide]
    correlated = np.correlate(clipped, clipped, mode="full")[len(clipped) - 1 :]
    found = dict(zip(classical.HANDCRAFTED, features("handcrafted", samples)[0], strict=True))
    expected = {
        "mean_abs": np.mean(np.abs(wide)),
        "std": np.sqrt(np.mean((wide - wide.mean()) ** 2)),
        "rms_mean": rms.mean(),
        "rms_std": rms.std(),
        "pause_share": sum(value <= 0.4 * rms.mean() for value in rms) / len(rms),
        "autocorrelation_max": 1000 * max(correlated) / len(wide),
        "autocorrelation_std": np.std(correlated),
    }
    assert 0 < found["pause_share"] < 1
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=2e-3), name


def test_the_harmonic_part_is_the_tone_and_not_the_click() -> None:
    time = np.arange(RATE) / RATE
    # A mean is left of the tone where its wave is lopsided.
    tone = np.asarray(0.1 + 0.1 * np.sin(2 * np.pi * 200 * time), np.float32)
    clicks = np.zeros(RATE, np.float32)
    clicks[::4000] = 0.9
    harmonic = classical.HANDCRAFTED.index("harmonic_mean")
    assert features("handcrafted", tone)[0, harmonic] == pytest.approx(100, rel=0.05)
    assert abs(features("handcrafted", clicks)[0, harmonic]) < 0.05


def test_mfcc_against_their_formula() -> None:
    samples = voice()
    spectra = np.abs(np.fft.rfft(frames_of(samples) * hann(2048, sym=False), axis=1)) ** 2
    import librosa

    bands = spectra @ librosa.filters.mel(sr=RATE, n_fft=2048, n_mels=128).T.astype(np.float64)
    power = 10 * np.log10(np.maximum(bands, 1e-10))
    cepstra = dct(np.maximum(power, power.max() - 80), type=2, norm="ortho", axis=1)[:, :39]
    np.testing.assert_allclose(features("mfcc", samples), cepstra, rtol=2e-3, atol=0.02)
    np.testing.assert_allclose(
        features("mfcc-mean", samples), cepstra.mean(axis=0)[None], rtol=2e-3, atol=0.02
    )
    with_differences = features("mfcc-delta", samples)
    assert with_differences.shape == (len(cepstra), 39)
    np.testing.assert_allclose(with_differences[:, :13], cepstra[:, :13], rtol=2e-3, atol=0.02)
    # The slope of a straight line through nine frames.
    weights = np.arange(-4, 5) / 60
    slope = sum(
        w * cepstra[4 + n : len(cepstra) - 4 + n, :13] for n, w in zip(range(-4, 5), weights, strict=True)
    )
    np.testing.assert_allclose(with_differences[4:-4, 13:26], slope, rtol=5e-3, atol=0.02)
    assert features("mfcc-delta-mean", samples).shape == (1, 39)


@pytest.mark.parametrize(
    ("name", "columns"),
    [("gemaps", 62), ("egemaps", 88), ("gemaps-afx", 62), ("egemaps-afx", 88), ("gemaps-lld-mean", 18)],
)
def test_functionals_have_the_published_number_of_columns(name: str, columns: int) -> None:
    pytest.importorskip("afx_audio" if name.endswith("afx") else "opensmile")
    made = classical.create(name)
    assert (made.width, len(set(made.columns))) == (columns, columns)
    assert made.encode([voice()])[0].shape == (1, 1, columns)
    assert bool(made.notices) != name.endswith("afx")


def test_gemaps_is_what_opensmile_gives_and_afx_has_its_names() -> None:
    opensmile = pytest.importorskip("opensmile")
    smile = opensmile.Smile(opensmile.FeatureSet.GeMAPSv01b, opensmile.FeatureLevel.Functionals)
    expected = smile.process_signal(voice(), RATE)
    np.testing.assert_allclose(features("gemaps", voice()), expected.to_numpy(), rtol=1e-3, atol=1e-5)
    pytest.importorskip("afx_audio")
    assert classical.create("gemaps-afx").columns == tuple(expected.columns)
    assert "research only" in classical.create("gemaps").notices[0]


def test_joined_features_are_the_parts_side_by_side() -> None:
    pytest.importorskip("opensmile")
    parts = [features(name, voice()) for name in ("mfcc-mean", "handcrafted", "gemaps")]
    joined = features("alqurashi", voice())
    assert joined.shape == (1, 39 + 8 + 62)
    np.testing.assert_array_equal(joined, np.concatenate(parts, axis=1))


@pytest.mark.parametrize("samples", [1, 100, 800, 1000, 1300, 3000])
@pytest.mark.parametrize("silent", [True, False])
def test_short_and_silent_clips_have_finite_features(samples: int, silent: bool) -> None:
    # Memory that was used before: librosa's inverse transform leaves short sounds unfilled.
    for size in (samples, samples + 2048, 4096):
        np.full(size, np.nan, np.float32)
    sound = np.zeros(samples, np.float32) if silent else voice(1.0)[:samples]
    names = ["mfcc", "mfcc-delta", "handcrafted"]
    for name, module in (("gemaps", "opensmile"), ("egemaps", "opensmile"), ("egemaps-afx", "afx_audio")):
        try:
            __import__(module)
        except ImportError:
            continue
        names.append(name)
    for name in names:
        found = features(name, sound)
        assert np.isfinite(found).all(), name
        np.testing.assert_array_equal(found, features(name, sound))
    assert classical.create("mfcc").remark(sound) == ""
    if "gemaps" in names:
        told = classical.create("gemaps").remark(sound)
        assert told == ("filled up to 60 ms" if samples < 960 else "")


def test_a_clip_is_computed_by_itself() -> None:
    made = classical.create("mfcc")
    both = made.encode([voice(0.3), voice(0.9, seed=1)])
    assert [each.shape for each in both] == [(1, 10, 39), (1, 29, 39)]
    np.testing.assert_array_equal(both[0], made.encode([voice(0.3)])[0])


def test_the_identity_knows_features_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    before = classical.create("mfcc").identity
    assert before == classical.create("mfcc").identity
    assert before != classical.create("mfcc-mean").identity
    monkeypatch.setattr(classical, "version", lambda name: "99.0")
    assert classical.create("mfcc").identity != before


def test_they_are_speech_encoders_by_name() -> None:
    found = encoders.create("mfcc-mean+handcrafted", "speech")
    assert (found.kind, found.layers, found.width) == ("speech", 1, 47)
    with pytest.raises(InputError, match="no weights to train"):
        found.tunable()
    with pytest.raises(InputError, match="no weights to train"):
        found.inputs([voice()])


def test_bad_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="Bad classical features 'mfc', expected one of"):
        classical.create("mfc")
    with pytest.raises(InputError, match="'mfcc' has a step per frame"):
        classical.create("mfcc+handcrafted")
    made = classical.create("mfcc")
    for sound in (np.zeros(0, np.float32), np.array([0.1, np.nan], np.float32), np.zeros((2, 4), np.float32)):
        with pytest.raises(InputError, match="one finite sample or more"):
            made.encode([sound])
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(InputError, match=r"pip install 'remelt\[opensmile\]'.*research only"):
        classical.create("egemaps")
    monkeypatch.setitem(sys.modules, "afx_audio", None)
    with pytest.raises(InputError, match="pip install afx-audio"):
        classical.create("gemaps-afx")


def test_anger_is_louder_on_real_clips(test_data: Path) -> None:
    from remelt.voice import audio

    def loud(emotion: str) -> float:
        clips = sorted((test_data / "ravdess" / "Actor_01").glob(f"03-01-{emotion}-*-01-01-01.wav"))
        sounds = [audio.read(clip).samples for clip in clips]
        rows = np.stack([found[0, 0] for found in classical.create("handcrafted").encode(sounds)])
        return float(rows[:, classical.HANDCRAFTED.index("rms_mean")].astype(np.float64).mean())

    assert loud("05") > 3 * loud("01")
