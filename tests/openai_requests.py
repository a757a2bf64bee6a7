"""Requests for the chat annotator and the short ways to ask them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from remelt.annotators import AnnotatorOptions
from remelt.annotators.openai_chat import OpenAIChat
from remelt.records import Message, Reply, Request, Utterance
from servers import LABELS, ChatServer

KEY = "sk-verysecret0123456789"
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "melt",
    "x-remelt-version": 1,
    "x-remelt-label": "elements.emotion",
    "x-remelt-echo": "character",
    "type": "object",
    "properties": {
        "character": {"type": "string"},
        "title": {"type": "string"},
        "elements": {
            "type": "object",
            "properties": {"emotion": {"type": "string", "enum": list(LABELS)}},
            "required": ["emotion"],
            "additionalProperties": False,
        },
    },
    "required": ["character", "title", "elements"],
    "additionalProperties": False,
}


def make(number: int = 0, prefill: str = "", **parameters: Any) -> Request:
    utterance = Utterance(
        f"meld/train/dia0_utt{number}", "meld", "train", 0, number, "Ross", f"Line {number}."
    )
    return Request(
        utterance=utterance,
        annotator="openai/m",
        model="m",
        endpoint="test",
        messages=(
            Message("system", "Describe the voice."),
            Message("user", f'"Ross at s1e2 said: Line {number}."'),
        ),
        schema=SCHEMA,
        parameters=parameters,
        prefill=prefill,
    )


def chat(server: ChatServer | str, model: str = "m", **options: Any) -> OpenAIChat:
    url = server if isinstance(server, str) else server.url
    return OpenAIChat(f"openai/{model}", model, AnnotatorOptions(base_url=url, **options))


async def ask(annotator: OpenAIChat, request: Request, attempt: int = 0) -> Reply:
    try:
        return await annotator.answer(request, request.messages, attempt)
    finally:
        await annotator.close()


async def ask_all(annotator: OpenAIChat, count: int, **parameters: Any) -> list[Reply | BaseException]:
    requests = [make(n, **parameters) for n in range(count)]
    try:
        return await asyncio.gather(
            *(annotator.answer(r, r.messages, 0) for r in requests), return_exceptions=True
        )
    finally:
        await annotator.close()


async def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to it"
        await asyncio.sleep(0.01)
