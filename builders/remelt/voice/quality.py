"""What is right and wrong with a clip's sound, and with the sound of a corpus as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from . import audio
from .audio import AudioError, Sound, Source

# What each flag means. The first group leaves no sound to work with.
FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "clip_missing": "the file is not there",
        "clip_unreadable": "no sound could be decoded; a second flag says why, where that is known",
        "clip_empty": "the file has no bytes or no samples",
        "clip_is_text": "the file is text",
        "clip_is_html": "the file is an HTML page",
        "clip_is_lfs_pointer": "the file is a Git LFS pointer, not the sound it stands for",
        "clip_without_sound": "a container without a stream of sound",
        "cut_invalid": "the cut ends before it begins, or begins after the end of the file",
        "clip_truncated": "the file ends before the length that its header states",
        "clip_misnamed": "sound of another format than the name says",
        "cut_past_end": "the cut ends over 0.1 s after the end of the file",
        "not_finite": "samples that are NaN or infinite, read as 0",
        "silent": "no sample over -60 dB of full scale",
        "clipped": "over 0.1 % of the samples at full scale or beyond",
        "length_differs": "the sound's length is over 0.25 s off the time stamps",
        "too_many_words": "over 8 words per second of sound: cut too short, or the text of another clip",
        "too_few_words": "over 10 s of sound with less than one word in 5 s: the clip is cut too long",
    }
)
SOUNDLESS = frozenset(
    {
        "clip_missing", "clip_unreadable", "clip_empty", "clip_is_text", "clip_is_html",
        "clip_is_lfs_pointer", "clip_without_sound", "cut_invalid",
    }
)  # fmt: skip
# With these there is no file, or the file may be sound and only the cut is wrong.
_NOT_THE_FILE = frozenset({"clip_missing", "cut_invalid"})

SILENT_DB = -60.0
CLIPPED_SHARE = 0.001
LENGTH_OFF_SECONDS = 0.25
MOST_WORDS_PER_SECOND = 8.0
FEW_WORDS_FROM_SECONDS = 10.0
FEWEST_WORDS_PER_SECOND = 0.2
PAUSE_DB = -35.0
PEAK_SPREAD_DB = 3.0
FEWEST_CLIPS = 20
_FRAME_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Quality:
    """The state of a clip's sound; numbers are None where there is no sound.

    Attributes:
        seconds: length of the sound, or of the part that the cut names.
        rate, channels: of the file.
        peak_db: largest sample of any channel of the file, in dB re full scale; None for digital silence.
        rms_db: root mean square of the mono sound, in dB re full scale; None for digital silence.
        clipped_share: share of the file's samples at full scale or beyond, in any channel.
        leading_silence, trailing_silence: seconds before and after the first and last 10 ms that are within
            35 dB of the clip's loudest 10 ms.
        flags: names out of `FLAGS`, sorted.
        detail: what the decoder said where there is no sound; else empty.
    """

    seconds: float | None = None
    rate: int | None = None
    channels: int | None = None
    peak_db: float | None = None
    rms_db: float | None = None
    clipped_share: float | None = None
    leading_silence: float | None = None
    trailing_silence: float | None = None
    flags: tuple[str, ...] = ()
    detail: str = ""

    @property
    def usable(self) -> bool:
        """Whether there is a sound to work with, whatever else is wrong with it."""
        return SOUNDLESS.isdisjoint(self.flags)


@dataclass(frozen=True, slots=True)
class PeakSpread:
    """How the peaks of a corpus's clips vary.

    Attributes:
        clips: with a peak.
        median_db, std_db: of the peaks, in dB re full scale; None without clips.
        normalised: whether every clip seems to have been brought to the same peak (`std_db` under 3 dB);
            None with fewer than 20 clips.
    """

    clips: int
    median_db: float | None
    std_db: float | None
    normalised: bool | None


def examine(
    source: Source | Path | str, *, stated_seconds: float | None = None, words: int | None = None
) -> tuple[Sound | None, Quality]:
    """Decodes a clip and says what is wrong with it; a bad clip is flagged, never raised.

    Args:
        source: the file, whole or cut.
        stated_seconds: length by the corpus's time stamps; None where there are none.
        words: how many words the corpus says are spoken; None or 0 where it has no text.

    Returns:
        The sound at 16 kHz, None where there is none, and its quality.

    Raises:
        InputError: a package that is needed to read it is not installed.
    """
    try:
        sound = audio.read(source)
    except AudioError as error:
        flags = {error.flag} if error.flag in _NOT_THE_FILE else {error.flag, "clip_unreadable"}
        return None, Quality(flags=tuple(sorted(flags)), detail=str(error))
    return sound, assess(sound, stated_seconds=stated_seconds, words=words)


def assess(sound: Sound, *, stated_seconds: float | None = None, words: int | None = None) -> Quality:
    """The quality of a sound that was read; arguments as for `examine`."""
    flags = set(sound.flags)
    peak = decibel(sound.peak)
    if sound.non_finite:
        flags.add("not_finite")
    if peak is None or peak < SILENT_DB:
        flags.add("silent")
    if sound.clipped_share > CLIPPED_SHARE:
        flags.add("clipped")
    flags |= _cut_flags(sound.seconds, stated_seconds, words)
    leading, trailing = silence(sound.samples, sound.rate)
    return Quality(
        seconds=round(sound.seconds, 6),
        rate=sound.source_rate,
        channels=sound.channels,
        peak_db=peak,
        rms_db=decibel(float(np.sqrt(np.mean(np.square(sound.samples, dtype=np.float64))))),
        clipped_share=sound.clipped_share,
        leading_silence=leading,
        trailing_silence=trailing,
        flags=tuple(sorted(flags)),
    )


def _cut_flags(seconds: float, stated: float | None, words: int | None) -> set[str]:
    """Signs that a clip was wrongly cut."""
    flags = set()
    # Rounded, because time stamps have milliseconds and 1.25 - 1.0 is not always 0.25.
    if stated is not None and round(abs(seconds - stated), 6) > LENGTH_OFF_SECONDS:
        flags.add("length_differs")
    if words and words > MOST_WORDS_PER_SECOND * seconds:
        flags.add("too_many_words")
    if words and seconds > FEW_WORDS_FROM_SECONDS and words < FEWEST_WORDS_PER_SECOND * seconds:
        flags.add("too_few_words")
    return flags


def silence(samples: NDArray[np.float32], rate: int) -> tuple[float, float]:
    """Seconds before the first and after the last 10 ms within 35 dB of the loudest 10 ms.

    Args:
        samples: mono, shape (n,).
        rate: samples per second.
    """
    size = max(1, round(rate * _FRAME_SECONDS))
    count = math.ceil(len(samples) / size)
    padded = np.zeros(count * size, np.float64)
    padded[: len(samples)] = samples
    power = np.square(padded).reshape(count, size).sum(axis=1)
    loudest = power.max(initial=0.0)
    length = len(samples) / rate
    if not loudest:
        return length, length
    heard = np.flatnonzero(power > loudest * 10 ** (PAUSE_DB / 10))
    last = min(length, (int(heard[-1]) + 1) * size / rate)
    return round(int(heard[0]) * size / rate, 6), round(length - last, 6)


def decibel(value: float) -> float | None:
    """An amplitude in dB re full scale, to 0.001 dB; None for 0.

    >>> decibel(0.5)
    -6.021
    """
    return round(20 * math.log10(value), 3) if value > 0 else None


def peak_normalised(peaks_db: Iterable[float | None]) -> PeakSpread:
    """Whether a corpus's clips were each brought to the same peak, which takes their loudness away.

    Such corpora have a standard deviation of about 1.4 dB over clips (a limiter, a codec or a resampler moves
    the peaks a little), RAVDESS, recorded at one gain, about 9 dB; the line is drawn at 3 dB.

    Args:
        peaks_db: each clip's `Quality.peak_db`; None is left out.
    """
    peaks = np.array([peak for peak in peaks_db if peak is not None and peak >= SILENT_DB], np.float64)
    if not len(peaks):
        return PeakSpread(0, None, None, None)
    spread = round(float(peaks.std()), 3)
    normalised = spread < PEAK_SPREAD_DB if len(peaks) >= FEWEST_CLIPS else None
    return PeakSpread(len(peaks), round(float(np.median(peaks)), 3), spread, normalised)
