"""How the test server misbehaves: its faults, refusals and rate limits."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from aiohttp import web

HTML = "<html><head><title>Welcome</title></head><body>nginx</body></html>"

CONNECTION_FAULTS = ("drop", "drop_half", "hang", "trickle", "garbage")
STATUS_FAULTS = (
    "400", "403_moderation", "408", "409", "413", "422", "429", "429_retry_after", "429_date", "429_ms",
    "429_quota", "429_too_large", "500", "503", "504", "html200", "html502", "half_json", "empty_choices",
    "error200", "no_message", "list_json",
)  # fmt: skip
REPLY_FAULTS = (
    "refusal", "length", "content_filter", "wrong_character", "off_list", "invalid_json", "missing_field",
    "fences", "text_around", "null_content", "surrogate", "no_usage", "parts",
)  # fmt: skip
FAULTS = CONNECTION_FAULTS + STATUS_FAULTS + REPLY_FAULTS
REJECTS = (
    "json_schema", "json_object", "unnamed_json_schema", "temperature", "max_tokens", "seed", "range",
    "vllm_seed", "prefill",
)  # fmt: skip


def status_answer(fault: str, seconds: float) -> web.Response:
    """The answer of a status fault; seconds is what its Retry-After says."""
    if fault == "429_retry_after":
        return error(429, "Slow down.", headers={"Retry-After": f"{seconds:g}"})
    if fault == "429_date":
        return error(
            429, "Slow down.", headers={"Retry-After": formatdate(time.time() + seconds, usegmt=True)}
        )
    if fault == "429_ms":
        headers = {"retry-after-ms": f"{1000 * seconds:g}", "Retry-After": "99"}
        return error(429, "Slow down.", headers=headers)
    if fault == "429_quota":
        return error(429, "You exceeded your current quota.", code="insufficient_quota")
    if fault == "429_too_large":
        return error(429, "Request too large for gpt on tokens per min (TPM).", code="rate_limit_exceeded")
    if fault == "403_moderation":
        return error(403, "Your input was flagged by moderation.")
    if fault == "html200":
        return web.Response(text=HTML, content_type="text/html")
    if fault == "html502":
        return web.Response(text=HTML, content_type="text/html", status=502)
    if fault == "half_json":
        return web.Response(text='{"id": "x", "choices": [{"mess', content_type="application/json")
    if fault == "empty_choices":
        return web.json_response({"id": "x", "object": "chat.completion", "choices": []})
    if fault == "no_message":
        return web.json_response({"id": "x", "choices": [{"index": 0, "finish_reason": "stop"}]})
    if fault == "list_json":
        return web.json_response([1, 2, 3])
    if fault == "error200":
        return web.json_response({"error": {"message": "Provider is overloaded", "code": 502}})
    if fault == "400":
        return error(
            400, "This model's maximum context length is 512 tokens.", code="context_length_exceeded"
        )
    return error(int(fault), f"The server says {fault}.")


def reject(name: str, body: Mapping[str, Any]) -> web.Response | None:
    """The 400 for a request field that the server does not take; None where there is no such field."""
    kind = (body.get("response_format") or {}).get("type")
    if name == "unnamed_json_schema" and kind == "json_schema":
        return error(400, "Bad request.")
    if name == kind:
        return error(400, f"'response_format.type' must not be '{kind}'.", param="response_format")
    if name == "temperature" and body.get("temperature") not in (None, 1, 1.0):
        message = "Unsupported value: 'temperature' does not support this value with this model."
        return error(400, message, param="temperature", code="unsupported_value")
    if name == "range" and body.get("temperature", 0) > 2:
        message = "Invalid 'temperature': decimal above maximum value. Expected a value <= 2."
        return error(400, message, param="temperature", code="decimal_above_max_value")
    if name == "max_tokens" and "max_tokens" in body:
        message = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
        return error(400, message, param="max_tokens", code="unsupported_parameter")
    if name == "seed" and "seed" in body:
        return error(400, "Unrecognized request argument supplied: seed")
    if name == "vllm_seed" and "seed" in body:
        detail = [
            {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
        ]
        return web.json_response({"detail": detail}, status=422)
    if name == "prefill" and "continue_final_message" in body:
        return error(
            400, "Unrecognized request arguments supplied: add_generation_prompt, continue_final_message"
        )
    return None


def error(
    status: int,
    message: str,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
    return web.json_response(body, status=status, headers=headers)


def share(*parts: object) -> float:
    """A number from 0 to 1 that depends on the parts alone."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:12], 16) / 16**12


@dataclass
class Bucket:
    """What may be spent: it fills at a steady rate and holds no more than its size."""

    size: float
    per_second: float
    clock: Callable[[], float] = time.monotonic
    held: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.held, self.at = self.size, self.clock()

    def fill(self) -> float:
        now = self.clock()
        self.held = min(self.size, self.held + (now - self.at) * self.per_second)
        self.at = now
        return self.held


class RateLimiter:
    """Limits per minute, as OpenAI keeps them, and the headers it tells them by.

    Args:
        requests, tokens: allowed in one minute; None for no limit.
        burst: seconds of that rate that may be spent at once.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        requests: float | None,
        tokens: float | None,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = {"requests": requests, "tokens": tokens}
        self._buckets = {
            name: Bucket(max(1.0, limit / 60 * burst), limit / 60, clock)
            for name, limit in self.limits.items()
            if limit is not None
        }

    def take(self, tokens: float) -> float:
        """Takes one request of so many tokens; seconds to wait where there is too little, else 0."""
        costs = {"requests": 1.0, "tokens": tokens}
        waits = [(costs[n] - b.fill()) / b.per_second for n, b in self._buckets.items()]
        if (wait := max(waits, default=0.0)) > 0:
            return wait
        for name, bucket in self._buckets.items():
            bucket.held -= costs[name]
        return 0.0

    def headers(self) -> dict[str, str]:
        found = {}
        for name, bucket in self._buckets.items():
            held = bucket.fill()
            found[f"x-ratelimit-limit-{name}"] = f"{self.limits[name]:g}"
            found[f"x-ratelimit-remaining-{name}"] = str(int(held))
            found[f"x-ratelimit-reset-{name}"] = go_duration((bucket.size - held) / bucket.per_second)
        return found


def go_duration(seconds: float) -> str:
    """Seconds as OpenAI's headers give them: `12ms`, `1.5s`, `6m0s`, `1h2m3s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    words = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{words}{rest:.3f}".rstrip("0").rstrip(".") + "s"
