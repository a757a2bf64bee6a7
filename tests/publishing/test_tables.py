"""Columns and values of the three configs."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pytest

from remelt.errors import InputError
from remelt.labels import MELT
from remelt.publishing.columns import columns_of, data_features
from remelt.publishing.fields import AnswerField, answer_shape
from remelt.publishing.tables import annotations_table, data_table, dropped_table
from remelt.records import digest


@pytest.fixture
def columns(content, schema):
    return columns_of(content.utterances(), MELT, schema)


def test_data_has_the_columns_of_the_contract_in_order(content, columns):
    table = data_table(content.annotations, columns)
    assert table.column_names == [
        *[
            "id",
            "speaker",
            "text",
            "text_repaired",
            "dialogue_id",
            "utterance_id",
            "season",
            "episode",
            "start",
            "end",
            "duration",
        ],
        *[
            "label",
            "original_label",
            "changed",
            "context",
            "pitch",
            "character_match",
            "flags",
            "clip",
            "annotator",
        ],
    ]
    types = {field.name: str(field.type) for field in table.schema}
    assert types["season"] == types["episode"] == "int32"
    assert types["start"] == types["duration"] == "double"
    assert types["label"] == types["original_label"] == types["dialogue_id"] == "int64"
    assert types["changed"] == types["character_match"] == "bool"
    assert types["flags"] == "list<item: string>"


def test_data_holds_only_valid_rows_with_their_values(content, columns):
    rows = data_table(content.annotations, columns).to_pylist()
    assert [row["id"].rpartition("/")[2] for row in rows] == [
        "dia0_utt0", "dia0_utt1", "dia0_utt2", "dia0_utt3", "dia0_utt0",
    ]  # fmt: skip
    first, second, third, fourth, last = rows
    assert [MELT.labels[row["label"]] for row in rows] == ["joy", "disgust", "neutral", "fear", "sadness"]
    assert [row["changed"] for row in rows] == [False, True, True, None, True]
    assert (first["duration"], fourth["duration"], fourth["start"]) == (2.5, None, None)
    assert (second["speaker"], second["text"]) == ("Ross | <b>", 'Say "hi"\nnow')
    assert second["flags"] == ["stage_direction", "character_mismatch"]
    assert [row["character_match"] for row in rows] == [True, False, True, True, True]
    assert (fourth["text"], fourth["text_repaired"], fourth["original_label"]) == ("â€™", "’", None)
    assert last["original_label"] == len(MELT.labels)
    assert (first["context"], first["pitch"]) == ("at the bar", "high")
    assert (last["clip"], first["clip"]) == ("clips/dia0_utt0.mp4", None)
    assert third["annotator"] == "openai/gpt-test"


def test_class_labels_are_in_the_schema_metadata(content, columns):
    metadata = json.loads(data_table(content.annotations, columns).schema.metadata[b"huggingface"])
    features = metadata["info"]["features"]
    assert features["label"] == {"names": list(MELT.labels), "_type": "ClassLabel"}
    assert features["original_label"]["names"] == [*MELT.labels, "frustration"]


def test_every_reply_is_a_row(content, columns):
    rows = annotations_table(content.annotations, columns).to_pylist()
    assert [(row["attempt"], row["status"], row["label"]) for row in rows] == [
        (0, "valid", "joy"),
        (0, "invalid", None),
        (1, "valid", "disgust"),
        (0, "valid", "neutral"),
        (0, "valid", "fear"),
        (0, "invalid", None),
        (1, "invalid", None),
        (0, "valid", "sadness"),
    ]
    invalid, repaired = rows[1], rows[2]
    assert (invalid["raw"], invalid["answer"], invalid["problems"]) == (
        "no idea",
        None,
        ["the reply holds no JSON"],
    )
    assert json.loads(repaired["answer"])["elements"] == {"emotion": "Disgust", "pitch": "high"}
    assert (repaired["model"], repaired["flags"], repaired["utterance_flags"]) == (
        "gpt-test-2024", ["character_mismatch"], ["stage_direction"],
    )  # fmt: skip
    assert json.loads(repaired["messages"]) == [["user", 'Ross | <b> said: Say "hi"\nnow']]
    assert json.loads(repaired["parameters"]) == {"temperature": 1.0, "seed": 7}
    assert repaired["schema_hash"] == digest(content.schema)
    assert repaired["request_hash"] == content.annotations[1].request.key
    assert rows[-1]["original_label"] == "frustration"


def test_dropped_rows_keep_all_reasons(content, columns):
    rows = dropped_table(content.drops, columns).to_pylist()
    assert [(row["stage"], row["reasons"]) for row in rows] == [
        ("annotation", ["invalid_answer"]),
        ("selection", ["duration", "words"]),
    ]
    assert rows[1]["details"] == ["0.2 s is under 0.961 s", "1 word is under 3"]
    assert list(rows[0])[:5] == ["id", "split", "stage", "reasons", "details"]


@pytest.mark.parametrize("odd", ["0a", 2**63])
def test_ids_become_strings_when_one_is_no_int64(content, schema, annotation, odd):
    row = replace(content.annotations[0].utterance, dialogue_id=odd)
    annotations = [annotation(row, "joy"), content.annotations[2]]
    columns = columns_of([a.utterance for a in annotations], MELT, schema)
    table = data_table(annotations, columns)
    assert table["dialogue_id"].to_pylist() == [str(odd), "0"]
    assert table["utterance_id"].type == pa.int64()


def test_a_value_that_does_not_fit_names_its_row(content, columns):
    wrong = replace(content.drops[1], utterance=replace(content.drops[1].utterance, season=2**40))
    with pytest.raises(InputError, match=r"Bad season 1099511627776 of meld/train/dia0_utt5, expected int32"):
        dropped_table([content.drops[0], wrong], columns)


def test_a_valid_row_with_a_label_off_the_list_is_refused(content, columns):
    good = content.annotations[0]
    bad = replace(good, verdicts=(replace(good.verdict, label="frustration"),))
    with pytest.raises(InputError, match=r"Bad label 'frustration' of meld/train/dia0_utt0"):
        data_table([bad], columns)


def test_without_an_echo_there_is_no_character_match(content, annotation):
    columns = columns_of(content.utterances(), MELT, {"x-remelt-label": "label", "properties": {"label": {}}})
    table = data_table(content.annotations, columns)
    assert table["character_match"].to_pylist() == [None] * 5
    assert "context" not in table.column_names


def test_tables_without_rows_have_the_same_schema(content, columns):
    assert data_table([], columns).schema.equals(
        data_table(content.annotations, columns).schema, check_metadata=True
    )
    assert data_table([], columns).num_rows == 0
    assert dropped_table([], columns).schema.equals(dropped_table(content.drops, columns).schema)


def test_the_published_schemas_give_the_columns_of_the_paper(repository):
    melt = json.loads((repository / "schemas" / "melt.json").read_text("utf-8"))
    shape = answer_shape(melt)
    assert [f.column for f in shape.fields] == [
        "context", "loudness", "pitch", "rhythm_speed", "emotional_impact",
    ]  # fmt: skip
    assert (shape.label, shape.echo) == ("elements.emotion", "character")


def test_names_that_are_taken_get_longer():
    schema = {
        "properties": {
            "text": {"type": "string"},
            "voice": {"properties": {"level": {}, "label": {}}},
            "face": {"properties": {"level": {}}},
        }
    }
    columns = [f.column for f in answer_shape(schema, reserved=("text", "label")).fields]
    assert columns == ["answer_text", "voice_level", "voice_label", "face_level"]
    assert len(set(columns)) == len(columns)


def test_a_label_field_that_is_not_there_is_refused():
    with pytest.raises(
        InputError, match=r"Bad x-remelt-label 'emotion' in the schema, expected one of \['a\.b'\]"
    ):
        answer_shape({"x-remelt-label": "emotion", "properties": {"a": {"properties": {"b": {}}}}})


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({"a": {"b": "x"}}, "x"),
        ({"a": {"b": [1, "é"]}}, '[1,"é"]'),
        ({"a": {"b": None}}, None),
        ({"a": "text"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_field_values(answer, value):
    assert AnswerField("b", ("a", "b")).value(answer) == value


def test_features_need_no_rows(columns):
    assert data_features(columns)["label"].names == list(MELT.labels)
