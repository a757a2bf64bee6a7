"""What changed between two versions of a dataset: rows, labels, columns, values, and how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from .diff_sides import UNTYPED, Side, read_side
from .sources import fetched

if TYPE_CHECKING:
    from ...audit import ChangeMatrix

_EXAMPLES = 5
_MADE_BY = (
    "recipe", "corpus.name", "corpus.licence", "corpus.homepage", "corpus.files", "splits", "profile",
    "label_set", "prompt.name", "prompt.version", "prompt.sha256", "schema.name", "schema.sha256",
    "annotator.name", "annotator.model", "annotator.endpoint", "annotator.parameters", "annotator.retires",
    "annotators", "resolution.rule", "resolution.options", "options", "counts", "replies", "labels_only",
    "resplit", "voice.audio", "voice.acoustics",
)  # fmt: skip
# They differ between builds of the same rows, and say nothing of them.
_TOLD = ("remelt_version", "created", "versions", "joined.labels")
_CARD = (
    "license", "license_name", "license_link", "language", "pretty_name", "annotations_creators", "tags",
    "task_categories",
)  # fmt: skip
_MEMBER = ("name", "kind", "model", "endpoint", "parameters")


@dataclass(frozen=True)
class Edit:
    """A value before and after; None where there is none."""

    before: Any
    after: Any


@dataclass(frozen=True)
class ColumnChange:
    """Rows whose value in a column differs, with up to five of them: id -> values."""

    count: int
    examples: Mapping[str, Edit]


@dataclass(frozen=True)
class Difference:
    """All that differs between two datasets, A before and B after.

    Attributes:
        names: what the two are called.
        rows: how many each has.
        added, removed: split -> ids that only B, or only A, has.
        moved: id -> the splits it stands in.
        labels: split -> the labels of the rows that both have; `all` too, where there are several splits.
        relabelled: id -> labels that differ.
        columns: column -> its type; one that is missing is None.
        values: column -> how many rows differ in it.
        made: how it was made, as far as that differs: manifest key -> values.
        card: the same of the card's front matter.
        told: what differs without making the datasets different: dates and versions.
        label_columns: the columns whose labels were compared.
    """

    names: tuple[str, str]
    rows: tuple[int, int]
    added: Mapping[str, Sequence[str]]
    removed: Mapping[str, Sequence[str]]
    moved: Mapping[str, Edit]
    labels: Mapping[str, ChangeMatrix]
    relabelled: Mapping[str, Edit]
    columns: Mapping[str, Edit]
    values: Mapping[str, ColumnChange]
    made: Mapping[str, Edit]
    card: Mapping[str, Edit]
    told: Mapping[str, Edit] = field(default_factory=dict)
    label_columns: tuple[str, str] = ("label", "label")

    @property
    def same(self) -> bool:
        """Whether nothing differs but dates and versions."""
        rows = (self.added, self.removed, self.moved, self.relabelled)
        return not any((*rows, self.columns, self.values, self.made, self.card))

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON, all ids named."""
        return {
            "a": self.names[0],
            "b": self.names[1],
            "same": self.same,
            "rows": {"a": self.rows[0], "b": self.rows[1]},
            "added": {split: list(ids) for split, ids in self.added.items()},
            "removed": {split: list(ids) for split, ids in self.removed.items()},
            "label_columns": {"a": self.label_columns[0], "b": self.label_columns[1]},
            "moved": _edits(self.moved),
            "labels": {
                split: {
                    **matrix.as_dict(),
                    "compared": matrix.total,
                    "changed": matrix.total - matrix.kept,
                    "kappa": matrix.kappa(),
                }
                for split, matrix in self.labels.items()
            },
            "relabelled": _edits(self.relabelled),
            "columns": _edits(self.columns),
            "values": {
                name: {"count": change.count, "examples": _edits(change.examples)}
                for name, change in self.values.items()
            },
            "made": _edits(self.made),
            "card": _edits(self.card),
            "told": _edits(self.told),
        }


def diff(
    a: str, b: str, before: str | None = None, after: str | None = None, split: str | None = None
) -> Difference:
    """Compares two datasets row by row.

    Rows are told apart by their ids; an id without the corpus (`train/dia0_utt3`, as tables have it) is the
    one with it. Columns of sound are not compared, only whether they are there.

    Args:
        a, b: folders, tables, or `hub:USER/NAME@REVISION`.
        before, after: their label columns; None to find them.
        split: the split of a table's rows that name none.

    Raises:
        InputError: one cannot be read, or they have no id in common.
        Interrupted: the Hub cannot be reached.
    """
    first = read_side(fetched(a), a, before, split)
    second = read_side(fetched(b), b, after, split)
    ids = _common_ids(first, second)
    where = {name: row for row, name in enumerate(ids[1])}
    pairs = [(row, where[name]) for row, name in enumerate(ids[0]) if name in where]
    if not pairs and first.ids and second.ids:
        raise InputError(f"{a} and {b} have no id in common: {first.ids[0]!r} there, {second.ids[0]!r} here")
    known = set(ids[0])
    labels, relabelled = _labels(first, second, pairs)
    return Difference(
        names=(a, b),
        rows=(len(first.ids), len(second.ids)),
        added=_by_split(second, (row for row, name in enumerate(ids[1]) if name not in known)),
        removed=_by_split(first, (row for row, name in enumerate(ids[0]) if name not in where)),
        moved={
            first.ids[i]: Edit(first.splits[i], second.splits[j])
            for i, j in pairs
            if first.splits[i] != second.splits[j]
        },
        labels=labels,
        relabelled=relabelled,
        columns=_columns(first, second),
        values=_values(first, second, pairs),
        made=_told(first.manifest, second.manifest, _MADE_BY),
        card=_told(first.card, second.card, _CARD) if first.card and second.card else {},
        told=_told(first.manifest, second.manifest, _TOLD),
        label_columns=(first.label, second.label),
    )


def _edits(found: Mapping[str, Edit]) -> dict[str, Any]:
    return {name: {"a": edit.before, "b": edit.after} for name, edit in found.items()}


def _common_ids(first: Side, second: Side) -> tuple[Sequence[str], Sequence[str]]:
    """The ids of both; without the corpus where only one side has it."""
    if set(first.ids) & set(second.ids):
        return first.ids, second.ids
    bare = tuple([name.partition("/")[2] or name for name in side.ids] for side in (first, second))
    for left, right in ((bare[0], second.ids), (first.ids, bare[1])):
        if set(left) & set(right) and len(set(left)) == len(left) and len(set(right)) == len(right):
            return left, right
    return first.ids, second.ids


def _by_split(side: Side, rows: Iterable[int]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(side.splits[row], []).append(side.ids[row])
    return found


def _labels(
    first: Side, second: Side, pairs: Sequence[tuple[int, int]]
) -> tuple[dict[str, ChangeMatrix], dict[str, Edit]]:
    import numpy as np

    from ...audit import change_matrix

    old = [_fold(first.values[first.label][i]) for i, _ in pairs]
    new = [_fold(second.values[second.label][j]) for _, j in pairs]
    names = tuple(sorted({name for name in (*old, *new) if name is not None}))
    code: dict[str | None, int] = {None: -1, **{name: n for n, name in enumerate(names)}}
    codes = [np.array([code[name] for name in side], dtype=np.int64) for side in (old, new)]
    splits = [first.splits[i] for i, _ in pairs]
    found = {}
    for split in dict.fromkeys(splits):
        rows = np.array([row for row, of in enumerate(splits) if of == split], dtype=np.int64)
        found[split] = change_matrix(codes[0][rows], codes[1][rows], names)
    if len(found) > 1:
        found["all"] = change_matrix(codes[0], codes[1], names)
    changed = {
        first.ids[i]: Edit(before, after)
        for (i, _), before, after in zip(pairs, old, new, strict=True)
        if before != after
    }
    return found, changed


def _fold(value: object) -> str | None:
    return None if value is None or value != value else str(value).strip().casefold() or None


def _columns(first: Side, second: Side) -> dict[str, Edit]:
    names = dict.fromkeys((*first.types, *second.types))
    found = {name: Edit(first.types.get(name), second.types.get(name)) for name in names}
    return {name: edit for name, edit in found.items() if not _same_type(edit)}


def _same_type(edit: Edit) -> bool:
    """Whether a column is the same on both sides; a table of text has no types, only columns."""
    if None in (edit.before, edit.after):
        return False
    return edit.before == edit.after or UNTYPED in (edit.before, edit.after)


def _values(first: Side, second: Side, pairs: Sequence[tuple[int, int]]) -> dict[str, ColumnChange]:
    found = {}
    for name in first.values:
        if name not in second.values or name == first.label == second.label:
            continue
        before, after = first.values[name], second.values[name]
        rows = [(i, j) for i, j in pairs if not _equal(before[i], after[j])]
        if rows:
            examples = {first.ids[i]: Edit(before[i], after[j]) for i, j in rows[:_EXAMPLES]}
            found[name] = ColumnChange(len(rows), examples)
    return found


def _equal(a: object, b: object) -> bool:
    return a == b or (a != a and b != b)


def _told(first: Mapping[str, Any], second: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Edit]:
    """What differs under some keys; nothing where only one side says anything of itself."""
    if not first or not second:
        return {}
    found = {}
    for key in keys:
        before, after = _at(first, key), _at(second, key)
        if before != after:
            found[key] = Edit(before, after)
    return found


def _at(record: Mapping[str, Any], key: str) -> Any:
    """A value by its path; of several annotators what tells them apart."""
    value: Any = record
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if key == "annotators" and value:
        return [{name: member.get(name) for name in _MEMBER} for member in value]
    return value
