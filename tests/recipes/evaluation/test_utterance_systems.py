"""MELT's and Feng and Narayanan's systems from material to predictions, with tiny encoders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from remelt.evaluation.batches import UtteranceBatches
from remelt.evaluation.predictions import Predictions
from remelt.recipes.evaluation.base import Setup
from remelt.recipes.evaluation.kept import folder_of
from remelt.recipes.evaluation.reference import linear_baselines
from remelt.recipes.evaluation.systems import melt, transcribe_vote
from remelt.recipes.evaluation.utterances import extra, inputs
from remelt.recipes.evaluation.utterances.settings import VARIANTS, MeltSettings, VoteSettings
from remelt.recipes.reporting import Reporter

from ...evaluation.encoders.tiny_encoders import SPEECH, TEXT, save, save_words
from .utterances import corpus, relabelled, setup_of


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A speech and a text encoder with random weights."""
    folder = tmp_path_factory.mktemp("encoders")
    sound = save(folder / "speech", SPEECH["wav2vec2-base"], {"sampling_rate": 16_000, "do_normalize": True})
    return str(sound), str(save_words(folder / "text", TEXT["bert"]))


def run(system: object, setup: Setup, fold: str | None = None) -> dict[object, list[Predictions]]:
    """The trials of a system (of one fold), each in its folder."""
    found = {}
    for trial in system.trials(setup):  # type: ignore[attr-defined]
        if fold not in (None, trial.fold):
            continue
        folder = folder_of(setup.options.out, trial)
        folder.mkdir(parents=True)
        found[trial] = list(system.execute(trial, setup, folder, Reporter()))  # type: ignore[attr-defined]
    return found


def test_melt_trains_a_head_for_each_corpus(tmp_path: Path, encoders: tuple[str, str]) -> None:
    material = relabelled(corpus(sessions=2, splits=("train",)))
    tests = {"other": corpus("other", each=1, sessions=1)}
    setup = setup_of(tmp_path, material, MeltSettings(width=16), tests=tests, encoders=encoders)
    results = run(melt, setup)
    assert [(trial.condition, trial.fold) for trial in results] == [("old", "other"), ("new", "other")]
    for (found,) in results.values():
        assert found.test == "other"
        assert found.ids == tuple(row.id for row in tests["other"].examples)
        np.testing.assert_allclose(found.scores.sum(axis=1), 1, rtol=1e-5)
        assert [found.labels[k] for k in found.reference] == list(tests["other"].labels["old"].values())
    folder = tmp_path / "analyses"
    folder.mkdir()
    layers, counts = melt.analyse(setup, results, folder)  # type: ignore[arg-type]
    assert (tmp_path / str(layers.figure)).read_text(encoding="utf-8").startswith("<?xml")
    by_line: dict[str, float] = {}
    for row in layers.data:
        by_line[row["trained under"]] = by_line.get(row["trained under"], 0) + row["weight"]
    assert by_line == {"old": pytest.approx(1, abs=1e-3), "new": pytest.approx(1, abs=1e-3)}
    assert [row["rows"] for row in counts.data] == [32, 32]
    assert {row["joy"] for row in counts.data} != {8}


def test_means_over_time_are_the_same_as_all_steps(tmp_path: Path, encoders: tuple[str, str]) -> None:
    """Clips shorter than the crop: the model on their means has the scores of the model on their steps."""
    material = corpus(sessions=2)
    scores = []
    for name, seconds in (("steps", 5.0), ("means", 0.0)):
        settings = MeltSettings(width=16, dropout=0.0, crop_seconds=seconds, inside="sessions")
        # One batch an epoch: which rows share a batch depends on their lengths.
        training = {"batch_size": 64}
        setup = setup_of(tmp_path / name, material, settings, encoders=encoders, training=training)
        (found,) = run(melt, setup, "own-Session1").values()
        scores.append(found[0].scores)
    np.testing.assert_allclose(scores[0], scores[1], atol=2e-3)


def test_crops_have_the_asked_length(tmp_path: Path, encoders: tuple[str, str]) -> None:
    setup = setup_of(tmp_path, corpus(sessions=1), MeltSettings(), encoders=encoders)
    assert inputs.steps_of(setup, 0.0, tuned=False) is None
    assert inputs.steps_of(setup, 0.1, tuned=True) == 1_600
    steps = inputs.steps_of(setup, 0.1, tuned=False)
    # wav2vec 2.0: one step per 320 samples, of windows of 400.
    assert steps == (1_600 - 400) // 320 + 1
    rows = setup.material.examples
    assert setup.material.sounds is not None
    given = inputs.speech(setup, rows, setup.material.sounds, False)
    labelled = [replace(row, label=setup.material.labels["old"][row.id]) for row in rows]
    batches = UtteranceBatches(
        labelled, given.store, None, ("anger", "joy", "neutral", "sadness"), crop_steps=steps
    )
    longest = [int(b.speech.lengths.max()) for b in batches.epoch(1) if b.speech is not None]
    assert max(longest) == steps


@pytest.mark.parametrize("modality", ["speech", "text"])
def test_melt_tunes_the_transformer(tmp_path: Path, encoders: tuple[str, str], modality: str) -> None:
    settings = MeltSettings(
        modality=modality, backbone="tuned", width=16, crop_seconds=0.1, inside="sessions"
    )
    setup = setup_of(
        tmp_path, corpus(each=1, sessions=2), settings, encoders=encoders, training={"epochs": 1}
    )
    results = run(melt, setup, "own-Session2")
    assert {found.test for (found,) in results.values()} == {"folds-old"}
    assert all(np.isfinite(found.scores).all() for (found,) in results.values())


def test_vote_runs_all_variants_on_either_words(
    tmp_path: Path, encoders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    more = corpus("more", each=1, sessions=1)
    monkeypatch.setattr(extra, "_read", {"more": more}.__getitem__)
    material = corpus(each=1, sessions=3)
    material = replace(material, transcripts={"asr": {row.id: "a b" for row in material.examples}})
    settings = VoteSettings(width=16, heads=2, augment="more", max_seconds=0.2)
    setup = setup_of(tmp_path, material, settings, encoders=encoders, training={"epochs": 1, "keep": "best"})
    results = run(transcribe_vote, setup, "Session1")
    assert len(results) == 2 * len(VARIANTS)
    tested = {row.id for row in material.examples}
    for trial, predictions in results.items():
        assert len(predictions) == (1 if trial.variant == VARIANTS[0] else 2)  # type: ignore[attr-defined]
        for one in predictions:
            assert set(one.ids) <= tested
    folder = tmp_path / "analyses"
    folder.mkdir()
    found = {one.name: one for one in transcribe_vote.analyse(setup, results, folder)}  # type: ignore[arg-type]
    assert set(found) == {"words", "augmentation", "layers", "class_counts"}
    assert {row["rows"] for row in found["words"].data} == {8}
    assert [row["compared"] for row in found["words"].data if row["labels"] == "old"] == [
        "speech -> speech_text_human",
        "speech_text_human: its own words -> asr words",
        "speech -> speech_text_asr",
        "speech_text_human -> speech_text_asr",
        "speech_text_asr: its own words -> human words",
    ]
    assert {row["labels"] for row in found["augmentation"].data} == {"old"}
    trial, one = next((t, p[0]) for t, p in results.items() if t.condition.endswith("+more"))  # type: ignore[attr-defined]
    whole = replace(setup, added=tuple(transcribe_vote.added(setup)))
    linear = linear_baselines(whole, transcribe_vote.splits(trial, setup)[one.test], one, Reporter())  # type: ignore[arg-type]
    # The rows that were added are heard too.
    assert set(linear) == {f"linear model on {name}" for name in encoders}
    weights = json.loads(next(tmp_path.rglob("layers.json")).read_text(encoding="utf-8"))
    assert all(sum(layers) == pytest.approx(1, abs=1e-5) for layers in weights.values())
