"""One way of asking many requests, in a process of its own; `benchmarks/engine.py` runs it.

    python benchmarks/engine_ways.py WAY --url URL --rows N --concurrency N [--journal FILE]

WAY: `remelt` (every reply committed, parsed and validated), or a bare loop that stores nothing: `openai`
(the default client), `openai-aiohttp` (its aiohttp transport, raw responses), `aiohttp`.
Prints a JSON record: rows, seconds, CPU seconds, peak memory in MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

# Loaded before the clock starts, for all ways alike.
import aiohttp
import openai

from remelt import answers, prompting
from remelt.annotators import AnnotatorOptions, create
from remelt.annotators.openai_plan import named_schema
from remelt.engine import EngineOptions, Stats, Stop, annotate
from remelt.journal import Journal
from remelt.labels import MELT
from remelt.records import Request, Utterance

WORDS = "I was just thinking that we could go there together, you know, if you want to"
PROMPT = prompting.load("melt")
SCHEMA = answers.load_schema("melt", MELT)
SENT_SCHEMA = named_schema(SCHEMA)


def requests(rows: int, url: str) -> Iterator[Request]:
    """MELT's prompt for made-up utterances, one after the other."""
    for n in range(rows):
        utterance = Utterance(
            f"bench/train/dia{n // 10}_utt{n % 10}", "bench", "train", n // 10, n % 10, "Ross",
            f"{WORDS}, number {n}.", season=1 + n % 10, episode=1 + n % 24,
        )  # fmt: skip
        messages, prefill = prompting.render(PROMPT, utterance, MELT)
        yield Request(
            utterance, "openai/benchmark", "benchmark", url, messages, SCHEMA,
            {"temperature": 1.0, "max_tokens": 512, "seed": n}, prefill, PROMPT.sha256,
        )  # fmt: skip


async def remelt(url: str, rows: int, concurrency: int, journal_file: Path) -> int:
    checker = answers.Checker(SCHEMA, MELT)
    annotator = create("openai/benchmark", AnnotatorOptions(base_url=url, concurrency=concurrency))
    options, stats = EngineOptions(concurrency=concurrency), Stats(rows=rows)
    valid = 0
    await annotator.start()
    with Journal(journal_file) as journal:
        async for annotation in annotate(
            requests(rows, url), annotator, journal, checker.check, lambda request, _: request.messages,
            options, stats, Stop(),
        ):  # fmt: skip
            valid += annotation.verdict.status == "valid"
    await annotator.close()
    return valid


async def bare(
    rows: int, url: str, concurrency: int, ask: Callable[[dict[str, Any]], Coroutine[Any, Any, bool]]
) -> int:
    """As many workers as requests in flight; nothing is kept of a reply but that it was one."""
    source, done = requests(rows, url), 0

    async def work() -> None:
        nonlocal done
        for request in source:
            answered = await ask(body(request))
            done += answered

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return done


def body(request: Request) -> dict[str, Any]:
    return {
        "model": "benchmark",
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "response_format": {"type": "json_schema", "json_schema": SENT_SCHEMA},
        **request.parameters,
    }


async def openai_default(url: str, rows: int, concurrency: int, _: Path) -> int:
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:

        async def ask(payload: dict[str, Any]) -> bool:
            completion = await client.chat.completions.create(**payload)
            return bool(completion.choices[0].message.content)

        return await bare(rows, url, concurrency, ask)


async def openai_aiohttp(url: str, rows: int, concurrency: int, _: Path) -> int:
    async with openai.AsyncOpenAI(
        base_url=url, api_key="none", http_client=openai.DefaultAioHttpClient()
    ) as client:

        async def ask(payload: dict[str, Any]) -> bool:
            response = await client.chat.completions.with_raw_response.create(**payload)
            return bool(json.loads(response.content)["choices"][0]["message"]["content"])

        return await bare(rows, url, concurrency, ask)


async def aiohttp_only(url: str, rows: int, concurrency: int, _: Path) -> int:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def ask(payload: dict[str, Any]) -> bool:
            async with session.post(f"{url}/chat/completions", json=payload) as response:
                return bool((await response.json())["choices"][0]["message"]["content"])

        return await bare(rows, url, concurrency, ask)


WAYS = {
    "remelt": remelt,
    "openai": openai_default,
    "openai-aiohttp": openai_aiohttp,
    "aiohttp": aiohttp_only,
}


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=sorted(WAYS))
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--journal", type=Path, default=Path("unused"))
    options = parser.parse_args()
    started, used = time.perf_counter(), cpu()
    done = asyncio.run(WAYS[options.way](options.url, options.rows, options.concurrency, options.journal))
    seconds, used = time.perf_counter() - started, cpu() - used
    if done != options.rows:
        sys.exit(f"{options.way}: {done} of {options.rows} rows came back")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": done, "seconds": seconds, "cpu_seconds": used, "peak_mb": peak}))


if __name__ == "__main__":
    main()
