"""The text files of IEMOCAP: the evaluation of each dialogue, and its transcription.

[6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
C-E2:	Neutral;	()
C-F1:	Neutral;	(curious)
A-E3:	val 3; act 2; dom  2;	()
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..errors import InputError
from ..records import Rating
from .official import lines
from .times import parse_time

# The words of the raters -> the release's own short names, in which the result stands.
EMOTIONS: Mapping[str, str] = {
    "neutral": "neu", "happiness": "hap", "excited": "exc", "sadness": "sad", "anger": "ang",
    "frustration": "fru", "surprise": "sur", "fear": "fea", "disgust": "dis", "other": "oth",
    "no agreement": "xxx",
}  # fmt: skip
NAME = re.compile(r"(?P<dialogue>(?P<session>Ses\d\d)[FM]_\w+)_(?P<speaker>[FM])\w*")
_TURN = re.compile(r"\[([^\]]*?)\s*-\s*([^\]]*)\]\s+(\S+)\s+(\S+)\s+\[([^\]]*)\]\s*")
_RATER = re.compile(r"([CA])-([A-Za-z]+\d*)\s*:\s*([^(]*)(?:\(.*)?", re.DOTALL)
_VALUE = re.compile(r"\b(val|act|dom)\s+(\d+(?:\.\d+)?)")
_SAID = re.compile(r"(Ses\w+)\s+\[[^\]]*\]\s*:\s?(.*)")
_DIMENSIONS = {"val": "valence", "act": "arousal", "dom": "dominance"}


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn as its evaluation file has it; times are milliseconds from the dialogue's start."""

    name: str
    dialogue: str
    speaker: str
    line: int
    start: int
    end: int
    label: str
    attributes: Mapping[str, float]
    ratings: tuple[Rating, ...] = ()


def turns(text: str, file: str) -> tuple[list[Turn], int]:
    """The turns of an evaluation file, each with the ratings under it.

    Args:
        text: the file's text.
        file: its name, for messages.

    Returns:
        The turns in the file's order, and how many lines are neither a turn nor a rating.

    Raises:
        InputError: a line that begins like a turn and is none, or a time or a name that is none.
    """
    found: list[Turn] = []
    ratings: list[list[Rating]] = []
    others = 0
    for number, raw in lines(text):
        line = raw.strip()
        if line.startswith("%"):
            continue
        if line.startswith("["):
            found.append(_turn(line, f"{file}:{number}", number))
            ratings.append([])
            continue
        match = _RATER.fullmatch(line)
        if match is None or not found:
            others += 1
            continue
        rating = _rating(match[1], f"{match[1]}-{match[2]}", match[3])
        if rating.labels or rating.attributes:
            ratings[-1].append(rating)
    return [replace(turn, ratings=tuple(own)) for turn, own in zip(found, ratings, strict=True)], others


def _turn(line: str, place: str, number: int) -> Turn:
    match = _TURN.fullmatch(line)
    if match is None:
        raise InputError(f"{place}: bad line {line!r}, expected '[START - END] TURN EMOTION [V, A, D]'")
    start, end = parse_time(match[1]), parse_time(match[2])
    for value, time in ((match[1], start), (match[2], end)):
        if time is None:
            raise InputError(f"{place}: bad time {value!r}, expected seconds")
    name = NAME.fullmatch(match[3])
    if name is None:
        raise InputError(f"{place}: bad turn {match[3]!r}, expected a name such as 'Ses01F_impro01_F000'")
    assert start is not None
    assert end is not None
    return Turn(
        name=match[3],
        dialogue=name["dialogue"],
        speaker=name["session"] + name["speaker"],
        line=number,
        start=start,
        end=end,
        label=match[4].casefold(),
        attributes=_means(match[5], place),
    )


def _means(text: str, place: str) -> dict[str, float]:
    """Valence, arousal and dominance of `V, A, D`; those that are NaN are left out."""
    try:
        values = [float(value) for value in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 3:
        raise InputError(
            f"{place}: bad means '[{text}]', expected three numbers: valence, activation, dominance"
        )
    return {
        name: value
        for name, value in zip(("valence", "arousal", "dominance"), values, strict=True)
        if math.isfinite(value)
    }


def _rating(kind: str, rater: str, value: str) -> Rating:
    """A rater's line; a field that was left empty is left out."""
    if kind == "A":
        found = {_DIMENSIONS[name]: float(number) for name, number in _VALUE.findall(value)}
        return Rating(rater, attributes=found)
    words = [part.strip().casefold().removesuffix(" state") for part in value.split(";")]
    return Rating(rater, tuple(dict.fromkeys(EMOTIONS.get(word, word) for word in words if word)))


def transcript(text: str) -> tuple[dict[str, str], int]:
    """What each turn of a transcription says, and how many lines name no turn.

    >>> transcript("Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me. [LAUGHTER]")
    ({'Ses01F_impro01_F000': 'Excuse me. [LAUGHTER]'}, 0)
    """
    said: dict[str, str] = {}
    others = 0
    for _, line in lines(text):
        match = _SAID.fullmatch(line.strip())
        if match is None:
            others += 1
        else:
            said[match[1]] = match[2].strip()
    return said, others
