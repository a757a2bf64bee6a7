"""The label text format of the MSP corpora of UT Dallas: a consensus line, then a line for each rater.

    MSP-PODCAST_0001_0008.wav; N; A:2.6; V:4.2; D:3.0;
    WORKER00000001; Neutral; Neutral,Concerned; A:3.0; V:4.0; D:3.0;

MSP-Improv adds a dimension N, the naturalness.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ..errors import InputError, bad_value
from ..records import Rating
from .official import lines

# The consensus letters, and what both releases call them in words.
LETTERS: Mapping[str, str] = {
    "A": "anger", "S": "sadness", "H": "happiness", "U": "surprise", "F": "fear", "D": "disgust",
    "C": "contempt", "N": "neutral", "O": "other", "X": "no agreement",
}  # fmt: skip
_RATERS_WORDS: Mapping[str, str] = {"angry": "anger", "sad": "sadness", "happy": "happiness"}
DIMENSIONS: Mapping[str, str] = {"A": "arousal", "V": "valence", "D": "dominance", "N": "naturalness"}
_DIMENSION = re.compile(r"(?:^|;)\s*([AVDN])\s*:\s*([^;\s]*)\s*(?=;|$)")
_HEAD = re.compile(r"(\S+)\.(?:avi|wav|mp4)\s*;\s*([^;]*);(.*)", re.IGNORECASE)


_SEXES: Mapping[str, str | None] = {
    "female": "female", "f": "female", "male": "male", "m": "male",
    **dict.fromkeys(("", "unknown", "nan", "other")),
}  # fmt: skip


@dataclass(slots=True)
class Block:
    """One utterance of a label text.

    Attributes:
        name: the file name without its ending, as it stands in the text.
        line: of the consensus.
        label: the consensus in words; None where it is empty, the letter itself where it is unknown.
        attributes: dimension -> mean; those without a number are left out.
        ratings: each rater's own; a rating that stands twice counts once.
        repeated: how many lines only repeated one before.
        unreadable: how many lines are no rating.
    """

    name: str
    line: int
    label: str | None
    attributes: Mapping[str, float]
    ratings: list[Rating] = field(default_factory=list)
    repeated: int = 0
    unreadable: int = 0


def blocks(text: str, file: str, scale: tuple[float, float]) -> Iterator[Block]:
    """The utterances of a label text; lines before the first one are its explanation and are left aside.

    Args:
        text: the file's text.
        file: its name, for messages.
        scale: the smallest and the largest value of a dimension.

    Raises:
        InputError: a value off its scale.
    """
    current: Block | None = None
    for number, line in lines(text):
        place = f"{file}:{number}"
        head = _HEAD.match(line.strip())
        if head is not None:
            if current is not None:
                yield current
            values = dimensions(head[3], place, scale)
            current = Block(head[1], number, consensus(head[2]), values)
        elif current is not None and not line.lstrip().startswith("%"):
            rating = parse_rating(line, place, scale)
            if rating is None:
                current.unreadable += 1
            elif rating in current.ratings:
                current.repeated += 1
            else:
                current.ratings.append(rating)
    if current is not None:
        yield current


def parse_rating(line: str, place: str, scale: tuple[float, float]) -> Rating | None:
    """A rater's line: name; primary emotion; secondary emotions; dimensions. None for any other line.

    The secondary emotions answer another question (all that one perceives) and are not among the labels.

    Raises:
        InputError: a value off the scale.

    >>> parse_rating("W1; Happy; Happy,Amused; A:5; V:6; D:4;", "labels.txt:2", (1, 7)).labels
    ('happiness',)
    """
    fields = line.strip().split(";", 2)
    if len(fields) < 3 or not fields[0].strip() or not _DIMENSION.search(fields[2]):
        return None
    return make_rating(fields[0].strip(), fields[1], dimensions(fields[2], place, scale))


def make_rating(rater: str, emotion: str, attributes: Mapping[str, float]) -> Rating:
    """A rating in the consensus's words."""
    return Rating(rater, rater_labels(emotion), attributes)


@lru_cache(maxsize=4096)
def rater_labels(emotion: str) -> tuple[str, ...]:
    """A rater's primary emotion in the consensus's words; what was typed in for 'Other' is only `other`.

    >>> rater_labels("Angry"), rater_labels("Other-annoyed"), rater_labels("")
    (('anger',), ('other',), ())
    """
    folded = emotion.strip().casefold()
    if folded.startswith("other"):
        return ("other",)
    return (_RATERS_WORDS.get(folded, folded),) if folded else ()


def consensus(letter: str) -> str | None:
    """The label of a consensus letter; an unknown one stays as it is, an empty one is None.

    >>> consensus(" N "), consensus("Q"), consensus("")
    ('neutral', 'q', None)
    """
    letter = letter.strip()
    return LETTERS.get(letter.upper(), letter.casefold()) or None


def dimensions(text: str, place: str, scale: tuple[float, float]) -> dict[str, float]:
    """The `A:`, `V:`, `D:` and `N:` values of a line.

    Raises:
        InputError: a value that is not a number on the scale; NaN is left out.
    """
    found = {}
    for name, value in _DIMENSION.findall(text):
        number = on_scale(value, place, name, scale)
        if number is not None:
            found[DIMENSIONS[name]] = number
    return found


def on_scale(value: str, place: str, what: str, scale: tuple[float, float]) -> float | None:
    """A number between two others; None for an empty value or NaN.

    Args:
        value: as it stands in the file.
        place: file and line, for the message.
        what: the field, for the message.
        scale: the smallest and the largest number allowed.

    Raises:
        InputError: it is something else.
    """
    try:
        number = float(value)
    except ValueError:
        if not value.strip():
            return None
        number = float("inf")
    if scale[0] <= number <= scale[1]:
        return number
    if number != number:
        return None
    raise InputError(f"{place}: bad {what} {value!r}, expected a number from {scale[0]:g} to {scale[1]:g}")


def sex(value: str, place: str) -> str | None:
    """The speaker's sex; None where it is not known.

    Raises:
        InputError: it is none of the words that the releases use.
    """
    folded = value.strip().casefold()
    if folded in _SEXES:
        return _SEXES[folded]
    raise InputError(f"{place}: {bad_value('gender', value, ['Female', 'Male', 'Unknown'])}")
