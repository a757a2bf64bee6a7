"""From a transcript to the words that are compared: as they stand, processed, or by Whisper's normalisers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from ..errors import InputError, bad_value

Words = Callable[[str], list[str]]
NORMALIZERS = ("none", "whisper", "whisper-english")
# Curly, modifier and full-width apostrophes, and the two accents that stand in for one.
_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bb\u02bc\u2032\uff07`\u00b4"), "'")


class _Characters(dict[int, int | str | None]):
    """What becomes of a character: kept, a space, or nothing; worked out once for each."""

    def __missing__(self, code: int) -> int | str | None:
        kind = unicodedata.category(chr(code))
        found: int | str | None = code
        if kind == "Cf":
            found = None
        elif kind[0] not in "LMN":
            found = " "
        self[code] = found
        return found


_CHARACTERS = _Characters({ord("'"): "'"})


def original(text: str) -> list[str]:
    """The words as they stand: split on white space, nothing else.

    >>> original("It's—don't, OK?")
    ["It's—don't,", 'OK?']
    """
    return text.split()


def processed(text: str) -> list[str]:
    """Lower case, and no punctuation (Feng & Narayanan 2023, section 5.1).

    Every mark becomes a space, so that words it stood between stay two words; an apostrophe inside a word
    is kept, curly ones made straight, and one at a word's end or beginning goes, as it cannot be told from
    a quotation mark. Letters, digits and accents are kept; invisible marks (soft hyphens) leave nothing.

    >>> processed("It's—don’t, ‘OK’? 3.5 co-op goin'")
    ["it's", "don't", 'ok', '3', '5', 'co', 'op', 'goin']
    """
    plain = unicodedata.normalize("NFC", text).lower().translate(_APOSTROPHES)
    spaced = plain.translate(_CHARACTERS).replace("''", " ")
    return [word for piece in spaced.split() if (word := piece.strip("'"))]


def normalizer(name: str) -> Words | None:
    """The words after one of Whisper's normalisers; None for `none`.

    `whisper` (any language) lower-cases and takes out marks and bracketed text; `whisper-english` also
    writes out contractions, numbers and titles in one way. Its map from British to American spelling is no
    part of the package and is left empty, so such spellings count as errors.

    Raises:
        InputError: the name is unknown, or transformers is not installed.
    """
    if name not in NORMALIZERS:
        raise InputError(bad_value("normalizer", name, NORMALIZERS))
    if name == "none":
        return None
    try:
        from transformers.models.whisper import english_normalizer as whisper
    except ImportError:
        raise InputError(
            f"--normalizer {name} needs transformers; install it with: pip install 'remelt[hf]'"
        ) from None
    clean = whisper.BasicTextNormalizer() if name == "whisper" else whisper.EnglishTextNormalizer({})
    return lambda text: str(clean(text)).split()
