"""Warnings beside scores."""

from __future__ import annotations

import numpy as np
import pytest

from remelt.evaluation.collapse import warnings_of
from remelt.evaluation.predictions import Predictions

from .answers import EMOTIONS, noisy, rated, said

# Jing et al. 2025, table 3, the RAVDESS columns: UAR and accuracy of four backbones under both label sets.
PUBLISHED = [
    (0.2835, 0.2284), (0.2284, 0.1691), (0.2753, 0.2200), (0.2292, 0.1699),
    (0.3013, 0.2516), (0.2433, 0.1851), (0.3244, 0.2724), (0.2827, 0.2276),
]  # fmt: skip
NEUTRAL = EMOTIONS.index("neutral")
SUPPORT = [96 if label == "neutral" else 192 for label in EMOTIONS]


def implied(uar: float, accuracy: float) -> tuple[float, float]:
    """Recall of neutral, and the mean recall of the others, which all have twice its rows.

    accuracy * 1248 = 96 n + 192 o and uar * 7 = n + o, where o is the sum of the other recalls.
    """
    neutral = (192 * 7 * uar - 1248 * accuracy) / 96
    return neutral, (7 * uar - neutral) / 6


def as_published(uar: float, accuracy: float) -> Predictions:
    """1,248 RAVDESS rows with those recalls, where each error is `neutral`."""
    neutral, others = implied(uar, accuracy)
    truth, guess = [], []
    for k, rows in enumerate(SUPPORT):
        right = round(rows * (neutral if k == NEUTRAL else others))
        truth += [k] * rows
        guess += [k] * right + [(NEUTRAL + (k == NEUTRAL)) % 7] * (rows - right)
    return said(truth, guess)


@pytest.mark.parametrize(("uar", "accuracy"), PUBLISHED)
def test_the_published_ravdess_rows_are_a_model_that_answers_neutral(uar: float, accuracy: float) -> None:
    neutral, others = implied(uar, accuracy)
    assert 0.94 < neutral < 1.01
    assert others < 0.25
    told = [text for text in warnings_of(as_published(uar, accuracy)) if "'neutral'" in text]
    assert len(told) == 1
    assert "are called 'neutral', which 8% are" in told[0]
    assert "recall: anger" in told[0]


def test_a_class_in_more_than_four_fifths_of_the_rows_is_a_collapse() -> None:
    truth = [k % 4 for k in range(400)]
    at, above = ([0] * share + truth[share:] for share in (280, 330))
    assert not any("collapse" in text for text in warnings_of(said(truth, at, EMOTIONS[:4])))
    (told,) = warnings_of(said(truth, above, EMOTIONS[:4]))
    assert told.startswith("collapse to one class: 87% of the rows are called 'anger', which 25% are")


def test_a_class_that_a_model_falls_back_on_is_told_below_four_fifths() -> None:
    """All of `anger` is found and a fifth of the others; of their errors three in four are `anger`."""
    truth, guess = [0] * 100, [0] * 100
    for k in (1, 2, 3):
        truth += [k] * 100
        guess += [k] * 20 + [0] * 60 + [k % 3 + 1] * 20
    (told,) = warnings_of(said(truth, guess, EMOTIONS[:4]))
    assert told.startswith(
        "the model falls back on 'anger': 70% of the rows are called 'anger', which 25% are"
    )
    assert "its recall is 1.00, the mean of the other classes 0.20" in told


def test_a_test_set_of_mostly_one_class_is_no_collapse() -> None:
    truth = [0] * 900 + [1] * 50 + [2] * 50
    assert warnings_of(said(truth, truth, EMOTIONS[:3])) == ()


def test_a_usual_model_has_no_warning() -> None:
    assert warnings_of(noisy(800, 0.4, seed=1, classes=7)) == ()


def test_classes_that_are_never_predicted_or_never_tested_are_named() -> None:
    truth = [0] * 60 + [1] * 60 + [2] * 4
    guess = [0] * 55 + [3] * 5 + [1] * 64
    assert warnings_of(said(truth, guess, EMOTIONS[:5])) == (
        "never predicted: fear",
        "without a test row: joy, neutral (5 rows are called so)",
        "fewer than 10 test rows: fear 4",
    )


def test_a_tiny_test_set_is_told() -> None:
    truth = [k % 2 for k in range(24)]
    assert warnings_of(said(truth, truth, EMOTIONS[:2])) == ("only 24 test rows",)


def test_a_regression_that_answers_one_value_is_told() -> None:
    truth = np.random.default_rng(0).random((200, 3))
    values = truth.copy()
    values[:, 1] = 0.5 + 1e-4 * truth[:, 1]
    truth[:, 2] = np.nan
    assert warnings_of(rated(truth, values, dimensions=("arousal", "valence", "dominance"))) == (
        "valence: nearly the same value is predicted for every row",
        "dominance: no test row has a reference",
    )
