"""Checks the rows of a dataset folder against each other and against the manifest's counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from .layout import FOLDERS, MANIFEST
from .problem import Problem
from .reading import annotations_from_table
from .soft import SOFT, soft_label

Tables = Mapping[tuple[str, str], pa.Table]
_MOST = 5


def row_problems(tables: Tables, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """What does not fit between the rows of the three configs.

    Args:
        tables: the rows by config and split; all of them, with the columns of this version.
        manifest: the folder's manifest.
    """
    for config in ("default", "dropped"):
        ids = [i for split in manifest["splits"] for i in tables[config, split]["id"].to_pylist()]
        yield from _listed(FOLDERS[config], "ids stand more than once", _doubles(ids))
    for split in manifest["splits"]:
        yield from _split_problems(tables, split, manifest)
    yield from _reply_totals(tables, manifest)


def _split_problems(tables: Tables, split: str, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    data, replies, dropped = (tables[config, split] for config in FOLDERS)
    data_ids = set(data["id"].to_pylist())
    dropped_ids = set(dropped["id"].to_pylist())
    stages = dict(zip(dropped["id"].to_pylist(), dropped["stage"].to_pylist(), strict=True))
    said = replies.select(["id", "status", "label", "label_logprobs"])
    last = {row["id"]: row for row in said.to_pylist()}
    valid = {name for name, row in last.items() if row["status"] == "valid"}
    place = f"{FOLDERS['default']}/{split}"
    yield from _listed(place, "rows have no valid reply in annotations", data_ids - valid)
    yield from _listed(place, "utterances with a valid reply are missing", valid - data_ids)
    yield from _listed(place, "rows are also in dropped", data_ids & dropped_ids)
    yield from _listed(place, "rows have another label than their last reply", _relabelled(data, last))
    yield from _listed(place, "rows have a wrong value in 'changed'", _wrongly_changed(data))
    yield from _listed(place, "rows have another soft label than their last reply", _unlike(data, last))
    place = f"{FOLDERS['dropped']}/{split}"
    quarantined = {name for name, stage in stages.items() if stage == "annotation"}
    yield from _listed(place, "utterances without a valid reply are missing", set(last) - valid - quarantined)
    foreign = [name for name in dropped["split"].to_pylist() if name != split]
    yield from _listed(place, "rows belong to another split", foreign)
    yield from _request_problems(replies, split, manifest)
    yield from _count_problems(split, len(data_ids), Counter(stages.values()), manifest)


def _relabelled(data: pa.Table, last: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = _class_names(data, "label")
    return [
        row
        for row, label in zip(data["id"].to_pylist(), data["label"].to_pylist(), strict=True)
        if row in last and last[row]["label"] != names[label]
    ]


def _unlike(data: pa.Table, last: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The rows whose soft label is not what their reply's log-probabilities make."""
    if SOFT not in data.column_names:
        return []
    labels, found = _class_names(data, "label"), []
    for row, given in zip(data["id"].to_pylist(), data[SOFT].to_pylist(), strict=True):
        try:
            expected = soft_label(last[row]["label_logprobs"], labels, row) if row in last else given
        except InputError:
            expected = []
        if given != expected:
            found.append(row)
    return found


def _wrongly_changed(data: pa.Table) -> list[str]:
    new, old = _class_names(data, "label"), _class_names(data, "original_label")
    columns = (data[name].to_pylist() for name in ("id", "label", "original_label", "changed"))
    return [
        row
        for row, label, original, changed in zip(*columns, strict=True)
        if changed != (None if original is None else new[label] != old[original])
    ]


def _request_problems(replies: pa.Table, split: str, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    place = f"{FOLDERS['annotations']}/{split}"
    pairs = list(zip(replies["request_hash"].to_pylist(), replies["attempt"].to_pylist(), strict=True))
    doubles = [f"{asked[:12]} attempt {attempt}" for asked, attempt in _doubles(pairs)]
    yield from _listed(place, "replies stand more than once", doubles)
    schemas = set(pc.unique(replies["schema_hash"]).to_pylist()) - {manifest["schema"]["sha256"]}
    yield from _listed(place, "schema hashes are not the manifest's", schemas)
    try:
        annotations_from_table(
            replies, split=split, schema=manifest["schema"]["json"], model=manifest["annotator"]["model"]
        )
    except (InputError, ValueError) as error:
        yield Problem(place, str(error))


def _count_problems(
    split: str, kept: int, stages: Mapping[str, int], manifest: Mapping[str, Any]
) -> Iterator[Problem]:
    stated = manifest["counts"].get(split)
    if stated is None:
        yield Problem(MANIFEST, f"counts lacks the split {split!r}")
        return
    found = {
        "kept": kept,
        "dropped": stages.get("selection", 0),
        "quarantined": stages.get("annotation", 0),
    }
    found["input"] = sum(found.values())
    for key, count in found.items():
        if stated.get(key) != count:
            yield Problem(
                MANIFEST, f"counts of {split!r} say {key} {stated.get(key)!r}, the files have {count}"
            )


def _reply_totals(tables: Tables, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    statuses: Counter[str] = Counter()
    for split in manifest["splits"]:
        statuses.update(tables["annotations", split]["status"].to_pylist())
    found = {"total": statuses.total(), **{s: statuses[s] for s in ("valid", "invalid", "refused", "error")}}
    for key, count in found.items():
        if manifest["replies"].get(key) != count:
            yield Problem(
                MANIFEST, f"replies say {key} {manifest['replies'].get(key)!r}, the files have {count}"
            )


def _class_names(table: pa.Table, column: str) -> list[str]:
    from datasets import Features

    names: list[str] = Features.from_arrow_schema(table.schema)[column].names
    return names


def _doubles(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]


def _listed(place: str, what: str, found: Iterable[str]) -> Iterator[Problem]:
    names = sorted(found)
    if names:
        more = ", ..." if len(names) > _MOST else ""
        yield Problem(place, f"{len(names)} {what}: {', '.join(names[:_MOST])}{more}")
