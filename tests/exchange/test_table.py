"""Tables of labels: long, wide, and those that remelt wrote itself."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import datasets
import pytest

from remelt.errors import InputError
from remelt.exchange import Item, Reading, ReadOptions, Sheet, read, write
from remelt.labels import MELT
from remelt.records import Vote

OPTIONS = ReadOptions(MELT)


def table(path: Path, text: str, options: ReadOptions = OPTIONS) -> Reading:
    path.write_text(text, encoding="utf-8")
    form, reading = read(path, options)
    assert form == "table"
    return reading


def told(reading: Reading) -> list[tuple[str, str, str]]:
    return [(g.utterance_id, g.source, g.label) for g in reading.givens]


def test_a_long_table_has_annotator_confidence_and_note(tmp_path: Path) -> None:
    reading = table(
        tmp_path / "a.csv",
        "id,label,Annotator,confidence,note\n"
        'meld/train/dia0_utt0,Joy,ann,4,"a ""smile"", I think"\n'
        "meld/train/dia0_utt1,,ann,,\n"
        "meld/train/dia0_utt0,ANGER,bob,,\n",
    )
    first, second = reading.givens
    assert (first.source, first.kind, first.label) == ("ann", "human", "Joy")
    assert (first.confidence, first.note) == (4.0, 'a "smile", I think')
    assert first.place == f"{tmp_path / 'a.csv'}, line 2"
    assert (second.source, second.label, second.confidence, second.note) == ("bob", "ANGER", None, None)
    assert reading.left_out == {"without a label": 1}


def test_dialogue_and_utterance_stand_for_an_id(tmp_path: Path) -> None:
    text = "Dialogue_ID,Utterance_ID,split,Emotion\n0,3,train,joy\n12.0,1.0,test,fear\n"
    assert told(table(tmp_path / "a.csv", text)) == [
        ("train/dia0_utt3", "", "joy"),
        ("test/dia12_utt1", "", "fear"),
    ]
    text = "filename,label\ndia0_utt3.wav,joy\n1001_DFA_ANG_XX.wav,anger\n"
    one = replace(OPTIONS, split="dev")
    assert told(table(tmp_path / "b.csv", text, one)) == [
        ("dev/dia0_utt3", "", "joy"),
        ("1001_DFA_ANG_XX.wav", "", "anger"),
    ]
    with pytest.raises(InputError, match=r"line 2: the rows name no split.*--split"):
        table(tmp_path / "c.csv", text)


def test_a_wide_table_has_one_annotator_in_each_column(tmp_path: Path) -> None:
    text = (
        "id\tspeaker\tann\tbob\tage\n"
        "meld/train/dia0_utt0\tRoss\tjoy\tanger\t31\n"
        "meld/train/dia0_utt1\tJoey\t\tfrustration\t32\n"
        "meld/train/dia0_utt2\tJoey\tfear\tfear\t33\n"
    )
    reading = table(tmp_path / "a.tsv", text)
    assert told(reading) == [
        ("meld/train/dia0_utt0", "ann", "joy"),
        ("meld/train/dia0_utt0", "bob", "anger"),
        ("meld/train/dia0_utt1", "bob", "frustration"),
        ("meld/train/dia0_utt2", "ann", "fear"),
        ("meld/train/dia0_utt2", "bob", "fear"),
    ]
    assert reading.left_out == {"without a label": 1}
    assert any("not read: age" in notice for notice in reading.notices)
    two = replace(OPTIONS, label_columns=("BOB", "age"))
    assert {g.source for g in table(tmp_path / "b.tsv", text, two).givens} == {"bob", "age"}


def test_a_lone_column_with_an_unknown_name(tmp_path: Path) -> None:
    whole = table(tmp_path / "a.csv", "id,lab\na/b/c,Joy\na/b/d,\na/b/e,fear\n")
    assert told(whole) == [("a/b/c", "lab", "Joy"), ("a/b/e", "lab", "fear")]
    assert any("one annotator in each of the columns lab" in notice for notice in whole.notices)
    text = "id,lab\na/b/c,joy\na/b/d,fear\na/b/e,bored\n"
    with pytest.raises(
        InputError, match=r"'lab' may be it, but 'bored' .*b\.csv, line 4\) .*--label-column lab"
    ):
        table(tmp_path / "b.csv", text)
    asked = table(tmp_path / "c.csv", text, replace(OPTIONS, label_columns=("lab",)))
    assert [g.source for g in asked.givens] == ["", "", ""]


def test_a_table_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column of labels.*'speaker'.*--label-column"):
        table(tmp_path / "a.csv", "id,speaker\nmeld/train/dia0_utt0,Ross\n")
    with pytest.raises(InputError, match="no key"):
        table(tmp_path / "b.csv", "speaker,label\nRoss,joy\n")
    with pytest.raises(InputError, match="line 3: Bad confidence 'high', expected a number"):
        table(tmp_path / "c.csv", "id,label,confidence\na/b/c,joy,1\na/b/d,joy,high\n")
    with pytest.raises(InputError, match="Bad label column 'mood', expected one of"):
        table(tmp_path / "d.csv", "id,label\na/b/c,joy\n", replace(OPTIONS, label_columns=("mood",)))
    with pytest.raises(InputError, match="Bad id column 'key', expected one of"):
        table(tmp_path / "e.csv", "id,label\na/b/c,joy\n", replace(OPTIONS, id_column="key"))
    with pytest.raises(InputError, match="line 2: Bad kind 'robot', expected one of"):
        table(tmp_path / "f.csv", "id,label,kind\na/b/c,joy,robot\n")
    with pytest.raises(InputError, match="holds no rows"):
        table(tmp_path / "g.csv", "id,label\n")


def test_json_lines_and_classes_in_parquet(tmp_path: Path) -> None:
    rows = [{"id": "meld/train/dia0_utt0", "label": "joy", "kind": "model", "source": "gpt"}]
    reading = table(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert [(g.source, g.kind) for g in reading.givens] == [("gpt", "model")]
    features = datasets.Features(
        {"id": datasets.Value("string"), "label": datasets.ClassLabel(names=list(MELT.labels))}
    )
    path = tmp_path / "a.parquet"
    datasets.Dataset.from_dict({"id": ["x/y/z", "x/y/w"], "label": [3, -1]}, features).to_parquet(path)
    _, reading = read(path, OPTIONS)
    assert told(reading) == [("x/y/z", "", "joy")]
    assert reading.left_out == {"without a label": 1}


VOTES = (Vote("gpt", "joy"), Vote("ann", "anger", "human"), Vote("smol", None))
ITEMS = (
    Item("meld/train/dia0_utt1", "train", "Ross", "Hi, you.", ("Joey: Hey\nthere",), "a/b.wav", "joy", VOTES),
    Item("meld/train/dia0_utt2", "train", "Ross", "=1+1", (), None, None, ()),
)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_was_written_is_read_once_it_is_filled_in(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"sheet.{form}"
    assert write(path, Sheet("MELD", MELT, ITEMS), form) == [path]
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines)) if form == "csv" else [json.loads(line) for line in lines]
    assert rows[0]["vote:gpt"] == rows[0]["remelt_label"] == "Joy"
    assert (rows[0]["vote:ann"], rows[0]["vote:smol"], rows[1]["vote:ann"]) == ("Anger", "", "")
    assert (rows[0]["context"], rows[1]["text"]) == ("Joey: Hey\nthere", "=1+1")
    _, empty = read(path, OPTIONS)
    assert (list(empty.givens), empty.left_out) == ([], {"without a label": 2})
    rows[0] |= {"label": "Fear", "annotator": "bob", "confidence": "3", "note": "trembling"}
    with path.open("w", encoding="utf-8", newline="") as lines:
        if form == "csv":
            writer = csv.DictWriter(lines, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        else:
            lines.writelines(json.dumps(row) + "\n" for row in rows)
    _, filled = read(path, OPTIONS)
    [given] = filled.givens
    assert (given.utterance_id, given.source, given.label) == (ITEMS[0].id, "bob", "Fear")
    assert (given.confidence, given.note) == (3.0, "trembling")


def test_a_blind_sheet_shows_no_labels(tmp_path: Path) -> None:
    write(tmp_path / "sheet.csv", Sheet("MELD", MELT, ITEMS, blind=True), "csv")
    text = (tmp_path / "sheet.csv").read_text(encoding="utf-8")
    assert not {"Joy", "Anger", "gpt", "remelt_label"} & set(text.replace(",", " ").split())
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "sheet.csv" / "x.csv", Sheet("MELD", MELT, ITEMS), "csv")
