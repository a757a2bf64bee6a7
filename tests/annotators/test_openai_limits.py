"""Rate limits in the headers of a server's answers."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from openai_requests import ask, chat, make
from remelt.annotators.openai_limits import merged, rate_limits, seconds_until
from remelt.errors import TransientError
from remelt.records import RateLimits
from servers import ChatServer


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("12ms", 0.012),
        ("1.5s", 1.5),
        ("2h3m4s", 7384),
        ("1d", 86400),
        ("0s", 0),
        ("59", 59),
        ("0.25", 0.25),
        ("-3", 0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("1x", None),
        ("s", None),
        ("2001-09-09T01:46:40Z", 0),
    ],
)
def test_reset(text: str, seconds: float | None) -> None:
    assert seconds_until(text) == (None if seconds is None else pytest.approx(seconds))


def test_reset_as_a_time() -> None:
    at = datetime.now(timezone.utc) + timedelta(seconds=300)
    for text in (at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.isoformat(), f"{time.time() + 300:.3f}"):
        assert seconds_until(text) == pytest.approx(300, abs=60)
    assert seconds_until(f"{1000 * (time.time() + 300):.0f}") == pytest.approx(300, abs=60)


def headers(**values: str) -> dict[str, str]:
    return {f"x-ratelimit-{name.replace('_', '-')}": value for name, value in values.items()}


def test_all_six_headers() -> None:
    told = headers(
        limit_requests="10000",
        limit_tokens="2000000",
        remaining_requests="9999",
        remaining_tokens="1999000",
        reset_requests="6ms",
        reset_tokens="30ms",
    )
    expected = RateLimits(10000, 2000000, 9999, 1999000, 0.006, 0.03)
    assert rate_limits(told) == expected


def test_headers_in_another_form() -> None:
    at = datetime.now(timezone.utc) + timedelta(seconds=45)
    told = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "anthropic-ratelimit-tokens-limit": "40000",
    }
    found = rate_limits(told)
    assert found is not None
    assert (found.requests, found.requests_left, found.tokens, found.tokens_left) == (50, 0, 40000, None)
    assert found.requests_reset == pytest.approx(45, abs=30)


def test_nothing_told_and_nonsense_told() -> None:
    before = RateLimits(requests=5)
    assert rate_limits({"content-type": "text/html"}) is None
    assert rate_limits({}, before) is before
    assert rate_limits(headers(limit_requests="none", remaining_requests="inf")) == RateLimits()
    assert rate_limits(headers(limit_requests="0", remaining_requests="0")) == RateLimits()
    assert rate_limits(headers(limit_requests="-1", limit_tokens="60")) == RateLimits(tokens=60)
    assert rate_limits(headers(remaining_tokens="-5")) == RateLimits(tokens_left=0)


def test_a_limit_per_day_is_no_limit_per_minute() -> None:
    """200 a day: after the first request all of them are there again in 7 minutes and 12 seconds."""
    told = headers(limit_requests="200", remaining_requests="199", reset_requests="7m12s", limit_tokens="60")
    assert rate_limits(told) == RateLimits(None, 60, 199, None, 432, None)


def test_limits_of_several_servers_add_up() -> None:
    one = RateLimits(60, 1000, 3, None, 2.0, None)
    two = RateLimits(30, None, 4, None, 5.0, None)
    assert merged([one, None, two]) == RateLimits(90, 1000, 7, None, 5.0, None)
    assert merged([None, one]) is one
    assert merged([None, None]) is None
    assert merged([]) is None


async def test_the_annotator_knows_what_the_server_told_last() -> None:
    # Two at once, and the next half a minute later.
    with ChatServer(rate_limit=2, token_limit=6e6, rate_headers=True) as server:
        annotator = chat(server)
        assert annotator.limits is None
        await annotator.answer(make(), make().messages, 0)
        first = annotator.limits
        await annotator.answer(make(1), make(1).messages, 0)
        with pytest.raises(TransientError) as caught:
            await ask(annotator, make(2))
        last = annotator.limits
    assert first is not None
    assert (first.requests, first.tokens, first.requests_left) == (2, 6e6, 1)
    assert first.tokens_left is not None
    assert first.requests_reset == pytest.approx(30, abs=15)
    assert last is not None
    assert last.requests_left == 0
    assert caught.value.throttled
    assert caught.value.retry_after == pytest.approx(30, abs=15)
    assert server.throttled == 1


async def test_a_server_without_headers_has_no_limits() -> None:
    with ChatServer(rate_limit=1) as server:
        annotator = chat(server)
        await annotator.answer(make(), make().messages, 0)
        with pytest.raises(TransientError) as caught:
            await ask(annotator, make(1))
    assert annotator.limits is None
    assert caught.value.retry_after is None
