"""From a chat completion's JSON to a `Reply`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import TransientError
from ..records import Reply, Request
from . import soft_labels
from .known_models import KnownModel
from .openai_plan import sendable

# Where servers put what a model thought: vLLM, SGLang and DeepSeek; OpenRouter and newer vLLM.
_THOUGHTS = ("reasoning_content", "reasoning")
_MOST_TOKENS = 10**9


def read_reply(
    payload: Mapping[str, Any],
    request: Request,
    attempt: int,
    price: KnownModel | None,
    redact: Callable[[str], str],
) -> Reply:
    """The reply in a chat completion.

    What a model thought is counted, and is part of the reply's text only where the server leaves it there.

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
    usage = _usage(payload.get("usage"))
    reasoning = usage.reasoning
    if reasoning is None and not raw.strip() and finish == "length" and _thought(message):
        reasoning = usage.output
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
        input_tokens=usage.input,
        output_tokens=usage.output,
        cached_tokens=usage.cached,
        reasoning_tokens=reasoning,
        cost=_cost(usage, price),
        label_logprobs="" if failed else _label_logprobs(choice, raw, request),
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


def _thought(message: Mapping[str, Any]) -> str:
    """What the model thought, where the server gives it beside the answer."""
    return next((text for name in _THOUGHTS if (text := _text(message.get(name)))), "")


def _label_logprobs(choice: Mapping[str, Any], raw: str, request: Request) -> str:
    return soft_labels.from_logprobs(choice.get("logprobs"), raw, request.schema, request.prefill)


@dataclass(frozen=True, slots=True)
class _Usage:
    """Tokens of one completion; those of its reasoning are among the output's. None: not told."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None


def _usage(usage: Any) -> _Usage:
    if not isinstance(usage, dict):
        return _Usage()
    sent, received, total = (
        _count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    if received is not None and reasoning and _left_out(sent or 0, received, reasoning, total):
        received += reasoning
    if cached is not None and sent is not None:
        cached = min(cached, sent)
    return _Usage(sent, received, cached, reasoning)


def _left_out(sent: int, received: int, reasoning: int, total: int | None) -> bool:
    """Whether the tokens of the reasoning come on top of the completion's, as some servers count."""
    return reasoning > received or total == sent + received + reasoning


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int | None:
    details = usage.get(group)
    return _count(details.get(name)) if isinstance(details, dict) else None


def _cost(usage: _Usage, price: KnownModel | None) -> float | None:
    if price is None or usage.input is None:
        return None
    return round(price.cost(usage.input, usage.output or 0, usage.cached or 0), 9)


def _count(value: Any) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_TOKENS:
        return None
    return value
