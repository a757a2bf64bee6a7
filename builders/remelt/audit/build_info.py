"""What a remelt dataset folder says of its own making: manifest, dropped rows, replies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from .files import read_parquet

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


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What stands in a dataset folder beside the labels.

    Attributes:
        manifest: the parsed manifest.json.
        dropped: every row of the `dropped` config.
        has_dropped, has_replies: whether the folder has these configs at all.
        replies: counted from the `annotations` config: total, per status, tokens, cost, models.
        quarantined: utterance id -> its replies, for dropped rows of the stage `annotation`.
    """

    manifest: Mapping[str, Any]
    dropped: tuple[DroppedRow, ...] = ()
    has_dropped: bool = False
    has_replies: bool = False
    replies: Mapping[str, Any] = field(default_factory=dict)
    quarantined: Mapping[str, tuple[QuarantinedReply, ...]] = field(default_factory=dict)

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
    dropped = tuple(_dropped(folder / "dropped"))
    wanted = {row.id for row in dropped if row.stage == "annotation"}
    return BuildInfo(
        manifest=manifest,
        dropped=dropped,
        has_dropped=(folder / "dropped").is_dir(),
        has_replies=(folder / "annotations").is_dir(),
        replies=_replies(folder / "annotations"),
        quarantined=_quarantined(folder / "annotations", wanted),
    )


def read_cuts(folder: Path) -> dict[str, tuple[float | None, float | None]]:
    """Seconds into its clip's file where an utterance begins and ends, for those that are a part of one.

    Raises:
        InputError: a broken Parquet file.
    """
    found: dict[str, tuple[float | None, float | None]] = {}
    for columns in _rows(folder / "annotations", ("id", *_CUT)):
        for name, start, end in zip(columns["id"], *(columns[n] for n in _CUT), strict=True):
            if start is not None or end is not None:
                found[str(name)] = (start, end)
    return found


def _rows(folder: Path, names: tuple[str, ...]) -> Iterator[Mapping[str, list[Any]]]:
    for path in sorted(folder.glob("*.parquet")) if folder.is_dir() else []:
        table, _ = read_parquet(path, names)
        missing = [n for n in names[:2] if n not in _CUT and n not in table.column_names]
        if missing:
            raise InputError(f"{path}: Bad columns {table.column_names!r}, expected {missing!r} among them")
        columns = {n: table.column(n).to_pylist() for n in table.column_names}
        yield {n: columns.get(n, [None] * table.num_rows) for n in names}


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
    costs: list[float] = []
    repairs = 0
    for columns in _rows(folder, _REPLY_COUNTS):
        statuses.update(str(s) for s in columns["status"])
        models.update(str(m) for m in columns["model"] if m)
        repairs += sum(1 for a in columns["attempt"] if a)
        for name in tokens:
            tokens[name] += sum(v for v in columns[name] if v is not None)
        costs.extend(v for v in columns["cost"] if v is not None)
    counts = {status: statuses.get(status, 0) for status in ("valid", "invalid", "refused", "error")}
    return {
        "total": sum(statuses.values()),
        **counts,
        "repair_turns": repairs,
        **tokens,
        "cost": round(sum(costs), 6) if costs else None,
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
