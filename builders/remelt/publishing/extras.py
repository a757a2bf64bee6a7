"""What only some corpora know of an utterance: sex, session, cut, each rater's verdict, dimensions."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from ..records import Rating, Utterance, canonical_json
from .surrogates import unescape

PLAIN = ("sex", "session", "clip_start", "clip_end")
ATTRIBUTES, RATINGS = "attributes", "ratings"
FIELDS = (*PLAIN, ATTRIBUTES, RATINGS)
_NUMBERS = ("clip_start", "clip_end")


@dataclass(frozen=True, slots=True)
class ExtraColumns:
    """Which of these a build has; a field that no utterance of it has is no column.

    Attributes:
        fields: those of `FIELDS` that any utterance of the build has, in that order.
        attributes: the dimensions by name, sorted.
    """

    fields: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the default config, in order: a dimension is a column of its own."""
        plain = [name for name in self.fields if name in PLAIN]
        return (*plain, *self.attributes, *(name for name in self.fields if name == RATINGS))


def extras_of(utterances: Iterable[Utterance]) -> ExtraColumns:
    """Decides them from all utterances of a build, kept and dropped."""
    found: set[str] = set()
    attributes: set[str] = set()
    for row in utterances:
        found.update(name for name in PLAIN if getattr(row, name) is not None)
        if row.ratings:
            found.add(RATINGS)
        attributes.update(row.attributes)
    return _ordered(found, attributes)


class ExtrasSeen:
    """Finds them in the published annotations and dropped rows, some at a time."""

    def __init__(self) -> None:
        self._found: set[str] = set()
        self._attributes: set[str] = set()

    def add(self, table: pa.Table) -> None:
        """Looks through further rows.

        Raises:
            InputError: attributes that are no JSON object.
        """
        for name in FIELDS:
            if name in table.column_names and table[name].null_count < table.num_rows:
                self._found.add(name)
        if ATTRIBUTES in table.column_names:
            for text in pc.unique(table[ATTRIBUTES]).to_pylist():
                self._attributes.update(attributes_from(text and unescape(text), "a published row"))

    def update(self, other: ExtrasSeen) -> None:
        """Adds what was found elsewhere."""
        self._found |= other._found
        self._attributes |= other._attributes

    def columns(self) -> ExtraColumns:
        """Those found."""
        return _ordered(self._found - {ATTRIBUTES}, self._attributes)


def extras_in_tables(tables: Iterable[pa.Table]) -> ExtraColumns:
    """The same for tables, or batches of rows.

    Raises:
        InputError: attributes that are no JSON object.
    """
    seen = ExtrasSeen()
    for table in tables:
        seen.add(table)
    return seen.columns()


def _ordered(found: Collection[str], attributes: Collection[str]) -> ExtraColumns:
    fields = {*found, *([ATTRIBUTES] if attributes else [])}
    return ExtraColumns(tuple(name for name in FIELDS if name in fields), tuple(sorted(attributes)))


def check_names(names: Iterable[str], taken: Collection[str], what: str) -> None:
    """Refuses columns named like others.

    Raises:
        InputError: one of the names is taken, or stands twice.
    """
    seen = set(taken)
    for name in names:
        if not name or name in seen:
            raise InputError(f"Bad {what} {name!r}: the dataset has a column of that name already")
        seen.add(name)


def data_extras(extras: ExtraColumns) -> dict[str, Any]:
    """Their features in the default config."""
    from datasets import Value

    numbers = (*_NUMBERS, *extras.attributes)
    return {name: Value("float64" if name in numbers else "string") for name in extras.names}


def utterance_extras(extras: ExtraColumns) -> dict[str, Any]:
    """Their features in the other two configs, where the dimensions are one JSON object."""
    from datasets import Value

    return {name: Value("float64" if name in _NUMBERS else "string") for name in extras.fields}


def extra_values(rows: Sequence[Utterance], extras: ExtraColumns) -> dict[str, Sequence[Any]]:
    """The values of all these columns, those of either kind of config.

    Raises:
        InputError: a dimension that is no finite number; the message names the row.
    """
    values: dict[str, Sequence[Any]] = {
        name: [getattr(row, name) for row in rows] for name in extras.fields if name in PLAIN
    }
    for name in extras.attributes:
        values[name] = [row.attributes.get(name) for row in rows]
    if ATTRIBUTES in extras.fields:
        values[ATTRIBUTES] = [
            canonical_json(_numbers(r.attributes, r)) if r.attributes else None for r in rows
        ]
    if RATINGS in extras.fields:
        values[RATINGS] = [ratings_json(row) for row in rows]
    return values


def ratings_json(row: Utterance) -> str | None:
    """The raters' verdicts as a JSON list of {rater, labels, attributes}; None without any.

    Raises:
        InputError: a rated dimension that is no finite number.
    """
    if not row.ratings:
        return None
    return canonical_json(
        [
            {"rater": r.rater, "labels": list(r.labels), "attributes": _numbers(r.attributes, row)}
            for r in row.ratings
        ]
    )


def _numbers(values: Mapping[str, float], row: Utterance) -> dict[str, float]:
    numbers = {name: float(value) for name, value in values.items()}
    if not all(map(math.isfinite, numbers.values())):
        raise InputError(f"Bad attributes {dict(values)!r} of {row.id}, expected finite numbers")
    return numbers


def extras_from(row: Mapping[str, Any]) -> dict[str, Any]:
    """An utterance's own values of these fields from a published row, for `Utterance`.

    Raises:
        InputError: attributes or ratings that are not the JSON they should be.
    """
    place = str(row.get("id"))
    return {
        **{name: row.get(name) for name in PLAIN},
        RATINGS: ratings_from(row.get(RATINGS), place),
        ATTRIBUTES: attributes_from(row.get(ATTRIBUTES), place),
    }


def attributes_from(text: str | None, place: str) -> dict[str, float]:
    """The dimensions in a published JSON object; none where there is none.

    Raises:
        InputError: it is no JSON object of numbers.
    """
    if text is None:
        return {}
    try:
        return {str(name): float(value) for name, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        raise InputError(f"Bad attributes {text!r} of {place}, expected a JSON object of numbers") from None


def ratings_from(text: str | None, place: str) -> tuple[Rating, ...]:
    """The raters' verdicts in a published JSON list; none where there is none.

    Raises:
        InputError: it is no list as `ratings_json` writes it.
    """
    if text is None:
        return ()
    try:
        return tuple(
            Rating(
                str(one["rater"]),
                tuple(str(label) for label in one["labels"]),
                {str(name): float(value) for name, value in one["attributes"].items()},
            )
            for one in json.loads(text)
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(
            f"Bad ratings {text!r} of {place}, expected a JSON list of rater, labels and attributes"
        ) from None
