"""What a publication would change at the Hub, file by file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..layout import CARD, MANIFEST
from ..manifest import file_entry
from .remote import ATTRIBUTES, RemoteFile, RemoteState

Change = Literal["new", "changed", "same", "deleted"]
_CHUNK = 1 << 20
# What a table of utterances is called where nobody names it.
_NAMELESS = "table"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of the dataset, here or at the Hub.

    Attributes:
        path: relative to the dataset folder.
        size: bytes; of a deleted file, those at the Hub.
        change: what happens to it at the Hub.
    """

    path: str
    size: int
    change: Change

    @property
    def sent(self) -> bool:
        return self.change in ("new", "changed")


def files_to_publish(out: Path, manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What is published of a folder: the files that its manifest names, and the manifest itself.

    So the journal, locks, unfinished files and whatever else lies in the folder stay here.

    Returns:
        The manifest's entry (`sha256`, `bytes`) by the file's path.
    """
    return dict(sorted({**manifest["files"], MANIFEST: file_entry(out / MANIFEST)}.items()))


def left_here(out: Path, manifest: Mapping[str, Any]) -> list[str]:
    """What lies in a folder and is not published, by its name at the top level; hidden names apart."""
    published = {*manifest["files"], MANIFEST}
    found = set()
    for path in out.rglob("*"):
        parts = path.relative_to(out).parts
        if path.is_file() and not parts[0].startswith(".") and "/".join(parts) not in published:
            found.add("/".join(parts))
    return sorted(found)


def compare(
    out: Path, manifest: Mapping[str, Any], state: RemoteState | None, replace: bool = False
) -> tuple[FileChange, ...]:
    """What becomes of each file.

    Files at the Hub that this version lacks are deleted where the manifest at the Hub names them; what
    somebody else put there stays.

    Args:
        out: the dataset folder.
        manifest: its manifest, whose hashes were checked.
        state: what is at the Hub; None where nothing is.
        replace: whether all that is not of this version is deleted.

    Returns:
        The files of this version in order, then the deleted ones.
    """
    remote = state.files if state else {}
    ours = files_to_publish(out, manifest)
    changes = [
        FileChange(path, entry["bytes"], _change(out / path, entry, remote.get(path)))
        for path, entry in ours.items()
    ]
    known = {ATTRIBUTES} if state is None else _of_earlier(state)
    for path, file in sorted(remote.items()):
        if path not in ours and path != ATTRIBUTES and (replace or path in known):
            changes.append(FileChange(path, file.size, "deleted"))
    return tuple(changes)


def same_origin(manifest: Mapping[str, Any], state: RemoteState) -> bool:
    """Whether the Hub has an earlier version of this dataset: of the same recipe and corpus.

    A table that was given no name is called `table`, as every other one is; such are the same where a file of
    theirs has the same name.
    """
    found = state.manifest
    if found is None:
        return False
    corpus = found.get("corpus")
    theirs = corpus if isinstance(corpus, dict) else {}
    ours = manifest["corpus"]
    if (found.get("recipe"), theirs.get("name")) != (manifest["recipe"], ours["name"]):
        return False
    return ours["name"] != _NAMELESS or bool({*ours["files"]} & {*(theirs.get("files") or ())})


def origin(state: RemoteState) -> str:
    """What the Hub has, for a message."""
    if state.manifest is None:
        some = sorted(set(state.files) - {ATTRIBUTES})
        files = "1 file that is" if len(some) == 1 else f"{len(some)} files that are"
        more = ", ..." if len(some) > 3 else ""
        return f"{files} no remelt dataset ({', '.join(map(repr, some[:3]))}{more})"
    corpus = state.manifest.get("corpus")
    name = corpus.get("name") if isinstance(corpus, dict) else corpus
    paths = sorted((corpus.get("files") or ()) if isinstance(corpus, dict) else ())
    named = f" ({', '.join(paths[:3])})" if name == _NAMELESS and paths else ""
    return f"a dataset of the recipe {state.manifest.get('recipe')!r} and the corpus {name!r}{named}"


def is_published(changes: Sequence[FileChange]) -> bool:
    """Whether the Hub has it all already."""
    return all(change.change == "same" for change in changes)


def _of_earlier(state: RemoteState) -> set[str]:
    files = (state.manifest or {}).get("files")
    return {MANIFEST, CARD, *files} if isinstance(files, dict) else set()


def _change(path: Path, entry: Mapping[str, Any], remote: RemoteFile | None) -> Change:
    if remote is None:
        return "new"
    if remote.size != entry["bytes"]:
        return "changed"
    if remote.sha256:
        return "same" if remote.sha256 == entry["sha256"] else "changed"
    return "same" if remote.git_oid == git_oid(path) else "changed"


def git_oid(path: Path) -> str:
    """The hash by which git knows a file's content."""
    # Git's own hash; it guards nothing here.
    found = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
