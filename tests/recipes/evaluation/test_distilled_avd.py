"""Arousal, valence and dominance: every variant on a tiny corpus, what is frozen, loudness, other words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import audmetric
import numpy as np
import pytest
import torch

from remelt.errors import InputError
from remelt.evaluation.predictions import Predictions
from remelt.recipes.evaluation.base import Setup, Trial
from remelt.recipes.evaluation.distilled import stores, training
from remelt.recipes.evaluation.distilled.options import Settings
from remelt.recipes.evaluation.distilled.rows import condition, folds, splits, usable
from remelt.recipes.evaluation.distilled.targets import with_targets
from remelt.recipes.evaluation.kept import folder_of
from remelt.recipes.evaluation.systems import distilled_avd
from remelt.recipes.reporting import Reporter

from ...evaluation.encoders import tiny_encoders
from .ratings import rated, without
from .utterances import setup_of

DIMENSIONS = ("arousal", "valence", "dominance")
TRAINING = {"epochs": 2, "batch_size": 6, "monitor": "ccc", "keep": "best", "optimizer": "adam"}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("encoders")
    speech = tiny_encoders.save(folder / "speech", tiny_encoders.SPEECH["hubert"], {"sampling_rate": 16_000})
    return str(speech), str(tiny_encoders.save_words(folder / "text", tiny_encoders.TEXT["bert"]))


def run(setup: Setup) -> dict[Trial, Sequence[Predictions]]:
    found = {}
    for trial in distilled_avd.trials(setup):
        folder = folder_of(setup.options.out, trial)
        found[trial] = distilled_avd.execute(trial, setup, folder, Reporter())
    return found


def made(tmp_path: Path, encoders: tuple[str | None, str | None], **settings: Any) -> Setup:
    values = {"hidden": 8, "layers_encoder": encoders[0], **settings}
    return setup_of(tmp_path, rated(), Settings(**values), encoders=encoders, training=TRAINING)


@pytest.mark.parametrize("tuned", [True, False])
def test_every_variant_runs_and_its_analyses(tmp_path: Path, encoders: tuple[str, str], tuned: bool) -> None:
    # The encoder of `layers` is frozen in any case.
    variants = ("audio", "audio_text", "audio_text_frozen", *(() if tuned else ("layers",)))
    setup = made(tmp_path, encoders, variants=variants, speech_tuned=tuned, text_tuned=tuned)
    found = run(setup)
    names = [*variants[:3], *(f"layers_{name}" for name in DIMENSIONS if not tuned)]
    assert [trial.variant for trial in found] == names
    for trial, predictions in found.items():
        assert trial.condition == "ratings"
        tests = ["test1", "test2"]
        if "text" in trial.variant:
            tests = ["test1", "test1+base", "test1+tiny", "test2", "test2+base", "test2+tiny"]
        assert [one.test for one in predictions] == tests
        for one in predictions:
            assert one.scores.shape == one.reference.shape == (len(one.ids), len(one.dimensions))
            assert np.isfinite(one.scores).all()
            assert all(row.split("/")[1] == one.test.partition("+")[0] for row in one.ids)
    (tmp_path / "analyses").mkdir()
    analyses = {one.name: one for one in distilled_avd.analyse(setup, found, tmp_path / "analyses")}
    layers = [] if tuned else ["layer_importance"]
    assert list(analyses) == ["sizes", "text_gains", *layers, "asr_robustness"]
    _check_scores(found, analyses["sizes"].data)
    if not tuned:
        _check_layers(analyses["layer_importance"].data)
        assert (tmp_path / (analyses["layer_importance"].figure or "")).is_file()
    _check_words(analyses["asr_robustness"].data)


def _check_scores(found: dict[Trial, Sequence[Predictions]], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        trial = next(trial for trial in found if trial.variant == row["variant"])
        one = next(one for one in found[trial] if one.test == row["test"])
        each = [
            audmetric.concordance_cc(one.reference[:, k], one.scores[:, k].astype(float)) for k in range(3)
        ]
        assert [row[f"ccc_{name}"] for name in DIMENSIONS] == pytest.approx(each, abs=1e-4)
        assert row["ccc"] == pytest.approx(np.mean(each), abs=1e-4)
    assert [(row["variant"], row["test"]) for row in rows][:3] == [
        ("audio", "test1"), ("audio", "test2"), ("audio_text", "test1"),
    ]  # fmt: skip
    sizes = {row["variant"]: row["parameters_millions"] for row in rows}
    assert sizes["audio"] < sizes["audio_text"] == sizes["audio_text_frozen"]


def _check_layers(rows: list[dict[str, Any]]) -> None:
    assert [row["layer"] for row in rows] == [0, 1, 2]
    for name in DIMENSIONS:
        assert sum(row[name] for row in rows) == pytest.approx(1, abs=1e-4)


def _check_words(rows: list[dict[str, Any]]) -> None:
    base, tiny = rows[0], rows[1]
    assert (base["variant"], base["test"], base["words"], base["rows"]) == ("audio_text", "test1", "base", 4)
    assert tiny["rows"] == 2
    words = sum(len((row.text or "").split()) for row in rated().examples)
    # One word too many in each of 24 rows.
    assert base["wer_original"] == pytest.approx(24 / words)
    assert base["own_words_ccc"] != base["asr_ccc"]


def test_the_frozen_audio_does_not_move_and_is_the_audio_variants(
    tmp_path: Path, encoders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = made(tmp_path, encoders, variants=("audio", "audio_text_frozen"))
    alone, head = distilled_avd.trials(setup)
    folder = folder_of(tmp_path, alone)
    distilled_avd.execute(alone, setup, folder, Reporter())
    before = (folder / "model.safetensors").read_bytes()
    seen: list[Any] = []
    asked = training.pooled

    def spied(model: Any, batches: Any, device: str) -> Any:
        found = asked(model, batches, device)
        seen.append((model, {k: v.clone() for k, v in model.state_dict().items()}, found, batches))
        return found

    monkeypatch.setattr(training, "pooled", spied)
    distilled_avd.execute(head, setup, folder_of(tmp_path, head), Reporter())
    ((model, weights, vectors, batches),) = seen
    assert (folder / "model.safetensors").read_bytes() == before
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert not any(part.requires_grad for part in model.parameters())
    about = json.loads((folder_of(tmp_path, head) / training.ABOUT).read_text())
    # The new head alone: (32 + 32) * 8 + 8 and 8 * 3 + 3.
    assert about["trained"] == 64 * 8 + 8 + 8 * 3 + 3
    batch = next(batches.ordered())
    with torch.no_grad():
        again = model.audio(batch.speech).numpy()
    for row, key in enumerate(batch.ids):
        np.testing.assert_allclose(vectors[key][0, 0], again[row], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", ["audio", "audio_text"])
@pytest.mark.parametrize("tuned", [True, False])
def test_a_padded_batch_gives_what_single_rows_give(
    tmp_path: Path, encoders: tuple[str, str], variant: str, tuned: bool
) -> None:
    setup = made(tmp_path, encoders, variants=(variant,), speech_tuned=tuned, text_tuned=tuned)
    (trial,) = distilled_avd.trials(setup)
    job = training.Job(trial, setup, splits(trial, setup), tmp_path, Reporter())
    audio = stores.speech(setup, job.materials, encoders[0], tuned, "last")
    text = stores.text(setup, job.rows, encoders[1], tuned, "last") if "text" in variant else None
    torch.manual_seed(0)
    model = training.AudioTextRegressor(audio.side, text.side if text else None).eval()
    parts = training.Parts(model, audio, text)
    test = job.splits[0].test
    with torch.no_grad():
        together = model(next(training._batches(job, parts, test).ordered()))
        single = [model(next(training._batches(job, parts, [row]).ordered())) for row in test]
    assert len({row.text for row in test}) > 1
    torch.testing.assert_close(together, torch.cat(single), rtol=1e-3, atol=1e-4)


def test_loudness_is_learnt_from_features_that_hold_it(tmp_path: Path) -> None:
    """Synthetic ratings: arousal is the level of the noise, which a new clip shows as well."""
    pytest.importorskip("librosa")
    settings = Settings(
        variants=("audio",), dimensions=("arousal",), speech_tuned=False, hidden=32, pooling="mean"
    )
    setup = setup_of(
        tmp_path, rated(72), settings, encoders=("handcrafted", None),
        training={**TRAINING, "epochs": 60, "lr": 0.01, "batch_size": 20},
    )  # fmt: skip
    ((_, predictions),) = run(setup).items()
    assert predictions
    for one in predictions:
        assert audmetric.concordance_cc(one.reference[:, 0], one.scores[:, 0].astype(float)) > 0.9


def test_splits_follow_what_the_rows_say(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, rated(), Settings())
    (found,) = folds(setup).values()
    assert [(split.name, len(split.train), len(split.validation)) for split in found] == [
        ("test1", 12, 4), ("test2", 12, 4),
    ]  # fmt: skip
    whole = without(rated(), split="train")
    by_speaker = folds(setup_of(tmp_path, whole, Settings(folds=0)))
    assert list(by_speaker) == ["s0", "s1", "s2", "s3", "s4"]
    sessions = without(whole, session="a")
    assert list(folds(setup_of(tmp_path, sessions, Settings(folds=0)))) == list(by_speaker)
    two = tuple(replace(row, speaker="ab"[k % 2]) for k, row in enumerate(whole.examples))
    pair = replace(whole, examples=two)
    (first,) = folds(setup_of(tmp_path, pair, Settings()))["a"]
    assert {row.speaker for row in first.test} == {"a"}
    assert {row.speaker for row in (*first.train, *first.validation)} == {"b"}
    assert len(first.validation) == 2
    limited = setup_of(tmp_path, rated(), Settings(), limit=5)
    assert len(splits(Trial("ratings", "audio", "", 0), limited)[0].train) == 5


def test_targets_of_a_table_are_scaled_and_what_is_no_rating_is_refused(tmp_path: Path) -> None:
    rows = rated(6).examples
    path = tmp_path / "mine.csv"
    path.write_text("id,arousal\npodcast/train/0000,1\ntrain/0001,7\n0002,2.5\n", encoding="utf-8")
    found = with_targets(rows, path, ("arousal",), (1.0, 7.0))
    assert [row.targets for row in found] == [
        {"arousal": 0.0}, {"arousal": 1.0}, {"arousal": 0.25}, {}, {}, {},
    ]  # fmt: skip
    setup = setup_of(
        tmp_path, rated(6), Settings(dimensions=("arousal",), targets=str(path)), scale=(1.0, 7.0)
    )
    assert len(usable(setup.material, setup, "human")) == 3
    assert condition(setup.settings).startswith("mine@")
    for text, message in (
        ("id,arousal\n0000,7.5\n", r"mine.csv:2: arousal 7.5 is out of range, expected 1 to 7"),
        ("id,arousal\n0000,nan\n", r"mine.csv:2: arousal nan is out of range"),
        ("id,arousal\n0000,high\n", r"mine.csv:2: bad arousal 'high', expected a number"),
        ("id,arousal\n0000,1\n0000,2\n", r"mine.csv:3: the id '0000' stands there twice"),
        ("id,valence\n0000,1\n", r"there is no column 'arousal', found \['id', 'valence'\]"),
        ("id,arousal\nzz,1\n", r"none of its 1 ids is a row's; they are like 'zz'"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            with_targets(rows, path, ("arousal",), (1.0, 7.0))


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    for changes, message in (
        ({"targets": {}}, r"none of its 24 rows can be used: 24 have no arousal, valence, dominance"),
        ({"has_sound": False}, "24 have no sound"),
        ({"text": " "}, "24 have no words"),
    ):
        setup = setup_of(tmp_path, without(rated(), **changes), Settings(words="human"))
        with pytest.raises(InputError, match=message):
            distilled_avd.trials(setup)
    with pytest.raises(InputError, match="'audio_text' reads: name an encoder with --text"):
        distilled_avd.trials(setup_of(tmp_path, rated(), Settings(), encoders=("x", None)))
    with pytest.raises(InputError, match="Bad variant 'both', expected one of"):
        Settings(variants=("both",))
    with pytest.raises(InputError, match=r"Bad words of podcast-folder 'large', expected one of \['auto'"):
        distilled_avd.trials(setup_of(tmp_path, rated(), Settings(words="large")))


def test_an_encoder_that_knows_the_ratings_already_is_told(tmp_path: Path) -> None:
    name = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
    (told,) = distilled_avd.warnings(setup_of(tmp_path, rated(), Settings(), encoders=(name, "tinybert")))
    assert "is trained on the arousal, valence and dominance of MSP-Podcast already" in told
    assert not distilled_avd.warnings(setup_of(tmp_path, rated(), Settings(), encoders=("hubert-base", None)))
