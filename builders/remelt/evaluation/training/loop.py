"""`fit` trains a model, `predict` asks it.

The loop is our own and stands on accelerate (device, mixed precision, gradient clipping, state on disk): five
models with five shapes of batches then read beside their papers, which a framework that owns the loop
(Lightning, the Hugging Face Trainer) would put its hooks and its data loader between.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import nn

from ...errors import InputError, Interrupted, bad_value
from ...hf_models import device as checked_device
from ..batch import NOT_COUNTED, Batch
from ..objectives import Classification, Objective
from . import machinery
from .files import Progress, TrainingFolder, learnt, load_weights, put_back
from .fingerprint import fingerprint
from .machinery import seed_everything
from .options import TrainingOptions

__all__ = ["Batches", "Fitted", "Watch", "fit", "load_weights", "predict", "seed_everything"]

# A checkpoint follows an epoch once training has taken so many times as long as writing the last one did.
_TIMES_AS_LONG = 10


class Batches(Protocol):
    """What `fit` and `predict` need of `UtteranceBatches` and `DialogueBatches`."""

    @property
    def ids(self) -> tuple[str, ...]:
        """All rows, in order."""
        ...

    @property
    def counts(self) -> tuple[int, ...]:
        """Rows of each class; empty where there are no classes."""
        ...

    @property
    def identity(self) -> str:
        """A hash of what an epoch gives."""
        ...

    def __len__(self) -> int: ...

    def epoch(self, number: int) -> Iterator[Batch]:
        """In the random order of an epoch."""
        ...

    def compact(self) -> Iterator[Batch]:
        """All rows once, whole, those of similar length together."""
        ...


class Watch(Protocol):
    """Told how training goes; `recipes.reporting.Reporter` fits."""

    def notice(self, text: str) -> None: ...

    def counted(self, done: int, total: int, what: str) -> None: ...


@dataclass(frozen=True)
class Fitted:
    """How training went; the model has the weights to test.

    Attributes:
        epochs: that were trained.
        best_epoch: whose weights the model has, from 1.
        history: of each epoch: `epoch`, `lr` (of its last step), `train_loss`, `seconds`, and the measures of
            the validation rows.
        stopped: `epochs`, or `patience` where it stopped early.
    """

    epochs: int
    best_epoch: int
    history: tuple[dict[str, float], ...] = field(default=())
    stopped: str = "epochs"


def fit(
    model: nn.Module,
    objective: Objective,
    train: Batches,
    validation: Batches | None,
    options: TrainingOptions,
    folder: Path,
    seed: int,
    watch: Watch,
) -> Fitted:
    """Trains a model, and leaves it in evaluation mode with the weights to test.

    Called again with the same arguments after an interruption, it goes on from the last checkpoint and ends
    with the same weights (on a processor, with as many threads); after the end it loads them. Make the model
    after `seed_everything(seed)`.

    Args:
        model: `forward(batch)` gives what the objective expects. May have `config`, which becomes part of
            `config.json`, and `parameter_groups(lr)`, see `machinery.optimizer`.
        validation: None where a paper has none; then all epochs are trained and the last one's weights kept.
        folder: of this training alone; see `files` for what is in it.
        seed: of dropout and the like; the order of rows has the batches' own.

    Raises:
        InputError: the options do not suit the task, the folder is of another training, there is no such
            device, its memory is too small, or the loss is no number; the message says where and what helps.
        Interrupted: Ctrl-C, or the disk is full; the same call goes on.
    """
    if options.class_weights:
        objective = _weighted(objective, train)
    _check(objective, train, validation, options, watch)
    files = TrainingFolder(folder, fingerprint(model, objective, train, validation, options, seed))
    finished = files.open()
    if finished is not None:
        put_back(model, finished.best_weights or {}, str(folder))
        model.eval()
        return _fitted(finished, options, validation)
    with machinery.settings(options):
        training = _Training(model, objective, train, validation, options)
        progress = files.resume(training.accelerator, model)
        _run(training, files, progress, seed, watch)
    if _keeps_best(options, validation):
        if progress.best_weights is None:
            watch.notice(f"{options.monitor} is no number in any epoch; the last epoch's weights are kept")
        else:
            put_back(model, progress.best_weights, "The best epoch")
    from .curves import curves

    model.eval()
    fitted = _fitted(progress, options, validation)
    files.finish(model, progress, curves(fitted.history, options.monitor, fitted.best_epoch))
    return fitted


def predict(
    model: nn.Module, objective: Objective, batches: Batches, device: str | None = "cpu"
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """What a model says of rows, in float32.

    Args:
        device: None for a GPU where there is one.

    Returns:
        `batches.ids`, and scores of shape (n, columns) in their order: probabilities or values. Of dialogues
        all turns have a row, context turns too.

    Raises:
        InputError: there is no such device, or its memory is too small.
    """
    place = checked_device(device)
    model.to(place)
    ids, scores, _ = _asked(model, objective, batches.compact(), place)
    place_of = {name: row for row, name in enumerate(ids)}
    return batches.ids, np.concatenate(scores)[[place_of[name] for name in batches.ids]]


class _Training:
    """A model with everything that changes it."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        train: Batches,
        validation: Batches | None,
        options: TrainingOptions,
    ) -> None:
        self.model, self.objective, self.options = model, objective, options
        self.train, self.validation = train, validation
        self.accelerator: Accelerator = machinery.accelerator(options)
        self.device = str(self.accelerator.device)
        model.to(self.device)
        plain = machinery.optimizer(model, options)
        steps = options.epochs * len(train)
        self.optimizer = self.accelerator.prepare_optimizer(plain)
        self.schedule = self.accelerator.prepare_scheduler(machinery.schedule(plain, options, steps))
        self.weights = [value for value in model.parameters() if value.requires_grad]

    def epoch(self, number: int, watch: Watch) -> dict[str, float]:
        """Trains one epoch and measures the validation rows."""
        begun = time.monotonic()
        machinery.train_mode(self.model)
        total, rows, lr = 0.0, 0, self.options.lr
        batches = machinery.delivered(self.train.epoch(number), self.device)
        for step, batch in enumerate(batches, start=1):
            lr = self.schedule.get_last_lr()[0]
            with _memory(batch, f"epoch {number}, step {step}"):
                loss = self.step(batch, f"epoch {number}, step {step} of {len(self.train)}")
            counted = _counted(batch)
            total, rows = total + loss * counted, rows + counted
            done = (number - 1) * len(self.train) + step
            watch.counted(done, self.options.epochs * len(self.train), "batches")
        entry = {"epoch": number, "lr": lr, "train_loss": total / rows}
        if self.validation is not None:
            with self.accelerator.autocast():
                _, scores, truth = _asked(self.model, self.objective, self.validation.compact(), self.device)
            entry |= self.objective.measures(np.concatenate(scores), np.concatenate(truth))
        return {**entry, "seconds": round(time.monotonic() - begun, 4)}

    def step(self, batch: Batch, where: str) -> float:
        """One batch; gives its loss."""
        moved = batch.to(self.device)
        with self.accelerator.autocast():
            loss = self.objective.loss(self.model(moved), moved)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise _no_number("loss", value, batch, where)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.weights, self.options.clip or math.inf)
        # In fp16 a step whose gradients overflow is left out, and the scale made smaller.
        if self.accelerator.scaler is None and not math.isfinite(length := float(norm)):
            raise _no_number("gradient", length, batch, where)
        self.optimizer.step()
        self.schedule.step()
        return value


def _run(training: _Training, files: TrainingFolder, progress: Progress, seed: int, watch: Watch) -> None:
    """Trains what is left to train, with checkpoints on the way."""
    options, sign = training.options, -1.0 if training.options.monitor == "loss" else 1.0
    saved, took = -math.inf, 0.0
    try:
        while not progress.stopped:
            seed_everything(seed, progress.epoch + 1)
            entry = training.epoch(progress.epoch + 1, watch)
            progress.epoch += 1
            progress.history.append(entry)
            value = sign * entry.get(options.monitor, math.nan)
            if value > progress.best:
                progress.best, progress.best_epoch = value, progress.epoch
                progress.best_weights = learnt(training.model)
            progress.stopped = _reason(progress, options, training.validation is not None)
            begun = time.monotonic()
            if progress.stopped or begun - saved >= _TIMES_AS_LONG * took:
                files.save(training.accelerator, training.model, progress)
                saved = time.monotonic()
                took = saved - begun
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped in epoch {progress.epoch + 1} of {options.epochs}; the same command goes on"
        ) from None


def _reason(progress: Progress, options: TrainingOptions, validated: bool) -> str:
    if progress.epoch >= options.epochs:
        return "epochs"
    waited = progress.epoch - progress.best_epoch
    return "patience" if validated and options.patience is not None and waited >= options.patience else ""


def _keeps_best(options: TrainingOptions, validation: Batches | None) -> bool:
    return options.keep == "best" and validation is not None


def _fitted(progress: Progress, options: TrainingOptions, validation: Batches | None) -> Fitted:
    best = progress.best_epoch if _keeps_best(options, validation) and progress.best_epoch else progress.epoch
    return Fitted(progress.epoch, best, tuple(progress.history), progress.stopped)


def _weighted(objective: Objective, train: Batches) -> Objective:
    if not isinstance(objective, Classification):
        raise InputError("Bad class_weights True: dimensions have no classes")
    return objective if objective.weights is not None else objective.weighted(train.counts)


def _check(
    objective: Objective,
    train: Batches,
    validation: Batches | None,
    options: TrainingOptions,
    watch: Watch,
) -> None:
    """Refuses what cannot work, before anything is computed."""
    for which, batches in (("training", train), ("validation", validation)):
        if isinstance(objective, Classification) and batches is not None and not sum(batches.counts):
            raise InputError(f"No {which} row has a label")
    if validation is not None:
        if options.monitor not in objective.monitors:
            raise InputError(bad_value("monitor", options.monitor, objective.monitors))
    elif options.keep == "best" or options.patience is not None:
        watch.notice(
            f"There are no validation rows: all {options.epochs} epochs are trained, and the weights of the "
            "last one are tested"
        )


def _counted(batch: Batch) -> int:
    """Rows of a batch that are learnt from."""
    return len(batch.ids) if batch.labels is None else int((batch.labels != NOT_COUNTED).sum())


def _asked(
    model: nn.Module, objective: Objective, batches: Iterator[Batch], device: str
) -> tuple[list[str], list[NDArray[np.float32]], list[NDArray[np.float64]]]:
    """Ids, scores and truth, batch after batch."""
    ids: list[str] = []
    scores, truth = [], []
    model.eval()
    with torch.no_grad():
        for batch in machinery.delivered(batches, device):
            with _memory(batch, "testing"):
                moved = batch.to(device)
                scores.append(objective.scores(model(moved), moved))
            truth.append(objective.reference(batch))
            ids += batch.ids
    return ids, scores, truth


@contextmanager
def _memory(batch: Batch, where: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"The GPU's memory is too small for a batch of {len(batch.ids)} rows ({where}): "
            f"{str(error).splitlines()[0]} A smaller batch_size, precision bf16, shorter crops or a frozen "
            "encoder need less"
        ) from error


def _no_number(what: str, value: float, batch: Batch, where: str) -> InputError:
    shown = ", ".join(batch.ids[:8]) + (f" and {len(batch.ids) - 8} more" if len(batch.ids) > 8 else "")
    return InputError(
        f"The {what} is {value} in {where}, so nothing can be learnt. The batch's rows: {shown}. A smaller "
        "lr, a clip of 1, a warmup of 0.1 or precision fp32 often help; is it always the same row, look at it"
    )
