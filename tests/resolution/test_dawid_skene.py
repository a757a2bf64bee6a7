"""Dawid-Skene against its formulas written out in plain Python, and against a known truth."""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from sklearn.metrics import accuracy_score

from remelt.errors import InputError
from remelt.resolution import Ballot, dawid_skene

from .ballots import LABELS, ballot, letters, run

Table = list[dict[str, str]]


def simulated(
    items: int, accuracies: Sequence[float], seed: int, missing: float = 0.2
) -> tuple[list[str], Table]:
    """True labels and what sources with known error rates say of them; errors go to one label per truth."""
    draw = random.Random(seed)
    wrong = {label: LABELS[(n + 1) % len(LABELS)] for n, label in enumerate(LABELS)}
    truth = draw.choices(LABELS, weights=(4, 3, 2, 1, 2), k=items)
    table: Table = []
    for label in truth:
        row = {}
        for n, accuracy in enumerate(accuracies):
            said = label if draw.random() < accuracy else wrong[label]
            if draw.random() >= missing:
                row[f"m{n}"] = said
        table.append(row)
    return truth, table


def plain_em(table: Table, gain: float, most: int) -> tuple[list[dict[str, float]], float, int]:
    """Dawid and Skene's equations 2.3 to 2.5, from the shares of the votes on.

    Returns the labels' probabilities, the log-likelihood and the number of rounds.
    """
    belief = []
    for row in table:
        belief.append({c: sum(said == c for said in row.values()) / len(row) for c in LABELS})
    sources = sorted({source for row in table for source in row})
    votes = sum(map(len, table))

    def parameters() -> tuple[dict[str, float], dict[tuple[str, str, str], float]]:
        priors = {c: sum(b[c] for b in belief) / len(table) for c in LABELS}
        errors = {}
        for source in sources:
            for c in LABELS:
                given = {
                    k: sum(b[c] for b, row in zip(belief, table, strict=True) if row.get(source) == k)
                    for k in LABELS
                }
                for k in LABELS:
                    errors[source, c, k] = given[k] / sum(given.values()) if sum(given.values()) else 0.0
        return priors, errors

    def joint(row: dict[str, str], priors: Any, errors: Any) -> dict[str, float]:
        return {c: priors[c] * math.prod(errors[s, c, k] for s, k in row.items()) for c in LABELS}

    priors, errors = parameters()
    before, rounds = -math.inf, 0
    while rounds < most:
        rounds += 1
        belief = []
        for row in table:
            parts = joint(row, priors, errors)
            belief.append({c: part / sum(parts.values()) for c, part in parts.items()})
        priors, errors = parameters()
        likelihood = sum(math.log(sum(joint(row, priors, errors).values())) for row in table)
        if likelihood / votes - before < gain:
            break
        before = likelihood / votes
    return belief, likelihood, rounds


def ballots(table: Table) -> list[Ballot]:
    return [ballot(n, row) for n, row in enumerate(table)]


@pytest.mark.parametrize(("items", "seed"), [(60, 1), (60, 2), (150, 3)])
def test_against_the_formulas(items: int, seed: int) -> None:
    _, table = simulated(items, (0.9, 0.6, 0.7, 0.5), seed)
    table = [row for row in table if row]
    belief, likelihood, rounds = plain_em(table, dawid_skene._GAIN, dawid_skene._ROUNDS)
    found = run(ballots(table), rule="dawid_skene", ties="first")
    told = found.info["dawid_skene"]
    assert told["rounds"] == rounds > 3
    assert told["log_likelihood"] == pytest.approx(likelihood, abs=1e-4)
    for resolution, row, expected in zip(found.resolutions, table, belief, strict=True):
        for label in LABELS:
            assert resolution.distribution.get(label, 0.0) == pytest.approx(expected[label], abs=2e-6)
        best = max(expected.values())
        assert expected[str(resolution.label)] == pytest.approx(best, abs=2e-6)
        assert resolution.share == list(row.values()).count(str(resolution.label)) / len(row)


def test_reliability_is_recovered() -> None:
    """1,500 items with known error rates: better than the vote, and each source's accuracy within .04."""
    accuracies = (0.95, 0.5, 0.4, 0.45, 0.85)
    truth, table = simulated(1500, accuracies, seed=7, missing=0.1)
    cast = ballots(table)
    estimated = run(cast, rule="dawid_skene", ties="first")
    vote = run(cast, rule="plurality", ties="first")
    scores = [
        accuracy_score(truth, [r.label or "" for r in found.resolutions]) for found in (estimated, vote)
    ]
    assert scores[0] > 0.93 > 0.85 > scores[1]
    told = estimated.info["dawid_skene"]
    assert told["converged"]
    for n, accuracy in enumerate(accuracies):
        source = told["sources"][f"m{n}"]
        assert source["accuracy"] == pytest.approx(accuracy, abs=0.04)
        for c, row in enumerate(source["confusion"]):
            assert sum(row) == pytest.approx(1, abs=1e-5)
            assert row[c] == pytest.approx(accuracy, abs=0.12)
    assert told["priors"]["anger"] == pytest.approx(truth.count("anger") / 1500, abs=0.03)
    assert estimated.notes == ()
    json.dumps(dict(estimated.info))


def test_the_order_of_ballots_and_votes_does_not_matter() -> None:
    _, table = simulated(80, (0.8, 0.6, 0.5), seed=5)
    cast = ballots(table)
    found = run(cast, rule="dawid_skene")
    backwards = [Ballot(b.utterance_id, b.votes[::-1]) for b in reversed(cast)]
    again = run(backwards, rule="dawid_skene")
    assert again.info["dawid_skene"] == found.info["dawid_skene"]
    before = [(r.label, r.distribution, r.share, r.reason) for r in found.resolutions]
    assert [(r.label, r.distribution, r.share, r.reason) for r in again.resolutions][::-1] == before


def test_ties_quorum_and_rejected_labels() -> None:
    rows = letters(["jn", "nj"] * 3)
    dropped = run(rows, rule="dawid_skene")
    assert {(r.label, r.reason, r.entropy) for r in dropped.resolutions} == {(None, "tie", 1.0)}
    assert dropped.info["ties"] == 6
    first = run(rows, rule="dawid_skene", ties="first")
    assert [r.label for r in first.resolutions] == ["joy", "neutral"] * 3
    rows = letters(["ooj", "jjj", "nnn", "o.."])
    found = run(rows, rule="dawid_skene", reject=("other",), quorum=2)
    assert [r.label for r in found.resolutions] == [None, "joy", "neutral", None]
    assert [r.reason for r in found.resolutions] == ["rejected", "", "", "quorum"]


def test_votes_that_are_not_there() -> None:
    """A source without any label, a ballot without any vote, labels that nobody gave."""
    cast = [ballot(n, {"m0": "joy", "m1": "joy", "m2": None}) for n in range(3)]
    cast += [ballot(3, {"m0": "anger", "m1": None}), ballot(4, {"m2": None}), ballot(5, {})]
    found = run(cast, rule="dawid_skene")
    assert [r.label for r in found.resolutions] == ["joy", "joy", "joy", "anger", None, None]
    assert [r.reason for r in found.resolutions[4:]] == ["no_votes", "no_votes"]
    told = found.info["dawid_skene"]["sources"]
    assert told["m2"] == {"accuracy": None, "confusion": None}
    assert told["m0"]["confusion"][LABELS.index("joy")] == [0, 1, 0, 0, 0]
    assert told["m0"]["confusion"][LABELS.index("sadness")] is None
    assert found.info["dawid_skene"]["priors"]["sadness"] == 0


def test_one_source_is_believed() -> None:
    found = run(letters(["j", "a", "j", "n"]), rule="dawid_skene")
    assert [r.label for r in found.resolutions] == ["joy", "anger", "joy", "neutral"]
    assert {r.entropy for r in found.resolutions} == {0.0}
    assert "1 of the three or more sources" in found.notes[0]


def test_only_the_sources_asked_for() -> None:
    _, table = simulated(60, (0.9, 0.7, 0.6, 0.2), seed=4)
    found = run(ballots(table), rule="dawid_skene", sources=("m2", "m0", "m1"), ties="first")
    assert sorted(found.info["dawid_skene"]["sources"]) == ["m0", "m1", "m2"]
    fewer = [{k: v for k, v in row.items() if k != "m3"} for row in table]
    alone = run(ballots(fewer), rule="dawid_skene", ties="first")
    assert alone.info["dawid_skene"] == found.info["dawid_skene"]


def test_no_votes_at_all() -> None:
    found = run([ballot(0, {"m0": None})], rule="dawid_skene")
    assert found.resolutions[0].reason == "no_votes"
    assert found.info["dawid_skene"] is None
    assert run([], rule="dawid_skene").resolutions == ()


@pytest.mark.parametrize(("module", "rows"), [("crowdkit.aggregation", ["ja"]), ("crowdkit", [])])
def test_without_crowd_kit(monkeypatch: pytest.MonkeyPatch, module: str, rows: list[str]) -> None:
    """Known before anybody is asked: a rule can be tried on no ballots at all."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"needs crowd-kit .*pip install 'remelt\[crowd\]'"):
        run(letters(rows), rule="dawid_skene")
