"""The CCC loss against audmetric, plain loops and its own rules."""

from __future__ import annotations

import math

import audmetric
import numpy as np
import pytest
import torch

from remelt.evaluation.losses import ccc_loss


def by_hand(predicted: np.ndarray, target: np.ndarray) -> float:
    """1 - CCC averaged over dimensions, number by number."""
    losses = []
    for column in range(target.shape[1]):
        pairs = [
            (p, t) for p, t in zip(predicted[:, column], target[:, column], strict=True) if not math.isnan(t)
        ]
        n = len(pairs)
        mean_p, mean_t = sum(p for p, _ in pairs) / n, sum(t for _, t in pairs) / n
        cov = sum((p - mean_p) * (t - mean_t) for p, t in pairs) / n
        var_p = sum((p - mean_p) ** 2 for p, _ in pairs) / n
        var_t = sum((t - mean_t) ** 2 for _, t in pairs) / n
        losses.append(1 - 2 * cov / (var_p + var_t + (mean_p - mean_t) ** 2))
    return sum(losses) / len(losses)


def values(seed: int, rows: int = 40, dimensions: int = 3) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    target = chance.uniform(size=(rows, dimensions))
    return 0.6 * target + 0.3 * chance.uniform(size=target.shape), target


@pytest.mark.parametrize("seed", range(3))
def test_as_audmetric_has_it(seed: int) -> None:
    predicted, target = values(seed)
    each = [audmetric.concordance_cc(target[:, k], predicted[:, k]) for k in range(3)]
    found = ccc_loss(torch.tensor(predicted), torch.tensor(target)).item()
    assert found == pytest.approx(1 - np.mean(each), abs=1e-5)
    assert found == pytest.approx(by_hand(predicted, target), abs=1e-5)


def test_unknown_targets_are_as_if_the_row_were_not_there() -> None:
    predicted, target = values(7)
    chance = np.random.default_rng(8)
    target[chance.uniform(size=target.shape) < 0.4] = np.nan
    given = torch.tensor(predicted, requires_grad=True)
    loss = ccc_loss(given, torch.tensor(target))
    assert loss.item() == pytest.approx(by_hand(predicted, target), abs=1e-5)
    loss.backward()
    assert given.grad is not None
    assert torch.isfinite(given.grad).all()
    assert (given.grad[torch.isnan(torch.tensor(target))] == 0).all()
    # What was predicted where nothing is known is never looked at, not even a NaN.
    wild = torch.where(torch.isnan(torch.tensor(target)), torch.nan, torch.tensor(predicted))
    assert ccc_loss(wild, torch.tensor(target)).item() == pytest.approx(loss.item(), abs=1e-7)


@pytest.mark.parametrize(
    ("predicted", "target", "expected"),
    [
        ([[0.2]], [[0.7]], 1.0),
        ([[0.7]], [[0.7]], 1.0),
        ([[0.1], [0.9]], [[0.5], [0.5]], 1.0),
        ([[0.1, 0.3], [0.9, 0.4]], [[0.1, math.nan], [0.9, math.nan]], 0.0),
        ([[0.1, 0.3], [0.9, 0.4]], [[0.1, math.nan], [0.9, 0.2]], 0.5),
        ([[0.3]], [[math.nan]], 0.0),
        ([[0.9], [0.1]], [[0.1], [0.9]], 2.0),
    ],
)
def test_where_there_is_no_covariance(
    predicted: list[list[float]], target: list[list[float]], expected: float
) -> None:
    given = torch.tensor(predicted, requires_grad=True)
    loss = ccc_loss(given, torch.tensor(target))
    assert loss.item() == pytest.approx(expected, abs=1e-5)
    loss.backward()
    assert given.grad is not None
    assert torch.isfinite(given.grad).all()


def test_one_row_and_a_constant_target_pull_at_nothing() -> None:
    for predicted, target in (([[0.2]], [[0.7]]), ([[0.1], [0.9]], [[0.5], [0.5]])):
        given = torch.tensor(predicted, requires_grad=True)
        ccc_loss(given, torch.tensor(target)).backward()
        assert given.grad is not None
        assert given.grad.abs().max() == pytest.approx(0, abs=1e-6)


def test_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 1\), targets \(2,\)"):
        ccc_loss(torch.zeros(2, 1), torch.zeros(2))
