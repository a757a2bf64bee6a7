"""120,000 requests through the Batch routes of a mock server, with partial failures and a killed run.

    python benchmarks/batch.py

The first run is killed (SIGKILL) when its last batch has just been created; the second goes on. Printed and
written as JSON: seconds and peak memory of both, what the server counted, and whether the rows are those of
the online engine with the same answers.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
FAILURES = {"500": 0.02, "429": 0.02, "missing": 0.01}
REPLIES = {"off_list": 0.02, "invalid_json": 0.02}
BATCHES = {"2": "expired"}
RULES = "Describe how the line is said, by the words alone. " * 24


def requests(rows: int) -> Iterator[Any]:
    from remelt.answers import load_schema
    from remelt.labels import MELT
    from remelt.records import Message, Request, Utterance

    schema, system = load_schema("label", MELT), Message("system", RULES)
    for n in range(rows):
        utterance = Utterance(f"toy/train/dia0_utt{n}", "toy", "train", 0, n, "Ann", f"This is line {n}.")
        messages = (system, Message("user", f"This is line {n} of so many that nobody says it twice."))
        yield Request(utterance, "openai-batch/m", "m", "toy", messages, schema, {"max_tokens": 60})


async def annotated(rows: int, out: Path, url: str) -> dict[str, Any]:
    """One run, through batches, or online where there is no URL; a digest of the rows in any order."""
    from remelt.annotators import AnnotatorOptions, create
    from remelt.answers import Checker, load_schema
    from remelt.engine import EngineOptions, Stats, Stop, annotate, annotate_in_batches
    from remelt.journal import Journal
    from remelt.labels import MELT
    from remelt.protocols import BatchOptions
    from remelt.records import Message

    def conversation(request: Any, history: Any) -> Any:
        if not history:
            return request.messages
        reply, verdict = history[-1]
        problems = Message("user", "; ".join(verdict.problems))
        return (*request.messages, Message("assistant", reply.raw), problems)

    digest, counts = 0, {"valid": 0, "invalid": 0, "refused": 0, "error": 0}
    stats = Stats(rows=rows)
    check = Checker(load_schema("label", MELT), MELT).check
    waits = BatchOptions(poll=2.0, longest_poll=5.0, settle=1.0)
    if url:
        annotator: Any = create("openai-batch/m", AnnotatorOptions(base_url=url, batch=waits))
    else:
        annotator = Deterministic()
    way = annotate_in_batches if url else annotate
    with Journal(out / ".remelt" / "journal.sqlite") as journal:
        options = EngineOptions(concurrency=16, retries=2)
        await annotator.start()
        found = way(requests(rows), annotator, journal, check, conversation, options, stats, Stop())
        async for a in found:
            row = [a.utterance.id, a.verdict.status, a.verdict.label, [r.raw for r in a.replies]]
            digest ^= int(hashlib.sha256(json.dumps(row).encode()).hexdigest(), 16)
            counts[a.verdict.status] += 1
        await annotator.close()
        replies = journal.count()
    return {"digest": f"{digest:064x}", **counts, "replies": replies, "reused": stats.reused}


class Deterministic:
    """Gives online, without a server, the answers that the mock server gives."""

    name, model, endpoint = "openai/m", "m", "toy"

    def __init__(self) -> None:
        self.notices: list[str] = []
        sys.path.insert(0, str(TESTS))
        from server_faults import share
        from servers import completion, prompt_hash

        self._share, self._completion, self._hash = share, completion, prompt_hash

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def answer(self, request: Any, messages: Any, attempt: int) -> Any:
        from remelt.annotators.openai_plan import Plan, named_schema
        from remelt.annotators.openai_reply import read_reply

        body = Plan("json_schema").body("m", request, messages, attempt, named_schema(request.schema))
        number, fault = self._share(0, "reply", *self._hash(body)), ""
        for name, part in REPLIES.items():
            number -= part
            if number < 0:
                fault = name
                break
        return read_reply(self._completion(body, fault), request, attempt, None, str)


def child(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], begun: float) -> dict[str, Any]:
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"a run failed with status {status}")
    measured = {"seconds": round(time.perf_counter() - begun, 1), "peak_mb": round(usage.ru_maxrss / 1024, 1)}
    return {**measured, **json.loads(output)}


def counted(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/counts") as answer:
        return json.loads(answer.read())  # type: ignore[no-any-return]


def measure(rows: int, folder: Path) -> dict[str, Any]:
    """A killed run and the one that goes on with it, and the online engine."""
    command = [sys.executable, str(TESTS / "batch_server.py"), "--seconds", "1"]
    for name, part in {**FAILURES, **REPLIES}.items():
        command += ["--fault", f"{name}={part}"]
    for number, name in BATCHES.items():
        command += ["--batch", f"{number}={name}"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().split()[-1] if server.stdout else ""
        begun, out = time.perf_counter(), str(folder / "batch")
        first = child("--run", out, "--url", url, "--rows", str(rows))
        wanted = -(-rows // 50_000)
        while counted(url)["batches"] < wanted and first.poll() is None:
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        _, _, usage = os.wait4(first.pid, 0)
        killed = {
            "seconds": round(time.perf_counter() - begun, 1),
            "peak_mb": round(usage.ru_maxrss / 1024, 1),
            "server": counted(url),
        }
        resumed = finish(child("--run", out, "--url", url, "--rows", str(rows)), time.perf_counter())
        resumed["server"] = counted(url)
    finally:
        # Like Ctrl-C, so that it removes its files.
        server.send_signal(signal.SIGINT)
        server.wait()
    begun = time.perf_counter()
    online = finish(child("--run", str(folder / "online"), "--rows", str(rows)), begun)
    same = resumed.pop("digest") == online.pop("digest")
    return {"killed_run": killed, "resumed_run": resumed, "online": online, "same_rows_as_online": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=120_000)
    parser.add_argument("--run", type=Path, help="for the child process: the folder")
    parser.add_argument("--url", default="", help="for the child process: the server; none for online")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    if options.run:
        print(json.dumps(asyncio.run(annotated(options.rows, options.run, options.url))))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            str(rows): measure(rows, Path(folder) / str(rows)) for rows in (options.rows // 10, options.rows)
        }
    record = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("remelt", "openai", "aiohttp")},
        "failures": {**FAILURES, **REPLIES, "batches": BATCHES},
        "rows": figures,
    }
    print(json.dumps(record, indent=2))
    options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
