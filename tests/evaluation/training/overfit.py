"""Whether a model can learn one batch by heart: the first thing to know of any model."""

from __future__ import annotations

import torch
from torch import nn

from remelt.evaluation.batch import Batch
from remelt.evaluation.objectives import Objective


def overfits(
    model: nn.Module, objective: Objective, batch: Batch, steps: int = 150, lr: float = 1e-2
) -> tuple[float, float]:
    """The loss before and after so many steps of Adam on one batch, both without dropout.

    A model whose masks, heads or losses are wired wrongly cannot bring the loss near 0.
    """

    def loss() -> float:
        model.eval()
        with torch.no_grad():
            return float(objective.loss(model(batch), batch))

    torch.manual_seed(0)
    first = loss()
    optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=lr)
    for _ in range(steps):
        model.train()
        optimizer.zero_grad()
        objective.loss(model(batch), batch).backward()
        optimizer.step()
    return first, loss()
