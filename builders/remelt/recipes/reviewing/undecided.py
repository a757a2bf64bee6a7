"""The rows on which several annotators came to no label: people are asked about them as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...audit.files import Columns

_COLUMNS = (
    "id", "split", "stage", "speaker", "text", "text_repaired", "dialogue_id", "utterance_id", "start",
    "original_label", "clip",
)  # fmt: skip


@dataclass(frozen=True)
class Undecided:
    """Rows of the config `dropped` that were voted on.

    Attributes:
        values: column -> one value per row.
        votes: source -> its label, per row.
    """

    values: Mapping[str, list[Any]] = field(default_factory=dict)
    votes: tuple[Mapping[str, str], ...] = ()

    def after(self, columns: Columns) -> Columns:
        """A dataset's columns with these rows behind its own; what is not known of them is None."""
        none = [None] * len(self.votes)
        if not none:
            return columns
        empty = [None] * len(columns)
        # With the sound in a column of its own a dataset needs no column of clips.
        names = dict.fromkeys([*columns.values, "clip"])
        values = {name: [*columns.values.get(name, empty), *self.values.get(name, none)] for name in names}
        return replace(columns, values=values, split=[*columns.split, *self.values["split"]])


def read_undecided(out: Path) -> Undecided:
    """The rows without a label that a dataset folder keeps beside the others, with everybody's last vote.

    Raises:
        InputError: a broken Parquet file.
    """
    from ...audit.files import read_parquet
    from ...audit.panel_rows import STAGE, last_labels

    rows: list[dict[str, Any]] = []
    for path in sorted((out / "dropped").glob("*.parquet")):
        table, _ = read_parquet(path, _COLUMNS)
        if {"id", "split", "stage"} <= set(table.column_names):
            rows += [row for row in table.to_pylist() if row["stage"] == STAGE]
    votes: dict[str, dict[str, str]] = {row["id"]: {} for row in rows}
    for name, annotator, label in last_labels(out / "annotations", set(votes)):
        if label is not None:
            votes[name][annotator] = label
    values = {name: [row.get(name) for row in rows] for name in _COLUMNS if name != "stage"}
    return Undecided(values, tuple(votes.values()))


def leading_share(votes: Mapping[str, str]) -> float | None:
    """Which part of the votes the commonest label has; None without votes.

    >>> leading_share({"a": "joy", "b": "fear", "c": "joy", "d": "anger"})
    0.5
    """
    labels = list(votes.values())
    return max(map(labels.count, labels)) / len(labels) if labels else None
