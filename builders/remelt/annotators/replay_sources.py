"""Files of earlier replies: annotation tables, journals, and label files of published relabellings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError, bad_value
from ..records import Reply, canonical_json, digest
from ..rows import SUFFIXES, Keys, Row, RowStream, cell, file_sha256, find, stream_table
from .replay_index import Entry, Index, Kind, Replies, Spoken, open_index

LABEL_COLUMNS = ("llm_label", "new_label", "label")
_SPEAKER = ("speaker", "speaker_name")
_TEXT = ("utterance", "text", "transcript")
# From these on the replies of a source lie on disk.
LARGE_BYTES = 4 * 1024 * 1024
LARGE_ROWS = 30_000
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
        turns: how many replies an utterance has at most.
        models: those that gave the replies.
        notices: what was odd about the file.
        prompt: name of the prompt behind the replies, where it is known.
        index: where the replies lie if memory does not hold them.
    """

    path: Path
    sha256: str
    kind: Literal["label", "replies"]
    replies: Mapping[str, tuple[Reply, ...]]
    spoken: Mapping[str, tuple[str | None, str | None]]
    turns: int = 1
    models: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    prompt: str | None = None
    index: Index | None = None


@dataclass(frozen=True)
class _Shelf:
    """Where the rows of a source go.

    Attributes:
        large: whether they go to an index on disk.
        workspace: the folder of that; None for a temporary one.
    """

    large: bool
    workspace: Path | None


def load(path: Path, split: str | None, column: str | None, workspace: Path | None = None) -> Source:
    """Reads one source of replies.

    Args:
        path: a remelt dataset folder, an annotations table (Parquet, JSONL), a journal (SQLite), or a
            label file (CSV, TSV, JSONL, Parquet).
        split: the split that the rows belong to where they do not say so themselves.
        column: the column that holds the label; None to find it.
        workspace: the folder for the index of a large source; None for a temporary one.

    Raises:
        InputError: the file is missing, cannot be read, or lacks what is needed.
    """
    if not path.exists():
        raise InputError(f"No file or folder to replay at {path}")
    if path.is_dir():
        return _folder(path, workspace)
    shelf = _Shelf(_is_large(path), workspace)
    if path.suffix.casefold() in _JOURNALS:
        return _journal(path, shelf)
    if path.suffix.casefold() not in SUFFIXES:
        raise InputError(bad_value("ending of a file to replay", path.name, (*SUFFIXES, *_JOURNALS)))
    stream = stream_table(path)
    first = next((row for _, row in stream.rows()), None)
    if first is None:
        raise InputError(f"{path} holds no rows")
    if {"id", "raw"} <= set(first):
        return _from_replies(stream, file_sha256(path), shelf)
    return _from_labels(stream, split, column, first, shelf)


def _is_large(path: Path) -> bool:
    if path.suffix.casefold() != ".parquet":
        return path.stat().st_size > LARGE_BYTES
    return _parquet_rows(path) > LARGE_ROWS


def _parquet_rows(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error


# -- folders and journals -------------------------------------------------------------------------


def _folder(path: Path, workspace: Path | None) -> Source:
    """A remelt dataset: its annotations, or its journal where the build did not reach the end."""
    files = sorted((path / "annotations").glob("*.parquet")) or sorted(path.glob("*.parquet"))
    journal = path / ".remelt" / "journal.sqlite"
    if not files and journal.is_file():
        return _journal(journal, _Shelf(_is_large(journal), workspace))
    if not files:
        raise InputError(f"{path} is no remelt dataset: there are no replies in {path / 'annotations'}")

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        return enumerate((row for file in files for _, row in stream_table(file).rows()), 1)

    if not {"id", "raw"} <= set(next((row for _, row in rows()), ())):
        raise InputError(f"{files[0]} holds no replies: it needs rows with the columns 'id' and 'raw'")
    names = digest({str(f.relative_to(path)): file_sha256(f) for f in files})
    shelf = _Shelf(sum(map(_parquet_rows, files)) > LARGE_ROWS, workspace)
    return _from_replies(RowStream(path, rows), names, shelf, _prompt_name(path / "manifest.json"))


def _prompt_name(manifest: Path) -> str | None:
    try:
        prompt = json.loads(manifest.read_text(encoding="utf-8"))["prompt"]
        return str(prompt["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _journal(path: Path, shelf: _Shelf) -> Source:
    # The journal's own bytes change with every checkpoint; its content does not.
    content, count = hashlib.sha256(b"["), 0
    for entry in _journaled(path):
        reply = entry.reply
        said = canonical_json([entry.key, reply.attempt, reply.raw])
        content.update((("," if count else "") + said).encode("utf-8", "surrogatepass"))
        count += 1
    if not count:
        raise InputError(f"{path} holds no replies")
    content.update(b"]")
    return _whole(path, content.hexdigest(), lambda: _journaled(path), shelf)


def _journaled(path: Path) -> Iterator[Entry]:
    from ..journal import Journal

    last: Reply | None = None
    with Journal(path, read_only=True) as journal:
        for place, reply in enumerate(journal.all_replies()):
            same = last is not None and last.utterance_id == reply.utterance_id
            if last is not None and same and last.request_key != reply.request_key:
                raise InputError(
                    f"{path} holds replies to different requests about {reply.utterance_id} (another model, "
                    "prompt or parameters); replay a published annotations table instead"
                )
            last = reply
            yield Entry(place, reply.utterance_id, reply)


# -- whole replies --------------------------------------------------------------------------------


def _from_replies(stream: RowStream, sha256: str, shelf: _Shelf, prompt: str | None = None) -> Source:
    path = stream.path
    names: set[str] = set()

    def entries() -> Iterator[Entry]:
        for number, row in stream.rows():
            names.add(str(row.get("annotator") or ""))
            reply = _reply(stream.place(number), row)
            yield Entry(
                number, str(row["id"]), reply, _optional(row.get("speaker")), _optional(row.get("text"))
            )

    def facts() -> dict[str, Any]:
        if len(names) > 1:
            raise InputError(
                f"{path} holds the replies of several annotators, {sorted(names)!r}; replay one of them"
            )
        return {}

    return _whole(path, sha256, entries, shelf, prompt, facts)


def _whole(
    path: Path,
    sha256: str,
    entries: Callable[[], Iterator[Entry]],
    shelf: _Shelf,
    prompt: str | None = None,
    facts: Callable[[], Mapping[str, Any]] = dict,
) -> Source:
    """A source of whole replies; the rows of an utterance are its attempts."""

    def twice(key: str) -> InputError:
        return InputError(f"{path} holds two replies of the same attempt for {key}")

    index = None
    replies: Mapping[str, tuple[Reply, ...]]
    spoken: Mapping[str, tuple[str | None, str | None]]
    if shelf.large:
        name = {"sha256": sha256, "as": "replies", "journal": path.suffix in _JOURNALS}
        index = open_index(name, shelf.workspace, entries, Kind(False, twice=twice), facts)
        replies, spoken, raws = Replies(index), Spoken(index), index.facts["raws"]
        turns, models = index.facts["turns"], tuple(index.facts["models"])
    else:
        found: dict[str, list[Reply]] = {}
        spoken = pairs = {}
        for entry in entries():
            found.setdefault(entry.key, []).append(entry.reply)
            pairs[entry.key] = (entry.speaker, entry.text)
        facts()
        replies = {key: tuple(sorted(rs, key=lambda r: r.attempt)) for key, rs in found.items()}
        for key, ordered in replies.items():
            if len({r.attempt for r in ordered}) < len(ordered):
                raise twice(key)
        given = [r for rs in replies.values() for r in rs]
        raws = [r.raw for r in given if not r.failure][:50]
        turns, models = (
            max((r.attempt + 1 for r in given), default=1),
            tuple(dict.fromkeys(r.model for r in given)),
        )
    only_labels = bool(raws) and all(_is_bare_label(raw) for raw in raws)
    kind: Literal["label", "replies"] = "label" if only_labels else "replies"
    return Source(path, sha256, kind, replies, spoken, turns, models, prompt=prompt, index=index)


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


def _from_labels(
    stream: RowStream, split: str | None, column: str | None, first: Row, shelf: _Shelf
) -> Source:
    path, columns = stream.path, stream.columns()
    label = _label_column(path, columns, column)
    advice = (
        f"the rows name no split and several are built; write replay:train={path.name},test=... or build one "
        "split"
    )
    keys = Keys(path, columns, split, first, advice)
    speaker, text = find(columns, _SPEAKER), find(columns, _TEXT)

    def entries() -> Iterator[Entry]:
        for number, row in stream.rows():
            key = keys.key(stream.place(number), row)
            raw = canonical_json({"label": cell(row.get(label))})
            spoken = [_optional(row.get(name)) if name else None for name in (speaker, text)]
            yield Entry(number, key, Reply("", key, 0, raw, path.name, "replay"), *spoken)

    def differs(place: int, key: str) -> InputError:
        return InputError(f"{stream.place(place)}: {key} comes twice with different labels")

    sha256, index = file_sha256(path), None
    replies: Mapping[str, tuple[Reply, ...]]
    spoken: Mapping[str, tuple[str | None, str | None]]
    if shelf.large:
        name = {"sha256": sha256, "as": "labels", "file": path.name, "split": split, "column": label}
        index = open_index(name, shelf.workspace, entries, Kind(True, differs=differs))
        replies, spoken = Replies(index), Spoken(index)
        twice, such = index.facts["again"]
    else:
        found: dict[str, Entry] = {}
        again: list[str] = []
        for entry in entries():
            known = found.setdefault(entry.key, entry)
            if known.reply.raw != entry.reply.raw:
                raise differs(entry.place, entry.key)
            again += [entry.key] if known is not entry else []
        replies = {key: (entry.reply,) for key, entry in found.items()}
        spoken = {key: (entry.speaker, entry.text) for key, entry in found.items()}
        twice, such = len(again), again[0] if again else ""
    notices: tuple[str, ...] = (f"{path.name}: the labels are taken from the column {label!r}",)
    if twice:
        notices = (*notices, f"{path.name}: {twice} rows come twice, such as {such}")
    return Source(
        path, digest([sha256, label]), "label", replies, spoken, 1, (path.name,), notices, index=index
    )


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
