"""The order in which people number things."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"(\d+)")


def natural(name: int | str) -> tuple[tuple[int, int, str], ...]:
    """A key to sort by: numbers inside a name count by their value.

    >>> sorted(["Session10", "Session2", "a", 3], key=natural)
    [3, 'Session2', 'Session10', 'a']
    """
    parts = [part for part in _DIGITS.split(str(name)) if part]
    # What \d finds is decimal; other digits, such as a superscript, are no numbers to `int`.
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
