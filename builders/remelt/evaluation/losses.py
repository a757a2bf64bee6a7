"""Losses that torch does not have."""

from __future__ import annotations

import torch
from torch import Tensor


def ccc_loss(predicted: Tensor, target: Tensor, eps: float = 1e-8) -> Tensor:
    """1 - CCC on the batch, averaged over the dimensions.

    CCC = 2 cov / (var_y + var_p + (mean_y - mean_p)^2 + eps), with population variances (Lin 1989). A
    dimension with one known target in the batch, or with equal ones, has no covariance: its CCC is 0, so that
    it adds 1 to the sum and pulls at no weight. A dimension without any known target is left out of the
    average; where that leaves none the loss is 0.

    Args:
        predicted: of shape (rows, dimensions).
        target: likewise; NaN where unknown.
        eps: keeps the division defined.

    Returns:
        A single value, in float32, from 0 to 2.

    Raises:
        ValueError: the shapes differ.

    >>> ccc_loss(torch.tensor([[0.1], [0.9]]), torch.tensor([[0.1], [0.9]])).item() < 1e-6
    True
    """
    if predicted.shape != target.shape:
        raise ValueError(f"Predictions of shape {tuple(predicted.shape)}, targets {tuple(target.shape)}")
    known = ~torch.isnan(target)
    count = known.sum(dim=0).clamp(min=1)
    # Filled before any arithmetic: a NaN that is multiplied by 0 later still spoils the gradient.
    truth = torch.where(known, target.float(), 0.0)
    guess = torch.where(known, predicted.float(), 0.0)
    truth_mean, guess_mean = truth.sum(dim=0) / count, guess.sum(dim=0) / count
    truth_rest = torch.where(known, truth - truth_mean, 0.0)
    guess_rest = torch.where(known, guess - guess_mean, 0.0)
    covariance = (truth_rest * guess_rest).sum(dim=0) / count
    variances = (truth_rest.square().sum(dim=0) + guess_rest.square().sum(dim=0)) / count
    ccc = 2 * covariance / (variances + (truth_mean - guess_mean).square() + eps)
    counted = known.any(dim=0)
    return torch.where(counted, 1 - ccc, 0.0).sum() / counted.sum().clamp(min=1)
