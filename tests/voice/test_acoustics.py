"""Every backend on sounds whose pitch and loudness are known, and on sounds that have neither."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from remelt.errors import InputError
from remelt.voice import audio
from remelt.voice.acoustics import DEFAULT, FUNCTIONALS, MEASURES, Backend, backends, create, loudness, shs
from remelt.voice.acoustics.base import smoothed

RATE = 16_000
PACKAGES = {"afx": "afx_audio", "opensmile": "opensmile", "shs": "scipy", "swift-f0": "swift_f0"}
F0 = ("f0_semitone_mean", "f0_semitone_std", "f0_semitone_range")


@pytest.fixture(params=list(PACKAGES))
def backend(request: pytest.FixtureRequest) -> Backend:
    pytest.importorskip(PACKAGES[request.param])
    return create(request.param)


def voice(hertz: np.ndarray | float, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    """Twenty harmonics that fall by 6 dB per octave on a pitch contour, float32 (n,)."""
    f0 = np.broadcast_to(hertz, round(seconds * RATE))
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    harmonics = [np.sin(k * phase) / k * (k * f0 < 7000) for k in range(1, 21)]
    return (level * np.sum(harmonics, axis=0)).astype(np.float32)


def semitones(hertz: float) -> float:
    return 12 * float(np.log2(hertz / 27.5))


def test_modules_are_found_by_their_names() -> None:
    assert list(backends()) == sorted(PACKAGES)
    assert DEFAULT in PACKAGES
    pytest.importorskip("scipy")
    assert create().name == create("default").name == DEFAULT


def test_an_unknown_backend_lists_the_choices() -> None:
    with pytest.raises(InputError, match=r"Bad acoustics backend 'praat', .*'default', 'afx', 'opensmile'"):
        create("praat")


@pytest.mark.parametrize(
    ("name", "extra"),
    [("afx", "voice"), ("shs", "voice"), ("swift-f0", "voice"), ("opensmile", "opensmile")],
)
def test_a_missing_package_gives_the_install_line(
    monkeypatch: pytest.MonkeyPatch, name: str, extra: str
) -> None:
    for module in [m for m in sys.modules if m.partition(".")[0] == PACKAGES[name]] or [PACKAGES[name]]:
        monkeypatch.setitem(sys.modules, module, None)
    shs._interpolation.cache_clear()
    with pytest.raises(InputError, match=rf"pip install 'remelt\[{extra}\]'"):
        create(name)


def test_licences_are_told(backend: Backend) -> None:
    assert backend.licence
    assert bool(backend.notice) == (backend.name == "opensmile")
    assert (
        "research" not in backend.licence or "research only" in backend.notice or "research" in backend.notice
    )


@pytest.mark.parametrize("hertz", [80.0, 123.4, 220.0, 415.3])
def test_a_steady_pitch(backend: Backend, hertz: float) -> None:
    found = backend.measure(voice(hertz))
    assert tuple(found) == backend.measures == MEASURES
    assert found["f0_semitone_mean"] == pytest.approx(semitones(hertz), abs=0.15)
    assert found["f0_semitone_std"] == pytest.approx(0.0, abs=0.2)
    assert found["f0_semitone_range"] == pytest.approx(0.0, abs=0.2)
    assert found["voiced_share"] is not None
    assert found["voiced_share"] > 0.9


def test_a_rising_pitch(backend: Backend) -> None:
    """An octave in two seconds: 12 semitones evenly, so 60 % of them between the 20th and 80th percentile."""
    rise = 110 * 2 ** np.linspace(0, 1, 2 * RATE)
    found = backend.measure(voice(rise, 2.0))
    assert found["f0_semitone_mean"] == pytest.approx(semitones(110) + 6, abs=0.3)
    assert found["f0_semitone_range"] == pytest.approx(0.6 * 12, rel=0.05)
    assert found["f0_semitone_std"] == pytest.approx(12 / np.sqrt(12), rel=0.05)


def test_half_of_it_voiced(backend: Backend) -> None:
    found = backend.measure(np.concatenate([voice(150.0, 1.0), np.zeros(RATE, np.float32)]))
    assert found["voiced_share"] == pytest.approx(0.5, abs=0.06)


def test_louder_is_louder_by_the_compression(backend: Backend) -> None:
    """Ten times the amplitude is 10 ** (2 * 0.33) times the loudness."""
    quiet, loud = (backend.measure(voice(150.0, level=level)) for level in (0.01, 0.1))
    assert quiet["loudness_mean"] is not None
    assert loud["loudness_mean"] == pytest.approx(quiet["loudness_mean"] * 10**0.66, rel=0.02)


@pytest.mark.parametrize("samples", [0, 1, 159, 320, 800, 960, 1600])
def test_clips_too_short_to_have_a_pitch(backend: Backend, samples: int) -> None:
    for sound in (np.zeros(samples, np.float32), voice(150.0, samples / RATE)):
        found = backend.measure(sound)
        assert tuple(found) == MEASURES
        if samples < 960:
            assert [found[name] for name in (*F0, "voiced_share")] == [None] * 4


def test_silence_has_no_pitch_and_no_rhythm(backend: Backend) -> None:
    for sound in (np.zeros(RATE, np.float32), np.full(RATE, np.nan, np.float32)):
        found = backend.measure(sound)
        assert [found[name] for name in F0] == [None] * 3
        assert found["voiced_share"] == 0.0
        assert found["loudness_mean"] == pytest.approx(0.0, abs=0.002)
        assert [found[name] for name in ("syllable_rate", "pause_share", "pauses")] == [None] * 3


def test_noise_has_no_pitch_and_no_syllables(backend: Backend) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    found = backend.measure(noise)
    assert [found[name] for name in F0] == [None] * 3
    assert found["voiced_share"] == 0.0
    assert found["syllable_rate"] == 0.0
    assert found["loudness_mean"] is not None
    assert found["loudness_mean"] > 1


def test_single_wrong_samples_change_little(backend: Backend) -> None:
    sound = voice(150.0)
    spoilt = sound.copy()
    spoilt[[500, 9000]] = np.nan, np.inf
    before, after = backend.measure(sound), backend.measure(spoilt)
    assert after["f0_semitone_mean"] == pytest.approx(before["f0_semitone_mean"], abs=0.05)


def test_the_same_twice(backend: Backend) -> None:
    sound = voice(np.linspace(100, 200, RATE)) + np.random.default_rng(1).normal(0, 0.01, RATE)
    assert backend.measure(sound) == backend.measure(sound) == create(backend.name).measure(sound)


def test_five_minutes_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    whole = create().measure(np.tile(voice(np.linspace(100, 200, RATE)), 300))
    assert whole["f0_semitone_mean"] == pytest.approx(semitones(100) + 6.7, abs=0.5)
    assert whole["voiced_share"] == pytest.approx(1.0, abs=0.05)
    sound = np.tile(voice(np.linspace(100, 200, RATE)), 3).astype(np.float64)
    one = shs.contour(sound), loudness.contour(sound)
    monkeypatch.setattr(shs, "_BLOCK", 37)
    monkeypatch.setattr(loudness, "_BLOCK", 41)
    many = shs.contour(sound), loudness.contour(sound)
    for a, b in zip(one, many, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("name", list(PACKAGES))
def test_all_88_functionals_when_asked(name: str) -> None:
    pytest.importorskip(PACKAGES[name])
    afx = pytest.importorskip("afx_audio")
    assert tuple(afx.EGEMAPS_NAMES) == FUNCTIONALS
    backend = create(name, functionals=True)
    found = backend.measure(voice(np.linspace(100, 200, RATE)))
    assert tuple(found) == backend.measures == (*MEASURES, *FUNCTIONALS)
    assert len(FUNCTIONALS) == 88
    assert None not in found.values()
    assert found["F0semitoneFrom27.5Hz_sma3nz_amean"] == pytest.approx(found["f0_semitone_mean"], abs=0.2)
    assert backend.version != create(name).version or name in ("afx", "opensmile")
    assert set(backend.measure(np.zeros(10, np.float32)).values()) == {None}


def test_openSMILE_itself_is_given_unchanged() -> None:
    opensmile = pytest.importorskip("opensmile")
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    sound = voice(np.linspace(100, 200, RATE)) * np.linspace(0.1, 1, RATE, dtype=np.float32)
    expected = smile.process_signal(sound, RATE).iloc[0]
    assert tuple(expected.index) == FUNCTIONALS
    found = create("opensmile", functionals=True).measure(sound)
    for name in FUNCTIONALS:
        assert found[name] == pytest.approx(expected[name], rel=1e-6, abs=1e-9)
    assert found["f0_semitone_mean"] == pytest.approx(expected[FUNCTIONALS[0]], rel=1e-6)
    assert found["f0_semitone_range"] == pytest.approx(
        expected["F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2"], rel=1e-6
    )
    assert found["loudness_mean"] == pytest.approx(expected["loudness_sma3_amean"], rel=1e-6)


def test_loudness_follows_the_formula() -> None:
    """Beside plain loops over bands and bins (Hermansky 1990; Eyben et al. 2016)."""
    pytest.importorskip("scipy")
    sound = np.random.default_rng(2).normal(0, 0.1, 1600)
    mel = [2595 * np.log10(1 + f / 700) for f in (20.0, 8000.0)]
    corners = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(*mel, 28)]
    raw = []
    for start in range(0, len(sound) - 319, 160):
        frame = sound[start : start + 320] * (0.54 - 0.46 * np.cos(2 * np.pi * np.arange(320) / 319))
        power = np.abs(np.fft.fft(frame, 512)[:257]) ** 2
        total = 0.0
        for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
            band = 0.0
            for index, value in enumerate(power):
                m, a, b, c = (np.log(1 + f / 700) for f in (index * 31.25, low, middle, high))
                band += value * max(0.0, min((m - a) / (b - a), (c - m) / (c - b)))
            w = 2 * np.pi * middle
            curve = (w**2 + 56.8e6) * w**4 / ((w**2 + 6.3e6) ** 2 * (w**2 + 0.38e9))
            total += (band * curve / (w**6 / 9.58e26 + 1)) ** 0.33
        raw.append(total)
    padded = [raw[0], *raw, raw[-1]]
    expected = [0.0678 * sum(padded[i : i + 3]) / 3 for i in range(len(raw))]
    np.testing.assert_allclose(loudness.contour(sound), expected, rtol=1e-9)


def test_the_spline_is_scipys() -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    generator = np.random.default_rng(3)
    points = np.concatenate([generator.uniform(0, 39, 100), [0, 39]])
    values = generator.normal(size=40)
    expected = interpolate.CubicSpline(np.arange(40), values, bc_type="natural")(points)
    np.testing.assert_allclose(shs.spline(40, points) @ values, expected, atol=1e-12)


def test_smoothing_leaves_unvoiced_frames_out() -> None:
    contour = np.array([1.0, 3.0, np.nan, 4.0, np.nan, np.nan, 6.0, 9.0])
    expected = [(1 + 1 + 3) / 3, 2.0, np.nan, 4.0, np.nan, np.nan, 7.5, (6 + 9 + 9) / 3]
    np.testing.assert_allclose(smoothed(contour), expected)


def test_the_cheapest_path_is_found() -> None:
    """Beside all paths of a short stretch, one after another."""
    import itertools

    generator = np.random.default_rng(4)
    for _ in range(5):
        octaves = generator.uniform(6, 9, (4, 6))
        costs = generator.normal(0, 1, (4, 6))

        def price(path: tuple[int, ...], octaves: np.ndarray = octaves, costs: np.ndarray = costs) -> float:
            total = sum(costs[t, s] for t, s in enumerate(path) if s < 6)
            for t, (a, b) in enumerate(itertools.pairwise(path)):
                if a < 6 and b < 6:
                    total += 2.0 * abs(octaves[t, a] - octaves[t + 1, b])
                elif a < 6 or b < 6:
                    total += 0.55
            return float(total)

        best = min(itertools.product(range(7), repeat=4), key=price)
        expected = [octaves[t, s] if s < 6 else np.nan for t, s in enumerate(best)]
        np.testing.assert_allclose(shs._path(octaves, costs), expected)


@pytest.mark.slow
def test_the_default_agrees_with_openSMILE_on_real_speech(test_data: Path) -> None:
    """Correlation .99 for F0 and .995 for loudness; 93 % of F0 bins within sex, 97 % of loudness bins."""
    pytest.importorskip("soxr")
    opensmile = pytest.importorskip("opensmile")
    paths = sorted((test_data / "ravdess").rglob("03-01-*.wav"))
    if not paths:
        pytest.skip("no RAVDESS clips")
    clips = [audio.read(path).samples for path in paths]
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    ours = [create().measure(samples) for samples in clips]
    theirs = [smile.process_signal(samples, RATE).iloc[0] for samples in clips]
    pitch, loud = (
        np.array([[row[own] for row in ours], [row[other] for row in theirs]], float)
        for own, other in (("f0_semitone_mean", FUNCTIONALS[0]), ("loudness_mean", "loudness_sma3_amean"))
    )
    assert np.isfinite(pitch).all()
    assert np.corrcoef(pitch)[0, 1] >= 0.99
    assert np.corrcoef(loud)[0, 1] >= 0.995
    sexes = np.array([int(path.stem[-2:]) % 2 for path in paths])
    assert np.mean([same_bins(pitch[:, sexes == sex]) for sex in set(sexes)]) >= 0.93
    assert same_bins(loud) >= 0.97
    # And in openSMILE's own units, not only in proportion.
    assert np.median(np.abs(pitch[0] - pitch[1])) < 0.3
    assert np.median(np.abs(loud[0] / loud[1] - 1)) < 0.02


def same_bins(values: np.ndarray) -> float:
    ours, theirs = (np.digitize(row, np.quantile(row, [0.3, 0.7])) for row in values)
    return float(np.mean(ours == theirs))
