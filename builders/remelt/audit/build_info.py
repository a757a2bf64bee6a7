"""What a remelt dataset folder says of its own making: manifest, dropped rows, replies."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from ..errors import InputError
from .batches import parquet_batches, parquet_names

MAX_DROPPED = 5_000
_DROPPED = ("id", "split", "stage", "reasons", "details", "speaker", "text", "original_label", "start", "end")
_REPLY_COUNTS = ("id", "status", "input_tokens", "output_tokens", "cost", "model", "attempt")
_CUT = ("clip_start", "clip_end")
_REPLY_TEXTS = ("id", "attempt", "status", "raw", "problems", "detail")


@dataclass(frozen=True, slots=True)
class DroppedRow:
    """A row of the `dropped` config."""

    id: str
    split: str
    stage: str
    reasons: tuple[str, ...]
    details: tuple[str, ...]
    speaker: str | None
    text: str
    original_label: str | None
    duration: float | None


@dataclass(frozen=True, slots=True)
class QuarantinedReply:
    """One reply to an utterance that was quarantined."""

    attempt: int
    status: str
    raw: str
    problems: tuple[str, ...]


@dataclass(slots=True)
class LeftOut:
    """The rows of one split that are not among the labelled ones, counted.

    Attributes:
        stages: stage -> rows.
        reasons: stage -> reason -> rows.
        speakers: their names, as they stand.
        seconds: the lengths that are known, in order.
    """

    stages: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    speakers: set[str | None] = field(default_factory=set)
    seconds: array[float] = field(default_factory=lambda: array("d"))

    @property
    def rows(self) -> int:
        """All of them."""
        return self.stages.total()

    def add(self, row: DroppedRow) -> None:
        """Counts a further row."""
        self.stages[row.stage] += 1
        self.reasons.setdefault(row.stage, Counter()).update(row.reasons)
        self.speakers.add(row.speaker)
        if row.duration is not None:
            self.seconds.append(row.duration)


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What stands in a dataset folder beside the labels.

    Attributes:
        manifest: the parsed manifest.json.
        left_out: split -> its rows of the `dropped` config, counted.
        shown: the first `MAX_DROPPED` of these rows, those of the stage `annotation` before all others.
        unresolved: those of the stage `resolution`, in order.
        has_dropped, has_replies: whether the folder has these configs at all.
        replies: counted from the `annotations` config: total, per status, tokens, cost, models.
        quarantined: utterance id -> its replies, for shown rows of the stage `annotation`.
    """

    manifest: Mapping[str, Any]
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    shown: tuple[DroppedRow, ...] = ()
    unresolved: tuple[DroppedRow, ...] = ()
    has_dropped: bool = False
    has_replies: bool = False
    replies: Mapping[str, Any] = field(default_factory=dict)
    quarantined: Mapping[str, tuple[QuarantinedReply, ...]] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """How many rows the `dropped` config has."""
        return sum(left.rows for left in self.left_out.values())

    def get(self, *keys: str) -> Any:
        """A value of the manifest by its path of keys; None where there is none.

        >>> BuildInfo({"corpus": {"name": "meld"}}).get("corpus", "name")
        'meld'
        """
        value: Any = self.manifest
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    @property
    def annotators(self) -> list[str]:
        """The names of all who annotated, in order; of one or none where there were no several."""
        members = self.get("annotators")
        members = members if isinstance(members, list) and members else [self.get("annotator")]
        return [str(m["name"]) for m in members if isinstance(m, Mapping) and m.get("name")]


def together(names: Sequence[str]) -> str:
    """Who annotated, in a few words.

    >>> together(["a"]), together(["a", "b"]), together(["a", "b", "c"])
    ('a', 'a and b', 'a and 2 others')
    """
    if len(names) > 2:
        return f"{names[0]} and {len(names) - 1:,} others"
    return " and ".join(names)


def read_build(folder: Path) -> BuildInfo | None:
    """What the folder says of its making; None where it is not a remelt dataset folder.

    Raises:
        InputError: a broken manifest or Parquet file.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not isinstance(manifest, dict) or "recipe" not in manifest:
        return None
    left_out: dict[str, LeftOut] = {}
    unresolved: list[DroppedRow] = []
    quarantined: list[DroppedRow] = []
    others: list[DroppedRow] = []
    for row in _dropped(folder / "dropped"):
        left_out.setdefault(row.split, LeftOut()).add(row)
        kept = quarantined if row.stage == "annotation" else others
        if len(kept) < MAX_DROPPED:
            kept.append(row)
        if row.stage == "resolution":
            unresolved.append(row)
    return BuildInfo(
        manifest=manifest,
        left_out=left_out,
        shown=tuple([*quarantined, *others][:MAX_DROPPED]),
        unresolved=tuple(unresolved),
        has_dropped=(folder / "dropped").is_dir(),
        has_replies=(folder / "annotations").is_dir(),
        replies=_replies(folder / "annotations"),
        quarantined=_quarantined(folder / "annotations", {row.id for row in quarantined}),
    )


def read_cuts(
    folder: Path, wanted: Collection[str] | None = None
) -> dict[str, tuple[float | None, float | None]]:
    """Seconds into its clip's file where an utterance begins and ends, for those that are a part of one.

    Args:
        folder: the dataset folder.
        wanted: ids of the utterances; None for all.

    Raises:
        InputError: a broken Parquet file.
    """
    found: dict[str, tuple[float | None, float | None]] = {}
    for columns in _rows(folder / "annotations", ("id", *_CUT)):
        for name, start, end in zip(columns["id"], *(columns[n] for n in _CUT), strict=True):
            if (start is not None or end is not None) and (wanted is None or name in wanted):
                found[str(name)] = (start, end)
    return found


def _rows(folder: Path, names: tuple[str, ...]) -> Iterator[Mapping[str, list[Any]]]:
    for path in sorted(folder.glob("*.parquet")) if folder.is_dir() else []:
        present = parquet_names(path)
        missing = [n for n in names[:2] if n not in _CUT and n not in present]
        if missing:
            raise InputError(f"{path}: Bad columns {present!r}, expected {missing!r} among them")
        for batch in parquet_batches(path, [n for n in present if n in names]):
            columns = {n: batch.column(n).to_pylist() for n in batch.schema.names}
            yield {n: columns.get(n, [None] * batch.num_rows) for n in names}


def _dropped(folder: Path) -> Iterator[DroppedRow]:
    for columns in _rows(folder, _DROPPED):
        for row in zip(*(columns[n] for n in _DROPPED), strict=True):
            name, split, stage, reasons, details, speaker, text, label, start, end = row
            yield DroppedRow(
                id=str(name),
                split=str(split),
                stage=str(stage),
                reasons=tuple(reasons or ()),
                details=tuple(details or ()),
                speaker=speaker,
                text=text or "",
                original_label=label,
                duration=None if start is None or end is None else round(end - start, 3),
            )


def _replies(folder: Path) -> dict[str, Any]:
    statuses: Counter[str] = Counter()
    models: Counter[str] = Counter()
    tokens = {"input_tokens": 0, "output_tokens": 0}
    costs: tuple[int, float] = (0, 0)
    repairs = 0
    for columns in _rows(folder, _REPLY_COUNTS):
        statuses.update(str(s) for s in columns["status"])
        models.update(str(m) for m in columns["model"] if m)
        repairs += sum(1 for a in columns["attempt"] if a)
        for name in tokens:
            tokens[name] += sum(v for v in columns[name] if v is not None)
        known = [v for v in columns["cost"] if v is not None]
        # One after the other, so that the sum does not depend on how many rows come at a time.
        costs = (costs[0] + len(known), reduce(add, known, costs[1]))
    counts = {status: statuses.get(status, 0) for status in ("valid", "invalid", "refused", "error")}
    return {
        "total": sum(statuses.values()),
        **counts,
        "repair_turns": repairs,
        **tokens,
        "cost": round(costs[1], 6) if costs[0] else None,
        "models": dict(sorted(models.items())),
    }


def _quarantined(folder: Path, wanted: set[str]) -> dict[str, tuple[QuarantinedReply, ...]]:
    found: dict[str, list[QuarantinedReply]] = {}
    if not wanted:
        return {}
    for columns in _rows(folder, _REPLY_TEXTS):
        for row in zip(*(columns[n] for n in _REPLY_TEXTS), strict=True):
            name, attempt, status, raw, problems, detail = row
            if name in wanted:
                reasons = (*(problems or ()), *([detail] if detail else []))
                found.setdefault(name, []).append(
                    QuarantinedReply(int(attempt or 0), str(status), raw or "", tuple(reasons))
                )
    return {name: tuple(replies) for name, replies in found.items()}
