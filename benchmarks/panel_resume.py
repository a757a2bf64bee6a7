"""Three annotators, one of which fails half-way; a killed panel; one that is not there at all.

    python benchmarks/panel_resume.py --meld DIR [--rows 300]

Each is a build of real rows by the command line against three servers on this machine that answer at random
(the labels mean nothing; who is asked what does). Prints and writes as JSON, for every command: its exit
code, its seconds, how many requests reached each server, and how often a question that had an answer came
again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tests.panels import FailingServer, answered, journaled, stored, write_panel  # noqa: E402

LATENCY = 0.05


class Trial:
    """One OUT, its three servers, and the commands given."""

    def __init__(self, folder: Path, meld: str, rows: int, servers: dict[str, FailingServer]) -> None:
        self.out, self.servers, self.commands = folder / "out", servers, []
        panel = write_panel(folder / "panel.yaml", **servers)
        self.command = [
            sys.executable, "-m", "remelt", "build", "melt", "--corpus", meld, "--out", str(self.out),
            "--splits", "train", "--limit", str(rows), "--panel", str(panel), "--quiet", "--retries", "1",
        ]  # fmt: skip

    def run(self, *more: str, kill_after: int = 0) -> None:
        """Gives the command once more; with `kill_after` it is killed after so many requests."""
        before = {name: len(server.asked) for name, server in self.servers.items()}
        known = stored(self.out) if (self.out / ".remelt").is_dir() else set()
        begun = time.perf_counter()
        environment = {**os.environ, "OPENAI_API_KEY": "not-a-key"}
        process = subprocess.Popen([*self.command, *more], env=environment, stderr=subprocess.PIPE, text=True)
        while kill_after and sum(len(s.asked) for s in self.servers.values()) < kill_after:
            time.sleep(0.01)
        if kill_after:
            process.kill()
        said = process.communicate()[1].strip().splitlines()
        new = {name: server.asked[before[name] :] for name, server in self.servers.items()}
        self.commands.append(
            {
                "options": list(more),
                "exit": process.returncode,
                "seconds": round(time.perf_counter() - begun, 2),
                "requests": {name: len(asked) for name, asked in new.items()},
                "answers": {name: sum(a["status"] == 200 for a in asked) for name, asked in new.items()},
                "stored_and_asked_again": sum(
                    (name, a["hash"], a["turn"]) in known for name, asked in new.items() for a in asked
                ),
                "in_the_journal": dict(sorted(journaled(self.out).items())),
                "said": said[-1] if said and process.returncode > 0 else "",
            }
        )

    def record(self) -> dict[str, Any]:
        manifest = json.loads((self.out / "manifest.json").read_text(encoding="utf-8"))
        verified = subprocess.run(
            [sys.executable, "-m", "remelt", "verify", str(self.out)], capture_output=True, check=False
        )
        return {
            "commands": self.commands,
            "answers_a_question": max(max(answered(s).values(), default=0) for s in self.servers.values()),
            "counts": manifest["counts"]["train"],
            "verify": verified.returncode,
        }


def fails_half_way(folder: Path, meld: str, rows: int, status: int) -> dict[str, Any]:
    servers = [
        FailingServer(good, status, seed=n, latency=LATENCY)
        for n, good in enumerate((10**9, 10**9, rows // 2))
    ]
    with servers[0] as a, servers[1] as b, servers[2] as c:
        trial = Trial(folder, meld, rows, {"a": a, "b": b, "c": c})
        trial.run()
        c.healed = True
        trial.run()
        return trial.record()


def killed(folder: Path, meld: str, rows: int) -> dict[str, Any]:
    servers = [FailingServer(10**9, seed=n, latency=LATENCY) for n in range(3)]
    with servers[0] as a, servers[1] as b, servers[2] as c:
        trial = Trial(folder, meld, rows, {"a": a, "b": b, "c": c})
        trial.run(kill_after=rows)
        trial.run(kill_after=2 * rows)
        trial.run()
        return trial.record()


def missing(folder: Path, meld: str, rows: int) -> dict[str, Any]:
    servers = [FailingServer(10**9, seed=n, latency=LATENCY) for n in range(3)]
    with servers[0] as a, servers[1] as b:
        with servers[2] as c:
            port = int(c.url.rsplit(":", 1)[1].split("/")[0])
        trial = Trial(folder, meld, rows, {"a": a, "b": b, "c": c})
        trial.run()
        trial.run("--allow-missing")
        with FailingServer(10**9, seed=2, latency=LATENCY, port=port) as back:
            trial.servers["c"] = back
            trial.run()
            return trial.record()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meld", required=True, help="folder with MELD's CSV files")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    trials: dict[str, Any] = {}
    for name, trial in (
        ("half_way_401", lambda f: fails_half_way(f, options.meld, options.rows, 401)),
        ("half_way_500", lambda f: fails_half_way(f, options.meld, options.rows, 500)),
        ("killed_twice", lambda f: killed(f, options.meld, options.rows)),
        ("connection_refused", lambda f: missing(f, options.meld, options.rows)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            trials[name] = trial(Path(folder))
    record = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {"remelt": version("remelt"), "openai": version("openai")},
        "runs": 1,
        "rows": options.rows,
        "latency": LATENCY,
        "trials": trials,
    }
    text = json.dumps(record, indent=2)
    print(text)
    options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
