"""Strict reading of CSV and TSV: nothing is guessed, and what is wrong is named with its file and row."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from ..errors import InputError

_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ESCAPED_BYTES = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class RawRow:
    """One record: the line it begins on, its fields, and whether its bytes were UTF-8."""

    line: int
    values: list[str]
    utf8: bool = True


@dataclass(frozen=True, slots=True)
class RawTable:
    """The records under a header; `empty_rows` counts records in which every field is empty."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[RawRow, ...]
    empty_rows: int = 0

    def positions(self, columns: Iterable[str]) -> list[int]:
        """Where the columns stand in a record."""
        return [self.columns.index(column) for column in columns]


def parse(data: bytes, name: str, delimiter: str = ",", required: Sequence[str] = ()) -> RawTable:
    """Reads a delimited file with a header.

    UTF-8 (with or without byte order mark) or UTF-16 with byte order mark. Bytes that are not UTF-8 become
    the characters of the same number, as Latin-1 would have it, and their rows are marked; so nothing is
    lost, and a cp1252 quotation mark can still be told.

    Args:
        data: the file's bytes.
        name: the file's name, for messages.
        delimiter: between fields.
        required: columns that must be there.

    Raises:
        InputError: empty file, missing or doubled columns, a record with too few or too many fields, a
            broken quote, or a header without records.
    """
    stream = RawStream(lambda: io.BytesIO(data), name, delimiter, required)
    rows = tuple(stream.rows())
    return RawTable(name, stream.columns, rows, stream.empty_rows)


class RawStream:
    """The same, one row after the other; the file is gone through once before the first row is given.

    Args:
        open_file: opens the file anew, for bytes.
        name, delimiter, required: see `parse`.

    Attributes:
        columns: those of the header.
        empty_rows: records in which every field is empty, once all rows were read.

    Raises:
        InputError: empty file, missing or doubled columns.
    """

    def __init__(
        self, open_file: Callable[[], BinaryIO], name: str, delimiter: str = ",", required: Sequence[str] = ()
    ) -> None:
        self._open, self._name, self._delimiter = open_file, name, delimiter
        with open_file() as file:
            look = _look(file)
        if look.empty:
            raise InputError(f"{name} is empty, expected a header and rows")
        self._utf16, self._nul = look.utf16, ""
        if look.nul:
            self._nul = self._stand_in()
        self.empty_rows = 0
        with self._records(set()) as records:
            self.columns = _header(records, name, delimiter, required)

    def rows(self) -> Iterator[RawRow]:
        """The records under the header.

        Raises:
            InputError: a record with too few or too many fields, a broken quote, no record at all, bytes
                that are not UTF-16 where the file begins so.
        """
        name, nul, found, self.empty_rows = self._name, self._nul, False, 0
        odd: set[int] = set()
        with self._records(odd) as records:
            _header(records, name, self._delimiter, ())
            odd.clear()
            for line, _, values in records:
                utf8 = not odd
                odd.clear()
                if not any(values):
                    self.empty_rows += bool(values)
                    continue
                if len(values) != len(self.columns):
                    raise InputError(
                        f"{name}:{line}: {len(values)} fields, expected {len(self.columns)} as in the "
                        "header; a quotation mark or a separator may be missing"
                    )
                if nul:
                    values = [value.replace(nul, "\0") for value in values]
                found = True
                yield RawRow(line, values, utf8)
        if not found:
            raise InputError(f"{name} has a header but no rows")

    @contextmanager
    def _records(self, odd: set[int]) -> Iterator[Iterator[tuple[int, int, list[str]]]]:
        """First line, last line and fields of each record; `odd` gets the lines that are not UTF-8."""
        with self._open() as file:
            yield _records(self._lines(file, odd), self._name, self._delimiter)

    def _lines(self, file: BinaryIO, odd: set[int]) -> Iterator[str]:
        errors, encoding = ("strict", "utf-16") if self._utf16 else ("surrogateescape", "utf-8-sig")
        nul = self._nul
        try:
            for number, line in enumerate(io.TextIOWrapper(file, encoding, errors, newline=""), 1):
                if not line.isascii() and (latin := line.translate(_ESCAPED_BYTES)) != line:
                    odd.add(number)
                    line = latin
                yield line.replace("\0", nul) if nul else line
        except UnicodeDecodeError as error:
            raise InputError(f"{self._name} begins like utf-16 but is not: {error.reason}") from None

    def _stand_in(self) -> str:
        """A character that the text does not have; the csv module of Python 3.10 refuses NUL."""
        left = set(map(chr, range(0xF0000, 0xFFFFD)))
        with self._open() as file:
            for line in self._lines(file, set()):
                if not line.isascii():
                    left.difference_update(line)
        return min(left)


class _Look(NamedTuple):
    empty: bool
    nul: bool
    utf16: bool


def _look(file: BinaryIO) -> _Look:
    """What has to be known of a file before its first row is read."""
    block = file.read(_BLOCK)
    utf16 = block[:2] in _BYTE_ORDER_MARKS
    # UTF-16 is full of zero bytes.
    empty, nul = True, utf16
    while block and (empty or not nul):
        empty = empty and not block.strip()
        nul = nul or b"\0" in block
        block = file.read(_BLOCK)
    return _Look(empty, nul, utf16)


def _records(lines: Iterable[str], name: str, delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """First line, last line and fields of each record."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{name}:{line}: not readable as CSV ({error}); a quotation mark may be missing or doubled"
            ) from None
        yield line, reader.line_num, values


def _header(
    records: Iterator[tuple[int, int, list[str]]], name: str, delimiter: str, required: Sequence[str]
) -> tuple[str, ...]:
    columns = tuple(value.strip() for value in next((values for _, _, values in records if values), []))
    doubled = sorted({c for c in columns if columns.count(c) > 1 and c})
    if doubled:
        raise InputError(f"{name}: columns {doubled!r} occur twice in the header")
    missing = [column for column in required if column not in columns]
    if missing:
        raise InputError(f"{name}: {missing_columns(missing, columns)}{_separator_hint(columns, delimiter)}")
    return columns


def missing_columns(missing: Sequence[str], columns: Sequence[str]) -> str:
    """Which columns are missing, which are there, and which of those may be meant."""
    folded = {column.casefold().replace("_", " ").strip(" ."): column for column in columns}
    hints = []
    for column in missing:
        close = difflib.get_close_matches(column.casefold().replace("_", " ").strip(" ."), folded, 1, 0.75)
        if close:
            hints.append(f"{folded[close[0]]!r} for {column!r}")
    meant = f"; renamed? {', '.join(hints)}" if hints else ""
    return f"missing columns {list(missing)!r}, found {list(columns)!r}{meant}"


def _separator_hint(columns: Sequence[str], delimiter: str) -> str:
    for other, what in ((";", "';'"), ("\t", "tabs"), (",", "','")):
        if len(columns) == 1 and other != delimiter and other in columns[0]:
            return f"; the fields seem to be separated by {what}, expected {delimiter!r}"
    return ""
