"""A voice for the small build: tones of different length, measurements, levels, transcripts, raters."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import soundfile

from remelt.publishing import DatasetContent, VoiceContent
from remelt.records import Annotation, Rating, Voice

RATE = 16_000
MEASURES = ("f0_semitone_mean", "F0semitoneFrom27.5Hz_sma3nz_amean")
LEVELS = ("pitch_level", "loudness_level")
NAMES = (
    "audio_seconds", "voice_flags", *MEASURES, *LEVELS, "transcript", "transcript_source", "audio",
)  # fmt: skip
INFO: dict[str, Any] = {
    "audio": "flac",
    "rate": RATE,
    "acoustics": {
        "backend": "toy",
        "version": "1.2",
        "licence": "Toy licence",
        "notice": "For research only, values included.",
    },
    "bins": {
        "pitch_level": {
            "measure": "f0_semitone_mean",
            "groups": [{"kind": "sex", "name": "female", "n": 40, "low": 31.234567, "high": 35.0}],
            "description": ["Low is at or below the 30 % quantile."],
        }
    },
    "transcripts": {"source": "asr/toy", "model": "toy-tiny", "parameters": {"beam": 1}},
    "quality": {"clipped": 1},
    "notes": ["All clips have the same peak."],
}


def tone(seconds: float, pitch: float = 220.0, rate: int = RATE, kind: str = "FLAC") -> bytes:
    """A sine as the bytes of a sound file."""
    samples = 0.3 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)
    target = io.BytesIO()
    soundfile.write(target, samples.astype("float32"), rate, format=kind, subtype="PCM_16")
    return target.getvalue()


class Sounds:
    """A store in memory that counts how often it is asked; it is empty to `bool`, as a store may be."""

    def __init__(self, files: Mapping[str, tuple[bytes, str] | None]) -> None:
        self.files = files
        self.asked: list[str] = []

    def __len__(self) -> int:
        return 0

    def read(self, utterance_id: str) -> tuple[bytes, str] | None:
        self.asked.append(utterance_id)
        return self.files.get(utterance_id)


def ids(content: DatasetContent) -> list[str]:
    return [a.utterance.id for a in content.annotations]


def with_voice(content: DatasetContent, **changes: Any) -> DatasetContent:
    """The build with a voice for all that was asked about but the third utterance, which has no sound.

    The clip of the n-th has 0.5 + n/4 seconds.
    """
    rows, files = {}, {}
    for n, name in enumerate(ids(content)):
        if n == 2:
            rows[name] = Voice(name, flags=("clip_missing",), transcript=None)
            continue
        seconds = 0.5 + n / 4
        files[name] = (tone(seconds, 200 + 40 * n), f"{name.rpartition('/')[2]}.flac")
        rows[name] = Voice(
            name,
            seconds=seconds,
            flags=("clipped",) if n == 1 else (),
            measures={MEASURES[0]: 30.5 + n, MEASURES[1]: float("nan") if n == 3 else 0.25},
            levels={"pitch_level": ("low", "mid", "high")[n % 3], "loudness_level": None},
            transcript=f"heard {n} \ud83d" if n else "",
        )
    voice = VoiceContent(rows, INFO, MEASURES, LEVELS, transcripts=True, audio=Sounds(files))
    return replace(content, voice=replace(voice, **changes))


def with_raters(content: DatasetContent) -> DatasetContent:
    """The build with what only some corpora know, on some of its utterances: kept, quarantined, dropped."""

    def known(annotation: Annotation, **fields: Any) -> Annotation:
        return replace(
            annotation,
            request=replace(annotation.request, utterance=replace(annotation.utterance, **fields)),
        )

    first, second, *others, last = content.annotations
    ratings = (
        Rating("Évaluateur 1", ("anger", "frustration"), {"arousal": 4.0}),
        Rating("E2", ("neutral",)),
    )
    cut = {"clip": "Ses01.wav", "clip_start": 6.2901, "clip_end": 8.2357}
    first = known(first, sex="female", session="Ses01", ratings=ratings, attributes={"valence": 2.5})
    second = known(second, sex="male", attributes={"valence": 3, "arousal": 1 / 3}, **cut)
    last = known(last, session="Ses05")
    drops = [
        replace(drop, utterance=replace(drop.utterance, **fields))
        for drop, fields in zip(content.drops, ({}, {"ratings": ratings[:1], "sex": "male"}), strict=True)
    ]
    return replace(content, annotations=(first, second, *others, last), drops=drops)


def each_sound(content: DatasetContent) -> Iterator[tuple[str, tuple[bytes, str] | None]]:
    assert content.voice is not None
    assert content.voice.audio is not None
    for name in ids(content):
        yield name, content.voice.audio.read(name)
