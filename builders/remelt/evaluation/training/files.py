"""What a training leaves in its folder: checkpoints on the way, the result at the end.

    config.json          what was trained, on what, how
    history.json         what happened in each epoch
    curves.svg           the same as a figure
    model.safetensors    the weights; there when the training is finished
    checkpoint/          until then: what the same call goes on from

Each file comes to its name whole and on the disk, so that a process may be killed, or the machine switched
off, at any moment. Weights are safetensors and the optimizer's state is read as numbers only: no file here
can run code when it is loaded.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...errors import InputError, Interrupted
from .fingerprint import differences

if TYPE_CHECKING:
    from accelerate import Accelerator

CONFIG, HISTORY, CURVES, WEIGHTS = "config.json", "history.json", "curves.svg", "model.safetensors"
_CHECKPOINT, _EPOCH, _BEST, _STATE = "checkpoint", "epoch-", "best-", "state.json"
_PART = ".part"
_WRITERS = ("iostream", "inline_container", "PytorchStreamWriter", "file write failed")


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epoch: finished ones.
        best: the best value of what is monitored (larger is better); -inf for none.
        best_epoch: which epoch that was; 0 for none.
        history: of each epoch.
        stopped: why no epoch follows; empty while one does.
        best_weights: of the best epoch.
    """

    epoch: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    stopped: str = ""
    best_weights: dict[str, Tensor] | None = None


def learnt(model: nn.Module) -> dict[str, Tensor]:
    """Copies, in memory, of the weights that are trained and of the running values of normalisations.

    Frozen weights are where they came from already.
    """
    kept = model.state_dict()
    found = {name: value for name, value in model.named_parameters() if value.requires_grad}
    found |= {name: value for name, value in model.named_buffers() if name in kept}
    return {name: value.detach().cpu().clone().contiguous() for name, value in found.items()}


def put_back(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Gives a model the weights that `learnt` took.

    Raises:
        InputError: they are of another model; the message names the first weight that differs.
    """
    expected = {name: value.shape for name, value in model.state_dict().items()}
    needed = set(learnt(model))
    for name in sorted(needed ^ set(weights)):
        if name in weights and name in expected:
            continue
        where = "is not in the model" if name in weights else "is missing"
        raise InputError(f"{source} is of another model: the weight {name!r} {where}")
    for name, value in weights.items():
        if value.shape != expected[name]:
            raise InputError(
                f"{source} is of another model: the weight {name!r} has the shape {tuple(value.shape)}, "
                f"expected {tuple(expected[name])}"
            )
    model.load_state_dict(dict(weights), strict=False)


def load_weights(model: nn.Module, folder: Path) -> None:
    """Gives a model the weights of a finished training.

    Args:
        model: made as it was for the training (`config.json` says how); frozen parts have their weights.
        folder: of the training.

    Raises:
        InputError: there is no finished training, or it was of another model.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{folder} has no {WEIGHTS}; is its training finished?")
    put_back(model, _read_weights(path), str(path))


class TrainingFolder:
    """The files of one training.

    Args:
        folder: made where it is missing.
        config: the training's `fingerprint`.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder, self._config = folder, config
        self._checkpoints = folder / _CHECKPOINT

    def open(self) -> Progress | None:
        """Prepares the folder for this training.

        Returns:
            How a finished training went, with the weights it ended with as `best_weights`; None where there
            is none.

        Raises:
            InputError: the folder is of another training; the message names what differs.
        """
        path = self.folder / CONFIG
        if path.exists() and ((self.folder / WEIGHTS).exists() or self._newest() is not None):
            if found := differences(_read_json(path), self._config):
                raise InputError(
                    f"{self.folder} holds a training of something else: {', '.join(found)}. "
                    "Take another folder, or delete this one to train anew"
                )
        else:
            with _writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                _put(path, _json(self._config))
        if not (self.folder / WEIGHTS).exists():
            return None
        shutil.rmtree(self._checkpoints, ignore_errors=True)
        progress = _from_json(_read_json(self.folder / HISTORY))
        progress.best_weights = _read_weights(self.folder / WEIGHTS)
        return progress

    def resume(self, accelerator: Accelerator, model: nn.Module) -> Progress:
        """The newest checkpoint, put into model and optimizer; a fresh start where there is none."""
        for left in self._checkpoints.glob(f"*{_PART}"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        found = self._newest()
        if found is None:
            return Progress()
        progress = _from_json(_read_json(found / _STATE))
        put_back(model, _read_weights(found / WEIGHTS), str(found))
        accelerator.load_state(str(found))
        if progress.best_epoch:
            progress.best_weights = _read_weights(self._best(progress.best_epoch))
        return progress

    def save(self, accelerator: Accelerator, model: nn.Module, progress: Progress) -> None:
        """Writes a checkpoint; the one before goes when this one is on the disk.

        Raises:
            Interrupted: it cannot be written; the one before stays.
        """
        final = self._checkpoints / f"{_EPOCH}{progress.epoch:05d}"
        part = final.with_name(final.name + _PART)
        with _writing(self._checkpoints, part):
            part.mkdir(parents=True)
            if progress.best_weights is not None and not self._best(progress.best_epoch).exists():
                _put_weights(self._best(progress.best_epoch), progress.best_weights)
            _put_weights(part / WEIGHTS, learnt(model))
            accelerator.save_state(str(part))
            _put(part / _STATE, _json(_to_json(progress)))
            for path in part.iterdir():
                _sync(path)
            _sync(part)
            os.replace(part, final)
            _sync(self._checkpoints)
            _put(self.folder / HISTORY, _json(_to_json(progress)))
        self._tidy(final, progress.best_epoch)

    def finish(self, model: nn.Module, progress: Progress, curves: bytes) -> None:
        """Writes the result; `model` has the weights to keep.

        Raises:
            Interrupted: it cannot be written; the last checkpoint stays.
        """
        with _writing(self.folder):
            _put(self.folder / CURVES, curves)
            _put(self.folder / HISTORY, _json(_to_json(progress)))
            _put_weights(self.folder / WEIGHTS, learnt(model))
        shutil.rmtree(self._checkpoints, ignore_errors=True)

    def _best(self, epoch: int) -> Path:
        return self._checkpoints / f"{_BEST}{epoch:05d}.safetensors"

    def _newest(self) -> Path | None:
        found = [path for path in self._checkpoints.glob(f"{_EPOCH}*") if path.suffix != _PART]
        return max(found, key=lambda path: path.name, default=None)

    def _tidy(self, newest: Path, best_epoch: int) -> None:
        for path in self._checkpoints.iterdir():
            if path.name.startswith(_EPOCH) and path != newest:
                shutil.rmtree(path)
            elif path.name.startswith(_BEST) and path != self._best(best_epoch):
                path.unlink()


@contextmanager
def _writing(folder: Path, part: Path | None = None) -> Iterator[None]:
    """Nothing half stays where writing fails."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        # torch tells of a full disk by a RuntimeError, whose text is that of its file writer.
        if isinstance(error, RuntimeError) and not any(word in str(error) for word in _WRITERS):
            raise
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[0]
        if isinstance(error, RuntimeError):
            reason = f"is the disk full? torch says: {reason}"
        raise Interrupted(
            f"The training cannot be written to {folder} ({reason}); what was written before is whole. "
            "Make room, and the same command goes on"
        ) from error


def _put(path: Path, content: bytes) -> None:
    """Writes a file whole, down to the disk."""

    def write(part: Path) -> None:
        part.write_bytes(content)

    _staged(path, write)


def _put_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    def write(part: Path) -> None:
        save_file(dict(weights), part, metadata={"format": "pt"})

    _staged(path, write)


def _staged(path: Path, write: Callable[[Path], None]) -> None:
    part = path.with_name(path.name + _PART)
    try:
        write(part)
        _sync(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    """Has a file, or where the system can a folder's entries, on the disk."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        found: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}") from error
    return found


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; delete {path.parent} to train anew") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not what a training writes; delete {path.parent} to train anew")
    return content


def _to_json(progress: Progress) -> dict[str, Any]:
    """JSON has no NaN: a measure that is not defined becomes null."""
    history = [
        {name: value if math.isfinite(value) else None for name, value in entry.items()}
        for entry in progress.history
    ]
    return {
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best": progress.best if math.isfinite(progress.best) else None,
        "stopped": progress.stopped,
        "history": history,
    }


def _from_json(content: Mapping[str, Any]) -> Progress:
    history = [
        {name: math.nan if value is None else value for name, value in entry.items()}
        for entry in content["history"]
    ]
    best = -math.inf if content["best"] is None else content["best"]
    return Progress(content["epochs"], best, content["best_epoch"], history, content["stopped"])
