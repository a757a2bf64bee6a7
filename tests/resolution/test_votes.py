"""The rules that count votes, and their options."""

from __future__ import annotations

import math
from typing import Any

import pytest
from scipy.stats import entropy as scipy_entropy

from remelt.errors import InputError
from remelt.records import Vote
from remelt.resolution import Ballot, ResolutionOptions, resolve, rules

from .ballots import LABELS, ballot, letters, one, run


def test_the_rules_are_found() -> None:
    assert list(rules()) == [
        "consistency", "dawid_skene", "first", "human", "majority", "plurality", "soft", "weighted",
    ]  # fmt: skip
    assert all(module.SUMMARY for module in rules().values())


@pytest.mark.parametrize(
    ("row", "options", "label", "decided_by", "reason"),
    [
        ("jja", {}, "joy", "majority", ""),
        ("jjaa", {}, None, "", "tie"),
        ("jjaas", {}, None, "", "no_majority"),
        ("jjas", {}, None, "", "no_majority"),
        ("jas", {}, None, "", "no_majority"),
        ("jas", {"ties": "first"}, None, "", "no_majority"),
        ("ajja", {"ties": "first"}, "anger", "tie:first", ""),
        ("jaaj", {"ties": "first"}, "joy", "tie:first", ""),
        ("jjas", {"threshold": 0.4}, "joy", "majority", ""),
        ("jjaas", {"threshold": 0.4, "ties": "first"}, "joy", "tie:first", ""),
        ("jjj.aa", {"threshold": 0.6}, None, "", "no_majority"),
        ("jj.a", {"threshold": 2 / 3}, None, "", "no_majority"),
        ("jja", {"rule": "plurality"}, "joy", "plurality", ""),
        ("jjas", {"rule": "plurality"}, "joy", "plurality", ""),
        ("jas", {"rule": "plurality"}, None, "", "tie"),
        ("jas", {"rule": "plurality", "ties": "first"}, "joy", "tie:first", ""),
        ("ssajj", {"rule": "plurality", "ties": "first"}, "sadness", "tie:first", ""),
        ("...", {}, None, "", "no_votes"),
        ("jj", {"quorum": 3}, None, "", "quorum"),
        ("jj.a", {"quorum": 3}, "joy", "majority", ""),
        ("j", {}, "joy", "majority", ""),
        ("ooj", {}, "other", "majority", ""),
        ("ooj", {"reject": ("other",)}, None, "", "rejected"),
        ("ojj", {"reject": ("other",)}, "joy", "majority", ""),
        ("ooj", {"abstain": ("other",)}, "joy", "majority", ""),
        ("oo", {"abstain": ("other",)}, None, "", "no_votes"),
        ("oj", {"reject": ("other",), "ties": "first"}, None, "", "rejected"),
        ("ajj", {"rule": "first"}, "anger", "first:m0", ""),
        (".sa", {"rule": "first"}, "sadness", "first:m1", ""),
        ("aj", {"rule": "first", "sources": ("m1", "m0")}, "joy", "first:m1", ""),
        ("oj", {"rule": "first", "reject": ("other",)}, None, "", "rejected"),
        ("jo", {"rule": "first", "reject": ("other",)}, "joy", "first:m0", ""),
        ("ajj", {"rule": "first", "quorum": 4}, None, "", "quorum"),
        ("jja", {"sources": ("m2", "m0")}, None, "", "tie"),
        ("jja", {"sources": ("m2", "m0"), "ties": "first"}, "anger", "tie:first", ""),
        ("jja", {"rule": "weighted", "weights": {"m2": 2.5}}, "anger", "weighted", ""),
        ("jja", {"rule": "weighted", "weights": {"m2": 2}}, None, "", "tie"),
        ("jja", {"rule": "weighted", "weights": {"m0": 0.1, "m1": 0.2, "m2": 0.3}}, None, "", "tie"),
        ("jja", {"rule": "weighted", "weights": {"m0": 0, "m1": 0, "m2": 0}}, None, "", "no_votes"),
    ],
)  # fmt: skip
def test_decisions(
    row: str, options: dict[str, Any], label: str | None, decided_by: str, reason: str
) -> None:
    found = one(row, **options)
    assert (found.label, found.decided_by, found.reason) == (label, decided_by, reason)
    assert bool(found.detail) == bool(reason)
    assert len(found.votes) == len(row.replace(".", ""))


def test_what_is_kept_of_the_votes() -> None:
    found = one("jjas", rule="plurality")
    assert found.distribution == {"joy": 0.5, "anger": 0.25, "sadness": 0.25}
    assert (found.share, found.rule) == (0.5, "plurality")
    assert found.entropy == pytest.approx(scipy_entropy([2, 1, 1], base=2), abs=1e-9)
    undecided = one("jjaa")
    assert (undecided.share, undecided.entropy) == (0.5, 1.0)
    assert undecided.detail == "anger and joy lead with 0.5 each"
    assert (one("...").share, one("...").entropy, dict(one("...").distribution)) == (None, None, {})
    weighted = one("jja", rule="weighted", weights={"m2": 3, "m1": 0})
    assert weighted.distribution == {"joy": 0.25, "anger": 0.75}
    first = one("ajj", rule="first")
    assert (first.share, first.distribution["joy"]) == (1 / 3, 2 / 3)


def test_a_vote_without_a_label_is_kept_and_not_counted() -> None:
    found = run([ballot(0, {"m0": "joy", "m1": None, "m2": None})], quorum=1).resolutions[0]
    assert (found.label, found.share, len(found.votes)) == ("joy", 1.0, 3)
    assert run([ballot(0, {"m0": "joy", "m1": None})], quorum=2).resolutions[0].reason == "quorum"


def test_soft_votes() -> None:
    sure = {"joy": 0.9, "anger": 0.1}
    torn = {"anger": 0.55, "joy": 0.45}
    found = run([ballot(0, {"m0": sure, "m1": torn, "m2": torn})], rule="soft")
    resolution = found.resolutions[0]
    assert resolution.label == "joy"
    assert resolution.distribution["joy"] == pytest.approx((0.9 + 0.45 + 0.45) / 3)
    assert resolution.share == resolution.distribution["joy"]
    assert resolution.entropy == pytest.approx(scipy_entropy([0.6, 0.4], base=2), abs=1e-9)
    assert found.notes == ()
    # A vote without probabilities is sure.
    hard = run([ballot(0, {"m0": sure, "m1": torn, "m2": "anger"})], rule="soft")
    assert hard.resolutions[0].label == "anger"
    assert hard.resolutions[0].distribution["anger"] == pytest.approx((0.1 + 0.55 + 1) / 3)
    assert hard.info["soft"] == {"with_probabilities": 2, "without": 1}
    assert "1 of 3 votes" in hard.notes[0]
    weighted = run([ballot(0, {"m0": sure, "m1": torn, "m2": torn})], rule="soft", weights={"m0": 0.1})
    assert weighted.resolutions[0].label == "anger"
    assert run([ballot(0, {"m0": sure, "m1": torn, "m2": torn})]).resolutions[0].label == "anger"


def test_a_person_with_several_labels_shares_the_vote_out() -> None:
    torn = Vote("hA", None, "human", {"joy": 0.5, "anger": 0.5})
    own = Ballot("u", (torn, Vote("m0", "joy")))
    soft = resolve([own], LABELS, ResolutionOptions(rule="soft")).resolutions[0]
    assert (soft.label, dict(soft.distribution)) == ("joy", {"joy": 0.75, "anger": 0.25})
    counted = resolve([own], LABELS, ResolutionOptions(quorum=2)).resolutions[0]
    assert (counted.reason, counted.detail) == ("quorum", "1 of the 2 votes that are needed")
    torn_first = Ballot("u", (torn, Vote("m0", "joy"), Vote("m1", "anger")))
    broken = resolve([torn_first], LABELS, ResolutionOptions(rule="soft", ties="first")).resolutions[0]
    assert (broken.label, broken.decided_by) == ("anger", "tie:first")


def test_ties_that_are_drawn() -> None:
    rows = letters(["jaja"] * 400)
    found = run(rows, rule="majority", ties="random", seed=3)
    drawn = [r.label for r in found.resolutions]
    assert {r.decided_by for r in found.resolutions} == {"tie:random"}
    assert set(drawn) == {"joy", "anger"}
    assert 160 < drawn.count("joy") < 240
    assert [r.label for r in run(rows, ties="random", seed=3).resolutions] == drawn
    assert [r.label for r in run(rows, ties="random", seed=4).resolutions] != drawn
    assert [r.label for r in run(rows[::-1], ties="random", seed=3).resolutions] == drawn[::-1]


def test_counts() -> None:
    rows = [*letters(["jja", "jas", "ooj", "jj."]), ballot(9, {"m0": None, "hA": "joy"})]
    info = run(rows, reject=("other",)).info
    assert info["utterances"] == 5
    assert info["decided"] == 3
    assert info["decided_by"] == {"majority": 3}
    assert info["reasons"] == {"no_majority": 1, "rejected": 1}
    assert info["ties"] == 1
    assert info["sources"]["m1"] == {
        "kind": "model", "votes": 4, "without_label": 0, "counted": 4, "compared": 2, "agreed": 2,
        "agreement": 1.0,
    }  # fmt: skip
    assert info["sources"]["m2"]["agreement"] == 0.0
    assert (info["sources"]["m0"]["votes"], info["sources"]["m0"]["without_label"]) == (5, 1)
    assert info["raters"]["people"] == 1
    many = [ballot(n, {f"h{n}": "joy", "m0": "joy"}) for n in range(60)]
    crowd = run(many).info
    assert list(crowd["sources"]) == ["m0"]
    assert (crowd["raters"]["people"], crowd["raters"]["agreed"]) == (60, 60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "vote"}, "Bad resolution rule 'vote', expected one of ['consistency', 'dawid_skene',"),
        ({"base": "human"}, "Bad base rule 'human', expected one of ['dawid_skene', 'first', 'majority',"),
        ({"ties": "last"}, "Bad ties 'last', expected one of ['drop', 'first', 'random']"),
        ({"threshold": 1.2}, "Bad threshold 1.2, expected a share from 0 to 1"),
        ({"threshold": math.nan}, "Bad threshold nan"),
        ({"threshold": 1}, "Bad threshold 1 for 'majority'"),
        ({"quorum": 0}, "Bad quorum 0, expected 1 or more votes"),
        ({"weights": {"m0": -1}}, "Bad weight -1 of 'm0'"),
        ({"weights": {"m0": math.inf}}, "Bad weight inf of 'm0'"),
        ({"weights": {"m0": 2}}, "The rule 'majority' weighs no votes; weights are for ['soft', 'weighted']"),
        ({"rule": "human", "weights": {"m0": 2}}, "The rule 'human' weighs no votes"),
        ({"reject": ("others",)}, "Bad label to reject 'others', expected one of ['anger', 'joy',"),
        ({"abstain": ("others",)}, "Bad label to abstain 'others'"),
        ({"sources": ("m0", "m0")}, "Bad sources ['m0', 'm0']: a name stands there twice"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        run(letters(["jja"]), **options)
    assert message in str(caught.value)


def votes(*cast: Vote) -> list[Ballot]:
    return [Ballot("u0", cast)]


@pytest.mark.parametrize(
    ("ballots", "message"),
    [
        (letters(["jja"]) * 2, "toy/train/dia0_utt0 has two ballots"),
        (votes(Vote("m0", "joy"), Vote("m0", "anger")), "u0: a source voted twice"),
        (votes(Vote("m0", "happy")), "u0: Bad label of m0 'happy', expected one of ['anger'"),
        (votes(Vote("m0", "joy", probabilities={"happy": 1.0})), "u0: Bad label of m0 'happy'"),
        (votes(Vote("m0", "joy", probabilities={"joy": 0.7})), "u0: bad probabilities {'joy': 0.7}"),
        (
            [*votes(Vote("m", "joy")), Ballot("u1", (Vote("m", "joy", "human"),))],
            "u1: m votes as a human",
        ),
    ],
)
def test_bad_ballots(ballots: list[Ballot], message: str) -> None:
    with pytest.raises(InputError) as caught:
        run(ballots)
    assert message in str(caught.value)
