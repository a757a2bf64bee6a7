"""Times the annotation engine beside bare client loops, against a mock server on the same machine.

    python benchmarks/engine.py [--rounds 3] [--json benchmarks/engine.json] [--only NAME ...]

Every figure is a whole process of its own (start-up of the interpreter left out); the ways take turns within
each round. The mock server runs on the same machine and takes some of its processors. Parts:

- `speed`: 2,000 rows, 64 in flight, server at 0 ms: rows/s and CPU per row of each way;
- `large`: 20,000 rows of the same, remelt and the default openai loop;
- `latency`: server at 200 ms, 64 and 256 in flight, 40 seconds at the ideal rate, as share of that rate;
- `resume`: the 20,000 rows again with their journal: seconds and requests;
- `memory`: peak memory at 20,000 and at 200,000 rows;
- `outage`: 30 seconds of 429s without a hint at the start: seconds beyond the outage.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
WAYS = ("remelt", "openai", "openai-aiohttp", "aiohttp")


@contextlib.contextmanager
def server(**options: float) -> Iterator[str]:
    """A mock server of its own; gives its base URL."""
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, str(HERE / "mock_server.py"), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def counts(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/count") as answer:
        found: dict[str, int] = json.load(answer)
    return found


def run(way: str, url: str, rows: int, concurrency: int, journal: Path) -> dict[str, float]:
    """One measured process; adds rows/s and milliseconds of CPU per row."""
    command = [sys.executable, str(HERE / "engine_ways.py"), way, "--url", url, "--rows", str(rows),
               "--concurrency", str(concurrency), "--journal", str(journal)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{way} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    found["rows_per_second"] = found["rows"] / found["seconds"]
    found["cpu_ms_per_row"] = 1000 * found["cpu_seconds"] / found["rows"]
    return found


def side_by_side(
    ways: tuple[str, ...], rows: int, concurrency: int, rounds: int, latency: float = 0.0
) -> dict[str, dict[str, float]]:
    """The median of each figure; the ways take turns."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            with server(latency=latency) as url, tempfile.TemporaryDirectory() as folder:
                found[way].append(run(way, url, rows, concurrency, Path(folder) / "journal.sqlite"))
    names = ("rows_per_second", "cpu_ms_per_row", "peak_mb")
    return {
        way: {name: round(median(r[name] for r in records), 3) for name in names}
        for way, records in found.items()
    }


def against(found: dict[str, Any]) -> dict[str, Any]:
    ratio = found["remelt"]["rows_per_second"] / found["openai"]["rows_per_second"]
    return {**found, "remelt_over_openai": round(ratio, 2)}


def speed(rounds: int) -> dict[str, Any]:
    return against(side_by_side(WAYS, 2000, 64, rounds))


def large(rounds: int) -> dict[str, Any]:
    return against(side_by_side(("remelt", "openai"), 20_000, 64, 1))


def latency(rounds: int) -> dict[str, Any]:
    found = {}
    for concurrency, rows in ((64, 12_800), (256, 51_200)):
        ideal = concurrency / 0.2
        ways = side_by_side(("remelt", "aiohttp"), rows, concurrency, 1, latency=0.2)
        ways |= side_by_side(("openai",), rows // 8, concurrency, 1, latency=0.2)
        for way in ways.values():
            way["share_of_ideal"] = round(way["rows_per_second"] / ideal, 3)
        found[f"{concurrency} in flight, ideal {ideal:g} rows/s"] = ways
    return found


def resume(rounds: int) -> dict[str, Any]:
    with server() as url, tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.sqlite"
        run("remelt", url, 20_000, 64, journal)
        before = counts(url)["answered"]
        seconds = [run("remelt", url, 20_000, 64, journal)["seconds"] for _ in range(rounds)]
        return {"seconds": round(median(seconds), 2), "requests": counts(url)["answered"] - before}


def memory(rounds: int) -> dict[str, Any]:
    found = {}
    for rows in (20_000, 200_000):
        with server() as url, tempfile.TemporaryDirectory() as folder:
            record = run("remelt", url, rows, 64, Path(folder) / "journal.sqlite")
        found[f"{rows} rows"] = {
            "peak_mb": round(record["peak_mb"], 1),
            "rows_per_second": round(record["rows_per_second"], 1),
        }
    small, big = (entry["peak_mb"] for entry in found.values())
    return {**found, "growth": round(big / small - 1, 3)}


def outage(rounds: int) -> dict[str, Any]:
    with server(outage=30) as url, tempfile.TemporaryDirectory() as folder:
        record = run("remelt", url, 2000, 64, Path(folder) / "journal.sqlite")
        refused = counts(url)["refused"]
    return {"rows": 2000, "outage_seconds": 30, "seconds": round(record["seconds"], 1), "refused": refused}


PARTS = {
    "speed": speed,
    "large": large,
    "latency": latency,
    "resume": resume,
    "memory": memory,
    "outage": outage,
}


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=sorted(PARTS))
    options = parser.parse_args()
    record: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("openai", "aiohttp", "jsonschema")},
        "load_before": round(os.getloadavg()[0], 2),
        "rounds": options.rounds,
    }
    for name, part in PARTS.items():
        if name in options.only:
            record[name] = part(options.rounds)
            print(f"{name}: {json.dumps(record[name])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
