"""Times the replay build of MELD train and the reading of all of MELD; prints and writes a JSON record.

    python benchmarks/replay_build.py --meld DIR --labels meld_train.csv

Each figure is the median of several whole processes, with their smallest and largest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

READ = """
import time; begun = time.perf_counter()
from remelt import corpora
from remelt.selection import load_profile, select
corpus = corpora.load({meld!r})
selection = select(corpus.utterances, load_profile("melt-release"))
print(len(corpus.utterances), len(selection.kept), time.perf_counter() - begun)
"""


def run(command: list[str]) -> tuple[float, float, str]:
    """Wall seconds, peak memory in MB, standard output."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed with status {status}")
    return time.perf_counter() - begun, usage.ru_maxrss / 1024, output


def figures(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meld", required=True, help="folder with MELD's CSV files")
    parser.add_argument("--labels", required=True, help="MELT's train labels")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    reads, builds, memory = [], [], []
    rows = ""
    for _ in range(options.runs):
        _, _, output = run([sys.executable, "-c", READ.format(meld=options.meld)])
        rows = " of ".join(reversed(output.split()[:2])) + " utterances selected"
        reads.append(float(output.split()[2]))
        with tempfile.TemporaryDirectory() as folder:
            command = [
                "build",
                "melt",
                "--corpus",
                options.meld,
                "--out",
                f"{folder}/out",
                "--splits",
                "train",
            ]
            command += ["--profile", "melt-release", "--annotator", f"replay:{options.labels}", "--quiet"]
            seconds, peak, _ = run([sys.executable, "-m", "remelt", *command])
            builds.append(seconds)
            memory.append(peak)
    record = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("remelt", "datasets", "pyarrow", "matplotlib")},
        "runs": options.runs,
        "rows": rows,
        "read_check_select_seconds": figures(reads),
        "replay_build_seconds": figures(builds),
        "replay_build_peak_mb": figures(memory),
    }
    print(json.dumps(record, indent=2))
    options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
