"""The clips of a corpus: found with one look into each folder, checked by their headers."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError
from .base import Draft

# In order of preference where an utterance has several.
SUFFIXES = (".flac", ".wav", ".mp4")
_DEEPEST = 16
_BATCH = 256
# Label files round their times.
_CUT_SLACK = 0.1
_CLIP_NAME = re.compile(r"(?:(?P<split>[a-z]+)[_-])?dia(?P<dialogue>\d{1,9})_utt(?P<utterance>\d{1,9})")
_NOT_LETTERS = re.compile(r"[^a-z]+")
_MP4 = (".mp4", ".m4a", ".m4v", ".mov")
# libsndfile knows none of these; whether they hold sound is told by decoding them.
_OTHERS = (".mkv", ".webm", ".avi", ".aac", ".wma")
_MAGIC = {".flac": (b"fLaC",), ".wav": (b"RIFF", b"RF64", b"RIFX")}
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below the corpus folder: its path relative to it (with `/`) and its name."""

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Health:
    """What a clip's header says.

    Attributes:
        problem: `clip_unreadable`, `clip_truncated`, or empty.
        duration: seconds; None for MP4, for sound without a header and for unreadable clips.
    """

    problem: str = ""
    duration: float | None = None


_looked: ContextVar[dict[Path, tuple[FoundFile, ...]] | None] = ContextVar("_looked", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Inside, a folder is walked once, however many readers ask what is in it."""
    token = _looked.set({} if _looked.get() is None else _looked.get())
    try:
        yield
    finally:
        _looked.reset(token)


def walk(folder: Path) -> Iterator[FoundFile]:
    """All files below a folder, sorted, hidden ones left out; links are followed, circles are not.

    Raises:
        InputError: a folder cannot be read.
    """
    looked = _looked.get()
    if looked is None:
        yield from _walk(folder)
        return
    if folder not in looked:
        looked[folder] = tuple(_walk(folder))
    yield from looked[folder]


def _walk(folder: Path) -> Iterator[FoundFile]:
    seen: set[tuple[int, int]] = set()
    stack = [("", 0)]
    while stack:
        prefix, depth = stack.pop()
        here = folder / prefix
        try:
            status = os.stat(here)
            entries = sorted(os.scandir(here), key=lambda e: e.name)
        except OSError as error:
            raise InputError(f"Cannot read the folder {here}: {error.strerror}") from None
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        below = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                below.append((f"{prefix}{entry.name}/", depth + 1))
            else:
                yield FoundFile(prefix + entry.name, entry.name)
        if depth < _DEEPEST:
            stack.extend(reversed(below))


@dataclass(frozen=True, slots=True)
class ClipIndex:
    """Clips by split and (dialogue, utterance), paths relative to the corpus folder.

    Attributes:
        clips: one path per utterance of each split that has a media folder.
        doubled: clips left aside because the utterance has another one in a preferred format.
        odd: media files whose names or places do not say which utterance they are.
    """

    clips: Mapping[str, Mapping[tuple[int, int], str]]
    doubled: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()


def index(files: Iterable[FoundFile], splits: Sequence[str]) -> ClipIndex:
    """Finds which utterance each media file belongs to.

    The split is named by the file (`train_dia0_utt3.wav`), by the nearest folder with the split in its name
    (`train_splits`, `dev_splits_complete`, `output_repeated_splits_test`), or, in a flat folder, by the
    corpus's having one split only.

    Args:
        files: as `walk` gives them.
        splits: the splits of the corpus.
    """
    found: dict[str, dict[tuple[int, int], str]] = {}
    doubled: list[str] = []
    odd: list[str] = []
    folder_splits: dict[str, str | None] = {}
    for file in files:
        stem, suffix = os.path.splitext(file.name)
        if suffix.lower() not in SUFFIXES:
            continue
        folder = file.path[: -len(file.name)]
        if folder not in folder_splits:
            folder_splits[folder] = _split_of_folder(folder, splits)
        match = _CLIP_NAME.fullmatch(stem)
        named = match["split"] if match else None
        split = named or folder_splits[folder] or (splits[0] if len(splits) == 1 else None)
        if match is None or split is None or split not in splits:
            odd.append(file.path)
            continue
        clips = found.setdefault(split, {})
        key = (int(match["dialogue"]), int(match["utterance"]))
        if key in clips:
            first, second = sorted((clips[key], file.path), key=_preference)
            doubled.append(second)
            clips[key] = first
        else:
            clips[key] = file.path
    return ClipIndex(found, tuple(doubled), tuple(odd))


def _preference(path: str) -> tuple[int, str]:
    return SUFFIXES.index(os.path.splitext(path)[1].lower()), path


def _split_of_folder(folder: str, splits: Sequence[str]) -> str | None:
    for part in reversed(folder.split("/")):
        named = [s for s in splits if s in _NOT_LETTERS.split(part.lower())]
        if len(named) == 1:
            return named[0]
    return None


def check(folder: Path, drafts: Sequence[Draft]) -> None:
    """Reads the header of every clip: sets `clip_duration`, flags clips that are missing or broken."""
    with_clip = [d for d in drafts if d.clip is not None]
    names = list(dict.fromkeys(str(d.clip) for d in with_clip))
    paths = [folder / name for name in names]
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    # Opening files is mostly waiting, on a network disk above all; handing them over one by one costs more
    # than reading them.
    with ThreadPoolExecutor(max_workers=4) as pool:
        results = chain.from_iterable(pool.map(_examine_all, batches))
        healths = dict(zip(names, results, strict=True))
    for draft in with_clip:
        health = healths[str(draft.clip)]
        draft.clip_duration = _own_length(draft, health.duration)
        if health.problem:
            draft.flags.add(health.problem)
        elif health.duration is not None and (draft.clip_end or 0.0) > health.duration + _CUT_SLACK:
            draft.flags.add("cut_past_end")


def _own_length(draft: Draft, whole: float | None) -> float | None:
    """Seconds of the utterance's own part of its clip; of the clip where it is all the utterance's."""
    if draft.clip_start is None or draft.clip_end is None:
        return whole
    end = draft.clip_end if whole is None else min(draft.clip_end, whole)
    return round(max(end - draft.clip_start, 0.0), 6)


def _examine_all(paths: Sequence[Path]) -> list[Health]:
    return [examine(path) for path in paths]


def examine(path: Path) -> Health:
    """What a clip's header says of its health and length; the sound itself is not decoded."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for whoever writes into it.
            return Health("clip_unreadable")
        with path.open("rb", buffering=0) as file:
            size = status.st_size
            head = file.read(12)
            suffix = path.suffix.lower()
            if suffix in _MP4:
                return Health("" if _has_movie(file, size) else "clip_unreadable")
    except OSError:
        return Health("clip_unreadable")
    if not size or (suffix in _MAGIC and not head.startswith(_MAGIC[suffix])):
        return Health("clip_unreadable")
    return Health() if suffix in _OTHERS else _sound_info(path, head, size)


def _sound_info(path: Path, head: bytes, size: int) -> Health:
    import soundfile

    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError:
        return Health("clip_unreadable")
    except TypeError:
        # The name is that of sound without a header, which nothing tells the rate of.
        return Health()
    if info.format == "RAW":
        # Only the name says that this is sound.
        return Health()
    if not info.frames or not info.samplerate:
        return Health("clip_unreadable")
    announced = int.from_bytes(head[4:8], "little")
    # libsndfile reads a WAV that ends too early without a word; the last byte may be padding.
    short = head[:4] == b"RIFF" and announced not in _UNKNOWN_SIZES and announced + 7 > size
    return Health("clip_truncated" if short else "", round(info.frames / info.samplerate, 6))


def _has_movie(file: BinaryIO, size: int) -> bool:
    """Whether the boxes of an MP4 fit into the file and the index (`moov`) is among them."""
    place = 0
    kinds: set[bytes] = set()
    while place < size:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return False
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:
            length = size - place
        if length < 8 or place + length > size:
            return False
        kinds.add(head[4:8])
        place += length
    return b"ftyp" in kinds and b"moov" in kinds
