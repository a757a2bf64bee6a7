"""Argilla's records, in the shapes that its package (2.8) and server write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from remelt.errors import InputError
from remelt.exchange import Item, Reading, ReadOptions, Sheet, read, write
from remelt.labels import FENG, MELT
from remelt.records import Vote

OPTIONS = ReadOptions(MELT)
ANN, BOB = "001f9a00-0000-4000-8000-000000000001", "001f9a00-0000-4000-8000-000000000002"
ONE = (Vote("mock", "joy", "model", {"joy": 0.9, "fear": 0.1}),)
TWO = (Vote("mock", "joy"), Vote("local/smollm2", "fear"), Vote("ann", "joy", "human"))
ITEMS = (
    Item("meld/train/dia0_utt0", "train", "Ross", "Line 0.", (), None, "joy", ONE),
    Item("meld/train/dia0_utt1", "train", "Joey", "Line 1.", ("Ross: Line 0.",), None, "joy", TWO),
)


def answered(record: dict[str, Any]) -> dict[str, Any]:
    """As `Record.to_dict` gives it: no status with a response."""
    return {
        **record,
        "responses": {
            "label": [{"value": "Fear", "user_id": ANN}, {"value": "Joy", "user_id": BOB}],
            "confidence": [{"value": 2, "user_id": BOB}],
            "note": [{"value": "trembling", "user_id": ANN}],
        },
        "status": "completed",
        "_server_id": "c6a4b1f4-7f0e-4f0c-9a43-5d6ef3a1a111",
    }


def flat(record: dict[str, Any], statuses: Sequence[str]) -> dict[str, Any]:
    """As `to_list(flatten=True)` and `to_datasets` give it."""
    suggestion = record["suggestions"].get("label", {})
    return {
        "id": record["id"],
        "status": "completed",
        "_server_id": "c6a4b1f4-7f0e-4f0c-9a43-5d6ef3a1a111",
        **record["fields"],
        **{k: v for k, v in record["metadata"].items() if not k.startswith("vote_")},
        "label.responses": ["Fear", "Joy"][: len(statuses)] or None,
        "label.responses.users": [ANN, BOB][: len(statuses)] or None,
        "label.responses.status": list(statuses) or None,
        "confidence.responses": [2] if statuses else None,
        "confidence.responses.users": [BOB] if statuses else None,
        "confidence.responses.status": ["submitted"] if statuses else None,
        "label.suggestion": suggestion.get("value"),
        "label.suggestion.score": suggestion.get("score"),
        "label.suggestion.agent": suggestion.get("agent"),
    }


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    path, _ = write(tmp_path / "sheet.json", Sheet("MELD", MELT, ITEMS), "argilla")
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def export(path: Path, rows: Sequence[Any], options: ReadOptions = OPTIONS) -> Reading:
    path.write_text(json.dumps(rows), encoding="utf-8")
    form, reading = read(path, options)
    assert form == "argilla"
    return reading


def told(reading: Reading) -> list[tuple[Any, ...]]:
    return [(g.utterance_id, g.source, g.kind, g.label, g.confidence, g.note) for g in reading.givens]


FIRST = "meld/train/dia0_utt0"
PEOPLE = [(FIRST, ANN, "human", "Fear", None, "trembling"), (FIRST, BOB, "human", "Joy", 2.0, None)]
MODEL = (FIRST, "mock", "model", "Joy", 0.9, None)


def test_records_with_responses_and_suggestions(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    rows = [answered(records[0]), records[1]]
    reading = export(tmp_path / "a.json", rows)
    assert told(reading) == [*PEOPLE, MODEL]
    # The second suggestion is the dataset's own label, which is nobody's vote.
    assert reading.left_out == {"without a response": 1, "suggested by remelt": 1}
    assert any("drafts and discarded ones may be among them" in notice for notice in reading.notices)
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / "records.json").write_text(json.dumps(rows), encoding="utf-8")
    form, again = read(folder, OPTIONS)
    assert (form, told(again)) == ("argilla", told(reading))
    models = export(tmp_path / "a.json", rows, replace(OPTIONS, kind="model"))
    assert told(models) == [MODEL]
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert told(read(lines, OPTIONS)[1]) == told(reading)


def test_drafts_and_discarded_responses_are_left_out(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    rows = [flat(records[0], ["submitted", "submitted"]), flat(records[1], ["draft", "discarded"])]
    reading = export(tmp_path / "a.json", rows)
    assert told(reading) == [(*PEOPLE[0][:5], None), PEOPLE[1], MODEL]
    assert reading.left_out == {"draft": 1, "discarded": 1, "suggested by remelt": 1}
    assert not reading.notices
    path = tmp_path / "a.parquet"
    datasets.Dataset.from_list(rows).to_parquet(path)
    assert told(read(path, OPTIONS)[1]) == told(reading)
    rows[0]["label.responses.status"] = ["submitted", "pending"]
    with pytest.raises(InputError, match="row 1: Bad status of a response 'pending', expected one of"):
        export(tmp_path / "b.json", rows)
    rows[0]["label.responses.users"] = [ANN]
    with pytest.raises(InputError, match=r"row 1: 2 values in 'label.responses', but 1 users"):
        export(tmp_path / "b.json", rows)


def test_records_of_the_server(tmp_path: Path) -> None:
    record = {
        "id": "c6a4b1f4-7f0e-4f0c-9a43-5d6ef3a1a111",
        "external_id": FIRST,
        "fields": {"text": "Ross: Line 0."},
        "metadata": {"remelt_id": FIRST},
        "responses": [
            {"user_id": ANN, "status": "submitted",
             "values": {"label": {"value": "Fear"}, "note": {"value": "trembling"}}},
            {"user_id": BOB, "status": "draft", "values": {"label": {"value": "Joy"}}},
        ],
        "suggestions": [{"question_name": "label", "value": "Joy", "score": 0.9, "agent": "mock"}],
    }  # fmt: skip
    reading = export(tmp_path / "a.json", [record])
    assert told(reading) == [PEOPLE[0], MODEL]
    assert reading.left_out == {"draft": 1}


def test_what_is_written(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    first, second = records
    assert first["suggestions"]["label"] == {"value": "Joy", "score": 0.9, "agent": "mock"}
    assert second["suggestions"]["label"] == {"value": "Joy", "score": None, "agent": "remelt"}
    assert second["fields"] == {"context": "Ross: Line 0.", "text": "Joey: Line 1."}
    settings = json.loads((tmp_path / "sheet.settings.json").read_text(encoding="utf-8"))
    titles = {field["name"]: field["title"] for field in settings["metadata"]}
    votes = {titles[name]: value for name, value in second["metadata"].items() if name.startswith("vote_")}
    assert votes == {"mock": "Joy", "local/smollm2": "Fear", "ann": "Joy"}
    assert set(second["metadata"]) <= set(titles)
    assert [field["name"] for field in settings["fields"]] == list(first["fields"])
    label = next(q for q in settings["questions"] if q["name"] == "label")
    assert [option["value"] for option in label["settings"]["options"]] == list(MELT.prompt_order)


def test_a_blind_sheet_shows_no_labels(tmp_path: Path) -> None:
    items = tuple(replace(item, votes=item.votes, label="joy") for item in ITEMS)
    path, settings = write(tmp_path / "sheet.json", Sheet("X", FENG, items, blind=True), "argilla")
    rows = json.loads(path.read_text(encoding="utf-8"))
    assert all(row["suggestions"] == {} for row in rows)
    assert not any("happy" in json.dumps(row) or "vote_" in json.dumps(row) for row in rows)
    assert "smollm2" not in settings.read_text(encoding="utf-8")
