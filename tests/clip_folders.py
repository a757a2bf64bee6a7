"""Corpora in miniature whose rows are files: one tiny sound under many names."""

from __future__ import annotations

import os
import wave
from collections.abc import Iterable
from pathlib import Path

RATE = 16_000


def write_wav(path: Path, seconds: float = 1.25) -> Path:
    """A quiet square wave, 16 bit, mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    period = b"\x40\x00" * 40 + b"\xc0\xff" * 40
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((period * (int(seconds * RATE) // 80 + 1))[: 2 * int(seconds * RATE)])
    return path


def fill(folder: Path, names: Iterable[str]) -> Path:
    """The folder with a sound under each name; all are links to one file, so that thousands cost little."""
    sound = write_wav(folder.parent / f"{folder.name}.wav")
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(sound, path)
    return folder


def ravdess_names() -> list[str]:
    """The 1,440 names of RAVDESS's speech: all combinations, but no strong neutral."""
    return [
        f"Actor_{actor:02d}/03-01-{emotion:02d}-{intensity:02d}-{statement:02d}-{repetition:02d}-{actor:02d}.wav"
        for actor in range(1, 25)
        for emotion in range(1, 9)
        for intensity in (1, 2)
        for statement in (1, 2)
        for repetition in (1, 2)
        if (emotion, intensity) != (1, 2)
    ]


def emodb_names() -> list[str]:
    """535 names with EMO-DB's number of clips per emotion; which sentences they are is made up."""
    counts = {"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "T": 62, "N": 79}
    combinations = [
        (speaker, sentence, version)
        for version in "ab"
        for speaker in ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
        for sentence in ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
    ]
    return [
        f"wav/{speaker}{sentence}{emotion}{version}.wav"
        for emotion, count in counts.items()
        for speaker, sentence, version in combinations[:count]
    ]


def tess_names() -> list[str]:
    """2,800 names with TESS's folders and slips; the words are made up."""
    folders = {
        "angry": ("OAF_angry", "YAF_angry"),
        "disgust": ("OAF_disgust", "YAF_disgust"),
        "fear": ("OAF_Fear", "YAF_fear"),
        "happy": ("OAF_happy", "YAF_happy"),
        "neutral": ("OAF_neutral", "YAF_neutral"),
        "ps": ("OAF_Pleasant_surprise", "YAF_pleasant_surprised"),
        "sad": ("OAF_Sad", "YAF_sad"),
    }
    words = ["bite", *(f"w{a}{b}" for a in "abcdefghijklmnopqrst" for b in "abcdefghij")][:200]
    names = [
        f"{folder}/{folder[:3]}_{word}_{emotion}.wav"
        for emotion, pair in folders.items()
        for folder in pair
        for word in words
    ]
    return [name.replace("OAF_bite_neutral", "OA_bite_neutral") for name in names]
