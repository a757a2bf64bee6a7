"""The OUT folder of a build: who owns it, its lock, its journal, and what only this machine needs to know."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from ..errors import InputError, Interrupted
from ..journal import FILE, Journal, OutLock
from .cluster.shards import merge_left
from .exchange.keeping import recover

_BUILD = "build.json"
_LOCAL = "local.json"
_PATIENCE = 60.0


@contextmanager
def workspace(out: Path, recipe: str, corpus: str, corpus_folder: Path | None = None) -> Iterator[Journal]:
    """Locks OUT for one recipe and corpus and opens its journal.

    Args:
        corpus: the corpus's name.
        corpus_folder: remembered (in `.remelt/`, never published) so that the report finds the clips.

    Raises:
        InputError: OUT is a file, belongs to something else or to another recipe or corpus, is in use by
            another process, or cannot be written.
    """
    check_free(out)
    with OutLock(out):
        check_owner(out, recipe, corpus)
        recover(out)
        _write(out / ".remelt" / _BUILD, {"recipe": recipe, "corpus": corpus})
        if corpus_folder is not None:
            _write(out / ".remelt" / _LOCAL, {"corpus_folder": str(corpus_folder.resolve())})
        with Journal(out / ".remelt" / FILE) as journal:
            merge_left(journal, out)
            yield journal


def remember(out: Path, name: str, content: Mapping[str, Any]) -> None:
    """Keeps what only this machine needs to know, whole or not at all, in OUT's `.remelt/`.

    Raises:
        Interrupted: it cannot be written.
    """
    _write(out / ".remelt" / name, dict(content))


def amend(out: Path, name: str, key: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Changes one record of what is kept under a name; several processes may, one after the other.

    Args:
        name: as `remember` has it.
        key: the record's.
        change: what becomes of it, given what is there; an empty record where there is none.

    Raises:
        InputError: what was kept cannot be read.
        Interrupted: it cannot be written.
    """
    path = out / ".remelt" / name
    lock = FileLock(str(path.with_suffix(".lock")))
    try:
        with lock.acquire(timeout=_PATIENCE):
            kept = recall(out, name)
            record = kept.get(key, {})
            changed = change(dict(record))
            if changed != record:
                remember(out, name, {**kept, key: changed})
    except Timeout:
        raise Interrupted(f"Another process has been at work on {path} for {_PATIENCE:g} seconds") from None
    except OSError as error:
        raise Interrupted(f"Cannot write {path}: {error.strerror}") from error


def recall(out: Path, name: str) -> dict[str, Any]:
    """What was kept under a name; empty where nothing was.

    Raises:
        InputError: it cannot be read.
    """
    path = out / ".remelt" / name
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it") from error
    return found if isinstance(found, dict) else {}


def check_free(out: Path) -> None:
    """Refuses an OUT that is no dataset folder of ours and not empty either.

    Raises:
        InputError: it is a file, or holds what is not remelt's.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"OUT {out} is a file; name a folder")
    try:
        strangers = [p.name for p in out.iterdir() if p.name != ".remelt"] if out.is_dir() else []
    except OSError as error:
        raise InputError(f"Cannot read {out}: {error.strerror}") from error
    # A page for reviewers, or a lock, makes the folder `.remelt` too; only the journal shows whose OUT it is.
    if strangers and not (out / ".remelt" / FILE).is_file():
        if "manifest.json" in strangers:
            raise InputError(
                f"OUT {out} holds a dataset without its journal; "
                f"build into another folder with --annotator replay:{out}"
            )
        raise InputError(
            f"OUT {out} is not empty and not a remelt dataset (it holds {sorted(strangers)[:5]!r})"
        )


def check_owner(out: Path, recipe: str, corpus: str) -> None:
    """Refuses an OUT that another recipe made, or the same one from another corpus.

    Raises:
        InputError: the folder belongs to another recipe or corpus.
    """
    for path in (out / ".remelt" / _BUILD, out / "manifest.json"):
        if not path.is_file():
            continue
        try:
            owner = json.loads(path.read_text(encoding="utf-8"))
            made_of = owner.get("corpus")
            of = {"recipe": owner.get("recipe"), "corpus": made_of if made_of is None else _name(made_of)}
        except (ValueError, AttributeError, KeyError) as error:
            raise InputError(f"{path} is damaged ({error}); build into another folder") from error
        for what, mine in (("recipe", recipe), ("corpus", corpus)):
            if of[what] != mine and (what, of[what]) != ("corpus", None):
                raise InputError(
                    f"OUT {out} belongs to {what} {of[what]!r}, this is {mine!r}; name another folder"
                )


def _name(corpus: Any) -> str:
    return str(corpus["name"] if isinstance(corpus, dict) else corpus)


def _write(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, ensure_ascii=False) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    # Workers may write the same file at the same time.
    partial = path.with_suffix(f".{uuid4().hex}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Interrupted(f"Cannot write {path}: {error.strerror}") from error
