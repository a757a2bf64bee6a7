"""Reads the votes of a dataset: those behind its labels, and those of the rows that got none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import InputError
from ..labels import LABEL_MAPS
from .agreement_votes import VoteTable, vote_table
from .build_info import BuildInfo, DroppedRow
from .dataset import Table
from .files import parquet_files, read_parquet
from .matrix import Codes

VOTES = "votes"
COLUMNS = (VOTES, "vote_share", "vote_entropy", "decided_by", "ratings")
STAGE = "resolution"
_NUMBERED = re.compile(r"\w+/\d+")
_REPLIES = ("id", "annotator", "status", "label", "attempt")


@dataclass(frozen=True, slots=True)
class Source:
    """Somebody who voted; `kind` is `model` or `human`."""

    name: str
    kind: str


@dataclass(frozen=True, eq=False)
class PanelRows:
    """The rows that have votes: first those with a label, then those on which nobody decided.

    Attributes:
        labels: of the dataset, then further ones that somebody voted for.
        splits: all of them, in order; `split`: of each row.
        original, label: places in the labels; -1 where a row has none.
        sources: in the order of their votes.
        votes: of each source, its items in the order of the rows.
        share, entropy, decided_by: of the rows with a label.
        unresolved: the rows without one, in order.
        ratings: the votes of the corpus's own raters; None where it publishes none.
    """

    labels: tuple[str, ...]
    splits: tuple[str, ...]
    split: tuple[str, ...]
    original: Codes
    label: Codes
    sources: tuple[Source, ...]
    votes: VoteTable
    share: list[float | None]
    entropy: list[float | None]
    decided_by: list[str | None]
    unresolved: tuple[DroppedRow, ...]
    ratings: VoteTable | None


def read_panel(folder: Path, table: Table, build: BuildInfo | None) -> PanelRows | None:
    """The rows with their votes; None for a dataset without a column of votes.

    Args:
        folder: the dataset folder.
        table: its rows as `dataset.read_table` gives them.
        build: what the folder says of its making.

    Raises:
        InputError: votes that are not a list of source, kind and label, or one source twice in a row.
    """
    columns = _columns(folder)
    if columns is None or len(columns[VOTES]) != len(table):
        return None
    unresolved = build.unresolved if build else ()
    ids = (*table.ids, *(row.id for row in unresolved))
    kept, kinds = _votes(columns[VOTES], table.ids, folder)
    known = {**kinds, **_kinds(build)}
    others = list(last_labels(folder / "annotations", {row.id for row in unresolved}))
    votes = vote_table([*kept, *others], items=ids, labels=table.labels)
    names = dict.fromkeys([*kinds, *(rater for _, rater, _ in others)])
    places = {label: i for i, label in enumerate(votes.labels)}
    dropped = [places.get(fold(row.original_label) or "", -1) for row in unresolved]
    return PanelRows(
        labels=votes.labels,
        splits=tuple(dict.fromkeys([*table.splits, *(row.split for row in unresolved)])),
        split=(*table.split, *(row.split for row in unresolved)),
        original=np.concatenate([table.before, np.array(dropped, dtype=np.int64)]),
        label=np.concatenate([table.after, np.full(len(unresolved), -1, dtype=np.int64)]),
        sources=tuple(Source(name, known.get(name, "model")) for name in names),
        votes=votes,
        share=columns["vote_share"],
        entropy=columns["vote_entropy"],
        decided_by=columns["decided_by"],
        unresolved=unresolved,
        ratings=_ratings(columns["ratings"], table, build),
    )


def read_ratings(folder: Path, table: Table, build: BuildInfo | None) -> VoteTable | None:
    """The votes of the corpus's own raters; None for a dataset that holds none.

    Raises:
        InputError: a broken Parquet file.
    """
    columns = _columns(folder, "ratings")
    return None if columns is None else _ratings(columns["ratings"], table, build)


def rating_votes(ratings: Iterable[tuple[str, Any]], names: Mapping[str, str] | None) -> VoteTable | None:
    """The first label of every rating as a vote; None without any.

    Raters without a name of their own (none, or `voice/3`: the third who heard this clip) can only be
    exchanged for each other.

    Args:
        ratings: item and its ratings as the column `ratings` has them (JSON); None for an item without.
        names: the corpus's label -> the common one; None to leave them.
    """
    votes: list[tuple[str, str, str | None]] = []
    named = True
    for item, text in ratings:
        for rating in json.loads(text) if text else []:
            labels = rating.get("labels") or []
            rater = str(rating.get("rater") or "")
            named = named and bool(rater) and not _NUMBERED.fullmatch(rater)
            if labels:
                votes.append((item, rater, (names or {}).get(labels[0], labels[0])))
    return vote_table(votes, named=named) if votes else None


def fold(label: str | None) -> str | None:
    """A label as the audit compares it: lower case, without spaces around it; None for an empty one."""
    return None if label is None else label.strip().casefold() or None


def _columns(folder: Path, needed: str = VOTES) -> dict[str, Any] | None:
    """The columns that are read here, all files together; None where a file lacks the needed one."""
    parts = []
    for path in parquet_files(folder) if folder.is_dir() else []:
        try:
            with pq.ParquetFile(path) as file:
                if needed not in file.schema_arrow.names:
                    return None
                parts.append(file.read([n for n in COLUMNS if n in file.schema_arrow.names]))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from None
    if not parts:
        return None
    table = pa.concat_tables(parts, promote_options="permissive")
    found: dict[str, Any] = {
        name: table.column(name).to_pylist() if name in table.column_names else [None] * table.num_rows
        for name in COLUMNS[1:]
    }
    if VOTES in table.column_names:
        found[VOTES] = table.column(VOTES).combine_chunks()
    return found


def _votes(
    column: pa.Array, ids: list[str], folder: Path
) -> tuple[list[tuple[str, str, str | None]], dict[str, str]]:
    """Item, source and label of each vote, and each source's kind in order of appearance."""
    kind = column.type
    wanted = {"source", "kind", "label"}
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not (is_list and pa.types.is_struct(kind.value_type) and wanted <= {f.name for f in kind.value_type}):
        raise InputError(
            f"{folder}: Bad column {VOTES!r} of type {kind}, expected lists of source, kind, label"
        )
    parents = pc.list_parent_indices(column).to_pylist()
    flat = pc.list_flatten(column)
    sources, kinds, labels = (pc.struct_field(flat, name).to_pylist() for name in ("source", "kind", "label"))
    items = [ids[parent] for parent in parents]
    return list(zip(items, sources, map(fold, labels), strict=True)), dict(zip(sources, kinds, strict=True))


def _kinds(build: BuildInfo | None) -> dict[str, str]:
    """The kinds of those whom only the manifest names; what was imported was said by whoever said it."""
    members = build.get("annotators") if build else None
    return {
        str(m.get("name")): "human" if m.get("kind") == "human" else "model"
        for m in (members if isinstance(members, list) else [])
        if isinstance(m, Mapping) and m.get("kind") in ("model", "human")
    }


def last_labels(folder: Path, wanted: set[str]) -> Iterator[tuple[str, str, str | None]]:
    """Item, annotator and label of the last reply of each annotator to each wanted utterance."""
    last: dict[tuple[str, str], tuple[int, str | None]] = {}
    for path in sorted(folder.glob("*.parquet")) if folder.is_dir() and wanted else []:
        table, _ = read_parquet(path, _REPLIES)
        if not set(_REPLIES) <= set(table.column_names):
            return
        for name, annotator, status, label, attempt in zip(
            *(table.column(c).to_pylist() for c in _REPLIES), strict=True
        ):
            if name in wanted and (attempt or 0) >= last.get((name, annotator), (-1, None))[0]:
                last[name, annotator] = (attempt or 0, fold(label) if status == "valid" else None)
    for (name, annotator), (_, label) in last.items():
        yield name, annotator, label


def _ratings(column: list[str | None], table: Table, build: BuildInfo | None) -> VoteTable | None:
    known = LABEL_MAPS.get(str(build.get("corpus", "name"))) if build else None
    # A build that keeps the corpus's own labels keeps those of its raters too.
    names = known.to_common if known and set(known.to_common.values()) & set(table.labels) else None
    return rating_votes(zip(table.ids, column, strict=True), names)
