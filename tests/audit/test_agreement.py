"""Coefficients of agreement: published examples, plain double loops, scikit-learn and statsmodels."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn import metrics

from remelt.audit.agreement import AgreementOptions, VoteTable, counted_table, measure, vote_table
from remelt.audit.agreement_coefficients import (
    fleiss_kappa,
    gwet_ac1,
    item_sums,
    kinds,
    krippendorff_alpha,
    label_kappas,
    ordinal_alpha,
    percent_agreement,
    specific_agreement,
)
from remelt.audit.agreement_scores import cohen_kappa, draws, interval, measures, score
from remelt.errors import InputError

# Krippendorff 2011, section C: 4 observers, 12 units, missing data.
OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
# Fleiss 1971, table 1: 30 patients, 6 psychiatrists, 5 diagnoses.
DIAGNOSES = """
00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""
NO_INTERVALS = AgreementOptions(resamples=0, splits=2, least_common=1)
Units = list[list[str]]


def observers() -> VoteTable:
    lines = [line.split() for line in OBSERVERS.strip().splitlines()]
    return vote_table(
        (f"unit {i}", f"observer {o}", None if value == "." else value)
        for o, line in enumerate(lines)
        for i, value in enumerate(line)
    )


def random_table(seed: int, items: int = 40, raters: int = 6, labels: int = 4) -> VoteTable:
    """Votes with gaps: items with none, one, or all of the raters."""
    rng = random.Random(seed)
    votes = []
    for i in range(items):
        truth, gap = rng.randrange(labels), rng.random()
        for r in range(raters):
            label = truth if rng.random() < 0.6 else rng.randrange(labels)
            votes.append((f"i{i}", f"r{r}", None if rng.random() < gap else str(label)))
    return vote_table(votes, items=[f"i{i}" for i in range(items)], labels=[str(k) for k in range(labels)])


def units_of(table: VoteTable) -> Units:
    units: Units = [[] for _ in table.items]
    for item, label in zip(table.item.tolist(), table.label.tolist(), strict=True):
        units[item].append(table.labels[label])
    return units


def plain_alpha(units: Units, order: Sequence[str], ordinal: bool) -> float:
    """Krippendorff 2011: one less observed over expected disagreement, pair by pair."""
    pairable = [unit for unit in units if len(unit) >= 2]
    values = [value for unit in pairable for value in unit]
    often = Counter(values)

    def distance(a: str, b: str) -> float:
        if not ordinal:
            return float(a != b)
        low, high = sorted((order.index(a), order.index(b)))
        return float((sum(often[order[g]] for g in range(low, high + 1)) - (often[a] + often[b]) / 2) ** 2)

    observed = sum(
        distance(a, b) / (len(unit) - 1) for unit in pairable for a, b in itertools.permutations(unit, 2)
    ) / len(values)
    expected = sum(distance(a, b) for a, b in itertools.permutations(values, 2))
    return 1 - observed / (expected / (len(values) * (len(values) - 1)))


def plain_pairs(units: Units) -> float:
    shares = []
    for unit in units:
        pairs = list(itertools.permutations(unit, 2))
        if pairs:
            shares.append(sum(a == b for a, b in pairs) / len(pairs))
    return sum(shares) / len(shares)


def plain_fleiss(units: Units) -> float:
    often = Counter(value for unit in units if len(unit) >= 2 for value in unit)
    chance = sum((n / sum(often.values())) ** 2 for n in often.values())
    return (plain_pairs(units) - chance) / (1 - chance)


def plain_ac1(units: Units, labels: Sequence[str]) -> float:
    rated = [unit for unit in units if unit]
    share = {k: sum(unit.count(k) / len(unit) for unit in rated) / len(rated) for k in labels}
    chance = sum(p * (1 - p) for p in share.values()) / (len(labels) - 1)
    return (plain_pairs(units) - chance) / (1 - chance)


def test_krippendorffs_four_observers() -> None:
    table = observers()
    found = measure(table, AgreementOptions(order=("1", "2", "3", "4", "5"), resamples=200, least_common=1))
    values = {name: value.value for name, value in found.coefficients.items()}
    assert values["krippendorff_alpha"] == pytest.approx(0.743, abs=5e-4)
    assert values["krippendorff_alpha_ordinal"] == pytest.approx(0.815, abs=5e-4)
    # Gwet 2014 works on the same data: 9 of 11 units agree on average, AC1 = .775.
    assert values["percent_agreement"] == pytest.approx(0.818182)
    assert values["gwet_ac1"] == pytest.approx(0.77544, abs=5e-6)
    assert (found.items, found.judged, found.usable, found.votes, found.raters) == (12, 12, 11, 41, 4)
    for value in found.coefficients.values():
        assert value.low is not None
        assert value.high is not None
        assert value.low < (value.value or 0) < value.high


def test_fleiss_psychiatrists() -> None:
    rows = DIAGNOSES.split()
    names = ("depression", "personality", "schizophrenia", "neurosis", "other")
    counts = {f"p{i}": dict(zip(names, map(int, row), strict=True)) for i, row in enumerate(rows)}
    found = measure(counted_table(counts, names), NO_INTERVALS)
    assert found.coefficients["fleiss_kappa"].value == pytest.approx(0.430, abs=5e-4)
    kappas = [label.kappa.value for label in found.by_label]
    assert kappas == pytest.approx([0.245, 0.245, 0.520, 0.471, 0.566], abs=5e-4)
    assert (found.raters, found.pairs, found.by_rater) == (None, None, None)
    assert found.leave_one_out is not None


@pytest.mark.parametrize("seed", range(4))
def test_plain_double_loops_say_the_same(seed: int) -> None:
    table = random_table(seed)
    units = units_of(table)
    assert {len(unit) for unit in units} >= {0, 1, 2, 5}
    sums = item_sums(table.counts, ordinal=True).totals()
    assert percent_agreement(sums)[0] == pytest.approx(plain_pairs(units))
    assert fleiss_kappa(sums)[0] == pytest.approx(plain_fleiss(units))
    assert krippendorff_alpha(sums)[0] == pytest.approx(plain_alpha(units, table.labels, False))
    assert ordinal_alpha(sums)[0] == pytest.approx(plain_alpha(units, table.labels, True))
    assert gwet_ac1(sums, 4)[0] == pytest.approx(plain_ac1(units, table.labels))
    for k, label in enumerate(table.labels):
        pairs = [pair for unit in units for pair in itertools.permutations(unit, 2) if pair[0] == label]
        assert specific_agreement(sums)[0, k] == pytest.approx(
            sum(other == label for _, other in pairs) / len(pairs)
        )
        others = [["x" if value == label else "y" for value in unit] for unit in units]
        assert label_kappas(sums)[0, k] == pytest.approx(plain_fleiss(others))


def test_statsmodels_says_the_same_where_everybody_votes() -> None:
    rater = pytest.importorskip("statsmodels.stats.inter_rater")
    counts = np.random.default_rng(3).multinomial(7, [0.5, 0.3, 0.1, 0.1], size=60)
    sums = item_sums(counts).totals()
    assert fleiss_kappa(sums)[0] == pytest.approx(rater.fleiss_kappa(counts))
    for label in range(4):
        apart = np.stack([counts[:, label], 7 - counts[:, label]], axis=1)
        assert label_kappas(sums)[0, label] == pytest.approx(rater.fleiss_kappa(apart))
    table = np.array([[20, 5, 1], [3, 15, 6], [2, 4, 9]])
    for weights, kind in (("none", None), ("linear", "linear"), ("quadratic", "quadratic")):
        ours = cohen_kappa(table[None].astype(float), weights)[0]
        assert ours == pytest.approx(rater.cohens_kappa(table, wt=kind).kappa)


def test_a_resample_is_the_same_items_drawn_again() -> None:
    table = random_table(7)
    resampled = item_sums(table.counts, ordinal=True).totals(5, seed=11)
    same = kinds(table.counts)
    assert same.times.sum() == 40 > same.times.size
    weights = next(iter(draws(same.times, 5, 11)))
    assert weights.sum(axis=1).tolist() == [40.0] * 5
    for k in range(5):
        units = [
            [table.labels[label] for label, n in enumerate(row) for _ in range(n)]
            for row, times in zip(same.counts.tolist(), weights[k].tolist(), strict=True)
            for _ in range(int(times))
        ]
        assert fleiss_kappa(resampled)[k + 1] == pytest.approx(plain_fleiss(units))
        assert ordinal_alpha(resampled)[k + 1] == pytest.approx(plain_alpha(units, table.labels, True))
        assert gwet_ac1(resampled, 4)[k + 1] == pytest.approx(plain_ac1(units, table.labels))


def test_draws_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    times = np.array([1, 2, 3, 1, 1, 1, 1, 1, 1, 8])
    whole = np.concatenate(list(draws(times, 9, 4)))
    monkeypatch.setattr("remelt.audit.agreement_scores._BLOCK", 25)
    blocks = list(draws(times, 9, 4))
    assert len(blocks) == 5
    assert np.array_equal(np.concatenate(blocks), whole)


def test_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 4, 300)
    said = np.where(rng.random(300) < 0.6, truth, rng.integers(0, 5, 300))
    said[:20], truth[10:30] = -1, -1
    found = score(said, truth, 6, resamples=200)
    both = (said >= 0) & (truth >= 0)
    y, p = truth[both], said[both]
    assert found.rows == len(y) == 270
    assert found.coverage == pytest.approx(270 / 280, abs=1e-6)
    assert found.accuracy.value == pytest.approx(metrics.accuracy_score(y, p), abs=1e-6)
    assert found.uar.value == pytest.approx(
        metrics.recall_score(y, p, average="macro", labels=range(4)), abs=1e-6
    )
    assert found.f1.value == pytest.approx(metrics.f1_score(y, p, average="macro"), abs=1e-6)
    assert found.kappa.value == pytest.approx(metrics.cohen_kappa_score(y, p), abs=1e-6)
    # The interval of a share is about 1.96 standard errors to either side.
    half = 1.96 * (found.accuracy.value * (1 - found.accuracy.value) / 270) ** 0.5
    assert (found.accuracy.high or 0) - (found.accuracy.low or 0) == pytest.approx(2 * half, rel=0.2)
    assert score(said, truth, 6, resamples=200) == found
    assert score(said, truth, 6, resamples=200, seed=1) != found


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_weighted_kappa_is_scikit_learns(weights: str) -> None:
    rng = np.random.default_rng(6)
    a, b = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    b[:120] = a[:120]
    table = metrics.confusion_matrix(a, b)[None].astype(float)
    assert cohen_kappa(table, weights)[0] == pytest.approx(metrics.cohen_kappa_score(a, b, weights=weights))


def test_what_cannot_be_computed_is_none() -> None:
    same = measure(vote_table([(f"i{i}", r, "joy") for i in range(5) for r in "ab"]), NO_INTERVALS)
    assert same.coefficients["percent_agreement"].value == 1.0
    assert {n for n, v in same.coefficients.items() if v.value is None} == {
        "fleiss_kappa", "krippendorff_alpha", "gwet_ac1",
    }  # fmt: skip
    assert same.by_label[0].specific.value == 1.0
    assert same.by_label[0].kappa.value is None
    alone = measure(vote_table([(f"i{i}", "a", "joy" if i else "fear") for i in range(3)]), NO_INTERVALS)
    assert (alone.usable, alone.leave_one_out, alone.split_half) == (0, None, None)
    assert all(value.value is None for value in alone.coefficients.values())
    assert alone.unanimous.rate is None
    with pytest.raises(InputError, match="There is no vote"):
        measure(vote_table([("i", "a", None)]), NO_INTERVALS)
    assert np.isnan(measures(np.zeros((1, 2, 2)))["uar"]).all()


def test_an_interval_leaves_undefined_resamples_out() -> None:
    nan = float("nan")
    assert interval(0.5, np.array([0.4, nan, 0.6])).low == pytest.approx(0.405)
    assert interval(0.5, np.array([0.4, nan, nan, nan, 0.6])).low is None
    assert interval(nan, np.array([0.4, 0.6])).value is None
    assert interval(-0.165, np.array([-0.158, -0.13, -0.115])).low is None
    assert interval(0.5, np.array([0.5, 0.5, 0.5])).high == 0.5


@pytest.mark.parametrize(("items", "known"), [(4, False), (5, True)])
def test_few_items_have_no_interval(items: int, known: bool) -> None:
    votes = vote_table(
        [(f"i{i}", r, "joy" if i % 2 or r == "a" else "fear") for i in range(items) for r in "ab"]
    )
    found = measure(votes, AgreementOptions(least_common=1, resamples=200, splits=2))
    assert found.pairs is not None
    assert found.by_rater is not None
    for value in (
        found.coefficients["percent_agreement"], found.by_label[0].specific, found.by_rater[0].accuracy,
        found.pairs.compared[0].agreement, score(np.zeros(items, int), np.arange(items) % 2, 2).accuracy,
    ):  # fmt: skip
        assert (value.low is not None) is known


def test_ac1_depends_on_the_labels_that_were_on_offer() -> None:
    votes = [(f"i{i}", r, "joy" if i % 3 or r == "a" else "fear") for i in range(12) for r in "ab"]
    two = measure(vote_table(votes), NO_INTERVALS).coefficients
    seven = measure(vote_table(votes, labels=[f"l{k}" for k in range(5)]), NO_INTERVALS).coefficients
    assert two["fleiss_kappa"] == seven["fleiss_kappa"]
    assert (seven["gwet_ac1"].value or 0) > (two["gwet_ac1"].value or 0)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="Rater 'ann' has two labels for 'x'"):
        vote_table([("x", "ann", "joy"), ("x", "bob", "joy"), ("x", "ann", "fear")])
    table = vote_table([("x", "a", "low"), ("x", "b", "high")])
    with pytest.raises(InputError, match=r"Bad label 'high', expected one of \['low', 'mid'\] of the order"):
        measure(table, AgreementOptions(order=("low", "mid")))
    with pytest.raises(InputError, match="expected every label once"):
        measure(table, AgreementOptions(order=("low", "high", "low")))
    with pytest.raises(InputError, match="Bad resamples -1"):
        AgreementOptions(resamples=-1)
    with pytest.raises(InputError, match=r"Bad label 'z', expected one of \['a'\]"):
        counted_table({"x": {"z": 1}}, ["a"])


def test_an_order_that_is_not_by_name() -> None:
    votes = [("x", "a", "low"), ("x", "b", "mid"), ("y", "a", "high"), ("y", "b", "high"), ("z", "a", "low")]
    votes += [("z", "b", "low"), ("w", "a", "low"), ("w", "b", "high")]
    found = measure(
        vote_table(votes), AgreementOptions(order=("low", "mid", "high"), resamples=0, least_common=1)
    )
    units = [["low", "mid"], ["high", "high"], ["low", "low"], ["low", "high"]]
    assert found.coefficients["krippendorff_alpha_ordinal"].value == pytest.approx(
        plain_alpha(units, ("low", "mid", "high"), True), abs=1e-6
    )
    assert found.pairs is not None
    weighted = found.pairs.compared[0].weighted
    assert weighted is not None
    assert weighted.value == pytest.approx(
        metrics.cohen_kappa_score([0, 2, 0, 0], [1, 2, 0, 2], weights="quadratic"), abs=1e-6
    )
