"""What a corpus reader gives, and what readers share: safe names, splits, hashes, the row being read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError, bad_value
from ..records import Rating, Utterance, utterance_key

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SPLIT = re.compile(r"\w+(?:\.\w+)*", re.ASCII)
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_OFFICIAL_ORDER = ("train", "dev", "val", "valid", "validation", "test")


@dataclass(frozen=True)
class CorpusInfo:
    """What is known of a corpus before it is read.

    Attributes:
        name: the corpus's name in utterance ids, and the reader's name.
        title: the name people know it by.
        licence: as its publishers state it.
        homepage: where to get it.
        citation: BibTeX.
        layout: how its folder looks, in one sentence.
        labels: its own emotion names, lower case; empty where they are not fixed.
        language: ISO 639 code of its words; empty where it is not known.
        access: how to get it, in one sentence.
        counts: its own label -> utterances in the whole official corpus; empty where that is not known.
        utterances: how many the official corpus has; None where that is not known.
        speakers: how many speakers it has; None where that is not known.
        profile: the selection profile that suits it; empty for the general one.
    """

    name: str
    title: str
    licence: str
    homepage: str
    citation: str
    layout: str
    labels: tuple[str, ...] = ()
    language: str = ""
    access: str = ""
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)
    utterances: int | None = None
    speakers: int | None = None
    profile: str = ""


@dataclass(frozen=True)
class Corpus:
    """A corpus as it was read: every utterance of the asked splits, and every defect found.

    Attributes:
        name: as in the utterance ids.
        folder: what file and clip paths are relative to.
        utterances: train, dev, test (or as asked), then file order.
        files: label file path relative to the folder -> sha256. All files that were read, also those of
            splits that were not asked for, because checks across splits depend on them.
        defects: defect name -> {split: count}, zeros included; `defects.DEFECTS` says what each means.
        licence, homepage, citation: as in `CorpusInfo`.
        notes: sentences for the user about the reading.
        findings: counts that belong to the corpus as a whole, such as repeated texts; over all splits
            read.
        profile: as in `CorpusInfo`.
    """

    name: str
    folder: Path
    utterances: tuple[Utterance, ...]
    files: Mapping[str, str]
    defects: Mapping[str, Mapping[str, int]]
    licence: str
    homepage: str
    citation: str
    notes: tuple[str, ...] = ()
    findings: Mapping[str, int] = field(default_factory=dict)
    profile: str = ""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, in the order of the utterances."""
        return tuple(dict.fromkeys(u.split for u in self.utterances))

    def __len__(self) -> int:
        return len(self.utterances)


@dataclass(slots=True)
class Draft:
    """An utterance while it is read and checked; times are whole milliseconds, so that they stay exact.

    Attributes:
        serial: the corpus's running number of the row, where it has one.
        flags: the defects found so far.
        clip_start, clip_end: seconds into the clip file.
    """

    split: str
    dialogue_id: int | str
    utterance_id: int | str
    speaker: str
    text: str
    source: str
    id: str = ""
    text_repaired: str | None = None
    label: str | None = None
    sentiment: str | None = None
    season: int | None = None
    episode: int | None = None
    start: int | None = None
    end: int | None = None
    serial: str = ""
    clip: str | None = None
    clip_duration: float | None = None
    flags: set[str] = field(default_factory=set)
    sex: str | None = None
    session: str | None = None
    clip_start: float | None = None
    clip_end: float | None = None
    ratings: tuple[Rating, ...] = ()
    attributes: Mapping[str, float] = field(default_factory=dict)

    @property
    def words(self) -> str:
        return self.text if self.text_repaired is None else self.text_repaired

    @property
    def duration(self) -> int | None:
        """Milliseconds between the time stamps; None without both."""
        return None if self.start is None or self.end is None else self.end - self.start

    @property
    def recording(self) -> tuple[int | None, int | None] | None:
        """What the time stamps count from: season and episode; None where both are unknown."""
        if self.season is None and self.episode is None:
            return None
        return (self.season, self.episode)

    def freeze(self, corpus: str) -> Utterance:
        return Utterance(
            id=self.id or utterance_key(corpus, self.split, self.dialogue_id, self.utterance_id),
            corpus=corpus,
            split=self.split,
            dialogue_id=self.dialogue_id,
            utterance_id=self.utterance_id,
            speaker=self.speaker,
            text=self.text,
            text_repaired=self.text_repaired,
            label=self.label,
            sentiment=self.sentiment,
            season=self.season,
            episode=self.episode,
            start=None if self.start is None else self.start / 1000,
            end=None if self.end is None else self.end / 1000,
            clip=self.clip,
            clip_duration=self.clip_duration,
            flags=tuple(sorted(self.flags)),
            source=self.source,
            sex=self.sex,
            session=self.session,
            clip_start=self.clip_start,
            clip_end=self.clip_end,
            ratings=self.ratings,
            attributes=self.attributes,
        )


def by_split(drafts: Iterable[Draft]) -> dict[str, list[Draft]]:
    """The rows of each split, both in the order given."""
    splits: dict[str, list[Draft]] = {}
    for draft in drafts:
        splits.setdefault(draft.split, []).append(draft)
    return splits


def refuse_duplicates(drafts: Iterable[Draft], corpus: str) -> None:
    """Two rows with one id cannot be told apart afterwards, so such a corpus is not read.

    Raises:
        InputError: names the first such id, both places, and how many there are.
    """
    seen: dict[str, str] = {}
    clashes: list[str] = []
    for draft in drafts:
        key = draft.id or utterance_key(corpus, draft.split, draft.dialogue_id, draft.utterance_id)
        if key in seen:
            clashes.append(f"{key} in {seen[key]} and {draft.source}")
        else:
            seen[key] = draft.source
    if clashes:
        raise duplicate_error(clashes[0], len(clashes))


def duplicate_error(first: str, clashes: int) -> InputError:
    """What is raised for rows with one id.

    Args:
        first: the first such id with both places.
        clashes: how many rows have the id of an earlier row.
    """
    more = f" (and {clashes - 1} more)" if clashes > 1 else ""
    return InputError(f"Duplicate key: {first}{more}; dialogue and utterance must be unique in a split")


def safe_name(name: str) -> str:
    """A corpus name that can stand in ids and paths.

    Raises:
        InputError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"Bad corpus name {name!r}, expected a letter or digit, then letters, digits, '_', '.' or '-'"
        )
    return name


def safe_split(split: str, place: str) -> str:
    """A split name as the datasets library allows it.

    Args:
        split: the name.
        place: file and row, for the message.

    Raises:
        InputError: it has other characters than letters, digits, `_` and single dots.
    """
    if not _SPLIT.fullmatch(split) or len(split) > 64:
        raise InputError(f"{place}: bad split name {split!r}, expected letters, digits, '_' and single dots")
    return split


def safe_id(value: str, what: str, place: str) -> str:
    """A part of an utterance id that cannot leave a folder when it is used as a file name.

    Args:
        value: the part.
        what: the field, for the message.
        place: file and row, for the message.

    Raises:
        InputError: it is empty, a dot name, over 200 characters, or has slashes or control characters.
    """
    if (
        not value
        or value.strip() != value
        or value in (".", "..")
        or len(value) > 200
        or _UNSAFE.search(value)
    ):
        raise InputError(
            f"{place}: bad {what} {value!r}, expected 1 to 200 characters without slashes, "
            "control characters or outer spaces"
        )
    return value


def official_order(splits: Iterable[str]) -> tuple[str, ...]:
    """Splits as train, dev, test, then others by name.

    >>> official_order(["test", "extra", "train", "validation"])
    ('train', 'validation', 'test', 'extra')
    """
    known = {name: place for place, name in enumerate(_OFFICIAL_ORDER)}
    return tuple(sorted(dict.fromkeys(splits), key=lambda s: (known.get(s, len(known)), s)))


def pick_splits(asked: Sequence[str] | None, present: Sequence[str]) -> tuple[str, ...]:
    """The splits to give: those asked for, in that order, or all.

    Raises:
        InputError: a split is not there, or none was asked for.
    """
    if asked is None:
        return tuple(present)
    for split in asked:
        if split not in present:
            raise InputError(bad_value("split", split, present))
    if not asked:
        raise InputError(f"No split was asked for, expected some of {list(present)!r}")
    return tuple(dict.fromkeys(asked))


def whole_number(value: str) -> int | None:
    """A number of one to nine digits, spaces around it allowed; None for anything else."""
    value = value.strip()
    return int(value) if value.isdecimal() and value.isascii() and len(value) < 10 else None


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}") from None


def open_bytes(path: Path) -> BinaryIO:
    """Opens a file for reading.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}") from None


def sha256(path: Path) -> str:
    """The hash of a file, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
