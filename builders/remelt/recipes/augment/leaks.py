"""Finds rows to add that are rows of the corpus itself: trained on them, a model would know its test set."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError

if TYPE_CHECKING:
    from ...corpora import Corpus
    from ...records import Utterance
    from .augment import Row, Source

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """How much of the sound could be compared.

    Attributes:
        own: sound files of the corpus that are there.
        added: folder of a source -> sound files of it that were held against those.
        notes: sentences that say so.
    """

    own: int
    added: Mapping[Path, int]
    notes: tuple[str, ...]


def refuse_leaks(corpus: Corpus, sources: Sequence[Source]) -> Compared:
    """Makes sure that no row to add is of the corpus itself, and that none is added twice.

    Compared are the corpora's names, the utterances' ids, and, where both sides have their clips on this
    machine, the bytes of the sound files. The same sound in another file format is not noticed.

    Returns:
        How many sound files really were compared.

    Raises:
        InputError: the same corpus, id or sound file on both sides, or a row in two sources.
    """
    ids = {utterance.id for utterance in corpus.utterances}
    added: dict[str, Path] = {}
    for source in sources:
        _refuse_corpus(corpus, source)
        if shared := sorted(row.id for row in source.rows if row.id in ids):
            raise InputError(
                f"{len(shared):,} rows of {source.folder} have ids of {corpus.name}, such as "
                f"{_some(shared)}; rows of the corpus itself cannot be added to it"
            )
        if twice := sorted(row.id for row in source.rows if row.id in added):
            raise InputError(
                f"{len(twice):,} rows of {source.folder} are in {added[twice[0]]} too, such as {_some(twice)}"
            )
        added |= {row.id: source.folder for row in source.rows}
    return _refuse_sounds(corpus, sources)


def same_words(test: Iterable[Utterance], added: Iterable[Row]) -> int | None:
    """How many rows have the words of a row to add, said by a speaker of that name.

    Rows of acted corpora share their sentences, so that this alone is no proof of the same recording. Case
    and punctuation do not count; where one side names no speaker, the words alone are compared.

    Args:
        test: the rows that test.
        added: the rows to add.

    Returns:
        The number of rows of `test`; None where one side has no words at all.
    """
    known: dict[str, set[str]] = {}
    for row in added:
        if words := _words(row.text or ""):
            known.setdefault(words, set()).add(_words(row.speaker))
    said = [(words, _words(row.speaker)) for row in test if (words := _words(row.words))]
    if not known or not said:
        return None
    found = 0
    for words, speaker in said:
        speakers = known.get(words, set())
        found += bool(speakers) and (not speaker or "" in speakers or speaker in speakers)
    return found


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def _refuse_corpus(corpus: Corpus, source: Source) -> None:
    record = source.manifest["corpus"]
    files = set(corpus.files.values()) & set(record.get("files", {}).values())
    if record["name"] != corpus.name and not files:
        return
    what = (
        f"labels {corpus.name}" if record["name"] == corpus.name else f"was made from files of {corpus.name}"
    )
    raise InputError(
        f"{source.folder} {what}, the corpus that it would be added to: rows of the test folds would be "
        "trained on. Add the labels of another corpus"
    )


def _refuse_sounds(corpus: Corpus, sources: Sequence[Source]) -> Compared:
    ours = {u.clip: u.id for u in corpus.utterances if u.clip}
    sizes: dict[int, list[Path]] = {}
    names = {corpus.folder / clip: name for clip, name in ours.items()}
    for path in names:
        if (size := _size(path)) is not None:
            sizes.setdefault(size, []).append(path)
    own = sum(map(len, sizes.values()))
    known: dict[Path, str] = {}
    added, notes = {}, []
    for source in sources:
        wanted = {row.clip: row.id for row in source.rows if row.clip}
        theirs = {source.clips / clip: name for clip, name in wanted.items()} if source.clips else {}
        there = [path for path in theirs if _size(path) is not None]
        added[source.folder] = len(there) if own else 0
        notes.append(_told(corpus.name, (own, len(ours)), source.folder.name, (len(there), len(wanted))))
        same = [
            f"{theirs[path]} and {names[match]}"
            for path in there
            if (match := _same(path, sizes, known)) is not None
        ]
        if same:
            raise InputError(
                f"{len(same):,} clips of {source.folder} are clips of {corpus.name} ({_some(same)}): rows of "
                "the test folds would be trained on"
            )
    return Compared(own, added, tuple(notes))


def _told(corpus: str, own: tuple[int, int], source: str, theirs: tuple[int, int]) -> str:
    """What was compared, of the files that are there and those that are named."""
    for name, (there, named) in ((corpus, own), (source, theirs)):
        if not there:
            what = (
                f"none of the {named:,} clips that {name} names is here" if named else f"{name} has no clips"
            )
            return f"The sound was not compared: {what}."
    return (
        f"The sound of {theirs[0]:,} of the {theirs[1]:,} clips of {source} was compared with "
        f"{own[0]:,} of the {own[1]:,} of {corpus}; none is the same."
    )


def _same(path: Path, sizes: dict[int, list[Path]], known: dict[Path, str]) -> Path | None:
    """A clip of the corpus with the same bytes; only files of one size are read."""
    size = _size(path)
    for other in sizes.get(size, ()) if size is not None else ():
        if _sha256(path, known) == _sha256(other, known):
            return other
    return None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _sha256(path: Path, known: dict[Path, str]) -> str:
    from ...corpora.base import sha256

    if path not in known:
        try:
            known[path] = sha256(path)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return known[path]


def _some(items: Iterable[str]) -> str:
    return ", ".join(list(items)[:_SHOWN])
