"""Text of any origin, made safe inside Markdown: speaker names, licences and prompts are not ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

# An underscore inside a word is never emphasis, and escaping it would spoil names such as `stage_direction`.
_SPECIAL = re.compile(r"([\\`*{}\[\]#|~$]|(?<!\w)_|_(?!\w))")
_SPACE = re.compile(r"\s+")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


def inline(value: object) -> Markdown:
    """One line of text that Markdown shows as it is, also inside a table cell.

    >>> print(inline("Joey | <b>Ross</b>"))
    Joey \\| &lt;b&gt;Ross&lt;/b&gt;
    """
    if isinstance(value, Markdown):
        return value
    text = "".join(_HTML.get(letter, letter) for letter in _one_line(value))
    return Markdown(_SPECIAL.sub(r"\\\1", text))


def code(value: object) -> Markdown:
    """A code span, also inside a table cell, whatever backticks it holds.

    >>> print(code("a`b"))
    ``a`b``
    """
    text = _one_line(value).replace("|", "\\|")
    if not text:
        return Markdown("")
    ticks = "`" * (_longest("`", text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return Markdown(f"{ticks}{space}{text}{space}{ticks}")


def fence(value: object, language: str = "") -> Markdown:
    """A code block with a fence longer than any inside, so that the text cannot end it.

    >>> print(fence("x"))
    ```
    x
    ```
    """
    text = _encodable(_CONTROL.sub("", str(value).replace("\r\n", "\n")).strip("\n"))
    ticks = "`" * max(3, _longest("`", text) + 1)
    return Markdown(f"{ticks}{language}\n{text}\n{ticks}")


def link(text: object, address: object) -> Markdown:
    """A link where the address is a web address, else the text alone.

    >>> print(link("MELD", "https://affective-meld.github.io/"), link("x", "javascript:alert(1)"))
    [MELD](<https://affective-meld.github.io/>) x
    """
    target = _encodable(str(address))
    if re.fullmatch(r"https?://[^\s<>\\]+", target):
        return Markdown(f"[{inline(text)}](<{target}>)")
    return inline(text)


def number(value: object) -> str:
    """Whole numbers with thousands separators, None as a dash, anything else as it is.

    >>> number(13708), number(None)
    ('13,708', '–')
    """
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def percent(share: float | None) -> str:
    """A share in per cent with two digits.

    >>> percent(3261 / 7024)
    '46.43 %'
    """
    return "–" if share is None else f"{100 * share:.2f} %"


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> Markdown:
    """A table; columns of whole numbers stand to the right.

    >>> print(table(["label", "rows"], [["joy", 1262]]))
    | label | rows |
    |---|---:|
    | joy | 1,262 |
    """
    right = [bool(rows) and all(isinstance(row[i], int) for row in rows) for i in range(len(head))]
    lines = [
        [inline(cell) for cell in head],
        *([inline(cell if isinstance(cell, str) else number(cell)) for cell in row] for row in rows),
    ]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text.insert(1, "|" + "|".join("---:" if side else "---" for side in right) + "|")
    return Markdown("\n".join(text))


def _one_line(value: object) -> str:
    return _encodable(_SPACE.sub(" ", _CONTROL.sub("", _SPACE.sub(" ", str(value)))).strip())


def _longest(letter: str, text: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(letter)}+", text)), default=0)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
