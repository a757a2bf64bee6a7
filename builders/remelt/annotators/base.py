"""The options that annotators share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError, bad_value
from ..protocols import BatchOptions

AnswerFormat = Literal[
    "auto", "json_schema", "json_object", "grammar", "prefill", "prompt", "scoring", "scoring-plain"
]
ANSWER_FORMATS: tuple[AnswerFormat, ...] = (
    "auto",
    "json_schema",
    "json_object",
    "grammar",
    "prefill",
    "prompt",
    "scoring",
    "scoring-plain",
)
# What an annotator takes whose module names no `FORMATS` of its own.
USUAL_FORMATS = ANSWER_FORMATS[:6]


def in_words(schema: Mapping[str, Any]) -> bool:
    """Whether an answer is given in words; then its schema says what an object instead of them looks like.

    >>> in_words({"x-remelt-answer": "words"}), in_words({"type": "object"})
    (True, False)
    """
    return schema.get("x-remelt-answer") == "words"


@dataclass(frozen=True, slots=True)
class AnnotatorOptions:
    """How to reach and use an annotator; what shapes an answer (temperature, ...) is in each request.

    Attributes:
        base_url: the server's address, such as `http://localhost:8000/v1`; None for OpenAI's own (openai).
        timeout: seconds to wait for one whole reply before it is asked again (openai); a local model
            has an hour at least.
        answer_format: how the JSON structure is asked for: by `response_format` (json_schema, json_object),
            by the server's grammar fields (grammar), by giving the answer's first characters (prefill), by
            the prompt alone (prompt), or auto: json_schema, then json_object, then prompt, as far as the
            server takes them (openai, local), or grammar (hf); the prompt alone for an answer in words.
            With scoring and scoring-plain nothing is written: the labels' probabilities are compared, with
            or without calibration (hf).
        concurrency: requests in flight at most; the connection pool is made to fit (openai, local).
        seed: seed of the mock annotator where its specification names none (mock).
        threads: processor threads of a model in this process (local, hf).
        slots: requests a model in this process works on at once; None to choose (local, hf).
        context: tokens of context for each slot of the embedded model (local).
        splits: the splits that are built; a label file that names no split needs exactly one (replay).
        more_urls: addresses of further servers that serve the same model; used in turn with the first,
            which alone stands in request keys (openai).
        logprobs: ask for the log-probabilities of the label (openai, local, hf).
        prices: file with prices and context sizes that go before the known ones (openai, openai-batch).
        device: `cpu`, `cuda`, or None to choose (hf).
        batch: limits and waits of batches (openai-batch).
        column: the column that holds the label in a label file; None to find it (replay).
        workspace: a folder for files that are worth keeping for the next time, such as the index of a large
            file of replies; None for temporary ones (replay).
    """

    base_url: str | None = None
    timeout: float = 120.0
    answer_format: AnswerFormat = "auto"
    concurrency: int = 16
    seed: int = 0
    threads: int = 1
    slots: int | None = None
    context: int = 2048
    splits: tuple[str, ...] = ()
    more_urls: tuple[str, ...] = ()
    logprobs: bool = False
    prices: Path | None = None
    device: str | None = None
    batch: BatchOptions = field(default_factory=BatchOptions)
    column: str | None = None
    workspace: Path | None = None

    def __post_init__(self) -> None:
        if self.answer_format not in ANSWER_FORMATS:
            raise InputError(bad_value("answer format", self.answer_format, ANSWER_FORMATS))
        if not 0 < self.timeout < float("inf"):
            raise InputError(f"Bad timeout {self.timeout!r}, expected a number of seconds above 0")
        for name in ("concurrency", "threads", "context"):
            if getattr(self, name) < 1:
                raise InputError(f"Bad {name} {getattr(self, name)!r}, expected a whole number from 1")
        if self.slots is not None and self.slots < 1:
            raise InputError(f"Bad slots {self.slots!r}, expected a whole number from 1")
