"""A table corpus for builds in parts: several splits in one file, dialogues that cross parts, odd rows."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from pathlib import Path
from typing import Any

from remelt.recipes.reporting import Reporter

COLUMNS = (
    "dialogue_id", "utterance_id", "speaker", "text", "label", "split", "start", "end", "season", "episode",
)  # fmt: skip
TIMED = ("run", "answered", "created", "folder", "seconds")
LABELS = ("joy", "happiness", "neutral", "anger", "frustrated", "")


class Notes(Reporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.stages: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def stage(self, text: str) -> None:
        self.stages.append(text)


def write_table(path: Path, rows: int = 90, seed: int = 1) -> Path:
    """So many utterances of five speakers, the splits interleaved, with repeated, short and empty texts."""
    drawn = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for n in range(rows):
            text = drawn.choice(
                ["Yes, I do know that.", "Oh", "  ", *[f"This is line {n}, \u2019tis so."] * 5]
            )
            end = 3 * n + drawn.choice([0.4, 2.5, 2.5])
            speaker = drawn.choice(["Ann", "Bob", "Cid", "Dot", "Woman 2"])
            split = drawn.choice(["train", "train", "test", "dev"])
            dialogue = f"d{n // 15 if n % 3 else n // 30}"
            label = drawn.choice(LABELS)
            table.writerow(
                [dialogue, n, speaker, text, label, split, f"{3 * n:.2f}", f"{end:.2f}", 1, n // 20]
            )
    return path


def write_labels(path: Path, ids: list[str], seed: int = 2) -> Path:
    """A label file for most of these utterances, with labels off the list, other words and an id too many."""
    drawn = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "llm_label", "text"])
        table.writerow(["table/train/nobody", "joy", "Nobody says this."])
        for name in ids:
            if drawn.random() < 0.9:
                label = drawn.choice(["joy", "Anger", "neutral", "neutral", "nonsense"])
                table.writerow([name, label, drawn.choice(["Quite another text.", "This is line"])])
    return path


def files(out: Path, *folders: str) -> dict[str, str]:
    """Path -> sha256 of the files below these folders of a dataset."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted((out / folder).rglob("*"))
        if path.is_file()
    }


def manifest(out: Path) -> dict[str, Any]:
    """A manifest without what differs from one run to the next."""
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for name in ("files", "created", "run"):
        found.pop(name, None)
    for member in (found["annotator"], *found.get("annotators", ())):
        for name in ("run", "answered"):
            member.pop(name, None)
    return found


def findings(out: Path) -> dict[str, Any]:
    """The audit's findings without what differs from one run to the next."""
    found: dict[str, Any] = json.loads((out / "audit" / "findings.json").read_text(encoding="utf-8"))
    return without_runs(found)


def without_runs(value: Any) -> Any:
    """JSON without the records of runs, folders and times."""
    if isinstance(value, dict):
        return {
            k: without_runs(v)
            for k, v in value.items()
            if k not in ("run", "created", "folder", "seconds", "answered")
        }
    return [without_runs(part) for part in value] if isinstance(value, list) else value
