"""Asks recognisers in tests."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from remelt.annotators.asr import AsrOptions, create
from remelt.errors import InputError
from remelt.records import Message, Reply, Request

from ...builders import utterance
from .tiny_asr import sound

_MISSING = [n for n in ("torch", "transformers") if importlib.util.find_spec(n) is None]
needs_torch = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")


class Broken(InputError):
    """What the reading of audio raises for a clip without sound."""

    flag = "clip_unreadable"


def lengths(seconds: Mapping[int, float]) -> Callable[[Any], Any]:
    """Loads the sound of an utterance by its number; a length below 0 is a broken clip."""

    def load(spoken: Any) -> Any:
        number = int(spoken.utterance_id)
        size = seconds.get(number, 1.0 + 0.3 * number)
        if size < 0:
            raise Broken(f"{number}.wav: no sound can be decoded")
        return sound(number, size)

    return load


@asynccontextmanager
async def listening(
    spec: str, seconds: Mapping[int, float] | None = None, **options: Any
) -> AsyncIterator[Any]:
    """A started recogniser."""
    recogniser = create(spec, AsrOptions(**options), lengths(seconds or {}))
    await recogniser.start()
    try:
        yield recogniser
    finally:
        await recogniser.close()


def question(recogniser: Any, number: int) -> Request:
    return Request(
        utterance=utterance(number),
        annotator=recogniser.name,
        model=recogniser.model,
        endpoint=recogniser.endpoint,
        messages=(Message("user", f'{{"audio":{{"sha256":"{number}"}}}}'),),
        schema={"type": "string"},
        parameters=dict(recogniser.parameters),
    )


async def hear(recogniser: Any, *numbers: int) -> list[Reply]:
    """The replies to several clips that are asked about at once."""
    requests = [question(recogniser, number) for number in numbers]
    return list(await asyncio.gather(*(recogniser.answer(r, r.messages, 0) for r in requests)))


async def texts(recogniser: Any, *numbers: int) -> list[str]:
    return [reply.raw for reply in await hear(recogniser, *numbers)]
