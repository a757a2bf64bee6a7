"""One finding of the verification."""

from __future__ import annotations

from bisect import insort
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


class Listing:
    """Rows that have one problem: how many they are, and up to five of their names.

    Args:
        what: what is wrong with them.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0
        self._first: list[str] = []

    def add(self, names: Iterable[str]) -> None:
        """Further rows that have it."""
        for name in names:
            self._count += 1
            if len(self._first) < _MOST or name < self._first[-1]:
                insort(self._first, name)
                del self._first[_MOST:]

    def problems(self, place: str) -> Iterator[Problem]:
        """One problem for all of them; none where there is no row."""
        if self._count:
            more = ", ..." if self._count > _MOST else ""
            yield Problem(place, f"{self._count} {self._what}: {', '.join(self._first)}{more}")


def listed(place: str, what: str, found: Iterable[str]) -> Iterator[Problem]:
    """One problem for all the rows that have it, with up to five of their names; none where none has."""
    listing = Listing(what)
    listing.add(found)
    yield from listing.problems(place)
