"""Tables of rows that come from elsewhere: reads them, and finds which utterance each row speaks of."""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet")
ID_COLUMNS = ("id", "utterance_key", "key")
DIALOGUE_COLUMNS = ("dialogue_id", "dialog_id", "dialogue", "dia")
UTTERANCE_COLUMNS = ("utterance_id", "utt_id", "utt")
FILE_COLUMNS = ("filename", "file_name", "file", "clip")
SPLIT_COLUMNS = ("split",)

_NAME = re.compile(r"dia(?P<dialogue>[^/]+?)_utt(?P<utterance>[^/]+?)(?:\.\w{2,5})?")
_NAMED = re.compile(r"dia[^/]+_utt")
_BREAK = re.compile(r"\r\n|\r|\n")
_BLOCK = 1 << 20
_AT_ONCE = 2048

Row = Mapping[str, Any]


class Keys:
    """Finds the key columns of a table and reads a row's key from them.

    A key is a full id (`meld/train/dia0_utt3`) or one without the corpus (`train/dia0_utt3`).

    Args:
        path: the file, for messages.
        columns: those of the table.
        split: the split that rows belong to where they do not say so themselves.
        first: the first row; it tells ids from row numbers.
        advice: how rows get a split, for the message where they need one.
        column: the column with the id; None to find it.
        any_name: whether a file name that is no `dia0_utt3` is a key too, as it stands.

    Raises:
        InputError: the table has no such columns.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        split: str | None,
        first: Row,
        advice: str,
        column: str | None = None,
        any_name: bool = False,
    ) -> None:
        self._split, self._advice, self._any = split, advice, any_name
        self._id = find(columns, (column,) if column else ID_COLUMNS)
        self._split_column = find(columns, SPLIT_COLUMNS)
        self._pair = (find(columns, DIALOGUE_COLUMNS), find(columns, UTTERANCE_COLUMNS))
        self._file = find(columns, FILE_COLUMNS)
        if column and self._id is None:
            raise InputError(f"{path}: Bad id column {column!r}, expected one of {list(columns)!r}")
        if (
            None not in self._pair
            and self._id
            and column is None
            and not _NAMED.search(cell(first.get(self._id)))
        ):
            # A column of row numbers is often called 'id'.
            self._id = None
        if self._id is None and None in self._pair and self._file is None:
            raise InputError(
                f"{path} has no key: it needs 'Dialogue_ID' and 'Utterance_ID', 'id', or 'filename' "
                f"(dia0_utt3.wav); it has {list(columns)!r}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a key may be read from."""
        found = (self._id, self._split_column, *self._pair, self._file)
        return tuple(name for name in found if name is not None)

    def key(self, place: str, row: Row) -> str:
        """The key of a row.

        Args:
            place: file and row, for messages (see `Table.place`).

        Raises:
            InputError: the row has none, or no split.
        """
        dialogue, utterance = self._pair
        if self._id is not None:
            return self._from_name(place, cell(row.get(self._id)), row)
        if dialogue is not None and utterance is not None:
            pair = (whole_number(row.get(dialogue)), whole_number(row.get(utterance)))
            if not all(pair):
                raise InputError(f"{place}: an empty {dialogue} or {utterance}")
            return f"{self._split_of(place, row)}/dia{pair[0]}_utt{pair[1]}"
        return self._from_name(place, cell(row.get(self._file or "")), row)

    def _from_name(self, place: str, name: str, row: Row) -> str:
        match = _NAME.fullmatch(name.replace("\\", "/").rpartition("/")[2])
        if name and ((self._id is not None and ("/" in name or match is None)) or (self._any and not match)):
            return name
        if match is None:
            raise InputError(
                f"{place}: bad key {name!r}, expected one like 'meld/train/dia0_utt3' or 'dia0_utt3.wav'"
            )
        return f"{self._split_of(place, row)}/dia{match['dialogue']}_utt{match['utterance']}"

    def _split_of(self, place: str, row: Row) -> str:
        if self._split_column is not None and cell(row.get(self._split_column)):
            return cell(row.get(self._split_column))
        if self._split is None:
            raise InputError(f"{place}: {self._advice}")
        return self._split


def find(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """The first of these names among the columns; case, spaces and hyphens do not matter.

    >>> find(["Dialogue ID", "Label"], ("label", "emotion"))
    'Label'
    """
    folded = {fold(c): c for c in reversed(list(columns))}
    return next((folded[fold(n)] for n in names if fold(n) in folded), None)


def fold(name: str) -> str:
    """A column's name without what does not matter in it."""
    return re.sub(r"[\s-]+", "_", name.strip()).casefold()


def cell(value: Any) -> str:
    """A cell's text without space around it; empty for None and for a number that is none."""
    return "" if value is None or value != value else str(value).strip()


def whole_number(value: Any) -> str:
    """`3` for 3, '3' and the '3.0' that a column with gaps becomes; any other id as it is."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", cell(value))


@dataclass(frozen=True)
class Table:
    """The rows of a file, and where they stand in it.

    Attributes:
        rows: in the file's order.
        lines: the line on which each begins, counted from 1 as an editor does; empty where the format has
            none (Parquet, a JSON list).
    """

    path: Path
    rows: Sequence[dict[str, Any]]
    lines: Sequence[int] = ()

    def place(self, number: int) -> str:
        """File and line of a row, counted from 1, for messages; its number where there are no lines."""
        return f"{self.path}, " + (f"line {self.lines[number - 1]}" if self.lines else f"row {number}")


@dataclass(frozen=True)
class RowStream:
    """The rows of a file, one after the other, as often as they are asked for.

    Attributes:
        rows: gives each row with its line, counted from 1; with its number where the format has no lines.
        lines: whether it has.
        alike: whether all rows have the same columns.
    """

    path: Path
    rows: Callable[[], Iterator[tuple[int, dict[str, Any]]]]
    lines: bool = False
    alike: bool = False

    def place(self, number: int) -> str:
        """File and line (or number) of a row, for messages."""
        return f"{self.path}, {'line' if self.lines else 'row'} {number}"

    def columns(self) -> list[str]:
        """Those of all rows; goes through the file where rows may have their own."""
        found: dict[str, None] = {}
        for _, row in self.rows():
            found.update(dict.fromkeys(row))
            if self.alike:
                break
        return list(found)


def read_table(path: Path) -> Table:
    """The rows of a CSV, TSV, JSON Lines, JSON or Parquet file.

    Raises:
        InputError: the file cannot be read as what its ending says.
    """
    stream = stream_table(path)
    pairs = list(stream.rows())
    return Table(path, [row for _, row in pairs], [line for line, _ in pairs] if stream.lines else ())


def stream_table(path: Path) -> RowStream:
    """The same for a file of any size; only a JSON list is held in memory.

    Raises:
        InputError: the file cannot be opened; its rows raise it where they are not what the ending says.
    """
    suffix = path.suffix.casefold()
    if suffix == ".parquet":
        return RowStream(path, lambda: _parquet_rows(path), alike=True)
    encoding = _encoding(path)
    if suffix not in (".jsonl", ".ndjson", ".json"):
        return RowStream(path, lambda: _csv_rows(path, encoding), lines=True, alike=True)
    listed = next((line for line in _text_lines(path, encoding) if line.strip()), "").lstrip()[:1] == "["
    return RowStream(path, lambda: _json_rows(path, encoding, listed), lines=not listed)


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_AT_ONCE):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error


def _encoding(path: Path) -> str:
    """That of the file's text; published CSVs come as UTF-8 with or without BOM, UTF-16 or cp1252.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            marked = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
            for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp1252", "latin-1"):
                file.seek(0)
                decoder = codecs.getincrementaldecoder(encoding)()
                try:
                    while block := file.read(_BLOCK):
                        decoder.decode(block)
                    decoder.decode(b"", True)
                    return encoding
                except UnicodeDecodeError:
                    continue
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    raise InputError(f"{path} is not text in UTF-8, UTF-16 or cp1252")


def _text_lines(path: Path, encoding: str, newline: str = "\n") -> Iterator[str]:
    with path.open(encoding=encoding, newline=newline) as file:
        for line in file:
            yield line.replace("\0", "") if "\0" in line else line


def file_sha256(path: Path) -> str:
    """The sha256 of a file, as 64 hexadecimal digits."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _csv_rows(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with the line on which it begins."""
    header = next(_text_lines(path, encoding), "")
    delimiter = max("\t;,", key=header.count) if path.suffix.casefold() != ".tsv" else "\t"
    reader = csv.DictReader(_text_lines(path, encoding, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if any(row.pop(None, None) or ()):
                raise InputError(f"{path}, line {reader.line_num}: more cells than the header has columns")
            # The reader stands at the row's last line; a cell in quotes may have several.
            yield reader.line_num - sum(len(_BREAK.findall(value or "")) for value in row.values()), row
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num + 1}: not a table ({error})") from None


def _json_rows(path: Path, encoding: str, listed: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with its line, or with its number in a list."""
    lines: Iterable[tuple[int, str]] = enumerate(_text_lines(path, encoding), 1)
    if listed:
        lines = [(1, "".join(line for _, line in lines))]
    count = 0
    for number, line in lines:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: not JSON ({error})") from None
        for row in value if isinstance(value, list) else [value]:
            if not isinstance(row, dict):
                raise InputError(f"{path}, line {number}: a row must be a JSON object")
            count += 1
            yield count if listed else number, row
