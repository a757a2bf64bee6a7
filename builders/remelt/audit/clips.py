"""Finds the sound of a report's rows: embedded while it is small, linked beyond that.

It comes from the dataset's own column `audio` where there is one, else from the corpus's folder.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from .audio_column import AudioColumn
from .build_info import read_cuts

KINDS = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
}
_MAGIC = ((0, b"fLaC", ".flac"), (0, b"RIFF", ".wav"), (0, b"OggS", ".ogg"), (4, b"ftyp", ".mp4"),
          (0, b"ID3", ".mp3"), (0, b"\xff", ".mp3"))  # fmt: skip
Cut: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row that one wants to hear.

    Attributes:
        row: its number in the table.
        id: the utterance's.
        place: where it stands in the dataset's files.
        clip: path of its clip relative to the corpus folder; None without media.
    """

    row: int
    id: str
    place: int
    clip: str | None


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


def find_clips(rows: Sequence[Wanted], out: Path, report_folder: Path, limit: int) -> Clips:
    """Looks up the sound of the given rows, in the order given, until `limit` bytes are embedded.

    Args:
        rows: the rows, those first that matter most.
        out: the dataset folder or file.
        report_folder: links are relative to it.
        limit: bytes of audio to embed at most; 0 leaves audio out altogether.

    Raises:
        InputError: a Parquet file of the dataset that cannot be read.
    """
    found = Clips()
    if limit <= 0:
        if has_sound(rows, out):
            found.notices.append("This page was made without sound; `remelt audit` makes one that plays it.")
        return found
    column = AudioColumn(out)
    left = limit
    if column:
        sound = column.read((wanted.place for wanted in rows), limit)
        left -= sum(map(len, sound.values()))
        for wanted in rows:
            if wanted.place in sound:
                found.embedded[wanted.row] = _uri(sound[wanted.place])
        rows = [wanted for wanted in rows if wanted.row not in found.embedded]
    missing = unreadable = 0
    noted = corpus_folder(out)
    if noted is not None and noted.is_dir():
        missing, unreadable = _from_corpus(found, rows, out, (noted, report_folder), left)
    elif not column and any(wanted.clip for wanted in rows):
        found.notices.append("The corpus folder is not at hand, so the page has no audio.")
    _notices(found, 0 if column else missing, unreadable)
    further = len(rows) - len(found.linked)
    if column and further:
        found.notices.append(
            f"The sound of {further:,} further rows is not in this page; "
            "where it is known it stands in the dataset's audio column."
        )
    return found


def has_sound(rows: Sequence[Wanted], out: Path) -> bool:
    """Whether any of the rows may have sound: in the dataset, or in a corpus folder that is at hand.

    Raises:
        InputError: a Parquet file of the dataset that cannot be read.
    """
    if rows and AudioColumn(out):
        return True
    noted = corpus_folder(out)
    return noted is not None and noted.is_dir() and any(wanted.clip for wanted in rows)


def _from_corpus(
    found: Clips, rows: Sequence[Wanted], out: Path, folders: tuple[Path, Path], left: int
) -> tuple[int, int]:
    """Embeds or links clips of the corpus's folder; returns how many are missing and cannot be read."""
    root = folders[0].resolve()
    missing = unreadable = 0
    rows = [wanted for wanted in rows if wanted.clip]
    cuts = read_cuts(out, {wanted.id for wanted in rows}) if rows else {}
    for wanted in rows:
        path = (root / str(wanted.clip)).resolve()
        kind = KINDS.get(path.suffix.lower())
        if kind is None or not path.is_relative_to(root) or not path.is_file():
            missing += 1
            continue
        cut = cuts.get(wanted.id)
        if cut is not None or path.stat().st_size > left:
            found.linked[wanted.row] = _address(path, folders[1]) + _fragment(cut)
            continue
        try:
            content = path.read_bytes()
        except OSError:
            unreadable += 1
            continue
        left -= len(content)
        found.embedded[wanted.row] = _uri(content, kind)
    return missing, unreadable


def _uri(content: bytes, kind: str | None = None) -> str:
    """A data address; what the bytes are is told by their first ones where the name does not say."""
    if kind is None:
        suffix = next((s for place, mark, s in _MAGIC if content[place : place + len(mark)] == mark), ".wav")
        kind = KINDS[suffix]
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _fragment(cut: Cut | None) -> str:
    """The part of a longer recording, as a media fragment (W3C Media Fragments 1.0, section 4.2.1).

    >>> _fragment((1.5, 4.25)), _fragment((None, 2.0)), _fragment((3.0, None)), _fragment(None)
    ('#t=1.5,4.25', '#t=0,2', '#t=3', '')
    """
    if cut is None:
        return ""
    start, end = cut
    return f"#t={start or 0:.10g}" + ("" if end is None else f",{end:.10g}")


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
