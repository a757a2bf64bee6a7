"""Strict reading of CSV and TSV: nothing is guessed, and what is wrong is named with its file and row."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import InputError

_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_ESCAPED_BYTES = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}


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
    if not data.strip():
        raise InputError(f"{name} is empty, expected a header and rows")
    text, odd_lines = _decode(data, name)
    nul = _stand_in(text) if "\0" in text else ""
    if nul:
        text = text.replace("\0", nul)
    records = _records(text, name, delimiter)
    columns = _header(records, name, delimiter, required)
    rows: list[RawRow] = []
    empty = 0
    for line, last, values in records:
        if not any(values):
            empty += bool(values)
            continue
        if len(values) != len(columns):
            raise InputError(
                f"{name}:{line}: {len(values)} fields, expected {len(columns)} as in the header; "
                "a quotation mark or a separator may be missing"
            )
        if nul:
            values = [value.replace(nul, "\0") for value in values]
        utf8 = not odd_lines or odd_lines.isdisjoint(range(line, last + 1))
        rows.append(RawRow(line, values, utf8))
    if not rows:
        raise InputError(f"{name} has a header but no rows")
    return RawTable(name, columns, tuple(rows), empty)


def _decode(data: bytes, name: str) -> tuple[str, set[int]]:
    """The text, and the numbers of the lines that are not UTF-8."""
    encoding = _BYTE_ORDER_MARKS.get(data[:2], "utf-8-sig")
    try:
        return data.decode(encoding), set()
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise InputError(f"{name} begins like {encoding} but is not: {error.reason}") from None
    lines: list[str] = []
    odd: set[int] = set()
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True), 1):
        decoded = line.decode("utf-8", "surrogateescape")
        latin = decoded.translate(_ESCAPED_BYTES)
        if latin != decoded:
            odd.add(number)
        lines.append(latin)
    return "".join(lines), odd


def _stand_in(text: str) -> str:
    """A character that the text does not have; the csv module of Python 3.10 refuses NUL."""
    return next(c for c in map(chr, range(0xF0000, 0xFFFFD)) if c not in text)


def _records(text: str, name: str, delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """First line, last line and fields of each record."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
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
