"""Dataset folders without their replies: labels without a corpus, and labels that were joined to one.

Such a folder has the three configs, a card and a manifest like any other, but what was asked and answered is
not in it, so it cannot be rebuilt or voted on anew; its manifest says which of the two it is
(`labels_only`, `joined`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from ..protocols import AudioStore
from .card import write_card
from .folder import seal
from .layout import AUDIT, CARD, FOLDERS, MANIFEST, PRIVATE, check_splits, shard_path
from .manifest import read_manifest, write_manifest
from .parquet import Staged, commit, shard, shard_count, stage_table
from .sounds import stage_sounds

Kind = Literal["labels_only", "joined"]


def write_reduced(
    out: Path,
    manifest: Mapping[str, Any],
    tables: Iterable[tuple[str, str, pa.Table]],
    sound: tuple[pa.Schema, AudioStore] | None = None,
) -> dict[str, Any]:
    """Writes the Parquet files, the manifest and the card of such a folder.

    Args:
        out: an empty or new folder, or one that was written by this.
        manifest: without `files`.
        tables: config, split and rows.
        sound: the columns of the default config with `audio` as the last, and where the sound comes from.

    Returns:
        The manifest.

    Raises:
        InputError: the folder holds something else, or a split has a name that cannot be one.
        WriteError: the disk is full, or the folder cannot be written.
    """
    check_target(out, "labels_only" if manifest.get("labels_only") else "joined")
    # The names become paths, and labels may come from a stranger.
    check_splits(manifest["splits"])
    staged: list[Staged] = []
    try:
        for config, split, table in tables:
            place = partial(_place, out, config, split)
            if config == "default" and sound is not None:
                staged += stage_sounds(table, sound[0], sound[1], place)
                continue
            count = shard_count(table)
            staged += [stage_table(shard(table, n, count), place(n, count)) for n in range(count)]
        _clear(out)
        commit(staged)
    finally:
        for file in staged:
            file.discard()
    made = dict(manifest)
    made["files"] = {
        file.path.relative_to(out).as_posix(): {
            "sha256": file.sha256,
            "bytes": file.size,
            "rows": pq.read_metadata(file.path).num_rows,
        }
        for file in staged
    }
    write_manifest(out, made)
    write_card(out, made)
    return seal(out)


def check_target(out: Path, kind: Kind) -> None:
    """Refuses a folder that holds anything but such a dataset of the same kind.

    Raises:
        InputError: it does, or it is a file.
    """
    if out.is_file():
        raise InputError(f"{out} is a file; name a folder")
    names = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if not names:
        return
    if PRIVATE in names or MANIFEST not in names:
        raise InputError(f"{out} is not empty (it holds {names[:5]!r}); name another folder")
    if not read_manifest(out).get(kind):
        raise InputError(f"{out} holds another dataset; name another folder")


def is_reduced(manifest: Mapping[str, Any]) -> bool:
    """Whether a folder is without its replies."""
    return bool(manifest.get("labels_only") or manifest.get("joined"))


def _place(out: Path, config: str, split: str, index: int, count: int) -> Path:
    return out / shard_path(config, split, index, count)


def _clear(out: Path) -> None:
    """Takes away what was written before; files of another number of shards, or an audit, would stay."""
    if not (out / MANIFEST).is_file():
        return
    for name in read_manifest(out)["files"]:
        parts = PurePosixPath(name).parts
        if parts[0] in (*FOLDERS.values(), AUDIT, CARD) and ".." not in parts:
            out.joinpath(*parts).unlink(missing_ok=True)
    (out / MANIFEST).unlink()
