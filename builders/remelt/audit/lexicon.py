"""Reads words about a voice as low, mid or high: "not too loud", "slightly raised", "starts low and rises".

MELT's check of descriptions against the sound (Jing et al. 2025, Table 4) maps free text to three levels but
does not publish its word list; this one is remelt's own. The words stand in `lexicon.yaml`; here stand the
rules that combine them, and every reading names the rule and the words it rests on. Three levels cannot tell
"loud" from "very loud", so words of degree change nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError, bad_value

Level = Literal["low", "mid", "high"]
LEVELS: tuple[Level, ...] = ("low", "mid", "high")
DIMENSIONS = ("pitch", "loudness", "rhythm_speed")
RULES: Mapping[str, str] = {
    "named": "the text is one of the three levels",
    "word": "one word, or several that agree",
    "compared": "a comparison with the usual: its direction",
    "diminished": "a little of a level: still its direction",
    "several": "several levels: their mean, halves going outward (moderate to high is high)",
    "start_end": "one level at the start, another at the end: the mean of the two",
    "change": "only a direction: rising is high, falling is low",
    "manner": "no level word, but a manner of speaking that goes with one (halves going inward)",
    "varying": "only that it varies: mid",
    "negated": "one end or both are denied and nothing else is said: mid",
    "partly": "said of a part of the utterance only: mid",
    "unknown": "no word that the lexicon knows",
    "empty": "no text",
}

MOST_CHARACTERS = 2_000
_SCORES = {"low": -1, "mid": 0, "high": 1}
_KINDS = ("rises", "falls", "varies", *(f"{how}{level}" for how in ("suggests_", "") for level in LEVELS))
# "loud at first", "a slow start": these say it of the level before them.
_START_AFTER = ("at ", "in ", "init", "start", "beginning")
_TOKEN = re.compile(r"[^\W\d_]+|[,;:.!?()…]|\s[-–—]+\s|[—–]")
_LONG = re.compile(r"([^\W\d_])\1{2,}")
_END = "|"


@dataclass(frozen=True, slots=True)
class LevelReading:
    """What a text says of one dimension.

    Attributes:
        level: `low`, `mid` or `high`; None where the text does not say.
        rule: how it was read, a key of `RULES`.
        evidence: the words it rests on; denied ones begin with "not".
    """

    level: Level | None
    rule: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Term:
    """A word of the lexicon in a text, and how it stands there."""

    words: str
    kind: str
    score: int
    clause: int = 0
    denied: bool = False
    compared: bool = False
    diminished: bool = False
    partly: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class _Words:
    """One dimension's words.

    Attributes:
        phrases: words -> role.
        stems: (beginning, role) of those that stand for all words beginning so, the longest first.
        nouns: word -> the dimension it names.
        starts: the beginnings of `stems`.
        sizes: first word -> lengths of the phrases that begin with it, the longest first.
    """

    phrases: Mapping[tuple[str, ...], str]
    stems: tuple[tuple[str, str], ...]
    comparatives: frozenset[str]
    nouns: Mapping[str, str]
    sizes: Mapping[str, tuple[int, ...]]
    starts: tuple[str, ...]


@lru_cache(maxsize=1)
def content() -> Mapping[str, Any]:
    """The word list as it stands in `lexicon.yaml`."""
    import yaml

    text = (Path(__file__).parent / "lexicon.yaml").read_text(encoding="utf-8")
    found: Mapping[str, Any] = yaml.safe_load(text)
    return found


def version() -> int:
    """The word list's version."""
    return int(content()["version"])


@lru_cache(maxsize=65_536)
def level(text: str | None, dimension: str) -> LevelReading:
    """Reads a text about one dimension of a voice.

    Args:
        text: a few words, such as models write for MELT's fields `pitch`, `loudness`, `rhythm_speed`.
        dimension: one of `DIMENSIONS`.

    Raises:
        InputError: an unknown dimension.

    >>> level("Slightly raised", "pitch")
    LevelReading(level='high', rule='diminished', evidence=('raised',))
    >>> level("soft but intense", "loudness").level, level("not too loud", "loudness").level
    ('low', 'mid')
    """
    if dimension not in DIMENSIONS:
        raise InputError(bad_value("dimension", dimension, DIMENSIONS))
    if text is None or not text.strip():
        return LevelReading(None, "empty")
    plain = text.strip().casefold()
    for name in LEVELS:
        if plain == name:
            return LevelReading(name, "named", (name,))
    # Nobody describes a voice in more words; a text without end must not cost time without end.
    tokens = _tokens(text[:MOST_CHARACTERS])
    return _combine(_terms(tokens, dimension))


def _tokens(text: str) -> list[str]:
    """Lower-case words, with `|` where a clause ends; "isn't" is two words, "looooud" is "loud"."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'").replace("\u2018", "'")
    folded = re.sub(r"n't\b", " not", folded).replace("'s", " is").replace("/", " to ")
    folded = _LONG.sub(r"\1", folded)
    return [
        token if token[0].isalpha() else _END
        for token in _TOKEN.findall(re.sub(r"(?<=\w)[-–—](?=\w)", " ", folded))
    ]


@lru_cache(maxsize=len(DIMENSIONS))
def _words(dimension: str) -> _Words:
    grammar = content()["grammar"]
    phrases: dict[tuple[str, ...], str] = {}
    stems: list[tuple[str, str]] = []
    for role, entries in grammar.items():
        if role not in ("nouns", "comparatives"):
            phrases.update({tuple(str(entry).split()): role for entry in entries})
    for part in ("any", dimension):
        for kind in _KINDS:
            for entry in content()[part].get(kind, ()):
                if str(entry).endswith("*"):
                    stems.append((str(entry)[:-1], kind))
                else:
                    phrases[tuple(str(entry).split())] = kind
    nouns = {str(word): of for of, entries in grammar["nouns"].items() for word in entries}
    sizes: dict[str, set[int]] = {}
    for phrase in phrases:
        sizes.setdefault(phrase[0], set()).add(len(phrase))
    stems.sort(key=lambda stem: -len(stem[0]))
    return _Words(
        phrases=phrases,
        stems=tuple(stems),
        starts=tuple(start for start, _ in stems),
        comparatives=frozenset(map(str, grammar["comparatives"])),
        nouns=nouns,
        sizes={first: tuple(sorted(found, reverse=True)) for first, found in sizes.items()},
    )


def _matches(tokens: Sequence[str], words: _Words) -> Iterator[tuple[int, str, str]]:
    """Place, role and words of everything the lexicon knows; the longest entry at each place."""
    i = 0
    while i < len(tokens):
        for size in words.sizes.get(tokens[i], ()):
            role = words.phrases.get(tuple(tokens[i : i + size]))
            if role is not None:
                yield i, role, " ".join(tokens[i : i + size])
                i += size
                break
        else:
            token = tokens[i]
            if token == _END:
                yield i, "clauses", _END
            elif token.startswith(words.starts):
                yield i, next(kind for start, kind in words.stems if token.startswith(start)), token
            i += 1


class _Scan:
    """Walks over a text's words and remembers what is said of the next level."""

    def __init__(self) -> None:
        self.terms: list[_Term] = []
        self.clause = 0
        self.place = ""
        self._new_clause()

    def _new_clause(self) -> None:
        self.denied = self.less = self.compared = self.diminished = self.partly = self.than = False
        self.clause += 1

    def _here(self) -> bool:
        """Whether the clause has had a level already, which what follows it can belong to."""
        return bool(self.terms) and self.terms[-1].clause == self.clause

    def _over(self) -> None:
        """What stood at the start is over."""
        if self.place == "start" and any(t.place == "start" for t in self.terms):
            self.place = "end"

    def grammar(self, role: str, words: str) -> None:
        if role == "clauses":
            self._over()
            self._new_clause()
        elif role == "turns":
            self._over()
        elif role == "negators":
            self.denied = True
        elif role == "less":
            self.less = self.compared = True
        elif role == "more":
            self.compared = True
        elif role == "than":
            self.than = True
            if self._here():
                self.terms[-1] = replace(self.terms[-1], compared=True)
        elif role == "diminishers":
            self.diminished = True
        elif role == "partly":
            self.partly = True
        elif role == "partly_after" and self._here():
            place = "end" if "end" in words else self.terms[-1].place
            self.terms[-1] = replace(self.terms[-1], partly=True, place=place)
        elif role == "starts":
            if self._here() and words.startswith(_START_AFTER):
                self.terms[-1] = replace(self.terms[-1], place="start")
            self.place = "start"
        elif role == "ends":
            self.place = "end"

    def level(self, term: _Term, comparative: bool) -> None:
        if self.than:
            return
        score, denied = term.score, self.denied
        if self.less:
            score = -score
        made = replace(
            term,
            score=score,
            clause=self.clause,
            denied=denied,
            compared=self.compared or comparative,
            diminished=self.diminished,
            partly=self.partly,
            place=self.place,
        )
        self.terms.append(made)
        self.less = self.compared = self.diminished = False


def _terms(tokens: Sequence[str], dimension: str) -> list[_Term]:
    words = _words(dimension)
    scan = _Scan()
    for index, role, found in _matches(tokens, words):
        if role not in _KINDS:
            scan.grammar(role, found)
        elif not _of_another(tokens, index, len(found.split()), words, dimension):
            kind, score = _meaning(role)
            scan.level(_Term(found, kind, score), found in words.comparatives)
    return scan.terms


def _meaning(role: str) -> tuple[str, int]:
    """Kind and score of a role: `suggests_low` is a manner of -1, `rises` a change of +1."""
    if role in ("rises", "falls"):
        return "change", 1 if role == "rises" else -1
    if role == "varies":
        return "varies", 0
    name = role.removeprefix("suggests_")
    return "level" if name == role else "manner", _SCORES[name]


def _of_another(tokens: Sequence[str], index: int, size: int, words: _Words, dimension: str) -> bool:
    """Whether a level belongs to another dimension's noun: the volume in "high pitch, low volume"."""
    after = index + size
    if words.nouns.get(tokens[after - 1]) == dimension:
        return False
    for token in tokens[after : after + 2]:
        if token == _END or token in ("and", "but"):
            break
        if token in words.nouns:
            return words.nouns[token] != dimension
    for token in reversed(tokens[:index]):
        if token == _END:
            break
        if token in words.nouns:
            return words.nouns[token] != dimension
    return False


def _combine(terms: Sequence[_Term]) -> LevelReading:
    """The first of the rules that applies; level words come before changes, changes before manners."""
    if not terms:
        return LevelReading(None, "unknown")
    said = [t for t in terms if not t.denied]
    whole = [t for t in said if not t.partly]
    levels = [t for t in whole if t.kind == "level"]
    both = _start_end([t for t in said if t.kind == "level"], [t for t in said if t.kind == "change"])
    if both is not None:
        return both
    if levels:
        return _mean(levels)
    changes = [t for t in whole if t.kind == "change"]
    if changes:
        return _mean(changes, "change")
    denied = {t.score for t in terms if t.denied and t.kind == "level" and t.score}
    manners = [t for t in whole if t.kind == "manner" and t.score not in denied]
    if manners:
        return LevelReading(_inward(_score(manners)), "manner", tuple(t.words for t in manners))
    varying = [t for t in whole if t.kind == "varies"]
    if varying:
        return _mean(varying, "varying")
    partly = [t for t in said if t.partly]
    if partly:
        return LevelReading("mid", "partly", tuple(t.words for t in partly))
    ends = [t for t in terms if t.denied and (t.score or t.kind == "varies")]
    if ends:
        return LevelReading("mid", "negated", tuple(f"not {t.words}" for t in ends))
    return LevelReading(None, "unknown", tuple(f"not {t.words}" for t in terms))


def _start_end(levels: Sequence[_Term], changes: Sequence[_Term]) -> LevelReading | None:
    """The mean of start and end, where the text tells them apart; None where it does not."""
    marked = any(t.place == "start" for t in levels)
    ends = [t for t in levels if t.place == "end" and (marked or not t.partly)]
    if not ends and (marked or any(t.place == "end" and not t.partly for t in changes)):
        ends = list(changes)
    starts = [t for t in levels if t.place != "end" and not t.partly]
    if not starts or not ends:
        return None
    score = (_score(starts) + _score(ends)) / 2
    return LevelReading(_level(score), "start_end", tuple(t.words for t in (*starts, *ends)))


def _mean(terms: Sequence[_Term], rule: str = "") -> LevelReading:
    if not rule:
        if len({t.score for t in terms}) > 1:
            rule = "several"
        elif any(t.diminished for t in terms):
            rule = "diminished"
        else:
            rule = "compared" if any(t.compared for t in terms) else "word"
    return LevelReading(_level(_score(terms)), rule, tuple(t.words for t in terms))


def _score(terms: Sequence[_Term]) -> float:
    return sum(t.score for t in terms) / len(terms)


def _inward(score: float) -> Level:
    return "high" if score > 0.5 else "low" if score < -0.5 else "mid"


def _level(score: float) -> Level:
    return "high" if score >= 0.5 else "low" if score <= -0.5 else "mid"
