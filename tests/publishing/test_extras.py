"""Sex, session, cuts, ratings and dimensions: published where a corpus has them, and restored."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from remelt.errors import InputError
from remelt.publishing import find_problems, publish, read_annotations, read_dropped
from remelt.publishing.extras import attributes_from, ratings_from
from remelt.records import Rating

from .test_verify import edited, messages, rewrite
from .voices import with_raters, with_voice

TRAIN = "train-00000-of-00001.parquet"
DEFAULT = ["sex", "session", "clip_start", "clip_end", "arousal", "valence", "ratings"]
OTHERS = ["sex", "session", "clip_start", "clip_end", "attributes", "ratings"]


@pytest.fixture
def rated(content):
    return with_raters(content)


def names(out, folder):
    return pq.read_schema(out / folder / TRAIN).names


def test_columns_are_there_only_where_an_utterance_has_them(built, rated, content, tmp_path):
    publish(tmp_path / "all", rated)
    assert names(tmp_path / "all", "data") == [*names(built, "data"), *DEFAULT]
    for folder in ("annotations", "dropped"):
        assert names(tmp_path / "all", folder) == [*names(built, folder), *OTHERS]
    drops = [replace(d, utterance=replace(d.utterance, session="Ses02")) for d in content.drops[1:]]
    publish(tmp_path / "one", replace(content, drops=[content.drops[0], *drops]))
    for folder in ("data", "annotations", "dropped"):
        assert names(tmp_path / "one", folder) == [*names(built, folder), "session"]


def test_the_voice_stands_behind_them(rated, tmp_path):
    publish(tmp_path / "out", with_voice(rated))
    found = names(tmp_path / "out", "data")
    assert found[found.index("sex") : found.index("audio_seconds")] == DEFAULT
    assert found[-1] == "audio"
    assert find_problems(tmp_path / "out") == []


def test_values_of_the_default_config(rated, tmp_path):
    publish(tmp_path / "out", rated)
    first, second, third, _ = pq.read_table(tmp_path / "out" / "data" / TRAIN).to_pylist()
    assert (first["sex"], first["session"], first["valence"], first["arousal"]) == (
        "female", "Ses01", 2.5, None,
    )  # fmt: skip
    assert json.loads(first["ratings"]) == [
        {"rater": "Évaluateur 1", "labels": ["anger", "frustration"], "attributes": {"arousal": 4.0}},
        {"rater": "E2", "labels": ["neutral"], "attributes": {}},
    ]
    assert (second["clip_start"], second["clip_end"], second["arousal"]) == (6.2901, 8.2357, 1 / 3)
    assert {third[name] for name in DEFAULT} == {None}


def test_records_are_restored(rated, tmp_path):
    publish(tmp_path / "out", rated)
    assert find_problems(tmp_path / "out") == []
    found = {request.utterance.id: request.utterance for request, _ in read_annotations(tmp_path / "out")}
    for annotation in rated.annotations:
        assert found[annotation.utterance.id] == annotation.utterance
    drops = {(d.stage, d.utterance.id): d for d in read_dropped(tmp_path / "out")}
    assert drops == {(d.stage, d.utterance.id): d for d in rated.drops}


@pytest.mark.parametrize(
    ("name", "row", "value", "message"),
    [
        ("sex", 0, "male", "1 rows have another 'sex' than their replies and utterances"),
        ("clip_end", 1, 9.0, "1 rows have another 'clip_end'"),
        ("arousal", 1, 5.0, "1 rows have another 'arousal'"),
        ("ratings", 0, "[]", "1 rows have another 'ratings'"),
    ],
)
def test_verify_finds_a_changed_value(rated, tmp_path, name, row, value, message):
    publish(tmp_path / "out", rated)
    rewrite(tmp_path / "out", f"data/{TRAIN}", edited(name, row, value))
    assert message in messages(tmp_path / "out")


def test_verify_finds_what_is_no_json(rated, tmp_path):
    publish(tmp_path / "out", rated)
    out = tmp_path / "out"
    rewrite(out, f"annotations/{TRAIN}", edited("ratings", 0, "often angry"))
    assert "Bad ratings 'often angry' of meld/train/dia0_utt0, expected a JSON list" in messages(out)
    with pytest.raises(InputError, match=r"Bad attributes '\[1\]' of a row"):
        attributes_from("[1]", "a row")
    assert ratings_from('[{"rater":"a","labels":["b"],"attributes":{}}]', "") == (Rating("a", ("b",)),)


def test_a_dimension_named_like_a_column_is_refused(content, annotation, utterance, tmp_path):
    row = annotation(utterance("train", 1, 1, attributes={"label": 1.0}), "joy")
    alone = replace(content, annotations=[row], drops=[], inputs={"train": 1}, attrition=())
    with pytest.raises(InputError, match="Bad attribute 'label': the dataset has a column of that name"):
        publish(tmp_path / "out", alone)
    row = annotation(utterance("train", 1, 1, attributes={"arousal": float("nan")}), "joy")
    with pytest.raises(InputError, match=r"Bad attributes .* of meld/train/dia1_utt1, expected finite"):
        publish(tmp_path / "out", replace(alone, annotations=[row]))


def test_the_card_explains_them(rated, built, tmp_path):
    publish(tmp_path / "out", rated)
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "- `sex`: the speaker's." in card
    assert "- `arousal`, `valence`: numbers that the corpus gives, on its own scale." in card
    assert "From the corpus, where it has them" not in (built / "README.md").read_text("utf-8")
