"""TESS: 2,800 clips of 200 words in one carrier phrase, spoken by two actresses with seven emotions.

Pichora-Fuller, Dupuis: Toronto emotional speech set (TESS). Borealis (Scholars Portal Dataverse), 2020.
The words are those of the Northwestern University Auditory Test No. 6.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import bad_value
from . import acted, media
from .acted import Aside, Entry
from .base import Corpus, CorpusInfo
from .meld import named

EMOTIONS = {
    "angry": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy", "neutral": "neutral",
    "ps": "pleasant surprise", "sad": "sad",
}  # fmt: skip
AGES = {"OAF": 64.0, "YAF": 26.0}
# Folder names of the distributed copies: OAF_Pleasant_surprise, but YAF_pleasant_surprised.
_SURPRISES = ("ps", "pleasant_surprise", "pleasant_surprised", "pleasantsurprise", "surprise", "surprised")
_NAME = re.compile(r"([oy]af?)_([a-z'-]+)_([a-z_]+)", re.IGNORECASE)
_FOLDER = re.compile(r"([oy]af)[_ -]([a-z_ -]+)", re.IGNORECASE)

BY_NAMES = True
INFO = CorpusInfo(
    name="tess",
    title="TESS (Toronto emotional speech set)",
    licence="CC BY-NC-ND 4.0",
    homepage="https://doi.org/10.5683/SP2/E8H2MF",
    citation="""\
@misc{pichora2020tess,
  title     = {{Toronto} emotional speech set ({TESS})},
  author    = {Pichora-Fuller, M. Kathleen and Dupuis, Kate},
  publisher = {Borealis},
  year      = {2020},
  doi       = {10.5683/SP2/E8H2MF}
}""",
    layout="OAF_back_angry.wav, YAF_back_ps.wav and the like, in folders such as OAF_angry/, or all in one",
    labels=tuple(EMOTIONS.values()),
    language="en",
    access="free download from Borealis (the Scholars Portal Dataverse); a copy on Kaggle",
    counts=dict.fromkeys(EMOTIONS.values(), 400),
    utterances=2800,
    speakers=2,
    profile="acted",
)


def matches(folder: Path) -> bool:
    """Whether a sound file is named as TESS names its own."""
    return acted.any_clip(folder, parse)


def load(folder: Path, *, name: str | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Reads TESS, also from copies that hold everything twice; `attributes` has the speaker's `age`.

    Args:
        folder: the corpus folder.
        name: the corpus's name in ids; `tess` if None.
        splits: `train` is the only one.

    Raises:
        InputError: no such clip, or another split was asked for.
    """
    info = named(INFO, name)
    found = acted.collect(folder, media.walk(folder), info.name, parse)
    return acted.complete(info, folder, found, splits, notes=_misplaced(d.clip or "" for d in found.drafts))


def parse(file: media.FoundFile) -> Entry | Aside:
    """What a name says: the speaker (older or younger female), the word, the emotion.

    >>> parse(media.FoundFile("OA_bite_neutral.wav", "OA_bite_neutral.wav")).stem
    'OAF_bite_neutral'
    """
    stem = os.path.splitext(file.name)[0]
    match = _NAME.fullmatch(stem)
    if match is None:
        return Aside("not named like OAF_back_angry.wav")
    speaker, word, emotion = match[1].upper(), match[2].lower(), match[3].lower()
    if emotion in _SURPRISES:
        emotion = "ps"
    if emotion not in EMOTIONS:
        return Aside(bad_value("emotion", match[3], EMOTIONS))
    if not speaker.endswith("F"):
        speaker += "F"
    proper = f"{speaker}_{word}_{emotion}"
    return Entry(
        stem=proper,
        speaker=speaker,
        text=f"Say the word {word}",
        label=EMOTIONS[emotion],
        sex="female",
        attributes={"age": AGES[speaker]},
        mended=stem.casefold() != proper.casefold(),
    )


def _misplaced(clips: Iterable[str]) -> list[str]:
    """Tells of clips in the folder of another speaker or emotion than their names say."""
    odd = []
    for clip in clips:
        *_, folder, name = ("", *clip.split("/"))
        place = _FOLDER.fullmatch(folder)
        entry = parse(media.FoundFile(clip, name))
        if place is None or isinstance(entry, Aside):
            continue
        emotion = re.sub(r"[ -]+", "_", place[2].lower())
        emotion = "ps" if emotion in _SURPRISES else emotion
        if (place[1].upper(), EMOTIONS.get(emotion)) != (entry.speaker, entry.label):
            odd.append(clip)
    if not odd:
        return []
    more = f" and {len(odd) - 3:,} more" if len(odd) > 3 else ""
    return [
        f"{len(odd):,} clips lie in the folder of another speaker or emotion; their names are believed: "
        f"{', '.join(odd[:3])}{more}."
    ]
