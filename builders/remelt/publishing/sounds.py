"""The column of sound: written row by row, read back row group by row group, never whole in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from ..protocols import AudioStore
from .layout import shards
from .manifest import read_manifest
from .parquet import (
    BYTES_PER_SHARD,
    ROWS_PER_SHARD,
    Staged,
    release_memory,
    settings_with_bytes,
    stage,
)
from .surrogates import escape, unescape
from .voice import AUDIO

ROWS_PER_GROUP = 100
BYTES_PER_GROUP = 32_000_000
# What one value of an Arrow binary column can hold.
_LARGEST = 2**31 - 1
_GROUPS_KEPT = 2


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows that go into one row group: the table's from `start` to `end`, and the sound of each."""

    start: int
    end: int
    sounds: Sequence[tuple[bytes, str] | None]

    @property
    def size(self) -> int:
        return sum(len(sound[0]) for sound in self.sounds if sound is not None)


class _Groups:
    """Reads the sounds of rows in their order and hands them out as row groups, one held at a time."""

    def __init__(self, ids: Sequence[str], store: AudioStore) -> None:
        self._groups = _row_groups(ids, store)
        self.next: _Group | None = next(self._groups, None)

    def advance(self) -> None:
        """Forgets the row group at hand before it reads the next one."""
        self.next = None
        release_memory()
        self.next = next(self._groups, None)


def _row_groups(ids: Sequence[str], store: AudioStore) -> Iterator[_Group]:
    names: set[str] = set()
    sounds: list[tuple[bytes, str] | None] = []
    size = start = 0
    for row, utterance_id in enumerate(ids):
        sound = _read(store, utterance_id, names)
        length = 0 if sound is None else len(sound[0])
        if sounds and (len(sounds) == ROWS_PER_GROUP or size + length > BYTES_PER_GROUP):
            yield _Group(start, row, sounds)
            sounds, size, start = [], 0, row
        sounds.append(sound)
        size += length
    if sounds:
        yield _Group(start, len(ids), sounds)


def _read(store: AudioStore, utterance_id: str, names: set[str]) -> tuple[bytes, str] | None:
    """One sound under a name that no row before it has; None where there is none, or nothing in it."""
    try:
        found = store.read(utterance_id)
    except OSError as error:
        raise InputError(f"The sound of {utterance_id} cannot be read: {error.strerror or error}") from error
    if found is None or not found[0]:
        return None
    content, name = found
    if len(content) > _LARGEST:
        raise InputError(
            f"The sound of {utterance_id} has {len(content)} bytes, expected {_LARGEST} at most; "
            "cut the recording, or store it as FLAC"
        )
    name = unique_name(name, utterance_id, names)
    names.add(name)
    return content, name


def unique_name(name: str, utterance_id: str, taken: set[str]) -> str:
    """A file name without its folders; made from the utterance's id where another row has it already.

    >>> unique_name("a/b.wav", "toy/train/dia0_utt1", {"b.wav"})
    'dia0_utt1.wav'
    """
    plain = PurePosixPath(name.replace("\\", "/")).name
    suffix = PurePosixPath(plain).suffix
    if plain and plain not in taken:
        return plain
    stem = utterance_id.split("/", 2)[-1].replace("/", "_")
    number, found = 1, f"{stem}{suffix}"
    while found in taken:
        number += 1
        found = f"{stem}_{number}{suffix}"
    return found


def stage_sounds(
    table: pa.Table, schema: pa.Schema, store: AudioStore, place: Callable[[int, int], Path]
) -> list[Staged]:
    """Writes a split with its sound beside its final place, in as many files as its size asks for.

    Args:
        table: the rows without their sound.
        schema: the same columns and `audio`, which stands last.
        store: where the sounds come from; asked once for each row, in order.
        place: the path of a file from its number and their count.

    Raises:
        InputError: a sound that cannot be read, or is too long for a row.
        WriteError: the disk is full, or the folder cannot be written.
    """
    groups = _Groups([unescape(name) for name in table["id"].to_pylist()], store)
    staged: list[Staged] = []
    complete = False
    try:
        while groups.next is not None or not staged:
            # The count is in every file's name and is not known before the last one.
            path = place(len(staged), 0)
            staged.append(stage(path, lambda handle: _write_file(handle, table, schema, groups)))
        complete = True
    finally:
        if not complete:
            for file in staged:
                file.discard()
    return [replace(file, path=place(n, len(staged))) for n, file in enumerate(staged)]


def _write_file(handle: Any, table: pa.Table, schema: pa.Schema, groups: _Groups) -> None:
    """Row groups until the next one would make the file too large."""
    rows = size = 0
    with pq.ParquetWriter(handle, schema, **settings_with_bytes(schema, (f"{AUDIO}.bytes",))) as writer:
        while (group := groups.next) is not None:
            part = table.slice(group.start, group.end - group.start)
            length = group.size + part.nbytes
            if rows and (size + length > BYTES_PER_SHARD or rows + part.num_rows > ROWS_PER_SHARD):
                return
            sounds = _sound_array(group.sounds, schema.field(AUDIO).type)
            columns = [sounds if name == AUDIO else part[name] for name in schema.names]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=part.num_rows)
            rows, size = rows + part.num_rows, size + length
            del group, sounds, columns
            groups.advance()


def _sound_array(sounds: Sequence[tuple[bytes, str] | None], kind: pa.DataType) -> pa.Array:
    content = pa.array([None if s is None else s[0] for s in sounds], pa.binary())
    names = pa.array([None if s is None else escape(s[1]) for s in sounds], pa.string())
    missing = pa.array([s is None for s in sounds], pa.bool_())
    array = pa.StructArray.from_arrays([content, names], ["bytes", "path"], mask=missing)
    return array.cast(kind)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row's sound lies: the file, its row group, and the row in it."""

    path: Path
    group: int
    row: int


class PublishedAudio:
    """The sounds of a published folder: an `AudioStore` that reads a row group at a time.

    Rows are best asked for in published order; two row groups are kept.

    Args:
        out: the dataset folder.

    Raises:
        InputError: the folder has no manifest or no column of sound, or a file cannot be read.
    """

    def __init__(self, out: str | Path) -> None:
        self.out = Path(out)
        manifest = read_manifest(self.out)
        if AUDIO not in (manifest.get("voice") or {}).get("columns", ()):
            raise InputError(f"{self.out} has no column of sound")
        self._places = _places(self.out, manifest)
        self._kept: OrderedDict[tuple[Path, int], Any] = OrderedDict()
        self._file: tuple[Path, pq.ParquetFile] | None = None

    def __enter__(self) -> PublishedAudio:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file that was read last and forgets what was kept."""
        self._kept.clear()
        if self._file is not None:
            self._file[1].close()
            self._file = None

    def __contains__(self, utterance_id: object) -> bool:
        return utterance_id in self._places

    def read(self, utterance_id: str) -> tuple[bytes, str] | None:
        """See `protocols.AudioStore.read`; None for an utterance that is not in the dataset, too."""
        place = self._places.get(utterance_id)
        if place is None:
            return None
        sound = self._group(place)[place.row]
        if not sound.is_valid or not sound["bytes"].is_valid:
            return None
        return sound["bytes"].as_py(), unescape(sound["path"].as_py() or "")

    def _group(self, place: _Place) -> Any:
        key = place.path, place.group
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        while len(self._kept) >= _GROUPS_KEPT:
            self._kept.popitem(last=False)
            release_memory()
        try:
            if self._file is None or self._file[0] != place.path:
                self.close()
                self._file = place.path, pq.ParquetFile(place.path)
            column = self._file[1].read_row_group(place.group, columns=[AUDIO])[AUDIO]
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{place.path} cannot be read as Parquet: {error}") from error
        self._kept[key] = column
        return column


def _places(out: Path, manifest: Mapping[str, Any]) -> dict[str, _Place]:
    places: dict[str, _Place] = {}
    for split in manifest["splits"]:
        for path in shards(out, manifest["files"], "default", split):
            for group, ids in enumerate(_ids(path)):
                places |= {unescape(name): _Place(path, group, row) for row, name in enumerate(ids)}
    return places


def _ids(path: Path) -> Iterator[list[str]]:
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=["id"])["id"].to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error
