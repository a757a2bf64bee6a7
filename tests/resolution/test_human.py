"""The models' decision, kept where one person says the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from remelt.errors import InputError
from remelt.records import Vote
from remelt.resolution import Ballot

from .ballots import ballot, run

SAID = {"m0": "joy", "m1": "joy", "m2": "anger"}


def test_agreement_and_disagreement() -> None:
    found = run(
        [
            ballot(0, {**SAID, "hA": "joy"}),
            ballot(1, {**SAID, "hA": "anger"}),
            ballot(2, {**SAID, "hA": None}),
            ballot(3, SAID),
            ballot(4, {"m0": "joy", "m1": "anger", "hA": "joy"}),
            ballot(5, {"hA": "joy"}),
        ],
        rule="human",
    )
    assert [r.label for r in found.resolutions] == ["joy", None, None, None, None, None]
    assert [r.reason for r in found.resolutions] == [
        "", "disagreement", "disagreement", "no_rater", "tie", "no_votes",
    ]  # fmt: skip
    first, second, third = found.resolutions[:3]
    assert (first.decided_by, first.rule) == ("human:hA", "human")
    # The person's vote is kept, and is no part of the models' shares.
    assert (first.share, len(first.votes)) == (2 / 3, 4)
    assert (second.detail, second.share) == ("the models say 'joy', hA 'anger'", 2 / 3)
    assert third.detail == "the models say 'joy', hA none of these"
    assert found.info["human"] == {
        "base": "majority", "decided_by_base": 4, "judged": 3, "agreed": 1, "agreement": 1 / 3,
    }  # fmt: skip
    assert found.info["decided_by"] == {"human": 1}


def test_a_rater_with_several_labels_agrees_with_each() -> None:
    torn = Vote("hA", None, "human", {"joy": 0.5, "sadness": 0.5})
    models = tuple(Vote(name, "joy") for name in ("m0", "m1"))
    other = tuple(Vote(name, "anger") for name in ("m0", "m1"))
    found = run([Ballot("u", (*models, torn)), Ballot("v", (*other, torn))], rule="human")
    assert [r.label for r in found.resolutions] == ["joy", None]
    assert found.resolutions[1].detail == "the models say 'anger', hA 'joy' or 'sadness'"


def test_the_rater_is_drawn_by_seed_and_utterance() -> None:
    raters = ("hA", "hB", "hC")
    cast = [ballot(n, {**SAID, "hC": "joy", "hA": "joy", "hB": "joy"}) for n in range(300)]
    found = run(cast, rule="human", seed=5)
    asked = [r.decided_by.removeprefix("human:") for r in found.resolutions]
    expected = []
    for own in cast:
        drawn = hashlib.sha256(
            json.dumps([5, "rater", own.utterance_id], separators=(",", ":")).encode()
        ).hexdigest()
        expected.append(raters[int(drawn[:16], 16) % 3])
    assert asked == expected
    assert all(70 < asked.count(rater) < 130 for rater in raters)
    again = run(cast[::-1], rule="human", seed=5).resolutions
    assert [r.decided_by for r in again][::-1] == [r.decided_by for r in found.resolutions]
    other = run(cast, rule="human", seed=6).resolutions
    assert [r.decided_by for r in other] != [r.decided_by for r in found.resolutions]


def test_a_named_rater() -> None:
    cast = [
        ballot(0, {**SAID, "hA": "joy", "hB": "anger"}),
        ballot(1, {**SAID, "hA": "joy"}),
    ]
    found = run(cast, rule="human", human="hB")
    assert [r.reason for r in found.resolutions] == ["disagreement", "no_rater"]
    assert [r.label for r in run(cast, rule="human", human="hA").resolutions] == ["joy", "joy"]
    with pytest.raises(InputError, match=r"Bad human rater 'hX', expected one of \['hA', 'hB'\]"):
        run(cast, rule="human", human="hX")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"human": "ann"}, r"The rule 'majority' has no use for the rater 'ann', which is for \['human'\]"),
        ({"base": "plurality"}, "no use for the base rule 'plurality'"),
        ({"rule": "human", "reference": "joy"}, r"'joy', which is for \['consistency'\]"),
        ({"rule": "soft", "reference": "joy"}, "no use for the reference label 'joy'"),
    ],
)
def test_what_has_no_effect_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run([], **options)


def test_base_and_sources() -> None:
    cast = [ballot(0, {**SAID, "hA": "anger", "hB": "joy"})]
    first = run(cast, rule="human", base="first", sources=("m2", "hA"))
    assert (first.resolutions[0].label, first.resolutions[0].share) == ("anger", 1.0)
    # Sources of one kind only leave the other kind whole.
    people = run(cast, rule="human", sources=("hB",)).resolutions[0]
    assert (people.label, people.decided_by, people.share) == ("joy", "human:hB", 2 / 3)
    models = run(cast, rule="human", human="hA", sources=("m2",)).resolutions[0]
    assert (models.label, models.decided_by) == ("anger", "human:hA")
    rejected = run([ballot(0, {"m0": "other", "hA": "other"})], rule="human", reject=("other",))
    assert rejected.resolutions[0].reason == "rejected"
    estimated = run(cast, rule="human", base="dawid_skene", human="hB")
    assert estimated.resolutions[0].rule == "human"
    assert sorted(estimated.info["dawid_skene"]["sources"]) == ["m0", "m1", "m2"]
