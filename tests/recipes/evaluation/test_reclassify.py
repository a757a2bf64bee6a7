"""Alqurashi et al.'s system from sound and words to decisions, thresholds, tables and new labels."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import recall_score

from remelt.annotators.base import AnnotatorOptions
from remelt.annotators.replay import Replay, create
from remelt.evaluation.predictions import Predictions
from remelt.evaluation.presets import PRESETS, load
from remelt.evaluation.training import loop
from remelt.recipes.evaluation import published
from remelt.recipes.evaluation.base import Analysis, Setup, Trial
from remelt.recipes.evaluation.hierarchy.settings import Settings
from remelt.recipes.evaluation.kept import read_table
from remelt.recipes.evaluation.settings import settings_of, training_of
from remelt.recipes.evaluation.systems import reclassify as system

from ...evaluation.encoders import tiny_encoders
from .hierarchies import corpus, reader, run, setup

Found = dict[Trial, Sequence[Predictions]]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return reader(tmp_path_factory.mktemp("encoders"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, text: str) -> tuple[Setup, Found, dict[str, Analysis]]:
    """Both of the paper's splits and another corpus."""
    given = setup(tmp_path_factory.mktemp("whole") / "own", corpus(), text, split="both")
    given = replace(given, tests={"other": corpus("other", sessions=1, each=2)})
    found = run(given)
    folder = given.options.out / "analyses"
    folder.mkdir(parents=True)
    return given, found, {one.name: one for one in system.analyse(given, found, folder)}


def uar(found: Predictions) -> float:
    return float(recall_score(found.reference, found.predicted, average="macro"))


def test_text_corrects_what_sounds_neutral(whole: tuple[Setup, Found, dict[str, Analysis]]) -> None:
    _, found, _ = whole
    assert [(trial.variant, trial.fold) for trial in found] == [
        ("lstm_s", "dependent"),
        ("lstm_st", "dependent"),
        ("lstm_s", "independent"),
        ("lstm_st", "independent"),
    ]
    by_name = {(t.variant, t.fold): predictions for t, predictions in found.items()}
    for fold, tests in (("dependent", 2), ("independent", 1)):
        speech, both = by_name["lstm_s", fold], by_name["lstm_st", fold]
        assert len(speech) == len(both) == tests
        assert speech[0].test == both[0].test == f"test_{fold}"
        assert speech[0].ids == both[0].ids
        # Joy and neutral sound alike: speech alone cannot know both.
        assert uar(speech[0]) <= 0.8
        assert uar(both[0]) > uar(speech[0])
    assert by_name["lstm_st", "dependent"][1].test == "other"


def test_decisions_against_the_rule_on_what_the_models_said(
    whole: tuple[Setup, Found, dict[str, Analysis]],
) -> None:
    given, found, analyses = whole
    trials = given.options.out / "trials" / "old"
    decided = 0
    for trial, predictions in found.items():
        if trial.variant != "lstm_st" or trial.fold != "independent":
            continue
        said = {}
        for name, owner in (("m1", "lstm"), ("m2", "lstm"), ("m3", "text")):
            place = trials / owner / trial.fold / "seed0" / name
            said[name] = read_table(place / f"said-{predictions[0].test}.parquet")
        tau = next(r["threshold"] for r in analyses["thresholds"].data if r["chosen"] == "1 of 1")
        for k, row in enumerate(predictions[0].ids):
            p = {
                name: dict(zip(one.labels, one.scores[k].tolist(), strict=True)) for name, one in said.items()
            }
            assert {one.ids[k] for one in said.values()} == {row}
            if p["m1"]["emotional"] > p["m1"]["neutral"]:
                expected = max(p["m2"], key=lambda name: p["m2"][name])
            elif p["m3"]["neutral"] >= tau:
                expected = "neutral"
            else:
                expected = max(p["m3"], key=lambda name: p["m3"][name])
            assert predictions[0].labels[predictions[0].predicted[k]] == expected
            decided += 1
    assert decided > 10


def test_models_are_shared_and_not_trained_twice(
    whole: tuple[Setup, Found, dict[str, Analysis]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, found, _ = whole
    models = sorted(
        str(path.parent.relative_to(given.options.out / "trials"))
        for path in given.options.out.rglob("model.safetensors")
    )
    assert models == sorted(
        f"old/{owner}/{fold}/seed0/{name}"
        for fold in ("dependent", "independent")
        for owner, name in (("lstm", "m1"), ("lstm", "m2"), ("text", "m3"))
    )
    monkeypatch.setattr(loop, "fit", None)
    again = run(given)
    for trial, predictions in again.items():
        for one, other in zip(predictions, found[trial], strict=True):
            np.testing.assert_array_equal(one.scores, other.scores)


def test_the_threshold_table_has_both_ends_and_the_figure_is_there(
    whole: tuple[Setup, Found, dict[str, Analysis]],
) -> None:
    given, found, analyses = whole
    one = analyses["thresholds"]
    assert (given.options.out / str(one.figure)).read_text(encoding="utf-8").count("neutral precision") == 1
    rows = [row for row in one.data if row["test"] == "test_independent"]
    assert [row["threshold"] for row in rows] == [0.0, 0.25, 0.3, 0.35, 0.4, 0.5]
    recall = [row["neutral recall"] for row in rows]
    assert recall == sorted(recall, reverse=True)
    alone = next(p[0] for t, p in found.items() if (t.variant, t.fold) == ("lstm_s", "independent"))
    assert rows[0]["UA"] == pytest.approx(uar(alone), abs=1e-4)


def test_what_text_corrects_is_counted(whole: tuple[Setup, Found, dict[str, Analysis]]) -> None:
    given, _, analyses = whole
    told = {row["test"]: row for row in analyses["corrections"].data}["test_independent"]
    path = given.options.out / "analyses" / "reclassified-old-lstm-test_independent.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    missed = [row for row in rows if row["speech_label"] == "neutral" != row["corpus_label"]]
    right = [row for row in missed if row["text_label"] == row["corpus_label"]]
    assert (told["emotional called neutral"], told["text is right"]) == (len(missed), len(right))
    assert told["share"] == pytest.approx(len(right) / len(missed), abs=1e-4)
    # Speech cannot hear joy, and words tell it.
    assert len(right) >= 2


def test_models_and_rows_are_told(whole: tuple[Setup, Found, dict[str, Analysis]]) -> None:
    _, _, analyses = whole
    models = {(row["model"], row["test"]): row for row in analyses["models"].data}
    assert models["M2", "test_independent"]["rows"] == 9
    assert models["M2", "test_independent"]["UA"] > 0.6
    assert models["M1", "test_independent"]["UA"] < 0.95
    rows = {row["fold"]: row for row in analyses["rows"].data if row["test"].startswith("test_")}
    assert (rows["independent"]["train"], rows["independent"]["validation"]) == (96, 12)
    assert (rows["dependent"]["train"], rows["dependent"]["rows tested"]) == (96, 12)
    assert "different texts" in " ".join(analyses["rows"].notes)
    against = next(row for row in analyses["with_text"].data if row["score"] == "UA")
    assert against["difference"] == pytest.approx(against["with text"] - against["speech alone"])


def test_new_labels_are_an_annotator(whole: tuple[Setup, Found, dict[str, Analysis]]) -> None:
    given, found, analyses = whole
    told = next(row for row in analyses["reclassified"].data if row["test"] == "test_independent")
    path = given.options.out / told["file"]
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    predictions = next(p[0] for t, p in found.items() if (t.variant, t.fold) == ("lstm_st", "independent"))
    labels = [predictions.labels[k] for k in predictions.predicted]
    assert [(row["id"], row["new_label"]) for row in rows] == list(zip(predictions.ids, labels, strict=True))
    changed = [row for row in rows if row["new_label"] != row["speech_label"]]
    assert len(changed) == told["changed by text"]
    assert {row["speech_label"] for row in changed} == {"neutral"}
    assert rows[0]["corpus_label"] in labels
    annotator = create(f"replay:{path}", AnnotatorOptions(splits=("train",)))
    assert isinstance(annotator, Replay)
    assert annotator.schema_hint == "label"


def test_old_and_new_labels_are_tested_on_the_same_rows(tmp_path: Path, text: str) -> None:
    material = corpus(sessions=2)
    given = setup(tmp_path / "own", material, text, ("old", "new"), inputs=("s",), split="independent")
    given = replace(given, training=replace(given.training, epochs=2))
    old, new = (predictions[0] for predictions in run(given).values())
    assert old.ids == new.ids
    np.testing.assert_array_equal(old.reference, new.reference)
    train = {trial.condition: system.splits(trial, given) for trial in system.trials(given)}
    assert [row.id for row in train["old"]["test_independent"].train] == [
        row.id for row in train["new"]["test_independent"].train
    ]
    labels = [row.label for row in train["new"]["test_independent"].train]
    assert labels.count("joy") == 6 + 3


@pytest.mark.parametrize("tuned", [False, True])
def test_wav2vec_frozen_and_tuned(tmp_path: Path, tuned: bool) -> None:
    name = tiny_encoders.save(
        tmp_path / "hears",
        tiny_encoders.SPEECH["wav2vec2-base"],
        {"sampling_rate": 16_000, "do_normalize": False},
    )
    given = setup(
        tmp_path / "own",
        corpus(sessions=2),
        None,
        speech=None,
        variants=("w2v",),
        inputs=("s",),
        split="independent",
        w2v=str(name),
        w2v_tuned=tuned,
    )
    given = replace(given, training=replace(given.training, epochs=3))
    ((trial, (predictions,)),) = run(given).items()
    assert (trial.variant, len(predictions.ids)) == ("w2v_s", 12)
    about = json.loads(
        (given.options.out / "trials/old/w2v/independent/seed0/m1/config.json").read_text(encoding="utf-8")
    )
    assert f"'tuned': {tuned}" in str(about)


def test_a_search_keeps_its_best_training(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    given = setup(
        tmp_path / "own", corpus(sessions=2), None, inputs=("s",), split="independent", tune=2, threshold=0.3
    )
    given = replace(given, training=replace(given.training, epochs=2))
    run(given)
    place = given.options.out / "trials/old/lstm/independent/seed0/m1"
    told = json.loads((place / "tuned.json").read_text(encoding="utf-8"))
    told_by = [json.loads((place / f"search{n}/history.json").read_text(encoding="utf-8")) for n in range(2)]
    values = [max(-epoch["loss"] for epoch in one["history"]) for one in told_by]
    assert told["value"] == max(values)
    assert told["best"] == values.index(max(values))
    assert set(told["found"]) == {"hidden", "width", "dropout", "lr"}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_whole(preset: str) -> None:
    found = load("reclassify", preset)
    settings = settings_of(system.INFO, found.settings, {"thresholds": "0.3,0.4", "tune": "3"})
    training = training_of(found.training, {})
    assert isinstance(settings, Settings)
    assert (settings.thresholds, settings.tune) == ((0.3, 0.4), 3)
    if preset == "paper":
        assert (training.batch_size, training.optimizer, found.speech) == (64, "adam", "alqurashi")
        assert settings.variants == ("lstm", "w2v", "w2v_asr")
        assert (settings.split, settings.w2v_tuned) == ("both", True)
        assert settings_of(system.INFO, found.settings, {}).thresholds == (0.25, 0.3, 0.35, 0.4)


def test_published_values() -> None:
    table = published.values("reclassify")[0]
    own = {row["test"]: row["values"] for row in table["rows"] if row["model"] == "theirs"}
    assert own["test_dependent"] == {"uar": 0.689, "accuracy": 0.713}
    assert own["test_independent"] == {"uar": 0.683, "accuracy": 0.682}
