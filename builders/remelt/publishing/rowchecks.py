"""Checks the rows of a dataset folder against each other and against the manifest's counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from ..records import Annotation
from .columns import Columns
from .layout import FOLDERS, MANIFEST
from .manifest import total
from .panel import NOT_ASKED, UNRESOLVED
from .panelchecks import published_resolutions, vote_problems
from .problem import Problem, listed
from .reading import annotations_from_table, asked_of, verdicts_from_table
from .surrogates import escape
from .tables import data_table

Tables = Mapping[tuple[str, str], pa.Table]


def row_problems(tables: Tables, manifest: Mapping[str, Any], columns: Columns) -> Iterator[Problem]:
    """What does not fit between the rows of the three configs.

    Args:
        tables: the rows by config and split; all of them, with the columns of this version.
        manifest: the folder's manifest.
        columns: what decides the columns (see `columns_of`).
    """
    for config in ("default", "dropped"):
        ids = [i for split in manifest["splits"] for i in tables[config, split]["id"].to_pylist()]
        yield from listed(FOLDERS[config], "ids stand more than once", _doubles(ids))
    for split in manifest["splits"]:
        yield from _split_problems(tables, split, manifest, columns)
    yield from _reply_totals(tables, manifest)
    yield from _parameter_problems(tables, manifest)
    yield from _attrition_problems(tables, manifest)


def _split_problems(
    tables: Tables, split: str, manifest: Mapping[str, Any], columns: Columns
) -> Iterator[Problem]:
    data, replies, dropped = (tables[config, split] for config in FOLDERS)
    data_ids = set(data["id"].to_pylist())
    stages = dict(zip(dropped["id"].to_pylist(), dropped["stage"].to_pylist(), strict=True))
    place = f"{FOLDERS['default']}/{split}"
    yield from listed(place, "rows are also in dropped", data_ids & stages.keys())
    yield from listed(place, "rows have a wrong value in 'changed'", _wrongly_changed(data))
    if not columns.panel:
        yield from _label_problems(data, replies, stages, split)
    foreign = [name for name in dropped["split"].to_pylist() if name != split]
    yield from listed(f"{FOLDERS['dropped']}/{split}", "rows belong to another split", foreign)
    answered = _answered(replies, split, manifest)
    if isinstance(answered, Problem):
        yield answered
    else:
        if columns.panel:
            yield from vote_problems(answered, data, stages, split, manifest)
        yield from _derived_problems(answered, data, split, manifest, columns)
    yield from _request_problems(replies, split, manifest)
    yield from _count_problems(split, len(data_ids), Counter(stages.values()), manifest)


def _label_problems(
    data: pa.Table, replies: pa.Table, stages: Mapping[str, str], split: str
) -> Iterator[Problem]:
    """A single annotator's label stands as it was given."""
    data_ids = set(data["id"].to_pylist())
    last = {row["id"]: row for row in replies.select(["id", "status", "label"]).to_pylist()}
    valid = {name for name, row in last.items() if row["status"] == "valid"}
    place = f"{FOLDERS['default']}/{split}"
    yield from listed(place, "rows have no valid reply in annotations", data_ids - valid)
    yield from listed(place, "utterances with a valid reply are missing", valid - data_ids)
    yield from listed(place, "rows have another label than their last reply", _relabelled(data, last))
    quarantined = {name for name, stage in stages.items() if stage == "annotation"}
    place = f"{FOLDERS['dropped']}/{split}"
    yield from listed(place, "utterances without a valid reply are missing", set(last) - valid - quarantined)


def _relabelled(data: pa.Table, last: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = _class_names(data, "label")
    return [
        row
        for row, label in zip(data["id"].to_pylist(), data["label"].to_pylist(), strict=True)
        if row in last and last[row]["label"] != names[label]
    ]


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
    yield from listed(place, "replies stand more than once", doubles)
    schemas = {member["name"]: member["schema"]["sha256"] for member in manifest.get("annotators", ())}
    pairs = list(zip(replies["annotator"].to_pylist(), replies["schema_hash"].to_pylist(), strict=True))
    wrong = {s for name, s in set(pairs) if s != schemas.get(name, manifest["schema"]["sha256"])}
    yield from listed(place, "schema hashes are not the manifest's", wrong)


def _answered(replies: pa.Table, split: str, manifest: Mapping[str, Any]) -> list[Annotation] | Problem:
    """The annotations behind the published rows, with the verdicts as they were published."""
    try:
        answered = annotations_from_table(replies, split=split, **asked_of(manifest))
        verdicts = iter(verdicts_from_table(replies))
    except (InputError, ValueError) as error:
        return Problem(f"{FOLDERS['annotations']}/{split}", str(error))
    return [Annotation(request, asked, tuple(next(verdicts) for _ in asked)) for request, asked in answered]


def _derived_problems(
    answered: list[Annotation], data: pa.Table, split: str, manifest: Mapping[str, Any], columns: Columns
) -> Iterator[Problem]:
    """Every column of the default config but the voice's follows from the replies and their utterances.

    With votes, from what they came to as well, which is taken as it was published.
    """
    place = f"{FOLDERS['default']}/{split}"
    resolutions = published_resolutions(answered, data, manifest) if columns.panel else None
    try:
        derived = data_table(answered, replace(columns, voice=None), resolutions=resolutions)
    except (InputError, KeyError) as error:
        yield Problem(place, f"cannot be derived from the replies: {error}")
        return
    if derived["id"].to_pylist() != data["id"].to_pylist():
        yield Problem(place, "its rows or their order are not those of the replies")
        return
    ids = data["id"].to_pylist()
    for name in derived.column_names:
        pairs = zip(ids, derived[name].to_pylist(), data[name].to_pylist(), strict=True)
        changed = [row for row, ours, theirs in pairs if ours != theirs]
        yield from listed(place, f"rows have another {name!r} than their replies and utterances", changed)


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
        **({"unresolved": stages.get(UNRESOLVED, 0)} if "annotators" in manifest else {}),
    }
    found["input"] = sum(found.values())
    for key, count in found.items():
        if stated.get(key) != count:
            yield Problem(
                MANIFEST, f"counts of {split!r} say {key} {stated.get(key)!r}, the files have {count}"
            )


def _reply_totals(tables: Tables, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    names = ("annotator", "status", "means", "input_tokens", "output_tokens", "cost")
    replies = pa.concat_tables([tables["annotations", s].select(names) for s in manifest["splits"]])
    yield from _totals_of(replies, manifest["replies"], "replies")
    for member in manifest.get("annotators", ()):
        mine = replies.filter(pc.equal(replies["annotator"], escape(member["name"])))
        yield from _totals_of(mine, member["replies"], f"replies of {member['name']!r}")
        means = dict(Counter(mine["means"].to_pylist()))
        if member["means"] != means:
            yield Problem(
                MANIFEST, f"means of {member['name']!r} are {member['means']!r}, the files have {means!r}"
            )


def _totals_of(replies: pa.Table, stated: Mapping[str, Any], what: str) -> Iterator[Problem]:
    statuses = Counter(replies["status"].to_pylist())
    found: dict[str, float | None] = {
        "total": statuses.total(),
        **{s: statuses[s] for s in ("valid", "invalid", "refused", "error")},
        **{key: total(replies[key].to_pylist()) for key in ("input_tokens", "output_tokens", "cost")},
    }
    for key, count in found.items():
        if stated.get(key) != count:
            yield Problem(MANIFEST, f"{what} say {key} {stated.get(key)!r}, the files have {count}")


def _parameter_problems(tables: Tables, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """The seed differs from row to row; everything else is the same for all of an annotator's."""
    for member in manifest.get("annotators", [manifest["annotator"]]):
        stated = _unseeded(member.get("parameters", {}))
        for split in manifest["splits"]:
            replies = tables["annotations", split]
            if "annotators" in manifest:
                replies = replies.filter(pc.equal(replies["annotator"], escape(member["name"])))
            texts = pc.unique(replies["parameters"].combine_chunks()).to_pylist()
            other = next((found for text in texts if (found := _unseeded(json.loads(text))) != stated), None)
            if other is not None:
                name = f"annotator {member['name']!r}" if "annotators" in manifest else "annotator"
                yield Problem(
                    MANIFEST,
                    f"the {name}'s parameters are {stated!r}, requests of {split!r} have {other!r}",
                )
                break


def _unseeded(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parameters.items() if key != "seed"}


def _attrition_problems(tables: Tables, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """Each rule leaves what it does not take, and all together take what is in dropped."""
    for split in manifest["splits"]:
        rows = [row for row in manifest["attrition"] if row["split"] == split]
        left = manifest["counts"].get(split, {}).get("input")
        for row in rows:
            if row["left"] != left - row["in_order"] or not 0 <= row["in_order"] <= row["alone"]:
                yield Problem(MANIFEST, f"attrition of {split!r} does not add up at the rule {row['rule']!r}")
                return
            left = row["left"]
        dropped = tables["dropped", split].select(["stage", "reasons"]).to_pylist()
        # No rule takes those that are missing because an annotator is.
        taken = sum(d["stage"] == "selection" and d["reasons"] != [NOT_ASKED] for d in dropped)
        if rows and manifest["counts"][split]["input"] - left != taken:
            yield Problem(
                MANIFEST,
                f"attrition of {split!r} takes {manifest['counts'][split]['input'] - left} rows, "
                f"dropped holds {taken}",
            )


def _class_names(table: pa.Table, column: str) -> list[str]:
    from datasets import Features

    names: list[str] = Features.from_arrow_schema(table.schema)[column].names
    return names


def _doubles(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]
