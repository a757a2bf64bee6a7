"""Two runs on the rows that both were tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from .tables import Record, Table, change, measure, p_value, share

if TYPE_CHECKING:
    from ...evaluation.predictions import Predictions
    from .results import Cell

FORMAT = 1


def compare_runs(
    first: Path, second: Path, labels: Sequence[str] = (), resamples: int = 2_000
) -> dict[str, Any]:
    """Compares models of two runs: the same variant under the same labels, or under two that are named.

    Args:
        first, second: finished runs.
        labels: those of the first and of the second run; empty for each that both have.
        resamples: of the bootstrap.

    Returns:
        `runs` (what each was), `differences` and `notes`.

    Raises:
        InputError: a folder that is no finished run, labels that were not trained on, or nothing in common.
    """
    from .results import difference
    from .run import read_config

    configs = [read_config(out) for out in (first, second)]
    left, right = (cells_of_run(out) for out in (first, second))
    found: list[dict[str, Any]] = []
    notes: list[str] = []
    for one, other in _pairs(left, right, _conditions(labels, left, right)):
        told = difference(left[one], right[other], resamples)
        if isinstance(told, str):
            notes.append(f"{one.test}: {told}")
            continue
        where = {"test": one.test, "a": one.condition, "b": other.condition}
        found.append({**where, "variant_a": one.variant, "variant_b": other.variant, **told})
    if not found:
        tests = [sorted({cell.test for cell in side}) for side in (left, right)]
        why = f" ({notes[0]})" if notes else ""
        raise InputError(
            f"{first} and {second} have nothing to compare: tests {tests[0]!r} and {tests[1]!r}{why}"
        )
    return {
        "format": FORMAT,
        "runs": [_run(out, config) for out, config in zip((first, second), configs, strict=True)],
        "differences": found,
        "notes": notes,
    }


def _run(out: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    names = ("system", "preset", "speech", "text", "labels", "seeds", "training", "settings")
    return {"run": out.resolve().name, **{name: config.get(name) for name in names}}


def cells_of_run(out: Path) -> dict[Cell, list[Predictions]]:
    """The predictions of a finished run.

    Raises:
        InputError: it is none.
    """
    from . import kept
    from .base import Trial
    from .results import cells_of
    from .run import read_results

    trials = read_results(out)["trials"]
    found = {}
    for one in trials:
        trial = Trial(**one)
        known = kept.finished(kept.folder_of(out, trial))
        if known is None:
            raise InputError(f"{out}: the trial {trial.name} is gone")
        found[trial] = tuple(known)
    return cells_of(found)


def _conditions(
    labels: Sequence[str], left: Mapping[Cell, Any], right: Mapping[Cell, Any]
) -> tuple[str, str] | None:
    if not labels:
        return None
    if len(labels) != 2:
        raise InputError(f"Bad labels {list(labels)!r}, expected two: of the first and of the second run")
    for name, side in zip(labels, (left, right), strict=True):
        known = sorted({cell.condition for cell in side})
        if name not in known:
            raise InputError(bad_value("labels of the run", name, known))
    return labels[0], labels[1]


def _pairs(
    left: Mapping[Cell, Any], right: Mapping[Cell, Any], labels: tuple[str, str] | None
) -> list[tuple[Cell, Cell]]:
    """Cells of the same test; of the same variant where both runs have it, else of any."""
    shared = {cell.variant for cell in left} & {cell.variant for cell in right}
    return [
        (one, other)
        for one in left
        for other in right
        if one.test == other.test
        and (one.variant == other.variant or not shared)
        and ((one.condition, other.condition) == labels if labels else one.condition == other.condition)
    ]


def table(found: Record) -> Table:
    """The differences as a table."""
    first, second = (one["run"] for one in found["runs"])
    rows = []
    for one in found["differences"]:
        for name, value in one["differences"].items():
            rows.append(
                (
                    one["test"],
                    _model(one["a"], one["variant_a"]),
                    _model(one["b"], one["variant_b"]),
                    f"{one['rows']:,}",
                    measure(name),
                    share(value["a"]),
                    share(value["b"]),
                    change(value),
                    p_value(value["p"]),
                )
            )
    head = ("test set", first, second, "rows", "score", "first", "second", "difference", "p")
    notes = ("Paired bootstrap on the rows that both runs were tested on; p is not corrected.",)
    return Table(f"{second} against {first}", head, tuple(rows), notes)


def _model(condition: str, variant: str) -> str:
    return ", ".join(filter(None, (condition, variant)))
