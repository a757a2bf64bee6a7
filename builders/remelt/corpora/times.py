"""Time stamps of label files, in whole milliseconds so that differences stay exact."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import NamedTuple

_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d)(?:[,.](\d{1,3}))?", re.ASCII)
_LONGEST_SECONDS = 1000 * 3600


class Clock(NamedTuple):
    """A clock time as it was written.

    Attributes:
        ms: milliseconds.
        hour_digits, decimals: how many digits the hour and the fraction had.
    """

    ms: int
    hour_digits: int
    decimals: int


def parse_clock(value: str) -> Clock | None:
    """Reads `HH:MM:SS,mmm` or `H:MM:SS,mmm`; None for anything else.

    Fewer than three decimals are a decimal fraction (`,82` is 820 ms). In MELD three ends have two; read so,
    they leave the same pause before the next turn as their neighbours do (00:05:11,82 before 00:05:12,020),
    which a reading as 82 ms does not.

    >>> parse_clock("0:16:31,240"), parse_clock("00:05:11,82").ms, parse_clock("00:60:00,000")
    (Clock(ms=991240, hour_digits=1, decimals=3), 311820, None)
    """
    match = _CLOCK.fullmatch(value.strip())
    if match is None:
        return None
    hours, minutes, seconds, fraction = match.groups("")
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return Clock(whole * 1000 + int(fraction.ljust(3, "0")), len(hours), len(fraction))


def parse_time(value: object) -> int | None:
    """Milliseconds of a clock time or of a number of seconds; None where it is neither.

    Seconds are rounded to the nearest millisecond. Negative, infinite and absurdly long times (over 1,000
    hours) are not times.

    >>> parse_time("1:00:00.5"), parse_time(0.0605), parse_time("12.5"), parse_time("-1"), parse_time("nan")
    (3600500, 60, 12500, None, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        clock = parse_clock(value)
        if clock is not None:
            return clock.ms
    elif isinstance(value, float) and not math.isfinite(value):
        return None
    try:
        seconds = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    if not seconds.is_finite() or not 0 <= seconds <= _LONGEST_SECONDS:
        return None
    return int((seconds * 1000).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
