"""Makes clips of every bad kind, and says which flags each must get; `python tests/bad_audio.py FOLDER`."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>Gone.</body></html>\n"
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@dataclass(frozen=True)
class Bad:
    """One bad clip.

    Attributes:
        name: the file's.
        make: gives the file's bytes; None for a file that is not written.
        flags: what it must be flagged with, all of it.
        start, end: the cut, where the cut is the fault.
        seconds: length by the time stamps; None where there are none.
        text: the words of the utterance.
    """

    name: str
    make: Callable[[], bytes] | None
    flags: tuple[str, ...]
    start: float | None = None
    end: float | None = None
    seconds: float | None = None
    text: str = "Kids are talking by the door"


def tone(seconds: float = 2.0, rate: int = RATE, level: float = 0.3) -> np.ndarray:
    """Something like a voice: harmonics of a gliding pitch in syllables; float32 (n,)."""
    return _tone(seconds, rate, level).copy()


@lru_cache(maxsize=32)
def _tone(seconds: float, rate: int, level: float) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * 120 * time - 30 / 0.7 * np.cos(2 * np.pi * 0.7 * time)
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, None)
    noise = np.random.default_rng(1).normal(0, 1e-4, len(time))
    return (level * voice * syllables / 2 + noise).astype(np.float32)


def encoded(samples: np.ndarray, kind: str = "WAV", subtype: str | None = None, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def mp4(samples: np.ndarray | None, rate: int = RATE, faststart: bool = False, video: bool = True) -> bytes:
    """H.264 and AAC in MP4, as MELD's clips are; without sound where there are no samples."""
    # Moving the index to the front needs a file that can be opened a second time.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_mp4(path, samples, rate, {"movflags": "+faststart"} if faststart else {}, video)
        return path.read_bytes()


def write_mp4(
    path: Path, samples: np.ndarray | None, rate: int, options: dict[str, str], video: bool
) -> None:
    import av

    with av.open(str(path), "w", format="mp4", options=options) as container:
        picture = container.add_stream("libx264", rate=25) if video else None
        sound = None if samples is None else container.add_stream("aac", rate=rate, layout="mono")
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            picture.options = {"preset": "ultrafast"}
            length = 1.0 if samples is None else len(samples) / rate
            for number in range(round(length * 25)):
                image = np.full((48, 64, 3), number % 255, np.uint8)
                for packet in picture.encode(av.VideoFrame.from_ndarray(image)):
                    container.mux(packet)
            for packet in picture.encode(None):
                container.mux(packet)
        if sound is not None and samples is not None:
            sound.bit_rate = 128_000
            frame = av.AudioFrame.from_ndarray(samples[None, :].copy(), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, 0
            for packet in [*sound.encode(frame), *sound.encode(None)]:
                container.mux(packet)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _open_riff_size() -> bytes:
    data = encoded(tone())
    return data[:4] + b"\xff\xff\xff\xff" + data[8 : len(data) // 2]


def _damaged_flac() -> bytes:
    data = bytearray(encoded(tone(10), "FLAC"))
    data[len(data) // 2 : len(data) // 2 + 400] = b"\x55" * 400
    return bytes(data)


def _damaged_mp4() -> bytes:
    data = bytearray(mp4(tone(), video=False))
    data[len(data) // 2 : len(data) // 2 + 2000] = _noise(5)[:2000]
    return bytes(data)


def _damaged_aac() -> bytes:
    """Whole frames of raw AAC, by their headers, with noise in them."""
    noise = _noise(6)
    return b"".join(b"\xff\xf1\x50\x80\x19\x1f\xfc" + noise[n : n + 193] for n in range(0, 4000, 193))


def _picture() -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + _noise(0)


def _noise(seed: int) -> bytes:
    return bytes(np.random.default_rng(seed).integers(0, 256, 20_000, dtype=np.uint8))


def _with(value: float, share: float) -> np.ndarray:
    samples = tone()
    samples[: int(share * len(samples))] = value
    return samples


UNREADABLE = ("clip_unreadable",)
SOUNDLESS = ("clip_unreadable", "clip_without_sound")
SHORT = ("clip_truncated",)
KINDS = (
    Bad("missing.wav", None, ("clip_missing",)),
    Bad("zero_bytes.wav", lambda: b"", ("clip_empty", "clip_unreadable")),
    Bad("zero_bytes.mp4", lambda: b"", ("clip_empty", "clip_unreadable")),
    Bad("header_only.wav", lambda: encoded(tone(0)), ("clip_empty", "clip_unreadable")),
    Bad("half_a_header.wav", lambda: encoded(tone())[:20], UNREADABLE),
    Bad("text.wav", lambda: "Señor, not sound at all.\n".encode() * 60, ("clip_is_text", "clip_unreadable")),
    Bad("html.wav", lambda: HTML, ("clip_is_html", "clip_unreadable")),
    Bad("html.mp4", lambda: b"\n <html>" + HTML, ("clip_is_html", "clip_unreadable")),
    Bad("pointer.wav", lambda: POINTER, ("clip_is_lfs_pointer", "clip_unreadable")),
    Bad("pointer.mp4", lambda: POINTER, ("clip_is_lfs_pointer", "clip_unreadable")),
    Bad("picture.wav", _picture, SOUNDLESS),
    Bad("noise.wav", lambda: _noise(1), UNREADABLE),
    Bad("noise.flac", lambda: _noise(2), UNREADABLE),
    Bad("noise.mp3", lambda: _noise(3), UNREADABLE),
    Bad("noise.mp4", lambda: _noise(4), UNREADABLE),
    Bad("zeros.wav", lambda: bytes(20_000), UNREADABLE),
    Bad("truncated.wav", lambda: half(encoded(tone())), SHORT),
    Bad("truncated_stream.wav", _open_riff_size, SHORT),
    Bad("truncated.mp3", lambda: half(encoded(tone(), "MP3")), SHORT),
    Bad("truncated.ogg", lambda: half(encoded(tone(12), "OGG", "VORBIS")), SHORT),
    Bad("truncated.flac", lambda: half(encoded(tone(4), "FLAC")), SHORT),
    Bad("truncated_index_first.mp4", lambda: half(mp4(tone(), faststart=True)), SHORT),
    Bad("truncated_index_last.mp4", lambda: half(mp4(tone())), UNREADABLE),
    Bad("truncated_early.ogg", lambda: encoded(tone(), "OGG", "VORBIS")[:3000], UNREADABLE),
    Bad("damaged.flac", _damaged_flac, UNREADABLE),
    Bad("damaged.mp4", _damaged_mp4, UNREADABLE),
    Bad("soundless.mp4", lambda: mp4(None), SOUNDLESS),
    Bad("nan.wav", lambda: encoded(_with(np.nan, 0.1), "WAV", "FLOAT"), ("not_finite",)),
    Bad("infinite.wav", lambda: encoded(_with(np.inf, 0.1), "WAV", "FLOAT"), ("not_finite",)),
    Bad("only_nan.wav", lambda: encoded(_with(np.nan, 1), "WAV", "FLOAT"), ("not_finite", "silent")),
    Bad("zero.wav", lambda: encoded(tone() * 0), ("silent",)),
    Bad("faint.wav", lambda: encoded(tone(level=3e-4)), ("silent",)),
    Bad("clipped.wav", lambda: encoded(np.clip(tone(level=3), -1, 1)), ("clipped",)),
    Bad("over_full_scale.wav", lambda: encoded(tone(level=3), "WAV", "FLOAT"), ("clipped",)),
    Bad("flac_in_name_only.flac", lambda: encoded(tone()), ("clip_misnamed",)),
    Bad("wav_in_name_only.wav", lambda: encoded(tone(), "FLAC"), ("clip_misnamed",)),
    Bad("longer_than_stamps.wav", lambda: encoded(tone(3)), ("length_differs",), seconds=2.0),
    Bad("shorter_than_stamps.wav", lambda: encoded(tone(2)), ("length_differs",), seconds=2.5),
    Bad("too_short_for_words.wav", lambda: encoded(tone(0.5)), ("too_many_words",)),
    Bad("too_long_for_words.wav", lambda: encoded(tone(12)), ("too_few_words",), text="No."),
    Bad("cut_after_end.wav", lambda: encoded(tone()), ("cut_invalid",), start=2.5, end=3.0),
    Bad("cut_after_end.mp4", lambda: mp4(tone()), ("cut_invalid",), start=2.5, end=3.0),
    Bad("cut_backwards.wav", lambda: encoded(tone()), ("cut_invalid",), start=1.5, end=1.0),
    Bad("cut_past_end.wav", lambda: encoded(tone()), ("cut_past_end",), start=1.0, end=2.5),
    Bad("cut_past_end.mp4", lambda: mp4(tone()), ("cut_past_end",), start=1.0, end=2.5),
    Bad("damaged.aac", _damaged_aac, UNREADABLE),
    Bad("damaged_and_cut.aac", _damaged_aac, UNREADABLE, start=0.5, end=1.0),
)  # fmt: skip


def make(folder: Path) -> dict[str, Path]:
    """Writes every bad clip, and a directory and a dangling link besides; name -> path."""
    folder.mkdir(parents=True, exist_ok=True)
    for bad in KINDS:
        if bad.make is not None:
            (folder / bad.name).write_bytes(bad.make())
    return {bad.name: folder / bad.name for bad in KINDS}


@contextmanager
def within(limit: float) -> Iterator[None]:
    """Fails what would go on for ever, as reading from a pipe does."""

    def stop(*_: object) -> None:
        # A `TimeoutError` would be an `OSError`, which readers of files take for a bad file.
        raise AssertionError(f"not done within {limit:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    for path in make(Path(sys.argv[1])).values():
        print(os.fspath(path))
