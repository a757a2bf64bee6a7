"""Runs of the batch engine against `BatchServer`, and the same requests asked online."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remelt.annotators import AnnotatorOptions
from remelt.annotators.openai_batch import OpenAIBatch
from remelt.answers import Checker, load_schema
from remelt.engine import EngineOptions, Stats, Stop, annotate, annotate_in_batches
from remelt.journal import Journal
from remelt.labels import MELT
from remelt.protocols import Annotator, BatchOptions
from remelt.records import Annotation, Message, Reply, Request, Verdict

from .builders import utterance

SCHEMA = load_schema("label", MELT)
CHECKER = Checker(SCHEMA, MELT)
FAST = {"poll": 0.01, "longest_poll": 0.05, "settle": 0.05}
QUICK = {"wait": 0.005, "longest_wait": 0.02}


def make(number: int, endpoint: str = "test", **parameters: Any) -> Request:
    return Request(
        utterance=utterance(number),
        annotator="openai-batch/m",
        model="m",
        endpoint=endpoint,
        messages=(Message("system", "Label it."), Message("user", f"This is line {number}.")),
        schema=SCHEMA,
        parameters={"max_tokens": 40, **parameters},
    )


def conversation(asked: Request, history: tuple[tuple[Reply, Verdict], ...]) -> tuple[Message, ...]:
    if not history or history[-1][0].failure:
        return asked.messages
    reply, verdict = history[-1]
    why = Message("user", "; ".join(verdict.problems))
    return (*asked.messages, Message("assistant", reply.raw), why)


def batch_annotator(url: str, prices: Path | None = None, **batch: Any) -> OpenAIBatch:
    options = AnnotatorOptions(base_url=url, prices=prices, batch=BatchOptions(**{**FAST, **batch}))
    return OpenAIBatch("openai-batch/m", "m", options)


async def run(
    annotator: OpenAIBatch,
    out: Path,
    rows: int = 10,
    stop: Stop | None = None,
    stats: Stats | None = None,
    **options: Any,
) -> dict[int, Annotation]:
    """One run over the first rows; the journal is closed behind it."""
    found: dict[int, Annotation] = {}
    with Journal(out / ".remelt" / "journal.sqlite") as journal:
        try:
            await annotator.start()
            async for annotation in annotate_in_batches(
                (make(n) for n in range(rows)),
                annotator,
                journal,
                CHECKER.check,
                conversation,
                EngineOptions(**{**QUICK, **options}),
                stats or Stats(rows=rows),
                stop or Stop(),
            ):
                number = int(annotation.utterance.utterance_id)
                assert number not in found
                found[number] = annotation
        finally:
            await annotator.close()
    return found


async def run_online(annotator: Annotator, out: Path, rows: int, **options: Any) -> dict[int, Annotation]:
    found: dict[int, Annotation] = {}
    with Journal(out / ".remelt" / "journal.sqlite") as journal:
        async for annotation in annotate(
            (make(n) for n in range(rows)),
            annotator,
            journal,
            CHECKER.check,
            conversation,
            EngineOptions(**{**QUICK, **options}),
            Stats(rows=rows),
            Stop(),
        ):
            found[int(annotation.utterance.utterance_id)] = annotation
    await annotator.close()
    return found


def outcomes(found: dict[int, Annotation]) -> dict[int, tuple[str, str | None, tuple[str, ...]]]:
    """What counts of each row: status, label, and the raw replies."""
    return {
        n: (a.verdict.status, a.verdict.label, tuple(r.raw for r in a.replies if r.failure != "error"))
        for n, a in found.items()
    }
