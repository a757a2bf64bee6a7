"""A published dataset of sixty rows in two splits; its answers have fields with a list of values."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from remelt import answers
from remelt.labels import MELT
from remelt.publishing import DatasetContent, publish, seal
from remelt.recipes.annotation import quarantined
from remelt.recipes.panel.content import panel_content
from remelt.records import Annotation, Message, Utterance
from remelt.resolution import ResolutionOptions

from ..builders import reply, request, utterance

LABELS = ("neutral", "neutral", "neutral", "neutral", "joy", "joy", "anger", "sadness")
LEVELS = ("low", "mid", "high")
RARE = 41
ROWS = 60


def rows() -> list[Utterance]:
    """Two thirds of them of train; a few without an original label, one with a label that is off the list."""
    found = []
    for n in range(ROWS):
        split = "train" if n % 3 else "test"
        label: str | None = LABELS[(n * 5) % len(LABELS)]
        label = None if n % 13 == 5 else "confusion" if n == 7 else label
        found.append(utterance(n, id=f"toy/{split}/dia0_utt{n}", split=split, label=label))
    return found


def label_of(number: int) -> str:
    return "Fear" if number == RARE else LABELS[number % len(LABELS)].capitalize()


def _answer(row: Utterance, schema_name: str) -> str:
    number = int(row.utterance_id)
    label = label_of(number)
    if schema_name == "label":
        return json.dumps({"label": label})
    levels = {name: LEVELS[(number + n) % 3] for n, name in enumerate(("loudness", "pitch", "rhythm_speed"))}
    elements = {"emotion": label, "voice": "calm", **levels, "emotional_impact": "little"}
    return json.dumps({"character": row.speaker, "context": "a talk", "elements": elements})


def content(schema_name: str = "melt-levels", prompted: bool = True) -> DatasetContent:
    schema = answers.load_schema(schema_name, MELT)
    checker = answers.Checker(schema, MELT)
    annotations = []
    for row in rows():
        n = int(row.utterance_id)
        messages = (Message("system", "Label it."), Message("user", f'"Ann said: This is line {n}."'))
        asked = replace(
            request(0),
            utterance=row,
            schema=schema,
            messages=messages if prompted else (),
            parameters={"temperature": 1.0, "max_tokens": 99, "seed": 100 + n},
        )
        raw = "no idea" if n == 11 else _answer(row, schema_name)
        given = reply(asked, raw=raw, model="model-2026-01-01", created=f"2026-01-0{1 + n % 3}T00:00:00Z")
        annotations.append(Annotation(asked, (given,), (checker.check(asked, given),)))
    return DatasetContent(
        recipe="melt",
        corpus={"name": "toy", "licence": "CC-BY-4.0", "homepage": "", "citation": "", "files": {}},
        splits=("train", "test"),
        inputs={"train": 40, "test": 20},
        annotations=annotations,
        drops=quarantined(annotations),
        label_set=MELT,
        schema=schema,
        schema_name=schema_name,
        annotator={
            "name": "test/model", "model": "model", "endpoint": "test",
            "parameters": {"temperature": 1.0, "max_tokens": 99, "seed": 0}, "retires": None, "notices": [],
        },
        options={"retries": 1},
        created="2026-01-01T00:00:00Z",
    )  # fmt: skip


def publish_rows(out: Path, schema_name: str = "melt-levels", prompted: bool = True) -> Path:
    """Publishes them; each kind is made once and copied."""
    shutil.copytree(Path(_made(schema_name, prompted).name) / "out", out)
    return out


@functools.cache
def _made(schema_name: str, prompted: bool) -> tempfile.TemporaryDirectory[str]:
    folder: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory()
    out = Path(folder.name) / "out"
    publish(out, content(schema_name, prompted))
    seal(out)
    return folder


def publish_panel(out: Path) -> Path:
    """Publishes the rows with two annotators, `a` as above and `b` who says joy to all; `a` decides."""
    alone = content("label")
    checker = answers.Checker(alone.schema, MELT)
    both = []
    for one in alone.annotations:
        asked = replace(one.request, annotator="a")
        both.append(Annotation(asked, (replace(one.replies[0], request_key=asked.key),), one.verdicts))
        other = replace(asked, annotator="b", model="other")
        given = reply(other, raw='{"label": "Joy"}')
        both.append(Annotation(other, (given,), (checker.check(other, given),)))
    members = [
        {
            **alone.annotator, "name": name, "model": model, "kind": "model", "prompt": None,
            "schema": {"name": "label", "json": alone.schema},
        }
        for name, model in (("a", "model"), ("b", "other"))
    ]  # fmt: skip
    utterances = [one.utterance for one in alone.annotations]
    publish(
        out,
        panel_content(replace(alone, drops=()), members, both, utterances, ResolutionOptions(rule="first")),
    )
    seal(out)
    return out


def state(out: Path) -> dict[str, Any]:
    """Every file of the dataset but for what stands in `.remelt/`."""
    files = (path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in files
        if path.relative_to(out).parts[0] != ".remelt"
    }
