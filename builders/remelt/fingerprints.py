"""The sha256 of model files, remembered so that an unchanged file is not read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

_CHUNK = 1 << 22


def fingerprint(path: Path, *, fresh: bool = False) -> str:
    """The sha256 of a file; an unchanged file is not read again.

    Unchanged means the same size, time of modification and time of change of the entry, which copying an
    old time onto a new file does not forge.
    """
    path = path.resolve()
    known = None if fresh else remembered(path)
    if known is not None:
        return known
    state = _state(path)
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            sha.update(block)
    _write({**_read(), str(path): {"state": state, "sha256": sha.hexdigest()}})
    return sha.hexdigest()


def remembered(path: Path) -> str | None:
    """The sha256 of a file that has not changed since it was last read; None where it must be read."""
    path = path.resolve()
    entry = _read().get(str(path))
    if isinstance(entry, dict) and entry.get("state") == _state(path):
        return str(entry["sha256"])
    return None


def cache_folder() -> Path:
    """Where remelt remembers what can be found out again."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "remelt"


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _store() -> Path:
    return cache_folder() / "model-hashes.json"


def _read() -> dict[str, object]:
    try:
        data = json.loads(_store().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _write(known: Mapping[str, object]) -> None:
    # Without a writable cache the file is hashed again next time, and nothing else is lost.
    with contextlib.suppress(OSError):
        _store().parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=_store().parent, prefix=_store().name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(known, file)
        os.replace(name, _store())
