"""EMO-DB: 535 clips of ten German sentences, acted by ten actors with seven emotions.

Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss: A Database of German Emotional Speech. Interspeech 2005. The
535 are those that listeners recognised (80 % or more) and found natural (60 % or more).
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

# The letters stand for the German words: Wut, Langeweile, Ekel, Angst, Freude, Trauer.
EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness",
    "N": "neutral",
}  # fmt: skip
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
# Speaker -> sex and age.
SPEAKERS = {
    "03": ("male", 31), "08": ("female", 34), "09": ("female", 21), "10": ("male", 32), "11": ("male", 26),
    "12": ("male", 30), "13": ("female", 32), "14": ("female", 35), "15": ("male", 25), "16": ("female", 31),
}  # fmt: skip
_NAME = re.compile(r"(\d\d)([ab]\d\d)([A-Z])([a-z])")

BY_NAMES = True
INFO = CorpusInfo(
    name="emodb",
    title="EMO-DB (Berlin Database of Emotional Speech)",
    licence="CC0-1.0",
    homepage="http://emodb.bilderbar.info",
    citation="""\
@inproceedings{burkhardt2005emodb,
  title     = {A Database of {German} Emotional Speech},
  author    = {Burkhardt, Felix and Paeschke, Astrid and Rolfes, Miriam and Sendlmeier, Walter F. and
               Weiss, Benjamin},
  booktitle = {Interspeech 2005},
  year      = {2005},
  pages     = {1517--1520},
  doi       = {10.21437/Interspeech.2005-446}
}""",
    layout="03a01Fa.wav and the like, as a rule in wav/",
    labels=tuple(EMOTIONS.values()),
    language="de",
    access="free download from the homepage (download.zip)",
    counts={
        "anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79,
    },
    utterances=535,
    speakers=10,
    profile="acted",
)  # fmt: skip


def matches(folder: Path) -> bool:
    """Whether a sound file is named as EMO-DB names its own."""
    return acted.any_clip(folder, parse)


def load(folder: Path, *, name: str | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Reads EMO-DB; `attributes` has the speaker's `age`.

    Args:
        folder: the corpus folder.
        name: the corpus's name in ids; `emodb` if None.
        splits: `train` is the only one.

    Raises:
        InputError: no such clip, or another split was asked for.
    """
    info = named(INFO, name)
    return acted.complete(info, folder, acted.collect(folder, media.walk(folder), info.name, parse), splits)


def parse(file: media.FoundFile) -> Entry | Aside:
    """What a name says: speaker, sentence, emotion and version.

    >>> parse(media.FoundFile("wav/16b10Wb.wav", "16b10Wb.wav")).label
    'anger'
    """
    match = _NAME.fullmatch(os.path.splitext(file.name)[0])
    if match is None:
        return Aside("not named like 03a01Fa.wav")
    if any(part.lower().startswith("laryngo") for part in file.path.split("/")[:-1]):
        return Aside("laryngograms, which carry the names of the clips", "other")
    speaker, sentence, emotion, _ = match.groups()
    for what, value, choices in (
        ("speaker", speaker, tuple(SPEAKERS)),
        ("sentence", sentence, tuple(SENTENCES)),
        ("emotion", emotion, tuple(EMOTIONS)),
    ):
        if value not in choices:
            return Aside(bad_value(what, value, choices))
    sex, age = SPEAKERS[speaker]
    return Entry(
        stem=match[0],
        speaker=speaker,
        text=SENTENCES[sentence],
        label=EMOTIONS[emotion],
        sex=sex,
        attributes={"age": float(age)},
    )
