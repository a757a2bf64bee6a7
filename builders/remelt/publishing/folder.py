"""Writes a dataset folder: Parquet first, then the manifest, then the card."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from ..records import digest
from .card import write_card
from .columns import Columns, columns_of, data_features
from .content import DatasetContent
from .evaluation import EVALUATION
from .layout import AUDIT, FOLDERS, MANIFEST, shard_path
from .manifest import build_manifest, file_entry, published_files, read_manifest, write_manifest
from .parquet import Staged, commit, sha256, shard, shard_count, stage_table
from .soft import has_soft_labels
from .sounds import stage_sounds
from .tables import annotations_table, data_table, dropped_table


def publish(out: Path, content: DatasetContent) -> dict[str, Any]:
    """Writes `data/`, `annotations/`, `dropped/`, the manifest and a card without audit findings.

    Everything is written beside its final place first, so a full disk leaves an earlier build as it was.
    Files of an earlier build that this one does not have are removed, those of its audit too. Call
    `write_card` and `seal` again after the audit.

    Args:
        out: the dataset folder; made where it does not exist.
        content: the rows and what to say about them.

    Returns:
        The manifest.

    Raises:
        InputError: rows that do not add up or do not fit their columns (see `DatasetContent.check`).
        WriteError: the disk is full, or the folder cannot be written.
    """
    content.check()
    manifest = build_manifest(content)
    soft = has_soft_labels(content.annotations)
    voice = content.voice.columns if content.voice else None
    columns = columns_of(
        content.utterances(), content.label_set, content.schema, soft, voice, content.panel is not None
    )
    return put(out, manifest, _stage(out, content, columns))


def put(out: Path, manifest: dict[str, Any], files: Iterable[Staged]) -> dict[str, Any]:
    """Puts a build's Parquet files in their places, all or none, and writes the manifest and a plain card.

    Args:
        out: the dataset folder.
        manifest: without its files.
        files: written one after the other as they are taken.

    Returns:
        The manifest.

    Raises:
        WriteError: as `publish`.
    """
    before = _earlier_files(out)
    staged: list[Staged] = []
    try:
        for file in files:
            staged.append(file)
        commit(staged)
    finally:
        for file in staged:
            file.discard()
    manifest["files"] = {
        file.path.relative_to(out).as_posix(): {
            "sha256": file.sha256,
            "bytes": file.size,
            "rows": pq.read_metadata(file.path).num_rows,
        }
        for file in staged
    }
    _remove_stale(out, before, manifest["files"])
    write_manifest(out, manifest)
    write_card(out, manifest)
    return _sealed(out, manifest)


def _stage(out: Path, content: DatasetContent, columns: Columns) -> Iterator[Staged]:
    """Writes all Parquet files beside their final places."""
    for config, split, table in _tables(content, columns):
        place = partial(_place, out, config, split)
        if config == "default" and content.voice and content.voice.audio is not None:
            schema = data_features(columns).arrow_schema
            yield from stage_sounds(table, schema, content.voice.audio, place)
            continue
        count = shard_count(table)
        for index in range(count):
            yield stage_table(shard(table, index, count), place(index, count))


def seal(out: Path) -> dict[str, Any]:
    """Takes the hashes of the card and of the audit's files anew; the Parquet files keep theirs.

    Returns:
        The manifest as it now stands in the folder.

    Raises:
        InputError: the folder has no manifest, or a Parquet file is gone or is not the published one.
        WriteError: the manifest cannot be written.
    """
    manifest = read_manifest(out)
    data = [name for name in manifest["files"] if name.split("/")[0] in FOLDERS.values()]
    gone = [name for name in data if not (out / name).is_file()]
    if gone:
        raise InputError(f"{out} lacks {gone!r}, which its {MANIFEST} names; build it again")
    changed = changed_files(out, manifest, data)
    if changed:
        raise InputError(f"{out}: {changed!r} were changed after publishing; see `remelt verify {out}`")
    return _sealed(out, manifest)


def _sealed(out: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Writes the manifest with the hashes of all that is no Parquet file taken anew."""
    data = [name for name in manifest["files"] if name.split("/")[0] in FOLDERS.values()]
    others = [name for name in published_files(out) if name.split("/")[0] not in FOLDERS.values()]
    entries = {name: manifest["files"][name] for name in data}
    entries |= {name: file_entry(out / name) for name in others}
    manifest["files"] = dict(sorted(entries.items()))
    write_manifest(out, manifest)
    return manifest


def check_replies(out: Path) -> None:
    """Checks that the replies and the dropped rows of a folder are those that were published.

    Where the dataset has a voice, its `data/` is checked too: nothing else holds what was heard.

    Raises:
        InputError: the folder has no manifest, or a file or the answer schema was changed or is gone.
    """
    manifest = read_manifest(out)
    configs = ("annotations", "dropped", *(("default",) if "voice" in manifest else ()))
    wanted = tuple(FOLDERS[config] for config in configs)
    names = [name for name in manifest["files"] if name.split("/")[0] in wanted]
    changed = [name for name in names if not (out / name).is_file()] or changed_files(out, manifest, names)
    for part in (manifest, *manifest.get("annotators", ())):
        if digest(part["schema"]["json"]) != part["schema"]["sha256"]:
            changed.append(
                f"{MANIFEST}: schema of {part['name']}" if "name" in part else f"{MANIFEST}: schema"
            )
    if changed:
        raise InputError(
            f"{out}: {changed!r} were changed or removed after publishing; see `remelt verify {out}`"
        )


def changed_files(out: Path, manifest: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The files among these whose sha256 is not the manifest's."""
    return [name for name in names if sha256(out / name) != manifest["files"][name]["sha256"]]


def _place(out: Path, config: str, split: str, index: int, count: int) -> Path:
    return out / shard_path(config, split, index, count)


def _tables(content: DatasetContent, columns: Columns) -> Iterator[tuple[str, str, pa.Table]]:
    resolutions = content.panel.resolutions if content.panel else None
    for split in content.splits:
        annotations = [a for a in content.annotations if a.utterance.split == split]
        yield "default", split, data_table(annotations, columns, content.voice, resolutions)
        yield "annotations", split, annotations_table(annotations, columns)
        yield "dropped", split, dropped_table(content.ordered_drops(split), columns)


def _earlier_files(out: Path) -> Mapping[str, Any]:
    if not (out / MANIFEST).is_file():
        return {}
    files: Mapping[str, Any] = read_manifest(out)["files"]
    return files


def _remove_stale(out: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    ours = {*FOLDERS.values(), AUDIT}
    for name in before:
        parts = PurePosixPath(name).parts
        path = out.joinpath(*parts)
        # Models are not trained again by a build; the card says where the labels have changed since.
        if name == EVALUATION:
            continue
        if name not in now and parts[0] in ours and ".." not in parts and path.is_file():
            path.unlink()
    for folder in FOLDERS.values():
        for unfinished in (out / folder).glob(".*.parquet.part"):
            unfinished.unlink()
