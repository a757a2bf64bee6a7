"""Time stamps are read to the millisecond, or not at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt.corpora.times import parse_clock, parse_time


@given(st.integers(0, 100 * 3600 * 1000 - 1), st.booleans())
def test_clock_reads_back_what_was_written(ms: int, short: bool) -> None:
    hours, rest = divmod(timedelta(milliseconds=ms), timedelta(hours=1))
    minutes, rest = divmod(rest, timedelta(minutes=1))
    seconds, rest = divmod(rest, timedelta(seconds=1))
    hour = str(hours) if short else f"{hours:02d}"
    clock = parse_clock(f"{hour}:{minutes:02d}:{seconds:02d},{rest // timedelta(milliseconds=1):03d}")
    assert clock is not None
    assert clock.ms == ms
    assert clock.hour_digits == len(hour)
    assert clock.decimals == 3


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("00:06:47,28", 407_280),
        ("00:05:11,82", 311_820),
        ("00:00:01,05", 1_050),
        ("00:00:01,5", 1_500),
        ("00:00:01", 1_000),
        ("0:00:00.001", 1),
        (" 0:12:32,632 ", 752_632),
    ],
)
def test_fewer_decimals_are_a_fraction(value: str, ms: int) -> None:
    clock = parse_clock(value)
    assert clock is not None
    assert clock.ms == ms


@pytest.mark.parametrize(
    "value",
    ["", "12", "00:12", "00:60:00,000", "00:00:60,000", "00:00:01,0000", "-0:00:01,000", "00:00:0x,000",
     "٠٠:٠٠:٠١,٠٠٠", "00:00:01,000 --> 00:00:02,000", "nan"],
)  # fmt: skip
def test_what_is_no_clock_time_is_refused(value: str) -> None:
    assert parse_clock(value) is None


@given(st.integers(0, 10**9))
def test_seconds_are_rounded_to_milliseconds(ms: int) -> None:
    assert parse_time(ms / 1000) == ms
    assert parse_time(f"{ms / 1000:.3f}") == ms


@pytest.mark.parametrize(
    "value", [None, True, "", "abc", "nan", float("nan"), float("inf"), -0.001, "1e300", [1]]
)
def test_what_is_no_time_is_refused(value: object) -> None:
    assert parse_time(value) is None


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none()))
def test_nothing_raises_or_is_negative(value: object) -> None:
    time = parse_time(value)
    assert time is None or time >= 0
