"""Builds a synthetic corpus of a million utterances in parts; prints and writes a JSON record.

    python benchmarks/million.py [--rows 100000 1000000] [--ray 2] [--folder DIR]

The corpus is written by us from a seed: dialogues with speakers, times and labels, texts that repeat
sometimes, and a label file that is replayed. Each build is a process of its own. Told are rows a second of
each stage, the peak memory of all its processes together, its processor seconds (without those of Ray's
workers), how busy the machine was, and whether a build in memory has the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("remelt", "datasets", "pyarrow", "ray")
STAGES = {
    "Reading": "reading",
    "Selecting": "selecting",
    "Annotating": "annotating",
    "Writing": "writing",
    "Auditing": "auditing",
}
LABELS = ("neutral", "neutral", "neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")
SPEAKERS = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gina", "Hugo")
BEGINNINGS = ("I told you", "We never said", "She thinks", "You know", "They asked me", "Nobody believes")
ENDS = (
    "that it was late",
    "it would rain today",
    "he is coming back",
    "this is the last one",
    "we should go",
)
OFTEN = ("I do not know what to say.", "That is not what I meant.", "Well, what do you want to do?", "Oh!")
FOLDERS = ("data", "annotations", "dropped")
TIMED = ("seconds", "created", "cost")
POLL = 0.2
PAGE = os.sysconf("SC_PAGE_SIZE")


def write_corpus(folder: Path, rows: int, seed: int = 0) -> tuple[Path, Path]:
    """A table of so many utterances in train, dev and test, and a label for almost every one of them."""
    drawn = random.Random(seed)
    table, labels = folder / f"corpus-{rows}.csv", folder / f"labels-{rows}.csv"
    with (
        table.open("w", newline="", encoding="utf-8") as one,
        labels.open("w", newline="", encoding="utf-8") as two,
    ):
        lines, answers = csv.writer(one), csv.writer(two)
        lines.writerow(("dialogue_id", "utterance_id", "speaker", "text", "label", "split", "start", "end"))
        answers.writerow(("id", "label"))
        number = dialogue = 0
        while number < rows:
            split = drawn.choices(("train", "dev", "test"), (8, 1, 1))[0]
            present, clock = drawn.sample(SPEAKERS, 3), 0.0
            for place in range(min(drawn.randint(4, 16), rows - number)):
                text = drawn.choice(OFTEN) if drawn.random() < 0.05 else sentence(drawn, number + place)
                long = drawn.uniform(0.5, 6.0)
                old, new = drawn.choice(LABELS), drawn.choice(LABELS)
                times = (f"{clock:.3f}", f"{clock + long:.3f}")
                lines.writerow((dialogue, place, drawn.choice(present), text, old, split, *times))
                if drawn.random() < 0.999:
                    answers.writerow((f"table/{split}/dia{dialogue}_utt{place}", new))
                clock += long + 0.2
            number += place + 1
            dialogue += 1
    return table, labels


def sentence(drawn: random.Random, number: int) -> str:
    return f"{drawn.choice(BEGINNINGS)} {drawn.choice(ENDS)}, and that is line {number}."


class Memory(threading.Thread):
    """The most memory that a process and all that it started had together, in MB, by stage."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._over = pid, threading.Event()
        self.stage = "starting"
        self.peaks: dict[str, int] = {}

    def run(self) -> None:
        while not self._over.wait(POLL):
            now = round(sum(map(resident, tree(self._pid))) / 2**20)
            self.peaks[self.stage] = max(self.peaks.get(self.stage, 0), now)

    def end(self) -> dict[str, int]:
        """The most memory in each stage."""
        self._over.set()
        self.join()
        return self.peaks


def tree(pid: int) -> Iterator[int]:
    """A process and all that came of it."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))
    except OSError:
        return


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def build(table: Path, labels: Path, out: Path, rows: int, *how: str) -> dict[str, Any]:
    """One build in a process of its own: seconds of each stage, rows a second, memory."""
    command = [
        sys.executable, "-m", "remelt", "build", "melt", "--corpus", str(table), "--out", str(out),
        "--annotator", f"replay:{labels}", "--profile", "clean", "--plain", *how,
    ]  # fmt: skip
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    memory = Memory(process.pid)
    memory.start()
    moments: list[tuple[str, float]] = []
    said: list[str] = []
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        stage = STAGES.get(line.split(" ", 1)[0].strip())
        if stage is not None and stage not in dict(moments):
            moments.append((stage, time.perf_counter()))
            memory.stage = stage
    _, status, usage = os.wait4(process.pid, 0)
    peaks = memory.end()
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{''.join(said[-20:])}")
    end = time.perf_counter()
    later = [moment for _, moment in moments[1:]] + [end]
    spans = {stage: after - moment for (stage, moment), after in zip(moments, later, strict=True)}
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return {
        "rows": rows,
        "kept": sum(split["kept"] for split in manifest["counts"].values()),
        "how": " ".join(how) or "in memory",
        "seconds": round(end - begun, 1),
        "rows_per_second": round(rows / (end - begun)),
        "stages": {
            stage: {
                "seconds": round(span, 1),
                "rows_per_second": round(rows / span),
                "peak_mb": peaks.get(stage),
            }
            for stage, span in spans.items()
        },
        "peak_mb": max(*peaks.values(), round(usage.ru_maxrss / 1024)),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "load_average": round(os.getloadavg()[1], 1),
    }


def content(out: Path) -> dict[str, str]:
    """Path -> hash of the rows: of `data` and `dropped` byte by byte, of `annotations` without times."""
    import pyarrow.parquet as pq

    found = {}
    for path in sorted(p for folder in FOLDERS for p in (out / folder).glob("*.parquet")):
        known = hashlib.sha256()
        if path.parent.name == "annotations":
            with pq.ParquetFile(path) as file:
                names = [name for name in file.schema_arrow.names if name not in TIMED]
                for batch in file.iter_batches(batch_size=10_000, columns=names):
                    known.update(repr(batch.to_pylist()).encode("utf-8", "surrogatepass"))
        else:
            known.update(path.read_bytes())
        found[path.relative_to(out).as_posix()] = known.hexdigest()
    return found


def versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--part-rows", type=int, default=20_000)
    parser.add_argument(
        "--ray", type=int, default=0, metavar="WORKERS", help="also with Ray, so many workers"
    )
    parser.add_argument("--no-memory", action="store_true", help="no build in memory of the fewest rows")
    parser.add_argument("--folder", type=Path, help="work here; default: a temporary folder")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--add", action="store_true", help="to the runs that the record has already")
    options = parser.parse_args()
    known = json.loads(options.json.read_text(encoding="utf-8")) if options.add else {}
    runs: list[dict[str, Any]] = known.get("runs", [])
    same: dict[str, bool] = known.get("same_bytes_as_parts", {})
    parts = ("--part-rows", str(options.part_rows))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        work = Path(folder)
        for rows in sorted(options.rows):
            table, labels = write_corpus(work, rows)
            ways = {"parts": parts}
            if rows == min(options.rows) and not options.no_memory:
                ways["memory"] = ()
            if options.ray:
                ways["ray"] = (*parts, "--engine", "ray", "--workers", str(options.ray))
            hashes = {}
            for name, how in ways.items():
                out = work / f"{name}-{rows}"
                runs.append(build(table, labels, out, rows, *how))
                print(json.dumps(runs[-1]), flush=True)
                hashes[name] = content(out)
                if name != "parts":
                    same[f"{name}, {rows} rows"] = hashes[name] == hashes["parts"]
    local = sorted((run for run in runs if run["how"] == " ".join(parts)), key=lambda run: run["rows"])
    record = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": versions(),
        "runs": runs,
        "same_bytes_as_parts": same,
        "peak_mb_last_to_first": round(local[-1]["peak_mb"] / local[0]["peak_mb"], 3),
        "seconds_a_row_last_to_first": round(
            local[-1]["seconds"] / local[-1]["rows"] / (local[0]["seconds"] / local[0]["rows"]), 3
        ),
    }
    print(json.dumps(record, indent=2))
    options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
