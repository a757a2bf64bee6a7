"""Any table becomes a corpus when its columns are named; what cannot be an id is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt.corpora import Corpus, TableMapping, load
from remelt.errors import InputError
from remelt.records import Utterance

MAPPING = TableMapping(
    columns={"Dia": "dialogue_id", "Utt": "utterance_id", "Who": "speaker", "Words": "text", "Emo": "label",
             "From": "start", "To": "end"},
    name="mine",
)  # fmt: skip
ROWS = [
    {"Dia": 0, "Utt": 0, "Who": "Ann", "Words": "Hello there, you.", "Emo": "Happy", "From": 1.0, "To": 2.5},
    {"Dia": 0, "Utt": 1, "Who": "Bob", "Words": "It’s “me”.", "Emo": "Sad", "From": 3.0, "To": 4.001},
    {"Dia": 1, "Utt": 0, "Who": "Ann", "Words": "What? No!", "Emo": None, "From": None, "To": 0.5},
]


def delimited(path: Path, separator: str = ",") -> None:
    lines = [separator.join(ROWS[0])]
    for row in ROWS:
        cells = ["" if value is None else str(value) for value in row.values()]
        lines.append(separator.join('"' + cell.replace('"', '""') + '"' for cell in cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    else:
        delimited(path, "\t" if path.suffix == ".tsv" else ",")
    return path


def check_rows(utterances: tuple[Utterance, ...], split: str = "train") -> None:
    first, second, third = utterances
    assert [u.id for u in utterances] == [f"mine/{split}/dia{k}" for k in ("0_utt0", "0_utt1", "1_utt0")]
    assert (first.dialogue_id, first.utterance_id, first.speaker, first.text) == (
        0,
        0,
        "Ann",
        "Hello there, you.",
    )
    assert (first.label, second.label, third.label) == ("happy", "sad", None)
    assert (first.start, first.end, first.duration) == (1.0, 2.5, 1.5)
    assert second.duration == 1.001
    assert second.text == "It’s “me”."
    assert third.start is None
    assert set(third.flags) == {"time_missing", "label_missing", "two_words"}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"lines{suffix}")
    read = load(path, mapping=MAPPING)
    check_rows(read.utterances)
    assert read.name == "mine"
    assert list(read.files) == [path.name]
    assert any("all rows are 'train'" in note for note in read.notes)
    check_rows(load(tmp_path, mapping=MAPPING).utterances)


def test_semicolons_are_seen_and_said(tmp_path: Path) -> None:
    delimited(tmp_path / "x.csv", ";")
    read = load(tmp_path, mapping=MAPPING)
    assert len(read) == 3
    assert any("separated by ';'" in note for note in read.notes)


def test_splits_from_file_names(tmp_path: Path) -> None:
    write(tmp_path / "data" / "test-00000-of-00001.parquet")
    write(tmp_path / "corpus_train.csv")
    write(tmp_path / "valid" / "lines.jsonl")
    read = load(tmp_path, mapping=MAPPING)
    assert read.splits == ("train", "validation", "test")
    check_rows(read.utterances[6:], "test")
    assert [u.source for u in read.utterances[6:]] == [
        f"data/test-00000-of-00001.parquet:{n}" for n in (1, 2, 3)
    ]
    write(tmp_path / "more.csv")
    with pytest.raises(InputError, match=r"the split of \['more\.csv'\] cannot be told"):
        load(tmp_path, mapping=MAPPING)
    named = TableMapping(
        columns=MAPPING.columns, files={"a": "more.csv", "b": "corpus_train.csv"}, name="mine"
    )
    assert load(tmp_path, mapping=named).splits == ("a", "b")


def test_splits_from_a_column(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,text,part\n1,Good day,dev\n1,Good night,train\n")
    read = load(tmp_path, mapping=TableMapping(columns={"part": "split"}, name="m"))
    assert [u.id for u in read.utterances] == ["m/train/1", "m/dev/1"]


def test_columns_of_the_fields_own_names_need_no_mapping(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(
        '{"id": "a", "text": "Good day"}\n\n{"id": "b", "text": "Bye", "start": 1}\n'
    )
    read = load(tmp_path)
    assert [u.id for u in read.utterances] == ["table/train/a", "table/train/b"]
    assert read.licence == "unknown"


def test_clock_times_and_seconds(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "id,text,start,end\n1,one,0:00:01,0:00:02.5\n2,two,61,1e2\n3,three,x,-1\n", encoding="utf-8"
    )
    times = [(u.start, u.end) for u in load(tmp_path).utterances]
    assert times == [(1.0, 2.5), (61.0, 100.0), (None, None)]
    assert "time_unreadable" in load(tmp_path).utterances[2].flags


def test_unknown_labels_are_flagged_where_the_labels_are_known(tmp_path: Path) -> None:
    write(tmp_path / "x.csv")
    mapping = TableMapping(columns=MAPPING.columns, labels=("happy", "angry"))
    flags = [u.flags for u in load(tmp_path, mapping=mapping).utterances]
    assert ["label_unknown" in f for f in flags] == [False, True, False]
    assert ["label_missing" in f for f in flags] == [False, False, True]


def test_ids_stay_texts_where_numbers_would_lose_something(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("dialogue_id,utterance_id,text\n007,1,a\n7,1,b\nSes01F_impro01,F000,c\n")
    ids = [(u.dialogue_id, u.utterance_id) for u in load(tmp_path).utterances]
    assert ids == [("007", 1), (7, 1), ("Ses01F_impro01", "F000")]


@pytest.mark.parametrize(
    "bad", ["../../etc/passwd", "a/b", "a\\b", "..", ".", "", " ", "x" * 201, "a\u0085b", "a\tb", "a\x7fb"]
)
def test_unsafe_ids_are_refused(tmp_path: Path, bad: str) -> None:
    for fields in (
        {"id": bad},
        {"dialogue_id": bad, "utterance_id": 1},
        {"dialogue_id": 1, "utterance_id": bad},
    ):
        (tmp_path / "x.jsonl").write_text(json.dumps({**fields, "text": "Hi"}))
        with pytest.raises(InputError, match=r"x\.jsonl:1: bad "):
            load(tmp_path)


@pytest.mark.parametrize("bad", ["../up", "a/b", "a b", "", "a..b", ".", "tränen"])
def test_unsafe_splits_are_refused(tmp_path: Path, bad: str) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"id": "1", "text": "Hi", "split": bad}))
    with pytest.raises(InputError, match=r"x\.jsonl:1: bad split name"):
        load(tmp_path)


@given(st.text(max_size=8), st.text(max_size=8))
def test_no_id_leaves_its_folder(tmp_path_factory: pytest.TempPathFactory, split: str, key: str) -> None:
    folder = tmp_path_factory.mktemp("t")
    (folder / "x.jsonl").write_text(json.dumps({"id": key, "text": "Hi", "split": split}))
    try:
        read = load(folder)
    except InputError:
        return
    target = (folder / read.utterances[0].id).resolve()
    assert target.parent == (folder / "table" / read.utterances[0].split).resolve()


@pytest.mark.parametrize("clip", ["../x.wav", "/etc/passwd", "a/../../x.wav", "x\0.wav"])
def test_clips_outside_the_folder_are_refused(tmp_path: Path, clip: str) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"id": "1", "text": "Hi", "clip": clip}))
    with pytest.raises(InputError, match=r"x\.jsonl:1: bad clip"):
        load(tmp_path)


def test_clips_are_found_and_missing_ones_flagged(tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    (tmp_path / "wavs").mkdir()
    soundfile.write(tmp_path / "wavs" / "a.wav", np.zeros(8000), 16_000)
    (tmp_path / "wavs" / "b.wav").write_bytes(b"")
    absolute = str(tmp_path.resolve() / "wavs" / "a.wav")
    clips = ["wavs/a.wav", absolute, "wavs/b.wav", "wavs/none.wav", None]
    lines = [{"id": n, "text": "Hi", "clip": c} for n, c in enumerate(clips)]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    read = load(tmp_path)
    assert [u.clip for u in read.utterances] == ["wavs/a.wav", "wavs/a.wav", "wavs/b.wav", None, None]
    assert [u.clip_duration for u in read.utterances] == [0.5, 0.5, None, None, None]
    assert read.defects["clip_missing"] == {"train": 2}
    assert read.defects["clip_unreadable"] == {"train": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"id,words\n1,Hi\n", r"x\.csv: map a column to 'text'"),
        ("x.csv", b"key,text\n1,Hi\n", r"one to 'id' or two to 'dialogue_id' and 'utterance_id'"),
        ("x.csv", b"id,text\n1,Hi\n1,Ho\n", r"Duplicate key: table/train/1 in x\.csv:2 and x\.csv:3"),
        ("x.jsonl", b"", r"x\.jsonl is empty"),
        ("x.jsonl", b'{"id": 1, "text": "Hi"}\n{"id": 2, "te', r"x\.jsonl:2: not a JSON line"),
        ("x.jsonl", b"[1, 2]\n", r"x\.jsonl:1: expected a JSON object, found list"),
        (
            "x.jsonl",
            b'{"id": 1, "text": ["Hi"]}\n',
            r"x\.jsonl:1: bad text, expected text or a number, found a list",
        ),
        ("x.jsonl", b'{"id": 1, "text": "\xff"}\n', r"x\.jsonl:1: not UTF-8"),
        ("x.jsonl", b"[" * 100_000, r"x\.jsonl:1: not a JSON line"),
        ("x.parquet", b"PAR1 not really", r"x\.parquet cannot be read as parquet"),
        ("x.parquet", b"", r"x\.parquet cannot be read as parquet"),
    ],
)
def test_broken_tables_are_errors(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load(tmp_path)


def test_a_mapped_column_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "x.csv")
    with pytest.raises(InputError, match=r"x\.csv: mapped columns \['Line'\] are not there, found \['Dia'"):
        load(tmp_path, mapping=TableMapping(columns={"Line": "text"}))


def test_half_a_surrogate_pair_is_kept_and_mended(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"id": 1, "text": "a\\ud83d b c"}')
    first = load(tmp_path).utterances[0]
    assert (first.text, first.text_repaired) == ("a\ud83d b c", "a\ufffd b c")
    assert "unpaired_surrogate" in first.flags


def dataset(folder: Path, kind: str) -> Path:
    import datasets

    features = datasets.Features(
        {"Dia": datasets.Value("int64"), "Utt": datasets.Value("int64"), "Who": datasets.Value("string"),
         "Words": datasets.Value("string"), "Emo": datasets.ClassLabel(names=["happy", "sad"]),
         "From": datasets.Value("float64"), "To": datasets.Value("float64")}
    )  # fmt: skip
    rows = [{**r, "Emo": None if r["Emo"] is None else str(r["Emo"]).lower()} for r in ROWS]
    data = datasets.Dataset.from_list(rows, features=features)
    if kind == "saved dictionary":
        datasets.DatasetDict({"train": data, "test": data}).save_to_disk(str(folder))
    elif kind == "saved":
        data.save_to_disk(str(folder))
    else:
        (folder / "data").mkdir(parents=True)
        data.to_parquet(str(folder / "data" / "train-00000-of-00001.parquet"))
        data.to_parquet(str(folder / "data" / "test-00000-of-00001.parquet"))
    if kind == "card":
        (folder / "other").mkdir()
        data.to_parquet(str(folder / "other" / "train-00000-of-00001.parquet"))
        (folder / "README.md").write_text(
            "---\nconfigs:\n- config_name: default\n  data_files:\n"
            "  - split: train\n    path: data/train-*.parquet\n"
            "  - split: test\n    path: data/test-*.parquet\n- config_name: other\n  data_files:\n"
            "  - split: train\n    path: other/train-*.parquet\n---\n# x\n"
        )
    return folder


@pytest.mark.parametrize("kind", ["saved dictionary", "saved", "parquet", "card"])
def test_dataset_folders(tmp_path: Path, kind: str) -> None:
    read = load(dataset(tmp_path / "d", kind), mapping=MAPPING)
    check_rows(tuple(u for u in read.utterances if u.split == "train"))
    assert read.splits == (("train",) if kind == "saved" else ("train", "test"))
    assert not any(path.startswith("other/") for path in read.files)


def test_a_class_label_out_of_range_is_an_error(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", "parquet")
    path = folder / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("Emo")
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array([0, 7, -1], pa.int64())), path)
    with pytest.raises(
        InputError, match=r"data/train-00000-of-00001\.parquet:2: bad Emo 7, expected a number under 2"
    ):
        load(folder, mapping=MAPPING)


def test_a_saved_dataset_cannot_point_outside(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", "saved")
    state = json.loads((folder / "state.json").read_text())
    state["_data_files"] = [{"filename": "../secret.arrow"}]
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match=r"state\.json: expected the names of its Arrow files"):
        load(folder, mapping=MAPPING)


def test_meld_by_the_generic_reader_equals_the_special_one(test_data: Path) -> None:
    columns = {
        **{name: name.lower() for name in ("Dialogue_ID", "Utterance_ID", "Speaker", "Sentiment", "Season")},
        **{
            "Utterance": "text",
            "Emotion": "label",
            "Episode": "episode",
            "StartTime": "start",
            "EndTime": "end",
        },
    }
    generic: Corpus = load(test_data / "meld", mapping=TableMapping(columns=columns, name="meld"))
    special = load(test_data / "meld")
    own = {"short_hour", "short_decimals", "repeated_serial", "after_missing_turn"}
    for a, b in zip(generic.utterances, special.utterances, strict=True):
        assert set(a.flags) == set(b.flags) - own
        assert (a.id, a.text, a.label, a.start, a.end, a.season) == (
            b.id,
            b.text,
            b.label,
            b.start,
            b.end,
            b.season,
        )
    assert generic.findings == special.findings
