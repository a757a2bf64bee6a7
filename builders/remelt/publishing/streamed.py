"""Publishes a build part by part: the same files as `folder.publish` writes, without all rows in memory.

A part leaves its rows in Arrow files (a spool). When all parts are there, their rows are put together in
Parquet files: as many, with the same rows and the same row groups, as a build in memory has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import InputError
from ..records import Utterance
from . import parquet
from .columns import Columns, annotations_features, data_features, dropped_features
from .content import DatasetContent
from .folder import put
from .layout import CONFIGS, check_splits, shard_path
from .manifest import build_manifest
from .panel import STAGES
from .parquet import Staged, bounds, shards_for, stage, stage_groups
from .sizes import Measure
from .soft import has_soft_labels
from .surrogates import unescape
from .tables import annotations_table, data_table, dropped_table
from .tally import Replies, Tally

# Rows of one batch in a spool; a row group is made of them, so more would have to be held at once.
_BATCH = parquet.ROWS_PER_GROUP
_COMPRESSION = "lz4"
_FEATURES = {"default": data_features, "annotations": annotations_features, "dropped": dropped_features}


@dataclass(frozen=True, slots=True)
class Spooled:
    """What a part has left in its spool.

    Attributes:
        rows: config -> rows.
        dropped: dropped rows by stage, in the order of the stages, as they lie in the spool.
        sizes: config -> what its table holds.
        soft: whether any of its replies has log-probabilities.
        tally: what the manifest counts.
    """

    rows: Mapping[str, int]
    dropped: tuple[int, ...]
    sizes: Mapping[str, Measure]
    soft: bool
    tally: Tally

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it; `from_dict` reads it again."""
        return {
            "rows": dict(self.rows),
            "dropped": list(self.dropped),
            "sizes": {config: {k: list(v) for k, v in m.values.items()} for config, m in self.sizes.items()},
            "soft": self.soft,
            "tally": asdict(self.tally),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Spooled:
        """What `as_dict` gave."""
        sizes = {
            config: Measure({path: (v[0], v[1], v[2]) for path, v in values.items()})
            for config, values in record["sizes"].items()
        }
        told = record["tally"]
        members = {name: Replies(**own) for name, own in told["members"].items()}
        tally = Tally(told["rows"], Replies(**told["replies"]), members, told["raters"])
        return cls(record["rows"], tuple(record["dropped"]), sizes, record["soft"], tally)


def write_spool(folder: Path, content: DatasetContent, columns: Columns) -> Spooled:
    """Writes the rows of one part.

    Args:
        folder: takes `default.arrow`, `annotations.arrow` and `dropped.arrow`.
        content: the part's rows, all of one split; with an entry in `splits` for every split of the build.
        columns: those of the whole build, with soft labels whether there are any or not.

    Raises:
        InputError: rows that do not add up or do not fit their columns.
        WriteError: the disk is full, or the folder cannot be written.
    """
    content.check()
    drops = sorted(content.drops, key=lambda drop: STAGES.index(drop.stage))
    tables = {
        "default": data_table(
            content.annotations, columns, None, content.panel.resolutions if content.panel else None
        ),
        "annotations": annotations_table(content.annotations, columns),
        "dropped": dropped_table(drops, columns),
    }
    stages = [drop.stage for drop in drops]
    lengths = tuple(stages.count(one) for one in STAGES)
    for config, table in tables.items():
        _write(folder / f"{config}.arrow", table, lengths if config == "dropped" else (table.num_rows,))
    return Spooled(
        rows={config: table.num_rows for config, table in tables.items()},
        dropped=lengths,
        sizes={config: Measure.of(table) for config, table in tables.items()},
        soft=has_soft_labels(content.annotations),
        tally=Tally.of(content),
    )


def is_whole(folder: Path) -> bool:
    """Whether a part's files are there to their ends; a file that was cut off has none."""
    try:
        for config in CONFIGS:
            with pa.OSFile(str(folder / f"{config}.arrow")) as file, pa.ipc.open_file(file):
                pass
    except (OSError, pa.ArrowException):
        return False
    return True


def spooled_utterances(folder: Path, corpus: str, split: str) -> Iterator[list[Utterance]]:
    """The utterances that a part has asked about, in the order of the corpus, some at a time.

    Args:
        folder: the part's.
        corpus, split: theirs.

    Returns:
        Utterances with their words and their speaker, and nothing else.

    Raises:
        InputError: the spool cannot be read.
    """
    names = ["id", "speaker", "text", "text_repaired"]
    last = ""
    for table in _read(folder / "annotations.arrow", columns=names):
        found = []
        columns = (column.to_pylist() for column in table.select(names))
        for name, speaker, text, repaired in zip(*columns, strict=True):
            if name != last:
                mended = None if repaired is None else unescape(repaired)
                found.append(
                    Utterance(
                        unescape(name), corpus, split, "", "", unescape(speaker), unescape(text), mended
                    )
                )
                last = name
        yield found


def publish_spooled(
    out: Path,
    frame: DatasetContent,
    tally: Tally,
    parts: Mapping[str, Sequence[tuple[Path, Spooled]]],
    columns: Columns,
) -> dict[str, Any]:
    """Writes what `folder.publish` writes, from the spools of all parts.

    Args:
        out: the dataset folder.
        frame: all that is published but the rows.
        tally: that of all parts together.
        parts: split -> the folders of its parts with what lies in them, in the order of the corpus.
        columns: as the spools have them.

    Returns:
        The manifest.

    Raises:
        InputError: rows that do not add up, or a spool that cannot be read.
        WriteError: the disk is full, or the folder cannot be written; an earlier build stays as it was.
    """
    check_splits(frame.splits)
    manifest = build_manifest(frame, tally)
    if not columns.panel and not any(spooled.soft for own in parts.values() for _, spooled in own):
        columns = replace(columns, soft=False)
    return put(out, manifest, _stage(out, frame.splits, parts, columns))


def _stage(
    out: Path,
    splits: Sequence[str],
    parts: Mapping[str, Sequence[tuple[Path, Spooled]]],
    columns: Columns,
) -> Iterator[Staged]:
    for split in splits:
        own = parts.get(split, ())
        for config in CONFIGS:
            schema = _FEATURES[config](columns).arrow_schema
            size = Measure({})
            for _, spooled in own:
                size = size.plus(spooled.sizes[config])
            rows = sum(spooled.rows[config] for _, spooled in own)
            count = shards_for(rows, size.nbytes(schema))
            given = _Rows(_tables(config, own), schema)
            for index in range(count):
                start, end = bounds(rows, index, count)
                path = out / shard_path(config, split, index, count)
                yield stage_groups(given.groups(end - start), schema, path)


def _tables(config: str, parts: Sequence[tuple[Path, Spooled]]) -> Iterator[pa.Table]:
    """The rows of a config in their final order: those dropped by stage, over all parts."""
    paths = [folder / f"{config}.arrow" for folder, _ in parts]
    if config != "dropped":
        for path in paths:
            yield from _read(path)
        return
    for number in range(len(STAGES)):
        for path, (_, spooled) in zip(paths, parts, strict=True):
            if spooled.dropped[number]:
                yield from _read(path, sum(spooled.dropped[:number]), spooled.dropped[number])


class _Rows:
    """Rows that come in pieces of any length, and leave as row groups.

    Args:
        tables: the pieces.
        schema: the columns to take, all of which every piece has.
    """

    def __init__(self, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
        self._source, self._schema = iter(tables), schema
        self._left: list[pa.Table] = []

    def groups(self, rows: int) -> Iterator[pa.Table]:
        """The next rows as the row groups of one file."""
        while rows > 0:
            wanted = min(rows, parquet.ROWS_PER_GROUP)
            yield self._take(wanted)
            rows -= wanted

    def _take(self, rows: int) -> pa.Table:
        while sum(table.num_rows for table in self._left) < rows:
            table = next(self._source, None)
            if table is None:
                raise InputError("A part of the build holds fewer rows than it says; build again")
            arrays = [table[name] for name in self._schema.names]
            self._left.append(pa.Table.from_arrays(arrays, schema=self._schema))
        # In one piece: where a column is broken decides where its pages end.
        whole = pa.concat_tables(self._left)
        self._left = [whole.slice(rows)] if whole.num_rows > rows else []
        return whole.slice(0, rows).combine_chunks()


def _write(path: Path, table: pa.Table, lengths: Sequence[int]) -> None:
    """Writes a table so that no batch of it has rows of two of the given lengths."""

    def write(handle: Any) -> None:
        options = pa.ipc.IpcWriteOptions(compression=_COMPRESSION)
        start = 0
        with pa.ipc.new_file(handle, table.schema, options=options) as writer:
            for length in lengths:
                writer.write_table(table.slice(start, length), max_chunksize=_BATCH)
                start += length

    stage(path, write).commit()


def _read(
    path: Path, start: int = 0, length: int | None = None, columns: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """The rows of a spool, or so many of them from one on, batch by batch; all columns where none is named.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        with pa.OSFile(str(path)) as file, _reader(file, columns) as reader:
            place, end = 0, None if length is None else start + length
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                if place >= start and (end is None or place < end):
                    yield pa.Table.from_batches([batch])
                place += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path}, a part of the build, cannot be read ({error}); remove {path.parent} and build again, "
            "which asks nothing that is answered"
        ) from error


def _reader(file: Any, columns: Sequence[str]) -> Any:
    if not columns:
        return pa.ipc.open_file(file)
    with pa.ipc.open_file(file) as whole:
        fields = [whole.schema.get_field_index(name) for name in columns]
    return pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=fields))
