"""The search for what the paper leaves to one: learning rate, widths and dropout of each model, by Optuna."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....evaluation.optional import package

if TYPE_CHECKING:
    from ....evaluation.models.hierarchy import Branch, BranchOptions

INSTALL = "pip install 'remelt[tune]'"
TUNED = "tuned.json"
_RATES = (1e-4, 1e-2)
_HIDDEN, _WIDTH = (64, 128, 256), (32, 64, 128)
_MOST_DROPOUT = 0.5

Train = Callable[[Path, "BranchOptions", float], "tuple[Branch, float]"]


def searched(folder: Path, trials: int, seed: int, train: Train, options: BranchOptions) -> Branch:
    """The best of so many trainings, by what is watched on validation rows.

    Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) proposes; the same seed proposes the
    same, so that a search that was broken off finds its finished trainings again.

    Args:
        folder: of the model; each training gets one in it, and `tuned.json` says what was found.
        train: folder, options and learning rate -> the model and its value, the larger the better.
        options: what is not searched for.

    Raises:
        InputError: Optuna is not installed, or as `train`.
    """
    optuna = package("optuna", INSTALL)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))

    def proposed(trial: Any) -> tuple[BranchOptions, float]:
        found = replace(
            options,
            hidden=trial.suggest_categorical("hidden", _HIDDEN),
            width=trial.suggest_categorical("width", _WIDTH),
            dropout=trial.suggest_float("dropout", 0.0, _MOST_DROPOUT),
        )
        return found, trial.suggest_float("lr", *_RATES, log=True)

    def value_of(trial: Any) -> float:
        own, lr = proposed(trial)
        return train(folder / f"search{trial.number}", own, lr)[1]

    study.optimize(value_of, n_trials=trials)
    best = study.best_trial
    told = {"trainings": trials, "best": best.number, "value": best.value, "found": best.params}
    (folder / TUNED).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    own, lr = proposed(optuna.trial.FixedTrial(best.params, number=best.number))
    # It is finished: its weights are read.
    return train(folder / f"search{best.number}", own, lr)[0]
