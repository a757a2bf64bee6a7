"""Checks the rows of a dataset folder against each other and against the manifest's counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from .batches import HeldRows, Rows
from .columns import Columns
from .derivation import derivation_problems
from .idtables import IdTables
from .layout import FOLDERS, MANIFEST
from .panel import NOT_ASKED, UNRESOLVED
from .problem import Listing, Problem, listed
from .replychecks import COLUMNS as REPLY_COLUMNS
from .replychecks import ReplyChecks

Tables: TypeAlias = Mapping[tuple[str, str], "Rows | pa.Table"]


def row_problems(tables: Tables, manifest: Mapping[str, Any], columns: Columns) -> Iterator[Problem]:
    """What does not fit between the rows of the three configs.

    Args:
        tables: the rows by config and split; all of them, with the columns of this version.
        manifest: the folder's manifest.
        columns: what decides the columns (see `columns_of`).
    """
    rows = {key: HeldRows(found) if isinstance(found, pa.Table) else found for key, found in tables.items()}
    with IdTables() as ids:
        data = {s: _Data(n, rows["default", s], ids) for n, s in enumerate(manifest["splits"])}
        dropped = {s: _Dropped(n, s, rows["dropped", s], ids) for n, s in enumerate(manifest["splits"])}
        for config, table in (("default", "data"), ("dropped", "dropped")):
            yield from listed(FOLDERS[config], "ids stand more than once", ids.doubles(table))
        replies = ReplyChecks(manifest)
        for number, split in enumerate(manifest["splits"]):
            _join(number, split, rows["annotations", split], ids, replies)
            place = f"{FOLDERS['default']}/{split}"
            yield from listed(place, "rows are also in dropped", ids.also_dropped())
            yield from data[split].changed.problems(place)
            if not columns.panel:
                yield from _label_problems(ids, split)
            yield from dropped[split].foreign.problems(f"{FOLDERS['dropped']}/{split}")
            stages = ids.stage_of() if columns.panel else {}
            yield from derivation_problems(
                rows["annotations", split], rows["default", split], split, manifest, columns, stages
            )
            repeated = (f"{asked[:12]} attempt {attempt}" for asked, attempt in ids.repeated())
            yield from listed(f"{FOLDERS['annotations']}/{split}", "replies stand more than once", repeated)
            yield from replies.schema_problems(split)
            yield from count_problems(split, ids.kept(), ids.stages(), manifest)
    yield from replies.problems()
    yield from _attrition_problems({split: found.taken for split, found in dropped.items()}, manifest)


class _Data:
    """The labelled rows of one split, put into the tables of ids.

    Attributes:
        changed: those whose `changed` does not follow from their labels.
    """

    def __init__(self, split: int, rows: Rows, ids: IdTables) -> None:
        self.changed = Listing("rows have a wrong value in 'changed'")
        names = [_class_names(rows.schema, column) for column in ("label", "original_label")]
        for batch in rows.batches(("id", "label", "original_label", "changed")):
            own = _ids(batch)
            new, old = (
                [_named(known, code) for code in batch[column].to_pylist()]
                for known, column in zip(names, ("label", "original_label"), strict=True)
            )
            ids.add_data(split, own, new)
            given = zip(own, new, old, batch["changed"].to_pylist(), strict=True)
            self.changed.add(row for row, n, o, said in given if said != (None if o is None else n != o))


class _Dropped:
    """The dropped rows of one split, put into the tables of ids.

    Attributes:
        foreign: the splits of those that belong to another one.
        taken: how many the rules of the selection took.
    """

    def __init__(self, number: int, split: str, rows: Rows, ids: IdTables) -> None:
        self.foreign = Listing("rows belong to another split")
        self.taken = 0
        for batch in rows.batches(("id", "split", "stage", "reasons")):
            stages = batch["stage"].to_pylist()
            ids.add_dropped(number, _ids(batch), stages)
            self.foreign.add(name for name in batch["split"].to_pylist() if name != split)
            # No rule takes those that are missing because an annotator is.
            self.taken += sum(
                stage == "selection" and reasons != [NOT_ASKED]
                for stage, reasons in zip(stages, batch["reasons"].to_pylist(), strict=True)
            )


def _join(number: int, split: str, rows: Rows, ids: IdTables, checks: ReplyChecks) -> None:
    """Turns the tables of ids to a split and reads its replies."""
    ids.choose(number)
    for batch in rows.batches(REPLY_COLUMNS):
        status, label, asked, attempt = (
            batch[name].to_pylist() for name in ("status", "label", "request_hash", "attempt")
        )
        ids.add_replies(zip(_ids(batch), status, label, strict=True))
        ids.add_asked(zip(asked, attempt, strict=True))
        checks.add(split, batch)
    ids.replied()


def _label_problems(ids: IdTables, split: str) -> Iterator[Problem]:
    """A single annotator's label stands as it was given."""
    place = f"{FOLDERS['default']}/{split}"
    yield from listed(place, "rows have no valid reply in annotations", ids.without_reply())
    yield from listed(place, "utterances with a valid reply are missing", ids.missing())
    yield from listed(place, "rows have another label than their last reply", ids.relabelled())
    place = f"{FOLDERS['dropped']}/{split}"
    yield from listed(place, "utterances without a valid reply are missing", ids.unexplained())


def count_problems(
    split: str, kept: int, stages: Mapping[str, int], manifest: Mapping[str, Any]
) -> Iterator[Problem]:
    """The counts of a split that the manifest states otherwise than the files have them."""
    stated = manifest["counts"].get(split)
    if stated is None:
        yield Problem(MANIFEST, f"counts lacks the split {split!r}")
        return
    found = {
        "kept": kept,
        "dropped": stages.get("selection", 0),
        "quarantined": stages.get("annotation", 0),
        **({"unresolved": stages.get(UNRESOLVED, 0)} if "annotators" in manifest else {}),
    }
    found["input"] = sum(found.values())
    for key, count in found.items():
        if stated.get(key) != count:
            yield Problem(
                MANIFEST, f"counts of {split!r} say {key} {stated.get(key)!r}, the files have {count}"
            )


def _attrition_problems(taken: Mapping[str, int], manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """Each rule leaves what it does not take, and all together take what is in dropped."""
    for split in manifest["splits"]:
        rows = [row for row in manifest["attrition"] if row["split"] == split]
        left = manifest["counts"].get(split, {}).get("input")
        for row in rows:
            if row["left"] != left - row["in_order"] or not 0 <= row["in_order"] <= row["alone"]:
                yield Problem(MANIFEST, f"attrition of {split!r} does not add up at the rule {row['rule']!r}")
                return
            left = row["left"]
        if rows and manifest["counts"][split]["input"] - left != taken[split]:
            yield Problem(
                MANIFEST,
                f"attrition of {split!r} takes {manifest['counts'][split]['input'] - left} rows, "
                f"dropped holds {taken[split]}",
            )


def _ids(rows: pa.Table) -> list[str]:
    return [str(name) for name in rows["id"].to_pylist()]


def _class_names(schema: pa.Schema, column: str) -> Sequence[str]:
    from datasets import Features

    names: list[str] = Features.from_arrow_schema(schema)[column].names
    return names


def _named(names: Sequence[str], code: int | None) -> str | None:
    return names[code] if code is not None and 0 <= code < len(names) else None
