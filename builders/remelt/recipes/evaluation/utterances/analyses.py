"""What MELT's and Feng and Narayanan's systems show besides the table of scores."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import Analysis, Setup, Trial
from ..kept import folder_of
from ..results import Cell, cells_of, difference
from . import extra
from .figures import layer_figure
from .settings import ALONE, ASR_WORDS, HUMAN_WORDS
from .training import LAYERS

if TYPE_CHECKING:
    from ....evaluation.predictions import Predictions
    from ....evaluation.protocols import Split

Results = Mapping[Trial, "Sequence[Predictions]"]
_SCORES = ("uar", "accuracy", "macro_f1")


def _cells(results: Results) -> dict[Cell, list[Predictions]]:
    return cells_of({trial: tuple(found) for trial, found in results.items()})


def _filled(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the same columns, without those that are empty in all of them."""
    names = dict.fromkeys(name for row in rows for name in row)
    used = [name for name in names if any(row.get(name) not in (None, "") for row in rows)]
    return [{name: row.get(name) for name in used} for row in rows]


def layers(setup: Setup, results: Results, folder: Path) -> list[Analysis]:
    """The weights that trainings gave to the layers of each encoder, with a figure.

    Args:
        folder: where the figure is put.
    """
    from ....publishing.parquet import write_bytes

    found: dict[str, dict[str, list[list[float]]]] = {}
    for trial in results:
        path = folder_of(setup.options.out, trial) / LAYERS
        if not path.is_file():
            continue
        line = ", ".join(filter(None, (trial.condition, trial.variant)))
        for encoder, weights in json.loads(path.read_text(encoding="utf-8")).items():
            found.setdefault(encoder, {}).setdefault(line, []).append(weights)
    if not found:
        return []
    means = {
        encoder: {line: np.mean(weights, axis=0) for line, weights in lines.items()}
        for encoder, lines in found.items()
    }
    for kind, content in layer_figure(means).items():
        write_bytes(content, folder / f"layers.{kind}")
    rows = [
        {"encoder": encoder, "trained under": line, "layer": layer, "weight": round(float(weight), 5)}
        for encoder, lines in means.items()
        for line, weights in lines.items()
        for layer, weight in enumerate(weights)
    ]
    note = "Means over folds, test corpora and seeds; layer 0 is the input of the first transformer layer."
    figure = (folder / "layers.svg").relative_to(setup.options.out).as_posix()
    return [Analysis("layers", "Weights of the encoders' layers", rows, figure, (note,))]


def class_counts(splits: Mapping[Trial, Mapping[str, Split]]) -> Analysis:
    """How many training rows each class has, by condition and head."""
    rows = []
    for trial, found in splits.items():
        first = next(iter(found.values()))
        counts = Counter(row.label for row in first.train)
        rows.append(
            {
                "condition": trial.condition,
                "variant": trial.variant,
                "head or fold": trial.fold,
                "seed": trial.seed,
                "rows": counts.total(),
                **{str(label): count for label, count in sorted(counts.items(), key=str)},
            }
        )
    rows = _without_repeats(_filled(rows))
    note = "Training rows under the labels that are trained on."
    return Analysis("class_counts", "Classes of the training rows", rows, notes=(note,))


def _without_repeats(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that differ in more than their seed."""
    seen: dict[str, dict[str, Any]] = {}
    for row in rows:
        kept = {name: value for name, value in row.items() if name != "seed"}
        seen.setdefault(json.dumps(kept), kept)
    return list(seen.values())


def words(setup: Setup, results: Results) -> list[Analysis]:
    """A recogniser's words against people's, and both against none (Feng and Narayanan 2023, table 3)."""
    cells = _cells(results)
    if not any(cell.variant != ALONE for cell in cells):
        return []
    rows = []
    for cell, runs in cells.items():
        for name, against in _rivals(cell):
            if against in cells:
                told = difference(cells[against], runs, setup.options.resamples)
                if not isinstance(told, str):
                    rows.append({"labels": cell.condition, "compared": name, **_flat(told)})
    notes = (
        "The second less the first on the same rows, with 95 % intervals of the paired bootstrap.",
        "Rows without words of one of the kinds are left out of all variants.",
    )
    return [Analysis("words", "Recognised words against human words", rows, notes=notes)]


def _rivals(cell: Cell) -> list[tuple[str, Cell]]:
    """What a model is compared with: the same test without words, with other words, of another training."""
    base, _, other = cell.test.partition("-")
    if not other:
        if cell.variant == HUMAN_WORDS:
            return [(f"{ALONE} -> {HUMAN_WORDS}", Cell(cell.condition, ALONE, base))]
        if cell.variant == ASR_WORDS:
            return [
                (f"{ALONE} -> {ASR_WORDS}", Cell(cell.condition, ALONE, base)),
                (f"{HUMAN_WORDS} -> {ASR_WORDS}", Cell(cell.condition, HUMAN_WORDS, base)),
            ]
        return []
    return [
        (
            f"{cell.variant}: its own words -> {other.replace('-', ' ')}",
            Cell(cell.condition, cell.variant, base),
        )
    ]


def _flat(told: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"rows": told["rows"]}
    for name in _SCORES:
        one = told["differences"].get(name)
        if one is not None:
            found |= {
                f"{name} first": one["a"],
                f"{name} second": one["b"],
                f"{name} difference": one["value"],
                f"{name} low": one["low"],
                f"{name} high": one["high"],
            }
    return found


def augmentation(setup: Setup, results: Results) -> list[Analysis]:
    """What added training rows change (Feng and Narayanan 2023, table 7)."""
    name = extra.name(setup)
    if name is None:
        return []
    cells, rows = _cells(results), []
    for cell, runs in cells.items():
        before = Cell(cell.condition.removesuffix(f"+{name}"), cell.variant, cell.test)
        if before != cell and before in cells:
            told = difference(cells[before], runs, setup.options.resamples)
            if not isinstance(told, str):
                rows.append(
                    {"labels": before.condition, "variant": cell.variant, "test": cell.test, **_flat(told)}
                )
    note = f"Without (first) and with (second) rows of {name} in the training part of each fold."
    return [Analysis("augmentation", "Training rows added from another corpus", rows, notes=(note,))]
