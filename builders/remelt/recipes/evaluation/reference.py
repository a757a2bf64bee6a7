"""The baselines of a run: what any model has to beat on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import InputError
from .base import Setup

if TYPE_CHECKING:
    from ...evaluation.examples import Example
    from ...evaluation.predictions import Predictions
    from ...evaluation.protocols import Split
    from ..reporting import Reporter


def simple_baselines(split: Split, like: Predictions) -> dict[str, list[Predictions]]:
    """Majority and chance, or the mean of the targets.

    Args:
        split: what is trained and tested on.
        like: a model's predictions of the same test.
    """
    from ...evaluation import baselines

    rows = _rows(split.test, like)
    if like.dimensions:
        return {"mean": [baselines.mean_targets(split.train, like.test, rows, like.dimensions)]}
    train = _labelled(split.train)
    return {
        "majority": [baselines.majority(train, like.test, rows, like.labels)],
        "chance": baselines.chance(train, like.test, rows, like.labels),
    }


def linear_baselines(
    setup: Setup, split: Split, like: Predictions, reporter: Reporter
) -> dict[str, list[Predictions]]:
    """A linear model on each encoder's features, pooled over steps; of sound the mean of all layers.

    Args:
        setup: of the run.
        split: what is trained and tested on.
        like: a model's predictions of the same test.
        reporter: is told where there can be none.
    """
    found = {}
    test = _rows(split.test, like)
    train = list(split.train) if like.dimensions else _labelled(split.train)
    for kind, name in (("speech", setup.speech), ("text", setup.text)):
        if name is None or not any(_usable(row, kind) for row in test):
            continue
        try:
            if lacking := sum(kind == "speech" and not row.has_sound for row in test):
                raise InputError(f"{lacking:,} of {len(test):,} test rows have no sound")
            # Rows without words are trained and tested on all the same: so are the models.
            known = [row for row in train if kind == "text" or row.has_sound]
            found[f"linear model on {name}"] = [_linear(setup, (kind, name), known, test, like)]
        except InputError as error:
            reporter.notice(f"No linear model on {name} for {like.test}: {error}")
    return found


def _linear(
    setup: Setup,
    encoder: tuple[str, str],
    train: Sequence[Example],
    test: Sequence[Example],
    like: Predictions,
) -> Predictions:
    from ...evaluation import baselines
    from .sounds import MixedSounds

    kind, name = encoder
    heard = [setup.material, *setup.tests.values(), *setup.added]
    sounds = MixedSounds(heard) if kind == "speech" else None
    pooled = "mean_std" if kind == "speech" else "mean"
    features = setup.desk.features(
        name, kind, [*train, *test], sounds, pooled=pooled, max_seconds=_seconds(setup) if sounds else None
    )
    # The steps are pooled already; of one step the mean is the step itself.
    options = baselines.LinearOptions(pooling="mean", layer=None if kind == "speech" else -1)
    tests = {like.test: test}
    if like.dimensions:
        return baselines.ridge(features, train, tests, like.dimensions, options)[like.test]
    return baselines.logistic_regression(features, train, tests, like.labels, options)[like.test]


def _seconds(setup: Setup) -> float | None:
    """Where the system cuts sound, so that the baseline hears the same and nothing is encoded twice."""
    for name in ("speech_seconds", "max_seconds"):
        if found := getattr(setup.settings, name, None):
            return float(found)
    return None


def _usable(row: Example, kind: str) -> bool:
    return row.has_sound if kind == "speech" else bool((row.text or "").strip())


def _labelled(rows: Sequence[Example]) -> list[Example]:
    return [row for row in rows if row.label is not None]


def _rows(rows: Sequence[Example], like: Predictions) -> list[Example]:
    """The test rows that the model was scored on, in its order."""
    known = {row.id: row for row in rows}
    return [known[name] for name in like.ids if name in known]
