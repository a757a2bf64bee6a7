"""Files of earlier replies: annotation tables, journals, and label files of published relabellings."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError, bad_value
from ..records import Reply, canonical_json, digest

LABEL_COLUMNS = ("llm_label", "new_label", "label")
_ID = ("id", "utterance_key", "key")
_DIALOGUE = ("dialogue_id", "dialog_id", "dialogue", "dia")
_UTTERANCE = ("utterance_id", "utt_id", "utt")
_FILE_NAME = ("filename", "file_name", "file", "clip")
_SPLIT = ("split",)
_SPEAKER = ("speaker", "speaker_name")
_TEXT = ("utterance", "text", "transcript")
_NAME = re.compile(r"dia(?P<dialogue>[^/]+?)_utt(?P<utterance>[^/]+?)(?:\.\w{2,5})?")
_NAMED = re.compile(r"dia[^/]+_utt")
_TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet")
_JOURNALS = (".sqlite", ".sqlite3", ".db")

Row = Mapping[str, Any]


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
    if path.suffix.casefold() not in _TABLES:
        raise InputError(bad_value("ending of a file to replay", path.name, (*_TABLES, *_JOURNALS)))
    rows = _rows(path)
    if not rows:
        raise InputError(f"{path} holds no rows")
    if {"id", "raw"} <= set(rows[0]):
        return _from_replies(path, _sha256(path), rows)
    return _from_labels(path, rows, split, column)


# -- folders and journals -------------------------------------------------------------------------


def _folder(path: Path) -> Source:
    """A remelt dataset: its annotations, or its journal where the build did not reach the end."""
    files = sorted((path / "annotations").glob("*.parquet")) or sorted(path.glob("*.parquet"))
    journal = path / ".remelt" / "journal.sqlite"
    if not files and journal.is_file():
        return _journal(journal)
    if not files:
        raise InputError(f"{path} is no remelt dataset: there are no replies in {path / 'annotations'}")
    rows = [row for file in files for row in _rows(file)]
    if not rows or not {"id", "raw"} <= set(rows[0]):
        raise InputError(f"{files[0]} holds no replies: it needs rows with the columns 'id' and 'raw'")
    names = digest({str(f.relative_to(path)): _sha256(f) for f in files})
    return _from_replies(path, names, rows, _prompt_name(path / "manifest.json"))


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


def _from_replies(path: Path, sha256: str, rows: Sequence[Row], prompt: str | None = None) -> Source:
    found: dict[str, list[tuple[Reply, str]]] = {}
    spoken: dict[str, tuple[str | None, str | None]] = {}
    for number, row in enumerate(rows, 1):
        key = str(row["id"])
        found.setdefault(key, []).append((_reply(path, number, row), str(row.get("annotator") or "")))
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


def _reply(path: Path, number: int, row: Row) -> Reply:
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
        raise InputError(f"{path}, row {number}: not a reply as remelt publishes it ({error})") from None


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


# -- label files ----------------------------------------------------------------------------------


def _from_labels(path: Path, rows: Sequence[Row], split: str | None, column: str | None) -> Source:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    label = _label_column(path, columns, column)
    keys = _Keys(path, columns, split, rows[0])
    speaker, text = _find(columns, _SPEAKER), _find(columns, _TEXT)
    replies: dict[str, tuple[Reply, ...]] = {}
    spoken = {}
    twice: list[str] = []
    for number, row in enumerate(rows, 1):
        key = keys.key(number, row)
        raw = canonical_json({"label": _cell(row.get(label))})
        if key in replies:
            if replies[key][0].raw != raw:
                raise InputError(f"{path}, row {number}: {key} comes twice with different labels")
            twice.append(key)
            continue
        replies[key] = (Reply("", key, 0, raw, path.name, "replay"),)
        spoken[key] = tuple(_optional(row.get(c)) if c else None for c in (speaker, text))
    notices: tuple[str, ...] = (f"{path.name}: the labels are taken from the column {label!r}",)
    if twice:
        notices = (*notices, f"{path.name}: {len(twice)} rows come twice, such as {twice[0]}")
    pairs = {key: (who, words) for key, (who, words) in spoken.items()}
    return Source(path, digest([_sha256(path), label]), "label", replies, pairs, notices)


class _Keys:
    """Finds the key columns of a label file and reads a row's key from them."""

    def __init__(self, path: Path, columns: Sequence[str], split: str | None, first: Row) -> None:
        self._path, self._split = path, split
        self._id, self._split_column = _find(columns, _ID), _find(columns, _SPLIT)
        self._pair = (_find(columns, _DIALOGUE), _find(columns, _UTTERANCE))
        self._file = _find(columns, _FILE_NAME)
        if None not in self._pair and self._id and not _NAMED.search(_cell(first.get(self._id))):
            # A column of row numbers is often called 'id'.
            self._id = None
        if self._id is None and None in self._pair and self._file is None:
            raise InputError(
                f"{path} has no key: it needs 'Dialogue_ID' and 'Utterance_ID', 'id', or 'filename' "
                f"(dia0_utt3.wav); it has {list(columns)!r}"
            )

    def key(self, number: int, row: Row) -> str:
        dialogue, utterance = self._pair
        if self._id is not None:
            return self._from_name(number, _cell(row.get(self._id)), row)
        if dialogue is not None and utterance is not None:
            pair = (_whole_number(row.get(dialogue)), _whole_number(row.get(utterance)))
            if not all(pair):
                raise InputError(f"{self._path}, row {number}: an empty {dialogue} or {utterance}")
            return f"{self._split_of(number, row)}/dia{pair[0]}_utt{pair[1]}"
        return self._from_name(number, _cell(row.get(self._file or "")), row)

    def _from_name(self, number: int, name: str, row: Row) -> str:
        match = _NAME.fullmatch(name.replace("\\", "/").rpartition("/")[2])
        if self._id is not None and name and ("/" in name or match is None):
            return name
        if match is None:
            raise InputError(
                f"{self._path}, row {number}: bad key {name!r}, expected one like 'meld/train/dia0_utt3' "
                "or 'dia0_utt3.wav'"
            )
        return f"{self._split_of(number, row)}/dia{match['dialogue']}_utt{match['utterance']}"

    def _split_of(self, number: int, row: Row) -> str:
        if self._split_column is not None and _cell(row.get(self._split_column)):
            return _cell(row.get(self._split_column))
        if self._split is None:
            raise InputError(
                f"{self._path}, row {number}: the rows name no split and several are built; write "
                f"replay:train={self._path.name},test=... or build one split"
            )
        return self._split


def _label_column(path: Path, columns: Sequence[str], asked: str | None) -> str:
    found = _find(columns, (asked,) if asked is not None else LABEL_COLUMNS)
    if found is None:
        if asked is not None:
            raise InputError(f"{path}: {bad_value('label column', asked, columns)}")
        raise InputError(
            f"{path} has no label column (looked for {list(LABEL_COLUMNS)!r}); it has {list(columns)!r}, "
            "one of which --label-column can name"
        )
    return found


def _find(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """The first of these names among the columns; case, spaces and hyphens do not matter."""
    folded = {_fold(c): c for c in reversed(list(columns))}
    return next((folded[_fold(n)] for n in names if _fold(n) in folded), None)


def _fold(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip()).casefold()


def _cell(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()


def _whole_number(value: Any) -> str:
    """`3` for 3, '3' and the '3.0' that a column with gaps becomes; any other id as it is."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", _cell(value))


def _optional(value: Any) -> str | None:
    return None if value is None else str(value)


# -- tables ---------------------------------------------------------------------------------------


def _rows(path: Path) -> list[dict[str, Any]]:
    suffix = path.suffix.casefold()
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return list(pq.ParquetFile(path).read().to_pylist())
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from error
    text = _text(path)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return list(_json_rows(path, text))
    return _csv_rows(path, text)


def _text(path: Path) -> str:
    """The file's text; published CSVs come as UTF-8 with or without BOM, UTF-16 or cp1252."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252", "latin-1")
    for encoding in encodings:
        try:
            return data.decode(encoding).replace("\0", "")
        except UnicodeDecodeError:
            continue
    raise InputError(f"{path} is not text in UTF-8, UTF-16 or cp1252")


def _csv_rows(path: Path, text: str) -> list[dict[str, Any]]:
    header = text.partition("\n")[0]
    delimiter = max("\t;,", key=header.count) if path.suffix.casefold() != ".tsv" else "\t"
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = []
    try:
        for row in reader:
            if any(row.pop(None, None) or ()):
                raise InputError(f"{path}, line {reader.line_num}: more cells than the header has columns")
            rows.append(row)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num + 1}: not a table ({error})") from None
    return rows


def _json_rows(path: Path, text: str) -> Iterator[dict[str, Any]]:
    if text.lstrip().startswith("["):
        lines: Iterable[tuple[int, str]] = [(1, text)]
    else:
        lines = ((n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip())
    for number, line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: not JSON ({error})") from None
        for row in value if isinstance(value, list) else [value]:
            if not isinstance(row, dict):
                raise InputError(f"{path}, line {number}: a row must be a JSON object")
            yield row


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
