"""The voice in a dataset: measurements, levels, transcripts and the sound itself, beside each utterance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..errors import InputError, bad_value
from ..protocols import AudioStore
from ..records import Voice
from .surrogates import unescape

AUDIO = "audio"
SECONDS = "audio_seconds"
FLAGS = "voice_flags"
TRANSCRIPT = ("transcript", "transcript_source")
LEVELS = ("low", "mid", "high")
AUDIO_KINDS = ("flac", "original", "none")
RATE = 16_000
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class VoiceColumns:
    """What decides the columns of the voice, the same for all splits.

    Attributes:
        measures: names of the measured columns, in order.
        levels: names of the columns of low, mid and high, in order.
        transcripts: whether there are columns of transcripts and their source.
        audio: whether there is a column of sound.
        rate: sampling rate of the Audio feature in Hz.
    """

    measures: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    transcripts: bool = False
    audio: bool = False
    rate: int = RATE

    @property
    def names(self) -> tuple[str, ...]:
        """All columns of the voice in the order in which they stand."""
        transcripts = TRANSCRIPT if self.transcripts else ()
        return (
            SECONDS, FLAGS, *self.measures, *self.levels, *transcripts, *((AUDIO,) if self.audio else ()),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class VoiceContent:
    """What was heard in the clips of a build, and the clips themselves.

    Attributes:
        rows: utterance id -> what was heard; an utterance that is not in it has nulls.
        info: how it was made, for the manifest and the card: `audio` (flac, original or none), `rate` (Hz),
            and, where they apply, `acoustics` (backend, version, licence, notice), `bins` (the scheme of each
            level), `transcripts` (source, model, parameters) and `quality` (flag -> clips).
        measures: names of the measured columns, in order; keys of `Voice.measures`.
        levels: names of the columns of levels, in order; keys of `Voice.levels`.
        transcripts: whether there is a column of transcripts.
        audio: where the sound of each utterance comes from; None for a dataset without it.
    """

    rows: Mapping[str, Voice]
    info: Mapping[str, Any] = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    transcripts: bool = False
    audio: AudioStore | None = None

    @property
    def columns(self) -> VoiceColumns:
        """What decides its columns."""
        rate = int(self.info.get("rate") or RATE)
        return VoiceColumns(self.measures, self.levels, self.transcripts, self.audio is not None, rate)

    @property
    def record(self) -> dict[str, Any]:
        """What the manifest says of it: `info`, and the names of the columns."""
        columns = self.columns
        kind = self.info.get("audio") or ("flac" if columns.audio else "none")
        return {
            **self.info,
            "audio": kind,
            "rate": columns.rate,
            "measures": list(self.measures),
            "levels": list(self.levels),
            "columns": list(columns.names),
        }

    def check(self) -> None:
        """Refuses what would be lost or contradicts itself.

        Raises:
            InputError: a row under another utterance's id, a value without a column, a level that is none,
                or sound that `info` denies.
        """
        kind = self.record["audio"]
        if kind not in AUDIO_KINDS:
            raise InputError(bad_value("audio", kind, AUDIO_KINDS))
        if (kind == "none") != (self.audio is None):
            raise InputError(
                f"Bad audio {kind!r}: there is {'no' if self.audio is None else 'a'} sound store"
            )
        for name, row in self.rows.items():
            if row.utterance_id != name:
                raise InputError(f"The voice of {row.utterance_id!r} stands under {name!r}")
            lost = [*(set(row.measures) - set(self.measures)), *(set(row.levels) - set(self.levels))]
            if lost or (row.transcript is not None and not self.transcripts):
                raise InputError(f"{name}: no column for {sorted(lost) or 'the transcript'}")
            for level in row.levels.values():
                if level is not None and level not in LEVELS:
                    raise InputError(f"{name}: {bad_value('level', level, LEVELS)}")


def voice_features(columns: VoiceColumns) -> dict[str, Any]:
    """The features of the voice in the default config, in order."""
    from datasets import Audio, List, Value

    text, number = Value("string"), Value("float64")
    kinds = {
        **dict.fromkeys((SECONDS, *columns.measures), number),
        FLAGS: List(text),
        **dict.fromkeys((*columns.levels, *TRANSCRIPT), text),
        AUDIO: Audio(sampling_rate=columns.rate),
    }
    return {name: kinds[name] for name in columns.names}


def voice_values(ids: Sequence[str], content: VoiceContent) -> dict[str, Sequence[Any]]:
    """The values of all these columns but the sound; null for an utterance that nobody listened to."""
    rows = [content.rows.get(name) for name in ids]
    values: dict[str, Sequence[Any]] = {
        SECONDS: [None if row is None else _finite(row.seconds) for row in rows],
        FLAGS: [None if row is None else row.flags for row in rows],
    }
    for name in content.measures:
        values[name] = [None if row is None else _finite(row.measures.get(name)) for row in rows]
    for name in content.levels:
        values[name] = [None if row is None else row.levels.get(name) for row in rows]
    if content.transcripts:
        source = transcript_source(content.info)
        heard = [None if row is None else row.transcript for row in rows]
        values |= dict(zip(TRANSCRIPT, (heard, [None if h is None else source for h in heard]), strict=True))
    return values


def _finite(value: float | None) -> float | None:
    """A measure that is no number is a measure that the sound does not have."""
    return value if value is not None and math.isfinite(value) else None


def transcript_source(info: Mapping[str, Any]) -> str:
    """Who transcribed, as `info` has it."""
    return str((info.get("transcripts") or {}).get("source") or "")


def columns_of_record(record: Mapping[str, Any] | None) -> VoiceColumns | None:
    """What decides the columns, from the manifest's `voice`; None where there is none.

    Raises:
        InputError: the columns that the manifest lists are not those of a voice.
    """
    if record is None:
        return None
    names = record["columns"]
    columns = VoiceColumns(
        tuple(record["measures"]),
        tuple(record["levels"]),
        TRANSCRIPT[0] in names,
        AUDIO in names,
        int(record["rate"]),
    )
    if list(columns.names) != list(names):
        raise InputError(f"Bad voice.columns {names!r} in the manifest, expected {list(columns.names)!r}")
    return columns


def voice_from_tables(
    tables: Iterable[pa.Table], record: Mapping[str, Any], audio: AudioStore | None
) -> VoiceContent:
    """What `voice_values` was given, from the published rows of the default config.

    Args:
        tables: the rows, in any number of parts; the sound itself is not looked at.
        record: the manifest's `voice`.
        audio: where the sound comes from now.

    Raises:
        InputError: the tables lack columns that the manifest lists.
    """
    columns = columns_of_record(record)
    assert columns is not None
    rows: dict[str, Voice] = {}
    for table in tables:
        wanted = ["id", *(name for name in columns.names if name != AUDIO)]
        missing = [name for name in wanted if name not in table.column_names]
        if missing:
            raise InputError(f"The published rows lack the columns {missing!r} of the manifest's voice")
        for row in rows_of(table.select(wanted)):
            if row[FLAGS] is not None:
                voice = _voice(row, columns)
                rows[voice.utterance_id] = voice
    info = {k: v for k, v in record.items() if k not in ("measures", "levels", "columns")}
    return VoiceContent(rows, info, columns.measures, columns.levels, columns.transcripts, audio)


def rows_of(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows one by one; with hundreds of measures all of them would take gigabytes."""
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from batch.to_pylist()


def _voice(row: Mapping[str, Any], columns: VoiceColumns) -> Voice:
    heard = row.get(TRANSCRIPT[0])
    return Voice(
        utterance_id=unescape(row["id"]),
        seconds=row[SECONDS],
        flags=tuple(unescape(flag) for flag in row[FLAGS]),
        measures={name: row[name] for name in columns.measures},
        levels={name: row[name] for name in columns.levels},
        transcript=None if heard is None else unescape(heard),
    )
