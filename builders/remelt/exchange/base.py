"""What every format of annotations takes and gives."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from ..errors import InputError, bad_value
from ..labels import LabelSet
from ..records import Vote
from ..rows import SUFFIXES, Table, cell, find, read_table

Kind = Literal["human", "model"]
KINDS: tuple[Kind, ...] = ("human", "model")
LABEL_COLUMNS = ("label", "emotion", "choice", "new_label", "llm_label")
CONFIDENCE_COLUMNS = ("confidence", "certainty")
NOTE_COLUMNS = ("note", "comment", "remark")
REMELT_ID = "remelt_id"


@dataclass(frozen=True, slots=True)
class Given:
    """One label that somebody gave elsewhere.

    Attributes:
        utterance_id: as the file has it: a full id, one without the corpus, or the name of a clip.
        source: who gave it, in the file's words; empty where the file does not say.
        kind: whether a person or a model did.
        label: as it stands in the file.
        confidence: how sure the source was, on its own scale; None where it does not say.
        note: what the source wrote beside it; None for nothing.
        place: file and row, for messages.
    """

    utterance_id: str
    source: str
    kind: Kind
    label: str
    confidence: float | None = None
    note: str | None = None
    place: str = ""


@dataclass(frozen=True)
class Reading:
    """What a file holds.

    Attributes:
        givens: in the file's order.
        left_out: how many entries are no labels, by what they are (`without a label`, `cancelled`, ...).
        notices: what the user should know of the file.
    """

    givens: Sequence[Given]
    left_out: Mapping[str, int] = field(default_factory=dict)
    notices: Sequence[str] = ()


@dataclass(frozen=True)
class ReadOptions:
    """How a file is to be read.

    Attributes:
        labels: the label set; it tells columns of labels from others.
        label_columns: the columns of a table, or the question of an annotation tool, that hold the label;
            empty to find them.
        id_column: the column with the id; None to find it.
        split: the split of rows that do not name one; None where there are several.
        kind: what the annotators of a table are (None: `human`); of a file that says it itself, those to
            take (None: all).
        each: of a remelt dataset, each annotator's labels in place of the resolved ones.
    """

    labels: LabelSet
    label_columns: tuple[str, ...] = ()
    id_column: str | None = None
    split: str | None = None
    kind: Kind | None = None
    each: bool = False


class Source:
    """A file or folder of annotations; a file's rows are read once.

    Raises:
        InputError: there is nothing at the path.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise InputError(f"No file or folder of annotations at {path}")
        self.path = path

    @cached_property
    def _table(self) -> Table:
        if self.path.is_dir() or self.path.suffix.casefold() not in SUFFIXES:
            raise InputError(bad_value("ending of a file of annotations", self.path.name, SUFFIXES))
        table = read_table(self.path)
        if not table.rows:
            raise InputError(f"{self.path} holds no rows")
        return table

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows of a table, or the objects of a JSON file.

        Raises:
            InputError: the file cannot be read, or holds nothing.
        """
        return self._table.rows

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names that any row has."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    def place(self, number: int) -> str:
        """File and line of a row, counted from 1, for messages; see `Table.place`."""
        return self._table.place(number)


@dataclass(frozen=True, slots=True)
class Item:
    """An utterance that somebody is to label.

    Attributes:
        context: what was said before, oldest first, each `SPEAKER: words`.
        clip: where the annotation tool finds the sound; None without one.
        label: the published label; None where there is none.
        votes: what each annotator said.
    """

    id: str
    split: str
    speaker: str
    text: str
    context: tuple[str, ...] = ()
    clip: str | None = None
    label: str | None = None
    votes: tuple[Vote, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """What is handed to annotators.

    Attributes:
        title: of the dataset.
        labels: what they choose from.
        items: in the order in which they are shown.
        blind: whether the labels of others are left out.
    """

    title: str
    labels: LabelSet
    items: Sequence[Item]
    blind: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """Everybody who voted on any item, in the order of the votes."""
        return tuple(dict.fromkeys(vote.source for item in self.items for vote in item.votes))


class Format(Protocol):
    """A module of this part. One that can be written has `WRITES` (names of `--format`), `files` and `write`.

    `write(to, sheet, form)` writes a sheet and gives the paths of its files; `files(to)` are these paths.
    """

    NAME: str
    TITLE: str

    def recognises(self, source: Source) -> bool:
        """Whether a file looks like this format; asked in the order of `ORDER`, lowest first."""
        ...

    def read(self, source: Source, options: ReadOptions) -> Reading:
        """The labels in a file.

        Raises:
            InputError: the file is not of this format, or holds what cannot be used.
        """
        ...


def confidence_of(value: Any, place: str) -> float | None:
    """A confidence as a number; None for an empty cell.

    Raises:
        InputError: it is no finite number.
    """
    if isinstance(value, (list, tuple)) and len(value) < 2:
        value = value[0] if value else None
    if isinstance(value, Mapping):
        value = value.get("rating")
    text = cell(value)
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InputError(f"{place}: Bad confidence {value!r}, expected a number")
    return found


def note_of(value: Any) -> str | None:
    """A note as one text; None for nothing."""
    if isinstance(value, Mapping):
        value = value.get("text")
    if isinstance(value, (list, tuple)):
        value = "\n".join(part for part in map(cell, value) if part)
    return cell(value) or None


def identity_of(data: Mapping[str, Any], asked: str | None, place: str) -> str:
    """The id among the data of a task.

    Raises:
        InputError: there is none; the message lists what there is.
    """
    names = (asked,) if asked else (REMELT_ID, "utterance_key", "id")
    name = find(data, names)
    found = cell(data.get(name)) if name else ""
    if not found:
        raise InputError(
            f"{place}: no utterance id under {list(names)!r}; it has {list(data)!r}, one of which "
            "--id-column can name"
        )
    return found


def question_of(names: Iterable[str], options: ReadOptions, place: str) -> str | None:
    """The question that asks for the label.

    Raises:
        InputError: none has the name asked for, or there are several and none is called label.
    """
    names = tuple(dict.fromkeys(names))
    if not names:
        return None
    wanted = options.label_columns or LABEL_COLUMNS
    found = find(names, wanted)
    if found is None and (options.label_columns or len(names) > 1):
        raise InputError(
            f"{place}: {bad_value('question', ', '.join(wanted), names)}; --label-column names the one that "
            "asks for the label"
        )
    return found or names[0]


def write_json(to: Path, value: Any) -> Path:
    """Writes a file of JSON whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    return write_text(to, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_text(to: Path, text: str) -> Path:
    """Writes a file whole or not at all; half of a surrogate pair becomes U+FFFD.

    Raises:
        InputError: it cannot be written.
    """
    part = to.with_name(f".{to.name}.part")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", errors="replace", newline="")
        part.replace(to)
    except OSError as error:
        # Cleaning up must not hide the error that led to it.
        with contextlib.suppress(OSError):
            part.unlink()
        raise InputError(f"{to} cannot be written: {error.strerror or error}") from error
    return to
