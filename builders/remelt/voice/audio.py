"""Sound in: any clip, whatever its container, as float32 mono samples at 16 kHz.

Plain files (WAV, FLAC, OGG, MP3, AIFF, ...) are read through libsndfile, containers (MP4, MOV, Matroska, AVI,
raw AAC) and whatever libsndfile cannot open through FFmpeg's libraries in PyAV. Channels are averaged, then
the sound is resampled with soxr's band-limited HQ filter. The same file gives the same samples each time.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import content, decoding
from .decoding import AudioError, Opened
from .optional import package

__all__ = ["RATE", "AudioError", "Sound", "Source", "flac", "read", "seconds"]

RATE = 16_000
# Samples short of what the header says that are no fault: time stamps of containers are rounded.
_SLACK_SECONDS = 0.1
# A file of this size has more in it than a header.
_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Source:
    """A clip: a file, or a part of it.

    Attributes:
        path: the file.
        start, end: seconds into its sound (time 0 is its first sample); None for the file's own ends.
    """

    path: Path
    start: float | None = None
    end: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A decoded clip.

    Attributes:
        samples: float32 mono, shape (n,), full scale is 1.0; lossy and float files may pass it.
        rate: samples per second of `samples`.
        source_rate, channels: of the file.
        peak: largest absolute sample of any channel of the file, before averaging and resampling.
        clipped_share: share of the file's sample instants at which a channel is at full scale or beyond.
        non_finite: how many samples of the file were NaN or infinite; they are 0 in `samples`.
        flags: faults that leave a sound to work with: `clip_truncated`, `clip_misnamed`, `cut_past_end`.
    """

    samples: NDArray[np.float32]
    rate: int
    source_rate: int
    channels: int
    peak: float = 0.0
    clipped_share: float = 0.0
    non_finite: int = 0
    flags: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length of `samples`."""
        return len(self.samples) / self.rate


def read(source: Source | Path | str, rate: int = RATE) -> Sound:
    """Decodes a clip, or the part of a file that a `Source` names.

    Long files are read block by block: memory holds the mono result and one block. A part is cut at the
    nearest sample of the file's own rate; libsndfile goes to it directly, FFmpeg where the container's time
    stamps are exact.

    Args:
        source: the file, whole or cut.
        rate: samples per second of the result.

    Raises:
        AudioError: there is no sound to be had; its `flag` says why.
        InputError: a package that is needed is not installed, or a rate that is no rate.
    """
    if rate < 1:
        raise InputError(f"Bad rate {rate!r}, expected a number of samples per second from 1")
    wanted = source if isinstance(source, Source) else Source(Path(source))
    start, end = _span(wanted)
    path = wanted.path
    kind = _content(path)
    with decoding.open_sound(path, kind.container, start, end) as opened:
        gathered = _Gathered(opened, rate)
        for block in opened.blocks():
            gathered.add(block)
        sound = gathered.sound()
        flags = _flags(path, kind, opened, gathered.frames, start, end)
    if not gathered.frames:
        # Without a rate nothing was decoded, and it is not the cut.
        raise _nothing(path, start if opened.rate else None, flags)
    return Sound(
        sound, rate, opened.rate, opened.channels, gathered.peak, gathered.clipped / gathered.frames,
        gathered.non_finite, flags,
    )  # fmt: skip


def seconds(source: Source | Path | str) -> float | None:
    """Length of a clip by its header, in seconds; None where the header cannot tell or nothing can be read.

    Raises:
        InputError: a package that is needed is not installed.
    """
    wanted = source if isinstance(source, Source) else Source(Path(source))
    try:
        start, end = _span(wanted)
        kind = _content(wanted.path)
        with decoding.open_sound(wanted.path, kind.container, None, None) as opened:
            whole = opened.declared_seconds
    except AudioError:
        return None
    if whole is None:
        return None
    return max(0.0, min(whole, math.inf if end is None else end) - (start or 0.0))


def flac(samples: NDArray[Any], rate: int = RATE) -> bytes:
    """A 16-bit mono FLAC file of some samples; the same bytes for the same samples and libsndfile.

    What passes full scale is clipped. Samples of a 16-bit file at the same rate keep their values.

    Args:
        samples: mono, shape (n,), full scale 1.0.
        rate: samples per second.
    """
    import soundfile

    whole = np.rint(np.clip(np.nan_to_num(samples), -1.0, 1.0).astype(np.float64) * 32768)
    file = io.BytesIO()
    clipped = np.clip(whole, -32768, 32767).astype(np.int16)
    soundfile.write(file, clipped, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _span(source: Source) -> tuple[float | None, float | None]:
    """The cut, checked."""
    start, end = source.start, source.end
    for name, value in (("start", start), ("end", end)):
        if value is not None and not 0 <= value < math.inf:
            raise AudioError("cut_invalid", f"{source.path}: bad {name} {value!r}, expected seconds from 0")
    if end is not None and end <= (start or 0.0):
        raise AudioError(
            "cut_invalid", f"{source.path}: the cut ends at {end:g} s and begins at {start or 0:g} s"
        )
    return start, end


def _content(path: Path) -> content.Content:
    if not os.path.lexists(path) or (path.is_symlink() and not path.exists()):
        raise AudioError("clip_missing", f"{path}: there is no such file")
    try:
        kind = content.look(path)
    except OSError as error:
        raise AudioError("clip_unreadable", f"{path}: cannot be opened: {error.strerror}") from None
    if kind.flag:
        raise AudioError(kind.flag, f"{path}: {_WHY[kind.flag]}")
    return kind


_WHY = {
    "clip_empty": "the file has 0 bytes",
    "clip_is_text": "the file is text, not sound",
    "clip_is_html": "the file is an HTML page, not sound (a failed download, as a rule)",
    "clip_is_lfs_pointer": "the file is a Git LFS pointer, not sound; `git lfs pull` gets the file itself",
}


def _nothing(path: Path, start: float | None, flags: tuple[str, ...]) -> AudioError:
    """Why no sample came."""
    if start:
        return AudioError("cut_invalid", f"{path}: the cut begins at {start:g} s, after the file's end")
    if "clip_truncated" in flags:
        return AudioError("clip_unreadable", f"{path}: the file ends before its first sample")
    if path.stat().st_size > _HEADER_BYTES:
        return AudioError("clip_unreadable", f"{path}: no sound can be decoded")
    return AudioError("clip_empty", f"{path}: the file has a header and no samples")


def _flags(
    path: Path, kind: content.Content, opened: Opened, frames: int, start: float | None, end: float | None
) -> tuple[str, ...]:
    flags = set()
    if kind.misnamed:
        flags.add("clip_misnamed")
    if opened.broken_end:
        flags.add("clip_truncated")
    missing = 0.0
    if end is not None:
        # Raw AAC and the like tell their rate with the first block only, and there may be none.
        missing = end - (start or 0.0) - (frames / opened.rate if frames else 0.0)
        if missing > _SLACK_SECONDS:
            flags.add("cut_past_end")
    elif opened.declared is not None:
        slack = 0 if opened.exact else _SLACK_SECONDS * opened.rate
        if frames < opened.declared - round((start or 0.0) * opened.rate) - slack:
            flags.add("clip_truncated")
    if (start is None and end is None) or "cut_past_end" in flags:
        try:
            short = content.is_cut_short(path)
        except OSError:
            short = False
        if short:
            flags.add("clip_truncated")
    return tuple(sorted(flags))


class _Gathered:
    """Blocks of a file's channels, averaged and resampled as they come in."""

    def __init__(self, opened: Opened, rate: int) -> None:
        self._opened = opened
        self._rate = rate
        self._resampler: Any = None
        self._parts: list[NDArray[np.float32]] = []
        self._held: NDArray[np.float32] | None = None
        self.frames = 0
        self.peak = 0.0
        self.clipped = 0
        self.non_finite = 0

    def add(self, block: NDArray[np.float32]) -> None:
        """Takes float32 samples of shape (frames, channels)."""
        if not len(block):
            return
        size = np.abs(block)
        largest = float(size.max())
        if not math.isfinite(largest):
            bad = ~np.isfinite(block)
            self.non_finite += int(bad.sum())
            block = np.where(bad, np.float32(0), block)
            size = np.abs(block)
            largest = float(size.max())
        self.peak = max(self.peak, largest)
        if largest >= self._opened.full_scale:
            self.clipped += int((size >= self._opened.full_scale).any(axis=1).sum())
        self.frames += len(block)
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float64)
        for part in self._resampled(np.ascontiguousarray(mono, dtype=np.float32)):
            self._parts.append(part)

    def _resampled(self, mono: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        if self._opened.rate == self._rate:
            yield mono
            return
        if self._resampler is None:
            soxr = package("soxr")
            self._resampler = soxr.ResampleStream(
                self._opened.rate, self._rate, 1, dtype="float32", quality="HQ"
            )
        if self._held is not None:
            yield self._resampler.resample_chunk(self._held)
        # The last block must be given as such, and only the next one tells that this is not it.
        self._held = mono

    def sound(self) -> NDArray[np.float32]:
        """All samples at the wanted rate."""
        if self._held is not None:
            self._parts.append(self._resampler.resample_chunk(self._held, last=True))
            self._held = None
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)
