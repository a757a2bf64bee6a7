"""What the loop runs on: the device, precision, threads, optimizer, learning rate, modes and seeds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from torch import nn
from transformers.optimization import get_scheduler

from ...errors import InputError
from ...hf_models import device as checked_device
from ..batch import Batch
from .options import TrainingOptions

_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}


def seed_everything(seed: int, epoch: int = 0) -> None:
    """Seeds python's, numpy's and torch's generators.

    Called before a model is made, and by `fit` before each epoch: what is random in an epoch depends on the
    seed and on its number alone, so that a resumed training needs no memory of the generators.
    """
    mixed = np.random.SeedSequence((seed, epoch)).generate_state(1)[0]
    random.seed(int(mixed))
    np.random.seed(int(mixed))
    torch.manual_seed(int(mixed))


def precision(name: str, device: str) -> str:
    """The precision that accelerate is asked for: `no`, `bf16` or `fp16`."""
    if not device.startswith("cuda") or name == "fp32":
        return "no"
    if name == "auto":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return name


def accelerator(options: TrainingOptions) -> Accelerator:
    """An accelerator on the wanted device, in the wanted precision.

    Raises:
        InputError: there is no such device.
    """
    device = checked_device(options.device)
    wanted = precision(options.precision, device)
    if device.startswith("cuda"):
        torch.cuda.set_device(torch.device(device).index or 0)
    elif device != "cpu":
        raise InputError(f"Bad device {device!r}, expected cpu, cuda or cuda:NUMBER")
    # accelerate keeps device and precision for the whole process; another training may want others.
    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState(cpu=device == "cpu")
    return Accelerator(cpu=device == "cpu", mixed_precision=wanted)


@contextmanager
def settings(options: TrainingOptions) -> Iterator[None]:
    """The number of threads, and on a processor the same sums in the same order; as before afterwards."""
    threads = torch.get_num_threads()
    strict, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    try:
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        if checked_device(options.device) == "cpu":
            torch.use_deterministic_algorithms(True, warn_only=True)
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)


def optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    """The optimizer of the weights that are trained.

    A model may have `parameter_groups(lr)`, which gives torch's parameter groups (say, a smaller learning
    rate for the encoder); weights with `requires_grad` False are left out of them.

    Raises:
        InputError: there is nothing to train, or groups that leave a weight out.
    """
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if not trained:
        raise InputError(f"{type(model).__name__} has no weights to train")
    groups: list[dict[str, Any]] = [{"params": list(trained.values())}]
    hook = getattr(model, "parameter_groups", None)
    if hook is not None:
        groups = [
            {**group, "params": [value for value in group["params"] if value.requires_grad]}
            for group in hook(options.lr)
        ]
        grouped = {id(value) for group in groups for value in group["params"]}
        for name, value in trained.items():
            if id(value) not in grouped:
                raise InputError(f"parameter_groups of {type(model).__name__} leaves the weight {name!r} out")
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options.optimizer]
    return kind(groups, lr=options.lr, weight_decay=options.weight_decay)


def schedule(made: torch.optim.Optimizer, options: TrainingOptions, steps: int) -> Any:
    """The learning rate over so many steps: up from 0 over `warmup` of them, then as `schedule` says."""
    rising = round(options.warmup * steps)
    return get_scheduler(
        _SCHEDULES[options.schedule], made, num_warmup_steps=rising, num_training_steps=steps
    )


def train_mode(model: nn.Module) -> None:
    """Training mode for what is trained; a part that is frozen as a whole keeps its dropout off and its
    running values as they are."""
    model.train()
    for module in model.modules():
        weights = list(module.parameters())
        if weights and not any(value.requires_grad for value in weights):
            module.eval()


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; the next one is made while the GPU works on this one."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


def delivered(batches: Iterator[Batch], device: str) -> Iterator[Batch]:
    """Batches as a device is best served; a processor would only compete with itself."""
    return ahead(batches) if device.startswith("cuda") else batches
