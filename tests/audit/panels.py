"""Dataset folders with the votes of several annotators, written with pyarrow as the documentation says."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .conftest import LABELS, write_out

VOTES = pa.list_(
    pa.struct(
        [pa.field("source", pa.string()), pa.field("kind", pa.string()), pa.field("label", pa.string())]
    )
)
Said = Mapping[str, str | None]


def decision(said: Said) -> tuple[str | None, float, float]:
    """The strict majority's label, the leading share and the entropy in bits of some votes."""
    counts = Counter(label for label in said.values() if label is not None)
    total = sum(counts.values())
    if not total:
        return None, 0.0, 0.0
    label, most = counts.most_common(1)[0]
    entropy = -sum(n / total * math.log2(n / total) for n in counts.values())
    return (label if 2 * most > total else None), most / total, entropy


def write_panel(
    out: Path,
    rows: Mapping[str, Sequence[tuple[str | None, Said]]],
    kinds: Mapping[str, str],
    ratings: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> Path:
    """A dataset decided by strict majority.

    Args:
        out: where.
        rows: split -> original label and what each source said.
        kinds: source -> kind.
        ratings: id -> rater and label of the corpus's own raters.
    """
    kept: dict[str, list[dict[str, Any]]] = {}
    dropped: list[dict[str, Any]] = []
    replies: list[dict[str, Any]] = []
    for split, found in rows.items():
        kept[split] = []
        for i, (original, said) in enumerate(found):
            name = f"s/{split}/dia0_utt{i}"
            label, share, entropy = decision(said)
            row = {"id": name, "original_label": original, "text": f"words {i}", "speaker": f"sp{i % 3}"}
            if label is None:
                reason = {"stage": "resolution", "reasons": ["no_majority"], "details": ["too few"]}
                dropped.append({**row, "split": split, **reason})
            else:
                kept[split].append({**row, "label": label, "votes": said, "share": share, "entropy": entropy})
            replies += [
                {"id": name, "annotator": a, "status": "valid" if vote else "invalid", "label": vote,
                 "attempt": 0, "raw": vote or "?"}
                for a, vote in said.items()
            ]  # fmt: skip
    members = [{"name": name, "kind": kind} for name, kind in kinds.items()]
    counts = {
        split: {"input": len(found), "kept": len(kept[split]), "dropped": 0, "quarantined": 0,
                "unresolved": len(found) - len(kept[split])}
        for split, found in rows.items()
    }  # fmt: skip
    write_out(out, kept, dropped=dropped, annotators=members, counts=counts, replies=[])
    for split, found in kept.items():
        _add_votes(out / "data" / f"{split}-00000-of-00001.parquet", found, kinds, ratings or {})
        path = out / "annotations" / f"{split}-00000-of-00001.parquet"
        own = [reply for reply in replies if f"/{split}/" in reply["id"]]
        pq.write_table(pa.Table.from_pylist(own), path)
    return out


def _add_votes(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    kinds: Mapping[str, str],
    ratings: Mapping[str, Sequence[tuple[str, str]]],
) -> None:
    table = pq.read_table(path)
    votes = [
        [{"source": s, "kind": kinds[s], "label": label} for s, label in row["votes"].items()] for row in rows
    ]
    columns = {
        "votes": pa.array(votes, VOTES),
        "vote_share": pa.array([row["share"] for row in rows], pa.float64()),
        "vote_entropy": pa.array([row["entropy"] for row in rows], pa.float64()),
        "decided_by": pa.array(["majority"] * len(rows), pa.string()),
    }
    if ratings:
        texts = [
            json.dumps([{"rater": r, "labels": [label]} for r, label in ratings[row["id"]]])
            if row["id"] in ratings
            else None
            for row in rows
        ]
        columns["ratings"] = pa.array(texts, pa.string())
    for name, column in columns.items():
        table = table.append_column(name, column)
    pq.write_table(table, path)


def noisy_panel(
    count: int, sharpness: Mapping[str, float], seed: int = 0
) -> tuple[list[tuple[str | None, Said]], dict[str, str]]:
    """Rows whose sources say the original label so often, else any; the first source leaves some out."""
    rng = random.Random(seed)
    rows: list[tuple[str | None, Said]] = []
    first = next(iter(sharpness))
    for i in range(count):
        original = rng.choice(LABELS[:5])
        said: dict[str, str | None] = {
            name: original if rng.random() < sharp else rng.choice(LABELS)
            for name, sharp in sharpness.items()
        }
        if i % 17 == 3:
            said[first] = None
        rows.append((original if i % 29 else None, said))
    return rows, {name: "human" if name == "ann" else "model" for name in sharpness}
