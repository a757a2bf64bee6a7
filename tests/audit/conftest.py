"""Dataset folders to audit, written with pyarrow as the documentation of OUT says."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

LABELS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
FIELDS = ("context", "loudness", "pitch", "rhythm_speed", "emotional_impact")
MakeOut = Callable[..., Path]

_DATA_TYPES: Mapping[str, pa.DataType] = {
    "id": pa.string(), "speaker": pa.string(), "text": pa.string(), "text_repaired": pa.string(),
    "dialogue_id": pa.int64(), "utterance_id": pa.int64(), "season": pa.int32(), "episode": pa.int32(),
    "start": pa.float64(), "end": pa.float64(), "duration": pa.float64(), "label": pa.int64(),
    "original_label": pa.int64(), "changed": pa.bool_(), **{f: pa.string() for f in FIELDS},
    "character_match": pa.bool_(), "flags": pa.list_(pa.string()), "clip": pa.string(),
    "annotator": pa.string(),
}  # fmt: skip
_DROPPED_TYPES: Mapping[str, pa.DataType] = {
    "id": pa.string(), "split": pa.string(), "stage": pa.string(), "reasons": pa.list_(pa.string()),
    "details": pa.list_(pa.string()), "speaker": pa.string(), "text": pa.string(), "start": pa.float64(),
    "end": pa.float64(), "original_label": pa.string(),
}  # fmt: skip
_REPLY_TYPES: Mapping[str, pa.DataType] = {
    "id": pa.string(), "model": pa.string(), "status": pa.string(), "raw": pa.string(),
    "attempt": pa.int32(), "problems": pa.list_(pa.string()), "detail": pa.string(),
    "input_tokens": pa.int64(), "output_tokens": pa.int64(), "cost": pa.float64(),
}  # fmt: skip


def write_config(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    types: Mapping[str, pa.DataType],
    labels: Sequence[str] = (),
) -> None:
    """One Parquet file; with labels also the metadata that `datasets` writes for ClassLabel columns."""
    table = pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in types.items()})
    if labels:
        feature = {"names": list(labels), "_type": "ClassLabel"}
        info = {"info": {"features": {"label": feature, "original_label": feature}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_out(
    out: Path,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    dropped: Sequence[Mapping[str, Any]] = (),
    replies: Sequence[Mapping[str, Any]] = (),
    labels: Sequence[str] = LABELS,
    **manifest: Any,
) -> Path:
    """A dataset folder. Rows are mappings; `label` and `original_label` are names or None."""
    codes = {label: i for i, label in enumerate(labels)}
    for split, found in rows.items():
        coded = []
        for row in found:
            old, new = row.get("original_label"), row.get("label")
            coded.append({
                **row,
                "label": None if new is None else codes[new],
                "original_label": None if old is None else codes[old],
                "changed": None if old is None or new is None else old != new,
            })  # fmt: skip
        name = f"{split}-00000-of-00001.parquet"
        write_config(out / "data" / name, coded, _DATA_TYPES, labels)
        write_config(out / "dropped" / name, [d for d in dropped if d["split"] == split], _DROPPED_TYPES)
        mine = [r for r in replies if f"/{split}/" in r["id"]]
        write_config(out / "annotations" / name, mine, _REPLY_TYPES)
    content = {"format": 1, "recipe": "melt", "corpus": {"name": "sample"}, "splits": list(rows), **manifest}
    (out / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return out


@pytest.fixture
def make_out(tmp_path: Path) -> MakeOut:
    """Writes a dataset folder: `make_out({"train": [row, ...]}, dropped=..., replies=..., corpus=...)`."""

    def make(rows: Mapping[str, Sequence[Mapping[str, Any]]], name: str = "out", **options: Any) -> Path:
        return write_out(tmp_path / name, rows, **options)

    return make


def clock(text: str) -> float:
    """Seconds of MELD's `H:MM:SS,mmm`."""
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def meld_out(out: Path, data: Path) -> Path:
    """MELD train with the published MELT labels, as the replay build makes it."""
    new = {
        re.sub(r"\.wav$", "", row["filename"]): row["llm_label"]
        for row in read_csv(data / "melt" / "meld_train.csv")
    }
    rows, dropped = [], []
    for row in read_csv(data / "meld" / "train_sent_emo.csv"):
        name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
        start, end = clock(row["StartTime"]), clock(row["EndTime"])
        known = {
            "id": f"meld/train/{name}", "speaker": row["Speaker"], "text": row["Utterance"],
            "dialogue_id": int(row["Dialogue_ID"]), "utterance_id": int(row["Utterance_ID"]),
            "season": int(row["Season"]), "episode": int(row["Episode"]), "start": start, "end": end,
            "duration": round(end - start, 3), "original_label": row["Emotion"],
        }  # fmt: skip
        if name in new:
            rows.append({**known, "label": new[name], "flags": [], "annotator": "replay:melt"})
        else:
            reason = {"stage": "selection", "reasons": ["rule"], "details": ["not released"]}
            dropped.append({**known, "split": "train", **reason})
    counts = {"input": len(rows) + len(dropped), "kept": len(rows), "dropped": len(dropped), "quarantined": 0}
    return write_out(
        out,
        {"train": rows},
        dropped=dropped,
        corpus={"name": "meld", "licence": "GPL-3.0"},
        counts={"train": counts},
    )


@pytest.fixture(scope="session")
def meld_folder(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Path:
    """The real MELD train with MELT's published labels, as a dataset folder."""
    if not (test_data / "melt" / "meld_train.csv").is_file():
        pytest.skip("MELT's published train labels are not in the data folder")
    return meld_out(tmp_path_factory.mktemp("meld") / "out", test_data)
