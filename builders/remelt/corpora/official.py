"""What the readers of published corpora share: clips and texts by name, and known counts checked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ..errors import InputError
from . import media
from .base import CorpusInfo, Draft, read_bytes, sha256

_BATCH = 256
_CLASSES_NAMED = 6


@dataclass(frozen=True, slots=True)
class Text:
    """A text file's words, and whether its bytes were UTF-8 (else they were read as cp1252)."""

    words: str
    utf8: bool = True


def decode(data: bytes) -> Text:
    """Bytes as text: UTF-8 with or without byte order mark, else cp1252, else Latin-1.

    >>> decode("Café".encode("cp1252"))
    Text(words='Café', utf8=False)
    """
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return Text(data.decode(encoding), encoding == "utf-8-sig")
        except UnicodeDecodeError:
            continue
    return Text(data.decode("latin-1"), False)


def read_text(path: Path) -> Text:
    """A text file; see `decode`.

    Raises:
        InputError: it cannot be read.
    """
    return decode(read_bytes(path))


def head(path: Path, size: int = 1 << 16) -> str:
    """The beginning of a file, for telling what it is; bytes beyond ASCII become what Latin-1 has for them.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(size).decode("latin-1")
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}") from None


def read_texts(folder: Path, paths: Mapping[str, str]) -> dict[str, Text]:
    """Many small text files, several at a time.

    Args:
        folder: the corpus folder.
        paths: name -> path relative to the folder.

    Raises:
        InputError: one cannot be read.
    """
    places = [folder / path for path in paths.values()]
    batches = [places[start : start + _BATCH] for start in range(0, len(places), _BATCH)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        texts = chain.from_iterable(pool.map(_read_batch, batches))
        return dict(zip(paths, texts, strict=True))


def _read_batch(paths: Sequence[Path]) -> list[Text]:
    return [read_text(path) for path in paths]


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    return ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())


def stem(name: str) -> str:
    """A file's name without its ending."""
    return os.path.splitext(name)[0]


def nearest(folder: Path, files: Iterable[media.FoundFile], names: Iterable[str]) -> str | None:
    """The path of the file with one of these names (in any case) that lies least deep; None without one.

    Raises:
        InputError: several different files lie equally deep, as where a folder holds two releases.
    """
    wanted = frozenset(name.casefold() for name in names)
    found = [file.path for file in files if file.name.casefold() in wanted]
    depth = min((path.count("/") for path in found), default=0)
    least = sorted(path for path in found if path.count("/") == depth)
    if len(least) > 1 and len({sha256(folder / path) for path in least}) > 1:
        raise InputError(f"{folder} has different label files: {least}; name the folder of one release")
    return least[0] if least else None


def by_stem(files: Iterable[media.FoundFile], suffixes: Sequence[str]) -> dict[str, str]:
    """Name without ending -> path, of the files with these endings; the earlier ending is preferred.

    Of several files with one name and ending, the first in the order of paths.
    """
    ranks = {suffix: rank for rank, suffix in enumerate(suffixes)}
    found: dict[str, tuple[int, str]] = {}
    for file in files:
        name, suffix = os.path.splitext(file.name)
        rank = ranks.get(suffix.lower())
        if rank is not None and (name not in found or (rank, file.path) < found[name]):
            found[name] = (rank, file.path)
    return {name: path for name, (_, path) in found.items()}


def attach(
    drafts: Iterable[Draft], clips: Mapping[str, str], name_of: Callable[[Draft], str], notes: list[str]
) -> dict[str, dict[str, int]] | None:
    """Gives each row the clip of its name, and flags those without one where there are clips at all.

    Args:
        drafts: the rows; one that has a clip already keeps it.
        clips: name -> path.
        name_of: a row's clip name.
        notes: gets a sentence on clips that no row has.

    Returns:
        The split-level counts; None where there are no clips, so that the `media` family is not looked for.
    """
    drafts = list(drafts)
    named = {name_of(draft): draft for draft in drafts}
    if not clips and all(draft.clip is None for draft in drafts):
        notes.append("There are no clips: labels and text only.")
        return None
    for name, draft in named.items():
        if draft.clip is None:
            draft.clip = clips.get(name)
        if draft.clip is None:
            draft.flags.add("clip_missing")
    extra = sorted(name for name in clips if name not in named)
    if extra:
        shown = ", ".join(extra[:3]) + (", ..." if len(extra) > 3 else "")
        notes.append(f"{len(extra):,} clips have no row in the label files: {shown}.")
    splits = {draft.split for draft in drafts}
    return {"extra_clips": {splits.pop(): len(extra)}} if len(splits) == 1 else {}


def count_note(info: CorpusInfo, drafts: Sequence[Draft]) -> str | None:
    """A sentence on how a corpus differs from the published one; None where it does not.

    Args:
        info: with the known counts; those that are not known are not compared.
        drafts: all rows.
    """
    differences = []
    if info.utterances is not None and len(drafts) != info.utterances:
        differences.append(f"{len(drafts):,} utterances (published: {info.utterances:,})")
    found = Counter(draft.label for draft in drafts)
    differs = [name for name, count in info.counts.items() if found[name] != count]
    differences += [f"{name} {found[name]:,} ({info.counts[name]:,})" for name in differs[:_CLASSES_NAMED]]
    if len(differs) > _CLASSES_NAMED:
        differences.append(f"and {len(differs) - _CLASSES_NAMED} more classes")
    if not differences:
        return None
    return f"Not the whole published corpus, or another release: {', '.join(differences)}."
