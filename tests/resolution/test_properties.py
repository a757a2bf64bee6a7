"""What holds for whatever votes there are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from remelt.resolution import Ballot, rules

from .ballots import LABELS, ballot, run

COUNTING = ("first", "majority", "plurality", "weighted", "soft")
said = st.one_of(st.none(), st.sampled_from(LABELS))
rows = st.lists(st.tuples(said, said, said, said, said), max_size=8)
options = st.fixed_dictionaries(
    {
        "rule": st.sampled_from(COUNTING),
        "ties": st.sampled_from(("drop", "first", "random")),
        "quorum": st.integers(1, 4),
        "reject": st.sampled_from(((), ("other",))),
        "abstain": st.sampled_from(((), ("neutral",))),
        "weights": st.dictionaries(st.sampled_from(("m0", "m1", "hA")), st.floats(0, 4), max_size=3),
        "sources": st.sampled_from(((), ("m2", "m0", "hA"))),
        "seed": st.integers(0, 3),
    }
)


def fitting(chosen: dict[str, Any]) -> dict[str, Any]:
    """The options without weights where the rule heeds none."""
    return chosen if chosen["rule"] in ("weighted", "soft") else {**chosen, "weights": {}}


def ballots(table: list[tuple[str | None, ...]]) -> list[Ballot]:
    return [
        ballot(n, dict(zip(("m0", "m1", "m2", "hA", "hB"), row, strict=True))) for n, row in enumerate(table)
    ]


@settings(max_examples=150, deadline=None)
@given(table=rows, chosen=options)
def test_every_ballot_comes_to_something(table: list[Any], chosen: dict[str, Any]) -> None:
    cast = ballots(table)
    found = run(cast, **fitting(chosen))
    assert [r.utterance_id for r in found.resolutions] == [b.utterance_id for b in cast]
    assert [r.votes for r in found.resolutions] == [b.votes for b in cast]
    for resolution in found.resolutions:
        assert (resolution.label is None) == bool(resolution.reason) == (not resolution.decided_by)
        assert resolution.label not in chosen["reject"]
        shares = resolution.distribution
        if not shares:
            assert (resolution.share, resolution.entropy) == (None, None)
            continue
        assert sum(shares.values()) == pytest.approx(1)
        assert all(share > 0 for share in shares.values())
        assert resolution.entropy == pytest.approx(scipy_entropy(list(shares.values()), base=2), abs=1e-8)
        if resolution.label is not None:
            assert resolution.share == shares[resolution.label]
        elif resolution.reason != "rejected":
            assert resolution.share == max(shares.values())
    info = found.info
    assert info["decided"] == sum(info["decided_by"].values())
    assert info["utterances"] == len(table) == info["decided"] + sum(info["reasons"].values())


@settings(max_examples=60, deadline=None)
@given(table=rows, chosen=options, order=st.randoms(use_true_random=False))
def test_the_order_of_the_ballots_does_not_matter(
    table: list[Any], chosen: dict[str, Any], order: Any
) -> None:
    cast = ballots(table)
    shuffled = order.sample(cast, len(cast))
    by_id = {r.utterance_id: r for r in run(shuffled, **fitting(chosen)).resolutions}
    assert by_id == {r.utterance_id: r for r in run(cast, **fitting(chosen)).resolutions}


@settings(max_examples=100, deadline=None)
@given(table=rows, ties=st.sampled_from(("drop", "first", "random")), threshold=st.floats(0, 0.99))
def test_a_plurality_covers_what_a_majority_covers(table: list[Any], ties: str, threshold: float) -> None:
    cast = ballots(table)
    most = run(cast, rule="plurality", ties=ties).resolutions
    strict = run(cast, rule="majority", ties=ties, threshold=threshold).resolutions
    higher = run(cast, rule="majority", ties=ties, threshold=min(0.995, threshold + 0.2)).resolutions
    for one, two, three in zip(most, strict, higher, strict=True):
        assert two.label in (None, one.label)
        assert three.label in (None, two.label)


@settings(max_examples=60, deadline=None)
@given(table=rows)
def test_rules_that_come_to_the_same(table: list[Any]) -> None:
    """Equal weights, and votes that are sure, are plain votes."""
    cast = ballots(table)
    plain = [(r.label, r.distribution) for r in run(cast, rule="plurality").resolutions]
    assert [(r.label, r.distribution) for r in run(cast, rule="weighted").resolutions] == plain
    assert [(r.label, r.distribution) for r in run(cast, rule="soft").resolutions] == plain


@pytest.mark.parametrize("rule", rules())
def test_options_can_be_tried_on_no_ballots(rule: str) -> None:
    """Before anybody is asked, nobody has voted and no rater is known."""
    found = run([], rule=rule, human="hA" if rule == "human" else None)
    assert (found.resolutions, found.info["utterances"]) == ((), 0)
