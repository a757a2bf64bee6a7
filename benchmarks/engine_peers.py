"""Two other libraries that annotate with a chat model, timed on the same requests as remelt's engine.

    python benchmarks/engine_peers.py curator|distilabel --url URL --prompts FILE --concurrency N
    python benchmarks/engine_peers.py --compare --remelt-python PY --curator-python PY --distilabel-python PY
        [--rows 2000] [--concurrency 64] [--latency 0 0.2] [--json FILE]

The first form runs in the library's own environment, without remelt, and prints a record as
`engine_ways.py` does (CPU of all its processes, memory of the largest). FILE holds a request body per line.
Every reply is checked; caches lie in a temporary folder, telemetry is off. Imports are not timed, as there.

- `curator`: bespokelabs-curator's `LLM`, `openai` backend: N in flight through its semaphore, its limits per
  minute out of reach, the schema in the request.
- `distilabel`: a `Pipeline` of one `ChatGeneration` with `OpenAILLM`: batches of N rows, which is how it
  limits requests in flight; JSON mode.

The second form runs each way against a mock server of its own, with N rows (`start_seconds`: mostly what any
run costs) and with all; `steady_rows_per_second` is the rate between the two.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from engine import counts, server

HERE = Path(__file__).parent
UNREACHED = 10**9
ELEMENTS = {"emotion", "loudness", "pitch", "rhythm_speed", "emotional_impact"}
PACKAGES = {
    "remelt": ("remelt", "openai", "aiohttp", "jsonschema"),
    "curator": ("bespokelabs-curator", "litellm", "openai", "aiohttp", "datasets", "pydantic"),
    "distilabel": ("distilabel", "openai", "httpx2", "datasets", "pydantic"),
}
EXPORT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from engine_ways import body, requests
for request in requests(int(sys.argv[2]), "http://unused"):
    print(json.dumps(body(request)))
"""
VERSIONS = """
import importlib.metadata as found, json, platform, sys
names = {name for name in sys.argv[1:] if any(found.distributions(name=name))}
print(json.dumps({"python": platform.python_version()} | {n: found.version(n) for n in sorted(names)}))
"""


def apart(folder: str) -> None:
    """Caches and settings in `folder`, nothing sent anywhere; before the library is imported."""
    os.environ |= {
        "HOME": folder, "HF_HOME": f"{folder}/hf", "HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1",
        "OPENAI_API_KEY": "none", "TELEMETRY_ENABLED": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "CURATOR_CACHE_DIR": f"{folder}/curator", "CURATOR_DISABLE_CACHE": "true",
        "CURATOR_DISABLE_RICH_DISPLAY": "1", "DISTILABEL_CACHE_DIR": f"{folder}/distilabel",
        "DISTILABEL_LOG_LEVEL": "WARNING", "TQDM_DISABLE": "1",
    }  # fmt: skip


def check(text: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(text)
    if set(answer) != {"character", "context", "elements"} or set(answer["elements"]) != ELEMENTS:
        raise ValueError("not the answer asked for")
    return answer


def size(prompts: Path) -> int:
    return len(prompts.read_text(encoding="utf-8").splitlines())


def read(prompts: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The messages of each row, and what the requests have in common."""
    bodies = [json.loads(line) for line in prompts.read_text(encoding="utf-8").splitlines()]
    shared = {name: bodies[0][name] for name in ("response_format", "temperature", "max_tokens")}
    return [{"messages": body["messages"]} for body in bodies], shared


def curator(url: str, prompts: Path, concurrency: int) -> Callable[[], int]:
    import litellm

    # The token table that litellm brings along, which curator would download.
    os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(litellm.__file__).parent / "litellm_core_utils/tokenizers")
    from bespokelabs import curator

    class Annotator(curator.LLM):
        def prompt(self, input: dict[str, Any]) -> Any:
            return input["messages"]

        def parse(self, input: dict[str, Any], response: str) -> dict[str, Any]:
            return check(response)

    def annotate() -> int:
        rows, shared = read(prompts)
        # Its own `response_format` first asks the server for an answer of another shape, which a mock
        # server does not have.
        limits = {"max_requests_per_minute": UNREACHED, "max_tokens_per_minute": UNREACHED * 1000}
        settings = {"base_url": url, "max_concurrent_requests": concurrency, **limits}
        llm = Annotator("benchmark", backend="openai", generation_params=shared, backend_params=settings)
        return sum(bool(row["character"]) for row in llm(rows).dataset)

    return annotate


def distilabel(url: str, prompts: Path, concurrency: int) -> Callable[[], int]:
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps.tasks import ChatGeneration

    def annotate() -> int:
        rows, shared = read(prompts)
        settings = {"temperature": shared["temperature"], "max_new_tokens": shared["max_tokens"]}
        settings["response_format"] = {"type": "json_object"}
        with Pipeline("benchmark") as pipeline:
            llm = OpenAILLM(model="benchmark", base_url=url, api_key="none", generation_kwargs=settings)
            ChatGeneration(llm=llm, input_batch_size=concurrency, add_raw_input=False, add_raw_output=False)
        made = pipeline.run(dataset=rows, dataset_batch_size=concurrency, use_cache=False)
        return sum(bool(check(row["generation"])) for row in made["default"]["train"])

    return annotate


PEERS = {"curator": curator, "distilabel": distilabel}


def used() -> tuple[float, float]:
    """CPU seconds of this process and of those it started that have ended; the largest one's peak in MB."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in found), max(one.ru_maxrss for one in found) / 1024


def measure(way: str, url: str, prompts: Path, concurrency: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        apart(folder)
        annotate = PEERS[way](url, prompts, concurrency)
        started, before = time.perf_counter(), used()[0]
        done = annotate()
        seconds, (cpu, peak) = time.perf_counter() - started, used()
    if done != size(prompts):
        sys.exit(f"{way}: {done} of {size(prompts)} rows came back")
    print(json.dumps({"rows": done, "seconds": seconds, "cpu_seconds": cpu - before, "peak_mb": peak}))


def output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def run(way: str, python: str, prompts: Path, concurrency: int, latency: float) -> dict[str, float]:
    """One process against a server of its own; adds how many requests the server answered."""
    with server(latency=latency) as url, tempfile.TemporaryDirectory() as folder:
        common = ["--url", url, "--concurrency", str(concurrency)]
        if way == "remelt":
            common += ["--rows", str(size(prompts)), "--journal", f"{folder}/journal.sqlite"]
            command = [python, str(HERE / "engine_ways.py"), way, *common]
        else:
            command = [python, __file__, way, *common, "--prompts", str(prompts)]
        found: dict[str, float] = json.loads(output(command).splitlines()[-1])
        found["requests"] = counts(url)["answered"]
    return found


def compare(pythons: dict[str, str], rows: int, concurrency: int, latency: float) -> dict[str, Any]:
    table: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        few, all_rows = Path(folder) / "few.jsonl", Path(folder) / "all.jsonl"
        for file, number in ((few, concurrency), (all_rows, rows)):
            exported = output([pythons["remelt"], "-c", EXPORT, str(HERE), str(number)])
            file.write_text(exported, encoding="utf-8")
        for way, python in pythons.items():
            start, full = (run(way, python, file, concurrency, latency) for file in (few, all_rows))
            steady = (rows - concurrency) / (full["seconds"] - start["seconds"])
            table[way] = {
                "seconds": round(full["seconds"], 2),
                "start_seconds": round(start["seconds"], 2),
                "rows_per_second": round(rows / full["seconds"], 1),
                "steady_rows_per_second": round(steady, 1),
                "cpu_ms_per_row": round(1000 * full["cpu_seconds"] / rows, 3),
                "peak_mb": round(full["peak_mb"], 1),
                "requests": full["requests"],
            }
    for entry in table.values():
        for name in ("rows_per_second", "steady_rows_per_second"):
            entry[f"remelt_over_this_{name}"] = round(table["remelt"][name] / entry[name], 2)
    return table


def show(table: dict[str, Any]) -> None:
    names = list(table["remelt"])
    width = max(map(len, names)) + 2
    print(" " * width + "".join(f"{way:>12}" for way in table))
    for name in names:
        print(f"{name:<{width}}" + "".join(f"{entry[name]:>12}" for entry in table.values()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", nargs="?", choices=sorted(PEERS))
    parser.add_argument("--url")
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--compare", action="store_true")
    for way in PACKAGES:
        parser.add_argument(f"--{way}-python")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 0.2])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.way:
        return measure(options.way, options.url, options.prompts, options.concurrency)
    pythons = {way: getattr(options, f"{way}_python") for way in PACKAGES}
    pythons = {way: python for way, python in pythons.items() if python}
    if not options.compare or "remelt" not in pythons or options.rows <= options.concurrency:
        parser.error("give a way, or --compare with --remelt-python and more rows than requests in flight")
    record: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {w: json.loads(output([py, "-c", VERSIONS, *PACKAGES[w]])) for w, py in pythons.items()},
        "load_before": round(os.getloadavg()[0], 2),
        "rows": options.rows,
        "concurrency": options.concurrency,
    }
    for latency in options.latency:
        name = f"server at {1000 * latency:g} ms"
        record[name] = compare(pythons, options.rows, options.concurrency, latency)
        print(f"\n{name}")
        show(record[name])
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
