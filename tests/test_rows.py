"""Tables that come from elsewhere, in the encodings and with the keys that they come with."""

from __future__ import annotations

from pathlib import Path

import pytest

from remelt.errors import InputError
from remelt.rows import Keys, cell, find, read_table, whole_number


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f'id{delimiter}text\nx/y/z{delimiter}"café{delimiter} «no»"\n'.encode(encoding))
    assert read_table(path).rows == [{"id": "x/y/z", "text": f"café{delimiter} «no»"}]


def test_what_is_no_table(tmp_path: Path) -> None:
    for name, text, message in (
        ("a.csv", "id,label\nx,joy,extra\n", "line 2: more cells than the header"),
        ("a.jsonl", '{"id": 1}\nnot json\n', "line 2: not JSON"),
        ("a.json", '[{"id": 1}, 2]', "a row must be a JSON object"),
        ("a.parquet", "id,label", "cannot be read as Parquet"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_table(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_table(tmp_path / "none.csv")


def test_where_a_row_stands(tmp_path: Path) -> None:
    csv, lines, listed = (tmp_path / name for name in ("a.csv", "a.jsonl", "a.json"))
    # A cell of three lines, one with Windows' ends, an empty line: what an editor shows.
    csv.write_bytes(b'id,text\na,"one\ntwo\r\nthree"\n\nb,x\nc,"y\nz"\n')
    assert [read_table(csv).place(n) for n in (1, 2, 3)] == [f"{csv}, line {n}" for n in (2, 6, 7)]
    lines.write_text('{"id": 1}\n\n{"id": 2}\n', encoding="utf-8")
    assert read_table(lines).place(2) == f"{lines}, line 3"
    listed.write_text('[{"id": 1},\n\n{"id": 2}]', encoding="utf-8")
    assert read_table(listed).place(2) == f"{listed}, row 2"


def test_a_column_of_row_numbers_is_no_id() -> None:
    columns, row = ["id", "Dialogue ID", "Utterance-ID", "Split"], {"id": "17"}
    row |= {"Dialogue ID": "3.0", "Utterance-ID": "2", "Split": "train"}
    assert Keys(Path("a.csv"), columns, None, row, "").key("a.csv, line 2", row) == "train/dia3_utt2"
    named = Keys(Path("a.csv"), columns, None, row, "", column="ID")
    assert named.key("a.csv, line 2", row) == "17"
    assert named.columns == ("id", "Split", "Dialogue ID", "Utterance-ID")
    with pytest.raises(InputError, match=r"a\.csv, line 5: an empty Dialogue ID or Utterance-ID"):
        Keys(Path("a.csv"), columns, None, row, "").key("a.csv, line 5", {**row, "Dialogue ID": ""})


def test_cells_and_columns() -> None:
    assert (cell(None), cell(float("nan")), cell(" x "), cell(0)) == ("", "", "x", "0")
    assert (whole_number("3.0"), whole_number(4.0), whole_number("Ses01"), whole_number("1.5")) == (
        "3", "4", "Ses01", "1.5",
    )  # fmt: skip
    assert find(["New Label", "label"], ("new-label", "label")) == "New Label"
    assert find(["mood"], ("label",)) is None
