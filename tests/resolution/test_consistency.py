"""The threshold between two sources, by the properties that Alqurashi et al. 2024 describe."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from sklearn.metrics import recall_score

from remelt.errors import InputError
from remelt.records import Resolution
from remelt.resolution import Ballot

from .ballots import ballot, run

CLASSES = ("anger", "joy", "neutral", "sadness")


def simulated(items: int, seed: int) -> tuple[list[str], list[Ballot]]:
    """True labels, what speech says of them, and text's probabilities, which lean to the truth."""
    draw = random.Random(seed)
    truth = draw.choices(CLASSES, weights=(2, 3, 4, 2), k=items)
    cast = []
    for n, label in enumerate(truth):
        speech = label if draw.random() < 0.6 else draw.choice(("neutral", "joy"))
        parts = {c: draw.expovariate(1.0) + (1.2 if c == label else 0.0) for c in CLASSES}
        text = {c: part / sum(parts.values()) for c, part in parts.items()}
        cast.append(ballot(n, {"speech": speech, "text": text}))
    return truth, cast


TRUTH, CAST = simulated(600, seed=1)


def decided(threshold: float, **options: Any) -> list[str]:
    found = run(CAST, rule="consistency", threshold=threshold, **options)
    assert found.info["decided"] == len(CAST)
    return [str(r.label) for r in found.resolutions]


def said(source: int) -> list[str]:
    return [str(own.votes[source].label) for own in CAST]


def algorithm(own: Ballot, tau: float) -> str:
    """The rule as the paper tells it."""
    speech, text = own.votes
    if speech.label != "neutral":
        return str(speech.label)
    p = text.probabilities
    return "neutral" if p["neutral"] >= tau else max(CLASSES, key=lambda c: p[c])


@pytest.mark.parametrize("tau", [0, 0.1, 0.25, 0.3, 0.35, 0.4, 0.5, 0.9])
def test_against_the_algorithm(tau: float) -> None:
    assert decided(tau) == [algorithm(own, tau) for own in CAST]


def test_at_zero_the_first_source_decides() -> None:
    assert decided(0) == said(0)


@pytest.mark.parametrize(
    ("sure", "threshold", "label"),
    [
        (0.3, 0.3, "neutral"),
        # A tenth three times is a little more than 0.3, and 0.3 must reach it.
        (0.3, 0.1 + 0.1 + 0.1, "neutral"),
        (0.299, 0.3, "joy"),
    ],
)
def test_a_probability_equal_to_the_threshold_reaches_it(sure: float, threshold: float, label: str) -> None:
    cast = ballot(0, {"a": "neutral", "b": {"joy": 1 - sure, "neutral": sure}})
    found = run([cast], rule="consistency", sources=("a", "b"), threshold=threshold).resolutions[0]
    assert (found.label, found.decided_by == "consistency:both") == (label, label == "neutral")


@pytest.mark.parametrize("tau", [0.5, 0.7, 1.0])
def test_from_a_half_on_the_second_decides_what_the_first_calls_neutral(tau: float) -> None:
    speech, text = said(0), said(1)
    assert decided(tau) == [t if s == "neutral" else s for s, t in zip(speech, text, strict=True)]


def test_the_recall_of_neutral_never_rises_with_the_threshold() -> None:
    recalls = [recall_score(TRUTH, decided(n / 20), labels=["neutral"], average="macro") for n in range(21)]
    assert recalls == sorted(recalls, reverse=True)
    assert recalls[0] > recalls[10]


def test_who_decided() -> None:
    found = run(CAST, rule="consistency", threshold=0.3)
    by: dict[str, list[Resolution]] = {}
    for resolution in found.resolutions:
        by.setdefault(resolution.decided_by, []).append(resolution)
    assert sorted(by) == ["consistency:both", "consistency:speech", "consistency:text"]
    assert {r.label for r in by["consistency:both"]} == {"neutral"}
    assert "neutral" not in {r.label for r in by["consistency:speech"] + by["consistency:text"]}
    asked = len(by["consistency:both"]) + len(by["consistency:text"])
    assert asked == said(0).count("neutral")
    assert found.info["consistency"] == {
        "sources": ["speech", "text"], "reference": "neutral", "threshold": 0.3, "asked_second": asked,
        "confirmed": len(by["consistency:both"]),
    }  # fmt: skip
    one = by["consistency:speech"][0]
    belief = one.votes[1].probabilities
    assert one.share == pytest.approx((1 + belief[str(one.label)]) / 2)


@pytest.mark.parametrize(
    ("votes", "options", "label", "detail"),
    [
        ({"a": "neutral", "b": "joy"}, {}, "joy", ""),
        ({"a": "neutral", "b": "neutral"}, {}, "neutral", ""),
        ({"a": "neutral", "b": None}, {}, None, "b gave no label"),
        ({"a": "neutral", "b": None}, {"threshold": 0}, "neutral", ""),
        ({"a": None, "b": "joy"}, {}, None, "a gave no label"),
        ({"a": "joy", "b": None}, {}, "joy", ""),
        ({"a": "joy", "b": None}, {"quorum": 2}, None, "1 of the 2 votes that are needed"),
        ({"a": "joy", "b": "neutral"}, {"sources": ("b", "a")}, "joy", ""),
        ({"a": "anger", "b": "joy"}, {"reference": "anger"}, "joy", ""),
        ({"a": "other", "b": "joy"}, {"reject": ("other",)}, None, "decided for 'other' by a"),
        ({"a": "neutral", "b": {"joy": 0.4, "anger": 0.4, "neutral": 0.2}}, {}, "joy", ""),
    ],
)
def test_single_votes(
    votes: Mapping[str, Any], options: dict[str, Any], label: str | None, detail: str
) -> None:
    found = run([ballot(0, votes)], rule="consistency", **{"sources": ("a", "b"), **options}).resolutions[0]
    assert (found.label, found.detail) == (label, detail)


def test_what_it_cannot_work_with() -> None:
    with pytest.raises(InputError, match="between two sources and got \\['a', 'b', 'c'\\]"):
        run([ballot(0, {"a": "joy", "b": "joy", "c": "joy"})], rule="consistency")
    with pytest.raises(InputError, match="Bad reference label 'calm', expected one of"):
        run([ballot(0, {"a": "joy", "b": "joy"})], rule="consistency", reference="calm")


def test_an_order_that_nobody_gave_and_missing_probabilities_are_told() -> None:
    cast = [ballot(n, {"speech": "neutral", "text": "joy"}) for n in range(3)]
    order, sure = run([*cast, ballot(3, {"speech": "joy", "text": "joy"})], rule="consistency").notes
    assert "text is asked only where the other says 'neutral'" in order
    assert "text gave no probabilities on 3 of the 3 utterances" in sure
    named = {"rule": "consistency", "sources": ("speech", "text")}
    assert run(CAST, **named).notes == ()
    assert run(cast, threshold=0.0, **named).notes == ()
