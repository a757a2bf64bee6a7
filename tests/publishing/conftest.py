"""A small build, by hand: two splits, kept, repaired, quarantined and dropped rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remelt.labels import MELT
from remelt.publishing import DatasetContent, publish
from remelt.records import (
    Annotation,
    Drop,
    Message,
    Reply,
    Request,
    Utterance,
    Verdict,
    digest,
    utterance_key,
)  # fmt: skip

SCHEMA: dict[str, Any] = {
    "x-remelt-label": "elements.emotion",
    "x-remelt-echo": "character",
    "type": "object",
    "properties": {
        "character": {"type": "string"},
        "context": {"type": "string"},
        "elements": {
            "type": "object",
            "properties": {"emotion": {"enum": list(MELT.prompt_order)}, "pitch": {"type": "string"}},
        },
    },
}


def make_utterance(split: str, dialogue: int, number: int, **fields: Any) -> Utterance:
    values: dict[str, Any] = {
        "id": utterance_key("meld", split, dialogue, number),
        "corpus": "meld",
        "split": split,
        "dialogue_id": dialogue,
        "utterance_id": number,
        "speaker": "Joey",
        "text": "How you doing?",
        "label": "joy",
        "sentiment": "positive",
        "season": 3,
        "episode": 12,
        "start": 1.0,
        "end": 3.5,
        "source": f"{split}_sent_emo.csv:{number + 2}",
    }
    return Utterance(**(values | fields))


def make_annotation(utterance: Utterance, *labels: str | None, mismatch: bool = False) -> Annotation:
    """One reply per label; None is an answer that does not parse."""
    request = Request(
        utterance=utterance,
        annotator="openai/gpt-test",
        model="gpt-test",
        endpoint="https://example.org/v1",
        messages=(Message("user", f"{utterance.speaker} said: {utterance.words}"),),
        schema=SCHEMA,
        parameters={"temperature": 1.0, "seed": 7},
        prompt_hash="b" * 64,
    )
    key = request.key
    replies, verdicts = [], []
    for attempt, label in enumerate(labels):
        raw = "no idea" if label is None else f'{{"elements": {{"emotion": "{label.title()}"}}}}'
        replies.append(
            Reply(
                request_key=key,
                utterance_id=utterance.id,
                attempt=attempt,
                raw=raw,
                model="gpt-test-2024",
                means="json_schema",
                finish_reason="stop",
                input_tokens=100,
                output_tokens=20,
                cost=0.001,
                seconds=0.25,
                created="2026-01-02T03:04:05Z",
            )
        )
        answer = {
            "character": "Joey",
            "context": "at the bar",
            "elements": {"emotion": str(label).title(), "pitch": "high"},
        }
        verdicts.append(
            Verdict("invalid", problems=("the reply holds no JSON",))
            if label is None
            else Verdict("valid", answer, label, flags=("character_mismatch",) if mismatch else ())
        )
    return Annotation(request, tuple(replies), tuple(verdicts))


@pytest.fixture(scope="session")
def utterance() -> Callable[..., Utterance]:
    return make_utterance


@pytest.fixture(scope="session")
def annotation() -> Callable[..., Annotation]:
    return make_annotation


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    return SCHEMA


@pytest.fixture(scope="session")
def content() -> DatasetContent:
    """Train: 4 kept, 1 quarantined, 1 dropped; test: 1 kept, nothing dropped."""
    rows = [make_utterance("train", 0, n) for n in range(6)]
    rows[1] = replace(
        rows[1], speaker="Ross | <b>", label="anger", text='Say "hi"\nnow', flags=("stage_direction",)
    )
    rows[3] = replace(rows[3], label=None, start=None, end=None, text="â€™", text_repaired="’")
    other = make_utterance("test", 0, 0, label="frustration", clip="clips/dia0_utt0.mp4", clip_duration=2.52)
    invalid = make_annotation(rows[4], None, None)
    return DatasetContent(
        recipe="melt",
        corpus={
            "name": "meld",
            "title": "MELD",
            "licence": "GPL-3.0",
            "homepage": "https://affective-meld.github.io/",
            "citation": "@inproceedings{poria2019meld, title={MELD}}",
            "files": {"train_sent_emo.csv": "a" * 64},
            "language": "en",
        },
        splits=("train", "test"),
        inputs={"train": 6, "test": 1},
        annotations=(
            make_annotation(rows[0], "joy"),
            make_annotation(rows[1], None, "disgust", mismatch=True),
            make_annotation(rows[2], "neutral"),
            make_annotation(rows[3], "fear"),
            invalid,
            make_annotation(other, "sadness"),
        ),
        drops=(
            Drop(rows[4], "annotation", ("invalid_answer",), ("the reply holds no JSON",)),
            Drop(
                rows[5], "selection", ("duration", "words"), ("0.2 s is under 0.961 s", "1 word is under 3")
            ),
        ),
        label_set=MELT,
        schema=SCHEMA,
        schema_name="melt",
        annotator={
            "name": "openai/gpt-test",
            "model": "gpt-test",
            "endpoint": "https://example.org/v1",
            "parameters": {"temperature": 1.0},
            "retires": "2027-01-14",
            "notices": [],
        },
        prompt={
            "name": "melt",
            "version": "1",
            "source": "Jing et al. 2025",
            "sha256": digest("Say {x}"),
            "text": "Say {x}",
        },
        profile={"name": "clean", "options": {"min_duration": 0.961}},
        attrition=(
            {"split": "train", "rule": "duration", "alone": 1, "in_order": 1, "left": 5},
            {"split": "train", "rule": "words", "alone": 1, "in_order": 0, "left": 5},
            {"split": "test", "rule": "duration", "alone": 0, "in_order": 0, "left": 1},
        ),
        options={"limit": None, "seed": 0},
        notes=("27 words were cut.",),
        created="2026-01-02T03:04:05Z",
    )


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, content: DatasetContent) -> Path:
    """The content in a folder, beside what else lies in a real one; not to be changed."""
    out = tmp_path_factory.mktemp("built")
    (out / ".remelt").mkdir(parents=True)
    (out / ".remelt" / "journal.sqlite").write_bytes(b"SQLite format 3\0")
    publish(out, content)
    return out


@pytest.fixture
def published(tmp_path: Path, built: Path) -> Path:
    """A copy of `built` that a test may change."""
    shutil.copytree(built, tmp_path / "out")
    return tmp_path / "out"
