"""Which format a file is in, and other remelt datasets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from remelt.errors import InputError
from remelt.exchange import ReadOptions, formats, read, write, written_formats
from remelt.exchange.base import Sheet
from remelt.labels import MELT

from ..recipes.small_dataset import publish_small

OPTIONS = ReadOptions(MELT)


def test_every_format_has_what_a_format_needs() -> None:
    assert set(written_formats()) == {"csv", "jsonl", "label-studio", "argilla"}
    for name, module in formats().items():
        assert name == module.NAME
        assert module.TITLE
        assert callable(module.recognises)
        assert callable(module.read)


def test_a_file_of_no_format_is_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No file or folder of annotations"):
        read(tmp_path / "none.csv", OPTIONS)
    with pytest.raises(InputError, match=r"in no format that is known.*remelt \(.*label-studio \(.*table \("):
        read(tmp_path, OPTIONS)
    path = tmp_path / "a.csv"
    path.write_text("id,label\nx/y/z,joy\n", encoding="utf-8")
    with pytest.raises(InputError, match="Bad format 'excel', expected one of"):
        read(path, OPTIONS, "excel")
    with pytest.raises(InputError, match="Bad format 'excel', expected one of"):
        write(path, Sheet("X", MELT, ()), "excel")
    with pytest.raises(InputError, match="is no remelt dataset"):
        read(path, OPTIONS, "remelt")
    with pytest.raises(InputError, match="needs an object 'data'"):
        read(path, OPTIONS, "label-studio")


def test_a_format_that_is_named_is_believed(tmp_path: Path) -> None:
    row = {"id": "x/y/z", "label": "joy", "annotator": "ann", "annotation_id": 1, "lead_time": 2.0}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([row]), encoding="utf-8")
    with pytest.raises(InputError, match="no utterance id"):
        read(path, OPTIONS)
    form, reading = read(path, OPTIONS, "table")
    assert (form, reading.givens[0].utterance_id, reading.givens[0].source) == ("table", "x/y/z", "ann")


def test_the_labels_of_another_dataset(tmp_path: Path) -> None:
    out = publish_small(tmp_path / "out")
    form, reading = read(out, OPTIONS)
    assert form == "remelt"
    assert [(g.utterance_id, g.source, g.kind, g.label) for g in reading.givens] == [
        ("toy/test/dia9_utt0", "", "model", "fear"),
        ("toy/train/dia0_utt0", "", "model", "joy"),
        ("toy/train/dia0_utt1", "", "model", "anger"),
        ("toy/train/dia0_utt2", "", "model", "joy"),
    ]
    _, each = read(out, replace(OPTIONS, each=True))
    assert {g.source for g in each.givens} == {"test/model"}
    assert [g.label for g in each.givens] == [g.label for g in reading.givens]
    assert each.left_out == {"without a valid answer": 1}
    _, human = read(out, replace(OPTIONS, each=True, kind="human"))
    assert not human.givens
    with pytest.raises(InputError, match=r"lacks the columns \['mood'\]"):
        read(out, replace(OPTIONS, label_columns=("mood",)))
