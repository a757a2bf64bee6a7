"""Dataset folders with a voice, written with pyarrow as docs/dataset-format.md says."""

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

LABELS = ("anger", "joy", "neutral")
TYPES: Mapping[str, pa.DataType] = {
    "id": pa.string(), "speaker": pa.string(), "text": pa.string(), "label": pa.int64(),
    "original_label": pa.int64(), "context": pa.string(), "loudness": pa.string(), "pitch": pa.string(),
    "rhythm_speed": pa.string(), "clip": pa.string(), "sex": pa.string(), "audio_seconds": pa.float64(),
    "voice_flags": pa.list_(pa.string()), "f0_semitone_mean": pa.float64(), "loudness_mean": pa.float64(),
    "pitch_level": pa.string(), "loudness_level": pa.string(), "rate_level": pa.string(),
    "transcript": pa.string(), "transcript_source": pa.string(),
    "audio": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
}  # fmt: skip
PITCH = ("low", "a bit lower", "medium", "not too high", "high", "slightly raised", "wistful", None)


def tone(seconds: float = 0.2, pitch: float = 440.0, kind: str = "FLAC") -> bytes:
    """A file of a tone at 16 kHz."""
    samples = 0.3 * np.sin(2 * np.pi * pitch * np.arange(int(16_000 * seconds)) / 16_000)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format=kind, subtype="PCM_16")
    return buffer.getvalue()


def rows_of(count: int, split: str = "train", **more: Any) -> list[dict[str, Any]]:
    """Rows whose words agree with the sound in about half of the cases."""
    rng = np.random.default_rng(len(split) + count)
    found = []
    for i in range(count):
        found.append({
            "id": f"s/{split}/dia0_utt{i}", "speaker": f"P{i % 3}", "text": f"line {i}",
            "original_label": int(rng.integers(3)), "label": int(rng.integers(3)),
            "pitch": PITCH[int(rng.integers(len(PITCH)))], "loudness": str(rng.choice(["Loud!", "hushed"])),
            "pitch_level": str(rng.choice(["low", "mid", "high"])), "loudness_level": "low",
            "sex": "female" if i % 3 else "male", "audio_seconds": 1.0 + i, "voice_flags": [],
            "f0_semitone_mean": 30.0 + i / 7,
            **more,
        })  # fmt: skip
    return found


def write_voice(
    out: Path,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    without: Sequence[str] = (),
    group_rows: int = 4,
) -> Path:
    """A dataset folder; columns named in `without` are left out."""
    types = {name: kind for name, kind in TYPES.items() if name not in without}
    feature = {"names": list(LABELS), "_type": "ClassLabel"}
    info = {"info": {"features": {"label": feature, "original_label": feature}}}
    for split, found in rows.items():
        columns = {name: pa.array([row.get(name) for row in found], kind) for name, kind in types.items()}
        path = out / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(info)})
        pq.write_table(table, path, row_group_size=group_rows)
    content = {"format": 1, "recipe": "melt", "corpus": {"name": "sample"}, "splits": list(rows)}
    (out / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return out


def write_cuts(out: Path, cuts: Mapping[str, tuple[float | None, float | None]]) -> None:
    """An annotations config that says which part of its clip's file each utterance is."""
    table = pa.table({
        "id": list(cuts), "status": ["valid"] * len(cuts),
        "clip_start": pa.array([a for a, _ in cuts.values()], pa.float64()),
        "clip_end": pa.array([b for _, b in cuts.values()], pa.float64()),
    })  # fmt: skip
    (out / "annotations").mkdir(exist_ok=True)
    pq.write_table(table, out / "annotations" / "train-00000-of-00001.parquet")


def note_corpus(out: Path, corpus: Path) -> None:
    """Notes where the corpus lies, as a build does."""
    (out / ".remelt").mkdir(exist_ok=True)
    (out / ".remelt" / "local.json").write_text(json.dumps({"corpus_folder": str(corpus)}), encoding="utf-8")
