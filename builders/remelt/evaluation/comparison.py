"""Whether one model is better than another on the same test rows.

Differences are resampled in pairs: both models are scored on the same drawn groups (Efron and Tibshirani
1993, chapter 16), and p is twice the smaller share of resampled differences on either side of 0. For accuracy
there is McNemar's exact test too (Dietterich 1998, section 3.1). Both tell whether other test rows would turn
the difference round. Whether another training would is a different question, which only several seeds answer;
and of many comparisons some fall below any threshold by chance, as nothing is corrected for their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .metrics import measures
from .optional import package
from .resampling import interval, of_rows, plain, resampled, same_rows, scores_of, unit_sums, units_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .predictions import Predictions


@dataclass(frozen=True, slots=True)
class Difference:
    """One score of both models.

    Attributes:
        a, b: on the common rows; means over seeds.
        value: b - a, so above 0 where b is better.
        low, high: of its 95 % interval; NaN where it is not defined.
        p: two-sided, of the paired bootstrap; at least 2 / (resamples + 1).
    """

    a: float
    b: float
    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test of two classifiers' accuracy; rows count as independent.

    Attributes:
        both_right, only_a, only_b, both_wrong: rows.
        p: two-sided, of the binomial distribution over the rows that one alone got right.
    """

    both_right: int
    only_a: int
    only_b: int
    both_wrong: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same rows.

    Attributes:
        test: name of the test set.
        rows: common to both.
        unit, units: what was resampled, as in `Scores`.
        seeds: of a and of b.
        differences: name of the score -> difference.
        mcnemar: None for regression and for several seeds.
        notes: rows that were left out, and what to know when reading it.
        resamples, seed: of the bootstrap.
    """

    test: str
    rows: int
    unit: str
    units: int
    seeds: tuple[int, int]
    differences: Mapping[str, Difference]
    mcnemar: McNemar | None
    notes: tuple[str, ...]
    resamples: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not a number becomes None."""
        found: dict[str, Any] = plain(asdict(self))
        return found


@dataclass(frozen=True)
class Matched:
    """The predictions of two runs on one test set.

    Attributes:
        test: its name.
        a, b: one for each seed.
    """

    test: str
    a: tuple[Predictions, ...]
    b: tuple[Predictions, ...]


def compare(
    a: Predictions | Sequence[Predictions],
    b: Predictions | Sequence[Predictions],
    resamples: int = 2_000,
    seed: int = 0,
) -> Comparison:
    """Compares two models, b against a, on the rows that both were tested on.

    Args:
        a, b: one prediction, or one for each seed.
        resamples, seed: of the bootstrap.

    Raises:
        InputError: no common rows, a row with another reference in b than in a, classes against dimensions,
            or predictions that cannot be scored.
    """
    first, second, notes = _aligned(same_rows(a), same_rows(b))
    both, like = (*first, *second), first[0]
    groups = like.groups if any(like.groups) else second[0].groups
    units = units_of(like.ids, groups)
    sums = np.stack([unit_sums(run, units) for run in both], axis=1)
    names, drawn = list(measures(like)), []
    for part in resampled(sums, resamples, seed):
        found = _sides(scores_of(part, like), len(first))
        drawn.append(np.stack([found[name][1] - found[name][0] for name in names], axis=-1))
    differences, whole = np.concatenate(drawn), _sides(scores_of(sums.sum(0), like), len(first))
    single = len(both) == 2
    if not single:
        notes.append(f"means over {len(first)} and {len(second)} seeds")
    return Comparison(
        test=like.test,
        rows=len(like.ids),
        unit=units.kind,
        units=units.count,
        seeds=(len(first), len(second)),
        differences={
            name: _difference(float(whole[name][0]), float(whole[name][1]), differences[:, k])
            for k, name in enumerate(names)
        },
        mcnemar=_mcnemar(like, second[0]) if single and not like.dimensions else None,
        notes=(*notes, *units.notes),
        resamples=resamples,
        seed=seed,
    )


def match(a: Iterable[Predictions], b: Iterable[Predictions]) -> tuple[list[Matched], tuple[str, ...]]:
    """Pairs the predictions of two runs by the name of their test sets.

    Args:
        a, b: of all test sets and seeds; those of one name count as seeds of one model.

    Returns:
        The pairs in the order of `a`, and a note for each test set that only one run has.

    Raises:
        InputError: no test set in common; the message lists both runs' tests.
    """
    left, right = _by_test(a), _by_test(b)
    found = [Matched(test, left[test], right[test]) for test in left if test in right]
    if not found:
        raise InputError(f"No test set in common: {sorted(left)} and {sorted(right)}")
    notes = [f"{test}: only the first run was tested on it" for test in left if test not in right]
    notes += [f"{test}: only the second run was tested on it" for test in right if test not in left]
    return found, tuple(notes)


def _by_test(predictions: Iterable[Predictions]) -> dict[str, tuple[Predictions, ...]]:
    found: dict[str, tuple[Predictions, ...]] = {}
    for one in predictions:
        found[one.test] = (*found.get(one.test, ()), one)
    return found


def _aligned(
    a: tuple[Predictions, ...], b: tuple[Predictions, ...]
) -> tuple[list[Predictions], list[Predictions], list[str]]:
    """Both on their common rows, in the order of a and under the same columns."""
    test, there = a[0].test, set(b[0].ids)
    if a[0].dimensions != b[0].dimensions:
        raise InputError(
            f"{test!r} was predicted as {list(a[0].dimensions or a[0].labels)} and as "
            f"{list(b[0].dimensions or b[0].labels)}: they cannot be compared"
        )
    rows = [row for row in a[0].ids if row in there]
    if not rows:
        raise InputError(
            f"No test row in common: {len(a[0].ids):,} of {test!r} such as {a[0].ids[0]!r} and "
            f"{len(b[0].ids):,} of {b[0].test!r} such as {b[0].ids[0]!r}"
        )
    notes = []
    for side, name in ((a, "first"), (b, "second")):
        if left_out := len(side[0].ids) - len(rows):
            notes.append(f"{left_out:,} rows that only the {name} was tested on were left out")
    labels = tuple(dict.fromkeys((*a[0].labels, *b[0].labels)))
    first, second = ([_rearranged(run, rows, labels) for run in side] for side in (a, b))
    _same_reference(first[0], second[0])
    return first, second, notes


def _rearranged(run: Predictions, rows: Sequence[str], labels: tuple[str, ...]) -> Predictions:
    """A prediction of some rows under all classes; those it does not know get the probability 0."""
    found = of_rows(run, rows)
    if run.dimensions:
        return found
    columns = np.array([labels.index(label) for label in run.labels])
    # Certain answers, so that the class that wins stays the winner where several are equal.
    certain = np.zeros((len(rows), len(labels)), np.float32)
    certain[np.arange(len(rows)), columns[found.predicted]] = 1
    return replace(found, labels=labels, reference=columns[found.reference], scores=certain)


def _same_reference(a: Predictions, b: Predictions) -> None:
    other = ~np.isclose(a.reference, b.reference, equal_nan=True)
    rows = other.any(axis=1) if a.dimensions else other
    if rows.any():
        k = int(rows.argmax())
        shown = [
            one.reference[k].tolist() if one.dimensions else one.labels[one.reference[k]] for one in (a, b)
        ]
        raise InputError(
            f"{int(rows.sum()):,} of {len(a.ids):,} rows of {a.test!r} are scored against other references, "
            f"first {a.ids[k]!r}: {shown[0]!r} and {shown[1]!r}; compare models on the same test labels"
        )


def _sides(
    each: Mapping[str, NDArray[np.float64]], first: int
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Means over the seeds of a and of b; arrays of shape (..., seeds of a and b)."""
    return {name: (value[..., :first].mean(-1), value[..., first:].mean(-1)) for name, value in each.items()}


def _difference(a: float, b: float, drawn: NDArray[np.float64]) -> Difference:
    known = drawn[~np.isnan(drawn)]
    # One more on each side, as if the observed sample were a resample: no p is 0.
    tail = (min((known <= 0).sum(), (known >= 0).sum()) + 1) / (len(known) + 1)
    return Difference(a, b, b - a, *interval(drawn), min(1.0, float(2 * tail)))


def _mcnemar(a: Predictions, b: Predictions) -> McNemar:
    right, other = a.predicted == a.reference, b.predicted == b.reference
    only_a, only_b = int((right & ~other).sum()), int((other & ~right).sum())
    p = 1.0
    if only_a + only_b:
        p = float(package("scipy.stats").binomtest(only_a, only_a + only_b).pvalue)
    return McNemar(int((right & other).sum()), only_a, only_b, int((~right & ~other).sum()), p)
