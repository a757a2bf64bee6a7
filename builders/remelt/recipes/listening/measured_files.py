"""The files of `remelt voice`: a table of clips, a summary, and figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import Interrupted

if TYPE_CHECKING:
    import pyarrow as pa

    from .measuring import Measured

TABLE = "voice.parquet"
SUMMARY = "voice.json"
SHARES = "voice_levels.csv"
BY_LABEL = "voice_levels"
BY_SEX = "voice_levels_by_sex"
OPTIONAL = {SHARES, *(f"{name}.{kind}" for name in (BY_LABEL, BY_SEX) for kind in ("svg", "png"))}
_NUMBERS = ("rate", "channels")


def write(found: Measured, out: Path) -> Measured:
    """Writes every file; each is whole or absent, and the same measurements give the same bytes.

    Raises:
        Interrupted: the disk is full or refuses.
    """
    from ...audit.levels import csv_bytes
    from .measuring import as_dict

    files: dict[str, bytes] = {TABLE: _parquet(found)}
    ordered = {(column, by): table for (by, column), table in found.crossings.items()}
    if ordered:
        files[SHARES] = csv_bytes(ordered)
    files |= _figures(found)
    found = replace(found, files=tuple(sorted([*files, SUMMARY])))
    files[SUMMARY] = (json.dumps(as_dict(found), ensure_ascii=False, indent=2) + "\n").encode("utf-8")
    for name, content in files.items():
        _put(out / name, content)
    for name in OPTIONAL - files.keys():
        # An earlier run on more of the corpus may have left it.
        (out / name).unlink(missing_ok=True)
    return found


def table(found: Measured) -> pa.Table:
    """One row per utterance in the corpus's order: who, what is wrong with the sound, measures, levels."""
    import pyarrow as pa

    from ...voice.quality import Quality

    quality = [f.name for f in fields(Quality) if f.name not in ("seconds", "flags", "detail")]
    utterances = found.corpus.utterances
    analyses = [found.analyses.get(u.id) for u in utterances]
    columns: dict[str, pa.Array] = {
        name: pa.array([getattr(u, name) for u in utterances], pa.string())
        for name in ("id", "split", "speaker", "sex", "label", "clip")
    }
    columns["seconds"] = pa.array([None if a is None else a.quality.seconds for a in analyses], pa.float64())
    columns["state"] = pa.array([found.state(u) for u in utterances], pa.string())
    columns["flags"] = pa.array([list(found.flags_of(u)) for u in utterances], pa.list_(pa.string()))
    # Where somebody keeps the corpus is nobody's business, and would make the file another one elsewhere.
    details = ["" if a is None else a.quality.detail for a in analyses]
    own = f"{found.corpus.folder}/"
    columns["detail"] = pa.array([detail.replace(own, "") for detail in details], pa.string())
    for name in quality:
        kind = pa.int64() if name in _NUMBERS else pa.float64()
        columns[name] = pa.array([None if a is None else getattr(a.quality, name) for a in analyses], kind)
    for name in found.backend.measures:
        columns[name] = pa.array(
            [None if a is None else a.measures.get(name) for a in analyses], pa.float64()
        )
    for name in _level_columns(found):
        columns[name] = pa.array([found.levels[u.id][name] for u in utterances], pa.string())
    return pa.table(columns)


def _level_columns(found: Measured) -> list[str]:
    return list(next(iter(found.levels.values())))


def _parquet(found: Measured) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table(found), sink, compression="zstd", row_group_size=10_000)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _figures(found: Measured) -> dict[str, bytes]:
    from ...audit.figures import figure_bytes
    from ...audit.levels import levels_figure
    from .measuring import CORPUS_WIDE, TITLES

    files: dict[str, bytes] = {}
    rows = f"{len(found.corpus):,} utterances"
    for by, name, columns, what in (
        ("label", BY_LABEL, ("pitch_level", "loudness_level", "rate_level"), "emotion"),
        ("sex", BY_SEX, (CORPUS_WIDE, "pitch_level", "loudness_level"), "sex"),
    ):
        panels = {
            _panel(c, found, TITLES): t for c in columns if (t := found.crossings.get((by, c))) is not None
        }
        drawing = levels_figure(panels, f"Levels by {what}, {found.corpus.name} ({rows})") if panels else None
        if drawing is not None:
            files |= {f"{name}.{kind}": data for kind, data in figure_bytes(drawing).items()}
    return files


def _panel(column: str, found: Measured, titles: Mapping[str, str]) -> str:
    """A panel's title: what was measured and what it was compared with."""
    if column != "pitch_level":
        return titles[column]
    return f"{titles[column]} within {_compared(found.schemes[column].placed.values())}"


def _compared(placed: Iterable[Mapping[str, int]]) -> str:
    kinds = [k for k in ("speaker", "sex", "corpus") if any(counts.get(k) for counts in placed)]
    return " or ".join(kinds) or "nobody"


def _put(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Interrupted(f"Cannot write {path}: {error.strerror}; make room and run it again") from error
