"""Trains a system under several labels, tests it, scores it, and compares what the labels came to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, Interrupted
from ..reporting import Reporter
from .base import Analysis, EvaluationOptions, Setup, System, Trial

if TYPE_CHECKING:
    from ...evaluation.predictions import Predictions

CONFIG, RESULTS, ANALYSES = "config.json", "results.json", "analyses"
Found = Mapping[Trial, "tuple[Predictions, ...]"]


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        out: its folder.
        config: what was asked for; see `preparing.config_of`.
        results: what `results.json` holds; see `results.results_of`.
        reused: trials that an earlier call had finished.
    """

    out: Path
    config: Mapping[str, Any]
    results: Mapping[str, Any]
    reused: int = 0


def evaluate(options: EvaluationOptions, reporter: Reporter | None = None) -> Outcome:
    """Runs a system; called again for the same folder it goes on where it stopped.

    Args:
        options: see `EvaluationOptions`.
        reporter: is told what happens.

    Raises:
        InputError: an option, file or folder that cannot be used, a package of `remelt[ser]` that is missing,
            or a folder of a run with other options.
        Interrupted: the run was stopped, or the disk is full; the same command goes on.
    """
    from ...evaluation.optional import package
    from ...journal import OutLock
    from . import systems
    from .desk import CachedDesk
    from .preparing import config_of, features_folder, prepare, training_device

    reporter = reporter or Reporter()
    system = systems.system(options.system)
    for name in ("torch", "sklearn", "scipy"):
        package(name)
    out = options.out
    check_folder(out)
    device = options.training.get("device")
    desk = CachedDesk(features_folder(options), device, reporter)
    setup = prepare(options, system, desk, reporter)
    setup = replace(setup, training=training_device(setup.training, desk.device))
    config = config_of(setup, system.INFO)
    with OutLock(out):
        _own(out, config)
        try:
            found, reused = _trained(setup, system, out, reporter)
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped; the same command goes on in {out} with what is not finished yet"
            ) from None
        return _finish(setup, system, found, config, reused, reporter)


def check_folder(out: Path) -> None:
    """Refuses a folder that holds something else.

    Raises:
        InputError: it is a file, or holds what is no run.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder")
    if not out.is_dir() or (out / CONFIG).is_file():
        return
    strangers = sorted(path.name for path in out.iterdir() if path.name not in (".remelt", "features"))
    if strangers:
        raise InputError(
            f"{out} is not empty and not a run of `remelt evaluate` (it holds {strangers[:5]!r}); name "
            "another folder"
        )


def read_config(out: Path) -> dict[str, Any]:
    """The options of a run.

    Raises:
        InputError: the folder is no run, or its config cannot be read.
    """
    return _json(out, CONFIG)


def read_results(out: Path) -> dict[str, Any]:
    """The results of a run.

    Raises:
        InputError: the folder is no run, or the run is not finished.
    """
    read_config(out)
    if not (out / RESULTS).is_file():
        raise InputError(f"{out} is a run that is not finished; the command that began it goes on")
    return _json(out, RESULTS)


def _json(out: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((out / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{out} is no run of `remelt evaluate`: it has no {name}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{out / name} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{out / name} holds {type(found).__name__}, expected a JSON object")
    return found


def _own(out: Path, config: Mapping[str, Any]) -> None:
    """Makes the folder this run's.

    Raises:
        InputError: it is a run with other options; the message says which.
    """
    from .preparing import deciding
    from .settings import differences

    if (out / CONFIG).is_file():
        before = read_config(out)
        now = json.loads(json.dumps(config))
        try:
            found = differences(deciding(before), deciding(now))
        except (KeyError, AttributeError, TypeError) as error:
            raise InputError(f"{out / CONFIG} is damaged ({error}); name another folder") from error
        if found:
            shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
            raise InputError(f"{out} holds a run with other options ({shown}); name another folder")
    put_json(out / CONFIG, config)


def put_json(path: Path, value: Any) -> None:
    """Writes JSON, whole or not at all; what is not a number is null.

    Raises:
        WriteError: the disk is full, or the folder cannot be written.
    """
    from ...evaluation.resampling import plain
    from ...publishing.parquet import write_bytes

    text = json.dumps(plain(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    write_bytes(text.encode("utf-8", "replace"), path)


def _trained(
    setup: Setup, system: System, out: Path, reporter: Reporter
) -> tuple[dict[Trial, tuple[Predictions, ...]], int]:
    """The predictions of all trials; those that are finished are read."""
    from . import kept

    trials = list(system.trials(setup))
    if not trials:
        raise InputError(f"{system.INFO.name} finds nothing to train in {setup.material.source}")
    folders = [kept.folder_of(out, trial) for trial in trials]
    if len(set(folders)) < len(folders):
        raise InputError(f"Two trials of {system.INFO.name} have one folder: {[t.name for t in trials]!r}")
    found: dict[Trial, tuple[Predictions, ...]] = {}
    reused = 0
    for number, (trial, folder) in enumerate(zip(trials, folders, strict=True), 1):
        known = kept.finished(folder)
        reused += known is not None
        if known is None:
            reporter.stage(f"Trial {number} of {len(trials)}: {trial.name}")
            folder.mkdir(parents=True, exist_ok=True)
            known = list(system.execute(trial, setup, folder, reporter))
            kept.keep(folder, known)
        found[trial] = tuple(known)
    if reused:
        reporter.stage(f"{reused} of {len(trials)} trials were finished before")
    return found, reused


def _finish(
    setup: Setup,
    system: System,
    found: Found,
    config: Mapping[str, Any],
    reused: int,
    reporter: Reporter,
) -> Outcome:
    """Baselines, scores, comparisons, analyses, report."""
    from . import report
    from .desk import CachedDesk
    from .results import results_of

    out = setup.options.out
    reporter.stage("Scoring")
    results = results_of(setup, system, found, reporter)
    analyses = _analysed(setup, system, found, out)
    results["analyses"] = [_shown(one) for one in analyses]
    results["encoders"] = _encoders(setup)
    results["notes"] += setup.desk.notes if isinstance(setup.desk, CachedDesk) else ()
    results["trials"] = [asdict(trial) for trial in found]
    put_json(out / RESULTS, results)
    report.write(out, config, results)
    return Outcome(out, config, results, reused)


def _encoders(setup: Setup) -> list[dict[str, Any]]:
    """What encoded, with the notes that came of it."""
    from .desk import CachedDesk

    desk = setup.desk
    if not isinstance(desk, CachedDesk):
        return []
    return [
        {"name": one.name, "kind": one.kind, "identity": one.identity, "notices": list(one.notices)}
        for one in desk.encoders
    ]


def _analysed(setup: Setup, system: System, found: Found, out: Path) -> list[Analysis]:
    folder = out / ANALYSES
    folder.mkdir(parents=True, exist_ok=True)
    analyses = list(system.analyse(setup, found, folder))
    for one in analyses:
        put_json(folder / f"{one.name}.json", {"title": one.title, "notes": one.notes, "data": one.data})
    return analyses


def _shown(one: Analysis) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "data": one.data,
        "figure": one.figure,
        "notes": list(one.notes),
    }
