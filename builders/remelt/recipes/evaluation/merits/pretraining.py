"""The pre-training of MERITS-L: a text encoder learns what a language model says of transcribed speech.

Dutta & Ganapathy 2025, section III-A: negative, neutral or positive, 80/20 at random, 10 epochs, a learning
rate of 1e-4, 32 rows in a batch. The result of a tuned encoder is a transformers folder ("RoBERTa-FT"), that
of a frozen one the projection behind it; stage I starts from it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import InputError
from ....evaluation.batches import UtteranceBatches
from ....evaluation.examples import Example
from ....evaluation.models.conversation import UtteranceClassifier
from ....evaluation.objectives import Classification
from ....evaluation.training.loop import fit, seed_everything
from ....labels import SENTIMENT
from ..base import NEW, Setup
from . import inputs
from .plan import settings_of
from .settings import Pretrained
from .sizes import sizes

if TYPE_CHECKING:
    from ...reporting import Reporter

_MODEL, _PROJECTION, _DONE = "model", "projection.pt", "pretraining.json"
_TRAIN_SHARE = 0.8
_VALIDATIONS = ("validation", "dev", "valid")


@dataclass(frozen=True)
class Start:
    """Where stage I of words starts.

    Attributes:
        encoder: name or folder of the text encoder.
        projection: file with the weights of the projection; None for new ones.
    """

    encoder: str
    projection: Path | None = None


def start(setup: Setup, chosen: Pretrained | None, seed: int, root: Path, reporter: Reporter) -> Start:
    """The text encoder to start from, pre-trained if it is not yet.

    Args:
        chosen: the pre-training; None or one without a folder for the encoder as it is.
        seed: of the pre-training.
        root: a folder `NAME/seedN` is made in it.

    Raises:
        InputError: the folder is neither a transformers model nor a dataset of sentiment labels.
    """
    name = setup.text
    if name is None:
        raise InputError("No text encoder is named")
    if chosen is None or chosen.folder is None:
        return Start(name)
    if inputs.is_model(chosen.folder):
        return Start(str(chosen.folder))
    folder = root / chosen.name / f"seed{seed}"
    tuned = settings_of(setup).text_encoder == "tuned"
    if not (folder / _DONE).is_file():
        _pretrain(setup, name, chosen.folder, seed, folder, reporter)
    return Start(str(folder / _MODEL)) if tuned else Start(name, folder / _PROJECTION)


def _pretrain(setup: Setup, name: str, dataset: Path, seed: int, folder: Path, reporter: Reporter) -> None:
    settings = settings_of(setup)
    tuned = settings.text_encoder == "tuned"
    train, validation = _rows(dataset, seed, reporter)
    reporter.stage(f"Pre-training {name} on {len(train):,} sentiment labels of {dataset}")
    found = inputs.words(setup.desk, name, [*train, *validation], tuned)
    labels = SENTIMENT.labels
    seed_everything(seed)
    model = UtteranceClassifier(
        "text", found.states, len(labels), sizes(settings), weighted=False, encoder_lr=None
    )
    train_batches, validation_batches = (
        UtteranceBatches(
            [row for row in rows if row.id in found.rows],
            text=found.store,
            labels=labels,
            batch_size=settings.pretrain_batch,
            seed=seed,
        )
        for rows in (train, validation)
    )
    options = replace(
        setup.training,
        lr=settings.pretrain_lr,
        epochs=settings.pretrain_epochs,
        batch_size=settings.pretrain_batch,
        device=setup.desk.device,
    )
    folder.mkdir(parents=True, exist_ok=True)
    fitted = fit(
        model, Classification(labels), train_batches, validation_batches, options, folder, seed, reporter
    )
    _save(model, found.encoder, tuned, folder)
    about = {
        "dataset": str(dataset.name),
        "encoder": name,
        "rows": {"train": len(train_batches.examples), "validation": len(validation_batches.examples)},
        "epochs": fitted.epochs,
        "best_epoch": fitted.best_epoch,
        "validation": dict(fitted.history[fitted.best_epoch - 1]) if fitted.history else {},
    }
    (folder / _DONE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _save(model: UtteranceClassifier, encoder: Any, tuned: bool, folder: Path) -> None:
    import torch

    if not tuned:
        torch.save(model.project.state_dict(), folder / _PROJECTION)
        return
    target = folder / _MODEL
    shutil.rmtree(target, ignore_errors=True)
    encoder.save(model.front.module, target)


def _rows(dataset: Path, seed: int, reporter: Reporter) -> tuple[list[Example], list[Example]]:
    """Training and validation rows: the dataset's own division, else 80/20 at random."""
    from .. import sources

    material = sources.read(str(dataset), None, reporter)
    condition = NEW if NEW in material.labels else next(iter(material.labels), "")
    rows = [row for row in material.under(condition) if row.label is not None] if condition else []
    strange = sorted({row.label for row in rows if row.label and row.label not in SENTIMENT.labels})
    if not rows or strange:
        told = f"labels {strange[:5]!r}" if strange else "no labels"
        raise InputError(
            f"{dataset} has {told}; the text encoder is pre-trained on {list(SENTIMENT.labels)!r}, as "
            "`remelt build pseudo-sentiment` gives them"
        )
    if any(row.split in _VALIDATIONS for row in rows):
        return [row for row in rows if row.split not in _VALIDATIONS], [
            row for row in rows if row.split in _VALIDATIONS
        ]
    if len(rows) < 2:
        raise InputError(f"{dataset} has {len(rows)} labelled row, too few to pre-train on")
    order = np.random.default_rng(seed).permutation(len(rows))
    cut = min(len(rows) - 1, max(1, round(_TRAIN_SHARE * len(rows))))
    return [rows[k] for k in order[:cut]], [rows[k] for k in order[cut:]]


def load_projection(model: UtteranceClassifier, path: Path | None) -> None:
    """Gives a model of stage I the projection that was pre-trained.

    Raises:
        InputError: it was pre-trained with other sizes.
    """
    import torch

    if path is None:
        return
    found = torch.load(path, map_location="cpu", weights_only=True)
    try:
        model.project.load_state_dict(found)
    except RuntimeError as error:
        raise InputError(f"{path} has a projection of another size: {error}") from error


def told(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """What was written about pre-trainings."""
    return [
        {"name": folder.parent.name, **json.loads((folder / _DONE).read_text(encoding="utf-8"))}
        for folder in folders
        if (folder / _DONE).is_file()
    ]
