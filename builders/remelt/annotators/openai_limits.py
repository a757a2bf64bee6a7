"""What a server tells of its rate limits in the headers of its answers."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

from ..records import RateLimits

_PARTS = ("limit", "remaining", "reset")
_REQUESTS = tuple(f"x-ratelimit-{part}-requests" for part in _PARTS)
_TOKENS = tuple(f"x-ratelimit-{part}-tokens" for part in _PARTS)
_THEIR_REQUESTS = tuple(f"anthropic-ratelimit-requests-{part}" for part in _PARTS)
_THEIR_TOKENS = tuple(f"anthropic-ratelimit-tokens-{part}" for part in _PARTS)
_OPENAI = (*_REQUESTS[:2], *_TOKENS[:2])
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_FIRST_EPOCH = 1e9
_MINUTE = 65.0


def rate_limits(headers: Mapping[str, str], previous: RateLimits | None = None) -> RateLimits | None:
    """The limits in `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` or Anthropic's form of them.

    Some services tell their limit per day in these headers. It shows by a reset that lies more than a
    minute ahead; what is allowed in a minute is not known then.

    Args:
        headers: an answer's headers, names in any case as the mapping handles it.
        previous: what is returned where the headers tell nothing.

    >>> limits = rate_limits({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"})
    >>> limits.requests, limits.requests_left, limits.tokens
    (60.0, 59.0, None)
    """
    if any(name in headers for name in _OPENAI):
        requests, tokens = _one(headers, _REQUESTS), _one(headers, _TOKENS)
    elif _THEIR_REQUESTS[0] in headers:
        requests, tokens = _one(headers, _THEIR_REQUESTS), _one(headers, _THEIR_TOKENS)
    else:
        return previous
    return RateLimits(requests[0], tokens[0], requests[1], tokens[1], requests[2], tokens[2])


def merged(limits: Iterable[RateLimits | None]) -> RateLimits | None:
    """The limits of several servers taken together.

    What they allow adds up, and the latest reset counts. A server that tells nothing adds nothing, so the
    sum is rather too low than too high.

    >>> both = merged([RateLimits(requests=60.0), None, RateLimits(requests=30.0, requests_reset=2.0)])
    >>> both.requests, both.requests_reset, both.tokens
    (90.0, 2.0, None)
    """
    told = [one for one in limits if one is not None]
    if len(told) < 2:
        return told[0] if told else None

    def add(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    return RateLimits(
        requests=add(one.requests for one in told),
        tokens=add(one.tokens for one in told),
        requests_left=add(one.requests_left for one in told),
        tokens_left=add(one.tokens_left for one in told),
        requests_reset=max(
            (one.requests_reset for one in told if one.requests_reset is not None), default=None
        ),
        tokens_reset=max((one.tokens_reset for one in told if one.tokens_reset is not None), default=None),
    )


def seconds_until(text: str) -> float | None:
    """Seconds until a reset, from a duration, plain seconds, a time in ISO 8601 or a Unix time.

    >>> [seconds_until(text) for text in ("12ms", "6m0s", "1h2m3.5s", "30", "soon")]
    [0.012, 360.0, 3723.5, 30.0, None]
    """
    text = text.strip()
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if (number := _number(text)) is not None:
        if number < _FIRST_EPOCH:
            return max(0.0, number)
        return max(0.0, (number / 1000 if number > 1000 * _FIRST_EPOCH else number) - time.time())
    try:
        # Python 3.10 does not read the Z.
        at = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", text))
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone.utc)
    return max(0.0, at.timestamp() - time.time())


def _one(headers: Mapping[str, str], names: Sequence[str]) -> tuple[float | None, float | None, float | None]:
    """Limit per minute, what is left of it, seconds until all of it is there again."""
    limit, left = _number(headers.get(names[0])), _number(headers.get(names[1]))
    # Gateways say 0 or -1 where there is no limit.
    if limit is not None and limit <= 0:
        return None, None, None
    told = headers.get(names[2])
    reset = None if told is None else seconds_until(told)
    if reset is not None and reset > _MINUTE:
        limit = None
    return limit, None if left is None else max(0.0, left), reset


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
