"""Tells a speaker's name from a role such as `Woman` or `The Casting Director` (part of selection).

A name is generic by its form, or because its words stand in lower case more often than
capitalised inside sentences of the corpus's own utterances. The evidence is English spelling; in a script
without capitals, and for words the corpus never says, a name passes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

_WORD = re.compile(r"[^\W\d_]+")
# A capital after a full stop, a quotation mark or a dash may only begin a sentence: it is no evidence.
_INSIDE = re.compile(r"(?<=[\w,'’] )[^\W\d_]+")
_POSSESSIVE = re.compile(r"['’]s\b")
_SEVERAL = re.compile(r"\band\b|[/&]")
_NUMBERED = re.compile(r"[#\d]|\bno\.")
_ARTICLES = ("the", "a", "an", "another")
_EVERYBODY = ("all", "both")
_AT_ONCE = 20_000
# Not "doctor": MELD's "Doctor" is a role, and MELT's figures count "Doctor Connelly" as one.
_TITLES = frozenset({"mr", "mrs", "ms", "miss", "dr", "prof", "professor", "sr", "jr"})


@dataclass(frozen=True, slots=True)
class NameEvidence:
    """How a corpus writes words.

    Attributes:
        lower: word -> times it stands in lower case.
        capital: word (lower case) -> times it stands capitalised inside a sentence.
    """

    lower: Mapping[str, int]
    capital: Mapping[str, int]


def gather(texts: Iterable[str], names: Iterable[str]) -> NameEvidence:
    """Counts how the words of some names are written in a corpus's utterances.

    Words in capitals throughout (shouting) count on neither side.

    >>> gather(["Hey, guy! Is that Chip, guy?", "Guy talk."], ["Guy", "Chip"])
    NameEvidence(lower={'guy': 2}, capital={'chip': 1})
    """
    names = list(names)
    wanted = {word for name in names for word in _words(name)}
    written = {word for name in names for word in _WORD.findall(name)}
    spellings = (written | {word.capitalize() for word in wanted}) - wanted
    lower: Counter[str] = Counter()
    capital: Counter[str] = Counter()
    texts = iter(texts)
    # Two passes over a long string are several times as fast as a look at each utterance.
    while some := list(islice(texts, _AT_ONCE)):
        joined = "\n".join(some)
        lower.update(w for w in _WORD.findall(joined) if w in wanted)
        capital.update(w.lower() for w in _INSIDE.findall(joined) if w in spellings)
    return NameEvidence(dict(lower), dict(capital))


def why_generic(name: str, evidence: NameEvidence) -> str:
    """Why a speaker's name gives no identity; empty for a name.

    Args:
        name: as it stands in the corpus; case does not matter.
        evidence: from `gather`, for at least this name.

    Returns:
        The rest of a sentence that begins with the name, or an empty string.

    >>> evidence = NameEvidence({"guy": 171, "frank": 1}, {"guy": 4, "frank": 8})
    >>> why_generic("Guy", evidence)
    'is written in lower case 171 times, capitalised inside sentences 4 times'
    >>> why_generic("Frank Sr.", evidence), why_generic("The Vendor", evidence)
    ('', "begins with 'the'")
    """
    form = _why_by_form(name.strip().casefold())
    if form:
        return form
    words = _words(name)
    if not words:
        return "is a title without a name"
    lower = sum(evidence.lower.get(word, 0) for word in words)
    capital = sum(evidence.capital.get(word, 0) for word in words)
    if lower > capital:
        return f"is written in lower case {_times(lower)}, capitalised inside sentences {_times(capital)}"
    return ""


def _why_by_form(folded: str) -> str:
    if not _WORD.search(folded):
        return "has no letters"
    first = folded.split()[0]
    if first in _ARTICLES:
        return f"begins with {first!r}"
    if folded in _EVERYBODY:
        return "means several people"
    several = _SEVERAL.search(folded)
    if several:
        return f"means several people ({several.group()!r})"
    if _NUMBERED.search(folded):
        return "is numbered"
    return ""


def _words(name: str) -> list[str]:
    folded = _POSSESSIVE.sub("", name.lower())
    return [word for word in _WORD.findall(folded) if word not in _TITLES]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
