"""The transcripts folder: a Parquet file for each split, and transcripts.json, which says what made them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ...errors import InputError

FOLDER = "transcripts"
INFO = "transcripts.json"
# valid; no answer, or one that was refused; no clip to listen to.
STATUSES = ("valid", "error", "refused", "no_clip")


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a recogniser heard in an utterance's clip.

    Attributes:
        id: the utterance's.
        label: the corpus's own; None where it has none.
        seconds: length of the clip; None where its header does not tell.
        reference: the corpus's words; None where it has none.
        transcript: what was heard, as it came; None where there is no answer.
        status: one of `STATUSES`.
        detail: why there is no transcript, or what is notable of it.
        model: the recogniser's model and version.
    """

    id: str
    split: str
    speaker: str
    label: str | None
    seconds: float | None
    reference: str | None
    transcript: str | None
    status: str
    detail: str
    model: str


def write(out: Path, rows: Mapping[str, Sequence[Transcript]], info: Mapping[str, Any]) -> None:
    """Writes the folder; the same rows give the same bytes. Splits of an earlier run are taken out.

    Args:
        out: the folder.
        rows: by split, in the order of the corpus.
        info: for transcripts.json.

    Raises:
        Interrupted: the disk is full, or the folder cannot be written.
    """
    import pyarrow as pa

    from ...publishing.parquet import commit, stage_bytes, stage_table

    schema = pa.schema(
        [(f.name, pa.float64() if f.name == "seconds" else pa.string()) for f in fields(Transcript)]
    )
    staged = []
    for split, found in rows.items():
        columns = {f.name: [storable(getattr(row, f.name)) for row in found] for f in fields(Transcript)}
        table = pa.table(columns, schema=schema)
        staged.append(stage_table(table, out / FOLDER / f"{split}.parquet"))
    text = json.dumps(info, ensure_ascii=False, indent=2) + "\n"
    staged.append(stage_bytes(text.encode("utf-8", "replace"), out / INFO))
    commit(staged)
    for path in (out / FOLDER).glob("*.parquet"):
        if path.stem not in rows:
            path.unlink()


def read_info(out: Path) -> dict[str, Any]:
    """What transcripts.json says.

    Raises:
        InputError: the folder holds no transcripts.
    """
    path = Path(out) / INFO
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{out} holds no transcripts ({INFO}); make them with `remelt transcribe`") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if not isinstance(info, dict) or not isinstance(info.get("splits"), list):
        raise InputError(f"{path} is damaged: it names no splits")
    return info


def read(out: Path) -> tuple[dict[str, Any], tuple[Transcript, ...]]:
    """What transcripts.json says, and all rows, split by split in the corpus's order.

    Raises:
        InputError: the folder holds no transcripts, or not all that it should.
    """
    from ...publishing.parquet import read_table

    info = read_info(out)
    rows: list[Transcript] = []
    for split in info["splits"]:
        table = read_table(Path(out) / FOLDER / f"{split}.parquet")
        missing = [f.name for f in fields(Transcript) if f.name not in table.column_names]
        if missing:
            raise InputError(f"{out}/{FOLDER}/{split}.parquet lacks the columns {missing!r}")
        wanted = table.select([f.name for f in fields(Transcript)])
        rows.extend(Transcript(**row) for row in wanted.to_pylist())
    return info, tuple(rows)


def storable(value: Any) -> Any:
    """A text as the folder holds it: Parquet stores no unpaired surrogates, which some corpora carry."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
