"""F0 by subharmonic summation, which eGeMAPS uses too, and loudness from `loudness`; numpy and scipy only.

Hermes (1988), "Measurement of pitch by subharmonic summation", JASA 83(1): the spectrum is taken on a
logarithmic axis, where a harmonic series is the same pattern at every pitch, and copies of it shifted by
log2 n and weakened by 0.85 for each n up to 15 are added up; peaks of the sum are candidates for F0. Window,
range, number of harmonics and weakening are those of Eyben et al. (2016), section 3.1. The path through the
candidates is the cheapest one (dynamic programming, as in Talkin 1995), voiced where a candidate stands out
from the mean of the sum. Hermes's sharpening of the spectrum is left out: without it the contour is nearer to
openSMILE's.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..optional import package
from . import loudness
from .base import F0_RANGE, MEASURES, RATE, REFERENCE_HZ, Contour, Pitch, Samples, clean, smoothed, summarise
from .functionals import Functionals
from .rhythm import runs

NAME = "shs"
LICENCE = "Apache-2.0 (remelt)"
# Changes whenever the values do.
VERSION = 1

_HOP = RATE // 100
_WINDOW = RATE * 60 // 1000
_FFT = 1024
# Standard deviation of the Gaussian window, in half windows.
_SIGMA = 0.4
_POINTS_PER_OCTAVE = 48
_LOWEST_HZ = 25.0
_HARMONICS = 15
_WEAKENING = 0.85
_CANDIDATES = 6
_BLOCK = 1000
# Frames under -60 dB of full scale are unvoiced.
_LEAST_RMS = 0.001
# A candidate is voiced where the mean of the sum is less than 1 - 0.7 of it. The other weights are costs per
# factor e of strength, per unit of voicing, per octave of change, and per change of voicing. Adjusted on real
# speech for agreement with openSMILE frame by frame; halving or doubling any of them moves it by under 0.4 %.
_VOICED_FROM = 0.70
_WEAKER, _VOICING, _OCTAVE, _SWITCH = 10.0, 7.5, 2.0, 0.55


def create(functionals: bool = False) -> Shs:
    """The backend.

    Raises:
        InputError: scipy is not installed, or functionals are wanted and afx-audio is not.
    """
    return Shs(functionals)


class Shs:
    """remelt's own measurement, near to openSMILE's and several times as fast."""

    name = NAME
    licence = LICENCE
    notice = ""

    def __init__(self, functionals: bool) -> None:
        _interpolation()
        self._rest = Functionals(functionals)
        self.version = f"remelt shs {VERSION}, loudness {loudness.VERSION}{self._rest.version}"
        self.measures = (*MEASURES, *self._rest.names)

    def measure(self, samples: Samples) -> dict[str, float | None]:
        """See `base.Backend`."""
        signal = clean(samples)
        pitch = Pitch(contour(signal), first=_WINDOW / 2 / RATE, hop=_HOP / RATE)
        return {**summarise(signal, pitch, loudness.contour(signal)), **self._rest.measure(signal)}


def contour(samples: Contour) -> Contour:
    """F0 in semitones over 27.5 Hz of each 60 ms frame, every 10 ms, NaN where unvoiced, shape (frames,).

    Args:
        samples: mono at 16 kHz, finite, shape (n,); under 60 ms there are no frames.
    """
    if len(samples) < _WINDOW:
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    octaves = np.zeros((len(frames), _CANDIDATES))
    costs = np.full((len(frames), _CANDIDATES), np.inf)
    # Blocks keep memory flat on long recordings.
    for begin in range(0, len(frames), _BLOCK):
        windowed = frames[begin : begin + _BLOCK] * _axis()[0]
        loud = np.einsum("ij,ij->i", windowed, windowed) > _WINDOW * _LEAST_RMS**2
        if loud.any():
            at = begin + np.flatnonzero(loud)
            octaves[at], costs[at] = _candidates(windowed[loud])
    path = np.full(len(frames), np.nan)
    for begin, end in runs(np.isfinite(costs[:, 0])):
        path[begin:end] = _path(octaves[begin:end], costs[begin:end])
    return smoothed(12 * (path - np.log2(REFERENCE_HZ)))


def _candidates(windowed: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Candidates (log2 of Hz) and what each costs, best first, shape (frames, 6); infinite for none."""
    _, axis, weights = _axis()
    magnitudes = np.ascontiguousarray(np.abs(np.fft.rfft(windowed, _FFT)).T)
    spectrum = np.maximum(_interpolation() @ magnitudes, 0.0) * weights[:, None]
    low, high = np.searchsorted(axis, np.log2(F0_RANGE))
    total = np.zeros((high - low + 2, len(windowed)))
    # How often a point of the spectrum is part of the whole sum, over all its points.
    times = np.zeros(len(axis))
    for shift, weight in _shifts():
        copy = spectrum[low - 1 + shift : high + 1 + shift]
        total[: len(copy)] += weight * copy
        times[shift:] += weight / len(axis)
    mean = np.einsum("i,ij->j", times, spectrum)
    inner = total[1:-1]
    peaks = np.where((inner > total[:-2]) & (inner >= total[2:]), inner, 0.0)
    best = _largest(peaks)
    strength = np.take_along_axis(peaks, best, 0)
    before, after = np.take_along_axis(total, best, 0), np.take_along_axis(total, best + 2, 0)
    bend = before - 2 * strength + after
    # The vertex of the parabola through a peak and its neighbours.
    vertex = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    octaves = axis[low] + (best + vertex) / _POINTS_PER_OCTAVE
    safe = np.maximum(strength, 1e-30)
    voicing = 1 - mean / safe[0]
    cost = _WEAKER * np.log(safe[0] / safe) + _VOICING * (_VOICED_FROM - voicing)
    return octaves.T, np.where(strength > 0, cost, np.inf).T


def _largest(peaks: NDArray[np.float64]) -> NDArray[np.intp]:
    """Places of the largest values of each column, largest first, shape (6, columns)."""
    rows = np.ascontiguousarray(-peaks.T)
    some = np.argpartition(rows, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    order = np.argsort(np.take_along_axis(rows, some, 1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(some, order, 1).T, np.intp)


def _path(octaves: NDArray[np.float64], costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cheapest way through the candidates, being unvoiced among them: log2 of Hz, NaN where unvoiced."""
    frames = len(octaves)
    own = np.concatenate([costs, np.zeros((frames, 1))], axis=1)
    steps = np.full((_CANDIDATES + 1, _CANDIDATES + 1), _SWITCH)
    steps[-1, -1] = 0.0
    jumps = _OCTAVE * np.abs(octaves[:-1, :, None] - octaves[1:, None, :])
    cost = own[0]
    origins = np.zeros((frames, _CANDIDATES + 1), np.intp)
    columns = np.arange(_CANDIDATES + 1)
    for frame in range(1, frames):
        steps[:-1, :-1] = jumps[frame - 1]
        ways = cost[:, None] + steps
        origins[frame] = ways.argmin(axis=0)
        cost = ways[origins[frame], columns] + own[frame]
    path = np.full(frames, np.nan)
    state = int(cost.argmin())
    for frame in range(frames - 1, -1, -1):
        if state < _CANDIDATES:
            path[frame] = octaves[frame, state]
        state = int(origins[frame, state])
    return path


@cache
def _axis() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The window, the points of the logarithmic axis (log2 of Hz) and Hermes's weights of hearing."""
    half = (_WINDOW - 1) / 2
    window = np.exp(-0.5 * ((np.arange(_WINDOW) - half) / (_SIGMA * half)) ** 2)
    axis = np.arange(np.log2(_LOWEST_HZ), np.log2(RATE / 2), 1 / _POINTS_PER_OCTAVE)
    return window, axis, 0.5 + np.arctan(3 * (axis - np.log2(65.0))) / np.pi


@cache
def _shifts() -> list[tuple[int, float]]:
    """How far each harmonic's copy is shifted, in points, and its weight."""
    return [
        (round(float(np.log2(harmonic)) * _POINTS_PER_OCTAVE), _WEAKENING ** (harmonic - 1))
        for harmonic in range(1, _HARMONICS + 1)
    ]


@cache
def _interpolation() -> Any:
    """The cubic spline from the bins of the spectrum to the logarithmic axis, as a sparse matrix."""
    dense = spline(_FFT // 2 + 1, 2.0 ** _axis()[1] * _FFT / RATE)
    # A spline's dependence on far bins dies away by a factor of 3.7 per bin.
    dense[np.abs(dense) < 1e-6] = 0.0
    return package("scipy.sparse").csr_matrix(dense)


def spline(knots: int, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The natural cubic spline through values at 0, 1, ..., read at some points, as a matrix.

    Its own, because scipy's module for it takes longer to load than ten clips to measure.

    Args:
        knots: how many values there are.
        points: where to read, from 0 to knots - 1.

    Returns:
        What to multiply the values with, shape (points, knots).
    """
    unit = np.eye(knots)
    curves = np.diag(np.full(knots, 4.0)) + np.eye(knots, k=1) + np.eye(knots, k=-1)
    bends = np.zeros((knots, knots))
    bends[1:-1] = np.linalg.solve(curves[1:-1, 1:-1], 6 * np.diff(unit, 2, axis=0))
    left = np.minimum(points.astype(np.intp), knots - 2)
    after = (points - left)[:, None]
    before = 1 - after
    straight = before * unit[left] + after * unit[left + 1]
    bent = (before**3 - before) * bends[left] + (after**3 - after) * bends[left + 1]
    return np.asarray(straight + bent / 6, np.float64)
