"""A folder made by `remelt augment` as material: its folds, and what it added to their training parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...evaluation.examples import Example
from .base import Material
from .sources import Wants, missing_clips

HUMAN, AUGMENTED = "human", "augmented"


def read(folder: Path, source: str, wants: Wants) -> Material:
    """Reads the folds; the clips are looked for where the corpora were when they were made.

    Raises:
        InputError: files are missing or unreadable, or splits were asked for.
    """
    if wants.splits is not None:
        raise InputError(f"{source}: the splits of folds cannot be chosen; leave out '@'")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    rows: dict[str, dict[str, Any]] = {}
    folds: dict[str, dict[str, tuple[str, ...]]] = {}
    for name in manifest["folds"]:
        folds[name] = {}
        for path in sorted((folder / name).glob("*.parquet")):
            found = _rows(path, manifest["classes"])
            folds[name][path.name.partition("-")[0]] = tuple(row["id"] for row in found)
            rows.update((row["id"], row) for row in found)
    labels: dict[str, dict[str, str]] = {HUMAN: {}, AUGMENTED: {}}
    for row in rows.values():
        labels[AUGMENTED][row["id"]] = row["label"]
        if row["origin"] == HUMAN:
            labels[HUMAN][row["id"]] = row["label"]
    clips, lost = _clips(folder, rows, wants.clips)
    examples = tuple(_example(row, row["id"] in clips) for row in rows.values())
    from .sounds import ClipSounds

    return Material(
        name=str(manifest["target"]["corpus"]),
        source=source,
        kind="folds",
        examples=examples,
        labels=labels,
        sounds=ClipSounds(clips) if clips else None,
        notes=tuple(filter(None, [missing_clips(examples, folder, lost)])),
        folds=folds,
    )


def _rows(path: Path, classes: list[str]) -> list[dict[str, Any]]:
    from ...publishing.parquet import read_table
    from ...publishing.surrogates import unescape

    found = read_table(path).to_pylist()
    return [
        {
            **{name: unescape(value) if isinstance(value, str) else value for name, value in row.items()},
            "label": classes[row["label"]],
        }
        for row in found
    ]


def _clips(
    folder: Path, rows: Mapping[str, Mapping[str, Any]], given: Path | None
) -> tuple[dict[str, Any], list[str]]:
    from ...voice.audio import Source

    local = folder / ".remelt" / "local.json"
    known: Mapping[str, str] = {}
    if local.is_file():
        known = json.loads(local.read_text(encoding="utf-8")).get("corpus_folders", {})
    found: dict[str, Source] = {}
    lost = []
    for name, row in rows.items():
        root = known.get(row["corpus"])
        if given is not None and row["origin"] == HUMAN:
            root = str(given)
        if not row["clip"] or root is None:
            continue
        path = (Path(root) / row["clip"]).resolve()
        if path.is_relative_to(Path(root).resolve()) and path.is_file():
            found[name] = Source(path, row["clip_start"], row["clip_end"])
        else:
            lost.append(name)
    return found, lost


def _example(row: Mapping[str, Any], heard: bool) -> Example:
    return Example(
        id=row["id"],
        corpus=row["corpus"],
        split=row["source_split"],
        text=(row["text"] or "").strip() or None,
        speaker=row["speaker"] or "",
        session=row["session"] or "",
        has_sound=heard,
    )
