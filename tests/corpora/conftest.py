"""A small corpus in MELD's layout that tests can break."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from remelt.corpora.meld import COLUMNS

Row = Sequence[str]
Write = Callable[..., Path]

GOOD: dict[str, list[Row]] = {
    "train": [
        (
            "1",
            "Hello there, you.",
            "Ann",
            "joy",
            "positive",
            "0",
            "0",
            "1",
            "1",
            "00:00:01,000",
            "00:00:02,500",
        ),
        (
            "2",
            "What do you want?",
            "Bob",
            "anger",
            "negative",
            "0",
            "1",
            "1",
            "1",
            "0:00:03,000",
            "0:00:04,250",
        ),
    ],
    "dev": [
        (
            "1",
            "Nice day now.",
            "Ann",
            "neutral",
            "neutral",
            "0",
            "0",
            "1",
            "2",
            "00:00:01,000",
            "00:00:03,000",
        )
    ],
    "test": [
        ("1", "Oh my God!", "Bob", "surprise", "negative", "0", "0", "1", "3", "00:01:00,000", "00:01:01,000")
    ],
}


@pytest.fixture
def corpus(tmp_path: Path) -> Write:
    """Writes the corpus, changed: `train=` gives other rows, `Speaker=""` changes train's first row."""

    def write(
        header: Sequence[str] = COLUMNS,
        splits: Sequence[str] = ("train", "dev", "test"),
        train: Sequence[Row] | None = None,
        **values: str,
    ) -> Path:
        folder = tmp_path / "corpus"
        folder.mkdir(exist_ok=True)
        for split in splits:
            rows = list(train) if train is not None and split == "train" else list(GOOD[split])
            if split == "train" and values:
                first = list(rows[0])
                for column, value in values.items():
                    first[COLUMNS.index(column)] = value
                rows[0] = first
            path = folder / f"{split}_sent_emo.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([header, *rows])
        return folder

    return write
