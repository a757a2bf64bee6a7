"""What every acoustics backend promises, and how contours become the measures that all backends share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from . import loudness, rhythm

Samples = NDArray[np.float32]
Contour = NDArray[np.float64]

# Everything is measured at this rate: loudness in eGeMAPS grows by a factor of 1.8 from 16 to 48 kHz.
RATE = loudness.RATE
REFERENCE_HZ = 27.5
F0_RANGE = (55.0, 1000.0)

MEASURES = (
    "f0_semitone_mean",
    "f0_semitone_std",
    "f0_semitone_range",
    "voiced_share",
    "loudness_mean",
    "loudness_std",
    "syllable_rate",
    "pause_share",
    "pauses",
)

_CONTOUR = (
    "amean", "stddevNorm", "percentile20.0", "percentile50.0", "percentile80.0", "pctlrange0-2",
    "meanRisingSlope", "stddevRisingSlope", "meanFallingSlope", "stddevFallingSlope",
)  # fmt: skip
_CEPSTRUM = ("mfcc1", "mfcc2", "mfcc3", "mfcc4")
_VOICED = (
    "jitterLocal", "shimmerLocaldB", "HNRdBACF", "logRelF0-H1-H2", "logRelF0-H1-A3",
    "F1frequency", "F1bandwidth", "F1amplitudeLogRelF0", "F2frequency", "F2bandwidth",
    "F2amplitudeLogRelF0", "F3frequency", "F3bandwidth", "F3amplitudeLogRelF0",
    "alphaRatioV", "hammarbergIndexV", "slopeV0-500", "slopeV500-1500", "spectralFluxV",
    *(f"{name}V" for name in _CEPSTRUM),
)  # fmt: skip
_UNVOICED = ("alphaRatioUV", "hammarbergIndexUV", "slopeUV0-500", "slopeUV500-1500", "spectralFluxUV")

# The 88 parameters of eGeMAPSv02 in openSMILE's order and under its names (Eyben et al. 2016, section 3).
FUNCTIONALS = (
    *(f"F0semitoneFrom27.5Hz_sma3nz_{what}" for what in _CONTOUR),
    *(f"loudness_sma3_{what}" for what in _CONTOUR),
    *(f"{name}_sma3_{what}" for name in ("spectralFlux", *_CEPSTRUM) for what in _CONTOUR[:2]),
    *(f"{name}_sma3nz_{what}" for name in _VOICED for what in _CONTOUR[:2]),
    *(f"{name}_sma3nz_amean" for name in _UNVOICED),
    "loudnessPeaksPerSec", "VoicedSegmentsPerSec", "MeanVoicedSegmentLengthSec",
    "StddevVoicedSegmentLengthSec", "MeanUnvoicedSegmentLength", "StddevUnvoicedSegmentLength",
    "equivalentSoundLevel_dBp",
)  # fmt: skip


class Backend(Protocol):
    """One way to measure a voice.

    Attributes:
        name: the module's `NAME`.
        version: changes whenever the values may; measurements are kept under it.
        licence: of the package that does the work.
        notice: what the licence asks of those who use the values; empty where it asks nothing.
        measures: the names of the values in their order.
    """

    name: str
    version: str
    licence: str
    notice: str
    measures: tuple[str, ...]

    def measure(self, samples: Samples) -> dict[str, float | None]:
        """The measures of one clip, all of `measures`; None where the sound has no such value.

        Args:
            samples: mono at 16 kHz, in [-1, 1], shape (n,). Nothing in it makes this raise: NaN and
                infinities count as silence.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Pitch:
    """A contour of F0.

    Attributes:
        semitones: over 27.5 Hz for each frame, shape (frames,); NaN in unvoiced frames.
        first: time of the first frame's centre, in seconds.
        hop: seconds between frames.
    """

    semitones: Contour
    first: float
    hop: float


def clean(samples: Samples) -> Contour:
    """Samples as float64 with NaN and infinities as 0, clipped to four times full scale."""
    finite = np.nan_to_num(np.asarray(samples, np.float64).ravel(), nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -4.0, 4.0)


def semitones(hertz: Contour) -> Contour:
    """Semitones over 27.5 Hz; NaN where the frequency is not above 0.

    >>> semitones(np.array([27.5, 55.0, 0.0])).tolist()
    [0.0, 12.0, nan]
    """
    voiced = np.where(hertz > 0, hertz, np.nan)
    return np.asarray(12 * np.log2(voiced / REFERENCE_HZ), np.float64)


def smoothed(contour: Contour) -> Contour:
    """Mean of three frames, of those that are voiced; unvoiced frames (NaN) stay so (GeMAPS, section 3)."""
    if not len(contour):
        return contour
    voiced = np.isfinite(contour)
    padded = np.pad(np.where(voiced, contour, 0.0), 1, mode="edge")
    count = np.pad(voiced.astype(np.float64), 1, mode="edge")
    total = padded[:-2] + padded[1:-1] + padded[2:]
    return np.where(voiced, total / np.maximum(count[:-2] + count[1:-1] + count[2:], 1.0), np.nan)


def summarise(samples: Contour, pitch: Pitch, loud: Contour) -> dict[str, float | None]:
    """The values of `MEASURES`.

    Args:
        samples: mono at 16 kHz, finite, shape (n,).
        pitch: the contour of F0.
        loud: perceptual loudness for each 10 ms, shape (frames,).
    """
    voiced = pitch.semitones[np.isfinite(pitch.semitones)]
    found: dict[str, float | None] = dict.fromkeys(MEASURES)
    if len(voiced):
        low, high = np.percentile(voiced, [20, 80])
        found["f0_semitone_mean"] = float(voiced.mean())
        found["f0_semitone_std"] = float(voiced.std())
        found["f0_semitone_range"] = float(high - low)
    if len(pitch.semitones):
        found["voiced_share"] = len(voiced) / len(pitch.semitones)
    if len(loud):
        found["loudness_mean"] = float(loud.mean())
        found["loudness_std"] = float(loud.std())
    heard = rhythm.measure(samples, np.isfinite(pitch.semitones), pitch.first, pitch.hop)
    if heard is not None:
        found["syllable_rate"] = heard.syllable_rate
        found["pause_share"] = heard.pause_share
        found["pauses"] = float(heard.pauses)
    return rounded(found)


def rounded(values: dict[str, float | None]) -> dict[str, float | None]:
    """Seven significant digits, which is what float32 arithmetic holds; not-a-numbers become None.

    >>> rounded({"a": 1 / 3, "b": float("nan")})
    {'a': 0.3333333, 'b': None}
    """
    return {
        name: None if value is None or not math.isfinite(value) else float(f"{value:.7g}")
        for name, value in values.items()
    }
