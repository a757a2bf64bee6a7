"""Files of earlier replies: annotation tables, journals, and label files of published relabellings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError, bad_value
from ..records import Reply, canonical_json, digest
from ..rows import SUFFIXES, Keys, Row, Table, cell, file_sha256, find, read_table

LABEL_COLUMNS = ("llm_label", "new_label", "label")
_SPEAKER = ("speaker", "speaker_name")
_TEXT = ("utterance", "text", "transcript")
_JOURNALS = (".sqlite", ".sqlite3", ".db")


@dataclass(frozen=True)
class Source:
    """One file or folder of earlier replies.

    Attributes:
        path: where it is.
        sha256: of what is replayed: the file (with the label's column, where it is a label file), all files'
            names and hashes for a folder.
        kind: `label` where there are only labels, `replies` where whole replies were kept.
        replies: first attempt first, by full id (`meld/train/dia0_utt3`) or by `train/dia0_utt3`.
        spoken: speaker and text by the same key, where the file has them.
        notices: what was odd about the file.
        prompt: name of the prompt behind the replies, where it is known.
    """

    path: Path
    sha256: str
    kind: Literal["label", "replies"]
    replies: Mapping[str, tuple[Reply, ...]]
    spoken: Mapping[str, tuple[str | None, str | None]]
    notices: tuple[str, ...] = ()
    prompt: str | None = None


def load(path: Path, split: str | None, column: str | None) -> Source:
    """Reads one source of replies.

    Args:
        path: a remelt dataset folder, an annotations table (Parquet, JSONL), a journal (SQLite), or a
            label file (CSV, TSV, JSONL, Parquet).
        split: the split that the rows belong to where they do not say so themselves.
        column: the column that holds the label; None to find it.

    Raises:
        InputError: the file is missing, cannot be read, or lacks what is needed.
    """
    if not path.exists():
        raise InputError(f"No file or folder to replay at {path}")
    if path.is_dir():
        return _folder(path)
    if path.suffix.casefold() in _JOURNALS:
        return _journal(path)
    if path.suffix.casefold() not in SUFFIXES:
        raise InputError(bad_value("ending of a file to replay", path.name, (*SUFFIXES, *_JOURNALS)))
    table = read_table(path)
    if not table.rows:
        raise InputError(f"{path} holds no rows")
    if {"id", "raw"} <= set(table.rows[0]):
        return _from_replies(table, file_sha256(path))
    return _from_labels(table, split, column)


# -- folders and journals -------------------------------------------------------------------------


def _folder(path: Path) -> Source:
    """A remelt dataset: its annotations, or its journal where the build did not reach the end."""
    files = sorted((path / "annotations").glob("*.parquet")) or sorted(path.glob("*.parquet"))
    journal = path / ".remelt" / "journal.sqlite"
    if not files and journal.is_file():
        return _journal(journal)
    if not files:
        raise InputError(f"{path} is no remelt dataset: there are no replies in {path / 'annotations'}")
    rows = [row for file in files for row in read_table(file).rows]
    if not rows or not {"id", "raw"} <= set(rows[0]):
        raise InputError(f"{files[0]} holds no replies: it needs rows with the columns 'id' and 'raw'")
    names = digest({str(f.relative_to(path)): file_sha256(f) for f in files})
    return _from_replies(Table(path, rows), names, _prompt_name(path / "manifest.json"))


def _prompt_name(manifest: Path) -> str | None:
    try:
        prompt = json.loads(manifest.read_text(encoding="utf-8"))["prompt"]
        return str(prompt["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _journal(path: Path) -> Source:
    from ..journal import Journal

    replies: dict[str, list[Reply]] = {}
    with Journal(path, read_only=True) as journal:
        for reply in journal.all_replies():
            known = replies.setdefault(reply.utterance_id, [])
            if known and known[0].request_key != reply.request_key:
                raise InputError(
                    f"{path} holds replies to different requests about {reply.utterance_id} (another model, "
                    "prompt or parameters); replay a published annotations table instead"
                )
            known.append(reply)
    if not replies:
        raise InputError(f"{path} holds no replies")
    # The journal's own bytes change with every checkpoint; its content does not.
    content = [[r.utterance_id, r.attempt, r.raw] for rows in replies.values() for r in rows]
    return _whole(path, digest(content), {k: tuple(v) for k, v in replies.items()}, {}, None)


# -- whole replies --------------------------------------------------------------------------------


def _from_replies(table: Table, sha256: str, prompt: str | None = None) -> Source:
    path = table.path
    found: dict[str, list[tuple[Reply, str]]] = {}
    spoken: dict[str, tuple[str | None, str | None]] = {}
    for number, row in enumerate(table.rows, 1):
        key = str(row["id"])
        found.setdefault(key, []).append((_reply(table.place(number), row), str(row.get("annotator") or "")))
        spoken[key] = (_optional(row.get("speaker")), _optional(row.get("text")))
    names = {name for replies in found.values() for _, name in replies}
    if len(names) > 1:
        raise InputError(
            f"{path} holds the replies of several annotators, {sorted(names)!r}; replay one of them"
        )
    replies = {}
    for key, pairs in found.items():
        ordered = sorted((reply for reply, _ in pairs), key=lambda r: r.attempt)
        if len({r.attempt for r in ordered}) < len(ordered):
            raise InputError(f"{path} holds two replies of the same attempt for {key}")
        replies[key] = tuple(ordered)
    return _whole(path, sha256, replies, spoken, prompt)


def _whole(
    path: Path,
    sha256: str,
    replies: Mapping[str, tuple[Reply, ...]],
    spoken: Mapping[str, tuple[str | None, str | None]],
    prompt: str | None,
) -> Source:
    first = [r.raw for rs in replies.values() for r in rs if not r.failure][:50]
    only_labels = bool(first) and all(_is_bare_label(raw) for raw in first)
    return Source(path, sha256, "label" if only_labels else "replies", replies, spoken, prompt=prompt)


def _is_bare_label(raw: str) -> bool:
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and set(answer) == {"label"}


def _reply(place: str, row: Row) -> Reply:
    status = str(row.get("status") or "")
    try:
        return Reply(
            request_key="",
            utterance_id=str(row["id"]),
            attempt=int(row.get("attempt") or 0),
            raw=str(row["raw"] if row["raw"] is not None else ""),
            model=str(row.get("model") or ""),
            means=str(row.get("means") or "replay"),
            failure="refused" if status == "refused" else "error" if status == "error" else "",
            detail=str(row.get("detail") or ""),
            finish_reason=str(row.get("finish_reason") or ""),
            input_tokens=_number(row.get("input_tokens")),
            output_tokens=_number(row.get("output_tokens")),
            cost=None if row.get("cost") is None else float(row["cost"]),
            seconds=float(row.get("seconds") or 0.0),
            created=str(row.get("created") or ""),
            tries=int(row.get("tries") or 1),
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{place}: not a reply as remelt publishes it ({error})") from None


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


# -- label files ----------------------------------------------------------------------------------


def _from_labels(table: Table, split: str | None, column: str | None) -> Source:
    path, rows = table.path, table.rows
    columns = list(dict.fromkeys(name for row in rows for name in row))
    label = _label_column(path, columns, column)
    advice = (
        f"the rows name no split and several are built; write replay:train={path.name},test=... or build one "
        "split"
    )
    keys = Keys(path, columns, split, rows[0], advice)
    speaker, text = find(columns, _SPEAKER), find(columns, _TEXT)
    replies: dict[str, tuple[Reply, ...]] = {}
    spoken = {}
    twice: list[str] = []
    for number, row in enumerate(rows, 1):
        key = keys.key(table.place(number), row)
        raw = canonical_json({"label": cell(row.get(label))})
        if key in replies:
            if replies[key][0].raw != raw:
                raise InputError(f"{table.place(number)}: {key} comes twice with different labels")
            twice.append(key)
            continue
        replies[key] = (Reply("", key, 0, raw, path.name, "replay"),)
        spoken[key] = tuple(_optional(row.get(c)) if c else None for c in (speaker, text))
    notices: tuple[str, ...] = (f"{path.name}: the labels are taken from the column {label!r}",)
    if twice:
        notices = (*notices, f"{path.name}: {len(twice)} rows come twice, such as {twice[0]}")
    pairs = {key: (who, words) for key, (who, words) in spoken.items()}
    return Source(path, digest([file_sha256(path), label]), "label", replies, pairs, notices)


def _label_column(path: Path, columns: Sequence[str], asked: str | None) -> str:
    found = find(columns, (asked,) if asked is not None else LABEL_COLUMNS)
    if found is None:
        if asked is not None:
            raise InputError(f"{path}: {bad_value('label column', asked, columns)}")
        raise InputError(
            f"{path} has no label column (looked for {list(LABEL_COLUMNS)!r}); it has {list(columns)!r}, "
            "one of which --label-column can name"
        )
    return found


def _optional(value: Any) -> str | None:
    return None if value is None else str(value)
