"""All or nothing: a published dataset that is published again is left as it was unless that succeeds.

The files that were published are linked into `OUT/.remelt/before/` first, which takes no space. They go back
where the work fails, and at the next command where the process was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from ...errors import InputError, Interrupted

REGISTRY = ".remelt/additions.json"
SECRET = ".remelt/names.key"

_MANIFEST = "manifest.json"
_BEFORE = "before"
_MARK = "mark.json"


def name_secret(out: Path, to: Path) -> str:
    """The secret by which a dataset names people whose addresses it does not publish; made at the first use.

    The same person has the same name in every file that is added, and in a copy that is made on the way.

    Args:
        out: the dataset.
        to: the folder that is written to; the secret is kept there, too.

    Raises:
        InputError: it cannot be read.
        WriteError: it cannot be kept.
    """
    from ...publishing.parquet import write_bytes

    known = next((folder for folder in (out, to) if (folder / SECRET).is_file()), None)
    try:
        secret = secrets.token_hex(32) if known is None else (known / SECRET).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise InputError(f"{out / SECRET} cannot be read: {error}") from error
    if known != to:
        write_bytes(secret.encode(), to / SECRET)
    return secret


@contextlib.contextmanager
def all_or_nothing(out: Path, created: str) -> Iterator[None]:
    """What is published in OUT stays as it is unless the block comes to its end.

    Args:
        out: the dataset folder, locked by the caller.
        created: the time that the manifest of the new state will carry; by it, what a killed process left
            is told from what another command has published since.

    Raises:
        Interrupted: the files cannot be kept; nothing was changed.
    """
    from ...publishing.manifest import published_files

    recover(out)
    names = [*published_files(out), _MANIFEST, *([REGISTRY] if (out / REGISTRY).is_file() else [])]
    _keep(out, names, created)
    try:
        yield
    except BaseException:
        _restore(out)
        raise
    _forget(out)


def recover(out: Path) -> bool:
    """Puts back what a killed process left half done; OUT is locked by the caller.

    Returns:
        Whether there was anything to put back.
    """
    partial = out / ".remelt" / f"{_BEFORE}.partial"
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    if not _left_over(out):
        if (out / ".remelt" / _BEFORE).is_dir():
            _forget(out)
        return False
    _restore(out)
    return True


def settled(out: Path) -> None:
    """Refuses to read what a killed process left half done.

    Args:
        out: a dataset folder; what is none, such as a table, passes.

    Raises:
        InputError: there is something to put back first.
    """
    if _left_over(out):
        raise InputError(
            f"{out} was left half changed by a process that was killed; the next `remelt add-annotations "
            f"{out}` or `remelt build` puts it back as it was"
        )


def kept(out: Path, name: str) -> Path:
    """Where a file of OUT can be read as the last command that succeeded has left it."""
    before = out / ".remelt" / _BEFORE
    if not _left_over(out):
        return out / name
    if name not in json.loads((before / _MARK).read_text(encoding="utf-8"))["files"]:
        return before / name
    return before / name if (before / name).is_file() else out / name


def _left_over(out: Path) -> bool:
    """Whether a killed process left its traces, and nothing was published since."""
    mark = out / ".remelt" / _BEFORE / _MARK
    try:
        record = json.loads(mark.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise InputError(f"{mark} is damaged ({error})") from error
    try:
        created = json.loads((out / _MANIFEST).read_text(encoding="utf-8")).get("created")
    except (OSError, ValueError, AttributeError):
        return True
    return created in record["created"]


def _keep(out: Path, names: list[str], created: str) -> None:
    folder, partial = out / ".remelt" / _BEFORE, out / ".remelt" / f"{_BEFORE}.partial"
    try:
        for name in names:
            target = partial / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(out / name, target)
            except OSError:
                # Some file systems have no hard links.
                shutil.copy2(out / name, target)
        now = json.loads((out / _MANIFEST).read_text(encoding="utf-8")).get("created")
        mark = json.dumps({"files": names, "created": [now, created]})
        (partial / _MARK).write_text(mark, encoding="utf-8")
        partial.replace(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise Interrupted(
            f"Cannot write to {out / '.remelt'} ({error.strerror}); nothing was changed"
        ) from error


def _restore(out: Path) -> None:
    """Each step may be done again, so a process killed in here loses nothing either."""
    from ...publishing.manifest import published_files

    folder = out / ".remelt" / _BEFORE
    names = json.loads((folder / _MARK).read_text(encoding="utf-8"))["files"]
    for name in names:
        if (folder / name).is_file():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).replace(out / name)
    for name in {*published_files(out), REGISTRY} - set(names):
        (out / name).unlink(missing_ok=True)
    _forget(out)


def _forget(out: Path) -> None:
    folder, done = out / ".remelt" / _BEFORE, out / ".remelt" / f"{_BEFORE}.partial"
    # Under its other name it is no longer taken for something to put back, however far the removal gets.
    shutil.rmtree(done, ignore_errors=True)
    folder.replace(done)
    shutil.rmtree(done, ignore_errors=True)
