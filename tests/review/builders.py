"""Items, judgements and sessions for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remelt.review.assignment import Wanted
from remelt.review.judgements import Item, Judgement
from remelt.review.session import Question, Session
from remelt.review.store import Store

SOURCES = ("original_label", "label")
LABELS = ("anger", "joy", "neutral", "sadness")


def items(number: int) -> list[Item]:
    return [
        Item(f"s/train/u{i}", "train", f"Line {i}.", "Ann", first=LABELS[i % 4], second=LABELS[(i + 1) % 4])
        for i in range(number)
    ]


def session(store: Store, number: int = 6, mode: Any = "preference", **wanted: Any) -> Session:
    return Session(items(number), store, Question(mode, SOURCES, LABELS, Wanted(**wanted)))


def store_at(folder: Path) -> Store:
    return Store(folder / ".remelt" / "review.sqlite")


def judgement(rater: str = "Ann", item: str = "x", choice: str = "second", **more: Any) -> Judgement:
    values: dict[str, Any] = {
        "mode": "preference",
        "sources": SOURCES,
        "utterance_id": f"s/train/{item}",
        "split": "train",
        "first": "joy",
        "second": "anger",
        "left": "first",
        "created": "2026-01-01T00:00:00Z",
    }
    return Judgement(rater=rater, item=item, choice=choice, **{**values, **more})


def choice_of(served: Any, choice: str, **more: Any) -> dict[str, Any]:
    """What a browser sends for a served item."""
    return {"item": served.token, "choice": choice, "left": served.left, "right": served.right, **more}
