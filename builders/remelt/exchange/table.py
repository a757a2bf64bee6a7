"""Tables: CSV, TSV, JSON Lines and Parquet, one label a row, or one column per annotator."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, bad_value
from ..labels import LabelSet
from ..rows import ID_COLUMNS, SUFFIXES, Keys, cell, find, fold
from .base import (
    CONFIDENCE_COLUMNS,
    KINDS,
    LABEL_COLUMNS,
    NOTE_COLUMNS,
    REMELT_ID,
    Given,
    Kind,
    Reading,
    ReadOptions,
    Sheet,
    Source,
    confidence_of,
    note_of,
    write_text,
)
from .classes import named_rows

NAME = "table"
TITLE = "CSV, TSV, JSON Lines or Parquet"
ORDER = 90
WRITES = ("csv", "jsonl")
VOTE = "vote:"

_ANNOTATOR = ("annotator", "rater", "source", "coder", "worker", "user")
_KIND = ("kind",)
# What tables of utterances hold besides labels; a column of theirs is no annotator's.
_FACTS = (
    "split", "speaker", "text", "text_repaired", "utterance", "transcript", "context", "sentiment", "season",
    "episode", "start", "end", "duration", "starttime", "endtime", "sr_no.", "clip", "audio",
    "original_label", "remelt_label", "changed",
)  # fmt: skip
_ADVICE = "the rows name no split and the dataset has several; add a column 'split', or name one with --split"


def recognises(source: Source) -> bool:
    """Any table will do."""
    return source.path.is_file() and source.path.suffix.casefold() in SUFFIXES


def read(source: Source, options: ReadOptions) -> Reading:
    """The labels of a table; see `base.Format.read`."""
    rows = named_rows(source)
    asked = options.id_column or find(source.columns, (REMELT_ID,))
    keys = Keys(source.path, source.columns, options.split, rows[0], _ADVICE, asked, any_name=True)
    if len(options.label_columns) > 1:
        return _wide(source, rows, keys, options, _asked(source, options.label_columns), ())
    label = find(source.columns, options.label_columns or LABEL_COLUMNS)
    if label is not None:
        return _long(source, rows, keys, options, label)
    if options.label_columns:
        raise InputError(
            f"{source.path}: {bad_value('label column', options.label_columns[0], source.columns)}"
        )
    columns, others = _annotators(source, rows, keys, options.labels)
    if not columns:
        raise InputError(
            f"{source.path} has no column of labels (looked for {list(LABEL_COLUMNS)!r} and for columns with "
            f"{list(options.labels.labels)!r}); it has {list(source.columns)!r}, --label-column can name one"
        )
    if len(columns) == 1:
        _check_lone(source, rows, columns[0], options.labels)
    return _wide(source, rows, keys, options, columns, others)


def _long(
    source: Source, rows: Sequence[Mapping[str, Any]], keys: Keys, options: ReadOptions, label: str
) -> Reading:
    annotator, kind = find(source.columns, _ANNOTATOR), find(source.columns, _KIND)
    confidence, note = (find(source.columns, names) for names in (CONFIDENCE_COLUMNS, NOTE_COLUMNS))
    givens, left = [], Counter[str]()
    for number, row in enumerate(rows, 1):
        if not cell(row.get(label)):
            left["without a label"] += 1
            continue
        place = source.place(number)
        givens.append(
            Given(
                utterance_id=keys.key(source.place(number), row),
                source=cell(row.get(annotator)) if annotator else "",
                kind=_kind(cell(row.get(kind)) if kind else "", options, place),
                label=cell(row.get(label)),
                confidence=confidence_of(row.get(confidence), place) if confidence else None,
                note=note_of(row.get(note)) if note else None,
                place=place,
            )
        )
    return Reading(givens, left, (f"{source.path.name}: the labels are taken from the column {label!r}",))


def _wide(
    source: Source,
    rows: Sequence[Mapping[str, Any]],
    keys: Keys,
    options: ReadOptions,
    columns: Sequence[str],
    others: Sequence[str],
) -> Reading:
    givens, left = [], Counter[str]()
    for number, row in enumerate(rows, 1):
        for column in columns:
            if not cell(row.get(column)):
                left["without a label"] += 1
                continue
            givens.append(
                Given(
                    utterance_id=keys.key(source.place(number), row),
                    source=column,
                    kind=options.kind or "human",
                    label=cell(row.get(column)),
                    place=f"{source.place(number)}, column {column!r}",
                )
            )
    notices = [f"{source.path.name}: one annotator in each of the columns {', '.join(columns)}"]
    if others:
        notices.append(f"{source.path.name}: no labels, and so not read: {', '.join(others)}")
    return Reading(givens, left, notices)


def _asked(source: Source, names: Sequence[str]) -> list[str]:
    found = [find(source.columns, (name,)) for name in names]
    for name, column in zip(names, found, strict=True):
        if column is None:
            raise InputError(f"{source.path}: {bad_value('label column', name, source.columns)}")
    return [column for column in found if column is not None]


def _annotators(
    source: Source, rows: Sequence[Mapping[str, Any]], keys: Keys, labels: LabelSet
) -> tuple[list[str], list[str]]:
    """The columns in which most of what is written is a label, and the others."""
    known = {*keys.columns, *(c for c in source.columns if fold(c) in _FACTS or fold(c) in ID_COLUMNS)}
    known |= {column for column in source.columns if column.startswith(VOTE)}
    columns: list[str] = []
    others: list[str] = []
    for column in source.columns:
        written = [value for row in rows if (value := cell(row.get(column)))]
        if column in known or not written:
            continue
        hits = sum(labels.parse(value) is not None for value in written)
        (columns if 2 * hits >= len(written) else others).append(column)
    return columns, others


def _check_lone(source: Source, rows: Sequence[Mapping[str, Any]], column: str, labels: LabelSet) -> None:
    """A single column under an unknown name is an annotator's only where it holds nothing but labels."""
    for number, row in enumerate(rows, 1):
        value = cell(row.get(column))
        if value and labels.parse(value) is None:
            raise InputError(
                f"{source.path} has no column of labels (looked for {list(LABEL_COLUMNS)!r}); {column!r} may "
                f"be it, but {value!r} ({source.place(number)}) is none of {list(labels.labels)!r}: "
                f"--label-column {column} says that it is"
            )


def _kind(said: str, options: ReadOptions, place: str) -> Kind:
    if options.kind or not said:
        return options.kind or "human"
    for kind in KINDS:
        if said.casefold() == kind:
            return kind
    raise InputError(f"{place}: {bad_value('kind', said, KINDS)}")


def files(to: Path) -> list[Path]:
    """What `write` writes."""
    return [to]


def write(to: Path, sheet: Sheet, form: str) -> list[Path]:
    """A table to fill in: the columns `label`, `annotator`, `confidence` and `note` are empty.

    What others said stands in `remelt_label` and in one column `vote:NAME` per annotator, which reading
    passes over; not where the sheet is blind.
    """
    sources = () if sheet.blind else sheet.sources
    rows = []
    for item in sheet.items:
        votes = {vote.source: vote.label for vote in item.votes}
        shown = {} if sheet.blind else {"remelt_label": _spelled(sheet.labels, item.label)}
        rows.append(
            {
                "id": item.id,
                "split": item.split,
                "speaker": item.speaker,
                "context": "\n".join(item.context),
                "text": item.text,
                "clip": item.clip or "",
                **shown,
                **{f"{VOTE}{name}": _spelled(sheet.labels, votes.get(name)) for name in sources},
                **dict.fromkeys(("label", "annotator", "confidence", "note"), ""),
            }
        )
    if form == "jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        lines = io.StringIO()
        writer = csv.DictWriter(lines, list(rows[0]) if rows else ["id", "label"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = lines.getvalue()
    return [write_text(to, text)]


def _spelled(labels: LabelSet, label: str | None) -> str:
    return labels.spelled(label) if label else ""
