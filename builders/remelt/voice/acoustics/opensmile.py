"""eGeMAPSv02 through audEERING's openSMILE, the reference of the field.

Eyben et al. (2016), "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for Voice Research and
Affective Computing", IEEE Transactions on Affective Computing 7(2).
"""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np

from ..optional import package
from .base import FUNCTIONALS, MEASURES, RATE, Pitch, Samples, clean, rounded, summarise

NAME = "opensmile"
LICENCE = "audEERING Research License (research only, no commercial use)"
NOTICE = (
    "Measured with openSMILE, whose licence allows research only and covers the features extracted with it: "
    "these columns may not be used commercially without a licence of audEERING."
)
# Under this the longest frame does not fit.
_LEAST_SAMPLES = RATE // 10


def create(functionals: bool = False) -> OpenSmile:
    """The backend.

    Raises:
        InputError: openSMILE is not installed.
    """
    return OpenSmile(functionals)


class OpenSmile:
    """Pitch and loudness, and with `functionals` all 88, from openSMILE itself."""

    name = NAME
    licence = LICENCE
    notice = NOTICE

    def __init__(self, functionals: bool) -> None:
        self._package = package("opensmile", "opensmile")
        self._functionals = functionals
        self.version = f"opensmile {version('opensmile')} eGeMAPSv02"
        self.measures = (*MEASURES, *FUNCTIONALS) if functionals else MEASURES

    @cached_property
    def _descriptors(self) -> Any:
        return self._smile(self._package.FeatureLevel.LowLevelDescriptors)

    @cached_property
    def _summaries(self) -> Any:
        return self._smile(self._package.FeatureLevel.Functionals)

    def _smile(self, level: Any) -> Any:
        return self._package.Smile(feature_set=self._package.FeatureSet.eGeMAPSv02, feature_level=level)

    def measure(self, samples: Samples) -> dict[str, float | None]:
        """See `base.Backend`."""
        signal = clean(samples)
        summary, voiced = None, np.zeros(0)
        if len(signal) >= _LEAST_SAMPLES:
            single = signal.astype(np.float32)
            summary = self._summaries.process_signal(single, RATE).iloc[0].to_dict()
            # The contours are only needed for what openSMILE has no functional of: they end three frames
            # before those that its functionals are made of.
            table = self._descriptors.process_signal(single, RATE)
            voiced = np.asarray(table["F0semitoneFrom27.5Hz_sma3nz"].to_numpy(), np.float64)
        contour = Pitch(np.where(voiced > 0, voiced, np.nan), first=0.030, hop=0.010)
        found = {**summarise(signal, contour, np.zeros(0)), **_own(summary)}
        if self._functionals:
            found.update(dict.fromkeys(FUNCTIONALS) if summary is None else rounded(summary))
        return found


def _own(summary: dict[str, float] | None) -> dict[str, float | None]:
    """openSMILE's functionals under remelt's names; those of F0 are 0 where nothing is voiced."""
    pitch, loud = "F0semitoneFrom27.5Hz_sma3nz", "loudness_sma3"
    names = ("f0_semitone_mean", "f0_semitone_std", "f0_semitone_range", "loudness_mean", "loudness_std")
    found: dict[str, float | None] = dict.fromkeys(names)
    if summary is not None:
        if summary[f"{pitch}_amean"] > 0:
            found["f0_semitone_mean"] = summary[f"{pitch}_amean"]
            found["f0_semitone_std"] = summary[f"{pitch}_stddevNorm"] * summary[f"{pitch}_amean"]
            found["f0_semitone_range"] = summary[f"{pitch}_pctlrange0-2"]
        found["loudness_mean"] = summary[f"{loud}_amean"]
        found["loudness_std"] = summary[f"{loud}_stddevNorm"] * summary[f"{loud}_amean"]
    return rounded(found)
