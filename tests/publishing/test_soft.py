"""Soft labels on their way from the replies to the published column."""

from __future__ import annotations

import math
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from remelt.errors import InputError
from remelt.labels import MELT
from remelt.publishing import DatasetContent, find_problems, publish, read_annotations
from remelt.publishing.soft import soft_label

LOGPROBS = '{"fear":-3.0,"joy":-0.1,"neutral":-2.5}'


@pytest.fixture
def soft_content(content: DatasetContent) -> DatasetContent:
    """The first row's only reply and the second row's unusable one carry log-probabilities."""
    first, second, *others = content.annotations
    first = replace(first, replies=(replace(first.replies[0], label_logprobs=LOGPROBS),))
    unusable, usable = second.replies
    second = replace(second, replies=(replace(unusable, label_logprobs=LOGPROBS), usable))
    return replace(content, annotations=(first, second, *others))


def test_shares_are_the_softmax_over_the_labels_that_are_known():
    shares = soft_label(LOGPROBS, MELT.labels)
    total = math.exp(-3) + math.exp(-0.1) + math.exp(-2.5)
    expected = {
        "fear": math.exp(-3) / total,
        "joy": math.exp(-0.1) / total,
        "neutral": math.exp(-2.5) / total,
    }
    assert shares == pytest.approx([expected.get(name, 0.0) for name in MELT.labels], abs=1e-9)
    assert sum(shares) == pytest.approx(1, abs=1e-8)
    assert soft_label('{"joy":-900.0,"fear":-1900}', ["fear", "joy"]) == [0.0, 1.0]
    assert soft_label("", MELT.labels) is None
    assert soft_label('{"frustration":-0.1}', MELT.labels) is None


@pytest.mark.parametrize("bad", ["{", "[1]", '{"joy": "high"}', '{"joy": null}', '{"joy": NaN}', "3"])
def test_what_is_no_log_probability_names_the_row(bad):
    with pytest.raises(InputError, match="of meld/train/dia0_utt0, expected a JSON object"):
        soft_label(bad, MELT.labels, "meld/train/dia0_utt0")


def test_the_column_is_there_only_where_a_reply_has_log_probabilities(built, tmp_path, soft_content):
    plain = pq.read_table(next((built / "data").glob("train-*")))
    assert "soft_label" not in plain.column_names
    assert "soft_label" not in (built / "README.md").read_text("utf-8")
    publish(tmp_path / "out", soft_content)
    for split, rows in (("train", 4), ("test", 1)):
        table = pq.read_table(next((tmp_path / "out" / "data").glob(f"{split}-*")))
        assert table.column_names == [*plain.column_names, "soft_label"]
        shares = table["soft_label"].to_pylist()
        assert shares == [
            soft_label(LOGPROBS, MELT.labels) if split == "train" else None,
            *[None] * (rows - 1),
        ]
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert card.count("`soft_label` has the model's own share of belief") == 1


def test_it_loads_verifies_and_is_made_again(tmp_path, soft_content, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    publish(out, soft_content)
    assert find_problems(out) == []
    rows = load_dataset(str(out), split="train")
    assert rows.features["soft_label"].feature.dtype == "float64"
    assert rows[0]["soft_label"][rows.features["label"].str2int("joy")] == max(rows[0]["soft_label"])
    replies = {r.label_logprobs for _, found in read_annotations(out) for r in found}
    assert replies == {"", LOGPROBS}
    publish(tmp_path / "again", soft_content)
    for path in sorted((out / "data").iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / "data" / path.name).read_bytes()


def test_verify_finds_a_soft_label_that_is_not_the_replys(tmp_path, soft_content):
    out = tmp_path / "out"
    publish(out, soft_content)
    path = next((out / "data").glob("train-*"))
    table = pq.read_table(path)
    shares = table["soft_label"].to_pylist()
    shares[0][0], shares[0][3] = shares[0][3], shares[0][0]
    place = table.column_names.index("soft_label")
    field = table.schema.field(place)
    pq.write_table(table.set_column(place, field, pa.array(shares, field.type)), path)
    problems = [str(problem) for problem in find_problems(out)]
    assert problems[-1] == (
        "data/train: 1 rows have another 'soft_label' than their replies and utterances: meld/train/dia0_utt0"
    )
