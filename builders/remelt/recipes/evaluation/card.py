"""Writes what models reached into the card of the dataset that they were trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...errors import InputError
from . import tables
from .run import put_json, read_config, read_results


def write_evaluation(out: Path, runs: Sequence[Path]) -> dict[str, Any]:
    """Writes `audit/evaluation.json`, the card and the manifest of a dataset.

    A run of the same folder name takes the place of an earlier one; others stay.

    Args:
        out: the dataset folder.
        runs: finished runs that were trained on it.

    Returns:
        The record.

    Raises:
        InputError: no dataset, a run that is not finished, or one that was trained on something else.
        WriteError: a file cannot be written.
    """
    from ...publishing import read_manifest
    from ...publishing.evaluation import EVALUATION, FORMAT, data_digest, read_evaluation

    with _locked(out):
        manifest = read_manifest(out)
        now = data_digest(manifest)
        entries = [_entry(run, now, out) for run in runs]
        names = {entry["run"] for entry in entries}
        if len(names) < len(entries):
            raise InputError(f"Two runs have one folder name: {[entry['run'] for entry in entries]!r}")
        before = (read_evaluation(out) or {"runs": []})["runs"]
        record = {"format": FORMAT, "runs": [*(r for r in before if r["run"] not in names), *entries]}
        put_json(out / EVALUATION, record)
        _renew(out, manifest)
    return record


def remove_evaluation(out: Path) -> None:
    """Takes it out of the dataset again.

    Raises:
        InputError: no dataset, or nothing in it to take out.
    """
    from ...publishing import read_manifest
    from ...publishing.evaluation import EVALUATION

    with _locked(out):
        manifest = read_manifest(out)
        if not (out / EVALUATION).is_file():
            raise InputError(f"{out} has no evaluation to take out")
        (out / EVALUATION).unlink()
        _renew(out, manifest)


def _locked(out: Path) -> Any:
    from ...journal import OutLock
    from ..exchange.keeping import settled

    if not out.is_dir():
        raise InputError(f"There is no dataset folder {out}")
    settled(out)
    return OutLock(out) if (out / ".remelt").is_dir() else nullcontext()


def _renew(out: Path, manifest: Mapping[str, Any]) -> None:
    """The card anew with what the audit found, and the manifest with the new hashes."""
    from ...publishing import seal, write_card

    findings = out / "audit" / "findings.json"
    found: dict[str, Any] = {}
    if findings.is_file():
        try:
            found = json.loads(findings.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{findings} cannot be read as JSON: {error}; `remelt audit {out}`") from error
    write_card(out, manifest, found)
    seal(out)


def _entry(run: Path, now: str, out: Path) -> dict[str, Any]:
    """What the card says of a run; nothing in it says where things lie on this machine."""
    config, results = read_config(run), read_results(run)
    material = config["material"]
    if material.get("data") != now:
        raise InputError(
            f"{run} was trained on {material['source']} ({material['kind']}), not on the rows and labels "
            f"that {out} holds now"
        )
    differences = tables.differences_table(results)
    return {
        "run": run.resolve().name,
        "data": now,
        **{name: results[name] for name in ("system", "title", "paper", "task", "metric")},
        **{name: config[name] for name in ("preset", "labels", "seeds", "limit", "class_rule")},
        **{name: _public(config[name]) for name in ("speech", "text")},
        "remelt_version": config["remelt_version"],
        "training": {k: v for k, v in config["training"].items() if k not in ("device", "threads")},
        "settings": config["settings"],
        "encoders": results["encoders"],
        "scores": _plain(tables.scores_table(results)),
        "differences": None if differences is None else _plain(differences),
        "warnings": tables.warnings_of(results),
        "measured": {name: results[name] for name in ("scores", "baselines", "differences")},
    }


def _public(encoder: str | None) -> str | None:
    """An encoder's name without the folder that it lies in on this machine."""
    if encoder is None or not Path(encoder).is_dir():
        return encoder
    return Path(encoder).name


def _plain(table: tables.Table) -> dict[str, Any]:
    found = asdict(table)
    return {
        **found,
        **{name: [*found[name]] for name in ("head", "notes")},
        "rows": list(map(list, table.rows)),
    }
