"""From predictions to results: folds put together, and baselines on the rows of the models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from remelt.evaluation.examples import Example
from remelt.evaluation.predictions import Predictions, of_examples
from remelt.evaluation.protocols import Split
from remelt.recipes.evaluation.base import Setup, Trial
from remelt.recipes.evaluation.results import baselines_of, cells_of
from remelt.recipes.reporting import Reporter

from .utterances import corpus, setup_of

FOLDS, SEEDS = ("f1", "f2", "f3"), (0, 1)
ROWS = [
    Example(
        f"toy/train/{k}", "toy", "train", label="ab"[k % 2], speaker=f"s{k % 3}",
        targets={"arousal": k / 60, "valence": (60 - k) / 90},
    )
    for k in range(60)
]  # fmt: skip


def split_of(trial: Trial, limited: bool = False) -> Split:
    """The rows of one speaker are the test; each seed may train on others."""
    number = FOLDS.index(trial.fold)
    test = tuple(row for row in ROWS if row.speaker == f"s{number}")
    train = [row for row in ROWS if row not in test]
    return Split(trial.fold, tuple(train[trial.seed :] if limited else train), (), test)


def predicted(trial: Trial, **columns: Any) -> Predictions:
    rows = split_of(trial).test
    width = len(next(iter(columns.values())))
    scores = np.random.default_rng(trial.seed).random((len(rows), width))
    return of_examples(trial.fold, rows, [row.id for row in rows], scores, **columns)


def baselines(setup: Setup, found: Mapping[Trial, Any], limited: bool = False) -> list[dict[str, Any]]:
    system = SimpleNamespace(splits=lambda trial, setup: {trial.fold: split_of(trial, limited)})
    return baselines_of(setup, system, found, Reporter())  # type: ignore[arg-type]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return setup_of(tmp_path, corpus(), None, encoders=(None, None))


@pytest.mark.parametrize("limited", [False, True])
def test_baselines_cover_all_folds_whatever_the_seeds_train_on(setup: Setup, limited: bool) -> None:
    trials = [Trial("old", variant, fold, seed) for fold in FOLDS for variant in "xy" for seed in SEEDS]
    found = {trial: (predicted(trial, labels=("a", "b")),) for trial in trials}
    assert {(cell.test, *(len(run.ids) for run in runs)) for cell, runs in cells_of(found).items()} == {
        ("folds", 60, 60)
    }
    told = baselines(setup, found, limited)
    assert [(one["test"], one["baseline"], one["rows"]) for one in told] == [
        ("folds", "majority", 60),
        ("folds", "chance", 60),
    ]


def test_baselines_cover_every_dimension_where_each_variant_learns_one(setup: Setup) -> None:
    names = ("arousal", "valence")
    trials = [Trial("ratings", f"layers_{name}", fold, 0) for name in names for fold in FOLDS]
    found = {t: (predicted(t, dimensions=(t.variant.removeprefix("layers_"),)),) for t in trials}
    (told,) = baselines(setup, found)
    assert set(told["metrics"]) == {"ccc", "ccc_arousal", "ccc_valence"}
    assert (told["test"], told["rows"]) == ("folds", 60)


def test_folds_that_share_rows_or_have_other_classes_stay_apart() -> None:
    trials = [Trial("old", "", fold, 0) for fold in FOLDS]
    found = {trial: (predicted(trial, labels=("a", "b")),) for trial in trials}
    shared = {**found, trials[1]: (replace(found[trials[0]][0], test="f2"),)}
    other = {**found, trials[1]: (predicted(trials[1], labels=("a", "b", "c")),)}
    for one in (shared, other):
        assert [cell.test for cell in cells_of(one)] == list(FOLDS)
