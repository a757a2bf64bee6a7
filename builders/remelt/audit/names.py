"""Names from the data, made fit to be drawn or printed."""

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
