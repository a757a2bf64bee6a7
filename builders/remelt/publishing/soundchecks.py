"""Checks the voice of a dataset folder: what its columns say, and that every sound can be heard."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .layout import FOLDERS, shards
from .parquet import release_memory
from .problem import Problem, listed
from .surrogates import unescape
from .voice import (
    AUDIO,
    FLAGS,
    LEVELS,
    SECONDS,
    TRANSCRIPT,
    VoiceColumns,
    rows_of,
    transcript_source,
)

TOLERANCE = 0.1
_BLOCK = 1 << 18
_FTYP = slice(4, 8)
# How files begin that libsndfile does not open but a player does.
_CONTAINERS = (b"\x1a\x45\xdf\xa3", b"FLV\x01", b"\x30\x26\xb2\x75", b"\xff\xf1", b"\xff\xf9", b"ADIF")


def voice_problems(
    out: Path, tables: Mapping[tuple[str, str], pa.Table], manifest: Mapping[str, Any], columns: VoiceColumns
) -> Iterator[Problem]:
    """What is wrong with the columns of the voice.

    The sound is read a row group at a time: each row's has a name of its own, decodes to its end, and is as
    long as `audio_seconds` says (to 0.1 s); FLAC made by a build has one channel and the manifest's rate.

    Args:
        out: the dataset folder.
        tables: the rows by config and split, without their sound.
        manifest: the folder's manifest.
        columns: the columns of the voice.
    """
    record = manifest["voice"]
    for split in manifest["splits"]:
        place = f"{FOLDERS['default']}/{split}"
        table = tables["default", split]
        yield from _value_problems(table, place, columns, transcript_source(record))
        if columns.audio:
            faults: dict[str, list[str]] = {}
            tails = _tails([unescape(name) for name in table["id"].to_pylist()])
            names: set[str] = set()
            for row in _sounds(out, manifest, split):
                for fault in _sound_faults(row, record, tails, names):
                    faults.setdefault(fault, []).append(row["id"])
            for fault, rows in faults.items():
                yield from listed(place, fault, rows)


def _value_problems(table: pa.Table, place: str, columns: VoiceColumns, source: str) -> Iterator[Problem]:
    faults: dict[str, list[str]] = {}
    wanted = ["id", *(name for name in columns.names if name != AUDIO)]
    for row in rows_of(table.select(wanted)):
        for fault in _value_faults(row, columns, source):
            faults.setdefault(fault, []).append(row["id"])
    for fault, rows in faults.items():
        yield from listed(place, fault, rows)


def _value_faults(row: Mapping[str, Any], columns: VoiceColumns, source: str) -> Iterator[str]:
    seconds = row[SECONDS]
    if seconds is not None and not 0 <= seconds < math.inf:
        yield f"rows have an impossible {SECONDS!r}"
    if row[FLAGS] is None and any(row[name] is not None for name in row if name not in ("id", FLAGS)):
        yield f"rows have a voice but no {FLAGS!r}"
    for name in columns.measures:
        if row[name] is not None and not math.isfinite(row[name]):
            yield f"rows have no finite number in {name!r}"
    for name in columns.levels:
        if row[name] not in (None, *LEVELS):
            yield f"rows have something else than {', '.join(LEVELS)} in {name!r}"
    if columns.transcripts:
        heard, by = (row[name] for name in TRANSCRIPT)
        if by != (None if heard is None else source):
            yield f"rows have another {TRANSCRIPT[1]!r} than the manifest's"


def _sounds(out: Path, manifest: Mapping[str, Any], split: str) -> Iterator[dict[str, Any]]:
    """id, audio_seconds, voice_flags and audio of each row; only one row group is in memory."""
    wanted = ["id", SECONDS, FLAGS, AUDIO]
    for path in shards(out, manifest["files"], "default", split):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                part = file.read_row_group(group, columns=wanted)
                for row in range(part.num_rows):
                    yield {name: part[name][row].as_py() for name in wanted}
                del part
                release_memory()


def _sound_faults(
    row: Mapping[str, Any], record: Mapping[str, Any], tails: Mapping[str, str], names: set[str]
) -> Iterator[str]:
    sound, seconds = row[AUDIO], row[SECONDS]
    content = None if sound is None else sound["bytes"]
    if not content:
        if sound is not None:
            yield "rows have a sound without bytes"
        elif seconds:
            yield f"rows have {SECONDS!r} but no sound"
        return
    name = unescape(sound["path"] or "")
    if not name or PurePosixPath(name.replace("\\", "/")).name != name:
        yield "rows have a sound without a plain file name"
    elif name in names:
        yield "rows have a sound whose name another row has"
    elif tails.get(PurePosixPath(name).stem, row["id"]) != unescape(row["id"]):
        yield "rows have a sound with another row's name"
    names.add(name)
    if record["audio"] == "flac" or not row[FLAGS]:
        yield from _content_faults(content, seconds, record)


def _content_faults(content: bytes, seconds: float | None, record: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a sound that should be whole; a corpus's own file with flags need not be."""
    import soundfile

    flac = record["audio"] == "flac"
    if flac and not content.startswith(b"fLaC"):
        yield "rows have a sound that is no FLAC file"
        return
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            stated, found = file.frames, _frames(file)
            rate, channels = file.samplerate, file.channels
    except (soundfile.SoundFileError, ValueError, OSError):
        # A corpus's own file may be a container, or one that nobody could measure either.
        if flac or (seconds is not None and not _is_container(content)):
            yield "rows have a sound that cannot be decoded"
        return
    if flac and found != stated:
        yield "rows have a sound that ends before its header says"
    if flac and (rate, channels) != (record["rate"], 1):
        yield f"rows have a sound that is not {record['rate']} Hz mono"
    if seconds is not None and abs(found / rate - seconds) > TOLERANCE:
        yield f"rows have a sound of another length than {SECONDS!r} says"


def _frames(file: Any) -> int:
    """Frames that can be read; a damaged FLAC file raises at the damage."""
    total = 0
    while count := len(file.read(_BLOCK, dtype="int16")):
        total += count
    return total


def _is_container(content: bytes) -> bool:
    return content[_FTYP] == b"ftyp" or content.startswith(_CONTAINERS)


def _tails(ids: Sequence[str]) -> dict[str, str]:
    """The last part of each id, which a sound may be named by, where only one row has it."""
    counts = Counter(name.rpartition("/")[2] for name in ids)
    return {tail: name for name in ids if counts[tail := name.rpartition("/")[2]] == 1}
