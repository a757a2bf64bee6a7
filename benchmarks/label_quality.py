"""Compares a dataset's labels with the corpus's own and with another relabelling of the same utterances.

    python benchmarks/label_quality.py OUT --labels meld_train.csv

Prints accuracy, unweighted average recall (UAR) and Cohen's kappa with bootstrap intervals, beside the
majority class, and writes a JSON record. Needs scikit-learn (`pip install remelt[dev]`).
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score

ROUNDS = 2000


def published(path: Path, split: str) -> dict[str, str]:
    """The labels of MELT's release by utterance id."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            f"meld/{split}/dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}": row["llm_label"].strip().lower()
            for row in csv.DictReader(file)
        }


def scores(truth: np.ndarray, label: np.ndarray) -> dict[str, list[float]]:
    """Each score with its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    measures = {"accuracy": accuracy_score, "uar": balanced_accuracy_score, "kappa": cohen_kappa_score}
    found = {}
    for name, measure in measures.items():
        resampled = []
        for _ in range(ROUNDS):
            pick = rng.integers(0, len(truth), len(truth))
            resampled.append(measure(truth[pick], label[pick]))
        low, high = np.nanpercentile(resampled, [2.5, 97.5])
        found[name] = [round(float(v), 3) for v in (measure(truth, label), low, high)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", type=Path, help="MELT's labels of the same split")
    parser.add_argument("--split", default="train")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    manifest = json.loads((options.out / "manifest.json").read_text(encoding="utf-8"))
    names = manifest["label_set"]["labels"]
    rows = pq.read_table(
        sorted((options.out / "data").glob(f"{options.split}-*.parquet")),
        columns=["id", "label", "original_label"],
    ).to_pylist()
    record: dict[str, object] = {
        "date": date.today().isoformat(),
        "annotator": manifest["annotator"]["name"],
        "prompt": (manifest["prompt"] or {}).get("name"),
        "counts": manifest["counts"][options.split],
        "replies": manifest["replies"],
        "labels_given": dict(Counter(names[r["label"]] for r in rows).most_common()),
    }
    references = {"corpus": {r["id"]: names[r["original_label"]] for r in rows}}
    if options.labels:
        references["published"] = published(options.labels, options.split)
    for name, reference in references.items():
        shared = [r for r in rows if reference.get(r["id"]) in names]
        truth = np.array([names.index(reference[r["id"]]) for r in shared])
        label = np.array([r["label"] for r in shared])
        majority = Counter(truth.tolist()).most_common(1)[0][1] / len(truth)
        record[f"against_{name}"] = {
            "rows": len(shared),
            "majority": round(majority, 3),
            **scores(truth, label),
        }
    print(json.dumps(record, indent=2))
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
