"""From a chat completion's JSON to a `Reply`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import TransientError
from ..records import Reply, Request
from .known_models import KnownModel
from .openai_plan import sendable

_MOST_TOKENS = 10**9


def read_reply(
    payload: Mapping[str, Any],
    request: Request,
    attempt: int,
    price: KnownModel | None,
    redact: Callable[[str], str],
) -> Reply:
    """The reply in a chat completion.

    Args:
        payload: the completion's JSON object.
        request: what was asked.
        attempt: 0, or the number of the repair turn.
        price: the model's prices; None where they are not known.
        redact: takes the API key out of a text.

    Raises:
        TransientError: there is no choice or no message in it, or the server reports a failure there.
    """
    choice = _choice(payload, redact)
    message = choice["message"]
    finish = str(choice.get("finish_reason") or "")
    raw = _text(message.get("content"))
    refusal = _text(message.get("refusal"))
    failed = bool(refusal) or finish == "content_filter"
    sent, received, cached = _tokens(payload.get("usage"))
    return Reply(
        request_key=request.key,
        utterance_id=request.utterance.id,
        attempt=attempt,
        raw=sendable(raw or (refusal if failed else "")),
        model=str(payload.get("model") or request.model),
        means="",
        failure="refused" if failed else "",
        detail=redact(sendable(refusal) or "stopped by the server's content filter") if failed else "",
        finish_reason=finish,
        input_tokens=sent,
        output_tokens=received,
        cost=None if price is None or sent is None else round(price.cost(sent, received or 0, cached), 9),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _choice(payload: Mapping[str, Any], redact: Callable[[str], str]) -> Mapping[str, Any]:
    choices = payload.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise TransientError("the server's answer holds no choice")
    if choice.get("error") or choice.get("finish_reason") == "error":
        raise TransientError(redact(f"the server's choice is an error: {choice.get('error')}"))
    if not isinstance(choice.get("message"), dict):
        raise TransientError("the server's answer holds no message")
    return choice


def _text(content: Any) -> str:
    """The message's text; some servers give it in parts, of which only the text counts."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _tokens(usage: Any) -> tuple[int | None, int | None, int]:
    """Input, output and cached input tokens."""
    if not isinstance(usage, dict):
        return None, None, 0
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), cached or 0


def _count(value: Any) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_TOKENS:
        return None
    return value
