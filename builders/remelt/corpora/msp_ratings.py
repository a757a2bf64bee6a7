"""Each rater's own labels in MSP-Podcast, up to 1.4 million rows of them, read as a stream."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ..errors import InputError
from ..records import Rating
from . import msp, official
from .delimited import missing_columns

# How releases call the rater's column.
RATERS = ("workers", "worker", "workerid", "worker_id", "annotator", "annotatorid", "annotators", "name")
_DETAIL = "emodetail"
_FILE = "filename"
_LABEL = "emoclass_major"
_VALUES = (("emoact", "arousal"), ("emoval", "valence"), ("emodom", "dominance"))


@dataclass(frozen=True)
class Rated:
    """The ratings of a file.

    Attributes:
        of: turn -> ratings in the file's order.
        unreadable: how many lines are no rating.
        repeated: how many lines only repeated one before; a rating that stands twice counts once.
    """

    of: Mapping[str, Sequence[Rating]] = field(default_factory=dict)
    unreadable: int = 0
    repeated: int = 0


def text(path: Path, name: str, scale: tuple[float, float]) -> Rated:
    """The ratings of `labels.txt`.

    Args:
        path: the file.
        name: what messages call it.
        scale: the smallest and the largest value of a dimension.

    Raises:
        InputError: a value off the scale.
    """
    blocks = list(msp.blocks(official.read_text(path).words, name, scale))
    return Rated(
        {block.name: block.ratings for block in blocks},
        sum(block.unreadable for block in blocks),
        sum(block.repeated for block in blocks),
    )


def table(path: Path, name: str, scale: tuple[float, float]) -> Rated:
    """The ratings of `labels_detailed.csv`.

    Either one column holds the rater's whole line (EmoDetail), or each answer has a column.

    Args:
        path: the file.
        name: what messages call it.
        scale: the smallest and the largest value of a dimension.

    Raises:
        InputError: a missing column, a row with too few or too many fields, or a value off the scale.
    """
    found: dict[str, list[Rating]] = {}
    unreadable = repeated = 0
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        rows = _rows(reader, name)
        header = [column.strip().casefold() for column in next(rows, [])]
        rating = _reader(header, name, scale)
        place = header.index(_FILE)
        for row in rows:
            if len(row) != len(header):
                raise InputError(f"{name}:{reader.line_num}: {len(row)} fields, expected {len(header)}")
            turn = row[place].strip().removesuffix(".wav")
            one = rating(row, reader.line_num)
            if one is None:
                unreadable += 1
            elif one.rater and one in found.get(turn, ()):
                # Where raters have no names, two of them may well say the same.
                repeated += 1
            else:
                found.setdefault(turn, []).append(one)
    return Rated(found, unreadable, repeated)


def _rows(reader: Iterator[list[str]], name: str) -> Iterator[list[str]]:
    try:
        yield from (row for row in reader if row)
    except csv.Error as error:
        raise InputError(f"{name} is not readable as CSV ({error})") from None


def _reader(
    header: Sequence[str], name: str, scale: tuple[float, float]
) -> Callable[[Sequence[str], int], Rating | None]:
    """What makes a rating of a row and its line number; None for a row that is no rating."""
    if _FILE in header and _DETAIL in header:
        detail = header.index(_DETAIL)
        return lambda row, line: msp.parse_rating(row[detail], f"{name}:{line}", scale)
    needed = (_FILE, _LABEL, *(column for column, _ in _VALUES))
    missing = [column for column in needed if column not in header]
    if missing:
        raise InputError(f"{name}: {missing_columns(missing, header)}, or one column 'EmoDetail'")
    label = header.index(_LABEL)
    rater = next((header.index(column) for column in RATERS if column in header), None)
    values = [(header.index(column), attribute) for column, attribute in _VALUES]

    # Raters answer in whole numbers: a few hundred different answers stand for all rows.
    @lru_cache(maxsize=65_536)
    def answers(numbers: tuple[str, ...]) -> dict[str, float]:
        found = {}
        for (_, attribute), number in zip(values, numbers, strict=True):
            value = msp.on_scale(number, name, attribute, scale)
            if value is not None:
                found[attribute] = value
        return found

    def make(row: Sequence[str], line: int) -> Rating:
        try:
            given = answers(tuple(row[place] for place, _ in values))
        except InputError as error:
            raise InputError(f"{name}:{line}: {str(error).removeprefix(name + ': ')}") from None
        return msp.make_rating("" if rater is None else row[rater].strip(), row[label], given)

    return make
