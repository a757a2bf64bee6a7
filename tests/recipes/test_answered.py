"""Who answered and when, in the manifest and on the card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remelt.publishing import find_problems, read_manifest, write_card
from remelt.publishing.tally import Tally
from remelt.recipes.rebuild import published_content

from . import migration_dataset as dataset

FIRST, LAST = "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"


def test_the_manifest_and_the_card_name_the_snapshot_and_the_days(tmp_path: Path) -> None:
    out = dataset.publish_rows(tmp_path / "out", "label")
    manifest = read_manifest(out)
    assert manifest["annotator"]["model"] == "model"
    assert manifest["annotator"]["answered_by"] == {"model-2026-01-01": 60}
    assert manifest["annotator"]["answered"] == {"first": FIRST, "last": LAST}
    card = write_card(out, manifest).read_text(encoding="utf-8")
    assert "model-2026-01-01 (60)" in card
    assert "2026-01-01 to 2026-01-03" in card


def test_each_of_several_has_its_own(tmp_path: Path) -> None:
    manifest = read_manifest(dataset.publish_panel(tmp_path / "out"))
    assert [member["answered_by"] for member in manifest["annotators"]] == [
        {"model-2026-01-01": 60},
        {"other": 60},
    ]
    assert manifest["annotators"][1]["answered"] == {"first": FIRST, "last": FIRST}
    assert manifest["annotator"]["answered"] == {"first": FIRST, "last": LAST}


def test_a_rebuild_counts_them_anew(tmp_path: Path) -> None:
    out = dataset.publish_rows(tmp_path / "out", "label")
    content = published_content(out, read_manifest(out))
    assert "answered_by" not in content.annotator
    assert "answered" not in content.annotator


def test_parts_add_up() -> None:
    content = dataset.content("label")
    whole = Tally.of(content).replies
    parts = [type(whole).of(content.annotations[start : start + 7]) for start in range(0, 60, 7)]
    merged = type(whole)()
    for part in parts:
        merged = merged.plus(part)
    assert merged.answered_record() == whole.answered_record()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("answered_by", {"another": 60}, True),
        ("answered", {"first": FIRST, "last": FIRST}, True),
        # What an earlier version published does not say.
        ("answered", None, False),
    ],
)
def test_verify_compares_them_with_the_replies(tmp_path: Path, key: str, value: object, told: bool) -> None:
    out = dataset.publish_rows(tmp_path / "out", "label")
    path = out / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if value is None:
        del manifest["annotator"][key]
    else:
        manifest["annotator"][key] = value
    path.write_text(json.dumps(manifest), encoding="utf-8")
    found = [str(problem) for problem in find_problems(out) if f"{key} of" in str(problem)]
    assert bool(found) == told
