"""What SER models reach that were trained on a dataset's labels: a file of the card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..records import digest
from .layout import AUDIT

EVALUATION = f"{AUDIT}/evaluation.json"
FORMAT = 1


def data_digest(manifest: Mapping[str, Any]) -> str:
    """A hash of the rows that can be trained on: of the default config's files."""
    files = {n: f["sha256"] for n, f in manifest["files"].items() if n.startswith("data/")}
    return digest(files)


def read_evaluation(out: Path) -> dict[str, Any] | None:
    """The record of a dataset folder; None where there is none.

    Raises:
        InputError: it cannot be read.
    """
    path = Path(out) / EVALUATION
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}; remove it") from error
    if (
        not isinstance(found, dict)
        or found.get("format") != FORMAT
        or not isinstance(found.get("runs"), list)
    ):
        raise InputError(f"{path} is no evaluation of format {FORMAT}; remove it")
    return found


def evaluation_context(out: Path, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the card says of each run: its tables, and whether the labels have changed since."""
    record = read_evaluation(out)
    if record is None:
        return []
    now = data_digest(manifest)
    return [{**run, "stale": run["data"] != now} for run in record["runs"]]
