"""What a run keeps of each trial: predictions as Parquet, whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    from ...evaluation.predictions import Predictions
    from .base import Trial

TRIALS = "trials"
_DONE = "finished.json"
_META = b"remelt"


def folder_of(out: Path, trial: Trial) -> Path:
    """The folder of a trial."""
    return out / TRIALS / _safe(trial.name)


def _safe(name: str) -> Path:
    """A trial's name as a path that stays in the run's folder."""
    parts = [re.sub(r"[^\w.=+-]+", "_", part).strip(".") or "_" for part in name.split("/")]
    return Path(*parts)


def keep(folder: Path, predictions: Sequence[Predictions]) -> None:
    """Writes a finished trial; the mark that it is finished comes last.

    Raises:
        InputError: two test sets of one name.
        WriteError: the disk is full, or the folder cannot be written.
    """
    from ...publishing.parquet import write_bytes

    names = [_file(one.test) for one in predictions]
    if len(set(names)) < len(names):
        raise InputError(f"Two test sets of one trial have one name: {[one.test for one in predictions]!r}")
    for name, one in zip(names, predictions, strict=True):
        write_table(folder / name, one)
    write_bytes(json.dumps({"predictions": names}).encode(), folder / _DONE)


def _file(test: str) -> str:
    return f"predictions-{re.sub(r'[^A-Za-z0-9_.=+-]+', '_', test)}.parquet"


def finished(folder: Path) -> list[Predictions] | None:
    """The predictions of a trial; None for one that is not finished.

    Raises:
        InputError: a file of a finished trial cannot be read.
    """
    try:
        names = json.loads((folder / _DONE).read_text(encoding="utf-8"))["predictions"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / _DONE} is damaged ({error}); remove {folder} to train again") from error
    return [read_table(folder / name) for name in names]


def write_table(path: Path, predictions: Predictions) -> None:
    """One row per test row: id, group, reference, predicted, and a column for each class or dimension.

    Raises:
        WriteError: the disk is full, or the folder cannot be written.
    """
    import pyarrow as pa

    from ...publishing.parquet import stage_table
    from ...publishing.surrogates import escape

    columns: dict[str, Any] = {
        "id": [escape(row) for row in predictions.ids],
        "group": [escape(group) for group in predictions.groups],
    }
    if predictions.dimensions:
        for k, name in enumerate(predictions.dimensions):
            columns[f"reference_{name}"] = pa.array(predictions.reference[:, k].astype("float64"))
            columns[f"predicted_{name}"] = pa.array(predictions.scores[:, k].astype("float32"))
    else:
        columns["reference"] = [predictions.labels[k] for k in predictions.reference]
        columns["predicted"] = [predictions.labels[k] for k in predictions.predicted]
        for k, name in enumerate(predictions.labels):
            columns[f"score_{name}"] = pa.array(predictions.scores[:, k].astype("float32"))
    about = {
        "test": predictions.test,
        "labels": list(predictions.labels),
        "dimensions": list(predictions.dimensions),
    }
    table = pa.table(columns).replace_schema_metadata({_META: json.dumps(about).encode()})
    stage_table(table, path).commit()


def read_table(path: Path) -> Predictions:
    """What `write_table` wrote.

    Raises:
        InputError: it cannot be read.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ...evaluation.predictions import Predictions
    from ...publishing.surrogates import unescape

    try:
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[_META])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} cannot be read as predictions ({error}); remove its folder") from error
    labels, dimensions = tuple(about["labels"]), tuple(about["dimensions"])

    def stacked(prefix: str, names: Sequence[str], kind: str) -> Any:
        parts = [table[f"{prefix}_{name}"].to_numpy().astype(kind) for name in names]
        return np.stack(parts, axis=1)

    if dimensions:
        reference = stacked("reference", dimensions, "float64")
        scores = stacked("predicted", dimensions, "float32")
    else:
        number = {label: k for k, label in enumerate(labels)}
        reference = np.array([number[label] for label in table["reference"].to_pylist()], np.int64)
        scores = stacked("score", labels, "float32")
    return Predictions(
        test=about["test"],
        ids=tuple(unescape(row) for row in table["id"].to_pylist()),
        groups=tuple(unescape(row) for row in table["group"].to_pylist()),
        labels=labels,
        reference=reference,
        scores=scores,
        dimensions=dimensions,
    )
