"""Names and numbers, made fit to be drawn or printed."""

from __future__ import annotations

import unicodedata


def clean(text: str, limit: int) -> str:
    """A name that can be shown: no control or direction marks, at most `limit` characters.

    >>> clean("a\\u202eb\\nc", 9), clean("frustration", 6)
    ('ab c', 'frust…')
    """
    spaced = " ".join(text.split())
    plain = "".join(c for c in spaced if unicodedata.category(c)[0] != "C")
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def number(value: float | None, decimals: int, missing: str = "–") -> str:
    """A number with thousands separators and without a minus before zero.

    >>> number(-0.0004, 3), number(1234.5, 1), number(None, 2)
    ('0.000', '1,234.5', '–')
    """
    if value is None:
        return missing
    text = f"{value:,.{decimals}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text
