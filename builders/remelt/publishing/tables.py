"""From records to the Arrow tables of the three configs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..errors import InputError
from ..records import Annotation, Drop, Request, Resolution, Utterance, canonical_json
from .columns import Columns, annotations_features, data_features, dropped_features
from .extras import extra_values
from .fields import ECHO_KEY
from .panel import Row, kept_rows
from .soft import SOFT, soft_label
from .surrogates import escape
from .voice import AUDIO, VoiceContent, voice_values
from .votes import vote_values

MISMATCH = "character_mismatch"


def data_table(
    annotations: Sequence[Annotation],
    columns: Columns,
    voice: VoiceContent | None = None,
    resolutions: Mapping[str, Resolution] | None = None,
) -> pa.Table:
    """The default config's rows, in the order given: utterances with a valid last reply, or resolved ones.

    Args:
        annotations: all of one split.
        columns: see `columns_of`.
        voice: what was heard, where `columns` have it. The column of sound itself is not made here.
        resolutions: what the votes came to, by utterance id, where `columns` are those of a panel.

    Raises:
        InputError: a value that its column cannot hold; the message names the row.
    """
    kept = kept_rows(annotations, resolutions)
    rows = [row.utterance for row in kept]
    new = {name: index for index, name in enumerate(columns.labels)}
    old = {name: index for index, name in enumerate(columns.original_labels)}
    values: dict[str, Sequence[Any]] = {
        **_shared(rows, columns),
        "id": [row.id for row in rows],
        "duration": [row.duration for row in rows],
        "label": [_index(new, row.label, row.utterance.id) for row in kept],
        "original_label": [None if row.label is None else old[row.label] for row in rows],
        "changed": [
            None if row.utterance.label is None else row.label != row.utterance.label for row in kept
        ],
        "character_match": [_character_match(row, columns) for row in kept],
        "flags": [(*row.utterance.flags, *row.verdict.flags) for row in kept],
        "annotator": [row.annotation.request.annotator if row.annotation else None for row in kept],
    }
    if columns.panel:
        values |= vote_values(kept, columns.labels)
    elif columns.soft:
        values[SOFT] = [
            soft_label(row.annotation.replies[-1].label_logprobs, columns.labels, row.utterance.id)
            for row in kept
            if row.annotation
        ]
    if columns.voice is not None and voice is not None:
        values |= voice_values([row.id for row in rows], voice)
    for field in columns.shape.fields:
        values[field.column] = [field.value(row.verdict.answer) for row in kept]
    return _table(values, data_features(columns), [row.id for row in rows])


def annotations_table(annotations: Sequence[Annotation], columns: Columns) -> pa.Table:
    """The annotations config's rows: every reply, utterances in the order given, attempts first to last.

    Raises:
        InputError: a value that its column cannot hold; the message names the row.
    """
    asked = [
        (a.request, reply, verdict)
        for a in annotations
        for reply, verdict in zip(a.replies, a.verdicts, strict=True)
    ]
    requests = [request for request, _, _ in asked]
    replies = [reply for _, reply, _ in asked]
    verdicts = [verdict for _, _, verdict in asked]
    rows = [request.utterance for request in requests]
    ids = [row.id for row in rows]
    values: dict[str, Sequence[Any]] = {
        **_shared(rows, columns),
        "id": ids,
        "original_label": [row.label for row in rows],
        "sentiment": [row.sentiment for row in rows],
        "clip_duration": [row.clip_duration for row in rows],
        "utterance_flags": [row.flags for row in rows],
        "source": [row.source for row in rows],
        "annotator": [request.annotator for request in requests],
        "endpoint": [request.endpoint for request in requests],
        "prefill": [request.prefill for request in requests],
        "prompt_hash": [request.prompt_hash for request in requests],
        "schema_hash": _schema_hashes(requests),
        "request_hash": [reply.request_key for reply in replies],
        "parameters": [canonical_json(dict(request.parameters)) for request in requests],
        "messages": [canonical_json([[m.role, m.content] for m in r.messages]) for r in requests],
        "status": [verdict.status for verdict in verdicts],
        "answer": [None if v.answer is None else canonical_json(dict(v.answer)) for v in verdicts],
        "label": [verdict.label for verdict in verdicts],
        "problems": [verdict.problems for verdict in verdicts],
        "notes": [verdict.notes for verdict in verdicts],
        "flags": [verdict.flags for verdict in verdicts],
    }
    for name in (
        "model", "raw", "attempt", "means", "finish_reason", "detail",
        "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "label_logprobs",
        "cost", "seconds", "created", "tries",
    ):  # fmt: skip
        values[name] = [getattr(reply, name) for reply in replies]
    return _table(values, annotations_features(columns), ids)


def dropped_table(drops: Sequence[Drop], columns: Columns) -> pa.Table:
    """The dropped config's rows, in the order given.

    Raises:
        InputError: a value that its column cannot hold; the message names the row.
    """
    rows = [drop.utterance for drop in drops]
    ids = [row.id for row in rows]
    values: dict[str, Sequence[Any]] = {
        **_shared(rows, columns),
        "id": ids,
        "split": [row.split for row in rows],
        "stage": [drop.stage for drop in drops],
        "reasons": [drop.reasons for drop in drops],
        "details": [drop.details for drop in drops],
        "original_label": [row.label for row in rows],
        "sentiment": [row.sentiment for row in rows],
        "clip_duration": [row.clip_duration for row in rows],
        "utterance_flags": [row.flags for row in rows],
        "source": [row.source for row in rows],
    }
    return _table(values, dropped_features(columns), ids)


def _schema_hashes(requests: Sequence[Request]) -> list[str]:
    # By identity: a build has one schema object, and hashing it for every row would cost more than the rest.
    known: dict[int, str] = {}
    for request in requests:
        if id(request.schema) not in known:
            known[id(request.schema)] = request.schema_hash
    return [known[id(request.schema)] for request in requests]


def _shared(rows: Sequence[Utterance], columns: Columns) -> dict[str, Sequence[Any]]:
    dialogue = [row.dialogue_id for row in rows]
    utterance = [row.utterance_id for row in rows]
    return {
        "speaker": [row.speaker for row in rows],
        "text": [row.text for row in rows],
        "text_repaired": [row.text_repaired for row in rows],
        "dialogue_id": dialogue if columns.integer_dialogue else [str(value) for value in dialogue],
        "utterance_id": utterance if columns.integer_utterance else [str(value) for value in utterance],
        "season": [row.season for row in rows],
        "episode": [row.episode for row in rows],
        "start": [row.start for row in rows],
        "end": [row.end for row in rows],
        "clip": [row.clip for row in rows],
        **extra_values(rows, columns.extras),
    }


def _character_match(row: Row, columns: Columns) -> bool | None:
    """Whether the speaker was repeated rightly; None where the answer did not have to."""
    if columns.shape.echo is None or row.annotation is None:
        return None
    if columns.panel and row.annotation.request.schema.get(ECHO_KEY) is None:
        return None
    return MISMATCH not in row.verdict.flags


def _index(names: Mapping[str, int], label: str | None, place: str) -> int:
    if label is None or label not in names:
        raise InputError(f"Bad label {label!r} of {place}, expected one of {list(names)!r}")
    return names[label]


def _table(values: Mapping[str, Sequence[Any]], features: Any, ids: Sequence[str]) -> pa.Table:
    full = features.arrow_schema
    schema = pa.schema(
        [field for field in full if field.name != AUDIO or field.name in values], full.metadata
    )
    arrays = [_array(field, values[field.name], ids) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(field: Any, values: Sequence[Any], ids: Sequence[str]) -> Any:
    if pa.types.is_string(field.type):
        return pa.array([None if v is None else escape(v) for v in values], field.type)
    if pa.types.is_list(field.type) and pa.types.is_string(field.type.value_type):
        return pa.array([None if v is None else [escape(text) for text in v] for v in values], field.type)
    if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
        return pa.array([[_escaped(part) for part in v] for v in values], field.type)
    try:
        return pa.array(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        raise InputError(_misfit(field, values, ids)) from None


def _escaped(part: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: None if value is None else escape(value) for key, value in part.items()}


def _misfit(field: Any, values: Iterable[Any], ids: Sequence[str]) -> str:
    for value, name in zip(values, ids, strict=True):
        try:
            pa.scalar(value, field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            return f"Bad {field.name} {value!r} of {name}, expected {field.type}"
    return f"Bad values in the column {field.name}, expected {field.type}"
