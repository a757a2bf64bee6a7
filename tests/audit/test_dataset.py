"""Reading tables of every kind, and joining two of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from remelt.audit.dataset import join_tables, read_table, seconds
from remelt.errors import InputError

HEAD = ("filename", "Speaker", "Utterance", "StartTime", "EndTime", "old", "new")
ROWS = [
    ("a.wav", "Ross", "Hi, \"you\"\nthere", "0:00:01,500", "00:00:03,000", "joy", "Joy "),
    ("b.wav", "", "No", "00:00:02,5", "", "anger", ""),
    ("c.wav", "Joey", "Well now then", "x", "y", "sadness", "fear"),
]  # fmt: skip


def write_rows(path: Path, delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8-sig") as lines:
        csv.writer(lines, delimiter=delimiter).writerows([HEAD, *ROWS])
    return path


def pairs(table) -> list[tuple[str | None, str | None]]:
    names = (*table.labels, None)
    return [(names[b], names[a]) for b, a in zip(table.before.tolist(), table.after.tolist(), strict=True)]


EXPECTED = [("joy", "joy"), ("anger", None), ("sadness", "fear")]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_every_kind_of_file_gives_the_same_table(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"labels_train.{kind}"
    records = [dict(zip(HEAD, row, strict=True)) for row in ROWS]
    if kind in ("csv", "tsv"):
        write_rows(path, "," if kind == "csv" else "\t")
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps(r) for r in records) + "\n\n", encoding="utf-8")
    elif kind == "json":
        path.write_text(json.dumps(records), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(records), path)
    table = read_table(path, "old", "new")
    assert table.labels == ("anger", "fear", "joy", "sadness")
    assert pairs(table) == EXPECTED
    assert table.ids == ["a.wav", "b.wav", "c.wav"]
    assert table.durations == [1.5, None, None]
    assert table.speakers == ["Ross", None, "Joey"]
    assert table.texts[0] == 'Hi, "you"\nthere'
    assert table.splits == ("train",)
    assert "new" in table.notes[0], "the folded spelling is said"
    assert "'Joy '" in table.notes[0]


def test_class_labels_are_decoded_and_keep_their_order(tmp_path: Path, make_out) -> None:
    rows = [{"id": "x", "label": "neutral", "original_label": None}]
    table = read_table(make_out({"train": rows, "test": []}))
    assert table.labels == ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
    assert pairs(table) == [(None, "neutral")]
    assert table.splits == ("train", "test")


def test_hidden_class_minus_one_is_missing_and_other_codes_are_refused(tmp_path: Path) -> None:
    names = {"names": ["no", "yes"], "_type": "ClassLabel"}
    meta = {"huggingface": json.dumps({"info": {"features": {"label": names, "original_label": names}}})}
    content = pa.table({"label": [1, -1, None], "original_label": [0, 1, 1]}).replace_schema_metadata(meta)
    pq.write_table(content, tmp_path / "test-00000-of-00001.parquet")
    assert pairs(read_table(tmp_path)) == [("no", "yes"), ("yes", None), ("yes", None)]
    bad = pa.table({"label": [2], "original_label": [0]}).replace_schema_metadata(meta)
    pq.write_table(bad, tmp_path / "test-00000-of-00001.parquet")
    with pytest.raises(InputError, match=r"Bad class code 2 in column 'label', expected 0 to 1"):
        read_table(tmp_path)


def test_audio_bytes_are_not_read(tmp_path: Path) -> None:
    audio = pa.array([{"bytes": b"0" * 1000, "path": "a.wav"}])
    pq.write_table(
        pa.table({"label": ["a"], "original_label": ["b"], "audio": audio}), tmp_path / "t.parquet"
    )
    table = read_table(tmp_path / "t.parquet")
    assert pairs(table) == [("b", "a")]
    with pytest.raises(InputError, match="Bad column 'audio'"):
        read_table(tmp_path / "t.parquet", after="audio")


def test_a_cards_default_config_says_which_files_count(tmp_path: Path) -> None:
    for folder, label in (("good", "a"), ("other", "b")):
        (tmp_path / folder).mkdir()
        for split in ("test", "train"):
            pq.write_table(
                pa.table({"label": [label], "original_label": [label]}),
                tmp_path / folder / f"{split}.parquet",
            )
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: x\n  data_files: other/*.parquet\n- config_name: y\n  default: true\n"
        "  data_files:\n  - split: test\n    path: good/test.parquet\n"
        "  - split: train\n    path: good/train.parquet\n"
        "---\n# card\n",
        encoding="utf-8",
    )
    table = read_table(tmp_path)
    assert table.labels == ("a",)
    assert table.splits == ("train", "test")


def test_a_split_column_names_the_splits(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text("split,label,original_label\ntest,a,b\ntrain,b,b\nextra,b,b\n", encoding="utf-8")
    assert read_table(path).splits == ("train", "test", "extra")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("label,label\n", "stands twice"),
        ("label,original_label\na\n", r"t\.csv:2: 1 fields, the header names 2"),
        ("label,text\na,b\n", r"Bad column 'original_label', expected one of \['label', 'text'\]"),
        ("label,original_label\n\"a,b\n" + "x" * 140000, "not a readable CSV line|fields"),
    ],
)  # fmt: skip
def test_broken_tables_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"label,original_label\n\xff\xfe,a\n", "not UTF-8"),
        ("t.jsonl", b'{"label": "a"}\n{"label"\n', r"t\.jsonl:2: not readable"),
        ("t.jsonl", b'{"label": "a"}\n[1]\n', "record 2: expected a JSON object"),
        ("t.parquet", b"PAR1 no", "cannot be read as Parquet"),
        ("t.txt", b"x", "Bad file"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / name)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file or folder"):
        read_table(tmp_path / "gone")
    with pytest.raises(InputError, match="No label table"):
        read_table(tmp_path)


def test_a_column_of_texts_is_no_label_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "".join(f"a,text {i}\n" for i in range(200))
    path.write_text(f"label,original_label\n{rows}", encoding="utf-8")
    with pytest.raises(InputError, match="200 different values"):
        read_table(path)


def test_joined_by_id(tmp_path: Path, make_out) -> None:
    first = [
        {"id": f"s/train/{i}", "label": "joy", "original_label": "fear", "context": "c1"} for i in range(4)
    ]
    second = [{"id": f"s/train/{i}", "label": "anger", "context": f"c{i}"} for i in (3, 1, 9)]
    a, b = make_out({"train": first}, "a"), make_out({"train": second}, "b")
    table = join_tables(a, b)
    assert table.ids == ["s/train/1", "s/train/3"]
    assert pairs(table) == [("joy", "anger"), ("joy", "anger")]
    assert table.unmatched == {"a": ("s/train/0", "s/train/2"), "b": ("s/train/9",)}
    assert table.fields["context"] == ["c1", "c1"]
    assert table.fields["b: context"] == ["c1", "c3"]


def test_joins_that_cannot_be(tmp_path: Path) -> None:
    def table(name: str, ids: str) -> Path:
        path = tmp_path / f"{name}.csv"
        path.write_text("id,label\n" + "".join(f"{i},x\n" for i in ids), encoding="utf-8")
        return path

    with pytest.raises(InputError, match="no id in common: 'a' there, 'c' here"):
        join_tables(table("one", "ab"), table("two", "cd"))
    with pytest.raises(InputError, match="1 ids stand more than once in column 'id', such as 'a'"):
        join_tables(table("one", "aab"), table("two", "ab"))
    (tmp_path / "none.csv").write_text("label\nx\n", encoding="utf-8")
    with pytest.raises(InputError, match="to join by"):
        join_tables(tmp_path / "none.csv", table("two", "ab"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1:02:03,5", 3723.5),
        ("00:00:00.25", 0.25),
        (True, 1.0),
        ("nan", None),
        ("", None),
        (float("inf"), None),
    ],
)
def test_seconds(value: object, expected: float | None) -> None:
    assert seconds(value) == expected
