"""CSV is read strictly: structure errors name file and row, odd bytes are kept and marked."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt.corpora.delimited import parse
from remelt.errors import InputError


def values(data: bytes, **options: object) -> list[list[str]]:
    return [row.values for row in parse(data, "f.csv", **options).rows]  # type: ignore[arg-type]


def test_quotes_commas_and_line_breaks_in_fields() -> None:
    table = parse(b'a,b\r\n1,"x, ""y""\nz"\r\n2,w\r\n', "f.csv")
    assert [row.values for row in table.rows] == [["1", 'x, "y"\nz'], ["2", "w"]]
    assert [row.line for row in table.rows] == [2, 4]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"f\.csv is empty"),
        (b" \r\n\r\n", r"f\.csv is empty"),
        (b"a,b\r\n", r"f\.csv has a header but no rows"),
        (b"a,b\r\n,\r\n", r"f\.csv has a header but no rows"),
        (b"a,b\n1,2\n1,2,3\n", r"f\.csv:3: 3 fields, expected 2"),
        (b"a,b\n1,2\n1\n", r"f\.csv:3: 1 fields, expected 2"),
        (b'a,b\n1,2\n1,"never closed\n5,6\n', r"f\.csv:3: not readable as CSV"),
        (b'a,b\n"x"y,2\n', r"f\.csv:2: not readable as CSV"),
        (b"a,a\n1,2\n", r"columns \['a'\] occur twice"),
        (b"a;c\n1;2\n", r"missing columns \['a'\].*separated by ';'"),
        (b"b,c\n1,2\n", r"missing columns \['a'\], found \['b', 'c'\]"),
        (b"\xff\xfea\x00\xd8", r"begins like utf-16 but is not"),
    ],
)
def test_structure_errors_name_file_and_row(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(data, "f.csv", required=["a"])


def test_an_unclosed_quote_in_a_large_file_is_an_error_of_its_row() -> None:
    with pytest.raises(InputError, match=r"f\.csv:2: not readable as CSV"):
        parse(b'a,b\n1,"never closed\n' + b"x,y\n" * 100_000, "f.csv")


def test_renamed_columns_are_guessed_in_the_message() -> None:
    with pytest.raises(InputError, match=r"renamed\? 'Sr_No\.' for 'Sr No\.', 'Dialog_ID' for"):
        parse(b"Sr_No.,Dialog_ID\n1,2\n", "f.csv", required=["Sr No.", "Dialogue_ID"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_a_mark(encoding: str) -> None:
    assert values("a,b\r\né,“x”\r\n".encode(encoding)) == [["é", "“x”"]]


def test_rows_that_are_not_utf8_are_marked_and_kept() -> None:
    data = "a,b\n1,it’s\n".encode() + b"2,it\x92s\n" + '3,"é\n'.encode() + b'x\xe9"\n' + b"4,ok\n"
    table = parse(data, "f.csv")
    assert [row.values[1] for row in table.rows] == ["it’s", "it\x92s", "é\nxé", "ok"]
    assert [row.utf8 for row in table.rows] == [True, False, False, True]


def test_nul_bytes_are_kept() -> None:
    assert values(b"a,b\n1,x\0y\n") == [["1", "x\0y"]]


def test_blank_lines_are_nothing_and_empty_rows_are_counted() -> None:
    table = parse(b"\n\na,b\n\n1,2\n,\n3,4\n\n", "f.csv")
    assert [row.values for row in table.rows] == [["1", "2"], ["3", "4"]]
    assert [row.line for row in table.rows] == [5, 7]
    assert table.empty_rows == 1


def test_line_separators_of_unicode_do_not_split_rows() -> None:
    assert values("a,b\n1,x\x85y\u2028z\x0bw\n".encode()) == [["1", "x\x85y\u2028z\x0bw"]]


@given(
    st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=3, max_size=3), min_size=1)
)
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]]) -> None:
    rows = [["k", *row] for row in rows]
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c", "d"], *rows])
    assert values(buffer.getvalue().encode()) == rows


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_politely(data: bytes) -> None:
    try:
        table = parse(data, "f.csv")
    except InputError:
        return
    assert table.rows
    assert all(len(row.values) == len(table.columns) for row in table.rows)
