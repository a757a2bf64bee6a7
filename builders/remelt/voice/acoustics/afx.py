"""eGeMAPSv02 through afx-audio: all 88 functionals under a permissive licence, slower than the others.

It follows Eyben et al. (2016) and openSMILE's parameters; how near the functionals come to openSMILE's own
is in docs/acoustics.md.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from ..optional import package
from .base import MEASURES, RATE, Pitch, Samples, clean, summarise
from .functionals import Functionals

NAME = "afx"
LICENCE = "MIT (afx-audio)"
# Its longest frame; shorter clips have no F0.
_LEAST_SAMPLES = RATE * 60 // 1000


def create(functionals: bool = False) -> Afx:
    """The backend.

    Raises:
        InputError: afx-audio is not installed.
    """
    return Afx(functionals)


class Afx:
    """Contours of loudness and F0, and with `functionals` all 88, from afx-audio."""

    name = NAME
    licence = LICENCE
    notice = ""

    def __init__(self, functionals: bool) -> None:
        self._package = package("afx_audio")
        self._rest = Functionals(functionals)
        self.version = f"afx-audio {version('afx-audio')}{self._rest.version}"
        self.measures = (*MEASURES, *self._rest.names)

    def measure(self, samples: Samples) -> dict[str, float | None]:
        """See `base.Backend`."""
        signal = clean(samples)
        pitch, loud = np.zeros(0), np.zeros(0)
        if len(signal) >= _LEAST_SAMPLES:
            names = self._package.EGEMAPS_LLD_NAMES
            rows = self._package.FEATURE_MAP["egemaps_lld"](signal, RATE)["egemaps_lld"]
            # The last four frames of 20 ms have no frame of 60 ms about them, so no F0.
            pitch = rows[names.index("F0semitoneFrom27.5Hz_sma3nz")][:-4]
            loud = rows[names.index("Loudness_sma3")]
        contour = Pitch(pitch, first=0.030, hop=0.010)
        return {**summarise(signal, contour, loud), **self._rest.measure(signal)}
