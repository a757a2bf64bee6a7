"""Bootstrap intervals against scipy and plain loops, and their properties."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from remelt.errors import InputError
from remelt.evaluation import metrics
from remelt.evaluation.intervals import over_folds, pooled, score
from remelt.evaluation.resampling import resampled, units_of

from .answers import EMOTIONS, noisy, rated, said, shuffled


def test_the_interval_is_scipys_where_rows_are_resampled() -> None:
    one = noisy(150, 0.5, seed=1)
    found = score(one, 4_000, seed=1)
    for name, rule in (
        ("accuracy", lambda truth, guess: (truth == guess).mean()),
        ("uar", lambda truth, guess: np.mean([(guess[truth == k] == k).mean() for k in set(truth)])),
    ):
        theirs = scipy.stats.bootstrap(
            (one.reference, one.predicted),
            rule,
            paired=True,
            vectorized=False,
            n_resamples=800,
            method="percentile",
            rng=np.random.default_rng(2),
        ).confidence_interval
        mine = found.metrics[name]
        assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert (found.unit, found.units, found.rows) == ("rows", 150, 150)
    assert found.notes == ("dialogues and speakers are unknown, so rows were resampled",)


def test_whole_groups_are_drawn() -> None:
    """Against a loop that puts the rows of drawn dialogues together and scores them."""
    one = noisy(60, 0.5, seed=3, per_group=4)
    mine = score(one, 3_000, seed=0).metrics["macro_f1"]
    random, drawn = np.random.default_rng(5), []
    for _ in range(1_500):
        rows = np.concatenate([np.arange(4 * g, 4 * g + 4) for g in random.integers(0, 15, 15)])
        drawn.append(metrics.of_classes(one.reference[rows], one.predicted[rows], 4)["macro_f1"])
    assert (mine.low, mine.high) == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))), abs=0.025)


def test_rows_that_are_alike_in_a_group_widen_the_interval() -> None:
    """Ten copies of each row as one dialogue say as much as one row does."""
    truth = np.random.default_rng(0).integers(0, 2, 40)
    guess = np.where(np.arange(40) % 3 == 0, 1 - truth, truth)
    copies = said(
        truth.repeat(10), guess.repeat(10), EMOTIONS[:2], [f"d{k}" for k in range(40) for _ in range(10)]
    )
    single = score(said(truth, guess, EMOTIONS[:2], [f"d{k}" for k in range(40)]), 1_000).metrics
    grouped = score(copies, 1_000).metrics
    for name, estimate in single.items():
        assert grouped[name].value == pytest.approx(estimate.value)
        assert (grouped[name].low, grouped[name].high) == pytest.approx((estimate.low, estimate.high))
    by_rows = score(replace(copies, groups=("",) * 400), 1_000).metrics["accuracy"]
    assert by_rows.high - by_rows.low < 0.5 * (grouped["accuracy"].high - grouped["accuracy"].low)


def test_groups_of_one_row_are_rows() -> None:
    one = noisy(80, 0.5, seed=4)
    named = replace(one, groups=tuple(f"g{row}" for row in one.ids))
    assert score(named, 500, seed=3).metrics == score(one, 500, seed=3).metrics


def test_few_groups_are_told_and_rows_resampled() -> None:
    found = score(noisy(90, 0.5, seed=1, per_group=10), 200)
    assert (found.unit, found.units) == ("rows", 90)
    assert found.notes[0].startswith("only 9 groups (dialogues or speakers), so rows were resampled")
    enough = score(noisy(100, 0.5, seed=1, per_group=10), 200)
    assert (enough.unit, enough.units, enough.notes) == ("groups", 10, ())


def test_a_row_without_a_group_is_one_by_itself() -> None:
    units = units_of(["a", "b", "c", "d"] * 5, ["", "x", "x", ""] + ["y", "z", "u", "v"] * 4)
    assert units.kind == "rows"  # 7 groups at most
    groups = ["", "", "x", "x", *(f"g{k}" for k in range(10))]
    units = units_of([f"row{k}" for k in range(14)], groups)
    assert (units.kind, units.count) == ("groups", 13)
    assert units.of_row[2] == units.of_row[3]
    assert len({units.of_row[0], units.of_row[1], units.of_row[2]}) == 3


@given(st.integers(0, 10_000), st.floats(0.05, 0.95), st.sampled_from([0, 3]))
@settings(max_examples=25)
def test_properties(seed: int, right: float, per_group: int) -> None:
    one = noisy(60, right, seed, per_group=per_group, truth=seed)
    found = score(one, 300, seed=seed)
    for name, estimate in found.metrics.items():
        assert estimate.low <= estimate.high
        assert (-1 if name == "kappa" else 0) <= estimate.low
        assert estimate.high <= 1
        assert estimate.value == pytest.approx(metrics.measures(one)[name])
    accuracy = found.metrics["accuracy"]
    assert accuracy.low <= accuracy.value <= accuracy.high
    assert score(shuffled(one, seed), 300, seed=seed) == found


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    one = noisy(200, 0.5, seed=1)
    assert score(one, 300, seed=1) == score(one, 300, seed=1)
    assert score(one, 300, seed=1).metrics != score(one, 300, seed=2).metrics


def test_about_95_of_100_intervals_hold_the_true_accuracy() -> None:
    held = 0
    for k in range(120):
        estimate = score(noisy(150, 0.5, seed=k, truth=k), 200, seed=k).metrics["accuracy"]
        held += estimate.low <= 0.5 + 0.5 / 4 <= estimate.high
    assert 105 <= held <= 120


def test_parts_of_the_resampling_are_one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = np.random.default_rng(0).random((30, 2, 2))
    whole = np.concatenate(list(resampled(sums, 100, 5)))
    monkeypatch.setattr("remelt.evaluation.resampling._CELLS", 30 * 7)
    parts = list(resampled(sums, 100, 5))
    assert len(parts) == 15
    assert np.concatenate(parts) == pytest.approx(whole)


def test_ccc_has_intervals_by_groups() -> None:
    random = np.random.default_rng(1)
    truth = random.random((120, 2)) * 1e-3 + 500
    values = truth + random.normal(0, 2e-4, (120, 2))
    truth[::9, 1] = np.nan
    one = rated(truth, values, [f"d{k // 3}" for k in range(120)], ("arousal", "valence"))
    found = score(one, 2_000, seed=0)
    drawn = []
    for _ in range(1_000):
        rows = np.concatenate([np.arange(3 * g, 3 * g + 3) for g in random.integers(0, 40, 40)])
        drawn.append(list(metrics.of_values(truth[rows], values[rows], ("arousal", "valence")).values()))
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    assert list(found.metrics) == ["ccc", "ccc_arousal", "ccc_valence"]
    assert [one.low for one in found.metrics.values()] == pytest.approx(low, abs=0.01)
    assert [one.high for one in found.metrics.values()] == pytest.approx(high, abs=0.01)
    assert found.classes == found.confusion == {}


def test_seeds_are_averaged_on_the_same_groups() -> None:
    runs = [noisy(120, 0.5, seed=k, per_group=4) for k in range(3)]
    found, each = score(runs, 400, seed=1), [score(run, 400, seed=1) for run in runs]
    single = [one.metrics["uar"].value for one in each]
    assert found.metrics["uar"].value == pytest.approx(np.mean(single))
    assert found.metrics["uar"].sd == pytest.approx(np.std(single, ddof=1))
    assert each[0].metrics["uar"].sd is None
    assert found.seeds == 3
    assert found.classes["anger"].support == sum(one.classes["anger"].support for one in each)
    # Three times the same model is that model, in whatever order its rows stand.
    same = score([runs[0], shuffled(runs[0]), runs[0]], 400, seed=1).metrics["uar"]
    assert (same.low, same.high) == pytest.approx((each[0].metrics["uar"].low, each[0].metrics["uar"].high))
    assert same.sd == pytest.approx(0)


def test_seeds_of_other_rows_are_refused_and_folds_put_together() -> None:
    a = noisy(100, 0.9, seed=1)
    b = replace(noisy(50, 0.2, seed=2), test="fold2", ids=tuple(f"other{k}" for k in range(50)))
    with pytest.raises(InputError, match="'dev' and 'fold2' differ in rows"):
        score([a, b])
    whole = pooled([a, b], "all")
    hits = (a.predicted == a.reference).sum() + (b.predicted == b.reference).sum()
    assert score(whole, 100).metrics["accuracy"].value == pytest.approx(hits / 150)
    spread = over_folds([a, b])["uar"]
    each = [metrics.measures(one)["uar"] for one in (a, b)]
    assert (spread.mean, spread.sd, spread.folds) == pytest.approx((np.mean(each), np.std(each, ddof=1), 2))
    with pytest.raises(InputError, match="have 'row00000' twice"):
        pooled([a, a], "all")
    with pytest.raises(InputError, match="have other columns"):
        pooled([a, said([0], [0])], "all")
    with pytest.raises(InputError, match="No folds"):
        pooled([], "all")


def test_scores_are_written_as_json() -> None:
    found = score(said([0, 0, 1], [0, 1, 1], EMOTIONS[:3]), 100)
    written = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert written["classes"]["fear"] == {
        "support": 0,
        "predicted": 0,
        "recall": None,
        "precision": None,
        "f1": None,
    }
    assert written["confusion"]["anger"] == {"anger": 1, "disgust": 1, "fear": 0}
    assert written["metrics"]["uar"]["value"] == pytest.approx(0.75)
    assert written["warnings"][0] == "only 3 test rows"


def test_an_interval_beside_its_score_is_told() -> None:
    """Of 60 classes with one row each, resamples miss a third, and UAR is over those that remain."""
    truth = [0] * 500 + list(range(1, 61))
    found = score(said(truth, [0] * 560, [f"c{k}" for k in range(61)]), 200)
    assert found.metrics["uar"].low > found.metrics["uar"].value
    assert "the interval of uar" in found.notes[-1]


def test_what_is_undefined_has_no_interval() -> None:
    found = score(said([0] * 30, [0] * 30, EMOTIONS[:2]), 100).metrics["kappa"]
    assert all(math.isnan(value) for value in (found.value, found.low, found.high))
    with pytest.raises(InputError, match="Bad number of resamples 10, expected 100 or more"):
        score(said([0, 1], [0, 1], EMOTIONS[:2]), 10)
    with pytest.raises(InputError, match="No predictions"):
        score([])
