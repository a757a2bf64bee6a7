"""Ceilings and pairs against plain loops, and a crowd that no dense table could hold."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from sklearn import metrics

from remelt.audit.agreement import AgreementOptions, VoteTable, counted_table, measure, vote_table
from remelt.audit.agreement_ceilings import leave_one_out, rest_majorities, split_half, split_half_cells

from .test_agreement import random_table


def votes_of(table: VoteTable) -> list[tuple[str, str, str]]:
    return [
        (table.items[i], table.raters[r], table.labels[k])
        for i, r, k in zip(table.item.tolist(), table.rater.tolist(), table.label.tolist(), strict=True)
    ]


def leaders(labels: list[str]) -> list[str]:
    counts = Counter(labels)
    return [label for label, n in counts.items() if n == max(counts.values())]


def plain_leave_one_out(
    table: VoteTable, rater: str | None = None
) -> tuple[list[str], list[str], int, float]:
    """References, votes, ties and points of every vote against the majority of the others on its item."""
    items = defaultdict(list)
    for item, who, label in votes_of(table):
        items[item].append((who, label))
    references, said, ties, points = [], [], 0, 0.0
    for found in items.values():
        for who, label in found:
            rest = leaders([other for person, other in found if person != who])
            if not rest or rater not in (None, who):
                continue
            points += (label in rest) / len(rest)
            if len(rest) > 1:
                ties += 1
            else:
                references.append(rest[0])
                said.append(label)
    return references, said, ties, points


@pytest.mark.parametrize("seed", range(3))
def test_leave_one_out_is_every_vote_against_the_others(seed: int) -> None:
    table = random_table(seed, items=60)
    found = leave_one_out(table.counts, resamples=0, seed=0)
    references, said, ties, points = plain_leave_one_out(table)
    assert ties > 5
    assert (found.compared, found.tied) == (len(said), ties)
    assert found.accuracy.value == pytest.approx(metrics.accuracy_score(references, said), abs=1e-6)
    present = sorted(set(references))
    uar = metrics.recall_score(references, said, average="macro", labels=present)
    assert found.uar.value == pytest.approx(uar, abs=1e-6)
    assert found.kappa.value == pytest.approx(metrics.cohen_kappa_score(references, said), abs=1e-6)
    assert found.shared is not None
    assert found.shared.value == pytest.approx(points / (len(said) + ties), abs=1e-6)


def test_each_rater_against_the_others() -> None:
    table = random_table(5, items=80)
    found = measure(table, AgreementOptions(resamples=100, splits=2, least_common=1))
    assert found.by_rater is not None
    assert [r.votes for r in found.by_rater] == sorted((r.votes for r in found.by_rater), reverse=True)
    for rater in found.by_rater:
        references, said, ties, _ = plain_leave_one_out(table, rater.name)
        assert (rater.compared, rater.tied) == (len(said), ties)
        assert rater.accuracy.value == pytest.approx(metrics.accuracy_score(references, said), abs=1e-6)
        assert rater.kappa.value == pytest.approx(metrics.cohen_kappa_score(references, said), abs=1e-6)
        assert rater.accuracy.low is not None


def test_leave_one_out_needs_no_names() -> None:
    table = random_table(2)
    nameless = counted_table(
        {item: dict(zip(table.labels, map(int, row), strict=True))
         for item, row in zip(table.items, table.counts, strict=True)},
        table.labels,
    )  # fmt: skip
    assert not nameless.named
    assert leave_one_out(nameless.counts, 50, 3) == leave_one_out(table.counts, 50, 3)
    majority, part = rest_majorities(np.array([[2, 1], [1, 1], [1, 0]]))
    assert majority.tolist()[:2] == [[-2, 0], [1, 0]]
    assert majority[2, 0] == -1
    assert part.tolist()[:2] == [[0.5, 0.0], [0.0, 0.0]]


def test_split_half_by_plain_halving() -> None:
    table = random_table(8, items=60)
    found = split_half(table, splits=400, resamples=50, seed=1)
    rng = random.Random(1)
    items = defaultdict(list)
    for item, _, label in votes_of(table):
        items[item].append(label)
    same = compared = tied = 0
    for _ in range(400):
        for labels in items.values():
            if len(labels) < 2:
                continue
            mixed = rng.sample(labels, len(labels))
            half = len(labels) // 2
            a, b = leaders(mixed[:half]), leaders(mixed[half : 2 * half])
            if len(a) == len(b) == 1:
                compared += 1
                same += a == b
            else:
                tied += 1
    assert found.compared + found.tied == sum(len(labels) >= 2 for labels in items.values())
    assert found.compared == pytest.approx(compared / 400, rel=0.02)
    assert found.tied == pytest.approx(tied / 400, rel=0.05)
    assert found.accuracy.value == pytest.approx(same / compared, abs=0.02)
    assert found.accuracy.low is not None
    assert found.accuracy.low < (found.accuracy.value or 0) < (found.accuracy.high or 0)


def test_halves_are_equal_and_either_is_the_reference() -> None:
    table = counted_table({"even": {"a": 1, "b": 1}, "odd": {"a": 3}, "one": {"a": 1}}, ["a", "b"])
    cells = split_half_cells(table, splits=10, seed=0)
    assert cells.used.tolist() == [0, 1, 2]
    # The kinds by their counts: (1, 0), (1, 1), (3, 0).
    assert cells.sums.blocks["cells"].tolist() == [[0, 0, 0], [0, 0.5, 0.5], [1, 0, 0]]
    assert split_half(table, 10, 0, 0) == split_half(table, 10, 0, 0)


def test_every_pair_on_its_common_items() -> None:
    table = random_table(4, items=90, raters=4)
    found = measure(table, AgreementOptions(resamples=100, splits=2, least_common=1)).pairs
    assert found is not None
    assert (found.met, found.enough, len(found.compared)) == (6, 6, 6)
    by_rater = defaultdict(dict)
    for item, rater, label in votes_of(table):
        by_rater[rater][item] = label
    for pair in found.compared:
        first, second = by_rater[pair.first], by_rater[pair.second]
        common = sorted(first.keys() & second.keys())
        a, b = [first[i] for i in common], [second[i] for i in common]
        assert pair.items == len(common)
        assert pair.agreement.value == pytest.approx(metrics.accuracy_score(a, b), abs=1e-6)
        assert pair.kappa.value == pytest.approx(metrics.cohen_kappa_score(a, b), abs=1e-6)
        assert pair.kappa.low is not None
        assert pair.kappa.low < (pair.kappa.value or 0) < (pair.kappa.high or 0)
        assert found.by_names[pair.second, pair.first] is pair
    assert set(found.raters) == set(table.raters)
    fewer = measure(table, AgreementOptions(resamples=0, splits=2, least_common=1, most_pairs=2)).pairs
    assert fewer is not None
    assert sorted(p.items for p in fewer.compared) == sorted(p.items for p in found.compared)[-2:]
    none = measure(table, AgreementOptions(resamples=0, splits=2, least_common=91)).pairs
    assert none is not None
    assert (none.met, none.enough, none.compared) == (6, 0, ())


def test_a_crowd_of_thousands() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, 1500)
    votes = [
        (f"clip{i}", f"person{p}", str(truth[i] if rng.random() < 0.5 else rng.integers(0, 6)))
        for i in range(1500)
        for p in rng.choice(2443, 8, replace=False).tolist()
    ]
    votes += [(f"clip{i}", who, str(truth[i])) for i in range(30) for who in ("ann", "bob")]
    found = measure(vote_table(votes), AgreementOptions(resamples=30, splits=2, most_raters=7))
    assert (found.raters or 0) > 2400
    assert found.pairs is not None
    assert found.pairs.met > 30_000
    assert [(p.first, p.second, p.items) for p in found.pairs.compared] == [("ann", "bob", 30)]
    assert found.by_rater is not None
    assert len(found.by_rater) == 7
    assert found.by_rater[0].name in ("ann", "bob")
