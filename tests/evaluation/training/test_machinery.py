"""Learning rates against torch's own schedules, parameter groups, precision, seeds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, SequentialLR

from remelt.errors import InputError
from remelt.evaluation.batch import Batch
from remelt.evaluation.training import machinery
from remelt.evaluation.training.curves import curves

from .small import OPTIONS, Small, batches

STEPS, RISING = 40, 10


def rates(made: torch.optim.Optimizer, schedule: Any, steps: int = STEPS) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(made.param_groups[0]["lr"])
        made.step()
        schedule.step()
    return found


@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, RISING / STEPS])
def test_schedules_are_torchs(name: str, warmup: float) -> None:
    options = replace(OPTIONS, schedule=name, warmup=warmup, lr=0.1)
    mine = machinery.optimizer(Small(), options)
    found = rates(mine, machinery.schedule(mine, options, STEPS))

    torchs = torch.optim.SGD(Small().parameters(), lr=0.1)
    rising = round(warmup * STEPS)
    falling = {
        "constant": lambda: ConstantLR(torchs, 1.0),
        "linear": lambda: LinearLR(torchs, 1.0, 0.0, STEPS - rising),
        "cosine": lambda: CosineAnnealingLR(torchs, STEPS - rising),
    }[name]()
    schedule: Any = falling
    if rising:
        # torch refuses to start at exactly 0.
        schedule = SequentialLR(torchs, [LinearLR(torchs, 1e-9, 1.0, rising), falling], [rising])
    assert found == pytest.approx(rates(torchs, schedule), abs=1e-7)
    assert found[rising] == pytest.approx(0.1)


class Grouped(Small):
    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [
            {"params": [self.layers], "lr": lr / 10},
            {"params": self.head.parameters(), "weight_decay": 0.5},
        ]


class Forgetful(Small):
    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": [self.layers]}]


def test_parameter_groups() -> None:
    model = Grouped()
    model.head[0].bias.requires_grad_(False)
    made = machinery.optimizer(model, replace(OPTIONS, lr=0.1, weight_decay=0.2))
    assert [(group["lr"], group["weight_decay"]) for group in made.param_groups] == [(0.01, 0.2), (0.1, 0.5)]
    assert sum(len(group["params"]) for group in made.param_groups) == 6
    with pytest.raises(InputError, match=r"Forgetful leaves the weight 'head.0.weight' out"):
        machinery.optimizer(Forgetful(), OPTIONS)


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_optimizers(name: str, kind: type) -> None:
    made = machinery.optimizer(Small(), replace(OPTIONS, optimizer=name, weight_decay=0.1))
    assert type(made) is kind
    assert made.param_groups[0]["weight_decay"] == 0.1


def test_a_processor_computes_in_fp32_and_a_gpu_as_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {machinery.precision(name, "cpu") for name in ("auto", "fp32", "bf16", "fp16")} == {"no"}
    for has, expected in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has=has: has)
        assert machinery.precision("auto", "cuda:1") == expected
    assert [machinery.precision(name, "cuda") for name in ("fp32", "bf16", "fp16")] == ["no", "bf16", "fp16"]


def test_batches_made_ahead_are_the_same_and_so_are_their_errors() -> None:
    made = batches(43, "train")
    for one, other in zip(machinery.ahead(made.epoch(1)), made.epoch(1), strict=True):
        assert one.ids == other.ids
        assert one.speech is not None
        assert other.speech is not None
        assert torch.equal(one.speech.values, other.speech.values)

    def broken() -> Iterator[Batch]:
        yield next(made.ordered())
        raise InputError("Row 8 is broken")

    found = machinery.ahead(broken())
    next(found)
    with pytest.raises(InputError, match="Row 8 is broken"):
        next(found)


def test_seeds_reach_all_generators() -> None:
    def drawn(seed: int, epoch: int) -> tuple[float, float, float]:
        machinery.seed_everything(seed, epoch)
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    assert drawn(1, 2) == drawn(1, 2)
    found = [drawn(1, 2), drawn(2, 1), drawn(1, 1), drawn(2, 2)]
    for values in zip(*found, strict=True):
        assert len(set(values)) == 4


def test_a_part_is_frozen_as_a_whole_or_trained() -> None:
    model = nn.Sequential(
        nn.Sequential(nn.Linear(2, 2), nn.Dropout()), nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    )
    model[0].requires_grad_(False)
    model[1][0].bias.requires_grad_(False)
    machinery.train_mode(model.eval())
    assert [module.training for module in model.modules()] == [True, False, False, False, True, True, True]


def test_curves_are_the_same_bytes_for_the_same_numbers() -> None:
    history = [{"epoch": n, "train_loss": 1 / n, "loss": 1.1 / n, "uar": 1 - 1 / n} for n in range(1, 5)]
    assert curves(history, "uar", 4) == curves(history, "uar", 4)
    assert b"UAR of validation rows" in curves(history, "uar", 4)
    assert b"validation" not in curves([{"epoch": 1, "train_loss": 1.0}], "uar", 1)
    assert b"kept: epoch 1" in curves([{"epoch": 1, "train_loss": 1.0, "loss": float("nan")}], "loss", 1)
