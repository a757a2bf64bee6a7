"""Holds each annotator of a panel, and every rule's label, against the corpus's own labels.

    remelt build melt --corpus MELD --splits train --profile melt-release --limit 300 --panel FILE --out OUT
    python benchmarks/vote_quality.py OUT --labels meld_train.csv --json benchmarks/vote_quality.json

Copies OUT, decides it anew by each rule (`remelt add-annotations --vote RULE`; nobody is asked) and reads
what the audit found: accuracy, unweighted average recall (UAR) and Cohen's kappa with 95 % bootstrap
intervals, on the rows that have a label by that rule. With --labels also against another relabelling.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import accuracy_score, cohen_kappa_score, recall_score

from remelt import AddOptions, ResolutionOptions, add_annotations

RULES = ("first", "majority", "plurality", "soft", "dawid_skene")
ROUNDS = 2000
EVERY = "all splits"
DECIDED = "rows with a label"


def shown(score: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of one source as `[value, low, high]`."""
    found = {"rows": score["rows"]}
    for name in ("accuracy", "uar", "kappa"):
        found[name] = [round(score[name][key], 3) for key in ("value", "low", "high")]
    return found


def scored(truth: list[str], labels: list[str]) -> dict[str, Any]:
    """The same against any reference."""
    rng = np.random.default_rng(0)
    true, said = np.array(truth), np.array(labels)
    known = sorted(set(truth))
    measures = {
        "accuracy": accuracy_score,
        "uar": lambda t, s: recall_score(t, s, labels=known, average="macro", zero_division=0),
        "kappa": cohen_kappa_score,
    }
    found: dict[str, Any] = {"rows": len(truth)}
    picks = [rng.integers(0, len(true), len(true)) for _ in range(ROUNDS)]
    for name, measure in measures.items():
        low, high = np.nanpercentile([measure(true[p], said[p]) for p in picks], [2.5, 97.5])
        found[name] = [round(float(v), 3) for v in (measure(true, said), low, high)]
    return found


def relabelled(path: Path, split: str) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {
            f"meld/{split}/dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}": row["llm_label"].strip().lower()
            for row in csv.DictReader(file)
        }


def published(out: Path, split: str) -> list[dict[str, Any]]:
    files = sorted((out / "data").glob(f"{split}-*.parquet"))
    rows: list[dict[str, Any]] = pq.read_table(files, columns=["id", "label", "votes"]).to_pylist()
    return rows


def measure(out: Path, labels: Path | None, split: str) -> dict[str, Any]:
    """What the audit says of a panel by each rule."""
    record: dict[str, Any] = {"rules": {}}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(out, copy)
        for rule in RULES:
            add_annotations(copy, AddOptions(resolution=ResolutionOptions(rule=rule)))
            found = json.loads((copy / "audit" / "findings.json").read_text(encoding="utf-8"))["annotators"]
            manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
            names = manifest["label_set"]["labels"]
            record.setdefault("annotators", {s["name"]: shown(s["scores"][EVERY]) for s in found["sources"]})
            record.setdefault("guessing", found["baseline"][EVERY])
            record.setdefault("agreement", found["agreement"]["coefficients"])
            record["rules"][rule] = {
                **shown(found["resolved"][EVERY]),
                "decided_by": found["decided_by"],
                "unresolved": found["unresolved"],
                "on_the_same_rows": {
                    s["name"]: shown(s["scores"].get(DECIDED, s["scores"][EVERY])) for s in found["sources"]
                },
            }
            if labels is not None:
                reference = relabelled(labels, split)
                rows = [r for r in published(copy, split) if reference.get(r["id"]) in names]
                record["rules"][rule]["against_relabelling"] = scored(
                    [reference[r["id"]] for r in rows], [names[r["label"]] for r in rows]
                )
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", type=Path, help="MELT's labels of the same split")
    parser.add_argument("--split", default="train")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    manifest = json.loads((options.out / "manifest.json").read_text(encoding="utf-8"))
    record = {
        "date": date.today().isoformat(),
        "machine": {
            "python": platform.python_version(),
            "processors": os.cpu_count(),
            "versions": {name: version(name) for name in ("xllamacpp", "transformers", "torch", "crowd-kit")},
        },
        "members": [
            {
                "name": member["name"],
                "model": member["model"],
                "prompt": (member["prompt"] or {}).get("name"),
                "parameters": member["parameters"],
                "replies": member.get("replies"),
            }
            for member in manifest["annotators"]
        ],
        **measure(options.out, options.labels, options.split),
    }
    text = json.dumps(record, indent=2, ensure_ascii=False)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
