"""Text whose encoding was broken on its way into a label file, and how it is mended.

Copies of MELD made before November 2020 hold cp1252 bytes that were decoded as Latin-1 (U+0092 for ’), and
UTF-8 that was decoded as cp1252, once with its first byte lost ("â€™", "€™"). Healthy text, curly quotes
included, is left as it is.
"""

from __future__ import annotations

import re

C1_CONTROLS = re.compile("[\x80-\x9f]")
_C0_CONTROLS = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
# The first characters of two- to four-byte UTF-8 read as cp1252 or Latin-1.
_MOJIBAKE_LEAD = re.compile("[Â-ô€]")
# E2 80 xx without the E2, as cp1252 shows it. A dash's last byte looks like a double quotation mark, which
# may rightly follow a euro sign: only directly behind a letter or a mark is it taken for a dash.
_LOST_LEAD = re.compile("€([™˜œ\x9d¦¢])|(?<=[^\\W\\d])€([”“])|(?<=[.,;:!?’])€([”“])")
_LOST_LEAD_MEANS = {
    "™": "’", "˜": "‘", "œ": "“", "\x9d": "”", "¦": "…", "¢": "•", "”": "—", "“": "–",
}  # fmt: skip

_NOT_WORDS = re.compile(r"[^\w\s']")


def _from_cp1252(match: re.Match[str]) -> str:
    # Five codes (81, 8D, 8F, 90, 9D) are empty in cp1252; they stay.
    return bytes([ord(match[0])]).decode("cp1252", "ignore") or match[0]


def _lost_lead(match: re.Match[str]) -> str:
    return _LOST_LEAD_MEANS[match[1] or match[2] or match[3]]


def mend(text: str) -> tuple[str, frozenset[str]]:
    """The text with its encoding mended, and the names of what was broken.

    Args:
        text: as it stands in the file.

    Returns:
        The mended text (the same object where nothing was broken), and a subset of `cp1252_controls`,
        `mojibake`, `nul_character`, `control_character`, `unpaired_surrogate`, `replacement_character`
        (U+FFFD, which cannot be mended).

    >>> mend("It\\x92s Ross\\u20ac\\u2122s caf\\u00c3\\u00a9")[0]
    'It’s Ross’s café'
    >>> mend("He said: “It’s fine…”") == ("He said: “It’s fine…”", frozenset())
    True
    """
    if text.isascii() and text.isprintable():
        return text, frozenset()
    found: set[str] = set()
    text = _mend_controls(text, found)
    if _MOJIBAKE_LEAD.search(text) or C1_CONTROLS.search(text):
        text = _mend_encoding(text, found)
    if "\ufffd" in text:
        found.add("replacement_character")
    return text, frozenset(found)


def _mend_controls(text: str, found: set[str]) -> str:
    if "\0" in text:
        found.add("nul_character")
        text = text.replace("\0", "")
    if _C0_CONTROLS.search(text):
        found.add("control_character")
        text = _C0_CONTROLS.sub("", text)
    if _SURROGATES.search(text):
        found.add("unpaired_surrogate")
        text = _SURROGATES.sub("\ufffd", text)
    return text


def _mend_encoding(text: str, found: set[str]) -> str:
    from ftfy import fix_encoding

    # Whole UTF-8 sequences first: in "â\x80\x99" the control characters are no cp1252 marks.
    mended: str = fix_encoding(text)
    mended = C1_CONTROLS.sub(_from_cp1252, mended)
    mended = _LOST_LEAD.sub(_lost_lead, mended)
    if mended == text:
        return text
    if C1_CONTROLS.search(text) and C1_CONTROLS.sub(_from_cp1252, text) == mended:
        found.add("cp1252_controls")
    else:
        found.add("mojibake")
        if _lone_controls(text):
            found.add("cp1252_controls")
    return mended


def _lone_controls(text: str) -> bool:
    """Whether a control character stands for itself, not for a byte of a UTF-8 sequence."""
    return C1_CONTROLS.search(re.sub("[Â-ô][\x80-\xbf]{1,3}|€\x9d", "", text)) is not None


def normal(text: str) -> str:
    """Words alone, for finding the same line again: case folded, straight apostrophes, no other marks.

    >>> normal("Y’know,  hey! You-you?")
    "y'know hey you you"
    """
    return " ".join(_NOT_WORDS.sub(" ", text.replace("’", "'").casefold()).split())
