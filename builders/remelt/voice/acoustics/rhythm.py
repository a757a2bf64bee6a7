"""Syllables and pauses, after de Jong & Wempe (2009), "Praat script to detect syllable nuclei and measure
speech rate automatically", Behavior Research Methods 41(2).

A syllable nucleus is a peak of intensity in a voiced place that is loud enough and stands out from the dip
before it. The rate is nuclei per second from the first to the last sound, pauses included; the number comes
out low in fast or slurred speech, where neighbouring vowels share one peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
HOP_SECONDS = 0.010
_HOP = 160
# Long enough to even out the single periods of a low voice.
_WINDOW = 1024
_BLOCK = 2000
# Below this, re full scale, there is nothing to hear.
_FLOOR_DB = -70.0
# Silence is so far below the loud parts (99th percentile of the frames) of the same clip.
SILENCE_DB = -25.0
PAUSE_SECONDS = 0.25
DIP_DB = 2.0
# A shorter sound between two silences is a click.
_SOUND_SECONDS = 0.05
# How far from a peak of intensity voicing may be found: the frames of F0 and of intensity differ.
_VOICED_WITHIN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Of one clip.

    Attributes:
        seconds: from the first to the last sound.
        nuclei: centres of syllables, in seconds from the clip's start.
        pauses: how many silences of 0.25 s or more lie between first and last sound.
        paused: seconds in them.
    """

    seconds: float
    nuclei: tuple[float, ...]
    pauses: int
    paused: float

    @property
    def syllable_rate(self) -> float:
        """Nuclei per second, pauses included."""
        return len(self.nuclei) / self.seconds

    @property
    def pause_share(self) -> float:
        """Share of the time from first to last sound that is pause."""
        return self.paused / self.seconds


def measure(
    samples: NDArray[np.float64], voiced: NDArray[np.bool_], first: float, hop: float
) -> Rhythm | None:
    """Syllables and pauses; None for a clip without a sound.

    Args:
        samples: mono at 16 kHz, finite, shape (n,).
        voiced: for each frame of F0, whether it is voiced, shape (frames,).
        first: time of the first of these frames' centres, in seconds.
        hop: seconds between these frames.
    """
    level = intensity(samples)
    if not len(level) or level.max() <= _FLOOR_DB:
        return None
    loud = float(np.percentile(level, 99))
    sounding = level > max(loud + SILENCE_DB, _FLOOR_DB)
    for begin, end in runs(sounding):
        if (end - begin) * HOP_SECONDS < _SOUND_SECONDS:
            sounding[begin:end] = False
    heard = np.flatnonzero(sounding)
    if not len(heard):
        return None
    begin, end = int(heard[0]), int(heard[-1]) + 1
    silences = [stop - start for start, stop in runs(~sounding[begin:end])]
    pauses = [frames for frames in silences if frames * HOP_SECONDS >= PAUSE_SECONDS - 1e-9]
    times = (np.arange(len(level)) + 0.5) * HOP_SECONDS
    peaks = [float(times[peak]) for peak in _peaks(level, sounding)]
    nuclei = [time for time in peaks if _near(time, voiced, first, hop)]
    return Rhythm((end - begin) * HOP_SECONDS, tuple(nuclei), len(pauses), sum(pauses) * HOP_SECONDS)


def intensity(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level of each 10 ms in dB re full scale under a 64 ms Hann window about it, shape (frames,)."""
    count = len(samples) // _HOP
    if not count:
        return np.zeros(0)
    window = np.hanning(_WINDOW + 2)[1:-1]
    window /= window.sum()
    before = (_WINDOW - _HOP) // 2
    padded = np.pad(samples, (before, _WINDOW))
    power = np.empty(count)
    views = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:count]
    for begin in range(0, count, _BLOCK):
        part = views[begin : begin + _BLOCK]
        power[begin : begin + _BLOCK] = np.einsum("ij,ij,j->i", part, part, window)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)), np.float64)


def _peaks(level: NDArray[np.float64], sounding: NDArray[np.bool_]) -> list[int]:
    """Frames that are higher than the dips to both sides by `DIP_DB`, and above the median of the sound."""
    least = float(np.median(level[sounding]))
    peaks: list[int] = []
    low = high = 0
    rising = True
    for frame in range(1, len(level)):
        if level[frame] > level[high]:
            high = frame
        if level[frame] < level[low]:
            low = frame
        if rising and level[high] - level[frame] > DIP_DB:
            peaks.append(high)
            rising, low = False, frame
        elif not rising and level[frame] - level[low] > DIP_DB:
            rising, high = True, frame
    if rising and level[high] - level[low] > DIP_DB:
        peaks.append(high)
    return [peak for peak in peaks if level[peak] >= least and sounding[peak]]


def _near(time: float, voiced: NDArray[np.bool_], first: float, hop: float) -> bool:
    begin = max(0, int(np.ceil((time - _VOICED_WITHIN_SECONDS - first) / hop)))
    end = int(np.floor((time + _VOICED_WITHIN_SECONDS - first) / hop)) + 1
    return bool(voiced[begin : max(end, 0)].any())


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Begin and end of each stretch that is True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
