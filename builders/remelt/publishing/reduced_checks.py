"""Checks a dataset folder without its replies: labels alone, or labels that were joined to a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from ..errors import InputError
from .apikeys import keys_in_table
from .frontmatter import card_problems, front_matter
from .labels_only import words_left
from .layout import CARD, CONFIGS, FOLDERS, MANIFEST
from .manifest import published_files
from .parquet import sha256
from .problem import Problem, listed
from .reading import read_split
from .rowchecks import count_problems

Tables = Mapping[tuple[str, str], pa.Table]


def reduced_problems(out: Path, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with such a folder.

    Hashes, ids, counts, `changed`, the labels of a single annotator's replies, and the card are checked. That
    a label follows from a reply cannot be: the replies are not here.

    Args:
        out: the folder.
        manifest: its manifest, which has been read.
    """
    yield from _file_problems(out, manifest)
    tables: dict[tuple[str, str], pa.Table] = {}
    for config in CONFIGS:
        for split in manifest["splits"]:
            try:
                tables[config, split] = read_split(out, manifest, config, split)
            except (InputError, pa.ArrowException) as error:
                yield Problem(f"{FOLDERS[config]}/{split}", str(error))
    if len(tables) < len(CONFIGS) * len(manifest["splits"]):
        return
    for (config, split), table in tables.items():
        yield from keys_in_table(table, f"{FOLDERS[config]}/{split}")
        if manifest.get("labels_only") and (words := words_left(table.column_names, manifest, config)):
            yield Problem(f"{FOLDERS[config]}/{split}", f"has columns that labels alone do not: {words!r}")
    yield from _row_problems(tables, manifest)
    yield from _card_problems(out, manifest)


def _file_problems(out: Path, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    for name, entry in manifest["files"].items():
        path = out / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            yield Problem(MANIFEST, f"files names {name!r}, which is outside the folder")
        elif not path.is_file():
            yield Problem(name, "is missing")
        elif sha256(path) != entry["sha256"]:
            yield Problem(name, "is not the file of the manifest: its sha256 differs")
    for name in published_files(out):
        if name not in manifest["files"]:
            yield Problem(name, "is not in the manifest")


def _row_problems(tables: Tables, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    for config in ("default", "dropped"):
        every = Counter(i for s in manifest["splits"] for i in tables[config, s]["id"].to_pylist())
        yield from listed(FOLDERS[config], "ids stand more than once", [i for i, n in every.items() if n > 1])
    for split in manifest["splits"]:
        data, replies, dropped = (tables[config, split] for config in CONFIGS)
        place = f"{FOLDERS['default']}/{split}"
        labels = class_names(data, "label")
        if labels != manifest["label_set"]["labels"]:
            yield Problem(place, f"label has the names {labels!r}, not those of the manifest")
            continue
        ids = set(data["id"].to_pylist())
        yield from listed(place, "rows are also in dropped", ids & set(dropped["id"].to_pylist()))
        yield from listed(place, "rows have a wrong value in 'changed'", _wrongly_changed(data))
        if "annotators" not in manifest:
            wrong = _relabelled(data, replies)
            yield from listed(place, "rows have another label than their last reply", wrong)
        yield from count_problems(split, data.num_rows, Counter(dropped["stage"].to_pylist()), manifest)
    stated = manifest["replies"]["total"]
    found = sum(tables["annotations", split].num_rows for split in manifest["splits"])
    if stated != found:
        yield Problem(MANIFEST, f"replies say total {stated!r}, the files have {found}")


def _wrongly_changed(data: pa.Table) -> list[str]:
    new, old = class_names(data, "label"), class_names(data, "original_label")
    columns = (data[name].to_pylist() for name in ("id", "label", "original_label", "changed"))
    return [
        row
        for row, label, original, changed in zip(*columns, strict=True)
        if changed != (None if original is None else new[label] != old[original])
    ]


def _relabelled(data: pa.Table, replies: pa.Table) -> list[str]:
    columns = (replies[name].to_pylist() for name in ("id", "status", "label"))
    last = {row: label for row, status, label in zip(*columns, strict=True) if status == "valid"}
    names = class_names(data, "label")
    pairs = zip(data["id"].to_pylist(), data["label"].to_pylist(), strict=True)
    return [row for row, label in pairs if last.get(row) != names[label]]


def class_names(table: pa.Table, column: str) -> list[str]:
    """The names of a ClassLabel column, in order."""
    from datasets import Features

    names: list[str] = Features.from_arrow_schema(table.schema)[column].names
    return names


def _card_problems(out: Path, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    from huggingface_hub import DatasetCard

    path = out / CARD
    if not path.is_file():
        yield Problem(CARD, "is missing; load_dataset needs it for the configs")
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    problems = card_problems(text)
    yield from (Problem(CARD, message) for message in problems)
    if problems:
        return
    data: Any = DatasetCard(text).data
    said = data.to_dict()
    expected = front_matter(out, manifest, str(said.get("pretty_name"))).to_dict()
    for name in ("configs", "dataset_info"):
        if said.get(name) != expected.get(name):
            yield Problem(CARD, f"its {name} is not that of the Parquet files")
