"""Scores against plain loops, scikit-learn and audmetric."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from remelt.errors import InputError
from remelt.evaluation import metrics

from .answers import EMOTIONS, noisy, rated, said

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")

# Reference and predicted class of up to 60 rows; some of four classes may be on one side only, or on none.
ANSWERS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def by_hand(pairs: list[tuple[int, int]]) -> dict[str, float]:
    """The definitions, row by row."""
    rows, hits = len(pairs), [0] * 4
    support, predicted = [0] * 4, [0] * 4
    for truth, guess in pairs:
        support[truth] += 1
        predicted[guess] += 1
        hits[truth] += truth == guess
    recalls = [hits[k] / support[k] for k in range(4) if support[k]]
    scored = {k: 2 * hits[k] / (support[k] + predicted[k]) for k in range(4) if support[k] + predicted[k]}
    agreed = sum(hits) / rows
    by_chance = sum(s * p for s, p in zip(support, predicted, strict=True)) / rows**2
    return {
        "uar": sum(recalls) / len(recalls),
        "accuracy": agreed,
        "macro_f1": sum(scored.values()) / len(scored),
        "weighted_f1": sum(support[k] * f1 for k, f1 in scored.items()) / rows,
        "kappa": (agreed - by_chance) / (1 - by_chance) if by_chance < 1 else math.nan,
    }


@given(ANSWERS)
def test_scores_equal_the_definitions(pairs: list[tuple[int, int]]) -> None:
    truth, guess = np.array(pairs).T
    found = metrics.of_classes(truth, guess, 4)
    assert found == pytest.approx(by_hand(pairs), nan_ok=True)
    assert tuple(found) == metrics.CLASSIFICATION


@given(ANSWERS)
@settings(max_examples=25)
def test_scores_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, guess = np.array(pairs).T
    found = metrics.of_classes(truth, guess, 4)
    present = sorted(set(truth.tolist()))
    assert found["uar"] == pytest.approx(sk.recall_score(truth, guess, labels=present, average="macro"))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, guess))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(truth, guess, average="macro"))
    assert found["weighted_f1"] == pytest.approx(sk.f1_score(truth, guess, average="weighted"))
    if len(set(truth.tolist()) | set(guess.tolist())) > 1:
        assert found["kappa"] == pytest.approx(sk.cohen_kappa_score(truth, guess))


def test_scores_equal_audmetric_where_every_class_occurs() -> None:
    one = noisy(400, 0.4, seed=1, classes=5)
    truth, guess = one.reference.tolist(), one.predicted.tolist()
    found = metrics.measures(one)
    assert found["uar"] == pytest.approx(audmetric.unweighted_average_recall(truth, guess))
    assert found["accuracy"] == pytest.approx(audmetric.accuracy(truth, guess))
    assert found["macro_f1"] == pytest.approx(audmetric.unweighted_average_fscore(truth, guess))


def test_a_class_on_one_side_only_counts_as_stated() -> None:
    """Reference a a b, predicted a c b: c lowers macro F1, not UAR; d, on neither side, changes nothing."""
    found = metrics.of_classes(np.array([0, 0, 1]), np.array([0, 2, 1]), 4)
    assert found["uar"] == pytest.approx((0.5 + 1) / 2)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["weighted_f1"] == pytest.approx((2 * 2 / 3 + 1) / 3)


def test_classes_have_support_recall_precision_and_f1() -> None:
    one = said([0, 0, 0, 1, 3], [0, 0, 1, 1, 2], EMOTIONS[:5])
    found = metrics.by_class(metrics.confusion(one.reference, one.predicted, 5), one.labels)
    truth, guess = one.reference, one.predicted
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        truth, guess, labels=range(5), zero_division=np.nan
    )
    for k, label in enumerate(one.labels):
        expected: tuple[Any, ...] = (support[k], recall[k], precision[k], f1[k])
        shown = found[label]
        assert (shown.support, shown.recall, shown.precision, shown.f1) == pytest.approx(
            expected, nan_ok=True
        )
    assert [one.predicted for one in found.values()] == [2, 2, 1, 0, 0]
    assert metrics.recall_line(found) == "anger .67, disgust 1.00, joy .00"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=40), st.floats(-1e4, 1e4))
def test_ccc_equals_audmetric(pairs: list[tuple[float, float]], far: float) -> None:
    """Also far from 0, where sums of squares lose their digits."""
    truth, values = np.round(np.array(pairs).T, 3)
    expected = audmetric.concordance_cc(truth, values)
    found = metrics.of_values(truth[:, None] + far, values[:, None] + far, ["arousal"])
    if np.ptp(truth) == 0:  # rounding of a constant decides between NaN and 0 in audmetric
        assert math.isnan(found["ccc"]) or abs(found["ccc"]) < 1e-6
    else:
        assert found["ccc_arousal"] == pytest.approx(expected, abs=1e-6)
    assert found["ccc"] == pytest.approx(found["ccc_arousal"], nan_ok=True)


def test_ccc_is_of_the_rows_with_a_reference_and_its_mean_over_dimensions() -> None:
    random = np.random.default_rng(3)
    truth, values = random.random((50, 3)), random.random((50, 3))
    truth[::7, 0], truth[5:9, 2] = np.nan, np.nan
    found = metrics.measures(rated(truth, values, dimensions=("arousal", "valence", "dominance")))
    single = [audmetric.concordance_cc(truth[:, k], values[:, k], ignore_nan=True) for k in range(3)]
    assert [found["ccc_arousal"], found["ccc_valence"], found["ccc_dominance"]] == pytest.approx(single)
    assert found["ccc"] == pytest.approx(sum(single) / 3)


def test_ccc_of_sums_that_are_not_centred() -> None:
    """As in resamples, whose means are not those of all rows."""
    random = np.random.default_rng(4)
    truth, values = random.normal(2, 1, 60), random.normal(1, 2, 60)
    sums = metrics.moments(truth, values)
    assert metrics.of_moments(sums.sum(0)) == pytest.approx(audmetric.concordance_cc(truth, values))
    assert metrics.of_moments(sums.reshape(3, 20, 6).sum(1)) == pytest.approx(
        [audmetric.concordance_cc(truth[k : k + 20], values[k : k + 20]) for k in (0, 20, 40)]
    )


def test_ccc_of_a_constant() -> None:
    flat = metrics.of_values(np.array([[0.1], [0.7]]), np.array([[0.3], [0.3]]), ["valence"])
    assert flat["ccc"] == pytest.approx(0, abs=1e-12)
    same = np.full((5, 1), 0.3)
    assert math.isnan(metrics.of_values(same, same, ["valence"])["ccc"])
    assert math.isnan(metrics.of_values(same[:1], same[:1] + 0.2, ["valence"])["ccc"])
    assert math.isnan(metrics.of_values(same * np.nan, same, ["valence"])["ccc"])


GOOD = said([0, 1, 2], [0, 1, 1], EMOTIONS[:3])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (said([], []), "'dev' have no rows"),
        (replace(GOOD, ids=("a", "b", "a")), "have 'a' twice"),
        (replace(GOOD, scores=GOOD.scores[:2]), "3 ids and 3 columns do not fit scores of shape"),
        (replace(GOOD, labels=EMOTIONS), "3 ids and 7 columns do not fit"),
        (replace(GOOD, groups=("x",)), "and 1 groups"),
        (replace(GOOD, scores=np.where(np.eye(3) > 0, np.nan, 1)), "3 rows have a score that is not finite"),
        (replace(GOOD, reference=np.array([0, 1, -100])), "'row00002' has the class number -100"),
        (replace(GOOD, reference=np.array([0, 3, 1])), "'row00001' has the class number 3, expected 0 to 2"),
    ],
)
def test_what_cannot_be_scored_is_refused(bad: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        metrics.measures(bad)
