"""What the card says of the voice: how it was measured, how much of it there is, and who may pass it on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from .batches import published_rows
from .extras import FIELDS, extras_in_tables
from .markdown import code
from .reading import read_split
from .sharing import shareable
from .voice import FLAGS, LEVELS, SECONDS, TRANSCRIPT, VoiceColumns, columns_of_record

_MOST_GROUPS = 12


def voice_context(out: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the template's section on the voice is filled with; None for a dataset of words alone.

    Raises:
        InputError: a Parquet file is missing or unreadable, or lacks columns that the manifest lists.
    """
    record = manifest.get("voice")
    columns = columns_of_record(record)
    if record is None or columns is None:
        return None
    wanted = (SECONDS, FLAGS, *columns.levels, *TRANSCRIPT[:1])
    tables = [read_split(out, manifest, "default", split, wanted) for split in manifest["splits"]]
    table = pa.concat_tables(tables)
    if missing := set(columns.names) & set(wanted) - set(table.column_names):
        raise InputError(f"{out}: the published rows lack the columns {sorted(missing)!r} of the voice")
    seconds = table[SECONDS]
    flags = Counter(pc.list_flatten(table[FLAGS]).to_pylist())
    return {
        "audio": record["audio"],
        "rate": record["rate"],
        "rows": table.num_rows,
        "heard": table.num_rows - seconds.null_count,
        "hours": (pc.sum(seconds).as_py() or 0.0) / 3600,
        "shareable": shareable(manifest["corpus"].get("licence") or "", manifest["corpus"]["name"]),
        "acoustics": _acoustics(record.get("acoustics")),
        "measures": columns.measures,
        "levels": [_level(name, table[name], _of(record.get("bins"), name)) for name in columns.levels],
        "transcripts": _transcripts(record.get("transcripts"), columns, table),
        "flags": [[code(flag), count] for flag, count in flags.most_common()],
        "notes": [str(note) for note in record.get("notes") or ()],
    }


def extra_columns(out: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that only some corpora have, for the card's words on them."""
    tables = (
        batch
        for config in ("annotations", "dropped")
        for split in manifest["splits"]
        for batch in published_rows(out, manifest, config, split).batches(FIELDS)
    )
    found = extras_in_tables(tables)
    return {"fields": found.fields, "attributes": [code(name) for name in found.attributes]}


def _acoustics(found: object) -> dict[str, str] | None:
    if not isinstance(found, Mapping):
        return None
    return {name: str(found.get(name) or "") for name in ("backend", "version", "licence", "notice")}


def _of(found: object, name: str) -> Mapping[str, Any]:
    part = found.get(name) if isinstance(found, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _level(name: str, column: Any, scheme: Mapping[str, Any]) -> dict[str, Any]:
    """One column of levels: its rows, the limits behind it, and sentences about them."""
    counts = Counter(column.to_pylist())
    groups = [group for group in scheme.get("groups") or () if isinstance(group, Mapping)]
    shown = [
        [str(group.get("kind", "")), str(group.get("name", "")), group.get("n"), *map(_limit, _limits(group))]
        for group in groups[:_MOST_GROUPS]
    ]
    return {
        "name": name,
        "measure": str(scheme.get("measure") or ""),
        "described": [str(line) for line in scheme.get("description") or ()],
        "rows": [*(counts[level] for level in LEVELS), counts[None]],
        "groups": shown,
        "more": len(groups) - len(shown),
    }


def _limits(group: Mapping[str, Any]) -> tuple[object, object]:
    return group.get("low"), group.get("high")


def _limit(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else "–"


def _transcripts(found: object, columns: VoiceColumns, table: pa.Table) -> dict[str, Any] | None:
    if not columns.transcripts:
        return None
    said = found if isinstance(found, Mapping) else {}
    return {
        "source": str(said.get("source") or ""),
        "model": str(said.get("model") or ""),
        "parameters": said.get("parameters") or {},
        "rows": table.num_rows - table[TRANSCRIPT[0]].null_count,
    }
