"""F0 from the small neural network SwiftF0 (Nieradzik 2025, arXiv:2508.18440), loudness from `loudness`."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from ..optional import package
from . import loudness
from .base import F0_RANGE, MEASURES, RATE, Pitch, Samples, clean, semitones, summarise
from .functionals import Functionals

NAME = "swift-f0"
LICENCE = "MIT (swift-f0)"
_VOICED_FROM = 0.5
_HOP = 256 / RATE
_LEAST_SAMPLES = RATE * 60 // 1000


def create(functionals: bool = False) -> SwiftF0:
    """The backend.

    Raises:
        InputError: swift-f0 is not installed.
    """
    return SwiftF0(functionals)


class SwiftF0:
    """The network's F0 in frames it calls voiced, every 16 ms."""

    name = NAME
    licence = LICENCE
    notice = ""

    def __init__(self, functionals: bool) -> None:
        # One thread: clips are spread over processes, and the sums come out the same everywhere.
        self._detector = package("swift_f0").SwiftF0(threads=1, spin=False)
        self._rest = Functionals(functionals)
        self.version = f"swift-f0 {version('swift-f0')}, loudness {loudness.VERSION}{self._rest.version}"
        self.measures = (*MEASURES, *self._rest.names)

    def measure(self, samples: Samples) -> dict[str, float | None]:
        """See `base.Backend`."""
        signal = clean(samples)
        contour = np.zeros(0)
        if len(signal) >= _LEAST_SAMPLES:
            low, high = F0_RANGE
            found = self._detector.detect(signal.astype(np.float32), RATE, fmin=low, fmax=high)
            contour = semitones(np.where(found.confidence >= _VOICED_FROM, found.pitch_hz, 0.0))
        pitch = Pitch(contour, first=0.0, hop=_HOP)
        return {**summarise(signal, pitch, loudness.contour(signal)), **self._rest.measure(signal)}
