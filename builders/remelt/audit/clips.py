"""Finds the audio of a report's rows: embedded while it is small, linked beyond that."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

KINDS = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
}


@dataclass(slots=True)
class Clips:
    """Where the report finds each row's audio.

    Attributes:
        embedded: row -> data URI.
        linked: row -> address relative to the report's folder.
        notices: what the reader should know, one sentence each.
    """

    embedded: dict[int, str] = field(default_factory=dict)
    linked: dict[int, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def corpus_folder(out: Path) -> Path | None:
    """The folder that the dataset's clips lie in, as the build noted it; None where it noted none."""
    path = out / ".remelt" / "local.json"
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))["corpus_folder"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Path(noted) if isinstance(noted, str) and noted else None


def find_clips(rows: Iterable[tuple[int, str | None]], out: Path, report_folder: Path, limit: int) -> Clips:
    """Looks up the clips of the given rows, in the order given, until `limit` bytes are embedded.

    Args:
        rows: pairs of a row's number and its clip's path relative to the corpus folder.
        out: the dataset folder.
        report_folder: links are relative to it.
        limit: bytes of audio to embed at most; 0 leaves audio out altogether.
    """
    found = Clips()
    wanted = [(row, clip) for row, clip in rows if clip]
    if not wanted or limit <= 0:
        return found
    folder = corpus_folder(out)
    if folder is None or not folder.is_dir():
        found.notices.append("The corpus folder is not at hand, so the page has no audio.")
        return found
    root = folder.resolve()
    left, missing, unreadable = limit, 0, 0
    for row, clip in wanted:
        path = (root / clip).resolve()
        kind = KINDS.get(path.suffix.lower())
        if kind is None or not path.is_relative_to(root) or not path.is_file():
            missing += 1
            continue
        if path.stat().st_size > left:
            found.linked[row] = _address(path, report_folder)
            continue
        try:
            content = path.read_bytes()
        except OSError:
            unreadable += 1
            continue
        left -= len(content)
        found.embedded[row] = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
    _notices(found, missing, unreadable)
    return found


def _notices(found: Clips, missing: int, unreadable: int) -> None:
    if found.embedded:
        found.notices.append(
            f"{len(found.embedded):,} clips are embedded in this page; "
            "the corpus's licence decides whether it may be passed on."
        )
    if found.linked:
        found.notices.append(
            f"{len(found.linked):,} further clips are linked: "
            "the links work on the machine that holds the corpus."
        )
    if missing:
        found.notices.append(f"{missing:,} clips were not found in the corpus folder.")
    if unreadable:
        found.notices.append(f"{unreadable:,} clips could not be read.")


def _address(path: Path, folder: Path) -> str:
    try:
        return quote(Path(os.path.relpath(path, folder.resolve())).as_posix())
    except ValueError:
        return path.as_uri()
