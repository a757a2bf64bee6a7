"""Corpora whose rows are their sound files: the file's name says who speaks, what, and with which emotion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ..errors import InputError
from . import media, official
from .base import Corpus, CorpusInfo, Draft
from .defects import Family
from .finish import Reading, finish

# None of these corpora has official splits. `train` is what unsplit tables get too, and it is the split that
# thresholds and speaker counts are taken from unless one says otherwise.
SPLIT = "train"
# In order of preference where an utterance has several clips.
SOUND = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4")
VIDEO = (".flv", ".avi", ".mkv", ".mov", ".mpg", ".webm")
_EXAMPLES = 3
_REASONS = 6
_NAMED = 12
LFS_POINTER = b"version https://git-lfs"

Kind = Literal["unknown", "other"]


@dataclass(frozen=True, slots=True)
class Aside:
    """Why a file is no row.

    Attributes:
        why: the reason, in words that many files share; they are counted by it.
        kind: `unknown` where the name cannot be read, `other` for recordings left out on purpose.
    """

    why: str
    kind: Kind = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a file's name says.

    Attributes:
        stem: the corpus's own name of the recording, as it should be written; unique in the corpus.
        label: in the corpus's own names, lower case.
        mended: whether the file's name is written otherwise.
    """

    stem: str
    speaker: str
    text: str
    label: str
    sex: str | None = None
    attributes: Mapping[str, float] = field(default_factory=dict)
    mended: bool = False


Parse = Callable[[media.FoundFile], Entry | Aside]


@dataclass(frozen=True)
class Collection:
    """The clips of a corpus folder.

    Attributes:
        drafts: one per recording, by speaker and name.
        notes: sentences on what was left aside or mended.
        findings: `unknown_names`, `other_recordings`, `copies` and `mended_names`: files, zeros included.
        reasons: why files were left aside, the most frequent reason first.
    """

    drafts: tuple[Draft, ...]
    notes: tuple[str, ...]
    findings: Mapping[str, int]
    reasons: tuple[str, ...] = ()


def is_media(name: str) -> bool:
    """Whether a file's name is one of a sound or video file."""
    return os.path.splitext(name)[1].lower() in (*SOUND, *VIDEO)


def any_clip(folder: Path, parse: Parse) -> bool:
    """Whether a sound or video file below a folder has a name of the corpus."""
    return folder.is_dir() and any(
        is_media(file.name) and isinstance(parse(file), Entry) for file in media.walk(folder)
    )


def collect(folder: Path, files: Iterable[media.FoundFile], name: str, parse: Parse) -> Collection:
    """Reads the names of all sound files below a folder.

    A name that cannot be read costs its own file and no other; it is counted and told. Of several files of
    one recording the one in the preferred format nearest to the folder counts.

    Args:
        folder: the corpus folder.
        files: as `media.walk` gives them.
        name: the corpus's name in ids.
        parse: what a file's name says; it is not asked about files that hold no sound.
    """
    found: dict[str, tuple[str, Entry]] = {}
    copies: list[tuple[str, str]] = []
    aside: dict[Aside, list[str]] = {}
    for file in files:
        suffix = os.path.splitext(file.name)[1].lower()
        if suffix not in SOUND and suffix not in VIDEO:
            continue
        entry = parse(file) if suffix in SOUND else Aside("video without a reader", "other")
        if isinstance(entry, Aside):
            aside.setdefault(entry, []).append(file.path)
        elif entry.stem in found:
            first, second = sorted((found[entry.stem], (file.path, entry)), key=lambda e: _preference(e[0]))
            found[entry.stem] = first
            copies.append((second[0], first[0]))
        else:
            found[entry.stem] = (file.path, entry)
    rows = sorted(found.values(), key=lambda item: (item[1].speaker, item[1].stem))
    mended = [f"{path} is {entry.stem}" for path, entry in rows if entry.mended]
    notes = [*_aside_notes(aside), *_copy_notes(folder, copies)]
    if mended:
        notes.append(f"{_files(len(mended))} with a slip in the name, read as meant: {_some(mended)}.")
    findings = {
        "unknown_names": sum(len(paths) for left, paths in aside.items() if left.kind == "unknown"),
        "other_recordings": sum(len(paths) for left, paths in aside.items() if left.kind == "other"),
        "copies": len(copies),
        "mended_names": len(mended),
    }
    reasons = sorted(aside, key=lambda left: -len(aside[left]))
    drafts = tuple(draft(name, entry, path) for path, entry in rows)
    return Collection(drafts, tuple(notes), findings, tuple(left.why for left in reasons))


def draft(name: str, entry: Entry, clip: str | None, source: str = "") -> Draft:
    """The row of a recording; each is a dialogue of its own, because nothing was said before it.

    Args:
        name: the corpus's name in ids.
        entry: what the name says.
        clip: the file below the corpus folder; None without one.
        source: where the name was found, if not the clip.
    """
    return Draft(
        id=f"{name}/{SPLIT}/{entry.stem}",
        split=SPLIT,
        dialogue_id=entry.stem,
        utterance_id=0,
        speaker=entry.speaker,
        text=entry.text,
        label=entry.label,
        sex=entry.sex,
        attributes=entry.attributes,
        clip=clip,
        source=source or clip or "",
    )


def complete(
    info: CorpusInfo,
    folder: Path,
    collection: Collection,
    splits: Sequence[str] | None,
    *,
    files: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Corpus:
    """Checks the clips' headers, compares the counts with the official ones, and gives the corpus.

    Args:
        info: the corpus; its name stands in the ids.
        folder: the corpus folder.
        collection: its rows.
        splits: the splits asked for; `train` is the only one.
        files: tables that were read -> sha256.
        notes: further sentences.

    Raises:
        InputError: there is no row at all, or another split was asked for.
    """
    drafts = collection.drafts
    if not drafts:
        why = f": {'; '.join(collection.reasons[:_REASONS])}" if collection.reasons else ""
        raise InputError(f"No clip of {info.title} below {folder}{why}; expected {info.layout}")
    families: frozenset[Family] = frozenset({"media"} if any(d.clip for d in drafts) else ())
    told = (
        _compared(info, drafts),
        f"The corpus has no official splits: all rows are {SPLIT!r}.",
        *collection.notes,
        *notes,
    )
    corpus = finish(Reading(info, folder, drafts, files or {}, families, told), splits)
    pointers = _pointer_note(folder, drafts)
    return replace(
        corpus,
        notes=(*corpus.notes, *pointers),
        findings={**corpus.findings, **collection.findings},
    )


def _compared(info: CorpusInfo, drafts: Sequence[Draft]) -> str:
    """How the rows compare with the published corpus."""
    differs = official.count_note(info, drafts)
    if differs is None:
        return f"All {len(drafts):,} rows of the published corpus are there, with its counts of each label."
    speakers = sorted({d.speaker for d in drafts})
    if info.speakers is None or len(speakers) == info.speakers:
        return differs
    return f"{differs} {len(speakers)} of {info.speakers} speakers: {_some(speakers, _NAMED)}."


def _aside_notes(aside: Mapping[Aside, Sequence[str]]) -> Iterator[str]:
    ordered = sorted(aside.items(), key=lambda item: (item[0].kind == "other", -len(item[1]), item[0].why))
    for left, paths in ordered[:_REASONS]:
        yield f"{_files(len(paths))} left aside, {left.why}: {_some(paths)}."
    rest = [path for _, paths in ordered[_REASONS:] for path in paths]
    if rest:
        yield f"{_files(len(rest))} left aside for {len(ordered) - _REASONS} further reasons: {_some(rest)}."


def _copy_notes(folder: Path, copies: Sequence[tuple[str, str]]) -> Iterator[str]:
    if not copies:
        return
    pairs = [f"{copy} (of {kept})" for copy, kept in copies]
    yield f"{_files(len(copies))} left aside, another file of the same recording: {_some(pairs, 2)}."
    other = [
        f"{copy} and {kept}"
        for copy, kept in copies
        if os.path.splitext(copy)[1].lower() == os.path.splitext(kept)[1].lower()
        and _size(folder / copy) != _size(folder / kept)
    ]
    if other:
        yield f"{_files(len(other))} among them of another size than the one kept: {_some(other, 2)}."


def _size(path: Path) -> int | None:
    """Bytes; None for a link that leads nowhere."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _pointer_note(folder: Path, drafts: Iterable[Draft]) -> Iterator[str]:
    """Corpora that are cloned from Git without its large file storage hold pointers instead of sound."""
    broken = [d for d in drafts if d.clip is not None and "clip_unreadable" in d.flags]
    pointers = [d.clip for d in broken if d.clip is not None and _is_pointer(folder / d.clip)]
    if pointers:
        yield (
            "Git-LFS pointers in place of sound, which `git lfs pull` fetches: "
            f"{_files(len(pointers))}, {_some(pointers)}."
        )


def _is_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        return False


def _preference(path: str) -> tuple[int, int, str]:
    return SOUND.index(os.path.splitext(path)[1].lower()), path.count("/"), path


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"


def _some(items: Sequence[str], most: int = _EXAMPLES) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most:,} more" if len(items) > most else "")
