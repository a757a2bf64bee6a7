"""Dataset folders to review, written with pyarrow as docs/dataset-format.md says."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

LABELS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
_VOTE = pa.struct([("source", pa.string()), ("kind", pa.string()), ("label", pa.string())])
_TYPES: Mapping[str, pa.DataType] = {
    "id": pa.string(), "speaker": pa.string(), "text": pa.string(), "text_repaired": pa.string(),
    "dialogue_id": pa.int64(), "utterance_id": pa.int64(), "label": pa.int64(), "original_label": pa.int64(),
    "clip": pa.string(), "soft_label": pa.list_(pa.float64()), "votes": pa.list_(_VOTE),
    "vote_entropy": pa.float64(), "audio": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
}  # fmt: skip
_DROPPED = (
    "id", "split", "speaker", "text", "dialogue_id", "utterance_id", "stage", "original_label", "clip",
)  # fmt: skip


def tone(pitch: float = 440.0, seconds: float = 0.2) -> bytes:
    """A FLAC file of a tone at 16 kHz."""
    samples = 0.3 * np.sin(2 * np.pi * pitch * np.arange(int(16_000 * seconds)) / 16_000)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def row(number: int, before: str = "neutral", after: str = "joy", **more: Any) -> dict[str, Any]:
    """A row of a dialogue with ten utterances."""
    dialogue, place = divmod(number, 10)
    return {
        "id": f"s/train/dia{dialogue}_utt{place}",
        "speaker": ("Ann", "Bo")[number % 2],
        "text": f"This is line {number}.",
        "dialogue_id": dialogue,
        "utterance_id": place,
        "original_label": before,
        "label": after,
        **more,
    }


def votes(**labels: str | None) -> list[dict[str, Any]]:
    """The votes on one row."""
    return [{"source": source, "kind": "model", "label": label} for source, label in labels.items()]


def write_dataset(
    out: Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    dropped: Sequence[Mapping[str, Any]] = (),
    split: str = "train",
) -> Path:
    """A dataset folder with one split; columns that no row has are left out."""
    present = [name for name in _TYPES if any(name in found for found in rows)]
    codes = {None: None, **{label: place for place, label in enumerate(LABELS)}}
    coded = [{**r, **{n: codes[r[n]] for n in ("label", "original_label") if n in r}} for r in rows]
    table = pa.table({n: pa.array([r.get(n) for r in coded], _TYPES[n]) for n in present})
    feature = {"names": list(LABELS), "_type": "ClassLabel"}
    info = {"info": {"features": {"label": feature, "original_label": feature}}}
    _write(out / "data", split, table.replace_schema_metadata({"huggingface": json.dumps(info)}))
    if dropped:
        kinds = {**_TYPES, **dict.fromkeys(("split", "stage", "original_label"), pa.string())}
        columns = {n: pa.array([d.get(n) for d in dropped], kinds[n]) for n in _DROPPED}
        _write(out / "dropped", split, pa.table(columns))
    manifest = {"format": 1, "recipe": "melt", "corpus": {"name": "sample"}, "splits": [split]}
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return out


def _write(folder: Path, split: str, table: pa.Table) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / f"{split}-00000-of-00001.parquet", row_group_size=8)
