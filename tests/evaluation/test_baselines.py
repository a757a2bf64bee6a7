"""Baselines against scikit-learn, closed forms and plain means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from remelt.errors import InputError
from remelt.evaluation import baselines, metrics
from remelt.evaluation.baselines import LinearOptions
from remelt.evaluation.examples import Example
from remelt.evaluation.intervals import score
from remelt.evaluation.predictions import of_examples

from .answers import example

LABELS = ("anger", "fear", "joy")


def corpus(rows: int, seed: int, prefix: str) -> tuple[list[Example], dict[str, Any]]:
    """Rows of 2 to 5 steps in 3 layers, whose classes and targets are in the last one."""
    random, found, features = np.random.default_rng(seed), [], {}
    for k in range(rows):
        label = LABELS[min(2, k % 5)]
        states = random.normal(0, 1, (3, random.integers(2, 6), 4)).astype(np.float16)
        states[2, :, 0] += 2 * LABELS.index(label)
        valence = float(np.clip(0.5 + 0.2 * states[2, :, 1].mean(), 0, 1))
        row = example(
            f"{prefix}{k}", label, speaker=f"s{k % 8}", targets={"valence": valence, "arousal": 0.5}
        )
        found.append(row)
        features[row.id] = states
    return found, features


TRAIN, TRAIN_FEATURES = corpus(200, 1, "train")
TEST, TEST_FEATURES = corpus(90, 2, "test")
FEATURES = baselines.Joined(TRAIN_FEATURES, TEST_FEATURES)


def stacked(rows: Sequence[Example], features: Mapping[str, Any], std: bool = False) -> np.ndarray:
    last = [features[row.id][2].astype(np.float32) for row in rows]
    return np.array([np.r_[steps.mean(0), steps.std(0)] if std else steps.mean(0) for steps in last])


@pytest.mark.parametrize("pooling", ["mean", "mean_std"])
@pytest.mark.parametrize("weights", [True, False])
def test_logistic_regression_is_scikit_learns(pooling: str, weights: bool) -> None:
    options = LinearOptions(pooling=pooling, class_weights=weights, strength=0.3)
    found = baselines.logistic_regression(FEATURES, TRAIN, {"dev": TEST}, LABELS, options)["dev"]
    std = pooling == "mean_std"
    scaler = StandardScaler().fit(stacked(TRAIN, TRAIN_FEATURES, std))
    model = LogisticRegression(C=0.3, class_weight="balanced" if weights else None, max_iter=2_000)
    model.fit(scaler.transform(stacked(TRAIN, TRAIN_FEATURES, std)), [row.label for row in TRAIN])
    expected = model.predict_proba(scaler.transform(stacked(TEST, TEST_FEATURES, std)))
    assert found.scores == pytest.approx(expected, abs=1e-4)
    assert found.ids == tuple(row.id for row in TEST)
    assert [LABELS[k] for k in found.reference] == [row.label for row in TEST]
    assert set(found.groups) == {f"toy/s{k}" for k in range(8)}
    assert metrics.measures(found)["uar"] > 0.7


def test_a_layer_or_the_mean_of_all_is_taken() -> None:
    rows = [row.id for row in TEST[:3]]
    for layer, states in ((0, lambda x: x[0]), (-1, lambda x: x[2]), (None, lambda x: x.mean(0))):
        found = baselines.pooled_features(FEATURES, rows, LinearOptions(layer=layer))
        expected = [states(TEST_FEATURES[row].astype(np.float64)).mean(0) for row in rows]
        assert found == pytest.approx(np.array(expected), abs=1e-3)
    with pytest.raises(InputError, match=r"Bad layer 3, expected one of \[-3, -2"):
        baselines.pooled_features(FEATURES, rows, LinearOptions(layer=3))
    with pytest.raises(InputError, match="The features of x have no step"):
        baselines.pooled_features({"x": np.zeros((1, 0, 4))}, ["x"])
    with pytest.raises(InputError, match="No features of y in 2 stores"):
        baselines.pooled_features(FEATURES, ["y"])


def test_a_class_without_training_rows_is_never_predicted() -> None:
    wide = (*LABELS, "joyless")
    found = baselines.logistic_regression(FEATURES, TRAIN, {"dev": TEST}, wide)["dev"]
    assert found.labels == wide
    assert not found.scores[:, 3].any()
    assert found.scores.sum(1) == pytest.approx(np.ones(len(TEST)), abs=1e-5)


def test_the_strength_is_chosen_on_training_groups() -> None:
    chosen = baselines.logistic_regression(
        FEATURES, TRAIN, {"d": TEST}, LABELS, LinearOptions(strength=None)
    )["d"]
    each = [
        baselines.logistic_regression(FEATURES, TRAIN, {"d": TEST}, LABELS, LinearOptions(strength=10.0**k))[
            "d"
        ]
        for k in range(-4, 3)
    ]
    assert sum(np.allclose(chosen.scores, one.scores, atol=1e-4) for one in each) == 1
    assert np.array_equal(
        chosen.scores, baselines.logistic_regression(FEATURES, TRAIN, {"d": TEST}, LABELS)["d"].scores
    )


def test_the_chosen_strength_is_that_of_scikit_learns_grid_search() -> None:
    scaled = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2_000))
    inputs, labels = stacked(TRAIN, TRAIN_FEATURES), [row.label for row in TRAIN]
    speakers = [row.speaker for row in TRAIN]
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(inputs, labels, speakers)
    grid = {"logisticregression__C": [10.0**k for k in range(-4, 1)]}
    search = GridSearchCV(scaled, grid, scoring="balanced_accuracy", cv=list(folds)).fit(inputs, labels)
    found = baselines.logistic_regression(FEATURES, TRAIN, {"d": TEST}, LABELS)["d"]
    assert found.scores == pytest.approx(search.predict_proba(stacked(TEST, TEST_FEATURES)), abs=1e-4)


def test_of_few_groups_the_strength_is_scikit_learns_own() -> None:
    few = [row for row in TRAIN if row.speaker in ("s0", "s1", "s2", "s3")]
    found, expected = (
        [
            baselines.logistic_regression(FEATURES, few, {"d": TEST}, LABELS, options)["d"].scores.tolist(),
            baselines.ridge(FEATURES, few, {"d": TEST}, ("valence",), options)["d"].scores.tolist(),
        ]
        for options in (None, LinearOptions(strength=1.0))
    )
    assert found == expected


def test_the_strength_of_many_rows_is_chosen_on_whole_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_CHOSEN_ON", 130)
    groups = np.array([f"g{k % 8}" for k in range(200)])
    places = baselines._whole_groups(groups, 3)
    assert 100 <= len(places) <= 130
    assert all((groups[places] == name).sum() in (0, 25) for name in set(groups))
    assert baselines.logistic_regression(FEATURES, TRAIN, {"d": TEST}, LABELS)["d"].scores.any()


def test_ridge_is_scikit_learns_and_beats_the_mean() -> None:
    names = ("arousal", "valence")
    found = baselines.ridge(FEATURES, TRAIN, {"dev": TEST}, names, LinearOptions(strength=0.5))["dev"]
    scaler = StandardScaler().fit(stacked(TRAIN, TRAIN_FEATURES))
    model = Ridge(alpha=2).fit(
        scaler.transform(stacked(TRAIN, TRAIN_FEATURES)), [r.targets["valence"] for r in TRAIN]
    )
    assert found.scores[:, 1] == pytest.approx(
        model.predict(scaler.transform(stacked(TEST, TEST_FEATURES))), abs=1e-4
    )
    assert metrics.measures(found)["ccc_valence"] > 0.9
    mean = baselines.mean_targets(TRAIN, "dev", TEST, names)
    assert mean.scores[:, 1] == pytest.approx(
        np.full(len(TEST), np.mean([row.targets["valence"] for row in TRAIN]))
    )
    assert metrics.measures(mean)["ccc_valence"] == pytest.approx(0, abs=1e-6)
    assert baselines.ridge(FEATURES, TRAIN, {"dev": TEST}, names, LinearOptions(strength=None))[
        "dev"
    ].scores.any()
    for call in (
        baselines.mean_targets,
        lambda *args: baselines.ridge(FEATURES, args[0], {"d": TEST}, args[3]),
    ):
        with pytest.raises(InputError, match=r"200 training rows ha(s|ve) a target for 'dominance'"):
            call(TRAIN, "dev", TEST, ("dominance",))


def test_the_majority_class() -> None:
    found = baselines.majority(TRAIN, "dev", TEST, LABELS)
    assert set(found.predicted) == {2}
    assert found.scores[0] == pytest.approx([0.2, 0.2, 0.6])
    scores = metrics.measures(found)
    assert (scores["uar"], scores["accuracy"], scores["kappa"]) == pytest.approx((1 / 3, 0.6, 0))


def test_chance_draws_the_classes_in_the_labels_order() -> None:
    labels = tuple("abcdefgh")
    rows = [example(f"r{k}", labels[k % 7]) for k in range(70)]
    random = np.random.default_rng(3)
    expected = np.zeros(70, int)
    for k in range(7):
        own = random.permutation(np.arange(k, 70, 7))
        marks = (np.arange(10) + random.random()) / 10
        expected[own] = np.searchsorted(np.arange(1, 8) / 8, marks, side="right")
    found = baselines.chance(rows, "dev", rows, labels, "uniform", draws=1, seed=3)
    assert found[0].predicted.tolist() == expected.tolist()


@pytest.mark.parametrize(("how", "shares"), [("prior", (0.2, 0.2, 0.6)), ("uniform", (1 / 3,) * 3)])
def test_chance_comes_to_its_expectation(how: str, shares: tuple[float, ...]) -> None:
    """Accuracy: the sum of reference share times answered share; UAR: 1 / classes whatever the shares."""
    rows = TEST * 5
    rows = [example(f"{k}", row.label) for k, row in enumerate(rows)]
    found = baselines.chance(TRAIN, "dev", rows, LABELS, how, draws=40)
    scores = score(found, 100).metrics
    assert scores["accuracy"].value == pytest.approx(np.dot((0.2, 0.2, 0.6), shares), abs=0.01)
    assert scores["uar"].value == pytest.approx(1 / 3, abs=0.012)
    assert np.mean([one.scores.mean(0) for one in found], axis=0) == pytest.approx(
        np.array(shares), abs=0.012
    )
    with pytest.raises(InputError, match=r"Bad chance 'fair', expected one of \['prior', 'uniform'\]"):
        baselines.chance(TRAIN, "dev", rows, LABELS, "fair")


def test_what_cannot_be_a_baseline_is_refused() -> None:
    with pytest.raises(InputError, match="Bad label of a training row 'fear', expected one of"):
        baselines.majority(TRAIN, "dev", TEST, ("anger", "joy"))
    with pytest.raises(InputError, match="Bad label of test row toy/train/x 'sadness', expected one of"):
        baselines.majority(TRAIN, "dev", [example("x", "sadness")], LABELS)
    with pytest.raises(InputError, match="Bad label of a training row 'None'"):
        baselines.majority([*TRAIN, example("x", None)], "dev", TEST, LABELS)
    with pytest.raises(InputError, match="No training rows"):
        baselines.majority([], "dev", TEST, LABELS)
    with pytest.raises(InputError, match="All 40 training rows are 'anger'"):
        baselines.logistic_regression(FEATURES, TRAIN[::5], {}, LABELS)
    with pytest.raises(InputError, match="Bad strength 0"):
        LinearOptions(strength=0)
    with pytest.raises(InputError, match="Bad pooling 'max'"):
        LinearOptions(pooling="max")


def test_predictions_carry_references_and_groups() -> None:
    rows = [
        example("a", "joy", dialogue="d1", speaker="s"),
        example("b", "fear", speaker="s"),
        example("c", "joy"),
    ]
    found = of_examples("dev", rows, [rows[k].id for k in (2, 0, 1)], np.eye(3), LABELS)
    assert found.groups == ("", "d1", "toy/s")
    assert found.reference.tolist() == [2, 2, 1]
    with pytest.raises(InputError, match="1 predicted rows of 'dev' are no examples, first 'zz'"):
        of_examples("dev", rows, ["zz"], np.eye(3)[:1], LABELS)
    values = of_examples(
        "dev",
        [example("a", None, targets={"valence": 0.25})],
        ["toy/train/a"],
        np.ones((1, 2)),
        (),
        ("valence", "arousal"),
    )
    assert values.reference.tolist()[0] == pytest.approx([0.25, np.nan], nan_ok=True)
