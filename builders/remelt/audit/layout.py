"""What has to be known of a dataset as a whole before its rows are read: labels, roles of its columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import InputError, bad_value
from .files import Columns
from .matrix import Codes
from .voice_columns import SECONDS, SHOWN_ELSEWHERE

BEFORE = "original_label"
AFTER = "label"
MAX_LABELS = 100
REPAIRED = ("text_repaired", "text")
ROLES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "key", "filename", "file"),
    "speaker": ("speaker", "speakerid", "character", "actor"),
    "text": ("textrepaired", "text", "utterance", "transcript", "transcription", "sentence"),
    "season": ("season",),
    "duration": ("duration",),
    "start": ("start", "starttime"),
    "end": ("end", "endtime"),
    "clip": ("clip",),
    "flags": ("flags",),
    "character_match": ("charactermatch",),
    "annotator": ("annotator",),
}
_UNSHOWN = ("dialogueid", "utteranceid", "episode", "changed", "split", "text", "textrepaired", "srno")
_CLOCK = re.compile(r"\s*(\d+):(\d{1,2}):(\d{1,2})(?:[.,](\d+))?\s*")


class Source(Protocol):
    """A dataset's columns: `files.Columns`, all at once, or `batches.Batches`, some rows at a time."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """Column -> the names of its classes, where it is a ClassLabel."""

    @property
    def splits(self) -> tuple[str, ...]:
        """All of them, in order."""

    def batches(self, wanted: Collection[str]) -> Iterator[Columns]:
        """The rows with at least the wanted columns."""


@dataclass(frozen=True, slots=True)
class Side:
    """One label column: where it stands, its name as to be shown, its classes (empty unless a ClassLabel)."""

    column: str
    name: str
    class_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What all rows of a dataset have in common.

    Attributes:
        name: the folder's or file's name.
        names: the columns.
        sides: the columns of the label before and after.
        labels: all labels of either side; ClassLabel order first, then by name.
        fields: further columns that hold text.
        timed_by: the column of a row's length, or those of its start and end.
        notes: what a reader of the numbers has to know about the reading.
    """

    name: str
    names: tuple[str, ...]
    sides: tuple[Side, Side]
    labels: tuple[str, ...]
    fields: tuple[str, ...]
    timed_by: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def before_name(self) -> str:
        """Where the label before comes from, as to be shown."""
        return self.sides[0].name

    @property
    def after_name(self) -> str:
        """Where the label after comes from, as to be shown."""
        return self.sides[1].name

    @property
    def repaired(self) -> bool:
        """Whether there is a repaired copy of the texts."""
        return all(name in self.names for name in REPAIRED)

    @property
    def counted(self) -> frozenset[str]:
        """The columns that the numbers come from."""
        roles = map(self.role, ("speaker", "text", "season", "flags", "character_match"))
        texts = REPAIRED if self.repaired else ()
        found = {*roles, *texts, *self.timed_by, *(side.column for side in self.sides)}
        return frozenset(name for name in found if name is not None)

    def role(self, name: str) -> str | None:
        """The column of a role (see `ROLES`); None where there is none."""
        return role(self.names, name)

    def encode(self, values: Sequence[object]) -> Codes:
        """The places of labels in `labels`; -1 for none."""
        index: dict[str | None, int] = {None: -1, **{label: i for i, label in enumerate(self.labels)}}
        return np.array([index[fold(v)] for v in values], dtype=np.int64)


@dataclass(slots=True)
class _Seen:
    """The labels of one column, and how they are spelled where that is not how they are compared."""

    side: Side
    labels: set[str | None] = field(default_factory=set)
    spellings: set[str] = field(default_factory=set)

    def add(self, values: Sequence[object]) -> None:
        for value in values:
            label = fold(value)
            self.labels.add(label)
            if label is not None and label != value:
                self.spellings.add(str(value))


def layout_of(path: Path, source: Source, before: str | None, after: str | None) -> Layout:
    """The layout of one dataset with both label columns in it.

    Raises:
        InputError: a label column that is not there, or is none; the message names the columns.
    """
    sides = (side(source, path, before or BEFORE), side(source, path, after or AFTER))
    return lay_out(path.name or path.resolve().name, source, sides, {s.column for s in sides})


def side(source: Source, path: Path, name: str) -> Side:
    """A column of labels.

    Raises:
        InputError: it is not there, or holds lists.
    """
    if name not in source.names:
        raise InputError(f"{path}: {bad_value('column', name, source.names)}")
    for columns in source.batches((name,)):
        first = next((v for v in columns.values[name] if v is not None), None)
        if isinstance(first, list):
            raise InputError(f"{path}: column {name!r} holds lists; a label column has one label per row")
        if first is not None:
            break
    return Side(name, name, source.class_names.get(name, ()))


def lay_out(name: str, source: Source, sides: tuple[Side, Side], used: Collection[str]) -> Layout:
    """The layout of a dataset whose label columns are known; `used` columns are no further text.

    Raises:
        InputError: a column has too many different values to be one of labels.
    """
    labels, notes = _labels(source, sides)
    return Layout(
        name=name,
        names=source.names,
        sides=sides,
        labels=labels,
        fields=tuple(text_columns(source, used)),
        timed_by=_timed_by(source),
        notes=notes,
    )


def text_columns(source: Source, used: Iterable[str]) -> Iterator[str]:
    """The columns that hold any text and no row's own place, words or labels."""
    taken = {*used, *SHOWN_ELSEWHERE, *(role(source.names, name) for name in ROLES)}
    for name in source.names:
        if name in taken or _plain(name) in _UNSHOWN:
            continue
        if any(isinstance(v, str) and v for c in source.batches((name,)) for v in c.values[name]):
            yield name


def role(names: Iterable[str], wanted: str) -> str | None:
    """The column of a role (see `ROLES`); None where there is none."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    return next((plain[n] for n in ROLES[wanted] if n in plain), None)


def fold(value: object) -> str | None:
    """A label as it is compared: lower case, without spaces around it; None for none."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    return str(value).strip().casefold() or None


def seconds(value: object) -> float | None:
    """A number of seconds from a number or a clock time; None where it is neither.

    >>> seconds("00:16:21,731"), seconds("2.5"), seconds(3), seconds("soon")
    (981.731, 2.5, 3.0, None)
    """
    if isinstance(value, (int, float)):
        number = float(value)
    elif isinstance(value, str):
        clock = _CLOCK.fullmatch(value)
        if clock:
            hours, minutes, secs, part = clock.groups()
            return round(int(hours) * 3600 + int(minutes) * 60 + float(f"{secs}.{part or 0}"), 6)
        try:
            number = float(value)
        except ValueError:
            return None
    else:
        return None
    return number if np.isfinite(number) else None


def _labels(source: Source, sides: tuple[Side, Side]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    seen = [_Seen(side) for side in sides]
    for columns in source.batches({side.column for side in sides}):
        for found in seen:
            found.add(columns.values[found.side.column])
    named = [fold(n) for side in reversed(sides) for n in side.class_names]
    order = list(dict.fromkeys(n for n in named if n is not None))
    others = {label for found in seen for label in found.labels if label is not None} - set(order)
    for found in seen:
        if len(found.labels) > MAX_LABELS:
            raise InputError(
                f"Column {found.side.name!r} has {len(found.labels)} different values; "
                f"a label column has at most {MAX_LABELS}"
            )
    notes = [
        f"Labels of {found.side.name} were compared in lower case and without spaces around them "
        f"({len(found.spellings)} spellings, such as {min(found.spellings)!r})."
        for found in seen
        if found.spellings
    ]
    return (*order, *sorted(others)), tuple(notes)


def _timed_by(source: Source) -> tuple[str, ...]:
    """The column of the length; else those of start and end, else that of the measured sound."""
    own = role(source.names, "duration")
    if own is not None and _any_seconds(source, (own,)):
        return (own,)
    stamps = (role(source.names, "start"), role(source.names, "end"))
    stamped = tuple(name for name in stamps if name is not None)
    if len(stamped) == len(stamps) and _any_seconds(source, stamped):
        return stamped
    return (SECONDS,)


def _any_seconds(source: Source, names: tuple[str, ...]) -> bool:
    """Whether any row has a number of seconds in all of these columns."""
    return any(
        all(seconds(value) is not None for value in values)
        for columns in source.batches(names)
        for values in zip(*(columns.values[name] for name in names), strict=True)
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
