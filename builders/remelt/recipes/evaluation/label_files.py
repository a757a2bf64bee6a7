"""Labels and transcripts of a source's rows that lie in files of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...errors import InputError
from .base import Material
from .sources import CommonNames

_COLON = re.compile(r"(?P<split>[A-Za-z0-9_.]+):(?P<path>.+)")


def with_labels(material: Material, files: Mapping[str, Path]) -> Material:
    """The material with a condition for each file.

    A file is what `replay:` annotates from: MELT's published CSV, a table with ids and labels, the replies of
    a dataset. One whose rows name no split is of the split in its name (`meld_train.csv`), or is given as
    `SPLIT:FILE`.

    Raises:
        InputError: a file that cannot be read, or none of whose rows is one of the material's.
    """
    notes = list(material.notes)
    labels = {name: dict(found) for name, found in material.labels.items()}
    for condition, path in files.items():
        labels[condition], told = _read(material, condition, path)
        notes += told
    return replace(material, labels=labels, notes=tuple(notes)) if files else material


def _read(material: Material, condition: str, path: Path) -> tuple[dict[str, str], list[str]]:
    from ...annotators.replay_sources import load

    splits = tuple(dict.fromkeys(row.split for row in material.examples))
    split, path = _split(path, splits)
    try:
        source = load(path, split, None)
    except InputError as error:
        if split is None and path.is_file():
            told = f"; of one split alone it is given as {condition}={splits[0]}:{path.name}"
            raise InputError(f"{error}{told}") from None
        raise
    common = CommonNames(material.examples[0].corpus)
    found: dict[str, str] = {}
    unknown: dict[str, int] = {}
    known = {label for labels in material.labels.values() for label in labels.values()}
    for row in material.examples:
        replies = source.replies.get(row.id) or source.replies.get(row.id.partition("/")[2])
        if not replies:
            continue
        said = _label(replies[-1].raw)
        label = common(said)
        if label is None:
            continue
        if known and label not in known:
            unknown[label] = unknown.get(label, 0) + 1
            continue
        found[row.id] = label
    if not found:
        first = next(iter(source.replies), "none")
        raise InputError(
            f"{path}: no label of it is of a row of {material.source}; its ids are like {first!r}, those "
            f"of the rows like {material.examples[0].id!r}"
        )
    notes = [f"Labels {condition!r} are read from {path.name}: {len(found):,} rows have one."]
    if unknown:
        told = ", ".join(f"{name} ({count:,})" for name, count in sorted(unknown.items()))
        notes.append(f"{path.name}: rows with labels off the list are left out of {condition!r}: {told}.")
    return found, [*notes, *filter(None, [common.note(path.name)])]


def _split(path: Path, splits: tuple[str, ...]) -> tuple[str | None, Path]:
    """The split of a file's rows, where the file does not say it itself."""
    match = _COLON.fullmatch(str(path))
    if match is not None and not path.exists() and match["split"] in splits:
        return match["split"], Path(match["path"])
    words = re.split(r"[^a-z0-9]+", path.stem.casefold())
    named = [split for split in splits if split.casefold() in words]
    if len(named) == 1:
        return named[0], path
    return (splits[0] if len(splits) == 1 else None), path


def _label(raw: str) -> str:
    try:
        answer = json.loads(raw)
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    elements = answer.get("elements")
    found = answer.get("label") or (elements.get("emotion") if isinstance(elements, dict) else None)
    return str(found or answer.get("emotion") or "")


def with_transcripts(material: Material, folders: Mapping[str, Path]) -> Material:
    """The material with the words that recognisers heard.

    Raises:
        InputError: a folder without transcripts, or with none of the material's rows.
    """
    from ..listening.clips import read_transcripts

    found = {name: dict(words) for name, words in material.transcripts.items()}
    rows = {row.id for row in material.examples}
    for name, folder in folders.items():
        texts = read_transcripts(folder).texts
        heard = {
            key: words.strip() for key, words in texts.items() if key in rows and words and words.strip()
        }
        if not heard:
            raise InputError(f"The transcripts in {folder} are of none of the rows of {material.source}")
        found[name] = heard
    return replace(material, transcripts=found) if folders else material
