"""A small dataset of one annotator: four rows kept, one quarantined, one dropped by the selection."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from remelt import answers
from remelt.journal import FILE, Journal
from remelt.labels import MELT
from remelt.publishing import DatasetContent, find_problems, publish, seal, write_card
from remelt.recipes.annotation import quarantined
from remelt.recipes.finishing import BuildResult
from remelt.recipes.workspace import workspace
from remelt.records import Annotation, Drop, Utterance

from ..builders import reply, request, utterance

LABELS = ("Joy", "Anger", "Joy", "Sorrow")


def utterances() -> list[Utterance]:
    """Rows 0 to 3 of a dialogue, row 4 which the selection drops, and one of the split test."""
    rows = [utterance(n, clip=f"clips/x{n}.wav") for n in range(5)]
    other = utterance(
        0, id="toy/test/dia9_utt0", split="test", dialogue_id=9, label="fear", clip="other/x0.wav"
    )
    return [*rows, other]


def small_content() -> DatasetContent:
    schema = answers.load_schema("label", MELT)
    checker = answers.Checker(schema, MELT)
    rows = utterances()
    annotations = []
    for row, label in zip([*rows[:4], rows[5]], [*LABELS, "Fear"], strict=True):
        asked = replace(request(0), utterance=row, schema=schema)
        given = reply(asked, raw=f'{{"label": "{label}"}}')
        annotations.append(Annotation(asked, (given,), (checker.check(asked, given),)))
    return DatasetContent(
        recipe="melt",
        corpus={"name": "toy", "licence": "CC-BY-4.0", "homepage": "", "citation": "", "files": {}},
        splits=("train", "test"),
        inputs={"train": 5, "test": 1},
        annotations=annotations,
        drops=(
            Drop(rows[4], "selection", ("duration",), ("0.2 s is under 0.961 s",)),
            *quarantined(annotations),
        ),
        label_set=MELT,
        schema=schema,
        schema_name="label",
        annotator={
            "name": "test/model",
            "model": "model",
            "endpoint": "test",
            "parameters": {"temperature": 1.0},
            "retires": None,
            "notices": [],
        },
        notes=["A note of the corpus."],
        created="2026-01-01T00:00:00Z",
    )


def publish_small(out: Path) -> Path:
    """Publishes it with its journal, as a build does; it is made once and copied."""
    shutil.copytree(Path(_made().name) / "out", out)
    return out


@functools.cache
def _made() -> tempfile.TemporaryDirectory[str]:
    folder: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory()
    out, content = Path(folder.name) / "out", small_content()
    with workspace(out, "melt", "toy") as journal:
        journal.append([(a.request, r) for a in content.annotations for r in a.replies])
    write_card(out, publish(out, content))
    seal(out)
    return folder


def finish_quickly(out: Path, content: DatasetContent, stats: Any, reporter: Any) -> BuildResult:
    """`finishing.finish` without the audit, which takes seconds."""
    publish(out, content)
    return BuildResult(out, seal(out), None, stats)  # type: ignore[arg-type]


def problems(out: Path) -> list[str]:
    """What `remelt verify` finds in the folder; not in its card, which the tests leave as it was."""
    return [str(found) for found in find_problems(out) if "README.md" not in str(found)]


def replies(out: Path) -> int:
    with Journal(out / ".remelt" / FILE, read_only=True) as journal:
        return journal.count()


def table(path: Path, rows: Sequence[Sequence[object]], header: str = "id,label,annotator") -> Path:
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
