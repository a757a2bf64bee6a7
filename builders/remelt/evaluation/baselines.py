"""What any model has to beat: the majority class, chance, and a linear model on the same features.

All give `Predictions`, so that scores, intervals and comparisons are the same code as for the models.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import InputError, bad_value
from .examples import Example
from .optional import package
from .predictions import Predictions, group_of, of_examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

POOLINGS = ("mean", "mean_std")
CHANCES = ("prior", "uniform")
# What is tried where the strength of the penalty is chosen on the training rows.
_STRENGTHS = tuple(10.0**k for k in range(-4, 1))
_FOLDS = 5
# More rows than this only make that choice slower.
_CHOSEN_ON = 10_000
# scikit-learn's own, where there are too few groups to choose.
_DEFAULT = 1.0
_MOST_ITERATIONS = 2_000


class Store(Protocol):
    """Features by utterance id."""

    def __getitem__(self, key: str, /) -> NDArray[Any]:
        """Shape (layers, steps, width)."""
        ...


class Joined:
    """Several stores as one, such as a training corpus's and those of its test corpora.

    Args:
        stores: with `in`; the first that has an utterance gives it.
    """

    def __init__(self, *stores: Any) -> None:
        self._stores = stores

    def __contains__(self, key: object) -> bool:
        return any(key in store for store in self._stores)

    def __getitem__(self, key: str, /) -> NDArray[Any]:
        """Raises: InputError: none of the stores has it."""
        for store in self._stores:
            if key in store:
                found: NDArray[Any] = store[key]
                return found
        raise InputError(f"No features of {key} in {len(self._stores)} stores")


@dataclass(frozen=True, slots=True)
class LinearOptions:
    """A linear model on pooled features.

    Attributes:
        pooling: over steps: `mean`, or `mean_std` (mean and standard deviation side by side).
        layer: which hidden state, counted from the end with negative numbers; None for the mean of all.
        class_weights: whether rare classes weigh more (n / (classes * n_class)).
        strength: C of the logistic regression, 1 / alpha of the ridge; None: of 0.0001 to 1 the one with
            the best UAR (ridge: the best R^2) over 5 folds of whole training groups (dialogues, else
            speakers, else rows), of whole groups with 10,000 rows at most; 1, scikit-learn's own, where there
            are fewer than 5 groups, or no class has 5 rows. No test row has a say in it.
        seed: of those folds, and of the groups.

    Raises:
        InputError: an unknown pooling, or a strength that is not above 0.
    """

    pooling: str = "mean"
    layer: int | None = -1
    class_weights: bool = True
    strength: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise InputError(bad_value("pooling", self.pooling, POOLINGS))
        if self.strength is not None and not self.strength > 0:
            raise InputError(f"Bad strength {self.strength!r}, expected a number above 0")


def pooled_features(
    features: Store, ids: Sequence[str], options: LinearOptions | None = None
) -> NDArray[np.float32]:
    """One vector for each utterance, shape (n, width) or, with `mean_std`, (n, 2 width).

    Raises:
        InputError: no such layer, or an utterance without a step.
    """
    options = options or LinearOptions()
    rows = []
    for row in ids:
        states = np.asarray(features[row])
        if not states.shape[1]:
            raise InputError(f"The features of {row} have no step, so there is nothing to pool")
        if options.layer is not None and not -len(states) <= options.layer < len(states):
            raise InputError(bad_value("layer", options.layer, range(-len(states), len(states))))
        wide = states.astype(np.float32)
        steps = wide.mean(axis=0) if options.layer is None else wide[options.layer]
        parts = [steps.mean(axis=0)]
        if options.pooling == "mean_std":
            parts.append(steps.std(axis=0))
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def majority(
    train: Sequence[Example], test: str, rows: Sequence[Example], labels: Sequence[str]
) -> Predictions:
    """Every row is the most frequent training class (of equals the first); scores are the shares.

    Args:
        train: what the shares are counted on.
        test, rows: the test set.
        labels: the classes.

    Raises:
        InputError: a training or test label that is none of the classes.
    """
    shares = _shares(train, labels)
    return of_examples(test, rows, [row.id for row in rows], np.tile(shares, (len(rows), 1)), labels)


def chance(
    train: Sequence[Example],
    test: str,
    rows: Sequence[Example],
    labels: Sequence[str],
    how: str = "prior",
    draws: int = 20,
    seed: int = 0,
) -> list[Predictions]:
    """Random answers: by the shares of the training classes, or all classes alike.

    The rows of each class are answered by those shares as exactly as whole rows allow (systematic sampling;
    Cochran 1977, chapter 8), so that a few draws come to the expected scores.

    Args:
        train, test, rows, labels: as in `majority`.
        how: `prior` or `uniform`.
        draws: predictions that are made; scored as seeds of one model, their mean is the expected score.
        seed: of the draws.

    Raises:
        InputError: an unknown way, or a label that is none of the classes.
    """
    if how not in CHANCES:
        raise InputError(bad_value("chance", how, CHANCES))
    shares = _shares(train, labels) if how == "prior" else np.full(len(labels), 1 / len(labels))
    random, ids = np.random.default_rng(seed), [row.id for row in rows]
    one_hot = np.eye(len(labels), dtype=np.float32)
    # In the labels' order: a set's differs from process to process, and the draws with it.
    tested = [label for label in labels if any(row.label == label for row in rows)]
    found = []
    for _ in range(draws):
        answers = np.zeros(len(rows), np.int64)
        for label in tested:
            own = random.permutation([k for k, row in enumerate(rows) if row.label == label])
            marks = (np.arange(len(own)) + random.random()) / len(own)
            answers[own] = np.searchsorted(np.cumsum(shares)[:-1], marks, side="right")
        found.append(of_examples(test, rows, ids, one_hot[answers], labels))
    return found


def logistic_regression(
    features: Store,
    train: Sequence[Example],
    tests: Mapping[str, Sequence[Example]],
    labels: Sequence[str],
    options: LinearOptions | None = None,
) -> dict[str, Predictions]:
    """Multinomial logistic regression on standardised pooled features.

    Args:
        features: of all rows.
        train: what it is fitted on; classes without a training row are never predicted.
        tests: name -> rows.
        labels: the classes.

    Returns:
        Name -> predictions.

    Raises:
        InputError: a label that is none of the classes, or a single class.
    """
    options = options or LinearOptions()
    _shares(train, labels)
    known = [row.label or "" for row in train]
    if len(set(known)) < 2:
        raise InputError(f"All {len(train):,} training rows are {known[0]!r}: there is nothing to learn")
    inputs = pooled_features(features, [row.id for row in train], options)

    def linear(strength: float) -> Any:
        kind = package("sklearn.linear_model").LogisticRegression
        weights = "balanced" if options.class_weights else None
        return _scaled(kind(C=strength, class_weight=weights, max_iter=_MOST_ITERATIONS))

    model = linear(_strength(linear, inputs, known, "balanced_accuracy", train, options)).fit(inputs, known)
    columns = [list(labels).index(label) for label in model.classes_]
    found = {}
    for name, rows in tests.items():
        ids = [row.id for row in rows]
        scores = np.zeros((len(rows), len(labels)), np.float32)
        scores[:, columns] = model.predict_proba(pooled_features(features, ids, options))
        found[name] = of_examples(name, rows, ids, scores, labels)
    return found


def ridge(
    features: Store,
    train: Sequence[Example],
    tests: Mapping[str, Sequence[Example]],
    dimensions: Sequence[str],
    options: LinearOptions | None = None,
) -> dict[str, Predictions]:
    """Ridge regression of each dimension on standardised pooled features.

    Args:
        features, tests: as in `logistic_regression`.
        train: what it is fitted on; each dimension on the rows that have it.

    Raises:
        InputError: a dimension that fewer than two training rows have.
    """
    options = options or LinearOptions()
    models = []
    for name in dimensions:
        rows = [row for row in train if name in row.targets]
        if len(rows) < 2:
            raise InputError(f"{len(rows)} of {len(train):,} training rows have a target for {name!r}")
        inputs = pooled_features(features, [row.id for row in rows], options)
        values = [row.targets[name] for row in rows]
        strength = _strength(_ridge, inputs, values, "r2", rows, options)
        models.append(_ridge(strength).fit(inputs, values))
    found = {}
    for test, tested in tests.items():
        ids = [row.id for row in tested]
        inputs = pooled_features(features, ids, options)
        scores = np.stack([model.predict(inputs) for model in models], axis=1)
        found[test] = of_examples(test, tested, ids, scores, dimensions=dimensions)
    return found


def mean_targets(
    train: Sequence[Example], test: str, rows: Sequence[Example], dimensions: Sequence[str]
) -> Predictions:
    """Every row gets the mean of the training targets; its CCC is 0.

    Raises:
        InputError: a dimension that no training row has.
    """
    means = []
    for name in dimensions:
        values = [row.targets[name] for row in train if name in row.targets]
        if not values:
            raise InputError(f"None of {len(train):,} training rows has a target for {name!r}")
        means.append(np.mean(values))
    scores = np.tile(np.array(means), (len(rows), 1))
    return of_examples(test, rows, [row.id for row in rows], scores, dimensions=dimensions)


def _shares(train: Sequence[Example], labels: Sequence[str]) -> NDArray[np.float64]:
    counts = Counter(row.label for row in train)
    if strange := sorted(str(label) for label in counts if label not in labels):
        raise InputError(bad_value("label of a training row", strange[0], labels))
    if not train:
        raise InputError("No training rows to count classes on")
    return np.array([counts[label] for label in labels]) / len(train)


def _scaled(linear: Any) -> Any:
    """The model behind a scaler that is fitted with it."""
    scaler = package("sklearn.preprocessing").StandardScaler()
    return package("sklearn.pipeline").make_pipeline(scaler, linear)


def _ridge(strength: float) -> Any:
    return _scaled(package("sklearn.linear_model").Ridge(alpha=1 / strength))


def _strength(
    linear: Callable[[float], Any],
    inputs: NDArray[Any],
    answers: Sequence[Any],
    scoring: str,
    train: Sequence[Example],
    options: LinearOptions,
) -> float:
    """The strength that was asked for, or the one that is best over folds of whole training groups.

    Args:
        linear: makes a model from a strength.
        inputs, answers: of the rows of `train`.
    """
    if options.strength is not None:
        return options.strength
    groups = np.array([group_of(row) or f"\0{row.id}" for row in train])
    places = _whole_groups(groups, options.seed)
    inputs, truth, groups = inputs[places], np.array(answers)[places], groups[places]
    stratified = scoring != "r2"
    largest = Counter(truth.tolist()).most_common(1)[0][1] if stratified and len(truth) else len(truth)
    if min(len(set(groups)), largest) < _FOLDS:
        return _DEFAULT
    selection = package("sklearn.model_selection")
    folds = (selection.StratifiedGroupKFold if stratified else selection.GroupKFold)(
        _FOLDS, shuffle=True, random_state=options.seed
    )
    with warnings.catch_warnings():
        # Of classes with fewer rows than folds, and of folds without some class.
        warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
        cut = [part for part in folds.split(inputs, truth, groups) if _teaches(truth[part[0]], stratified)]
        if not cut:
            return _DEFAULT
        scores = [
            selection.cross_val_score(linear(strength), inputs, truth, cv=cut, scoring=scoring).mean()
            for strength in _STRENGTHS
        ]
    return _STRENGTHS[int(np.argmax(np.nan_to_num(scores, nan=-np.inf)))]


def _whole_groups(groups: NDArray[Any], seed: int) -> NDArray[np.int64]:
    """Places of the rows of random whole groups: all where there are few enough, else as many as that."""
    if len(groups) <= _CHOSEN_ON:
        return np.arange(len(groups))
    names, of_row = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(of_row.reshape(-1))[order]
    chosen = order[np.cumsum(sizes) <= _CHOSEN_ON]
    return np.flatnonzero(np.isin(of_row.reshape(-1), chosen))


def _teaches(answers: NDArray[Any], stratified: bool) -> bool:
    """Whether rows can be trained on: a classifier needs two classes, R^2 two rows."""
    return len(set(answers)) > 1 if stratified else len(answers) > 1
