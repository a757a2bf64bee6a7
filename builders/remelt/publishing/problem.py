"""One finding of the verification."""

from __future__ import annotations

from dataclasses import dataclass


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
