"""Paired comparisons against statsmodels, scipy and their properties."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar

from remelt.errors import InputError
from remelt.evaluation import metrics
from remelt.evaluation.intervals import compare, match, score

from .answers import EMOTIONS, noisy, rated, said, shuffled


@given(st.integers(0, 1_000), st.integers(0, 60))
@settings(max_examples=30)
def test_mcnemar_equals_statsmodels(seed: int, rows: int) -> None:
    a, b = noisy(rows + 1, 0.4, seed), noisy(rows + 1, 0.6, seed + 1)
    found = compare(a, b, 100).mcnemar
    assert found is not None
    table = [[found.both_right, found.only_a], [found.only_b, found.both_wrong]]
    right = [(one.predicted == one.reference) for one in (a, b)]
    assert table == [[int((right[0] == x)[right[1] == y].sum()) for y in (1, 0)] for x in (1, 0)]
    expected = mcnemar(table, exact=True).pvalue if found.only_a + found.only_b else 1.0
    assert found.p == pytest.approx(expected)


def test_the_paired_interval_is_scipys() -> None:
    a, b = noisy(200, 0.4, seed=1), noisy(200, 0.5, seed=2)
    found = compare(a, b, 4_000, seed=1).differences["uar"]

    def difference(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
        return metrics.of_classes(truth, second, 4)["uar"] - metrics.of_classes(truth, first, 4)["uar"]

    theirs = scipy.stats.bootstrap(
        (a.reference, a.predicted, b.predicted),
        difference,
        paired=True,
        vectorized=False,
        n_resamples=1_000,
        method="percentile",
        rng=np.random.default_rng(3),
    )
    low, high = theirs.confidence_interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.015)
    drawn = theirs.bootstrap_distribution
    assert found.p == pytest.approx(2 * min((drawn <= 0).mean(), (drawn >= 0).mean()), abs=0.04)
    assert found.value == pytest.approx(found.b - found.a)


def test_pairs_see_what_two_intervals_hide() -> None:
    """b is a, corrected in 30 rows of 1,000: the intervals overlap, the difference is beyond doubt."""
    a = noisy(1_000, 0.4, seed=1)
    guess = a.predicted.copy()
    guess[np.flatnonzero(guess != a.reference)[:30]] = a.reference[np.flatnonzero(guess != a.reference)[:30]]
    b = said(a.reference, guess, a.labels)
    assert score(a, 500).metrics["accuracy"].high > score(b, 500).metrics["accuracy"].low
    found = compare(a, b, 500)
    assert found.differences["accuracy"].value == pytest.approx(0.03)
    assert found.differences["accuracy"].low > 0
    assert found.differences["accuracy"].p == pytest.approx(2 / 501)
    assert found.mcnemar is not None
    assert found.mcnemar.p == pytest.approx(2 * 0.5**30)


def test_a_model_against_itself() -> None:
    a = noisy(100, 0.4, seed=1, per_group=5)
    found = compare(a, shuffled(a), 200)
    assert {(one.value, one.low, one.high, one.p) for one in found.differences.values()} == {(0, 0, 0, 1)}
    assert (found.unit, found.units, found.notes) == ("groups", 20, ())


@given(st.integers(0, 500))
@settings(max_examples=15)
def test_the_other_way_round_is_the_opposite(seed: int) -> None:
    a, b = noisy(80, 0.4, seed, per_group=4), noisy(80, 0.5, seed + 7, per_group=4)
    there, back = compare(a, b, 200, seed).differences, compare(b, a, 200, seed).differences
    for name, one in there.items():
        assert (one.value, one.low, one.high) == pytest.approx(
            (-back[name].value, -back[name].high, -back[name].low), abs=1e-12
        )
        assert one.p == back[name].p


def test_p_is_small_by_chance_in_about_one_of_twenty() -> None:
    small = [
        compare(noisy(120, 0.5, k, truth=k), noisy(120, 0.5, 5_000 + k, truth=k), 200, k).differences["uar"].p
        < 0.05
        for k in range(150)
    ]
    assert 1 <= sum(small) <= 18


def test_only_common_rows_are_compared_and_the_others_told() -> None:
    a, b = noisy(100, 0.4, seed=1), noisy(100, 0.9, seed=2)
    less = replace(b, ids=b.ids[30:], groups=b.groups[30:], reference=b.reference[30:], scores=b.scores[30:])
    found = compare(a, shuffled(less), 200)
    assert found.rows == 70
    assert found.notes[0] == "30 rows that only the first was tested on were left out"
    assert found.differences["accuracy"].a == pytest.approx((a.predicted == a.reference)[30:].mean())
    assert found.differences["accuracy"].b == pytest.approx((b.predicted == b.reference)[30:].mean())


def test_columns_may_stand_in_another_order_or_be_fewer() -> None:
    a = noisy(200, 0.5, seed=1, classes=4)
    order = np.array([2, 0, 3, 1])
    turned = replace(
        a,
        labels=tuple(a.labels[k] for k in order),
        reference=np.argsort(order)[a.reference],
        scores=a.scores[:, order],
    )
    assert {one.value for one in compare(a, turned, 100).differences.values()} == {0}
    wide = said(a.reference, a.predicted, EMOTIONS)
    assert {one.value for one in compare(wide, a, 100).differences.values()} == {0}


def test_other_references_are_refused() -> None:
    a, b = noisy(50, 0.5, seed=1), noisy(50, 0.5, seed=1)
    other = b.reference.copy()
    other[7] = (other[7] + 1) % 4
    with pytest.raises(
        InputError, match="1 of 50 rows of 'dev' are scored against other references, first 'row00007'"
    ):
        compare(a, replace(b, reference=other), 100)
    ratings = np.random.default_rng(0).random((20, 1))
    with pytest.raises(InputError, match="20 of 20 rows"):
        compare(rated(ratings, ratings), rated(ratings + 0.1, ratings), 100)


def test_what_cannot_be_compared_is_refused() -> None:
    a = noisy(20, 0.5, seed=1)
    with pytest.raises(
        InputError, match="No test row in common: 20 of 'dev' such as 'row00000' and 20 of 'dev'"
    ):
        compare(a, replace(a, ids=tuple(f"x{k}" for k in range(20))), 100)
    with pytest.raises(InputError, match="they cannot be compared"):
        compare(a, rated(np.zeros(20), np.zeros(20)), 100)


def test_seeds_are_averaged_on_both_sides() -> None:
    a, b = [noisy(150, 0.4, k) for k in range(3)], [noisy(150, 0.6, 10 + k) for k in range(2)]
    found = compare(a, b, 300)
    uar = [[metrics.measures(one)["uar"] for one in side] for side in (a, b)]
    assert found.differences["uar"].value == pytest.approx(np.mean(uar[1]) - np.mean(uar[0]))
    assert (found.seeds, found.mcnemar) == ((3, 2), None)
    assert found.notes[0] == "means over 3 and 2 seeds"


def test_regressions_are_compared_by_ccc_alone() -> None:
    random = np.random.default_rng(0)
    truth = random.random((300, 2))
    a, b = (truth + random.normal(0, size, truth.shape) for size in (0.4, 0.1))
    found = compare(
        rated(truth, a, dimensions=("arousal", "valence")),
        rated(truth, b, dimensions=("arousal", "valence")),
        300,
    )
    assert list(found.differences) == ["ccc", "ccc_arousal", "ccc_valence"]
    assert all(one.low > 0 and one.p < 0.01 for one in found.differences.values())
    assert found.mcnemar is None
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["mcnemar"] is None


def test_runs_are_matched_by_their_tests() -> None:
    a = [replace(noisy(20, 0.5, k), test=test) for test in ("ravdess", "dev") for k in range(2)]
    b = [replace(noisy(20, 0.5, 9), test=test) for test in ("dev", "tess")]
    pairs, notes = match(a, b)
    assert [(one.test, len(one.a), len(one.b)) for one in pairs] == [("dev", 2, 1)]
    assert pairs[0].a == (a[2], a[3])
    assert notes == (
        "ravdess: only the first run was tested on it",
        "tess: only the second run was tested on it",
    )
    with pytest.raises(InputError, match=r"No test set in common: \['dev', 'ravdess'\] and \['tess'\]"):
        match(a, b[1:])
