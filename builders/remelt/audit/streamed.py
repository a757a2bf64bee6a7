"""A dataset in Parquet files as the table of an audit, some rows at a time.

All numbers of a plain audit come from counts, so that the rows need not be in memory together. What needs
them together is read by `dataset.read_table`: the sound of a dataset, the votes of several annotators, and a
join of two datasets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .batches import Batches, open_batches
from .dataset import Table, read_table, rows_of
from .files import Columns
from .layout import Layout, layout_of
from .voice_columns import heard

SmallCodes = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Streamed:
    """The rows of a dataset; `dataset.Table` has the same attributes and methods."""

    source: Batches
    layout: Layout
    voice: None = None
    unmatched: Mapping[str, tuple[str, ...]] | None = None

    def __len__(self) -> int:
        return len(self.source)

    @property
    def name(self) -> str:
        """The folder's or file's name."""
        return self.layout.name

    @property
    def before_name(self) -> str:
        """Where the label before comes from, as to be shown."""
        return self.layout.before_name

    @property
    def after_name(self) -> str:
        """Where the label after comes from, as to be shown."""
        return self.layout.after_name

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels of either side."""
        return self.layout.labels

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits, also those without rows."""
        return self.source.splits

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers has to know about the reading."""
        return self.layout.notes

    def batches(self) -> Iterator[Table]:
        """The rows with what the numbers come from."""
        first = 0
        for columns in self.source.batches(self.layout.counted):
            yield rows_of(self.layout, columns, first)
            first += len(columns)

    def codes(self) -> tuple[SmallCodes, SmallCodes]:
        """The labels before and after of all rows, as places in `labels`; with few labels 2 bytes a row."""
        kind = np.min_scalar_type(-len(self.labels) - 1)
        found: tuple[list[SmallCodes], list[SmallCodes]] = ([], [])
        for columns in self.source.batches({side.column for side in self.layout.sides}):
            for codes, side in zip(found, self.layout.sides, strict=True):
                codes.append(self.layout.encode(columns.values[side.column]).astype(kind))
        before, after = (np.concatenate([np.zeros(0, kind), *codes]) for codes in found)
        return before, after

    def rows(self, places: Sequence[int]) -> Table:
        """All that is known of some rows.

        Args:
            places: which, ascending, counted from 0; they are the table's `places`.
        """
        parts = list(self.source.rows(places, self.source.names))
        values = {n: [v for part in parts for v in part.values[n]] for n in self.source.names}
        split = [name for part in parts for name in part.split]
        own = self.layout.role("id")
        table = rows_of(self.layout, Columns(values, self.source.class_names, split, self.splits))
        ids = [f"row {place + 1}" for place in places] if own is None else table.ids
        return replace(table, ids=ids, places=list(places))


def open_table(
    path: Path,
    before: str | None = None,
    after: str | None = None,
    order: Sequence[str] = (),
    whole_with: Collection[str] = (),
) -> Table | Streamed:
    """One dataset with both label columns in it, in memory only where it has to be.

    Args:
        path, before, after, order: as `read_table` takes them.
        whole_with: columns of which any has the dataset read as a whole.

    Raises:
        InputError: as `read_table`.
    """
    source = open_batches(path, order)
    if source is None or heard(source.names) or {*source.names, *source.further} & {*whole_with}:
        return read_table(path, before, after, order)
    return Streamed(source, layout_of(path, source, before, after))
