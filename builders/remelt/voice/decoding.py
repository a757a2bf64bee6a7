"""The two decoders behind `voice.audio`: libsndfile for plain files, FFmpeg's libraries for containers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .optional import package

_BLOCK = 1 << 18
_UNKNOWN_FRAMES = 1 << 60
_SMALL_BLOCK = 1 << 10
# Sound before a cut that a lossy decoder needs until it has caught up.
_PREROLL_SECONDS = 0.5
_FULL_SCALE = 0.9999
# The largest value of subtypes whose steps are coarse.
_COARSE = {"PCM_U8": 0.992, "PCM_S8": 0.992, "ULAW": 0.98, "ALAW": 0.984}
_CLOCK = re.compile(r"([0-9]{1,6}):([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]*)?)")


class AudioError(InputError):
    """There is no sound to be had from a clip.

    Args:
        flag: the reason, a name of `quality.FLAGS`.
        message: the file and what is wrong with it.
    """

    def __init__(self, flag: str, message: str) -> None:
        super().__init__(message)
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.flag, str(self))


class Opened(Protocol):
    """A file whose sound can be read block by block.

    Attributes:
        rate, channels: of the file; for containers certain after the first block only.
        declared: frames that the whole file has by its header; None where the header does not say.
        exact: whether `declared` counts frames, rather than being a rounded time.
        full_scale: the absolute value from which a sample counts as clipped.
        broken_end: the last of the file could not be decoded; known when all blocks were read.
    """

    rate: int
    channels: int
    declared: int | None
    exact: bool
    full_scale: float
    broken_end: bool

    @property
    def declared_seconds(self) -> float | None:
        """Length by the header."""
        ...

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Float32 samples of the part that was asked for, shape (frames, channels), block by block.

        Raises:
            AudioError: the sound is damaged.
        """
        ...


@contextmanager
def open_sound(path: Path, container: bool, start: float | None, end: float | None) -> Iterator[Opened]:
    """Opens a file with the decoder that fits, at a cut.

    Args:
        path: the file.
        container: the file is a container by its content.
        start, end: seconds; None for the file's own ends.

    Raises:
        AudioError: neither decoder can read it.
        InputError: the decoder is not installed.
    """
    if not container:
        import soundfile

        try:
            file = soundfile.SoundFile(os.fspath(path))
        except soundfile.LibsndfileError as error:
            reason = f"libsndfile: {error.error_string}"
        except TypeError:
            reason = "libsndfile: headerless sound"
        else:
            with file:
                if file.frames < _UNKNOWN_FRAMES:
                    yield _Plain(path, file, start, end)
                    return
            reason = "libsndfile: no length in the header"
    else:
        reason = ""
    av = _av(path, reason)
    try:
        # A path such as `http:x.wav` is a file here, never an address.
        opened = av.open(os.path.abspath(path), options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError, ValueError) as error:
        said = [*([reason] if reason else []), f"FFmpeg: {_says(error)}"]
        raise AudioError("clip_unreadable", f"{path}: cannot be decoded; {'; '.join(said)}") from None
    with opened:
        if not opened.streams.audio:
            raise AudioError("clip_without_sound", f"{path}: the file has no sound, only {_kinds(opened)}")
        yield _Container(path, opened, start, end)


def _av(path: Path, reason: str) -> Any:
    try:
        return package("av")
    except InputError as error:
        if reason:
            # What libsndfile says of a broken WAV is the answer; FFmpeg was only a second try.
            raise AudioError("clip_unreadable", f"{path}: cannot be decoded; {reason}") from None
        raise InputError(f"{path}: reading this file needs PyAV. {error}") from None


def _says(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _kinds(container: Any) -> str:
    return ", ".join(sorted({stream.type or "data" for stream in container.streams})) or "no stream at all"


class _Plain:
    """A file that libsndfile reads."""

    exact = True
    broken_end = False

    def __init__(self, path: Path, file: Any, start: float | None, end: float | None) -> None:
        self._path = path
        self._file = file
        self.rate: int = file.samplerate
        self.channels: int = file.channels
        self.declared: int | None = file.frames
        self.full_scale = _COARSE.get(file.subtype, _FULL_SCALE)
        self._first = 0 if start is None else round(start * self.rate)
        self._last = None if end is None else round(end * self.rate)

    @property
    def declared_seconds(self) -> float | None:
        return None if self.declared is None else self.declared / self.rate

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        import soundfile

        if self._first >= self._file.frames:
            return
        place = self._first
        try:
            while len(block := self._read(self._file, place, _BLOCK)):
                place += len(block)
                yield block
        except soundfile.LibsndfileError as error:
            if not self._ends_early():
                at = place / self.rate
                raise AudioError(
                    "clip_unreadable",
                    f"{self._path}: damaged somewhere after {at:.2f} s: {error.error_string}",
                ) from None
            yield from self._rest(place)

    def _read(self, file: Any, place: int, count: int) -> NDArray[np.float32]:
        if self._last is not None:
            count = max(0, min(count, self._last - place))
        # soundfile seeks after each read, and after a seek MP3 decodes wrongly until it has caught up.
        before = min(place, round(_PREROLL_SECONDS * self.rate)) if file.format == "MP3" else 0
        if file.tell() != place - before:
            file.seek(place - before)
        block: NDArray[np.float32] = file.read(before + count, dtype="float32", always_2d=True)
        return block[before:]

    def _ends_early(self) -> bool:
        """Whether the last sample cannot be had either: the file was cut off, not damaged in the middle."""
        import soundfile

        try:
            with soundfile.SoundFile(os.fspath(self._path)) as again:
                again.seek(again.frames - 1)
                return not len(again.read(1))
        except soundfile.LibsndfileError:
            return True

    def _rest(self, place: int) -> Iterator[NDArray[np.float32]]:
        """What there is of the block that could not be read as a whole."""
        import soundfile

        try:
            with soundfile.SoundFile(os.fspath(self._path)) as again:
                while len(block := self._read(again, place, _SMALL_BLOCK)):
                    place += len(block)
                    yield block
        except soundfile.LibsndfileError:
            return


class _Container:
    """A file that FFmpeg's libraries read: its first stream of sound."""

    exact = False
    full_scale = _FULL_SCALE

    def __init__(self, path: Path, container: Any, start: float | None, end: float | None) -> None:
        self._path = path
        self._container = container
        self.broken_end = False
        self._stream = container.streams.audio[0]
        self._start = start
        self._end = end
        self.rate: int = self._stream.rate or 0
        self.channels: int = self._stream.channels or 0
        declared = self.declared_seconds
        self.declared: int | None = None if declared is None else round(declared * self.rate)

    @property
    def declared_seconds(self) -> float | None:
        stream = self._stream
        names = set(self._container.format.name.split(","))
        if names & {"mp4", "avi"} and stream.duration:
            return float(stream.duration * stream.time_base)
        # Matroska writes it as 00:00:03.324000000.
        if "matroska" in names and (text := stream.metadata.get("DURATION")):
            return _clock_seconds(text)
        # Other durations are estimates from the bit rate.
        return None

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        av = package("av")
        done = 0
        held: list[NDArray[np.float32]] = []
        size = 0
        try:
            for samples in self._frames(av):
                done += len(samples)
                held.append(samples)
                size += len(samples)
                if size >= _BLOCK:
                    yield np.concatenate(held)
                    held, size = [], 0
        except (av.FFmpegError, ValueError) as error:
            at = (self._start or 0.0) + done / (self.rate or 1)
            raise AudioError(
                "clip_unreadable", f"{self._path}: damaged after {at:.2f} s: {_says(error)}"
            ) from None
        if held:
            yield np.concatenate(held)

    def _frames(self, av: Any) -> Iterator[NDArray[np.float32]]:
        """The samples (frames, channels) of each of FFmpeg's frames, as far as they are inside the cut."""
        to_float: Any = None
        place: int | None = None if self._seek() else 0
        first, last = 0, None
        layout: Any = None
        for frame in self._decoded(av):
            if layout is None:
                layout, self.rate, self.channels = frame.layout, frame.sample_rate, len(frame.layout.channels)
                first, last = self._limits()
            elif frame.sample_rate != self.rate or frame.layout != layout:
                raise ValueError(f"rate or channels change from {self.rate} Hz, {layout.name}")
            if place is None:
                place = frame.pts - self._stream.start_time
            length = _length(frame)
            begin, stop = max(first - place, 0), length if last is None else min(length, last - place)
            if stop <= 0:
                return
            if begin < stop:
                if frame.format.name != "fltp":
                    to_float = to_float or av.AudioResampler(format="fltp")
                    yield np.concatenate([_samples(part) for part in to_float.resample(frame)])[begin:stop]
                else:
                    yield _samples(frame)[begin:stop]
            place += length

    def _decoded(self, av: Any) -> Iterator[Any]:
        """FFmpeg's frames up to the first that cannot be decoded; raises what was wrong if others follow."""
        fault: Exception | None = None
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except (av.FFmpegError, ValueError) as error:
                fault = fault or error
                continue
            if fault is not None and frames:
                raise fault
            yield from frames
            if packet is None:
                break
        # The packet at which a file was cut off is broken as a rule.
        self.broken_end = fault is not None

    def _limits(self) -> tuple[int, int | None]:
        first = 0 if self._start is None else round(self._start * self.rate)
        return first, None if self._end is None else round(self._end * self.rate)

    def _seek(self) -> bool:
        """Goes near the beginning of the cut; False where the sound must be decoded from its start."""
        stream = self._stream
        if self._start is None or self._start <= 2 * _PREROLL_SECONDS or not self.rate:
            return False
        # Elsewhere time stamps are rounded, and the sample at which decoding begins would be a guess.
        if stream.time_base != Fraction(1, self.rate) or stream.start_time is None:
            return False
        target = round((self._start - _PREROLL_SECONDS) * self.rate) + stream.start_time
        self._container.seek(target, stream=stream)
        return True


def _clock_seconds(text: str) -> float | None:
    """Seconds of `00:01:03.324`; None for anything else, as in a damaged file."""
    match = _CLOCK.fullmatch(text.strip())
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def _length(frame: Any) -> int:
    """How many samples of a frame are sound: the last one's duration tells where its padding begins."""
    told, length = frame.duration, int(frame.samples)
    if told and told < length and frame.time_base == Fraction(1, frame.sample_rate):
        return int(told)
    return length


def _samples(frame: Any) -> NDArray[np.float32]:
    """Float32 (frames, channels) of a frame of planes, without a copy where there is one channel."""
    # to_ndarray() takes longer than decoding does.
    planes = [np.frombuffer(plane, np.float32, frame.samples) for plane in frame.planes]
    return planes[0][:, None] if len(planes) == 1 else np.stack(planes, axis=1)
