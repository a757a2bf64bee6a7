"""RAVDESS: 1,440 clips of two sentences, acted by 24 actors with eight emotions.

Livingstone, Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). PLoS ONE 13(5),
2018. This reader takes the audio-only speech (`Audio_Speech_Actors_01-24.zip`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import bad_value
from . import acted, media
from .acted import Aside, Entry
from .base import Corpus, CorpusInfo
from .meld import named

EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fearful",
    "07": "disgust", "08": "surprised",
}  # fmt: skip
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
INTENSITIES = {"01": 1.0, "02": 2.0}
REPETITIONS = ("01", "02")
ACTORS = tuple(f"{number:02d}" for number in range(1, 25))
_MODALITIES = {"01": "video with sound (modality 01)", "02": "video without sound (modality 02)"}
_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")

BY_NAMES = True
INFO = CorpusInfo(
    name="ravdess",
    title="RAVDESS (Ryerson Audio-Visual Database of Emotional Speech and Song), speech",
    licence="CC BY-NC-SA 4.0",
    homepage="https://zenodo.org/records/1188976",
    citation="""\
@article{livingstone2018ravdess,
  title   = {The {Ryerson} Audio-Visual Database of Emotional Speech and Song ({RAVDESS}): A dynamic,
             multimodal set of facial and vocal expressions in {North American} {English}},
  author  = {Livingstone, Steven R. and Russo, Frank A.},
  journal = {PLoS ONE},
  volume  = {13},
  number  = {5},
  pages   = {e0196391},
  year    = {2018},
  doi     = {10.1371/journal.pone.0196391}
}""",
    layout="03-01-05-01-02-01-16.wav and the like in Actor_01/ to Actor_24/, or all in one folder",
    labels=tuple(EMOTIONS.values()),
    language="en",
    access="free download from Zenodo: Audio_Speech_Actors_01-24.zip",
    counts={label: 96 if label == "neutral" else 192 for label in EMOTIONS.values()},
    utterances=1440,
    speakers=24,
    profile="acted",
)


def matches(folder: Path) -> bool:
    """Whether a sound or video file is named as RAVDESS names its own."""
    return folder.is_dir() and any(
        acted.is_media(file.name) and _NAME.fullmatch(os.path.splitext(file.name)[0])
        for file in media.walk(folder)
    )


def load(folder: Path, *, name: str | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Reads RAVDESS's audio-only speech; song and video are counted and left aside.

    `attributes` has `intensity` (1 normal, 2 strong) and `repetition` (1 or 2).

    Args:
        folder: the corpus folder.
        name: the corpus's name in ids; `ravdess` if None.
        splits: `train` is the only one.

    Raises:
        InputError: no such clip, or another split was asked for.
    """
    info = named(INFO, name)
    return acted.complete(info, folder, acted.collect(folder, media.walk(folder), info.name, parse), splits)


def parse(file: media.FoundFile) -> Entry | Aside:
    """What a name says: modality, channel, emotion, intensity, statement, repetition, actor.

    >>> parse(media.FoundFile("03-01-05-02-01-01-16.wav", "03-01-05-02-01-01-16.wav")).label
    'angry'
    """
    match = _NAME.fullmatch(os.path.splitext(file.name)[0])
    if match is None:
        return Aside("not named like 03-01-05-01-02-01-16.wav")
    modality, channel, emotion, intensity, statement, repetition, actor = match.groups()
    fields = (
        ("modality", modality, ("01", "02", "03")),
        ("vocal channel", channel, ("01", "02")),
        ("emotion", emotion, tuple(EMOTIONS)),
        ("intensity", intensity, tuple(INTENSITIES)),
        ("statement", statement, tuple(STATEMENTS)),
        ("repetition", repetition, REPETITIONS),
        ("actor", actor, ACTORS),
    )
    for what, value, choices in fields:
        if value not in choices:
            return Aside(bad_value(what, value, choices))
    if modality in _MODALITIES:
        return Aside(_MODALITIES[modality], "other")
    if channel == "02":
        return Aside("song (vocal channel 02)", "other")
    if emotion == "01" and intensity == "02":
        return Aside("neutral with strong intensity, which RAVDESS does not have")
    return Entry(
        stem=match[0],
        speaker=f"Actor_{actor}",
        text=STATEMENTS[statement],
        label=EMOTIONS[emotion],
        sex="male" if int(actor) % 2 else "female",
        attributes={"intensity": INTENSITIES[intensity], "repetition": float(repetition)},
    )
