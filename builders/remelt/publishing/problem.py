"""One finding of the verification."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_MOST = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a dataset folder.

    Attributes:
        place: the file or folder (relative to the dataset folder) or the manifest's key it is about.
        message: what is wrong, with the values found and expected.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def listed(place: str, what: str, found: Iterable[str]) -> Iterator[Problem]:
    """One problem for all the rows that have it, with up to five of their names; none where none has."""
    names = sorted(found)
    if names:
        more = ", ..." if len(names) > _MOST else ""
        yield Problem(place, f"{len(names)} {what}: {', '.join(names[:_MOST])}{more}")
