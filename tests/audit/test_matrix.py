"""The formulas against scikit-learn and scipy, and against the published matrix of MELT train."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from remelt.audit.matrix import ChangeMatrix, change_matrix, distribution, entropy, label_changes, wilson

LABELS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
MELT_TRAIN = np.array(
    [
        [289, 111, 62, 116, 113, 29, 132],
        [29, 80, 9, 21, 38, 7, 31],
        [4, 5, 102, 14, 48, 9, 26],
        [34, 51, 42, 726, 209, 27, 155],
        [52, 146, 131, 573, 1883, 92, 295],
        [31, 51, 43, 46, 136, 188, 75],
        [25, 29, 29, 82, 92, 11, 495],
    ]
)


def codes(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two columns that a matrix was counted from."""
    pairs = [(i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) for _ in range(n)]
    first, second = np.array(pairs).T
    return first, second


@pytest.mark.parametrize("seed", range(6))
def test_against_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 9))
    before = rng.integers(0, size, 400)
    after = np.where(rng.random(400) < 0.5, before, rng.integers(0, size, 400))
    matrix = change_matrix(before, after, tuple("abcdefghi"[:size]))
    assert matrix.counts.tolist() == confusion_matrix(before, after, labels=range(size)).tolist()
    assert matrix.kappa() == pytest.approx(cohen_kappa_score(before, after), abs=1e-12)
    assert matrix.change.rate == pytest.approx(np.mean(before != after))
    assert entropy(matrix.before) == pytest.approx(stats.entropy(np.bincount(before), base=2))
    expected = confusion_matrix(before, after, labels=range(size), normalize="pred")
    assert np.array(matrix.column_shares(), dtype=float) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("count", "total"), [(0, 1), (1, 1), (0, 50), (50, 50), (3, 7), (3261, 7024), (1, 10**6)]
)
def test_wilson_against_scipy(count: int, total: int) -> None:
    expected = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    found = wilson(count, total)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.low <= count / total <= found.high


def test_wilson_of_nothing() -> None:
    found = wilson(0, 0)
    assert (found.rate, found.low, found.high) == (None, None, None)


def test_wilson_refuses_impossible_counts() -> None:
    with pytest.raises(ValueError, match="expected 0 to 3"):
        wilson(4, 3)


def test_published_numbers_of_melt_train() -> None:
    matrix = change_matrix(*codes(MELT_TRAIN), LABELS)
    assert matrix.counts.tolist() == MELT_TRAIN.tolist()
    assert (matrix.change.count, matrix.total) == (3261, 7024)
    assert f"{100 * matrix.change.rate:.2f}" == "46.43"
    assert f"{100 * matrix.agreement.rate:.1f}" == "53.6"
    assert f"{matrix.kappa():.3f}" == "0.392"
    assert f"{entropy(matrix.before):.2f}" == "2.28"
    assert f"{entropy(matrix.after):.2f}" == "2.44"
    assert matrix.after.tolist() == [464, 473, 418, 1578, 2519, 363, 1209]
    rows = matrix.row_shares()
    assert f"{100 * rows[0][6]:.1f}" == "15.5", "anger to surprise"
    assert f"{100 * rows[5][4]:.1f}" == "23.9", "sadness to neutral"
    assert f"{100 * rows[2][4]:.1f}" == "23.1", "fear to neutral"
    changes = {c.label: c for c in label_changes(matrix)}
    by_row = {
        name: round(100 * changes[name].by_row.rate) for name in ("sadness", "anger", "disgust", "fear")
    }
    assert by_row == {"sadness": 67, "anger": 66, "disgust": 63, "fear": 51}
    kept_of_column = {name: round(100 - 100 * changes[name].by_column.rate) for name in ("fear", "disgust")}
    assert kept_of_column == {"fear": 24, "disgust": 17}
    assert changes["anger"].goes_to == ("surprise", 132)
    assert changes["joy"].comes_from == ("neutral", 573)


def test_missing_labels_are_not_counted() -> None:
    matrix = change_matrix(np.array([0, -1, 1, -1]), np.array([0, 1, -1, -1]), ("a", "b"))
    assert matrix.counts.tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("labels", [("a",), ("a", "b")])
def test_constant_labels_leave_kappa_undefined(labels: tuple[str, ...]) -> None:
    constant = np.zeros(5, dtype=np.int64)
    matrix = change_matrix(constant, constant, labels)
    assert matrix.kappa() is None
    assert matrix.change.rate == 0
    assert entropy(matrix.after) == 0


def test_constant_but_different_labels_have_kappa_zero() -> None:
    matrix = change_matrix(np.zeros(5, dtype=np.int64), np.ones(5, dtype=np.int64), ("a", "b"))
    assert matrix.kappa() == 0
    assert matrix.row_shares() == [[0.0, 1.0], [None, None]]
    assert matrix.column_shares() == [[None, 1.0], [None, 0.0]]


def test_no_rows() -> None:
    none = np.array([], dtype=np.int64)
    matrix: ChangeMatrix = change_matrix(none, none, ("a", "b"))
    assert (matrix.total, matrix.kappa(), entropy(matrix.before), matrix.change.rate) == (0, None, None, None)
    assert [c.goes_to for c in label_changes(matrix)] == [None, None]
    assert distribution(matrix)[0]["before_share"] is None


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 labels before, 3 after"):
        change_matrix(np.zeros(2, dtype=np.int64), np.zeros(3, dtype=np.int64), ("a",))
