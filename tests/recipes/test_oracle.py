"""Overlap, UAR, kappa and their intervals against scikit-learn, statsmodels and a draw row by row."""

from __future__ import annotations

import random

import numpy as np
import pytest

from remelt.recipes.oracle import compare
from remelt.recipes.sentiment_oracle import Oracle

LABELS = ("negative", "neutral", "positive")


def sample(count: int, seed: int = 3) -> tuple[Oracle, dict[str, str | None]]:
    """An oracle, and a source that is right about half the time."""
    draw = random.Random(seed)
    oracle = {str(n): draw.choices(LABELS, (2, 6, 3))[0] for n in range(count)}
    given = {
        key: label if draw.random() < 0.4 else draw.choices(LABELS, (1, 2, 2))[0]
        for key, label in oracle.items()
    }
    return Oracle("valence", oracle), dict(given)


def test_the_numbers_are_those_of_scikit_learn_and_statsmodels() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    oracle, given = sample(500)
    found = compare("m", given, oracle)
    truth, said = list(oracle.labels.values()), [given[key] for key in oracle.labels]
    assert found.rows == 500
    assert found.overlap.value == pytest.approx(metrics.accuracy_score(truth, said))
    assert found.uar.value == pytest.approx(metrics.balanced_accuracy_score(truth, said), abs=1e-6)
    assert found.kappa == pytest.approx(metrics.cohen_kappa_score(truth, said))
    assert found.matrix.counts.tolist() == metrics.confusion_matrix(truth, said, labels=LABELS).tolist()
    recalls = metrics.recall_score(truth, said, labels=LABELS, average=None)
    assert list(found.recalls.values()) == pytest.approx(list(recalls))
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    low, high = proportion.proportion_confint(found.matrix.kept, 500, method="wilson")
    assert (found.overlap.low, found.overlap.high) == pytest.approx((low, high))


def test_the_interval_of_uar_is_that_of_drawing_rows() -> None:
    oracle, given = sample(200)
    found = compare("m", given, oracle, resamples=4000)
    truth = np.array([LABELS.index(v) for v in oracle.labels.values()])
    said = np.array([LABELS.index(str(given[key])) for key in oracle.labels])
    rng = np.random.default_rng(7)
    values = []
    for _ in range(4000):
        drawn = rng.integers(0, 200, 200)
        hits = [(said[drawn] == n)[truth[drawn] == n].mean() for n in range(3)]
        values.append(np.mean(hits))
    low, high = np.quantile(values, (0.025, 0.975))
    # The standard deviation of an end of 4,000 draws is under 0.002.
    assert (found.uar.low, found.uar.high) == pytest.approx((low, high), abs=0.01)
    assert compare("m", given, oracle, seed=1).uar == compare("m", given, oracle, seed=1).uar


def test_rows_of_one_side_only_are_counted_apart() -> None:
    oracle = Oracle("sentiment", {"a": "positive", "b": "negative", "c": "negative"})
    found = compare("m", {"a": "positive", "b": None, "x": "neutral", "y": None}, oracle)
    assert (found.rows, found.matrix.kept, found.unanswered, found.no_oracle) == (1, 1, 1, 1)
    # One row tells nothing of its spread, and a label that does not occur has no recall.
    assert (found.uar.value, found.uar.low) == (1.0, None)
    assert found.recalls == {"negative": None, "neutral": None, "positive": 1.0}


def test_a_row_that_is_always_right_has_no_interval() -> None:
    oracle = Oracle("sentiment", {str(n): LABELS[n % 3] for n in range(30)})
    found = compare("m", dict(oracle.labels), oracle)
    assert (found.uar.value, found.uar.low, found.uar.high) == (1.0, None, None)


def test_nothing_in_common_is_no_number() -> None:
    found = compare("m", {"x": "neutral"}, Oracle("sentiment", {"a": "positive"}))
    assert (found.rows, found.overlap.value, found.uar.value, found.kappa) == (0, None, None, None)
    assert found.as_dict()["overlap"] == {"value": None, "low": None, "high": None}
