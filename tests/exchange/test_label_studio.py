"""Label Studio's exports, in the shapes that its server (1.2x) and converter write."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remelt.errors import InputError
from remelt.exchange import Item, Reading, ReadOptions, Sheet, read, write
from remelt.labels import FENG, MELT
from remelt.records import Vote

OPTIONS = ReadOptions(MELT)
ITEMS = tuple(
    Item(
        f"meld/train/dia0_utt{n}",
        "train",
        "Ross",
        f"Line {n} & more.",
        tuple(f"Joey: Line {m}" for m in range(n)),
        f"/data/local-files/?d=meld/dia0_utt{n}.mp4",
        "joy",
        (Vote("local/smollm2", "joy", "model", {"joy": 0.75, "fear": 0.25}), Vote("mock", None)),
    )
    for n in range(3)
)


def choice(label: str | Sequence[str], name: str = "label") -> dict[str, Any]:
    labels = [label] if isinstance(label, str) else list(label)
    return {
        "id": "Zb3eR1vT0q",
        "from_name": name,
        "to_name": "text",
        "type": "choices",
        "origin": "manual",
        "value": {"choices": labels},
    }


def annotation(number: int, who: Any, result: Sequence[Any], cancelled: bool = False) -> dict[str, Any]:
    return {
        "id": number,
        "completed_by": who,
        "result": list(result),
        "was_cancelled": cancelled,
        "ground_truth": False,
        "created_at": "2026-03-09T22:16:08.728353Z",
        "updated_at": "2026-03-09T22:16:08.728378Z",
        "draft_created_at": None,
        "lead_time": 4.288,
        "prediction": {},
        "result_count": 0,
        "unique_id": "0b6c4b0e-93f1-4b4e-9b8f-0c8f5dd9f0d1",
        "import_id": None,
        "last_action": None,
        "task": number // 10,
        "project": 83,
        "updated_by": 1,
        "parent_prediction": None,
        "parent_annotation": None,
        "last_created_by": None,
    }


def finished(task: dict[str, Any], number: int, annotations: Sequence[Any], **more: Any) -> dict[str, Any]:
    predictions = [
        {"id": 7, "created_ago": "1 day", **p, "task": number} for p in task.get("predictions", ())
    ]
    return {
        "id": number,
        "annotations": list(annotations),
        "file_upload": "1f2e3d4c-tasks.json",
        "drafts": [],
        "predictions": predictions,
        "data": task["data"],
        "meta": {},
        "inner_id": number,
        "total_annotations": len(annotations),
        "cancelled_annotations": 0,
        "project": 83,
        **more,
    }


def export(path: Path, tasks: Sequence[Any], options: ReadOptions = OPTIONS) -> Reading:
    path.write_text(json.dumps(tasks), encoding="utf-8")
    form, reading = read(path, options)
    assert form == "label-studio"
    return reading


def test_tasks_come_back_with_people_and_models(tmp_path: Path) -> None:
    paths = write(tmp_path / "tasks.json", Sheet("MELD", MELT, ITEMS), "label-studio")
    assert [path.name for path in paths] == ["tasks.json", "tasks.xml"]
    tasks = json.loads(paths[0].read_text(encoding="utf-8"))
    sure = {"from_name": "confidence", "to_name": "text", "type": "rating", "value": {"rating": 4}}
    note = {"from_name": "note", "to_name": "text", "type": "textarea", "value": {"text": ["a sigh", "loud"]}}
    ann, bob = 3, {"id": 4, "email": "bob@example.org", "first_name": "Bob", "last_name": ""}
    done = [
        finished(
            tasks[0],
            501,
            [annotation(10, ann, [choice("Fear"), sure, note]), annotation(11, bob, [choice("Joy")])],
        ),
        finished(
            tasks[1],
            502,
            [annotation(20, ann, [choice("Anger")], cancelled=True), annotation(21, bob, [sure])],
        ),
        finished(tasks[2], 503, [], predictions=[91, 92]),
    ]
    reading = export(tmp_path / "export.json", done)
    assert reading.left_out == {
        "cancelled": 1,
        "without a label": 1,
        "without an annotation": 1,
        "predictions without their content": 2,
    }
    people = [g for g in reading.givens if g.kind == "human"]
    assert [(g.utterance_id, g.source, g.label) for g in people] == [
        ("meld/train/dia0_utt0", "3", "Fear"),
        ("meld/train/dia0_utt0", "4", "Joy"),
    ]
    assert (people[0].confidence, people[0].note) == (4.0, "a sigh\nloud")
    assert people[0].place.endswith("row 1, annotation 10 of 3")
    models = [g for g in reading.givens if g.kind == "model"]
    assert [(g.source, g.label, g.confidence) for g in models] == [("local/smollm2", "Joy", 0.75)] * 2
    only = export(tmp_path / "export.json", done, replace(OPTIONS, kind="human"))
    assert list(only.givens) == people


def test_the_configuration_has_the_labels_as_the_prompt_spells_them(tmp_path: Path) -> None:
    write(tmp_path / "tasks.json", Sheet("X", FENG, ITEMS), "label-studio")
    root = ElementTree.parse(tmp_path / "tasks.xml").getroot()
    assert [node.get("value") for node in root.iter("Choice")] == list(FENG.prompt_order)
    names = {node.get("name"): node.get("value") for node in root.iter() if node.get("name")}
    task = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))[0]
    assert {value[1:] for value in names.values() if value} <= set(task["data"])
    result = task["predictions"][0]["result"][0]
    assert (result["from_name"], result["to_name"]) == ("label", "text")
    assert {"label", "text"} <= set(names)
    assert result["value"]["choices"] == ["happy"]


def test_a_blind_task_has_no_predictions_and_sound_only_where_all_have_it(tmp_path: Path) -> None:
    some = (ITEMS[0], replace(ITEMS[1], clip=None))
    write(tmp_path / "tasks.json", Sheet("MELD", MELT, some, blind=True), "label-studio")
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    assert [set(task) for task in tasks] == [{"data"}, {"data"}]
    assert "audio" not in tasks[0]["data"]
    assert "<Audio" not in (tmp_path / "tasks.xml").read_text(encoding="utf-8")


def test_json_min_has_the_tasks_number_as_its_id(tmp_path: Path) -> None:
    facts = {"created_at": "2026-01-01", "updated_at": "2026-01-01", "lead_time": 3.2}
    data = {"remelt_id": "meld/train/dia0_utt0", "text": "Ross: Hi", "context": "", "id": 501}
    rows = [
        {**data, "label": "Fear", "confidence": [{"rating": 2}], "note": "n", "annotator": 3,
         "annotation_id": 10, **facts},
        {**data, "label": {"choices": ["Joy", "Fear"]}, "annotator": "bob@example.org", "annotation_id": 11,
         **facts},
        {**data, "annotator": None, "annotation_id": None, **facts},
    ]  # fmt: skip
    reading = export(tmp_path / "min.json", rows)
    assert [(g.utterance_id, g.source, g.label) for g in reading.givens] == [
        ("meld/train/dia0_utt0", "3", "Fear"),
        ("meld/train/dia0_utt0", "bob@example.org", "Joy + Fear"),
    ]
    assert (reading.givens[0].confidence, reading.givens[0].note) == (2.0, "n")
    assert reading.left_out == {"without a label": 1}
    assert Counter(g.kind for g in reading.givens) == {"human": 2}
    for row in rows:
        del row["remelt_id"]
    with pytest.raises(InputError, match=r"row 1: no utterance id.*--id-column"):
        export(tmp_path / "min.json", rows)


def test_which_question_asks_for_the_label(tmp_path: Path) -> None:
    task = {"data": {"id": "meld/train/dia0_utt0"}}
    both = [finished(task, 1, [annotation(10, 3, [choice("Joy", "mood"), choice("clear", "sound")])])]
    with pytest.raises(
        InputError, match=r"annotation 10 of 3: Bad question.*'mood', 'sound'.*--label-column"
    ):
        export(tmp_path / "a.json", both)
    named = export(tmp_path / "a.json", both, replace(OPTIONS, label_columns=("mood",)))
    assert [g.label for g in named.givens] == ["Joy"]
    two = [finished(task, 1, [annotation(10, 3, [choice(["Joy", "Fear"])])])]
    assert [g.label for g in export(tmp_path / "b.json", two).givens] == ["Joy + Fear"]
    with pytest.raises(InputError, match="row 1: a task needs an object 'data'"):
        export(tmp_path / "c.json", [{"data": "x", "annotations": []}])
