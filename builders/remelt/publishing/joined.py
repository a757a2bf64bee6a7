"""Labels and the corpus they are of, in one dataset again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ..records import Drop, Stage, Utterance
from .columns import Columns, data_features
from .extras import extras_of
from .fields import AnswerField, AnswerShape
from .panel import STAGES, VOTES
from .soft import SOFT
from .surrogates import unescape
from .tables import _array as typed_array
from .tables import _shared as corpus_values
from .tables import dropped_table
from .voice import AUDIO, VoiceColumns, columns_of_record

DIFFERS = "text_differs"


def joined_columns(
    table: pa.Table, manifest: Mapping[str, Any], utterances: Iterable[Utterance], sound: bool
) -> Columns:
    """What decides the columns of a joined dataset.

    Args:
        table: rows of the labels' default config; those of any split, for they are the same.
        manifest: the labels'.
        utterances: all of the corpus that the labels speak of, dropped ones too.
        sound: whether there is to be a column of sound.
    """
    from datasets import Features

    found = Features.from_arrow_schema(table.schema)
    rows = list(utterances)
    names = table.column_names
    fields = names[names.index("changed") + 1 : names.index("character_match")]
    voice = columns_of_record(manifest.get("voice"))
    if sound:
        voice = replace(voice or VoiceColumns(), audio=True)
    return Columns(
        labels=tuple(found["label"].names),
        original_labels=tuple(found["original_label"].names),
        integer_dialogue=all(isinstance(row.dialogue_id, int) for row in rows),
        integer_utterance=all(isinstance(row.utterance_id, int) for row in rows),
        shape=AnswerShape(tuple(AnswerField(name, (name,)) for name in fields), None, None),
        soft=SOFT in names,
        extras=extras_of(rows),
        voice=voice,
        panel=VOTES in names,
    )


def joined_table(
    table: pa.Table, found: Mapping[str, Utterance], differ: Iterable[str], columns: Columns
) -> pa.Table:
    """One split of the default config: the labels' rows that the corpus has, with what the corpus says.

    Args:
        table: the labels' rows.
        found: utterances by id.
        differ: ids of rows that have other words than those that were labelled; they get the flag
            `text_differs`.
        columns: see `joined_columns`; the sound itself is not made here.

    Raises:
        InputError: a value that its column cannot hold; the message names the row.
    """
    other = set(differ)
    ids = [unescape(name) for name in table["id"].to_pylist()]
    kept = [n for n, name in enumerate(ids) if name in found]
    table = table.take(pa.array(kept, pa.int64()))
    rows = [found[ids[n]] for n in kept]
    flags = [
        [*said, *([DIFFERS] if row.id in other else [])]
        for said, row in zip(table["flags"].to_pylist(), rows, strict=True)
    ]
    own: dict[str, Any] = {
        **corpus_values(rows, columns),
        "duration": [row.duration for row in rows],
    }
    full = data_features(columns).arrow_schema
    schema = pa.schema([field for field in full if field.name != AUDIO], full.metadata)
    arrays = []
    for field in schema:
        if field.name in own:
            arrays.append(typed_array(field, own[field.name], [row.id for row in rows]))
        elif field.name == "flags":
            arrays.append(pa.array(flags, field.type))
        elif field.name in table.column_names:
            arrays.append(table[field.name])
        else:
            arrays.append(pa.nulls(len(rows), field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def joined_drops(table: pa.Table, found: Mapping[str, Utterance], columns: Columns) -> pa.Table:
    """The same for one split of the dropped config; the details of the reasons stay away."""
    drops = []
    names = ("id", "stage", "reasons")
    for identity, stage, reasons in zip(*(table[name].to_pylist() for name in names), strict=True):
        if (utterance := found.get(unescape(identity))) is not None:
            drops.append(Drop(utterance, _stage(stage), tuple(unescape(r) for r in reasons), ()))
    made = dropped_table(drops, columns)
    # The split is the published one, which need not be the corpus's.
    index = made.schema.get_field_index("split")
    where = dict(zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True))
    splits = pa.array([where[name] for name in made["id"].to_pylist()], pa.string())
    return made.set_column(index, made.schema.field(index), splits)


def voice_of(record: Mapping[str, Any] | None, columns: Columns) -> dict[str, Any] | None:
    """The manifest's `voice` for these columns; None without one."""
    if columns.voice is None:
        return None
    told = dict(record or {"measures": [], "levels": []})
    return {
        **told,
        "audio": "original" if columns.voice.audio else "none",
        "rate": columns.voice.rate,
        "columns": list(columns.voice.names),
    }


def full_schema(columns: Columns) -> pa.Schema:
    """All columns of the default config, the sound too."""
    return data_features(columns).arrow_schema


def _stage(name: str) -> Stage:
    return next(stage for stage in STAGES if stage == name)
