"""From a published folder back to records: what a rebuild starts from."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa

from ..errors import InputError, bad_value
from ..records import Drop, Message, Reply, Request, Stage, Utterance, Verdict, digest
from .extras import extras_from
from .layout import shards
from .manifest import read_manifest
from .parquet import read_schema, read_table
from .sounds import PublishedAudio
from .surrogates import unescape
from .voice import VoiceContent, columns_of_record, voice_from_tables

Answered = tuple[Request, tuple[Reply, ...]]


def read_annotations(out: Path) -> Iterator[Answered]:
    """Every request of a published folder with its replies, in published order.

    Raises:
        InputError: files are missing or unreadable, or a row does not match its request hash.
    """
    manifest = read_manifest(out)
    asked = asked_of(manifest)
    for split in manifest["splits"]:
        table = read_split(out, manifest, "annotations", split)
        yield from annotations_from_table(table, split=split, **asked)


def read_dropped(out: Path) -> Iterator[Drop]:
    """Every dropped and quarantined utterance of a published folder, in published order.

    Raises:
        InputError: files are missing or unreadable.
    """
    manifest = read_manifest(out)
    for split in manifest["splits"]:
        table = read_split(out, manifest, "dropped", split)
        yield from drops_from_table(table, resplit=bool(manifest.get("resplit")))


def read_split(
    out: Path,
    manifest: Mapping[str, Any],
    config: str,
    split: str,
    columns: Collection[str] | None = None,
) -> pa.Table:
    """The rows of one split of one config, all shards in order, without the column of sound.

    Args:
        out: the dataset folder.
        manifest: its manifest.
        config, split: which rows.
        columns: those to read; None for all.

    Raises:
        InputError: the manifest lists no file of the split, or one cannot be read.
    """
    paths = shards(out, manifest["files"], config, split)
    return pa.concat_tables([read_table(path, columns) for path in paths])


def split_schema(out: Path, manifest: Mapping[str, Any], config: str, split: str) -> pa.Schema:
    """The columns of one split of one config, the column of sound too.

    Raises:
        InputError: as `read_split`, or its files have different columns.
    """
    first, *others = shards(out, manifest["files"], config, split)
    schema = read_schema(first)
    for path in others:
        if not read_schema(path).equals(schema, check_metadata=True):
            raise InputError(f"{path} has other columns than {first}")
    return schema


def read_voice(out: Path) -> VoiceContent | None:
    """What was heard in the published rows; their sound is read from the folder when it is asked for.

    Returns:
        None where the dataset has no voice.

    Raises:
        InputError: files are missing or unreadable, or lack columns of the manifest's voice.
    """
    manifest = read_manifest(out)
    record = manifest.get("voice")
    columns = columns_of_record(record)
    if record is None or columns is None:
        return None
    wanted = ("id", *columns.names)
    tables = (read_split(out, manifest, "default", split, wanted) for split in manifest["splits"])
    return voice_from_tables(tables, record, PublishedAudio(out) if columns.audio else None)


@dataclass(frozen=True, slots=True)
class Asked:
    """What all requests to an annotator have in common and no row has: its schema, and the model asked."""

    schema: Mapping[str, Any]
    model: str


def asked_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What `annotations_from_table` has to know besides the rows and their split.

    Raises:
        InputError: the folder is without its replies.
    """
    if manifest.get("labels_only") or manifest.get("joined"):
        raise InputError("The dataset is without its replies: only labels were published of it")
    # Equal schemas are one object: it is hashed once, not for every row.
    schemas: dict[str, Mapping[str, Any]] = {}
    return {
        "schema": manifest["schema"]["json"],
        "model": manifest["annotator"]["model"],
        "members": {
            member["name"]: Asked(
                schemas.setdefault(digest(member["schema"]["json"]), member["schema"]["json"]),
                member["model"],
            )
            for member in manifest.get("annotators", ())
        },
        "resplit": bool(manifest.get("resplit")),
    }


def annotations_from_table(
    table: pa.Table,
    *,
    split: str,
    schema: Mapping[str, Any],
    model: str,
    members: Mapping[str, Asked] | None = None,
    resplit: bool = False,
) -> list[Answered]:
    """The requests and replies of one split's annotations.

    Args:
        table: the annotations config's rows.
        split: the split they are of.
        schema: the answer schema (`manifest["schema"]["json"]`).
        model: the model that was asked (`manifest["annotator"]["model"]`); the column has the one that
            answered.
        members: what each of several annotators was asked with, by its name; `schema` and `model` do not
            count then.
        resplit: whether ids have the corpus's split and not this one.

    Raises:
        InputError: an annotator that the manifest does not name, or a rebuilt request's key differs from the
            published `request_hash`: the text, the messages, the schema or the model were changed after
            publishing.
    """
    answered: list[Answered] = []
    request: Request | None = None
    replies: list[Reply] = []
    asked = ""
    for row in _rows(table):
        if request is None or row["request_hash"] != asked:
            if request is not None:
                answered.append((request, tuple(replies)))
            by = _asked(row, members) if members else Asked(schema, model)
            request, replies, asked = _request(row, split, resplit, by), [], row["request_hash"]
            if request.key != asked:
                raise InputError(
                    f"The published request of {row['id']} does not have its hash {asked[:12]}: "
                    "its messages, parameters, schema or model were changed after publishing"
                )
        replies.append(_reply(row))
    if request is not None:
        answered.append((request, tuple(replies)))
    return answered


def verdicts_from_table(table: pa.Table) -> list[Verdict]:
    """The verdicts of an annotations config's rows, in their order.

    Raises:
        InputError: an answer that is no JSON object.
    """
    verdicts = []
    for row in _rows(table):
        try:
            answer = None if row["answer"] is None else json.loads(row["answer"])
        except ValueError as error:
            raise InputError(f"The published answer of {row['id']} is not JSON: {error}") from None
        if answer is not None and not isinstance(answer, dict):
            raise InputError(f"The published answer of {row['id']} is no JSON object")
        texts = (tuple(row[name]) for name in ("problems", "notes", "flags"))
        verdicts.append(Verdict(row["status"], answer, row["label"], *texts))
    return verdicts


def drops_from_table(table: pa.Table, resplit: bool = False) -> list[Drop]:
    """The drops of one split's dropped config; `resplit` as in `annotations_from_table`."""
    return [
        Drop(
            utterance=_utterance(row, row["split"], resplit),
            stage=cast(Stage, row["stage"]),
            reasons=tuple(row["reasons"]),
            details=tuple(row["details"]),
        )
        for row in _rows(table)
    ]


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    names = table.column_names
    columns = [_values(table.column(name)) for name in names]
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _values(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_string(column.type):
        return [None if value is None else unescape(value) for value in values]
    if pa.types.is_list(column.type):
        return [[unescape(value) for value in items] for items in values]
    return values


def _asked(row: Mapping[str, Any], members: Mapping[str, Asked]) -> Asked:
    if row["annotator"] not in members:
        raise InputError(f"{row['id']}: {bad_value('annotator', row['annotator'], members)}")
    return members[row["annotator"]]


def _utterance(row: Mapping[str, Any], split: str, resplit: bool) -> Utterance:
    corpus, found, _ = row["id"].partition("/" if resplit else f"/{split}/")
    if not found:
        raise InputError(f"Bad id {row['id']!r} in the split {split!r}, expected CORPUS/{split}/...")
    same = (
        "id", "dialogue_id", "utterance_id", "speaker", "text", "text_repaired", "sentiment",
        "season", "episode", "start", "end", "clip", "clip_duration", "source",
    )  # fmt: skip
    return Utterance(
        **{name: row[name] for name in same},
        corpus=corpus,
        split=split,
        label=row["original_label"],
        flags=tuple(row["utterance_flags"]),
        **extras_from(row),
    )


def _request(row: Mapping[str, Any], split: str, resplit: bool, asked: Asked) -> Request:
    return Request(
        utterance=_utterance(row, split, resplit),
        annotator=row["annotator"],
        model=asked.model,
        endpoint=row["endpoint"],
        messages=tuple(Message(role, content) for role, content in json.loads(row["messages"])),
        schema=asked.schema,
        parameters=json.loads(row["parameters"]),
        prefill=row["prefill"],
        prompt_hash=row["prompt_hash"],
    )


def _reply(row: Mapping[str, Any]) -> Reply:
    status = row["status"]
    failure: Literal["", "refused", "error"] = status if status in ("refused", "error") else ""
    same = (
        "attempt", "raw", "model", "means", "detail", "finish_reason", "input_tokens", "cached_tokens",
        "output_tokens", "reasoning_tokens", "label_logprobs", "cost", "seconds", "created", "tries",
    )  # fmt: skip
    return Reply(
        request_key=row["request_hash"],
        utterance_id=row["id"],
        failure=failure,
        **{name: row[name] for name in same},
    )
