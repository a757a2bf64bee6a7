"""Small records for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remelt.records import Message, Reply, Request, Utterance

SCHEMA: dict[str, Any] = {
    "x-remelt-label": "label",
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["Anger", "Joy", "Neutral"]}},
    "required": ["label"],
    "additionalProperties": False,
}


def utterance(number: int, **changes: Any) -> Utterance:
    values: dict[str, Any] = {
        "id": f"toy/train/dia0_utt{number}",
        "corpus": "toy",
        "split": "train",
        "dialogue_id": 0,
        "utterance_id": number,
        "speaker": "Ann",
        "text": f"This is line {number}.",
        "label": "neutral",
        "start": float(number),
        "end": number + 1.5,
        "source": f"train.csv:{number + 2}",
    }
    return Utterance(**{**values, **changes})


def request(number: int, **changes: Any) -> Request:
    values: dict[str, Any] = {
        "utterance": utterance(number),
        "annotator": "test/model",
        "model": "model",
        "endpoint": "test",
        "messages": (Message("system", "Label it."), Message("user", f"This is line {number}.")),
        "schema": SCHEMA,
        "parameters": {"temperature": 1.0},
    }
    return Request(**{**values, **changes})


def reply(asked: Request, attempt: int = 0, raw: str = '{"label": "Joy"}', **changes: Any) -> Reply:
    values: dict[str, Any] = {
        "request_key": asked.key,
        "utterance_id": asked.utterance.id,
        "attempt": attempt,
        "raw": raw,
        "model": asked.model,
        "means": "prompt",
        "finish_reason": "stop",
        "input_tokens": 10,
        "output_tokens": 5,
        "cost": 0.001,
        "created": "2026-01-01T00:00:00Z",
    }
    return Reply(**{**values, **changes})


def write_meld(folder: Path, rows: int, split: str = "train", per_dialogue: int = 10) -> Path:
    """A corpus in MELD's layout with `rows` lines, all different, by two speakers."""
    folder.mkdir(parents=True, exist_ok=True)
    header = (
        "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
    )
    sentiment = {"joy": "positive", "neutral": "neutral", "anger": "negative"}
    lines = [header]
    for n in range(rows):
        dialogue, place = divmod(n, per_dialogue)
        emotion = ("joy", "neutral", "anger")[n % 3]
        start, end = place * 4, place * 4 + 2
        times = f"00:{dialogue % 60:02d}:{start:02d},000", f"00:{dialogue % 60:02d}:{end:02d},500"
        lines.append(
            f'{n + 1},"Well, this is line number {n} of {split}.",{("Ross", "Monica")[n % 2]},{emotion},'
            f"{sentiment[emotion]},{dialogue},{place},{1 + dialogue // 60},{1 + dialogue % 24},"
            f'"{times[0]}","{times[1]}"'
        )
    (folder / f"{split}_sent_emo.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
