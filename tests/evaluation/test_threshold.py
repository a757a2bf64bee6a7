"""Alqurashi et al.'s threshold: the rule row by row, its properties, and the voting rule of the same name."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support, recall_score

from remelt.errors import InputError
from remelt.evaluation.threshold import Answers, choose, corrected, decide, sweep
from remelt.records import Vote
from remelt.resolution import Ballot, ResolutionOptions, resolve

LABELS = ("anger", "joy", "neutral", "sadness")
EMOTIONS = ("anger", "joy", "sadness")
NEUTRAL = LABELS.index("neutral")
TAUS = (0.0, 0.25, 0.3, 0.35, 0.4, 0.5, 0.8, 1.0)


def shares(*counts: int) -> list[float]:
    return [count / sum(counts) for count in counts]


def parts(size: int) -> st.SearchStrategy[list[float]]:
    """Probabilities with many ties."""
    whole = st.lists(st.integers(0, 6), min_size=size, max_size=size).filter(any)
    return whole.map(lambda counts: shares(*counts))


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    rows = draw(st.integers(1, 12))
    return Answers(
        LABELS,
        np.array([draw(parts(2))[1] for _ in range(rows)]),
        np.array([draw(parts(3)) for _ in range(rows)]),
        np.array([draw(parts(4)) for _ in range(rows)]),
    )


def simulated(rows: int = 400, seed: int = 3) -> tuple[Answers, np.ndarray]:
    """Answers that lean to the truth."""
    random = np.random.default_rng(seed)
    truth = random.choice(4, rows, p=(0.2, 0.25, 0.35, 0.2))
    emotional = random.beta(2, 2, rows) * 0.7 + 0.3 * (truth != NEUTRAL)
    speech = random.dirichlet(np.ones(3), rows)
    text = random.dirichlet(np.ones(4), rows) * 0.6 + 0.4 * np.eye(4)[truth]
    return Answers(LABELS, emotional, speech, text), truth


def by_the_paper(emotional: float, emotions: list[float], text: list[float], tau: float) -> str:
    """The rule for one row in plain words."""
    if emotional > 1 - emotional:
        return EMOTIONS[emotions.index(max(emotions))]
    p = dict(zip(LABELS, text, strict=True))
    if tau == 0 or p["neutral"] >= tau - 1e-9:
        return "neutral"
    # Of equals neutral, else the first.
    return max(LABELS, key=lambda label: (p[label], label == "neutral"))


def rows_of(found: Answers) -> list[tuple[float, list[float], list[float]]]:
    assert found.text is not None
    return list(zip(found.emotional.tolist(), found.emotions.tolist(), found.text.tolist(), strict=True))


@settings(max_examples=40)
@given(answers(), st.sampled_from(TAUS))
def test_against_the_rule_row_by_row(found: Answers, tau: float) -> None:
    expected = [by_the_paper(*row, tau) for row in rows_of(found)]
    assert [LABELS[k] for k in decide(found, tau)] == expected


@settings(max_examples=40)
@given(answers(), st.sampled_from(TAUS))
def test_against_the_voting_rule_of_the_same_name(found: Answers, tau: float) -> None:
    ballots = []
    for number, (emotional, emotions, text) in enumerate(rows_of(found)):
        heard = by_the_paper(emotional, emotions, text, 0.0)
        p = dict(zip(LABELS, text, strict=True))
        read = max(LABELS, key=lambda label: (p[label], label == "neutral"))
        votes = (Vote("speech", heard, "model"), Vote("text", read, "model", p))
        ballots.append(Ballot(f"toy/test/dia0_utt{number}", votes))
    options = ResolutionOptions(rule="consistency", threshold=tau, sources=("speech", "text"))
    decided = resolve(ballots, LABELS, options).resolutions
    assert [LABELS[k] for k in decide(found, tau)] == [each.label for each in decided]


@settings(max_examples=40)
@given(answers())
def test_at_zero_speech_decides_alone(found: Answers) -> None:
    speech = Answers(LABELS, found.emotional, found.emotions)
    assert decide(found, 0.0).tolist() == decide(speech, 0.0).tolist()
    assert ((decide(found, 0.0) == NEUTRAL) == found.asked).all()


@settings(max_examples=40)
@given(answers(), st.floats(0.5, 1.0))
def test_from_one_half_text_decides_what_speech_calls_neutral(found: Answers, tau: float) -> None:
    decided = decide(found, tau)
    assert decided[found.asked].tolist() == found.by_text[found.asked].tolist()
    assert (decided[~found.asked] == decide(found, 0.0)[~found.asked]).all()


@settings(max_examples=40)
@given(answers(), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_fewer_rows_are_neutral_the_higher_the_threshold(found: Answers, taus: list[float]) -> None:
    neutral = [set(np.flatnonzero(decide(found, tau) == NEUTRAL)) for tau in sorted(taus)]
    assert all(later <= earlier for earlier, later in pairwise(neutral))


@settings(max_examples=40)
@given(answers(), st.floats(0, 1))
def test_a_threshold_lies_between_both_ends(found: Answers, tau: float) -> None:
    ends = np.stack([decide(found, 0.0), decide(found, 0.5)])
    assert (decide(found, tau) == ends).any(axis=0).all()


def test_scores_against_scikit_learn() -> None:
    found, truth = simulated()
    for point in sweep(found, truth, TAUS):
        guess = decide(found, point.threshold)
        precision, recall, _, _ = precision_recall_fscore_support(
            truth, guess, labels=range(4), zero_division=np.nan
        )
        np.testing.assert_allclose(point.precision, precision)
        np.testing.assert_allclose(point.recall, recall)
        assert point.ua == pytest.approx(recall_score(truth, guess, average="macro"))
        assert point.wa == pytest.approx(accuracy_score(truth, guess))
        assert point.neutral == (guess == NEUTRAL).sum()


def test_neutral_gets_rarer_and_surer() -> None:
    found, truth = simulated()
    points = sweep(found, truth, (0.0, 0.25, 0.5))
    recall = [point.recall[NEUTRAL] for point in points]
    precision = [point.precision[NEUTRAL] for point in points]
    assert recall == sorted(recall, reverse=True)
    assert recall[0] > recall[-1]
    assert precision[-1] > precision[0]


def test_the_best_ua_is_chosen_and_of_equals_the_smallest() -> None:
    found, truth = simulated()
    points = sweep(found, truth, TAUS)
    best = max(point.ua for point in points)
    assert choose(points).threshold == min(point.threshold for point in points if point.ua == best)
    # From .5 on nothing changes.
    assert choose(sweep(found, truth, (0.9, 0.5, 0.7))).threshold == 0.5


def test_what_text_corrects() -> None:
    # Called neutral by speech: two emotional rows (one is read right) and two neutral ones.
    found = Answers(
        LABELS,
        np.array([0.1, 0.1, 0.1, 0.1, 0.9]),
        np.full((5, 3), 1 / 3),
        np.array([[4, 2, 3, 1], [3, 1, 1, 1], [1, 1, 7, 1], [5, 3, 1, 1], [1, 1, 1, 7]])
        / np.array([[10], [6], [10], [10], [10]]),
    )
    truth = np.array([0, 3, NEUTRAL, NEUTRAL, 3])
    at_35, at_25 = corrected(found, truth, 0.35), corrected(found, truth, 0.25)
    assert (at_35.missed, at_35.right, at_35.emotional, at_35.applied, at_35.spoilt) == (2, 1, 2, 1, 1)
    # The first row's .3 of neutral reaches .25: what text knows is not heeded.
    assert (at_25.right, at_25.applied) == (1, 0)
    assert at_35.share == 0.5
    none = corrected(
        Answers(LABELS, np.ones(1), np.ones((1, 3)) / 3, np.ones((1, 4)) / 4), np.array([1]), 0.3
    )
    assert math.isnan(none.share)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("anger", "joy", "calm", "sadness")}, "Bad neutral label"),
        ({"labels": ("joy", "neutral")}, "two emotions or more"),
        ({"emotions": np.ones((2, 4)) / 4}, r"Bad shape \(2, 4\) of 'emotions'"),
        ({"text": np.array([[0.5, 0.5, 0, np.nan], [1, 0, 0, 0]])}, "Bad probabilities of 'text'"),
    ],
)
def test_answers_that_do_not_fit(change: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {
        "labels": LABELS,
        "emotional": np.full(2, 0.4),
        "emotions": np.ones((2, 3)) / 3,
        "text": np.ones((2, 4)) / 4,
    }
    with pytest.raises(InputError, match=message):
        Answers(**(fields | change))  # type: ignore[arg-type]


def test_bad_questions() -> None:
    found, truth = simulated(5)
    with pytest.raises(InputError, match=r"Bad threshold 1\.5"):
        decide(found, 1.5)
    with pytest.raises(InputError, match="text model"):
        decide(Answers(LABELS, found.emotional, found.emotions), 0.3)
    with pytest.raises(InputError, match="2 references for 5 answers"):
        sweep(found, truth[:2])
    with pytest.raises(InputError, match="No thresholds"):
        choose([])
