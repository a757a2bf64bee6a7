"""A dataset's labels without its corpus: what may be published of a corpus that may not be passed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..exchange.keeping import settled

if TYPE_CHECKING:
    import pyarrow as pa


def labels_only_folder(out: Path, into: Path, check: bool = True) -> Path:
    """Writes the labels of a dataset folder as a dataset folder of their own.

    It holds ids, labels, votes, soft labels, what changed, flags, measures and levels of the voice, and of
    every reply who gave it, its label, its hashes, tokens and cost. It holds no text, no speaker, no sound,
    no raw reply and no free text of an answer. The same dataset gives the same bytes.

    Args:
        out: a dataset folder.
        into: the folder to write; new, empty, or written by this before.
        check: whether every row carries a check of its words (see `publishing.labels_only.text_check`), by
            which a join is verified and a guess of short words can be confirmed.

    Returns:
        `into`.

    Raises:
        InputError: `out` is no whole dataset or was changed after publishing, or `into` is something else.
        WriteError: the disk is full, or the folder cannot be written.
    """
    from ...publishing import read_manifest
    from ...publishing.folder import changed_files
    from ...publishing.labels_only import check_salt, labels_manifest, left_out
    from ...publishing.reduced import is_reduced, write_reduced

    out, into = Path(out), Path(into)
    settled(out)
    manifest = read_manifest(out)
    if is_reduced(manifest):
        raise InputError(f"{out} is without its replies already; name the dataset that was built")
    if into.resolve().is_relative_to(out.resolve()):
        raise InputError(f"{into} is inside the dataset {out}; name another folder")
    names = [name for name in manifest["files"] if name.endswith(".parquet")]
    gone = [name for name in names if not (out / name).is_file()]
    if broken := gone or changed_files(out, manifest, names):
        raise InputError(
            f"{out}: {broken!r} were changed or removed after publishing; see `remelt verify {out}`"
        )
    salt = check_salt(manifest) if check else ""
    made = labels_manifest(manifest, left_out(out, manifest), salt)
    write_reduced(into, made, _tables(out, manifest, salt))
    return into


def _tables(out: Path, manifest: Mapping[str, Any], salt: str) -> Iterator[tuple[str, str, pa.Table]]:
    from ...publishing.labels_only import labels_table
    from ...publishing.layout import CONFIGS

    for split in manifest["splits"]:
        for config in CONFIGS:
            yield config, split, labels_table(out, manifest, config, split, salt)
