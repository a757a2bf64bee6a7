"""What people are given to label, and that it comes back as votes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remelt.errors import InputError
from remelt.publishing import publish
from remelt.recipes.exchange import adding
from remelt.recipes.exchange.adding import AddOptions, add_annotations
from remelt.recipes.exchange.exporting import ExportOptions, export_annotations
from remelt.records import Utterance
from remelt.resolution import ResolutionOptions

from .small_dataset import finish_quickly, publish_small, small_content, table

U = "toy/train/dia0_utt"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "finish", finish_quickly)
    monkeypatch.setattr("remelt.publishing.folder.write_card", lambda *_: None)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return publish_small(tmp_path / "out")


def sheet(out: Path, **options: Any) -> list[dict[str, str]]:
    path = out.parent / "sheet.csv"
    result = export_annotations(out, path, ExportOptions(**options, replace=True))
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert result.items == len(rows)
    return rows


def test_what_is_handed_out(out: Path) -> None:
    rows = sheet(out, audio="/clips/")
    assert [row["id"] for row in rows] == [*(f"{U}{n}" for n in range(4)), "toy/test/dia9_utt0"]
    assert [row["remelt_label"] for row in rows] == ["Joy", "Anger", "Joy", "", "Fear"]
    assert rows[0]["clip"] == "/clips/clips/x0.wav"
    assert rows[2]["context"] == "Ann: This is line 0.\nAnn: This is line 1."
    assert sheet(out, turns=1)[2]["context"] == "Ann: This is line 1."
    assert [row["id"] for row in sheet(out, splits=("test",))] == ["toy/test/dia9_utt0"]
    assert "vote:test/model" in sheet(out)[0]
    assert "vote:test/model" not in sheet(out, blind=True)[0]


def test_the_turns_before_come_from_the_corpus_s_split(out: Path, tmp_path: Path) -> None:
    """A row that was drawn into another split is still what was said before."""
    content = small_content()

    def moved(row: Utterance) -> Utterance:
        return replace(row, split="test" if row.id == f"{U}1" else "train")

    annotations = [
        replace(a, request=replace(a.request, utterance=moved(a.utterance))) for a in content.annotations
    ]
    drops = [replace(drop, utterance=moved(drop.utterance)) for drop in content.drops]
    resplit = replace(
        content, annotations=annotations, drops=drops, inputs={"train": 5, "test": 1}, resplit=True
    )
    publish(out, resplit)
    before = {row["id"]: row["context"] for row in sheet(out)}
    assert before[f"{U}2"] == "Ann: This is line 0.\nAnn: This is line 1."
    assert before[f"{U}1"] == "Ann: This is line 0."


def test_disagreement_and_unresolved(out: Path, tmp_path: Path) -> None:
    # One annotator: its label differs from the corpus's (neutral, neutral, neutral, neutral, fear).
    assert [row["id"] for row in sheet(out, only="disagreement")] == [f"{U}0", f"{U}1", f"{U}2"]
    assert [row["id"] for row in sheet(out, only="unresolved")] == [f"{U}3"]
    path = table(tmp_path / "a.csv", [(f"{U}0", "joy", "ann"), (f"{U}1", "fear", "ann")])
    add_annotations(out, AddOptions(file=path, resolution=ResolutionOptions("majority")))
    assert [row["id"] for row in sheet(out, only="disagreement")] == [f"{U}1", f"{U}2"]
    assert [row["id"] for row in sheet(out, only="unresolved")] == [f"{U}1", f"{U}3"]
    assert sheet(out, only="unresolved")[0]["vote:ann"] == "Fear"


def test_a_draw_is_repeatable_and_in_order(out: Path) -> None:
    drawn = [[row["id"] for row in sheet(out, limit=3, seed=seed)] for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len({tuple(ids) for ids in drawn}) > 1
    order = [row["id"] for row in sheet(out)]
    assert all(ids == sorted(ids, key=order.index) and len(ids) == 3 for ids in drawn)
    assert len(sheet(out, limit=99)) == 5


def test_what_cannot_be_exported(out: Path, tmp_path: Path) -> None:
    for options, message in {
        ExportOptions(only="some"): "Bad choice of utterances 'some', expected one of",
        ExportOptions(splits=("dev",)): "Bad split 'dev', expected one of",
        ExportOptions(form="excel"): "Bad format 'excel', expected one of",
        ExportOptions(only="unresolved", splits=("test",)): "no utterance to hand out",
    }.items():
        with pytest.raises(InputError, match=message):
            export_annotations(out, tmp_path / "a.csv", options)
    with pytest.raises(InputError, match=r"Which format 'a\.json' is to have is not clear"):
        export_annotations(out, tmp_path / "a.json", ExportOptions())


@pytest.mark.parametrize(
    ("form", "beside"),
    [("csv", ""), ("jsonl", ""), ("label-studio", "tasks.xml"), ("argilla", "tasks.settings.json")],
)
def test_no_file_is_overwritten_unasked(out: Path, tmp_path: Path, form: str, beside: str) -> None:
    to = tmp_path / "tasks.json"
    for name in filter(None, ("tasks.json", beside)):
        (tmp_path / name).write_text("filled in", encoding="utf-8")
        with pytest.raises(InputError, match=f"{name} exists, and somebody may have filled it in; --force"):
            export_annotations(out, to, ExportOptions(form=form))
        # Neither the one nor the other was written.
        assert sorted(path.name for path in tmp_path.glob("tasks*")) == [name]
        assert (tmp_path / name).read_text(encoding="utf-8") == "filled in"
        export_annotations(out, to, ExportOptions(form=form, replace=True))
        assert "dia0_utt0" in to.read_text(encoding="utf-8")
        for path in tmp_path.glob("tasks*"):
            path.unlink()
    if form == "label-studio":
        with pytest.raises(InputError, match="cannot be both"):
            export_annotations(out, tmp_path / "tasks.xml", ExportOptions(form=form))


def in_label_studio(path: Path) -> None:
    """Two people label the tasks."""
    tasks = json.loads(path.read_text(encoding="utf-8"))
    for number, task in enumerate(tasks, 1):
        task |= {"id": number, "annotations": []}
        for who, label in ((1, "Fear"), (2, "Joy")):
            result = {
                "from_name": "label",
                "to_name": "text",
                "type": "choices",
                "value": {"choices": [label]},
            }
            task["annotations"].append({"id": 1, "completed_by": who, "result": [result]})
    path.write_text(json.dumps(tasks), encoding="utf-8")


def in_argilla(path: Path) -> None:
    records = json.loads(path.read_text(encoding="utf-8"))
    for record in records:
        record["responses"] = {"label": [{"value": "Fear", "user_id": "1"}, {"value": "Joy", "user_id": "2"}]}
    path.write_text(json.dumps(records), encoding="utf-8")


@pytest.mark.parametrize(("form", "label"), [("label-studio", in_label_studio), ("argilla", in_argilla)])
def test_a_round_through_an_annotation_tool(out: Path, tmp_path: Path, form: str, label: Any) -> None:
    path = tmp_path / "tasks.json"
    assert export_annotations(out, path, ExportOptions(form=form, limit=3, seed=1)).items == 3
    label(path)
    options = AddOptions(file=path, sources=("1=ann", "2=bob"), resolution=ResolutionOptions("plurality"))
    manifest = add_annotations(out, options).manifest
    # The model's own labels, which the tool showed and gives back, are not counted twice.
    assert [(m["name"], m["kind"], m.get("votes")) for m in manifest["annotators"]] == [
        ("test/model", "model", None), ("ann", "human", 3), ("bob", "human", 3),
    ]  # fmt: skip
