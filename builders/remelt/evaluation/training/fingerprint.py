"""What a training is of: so that a checkpoint of another one is not gone on with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .options import TrainingOptions

if TYPE_CHECKING:
    from ..objectives import Objective
    from .loop import Batches

# They change how long a training takes, not what it is.
_FREE = ("device", "threads")
_HASH = 64


def fingerprint(
    model: nn.Module,
    objective: Objective,
    train: Batches,
    validation: Batches | None,
    options: TrainingOptions,
    seed: int,
) -> dict[str, Any]:
    """Everything that decides what comes out, by name; plain JSON.

    A model may have a `config` (a dataclass or a mapping), which is then part of it under its own names.
    """
    config = getattr(model, "config", None)
    if is_dataclass(config) and not isinstance(config, type):
        config = asdict(config)
    return {
        "model": f"{type(model).__module__.rpartition('.')[2]}.{type(model).__qualname__}",
        "model settings": _plain(config) if isinstance(config, Mapping) else {},
        "architecture": _architecture(model),
        "frozen weights": _frozen(model),
        "objective": {"kind": type(objective).__name__, "outputs": list(objective.names)},
        "class weights": _plain(getattr(objective, "weights", None)),
        "training rows": train.identity,
        "validation rows": None if validation is None else validation.identity,
        "options": {name: value for name, value in asdict(options).items() if name not in _FREE},
        "seed": seed,
    }


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two fingerprints, in words.

    >>> differences({"seed": 0, "options": {"lr": 0.1}}, {"seed": 1, "options": {"lr": 0.1}})
    ['seed (0 there, 1 now)']
    """
    found = []
    for name in [*there, *(name for name in now if name not in there)]:
        old, new = there.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new)
        elif any(isinstance(value, str) and len(value) == _HASH for value in (old, new)):
            found.append(name)
        else:
            found.append(f"{name} ({old!r} there, {new!r} now)")
    return found


def _plain(value: Any) -> Any:
    """The value as JSON would give it back."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def _architecture(model: nn.Module) -> str:
    """A hash of the modules and their shapes."""
    known = hashlib.sha256(repr(model).encode())
    for name, value in model.named_parameters():
        known.update(f"{name} {tuple(value.shape)} {value.requires_grad}\n".encode())
    return known.hexdigest()


def _frozen(model: nn.Module) -> str | None:
    """A hash of the weights that are not trained; None where all are."""
    known, some = hashlib.sha256(), False
    for name, value in model.named_parameters():
        if not value.requires_grad:
            some = True
            known.update(name.encode())
            known.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return known.hexdigest() if some else None
