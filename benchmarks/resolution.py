"""Times vote and Dawid-Skene over 100,000 utterances with ten annotators of known reliability.

    python benchmarks/resolution.py

Each run is a process of its own. A figure is the median of several, with the smallest and the largest.
`ballots` only makes the records, which is the memory that every rule starts from; `crowdkit_alone` is
crowd-kit's own fit of the same votes, with its own way of ending. `small` is six sets of 300 utterances with
three annotators: where both ways end, and what comes of it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import warnings
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

LABELS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
PRIORS = (0.11, 0.03, 0.03, 0.18, 0.47, 0.07, 0.11)
RULES = ("majority", "plurality", "soft", "dawid_skene")
TASKS = ("ballots", *RULES, "crowdkit_alone")
SMALL = "small"
MISSING = 0.05
SEED = 11


def simulate(items: int, annotators: int, seed: int = SEED) -> tuple[Any, Any, Any]:
    """True labels (items,), what was said (items, annotators; -1 for nothing), the confusion matrices."""
    import numpy as np

    draw = np.random.default_rng(seed)
    truth = draw.choice(len(LABELS), size=items, p=PRIORS)
    matrices = []
    for accuracy in np.linspace(0.3, 0.8, annotators):
        # What is not right goes to neutral more often than elsewhere, as with real annotators.
        errors = draw.dirichlet([3.0 if label == "neutral" else 1.0 for label in LABELS], size=len(LABELS))
        matrices.append(accuracy * np.eye(len(LABELS)) + (1 - accuracy) * errors)
    said = np.stack(
        [(draw.random((items, 1)) < matrix[truth].cumsum(1)).argmax(1) for matrix in matrices], axis=1
    )
    said[draw.random(said.shape) < MISSING] = -1
    return truth, said, np.stack(matrices)


def ballots_of(said: Any) -> list[Any]:
    from remelt.records import Vote
    from remelt.resolution import Ballot

    return [
        Ballot(
            f"toy/train/dia{n}_utt0",
            tuple(Vote(f"annotator{a}", LABELS[k]) for a, k in enumerate(row) if k >= 0),
        )
        for n, row in enumerate(said.tolist())
    ]


def measure(task: str, items: int, annotators: int) -> dict[str, Any]:
    """One task in this process: seconds, peak memory in MB, and how right it was."""
    import numpy as np

    truth, said, matrices = simulate(items, annotators)
    if task == "crowdkit_alone":
        return {**crowdkit_alone(said, truth), **peak()}
    from remelt.resolution import ResolutionOptions, resolve

    begun = clock()
    ballots = ballots_of(said)
    if task == "ballots":
        return {**since(begun), **peak()}
    begun = clock()
    found = resolve(ballots, LABELS, ResolutionOptions(rule=task))
    taken = since(begun)
    labels = np.array([-1 if r.label is None else LABELS.index(r.label) for r in found.resolutions])
    result = {
        **taken,
        **peak(),
        "decided": float((labels >= 0).mean()),
        "accuracy_of_decided": float((labels == truth)[labels >= 0].mean()),
        "accuracy_of_all": float((labels == truth).mean()),
    }
    if told := found.info.get("dawid_skene"):
        estimated = np.array([told["sources"][f"annotator{a}"]["confusion"] for a in range(annotators)])
        real = [float((said[:, a] == truth)[said[:, a] >= 0].mean()) for a in range(annotators)]
        mine = [told["sources"][f"annotator{a}"]["accuracy"] for a in range(annotators)]
        result |= {
            "rounds": told["rounds"],
            "accuracy_error_most": max(abs(a - b) for a, b in zip(real, mine, strict=True)),
            "confusion_error_mean": float(np.abs(estimated - matrices).mean()),
            "confusion_error_most": float(np.abs(estimated - matrices).max()),
            "prior_error_most": float(np.abs(np.array(list(told["priors"].values())) - PRIORS).max()),
        }
    return result


def crowdkit_alone(said: Any, truth: Any) -> dict[str, Any]:
    import numpy as np
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    warnings.simplefilter("ignore")
    task, worker = np.nonzero(said >= 0)
    frame = pd.DataFrame({"task": task, "worker": worker, "label": said[task, worker]})
    begun = clock()
    model = DawidSkene(n_iter=100).fit(frame)
    taken = since(begun)
    labels = model.labels_.reindex(range(len(said))).to_numpy()
    return {
        **taken,
        "rounds": len(model.loss_history_),
        "accuracy_of_all": float((labels == truth).mean()),
    }


def small(items: int = 300, annotators: int = 3, sets: int = 6) -> dict[str, Any]:
    """Rounds, log-likelihood (nats) and accuracy by set: crowd-kit's end, ours, and 200 rounds."""
    import numpy as np

    from remelt.resolution import ResolutionOptions, resolve
    from remelt.resolution import dawid_skene as own

    found: dict[str, Any] = {"items": items, "annotators": annotators, "sets": sets}
    usual = (own._ROUNDS, own._GAIN)
    for seed in range(sets):
        truth, said, _ = simulate(items, annotators, seed)
        alone = crowdkit_alone(said, truth)
        ballots = ballots_of(said)
        vote = resolve(ballots, LABELS, ResolutionOptions(rule="plurality", ties="first"))
        ways = {"plurality_ties_first": vote}
        # The same rounds as crowd-kit's, then until the likelihood says so, then many more.
        for name, rounds, gain in (
            ("crowdkit_end", alone["rounds"], -math.inf), ("ours", *usual), ("two_hundred", 200, -math.inf),
        ):  # fmt: skip
            own._ROUNDS, own._GAIN = rounds, gain
            ways[name] = resolve(ballots, LABELS, ResolutionOptions(rule="dawid_skene", ties="first"))
        own._ROUNDS, own._GAIN = usual
        for name, resolved in ways.items():
            labels = np.array(
                [-1 if r.label is None else LABELS.index(r.label) for r in resolved.resolutions]
            )
            mine = found.setdefault(name, {"accuracy": []})
            mine["accuracy"].append(round(float((labels == truth).mean()), 3))
            if told := resolved.info.get("dawid_skene"):
                mine.setdefault("rounds", []).append(told["rounds"])
                mine.setdefault("log_likelihood", []).append(round(told["log_likelihood"], 2))
    return found


def clock() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def since(begun: tuple[float, float]) -> dict[str, float]:
    """Wall and CPU seconds; the latter tell more where a machine is shared."""
    return {"seconds": time.perf_counter() - begun[0], "cpu_seconds": time.process_time() - begun[1]}


def peak() -> dict[str, float]:
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def together(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds and memory as median, smallest and largest; what is the same every time once."""
    found: dict[str, Any] = {}
    for name in runs[0]:
        values = [run[name] for run in runs]
        if name in ("seconds", "cpu_seconds", "peak_mb"):
            found[name] = {
                "median": round(statistics.median(values), 2),
                "min": round(min(values), 2),
                "max": round(max(values), 2),
            }
        else:
            found[name] = round(values[0], 5)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--annotators", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--machine", default="", help="what else to say of the machine")
    parser.add_argument("--task", choices=(*TASKS, SMALL), help="run one task here and print its figures")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    if options.task:
        wanted = (
            small() if options.task == SMALL else measure(options.task, options.items, options.annotators)
        )
        print(json.dumps(wanted))
        return
    record: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        + (f", {options.machine}" if options.machine else ""),
        "versions": {name: version(name) for name in ("remelt", "crowd-kit", "pandas", "numpy")},
        "runs": options.runs,
        "items": options.items,
        "annotators": options.annotators,
        "missing": MISSING,
    }
    for task in TASKS:
        command = [sys.executable, __file__, "--task", task, "--items", str(options.items)]
        command += ["--annotators", str(options.annotators)]
        outputs = [subprocess.check_output(command, text=True) for _ in range(options.runs)]
        record[task] = together([json.loads(output) for output in outputs])
    record[SMALL] = json.loads(
        subprocess.check_output([sys.executable, __file__, "--task", SMALL], text=True)
    )
    text = json.dumps(record, indent=2)
    print(text)
    options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
