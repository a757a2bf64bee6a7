"""Pooling against plain loops in numpy, and its exactness under padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from remelt.errors import InputError
from remelt.evaluation import pooling
from remelt.evaluation.batch import Sequences
from remelt.evaluation.models.frontend import Frozen, Tuned, front

LENGTHS = (5, 1, 3)


@pytest.fixture
def clips() -> list[np.ndarray]:
    """One array of (steps, width) per row; all values negative, so that a filling of 0 would be a maximum."""
    drawn = np.random.default_rng(3)
    return [-drawn.uniform(1, 2, size=(length, 4)).astype(np.float32) for length in LENGTHS]


def padded(clips: list[np.ndarray], filling: float) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(clip) for clip in clips) + 2
    values = torch.full((len(clips), longest, clips[0].shape[1]), filling)
    for row, clip in enumerate(clips):
        values[row, : len(clip)] = torch.from_numpy(clip)
    return values, torch.tensor([len(clip) for clip in clips])


def expected(name: str, clip: np.ndarray) -> np.ndarray:
    mean, largest = clip.mean(axis=0), clip.max(axis=0)
    return {
        "mean": mean,
        "max": largest,
        "mean_std": np.concatenate([mean, clip.std(axis=0)]),
        "mean_max": (mean + largest) / 2,
        "concat": np.concatenate([mean, largest]),
    }[name]


@pytest.mark.parametrize("filling", [0.0, 7.5, float("nan"), float("inf")])
@pytest.mark.parametrize("name", sorted(pooling.POOLINGS))
def test_pooling_is_that_of_the_clip_alone(name: str, filling: float, clips: list[np.ndarray]) -> None:
    pool = pooling.Pooling(name)
    result = pool(*padded(clips, filling))
    assert result.shape == (len(clips), pool.width(4))
    for row, clip in enumerate(clips):
        # A deviation of 0 is kept away from 0 by its least variance (1e-10).
        np.testing.assert_allclose(result[row].numpy(), expected(name, clip), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", sorted(pooling.POOLINGS))
def test_gradients_are_finite_and_stay_out_of_the_filling(name: str, clips: list[np.ndarray]) -> None:
    values, lengths = padded(clips, 0.0)
    values.requires_grad_(True)
    pooling.Pooling(name)(values, lengths).square().sum().backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    counted = pooling.mask(lengths, values.shape[1])
    assert values.grad[~counted].abs().max() == 0
    assert values.grad[counted].abs().max() > 0


@pytest.mark.parametrize("name", sorted(pooling.POOLINGS))
def test_a_row_without_steps_is_zeros(name: str) -> None:
    result = pooling.Pooling(name)(torch.ones(2, 3, 2), torch.tensor([0, 3]))
    assert result[0].abs().max() == 0
    assert torch.isfinite(result).all()


def test_layers_start_equal_and_weights_add_up_to_one() -> None:
    sum_of = pooling.LayerWeights(3)
    values = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sum_of(values), values.mean(dim=1))
    with torch.no_grad():
        sum_of.logits.copy_(torch.tensor([0.0, 1.0, -2.0]))
    raw = np.exp([0.0, 1.0, -2.0])
    weights = raw / raw.sum()
    np.testing.assert_allclose(sum_of.weights().detach().numpy(), weights, rtol=1e-6)
    by_hand = sum(float(weight) * values[:, layer].numpy() for layer, weight in enumerate(weights))
    np.testing.assert_allclose(sum_of(values).detach().numpy(), by_hand, rtol=1e-4, atol=1e-6)


def test_other_numbers_of_layers_are_refused() -> None:
    with pytest.raises(InputError, match="made for 3 layers, got 4"):
        pooling.LayerWeights(3)(torch.zeros(1, 4, 2, 2))


def test_unknown_pooling_names_the_choices() -> None:
    with pytest.raises(InputError, match=r"Bad pooling 'median'.*mean_max"):
        pooling.Pooling("median")


def test_fronts() -> None:
    given = Sequences(torch.ones(2, 3, 4, 5), torch.tensor([4, 2]))

    class Doubling(torch.nn.Module):
        def forward(self, sequences: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
            return 2 * sequences.values, sequences.lengths

    assert isinstance(front(None), Frozen)
    values, lengths = front(None)(given)
    assert values is given.values
    assert lengths is given.lengths
    tuned = front(Doubling())
    assert isinstance(tuned, Tuned)
    assert float(tuned(given)[0].mean()) == 2.0
