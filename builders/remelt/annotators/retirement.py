"""When a model is switched off, as a server's listing of models tells it, and the sentence that warns of it.

A listing (`GET /models`) is no more than a list of names to most servers. Some say when a model goes: OpenAI
`shutdown_date` ("2027-01-14" or null), OpenRouter `expiration_date`, Azure OpenAI `deprecation.inference`
(seconds since 1970), Mistral `deprecation` (a time in ISO 8601); gateways pass such fields on under names of
their own.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from typing import Any

SOON = 90
"""Days before a model's end from which on a build warns of it."""

# The plainest first: a model is often called deprecated long before it is switched off.
_FIELDS = (
    "shutdown_date", "retirement_date", "retires_at", "retires", "expiration_date",
    "expiry_date", "sunset_date", "end_of_life_date", "end_of_life", "eol_date", "deprecation",
    "deprecation_date",
)  # fmt: skip
# Objects in which they lie; `inference` is what Azure calls the end of answering.
_WITHIN = ("lifecycle", "deprecation", "info", "model_info", "metadata")
_INNER = ("inference", "date", "shutdown", "retirement", "expiration")
_MILLISECONDS = 1e11
_EARLIEST, _LATEST = 2015, 2100
_SHOWN = 60


def announced(entry: Mapping[str, Any]) -> tuple[str | None, str]:
    """The day on which a model is switched off, as its entry in a listing tells it.

    Args:
        entry: the model's object in `GET /models`, or the object of `GET /models/ID`.

    Returns:
        The ISO date, None where none is told; and a sentence about a field that should hold a date and does
        not, empty without one.

    >>> announced({"id": "m", "shutdown_date": "2027-01-14"})
    ('2027-01-14', '')
    >>> announced({"id": "m", "deprecation": {"fine_tune": 1677662127, "inference": 1709284527}})
    ('2024-03-01', '')
    >>> announced({"id": "m", "expiration_date": None})
    (None, '')
    >>> announced({"id": "m", "shutdown_date": "soon"})
    (None, "the field 'shutdown_date' is no date: 'soon'")
    """
    problem = ""
    for name, value in _candidates(entry):
        if value is None or isinstance(value, bool) or value == "" or value == 0:
            continue
        date = as_date(value)
        if date is not None:
            return date, ""
        problem = problem or f"the field {name!r} is no date: {str(value)[:_SHOWN]!r}"
    return None, problem


def _candidates(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every field that may tell the day, the plainest first; an object is looked into one level deep."""
    inside = [(name, entry[name]) for name in _WITHIN if isinstance(entry.get(name), Mapping)]
    for name in _FIELDS:
        if not isinstance(entry.get(name), Mapping):
            yield name, entry.get(name)
        for outer, found in inside:
            if not isinstance(found.get(name), Mapping):
                yield f"{outer}.{name}", found.get(name)
    for outer, found in inside:
        if outer in ("lifecycle", "deprecation"):
            for name in _INNER:
                if not isinstance(found.get(name), Mapping):
                    yield f"{outer}.{name}", found.get(name)


def as_date(value: Any) -> str | None:
    """The ISO date of a date, a time in ISO 8601, or seconds or milliseconds since 1970 (UTC).

    None for what is neither, or lies before 2015 or after 2100.

    >>> as_date("2027-01-14T00:00:00Z"), as_date(1799884800), as_date("1799884800000"), as_date("GA")
    ('2027-01-14', '2027-01-14', '2027-01-14', None)
    """
    try:
        if isinstance(value, str):
            text = value.strip()
            try:
                found = _day(text)
            except ValueError:
                found = _since_1970(float(text))
        else:
            found = _since_1970(float(value))
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return found.isoformat() if _EARLIEST <= found.year <= _LATEST else None


def _day(text: str) -> datetime.date:
    if len(text) == len("2027-01-14"):
        return datetime.date.fromisoformat(text)
    if text.isdigit():
        raise ValueError("a number of seconds")
    # Python 3.10 knows neither the Z nor fractions of other than three or six digits.
    head, sign, zone = _without_fraction(text.replace("Z", "+00:00").replace("z", "+00:00"))
    moment = datetime.datetime.fromisoformat(head.replace(" ", "T", 1) + sign + zone)
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.timezone.utc)
    return moment.date()


def _without_fraction(text: str) -> tuple[str, str, str]:
    whole, dot, rest = text.partition(".")
    if not dot:
        return text, "", ""
    zone = rest.lstrip("0123456789")
    return whole, zone[:1], zone[1:]


def _since_1970(seconds: float) -> datetime.date:
    if not math.isfinite(seconds):
        raise ValueError("no moment")
    if abs(seconds) >= _MILLISECONDS:
        seconds /= 1000
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).date()


def days_left(retires: str, today: datetime.date | None = None) -> int:
    """Days until a model is switched off; 0 and less from that day on.

    >>> days_left("2027-01-14", datetime.date(2027, 1, 4))
    10
    """
    return (datetime.date.fromisoformat(retires) - (today or utc_today())).days


def utc_today() -> datetime.date:
    """Today's date in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).date()


def sentence(model: str, retires: str, today: datetime.date | None = None) -> str:
    """What to know of a model's end, near or far.

    >>> sentence("m", "2027-01-14", datetime.date(2027, 1, 4))
    'm is switched off on 2027-01-14 (in 10 days)'
    >>> sentence("m", "2027-01-14", datetime.date(2027, 1, 14))
    'm was switched off on 2027-01-14'
    """
    left = days_left(retires, today)
    if left <= 0:
        return f"{model} was switched off on {retires}"
    return f"{model} is switched off on {retires} (in {left:,} day{'' if left == 1 else 's'})"


def warning(model: str, retires: str | None, today: datetime.date | None = None) -> str:
    """What to say of a model that is switched off within `SOON` days, or has been; empty of any other.

    >>> warning("m", "2027-01-14", datetime.date(2026, 1, 1)), warning("m", None)
    ('', '')
    """
    if not retires or days_left(retires, today) > SOON:
        return ""
    return (
        f"{sentence(model, retires, today)}; what is asked after that day fails. `remelt migrate` shows how "
        "near another model comes to a dataset"
    )
