"""From predictions to what `results.json` holds: scores, baselines, differences, the paper's numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from . import published
from .base import Setup, System, Trial

if TYPE_CHECKING:
    from ...evaluation.predictions import Predictions
    from ...evaluation.protocols import Split
    from ..reporting import Reporter

Trained = Mapping[Trial, "tuple[Predictions, ...]"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What one line of the table of scores is of.

    Attributes:
        condition: the labels that were trained on.
        variant: the model or stage; empty where there is one.
        test: the test set.
    """

    condition: str
    variant: str
    test: str


def results_of(setup: Setup, system: System, found: Trained, reporter: Reporter) -> dict[str, Any]:
    """Everything but the analyses.

    Args:
        setup: of the run.
        system: likewise.
        found: the predictions of all trials.
        reporter: is told what cannot be compared.
    """
    from ...evaluation.intervals import score

    options = setup.options
    cells = cells_of(found)
    scores = [{**_named(cell), **score(runs, options.resamples).as_dict()} for cell, runs in cells.items()]
    conditions, notes = compared(cells, setup)
    for note in notes:
        reporter.notice(note)
    return {
        "system": system.INFO.name,
        "material": setup.material.name,
        "title": system.INFO.title,
        "paper": system.INFO.paper,
        "task": system.INFO.task,
        "metric": system.INFO.metric,
        "scores": scores,
        "folds": _folds(found),
        "baselines": baselines_of(setup, system, found, reporter),
        "differences": conditions,
        "published": published.values(system.INFO.name),
        "notes": [*_material_notes(setup), *notes],
    }


def _named(cell: Cell) -> dict[str, str]:
    return {"condition": cell.condition, "variant": cell.variant, "test": cell.test}


def cells_of(found: Trained) -> dict[Cell, list[Predictions]]:
    """Predictions by what they are of, one for each seed; folds of one test set are put together."""
    parts: dict[Cell, dict[int, list[Predictions]]] = {}
    together = _together(found)
    for trial, predictions in found.items():
        for one in predictions:
            cell = Cell(trial.condition, trial.variant, _whole(trial, one.test, together))
            parts.setdefault(cell, {}).setdefault(trial.seed, []).append(one)
    return {cell: [_pooled(by_seed[s], cell.test) for s in by_seed] for cell, by_seed in parts.items()}


def _together(found: Trained) -> frozenset[int]:
    """Seeds whose folds are put together: each fold has its own rows, of one corpus and the same columns."""
    rows: dict[int, dict[str, tuple[str, ...]]] = {}
    columns = set()
    for trial, predictions in found.items():
        for one in predictions:
            if one.test == trial.fold:
                rows.setdefault(trial.seed, {})[trial.fold] = one.ids
                columns.add(one.labels)
    if len(columns) != 1:
        return frozenset()
    return frozenset(seed for seed, folds in rows.items() if _apart(list(folds.values())))


def _apart(folds: Sequence[Sequence[str]]) -> bool:
    corpora = {row.partition("/")[0] for ids in folds for row in ids[:1]}
    apart = sum(map(len, folds)) == len(set().union(*folds))
    return len(folds) > 1 and len(corpora) == 1 and apart


def _whole(trial: Trial, test: str, together: frozenset[int]) -> str:
    """The name under which the folds of a test set are put together: `folds` where each has its own."""
    return "folds" if test == trial.fold and trial.seed in together else test


def _pooled(parts: Sequence[Predictions], test: str) -> Predictions:
    from ...evaluation.intervals import pooled

    return replace(parts[0], test=test) if len(parts) == 1 else pooled(parts, test)


def _folds(found: Trained) -> list[dict[str, Any]]:
    """Mean and standard deviation over folds, as papers report them."""
    from ...evaluation.intervals import over_folds, plain

    parts: dict[Cell, list[Predictions]] = {}
    together = _together(found)
    for trial, predictions in found.items():
        for one in predictions:
            cell = Cell(trial.condition, trial.variant, _whole(trial, one.test, together))
            parts.setdefault(cell, []).append(one)
    seeds = len({trial.seed for trial in found})
    return [
        {
            **_named(cell),
            "metrics": {
                name: {"mean": plain(spread.mean), "sd": plain(spread.sd), "folds": spread.folds}
                for name, spread in over_folds(some).items()
            },
        }
        for cell, some in parts.items()
        if len(some) > seeds
    ]


def compared(
    cells: Mapping[Cell, Sequence[Predictions]], setup: Setup
) -> tuple[list[dict[str, Any]], list[str]]:
    """Each condition against the last one that was asked for (`new` against `old`), test set by test set.

    Returns:
        The differences, and a note for each pair that cannot be compared.
    """
    conditions = setup.options.labels
    found, notes = [], []
    for first, second in pairs(conditions):
        for cell, runs in cells.items():
            other = replace(cell, condition=first)
            if cell.condition != second or other not in cells:
                continue
            told = difference(cells[other], runs, setup.options.resamples)
            where = {"variant": cell.variant, "test": cell.test, "a": first, "b": second}
            if isinstance(told, str):
                notes.append(f"{cell.test}: {first!r} and {second!r} cannot be compared: {told}")
            else:
                found.append({**where, **told})
    return found, notes


def pairs(conditions: Sequence[str]) -> list[tuple[str, str]]:
    """What is compared: everything with `old` where it is there, else with the first condition."""
    from .base import OLD

    if not conditions:
        return []
    base = OLD if OLD in conditions else conditions[0]
    return [(base, other) for other in conditions if other != base]


def difference(a: Sequence[Predictions], b: Sequence[Predictions], resamples: int) -> dict[str, Any] | str:
    """The paired differences b - a with both kinds of gain; a sentence where there can be none."""
    from ...evaluation.comparison import compare

    try:
        found = compare(list(a), list(b), resamples).as_dict()
    except InputError as error:
        return str(error)
    del found["test"]
    for one in found["differences"].values():
        one |= gains(one["a"], one["b"])
    return found


def gains(a: float | None, b: float | None) -> dict[str, float | None]:
    """Both kinds of relative improvement, which papers mix up: gain over base, and error reduction.

    >>> gains(0.5, 0.6)
    {'gain_over_base': 0.2, 'error_reduction': 0.2}
    >>> gains(0.8, 0.9)
    {'gain_over_base': 0.125, 'error_reduction': 0.5}
    """
    if a is None or b is None:
        return {"gain_over_base": None, "error_reduction": None}
    return {
        "gain_over_base": round((b - a) / a, 6) if a > 0 else None,
        "error_reduction": round((b - a) / (1 - a), 6) if a < 1 else None,
    }


def baselines_of(setup: Setup, system: System, found: Trained, reporter: Reporter) -> list[dict[str, Any]]:
    """Majority, chance and a linear model on the same rows, for systems that tell their rows.

    Conditions, variants and seeds that train and test on the same rows under the same labels share them; of
    variants or seeds with other rows the first one's stand for all.
    """
    from ...evaluation.intervals import score
    from .reference import linear_baselines, simple_baselines

    told = getattr(system, "splits", None)
    if told is None:
        return []
    if (added := getattr(system, "added", None)) is not None:
        setup = replace(setup, added=tuple(added(setup)))
    parts: dict[tuple[str, str, str], dict[tuple[str, int], list[list[Predictions]]]] = {}
    known: dict[str, dict[str, list[Predictions]]] = {}
    seen: set[tuple[str, str]] = set()
    together = _together(found)
    # A variant may learn one dimension alone; its baselines are those of all that the run has.
    dimensions = tuple(dict.fromkeys(name for ps in found.values() for p in ps for name in p.dimensions))
    for trial, predictions in found.items():
        by_test = {one.test: one for one in predictions}
        splits: Mapping[str, Split] = told(trial, setup)
        for test, split in splits.items():
            if test not in by_test:
                continue
            one = replace(by_test[test], dimensions=dimensions)
            whole = _whole(trial, test, together)
            key = _rows_key(split, one)
            if (mark := (f"{trial.condition} {whole}", key)) in seen:
                continue
            seen.add(mark)
            if key not in known:
                reporter.stage(f"Baselines of {trial.condition or 'the ratings'} on {test}")
                known[key] = {
                    **simple_baselines(split, one),
                    **linear_baselines(setup, split, one, reporter),
                }
            for name, runs in known[key].items():
                folds = parts.setdefault((trial.condition, whole, name), {})
                folds.setdefault((trial.variant, trial.seed), []).append(runs)
    return [
        {"condition": condition, "test": test, "baseline": name}
        | score(_seeds(next(iter(each.values())), test), setup.options.resamples).as_dict()
        for (condition, test, name), each in parts.items()
    ]


def _seeds(folds: Sequence[Sequence[Predictions]], test: str) -> list[Predictions]:
    """The draws of a baseline, each over all folds."""
    return [_pooled(parts, test) for parts in zip(*folds, strict=True)]


def _rows_key(split: Split, like: Predictions) -> str:
    """What baselines depend on: rows, their truth, and the columns."""
    known = hashlib.sha256(repr((like.labels, like.dimensions)).encode("utf-8", "surrogatepass"))
    for part, rows in split.parts():
        known.update(part.encode())
        for row in rows:
            truth = [row.targets.get(name) for name in like.dimensions] or row.label
            known.update(f"{row.id}\t{truth}\n".encode("utf-8", "surrogatepass"))
    return known.hexdigest()


def _material_notes(setup: Setup) -> list[str]:
    found = [f"{setup.material.name}: {note}" for note in setup.material.notes]
    for name, test in setup.tests.items():
        found += [f"{name}: {note}" for note in test.notes]
    return found
