"""All 88 functionals of eGeMAPSv02 for the backends that have none of their own, from afx-audio (MIT)."""

from __future__ import annotations

from importlib.metadata import version

from ..optional import package
from .base import FUNCTIONALS, RATE, Contour, rounded

# The longest frame, which F0, jitter and harmonics need.
_LEAST_SAMPLES = RATE * 60 // 1000


class Functionals:
    """The 88 values where they are asked for, else nothing.

    Attributes:
        names: of the values; empty where they are not asked for.
        version: to add to a backend's own; empty likewise.

    Raises:
        InputError: they are asked for and afx-audio is not installed.
    """

    def __init__(self, wanted: bool) -> None:
        self.names: tuple[str, ...] = FUNCTIONALS if wanted else ()
        self.version = ""
        if wanted:
            self._package = package("afx_audio")
            self.version = f", functionals afx-audio {version('afx-audio')}"

    def measure(self, samples: Contour) -> dict[str, float | None]:
        """The functionals of a clip; None in all where it is too short or has no sound at all.

        Args:
            samples: mono at 16 kHz, finite, shape (n,).
        """
        if not self.names:
            return {}
        if len(samples) < _LEAST_SAMPLES or not samples.any():
            return dict.fromkeys(FUNCTIONALS)
        return rounded({name: float(value) for name, value in self._package.egemaps(samples, RATE).items()})
