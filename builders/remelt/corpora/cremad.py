"""CREMA-D: 7,442 clips of twelve sentences, acted by 91 actors with six emotions and judged by 2,443 people.

Cao, Cooper, Keutmann, Gur, Nenkova, Verma: CREMA-D: Crowd-Sourced Emotional Multimodal Actors Dataset. IEEE
Transactions on Affective Computing 5(4), 2014. The label is the emotion that was acted; what people heard is
in `ratings` and `attributes`, where the repository's tables are at hand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import bad_value
from ..records import Rating, Utterance
from . import acted, cremad_tables, media
from .acted import Aside, Collection, Entry
from .base import Corpus, CorpusInfo, Draft
from .cremad_tables import LABELS, MODES, Tables
from .meld import named

SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
INTENSITIES = {"LO": 1.0, "MD": 2.0, "HI": 3.0}
UNSPECIFIED = "XX"
ACTORS = range(1001, 1092)
_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{2})")
_EMOTIONS = tuple(label.upper() for label in LABELS.values())

INFO = CorpusInfo(
    name="cremad",
    title="CREMA-D (Crowd-sourced Emotional Multimodal Actors Dataset)",
    licence="ODbL 1.0",
    homepage="https://github.com/CheyneyComputerScience/CREMA-D",
    citation="""\
@article{cao2014cremad,
  title   = {{CREMA-D}: Crowd-Sourced Emotional Multimodal Actors Dataset},
  author  = {Cao, Houwei and Cooper, David G. and Keutmann, Michael K. and Gur, Ruben C. and
             Nenkova, Ani and Verma, Ragini},
  journal = {IEEE Transactions on Affective Computing},
  volume  = {5},
  number  = {4},
  pages   = {377--390},
  year    = {2014},
  doi     = {10.1109/TAFFC.2014.2336244}
}""",
    layout=(
        "1001_DFA_ANG_XX.wav and the like, as a rule in AudioWAV/ (else AudioMP3/); optional tables: "
        "VideoDemographics.csv, finishedResponses.csv, tabulatedVotes.csv, SentenceFilenames.csv"
    ),
    labels=tuple(LABELS.values()),
    language="en",
    access="free from GitHub with Git LFS: git clone, then git lfs pull --include 'AudioWAV/*,*.csv'",
    counts={"ang": 1271, "dis": 1271, "fea": 1271, "hap": 1271, "neu": 1087, "sad": 1271},
    utterances=7442,
    speakers=91,
    profile="acted",
)


@dataclass(frozen=True)
class Judgements:
    """The single votes of one way of judging.

    Attributes:
        named: whether it is known who voted; else raters are numbered anew for each clip.
        votes: recording (an utterance's `dialogue_id`) -> its votes, each with one label.
    """

    named: bool
    votes: Mapping[str, tuple[Rating, ...]]


def matches(folder: Path) -> bool:
    """Whether a sound file is named as CREMA-D names its own, or its list of names or votes is there."""
    return folder.is_dir() and any(
        (acted.is_media(file.name) and isinstance(parse(file), Entry)) or cremad_tables.is_list(file.name)
        for file in media.walk(folder)
    )


def load(folder: Path, *, name: str | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Reads CREMA-D; without any clip, the names in its tables, so that its votes can be worked with.

    `attributes` has `intensity` (1 low, 2 medium, 3 high; absent where it was not specified), the actor's
    `age`, and for each way of judging, `voice`, `face` and `audiovisual`: `voice_votes` (people) and
    `voice_ang` to `voice_sad` (their shares). `ratings` has the votes of the people who heard the clip
    and saw nothing. Without `finishedResponses.csv` nobody's name is known: raters are numbered per clip.

    Args:
        folder: the corpus folder.
        name: the corpus's name in ids; `cremad` if None.
        splits: `train` is the only one.

    Raises:
        InputError: neither clips nor names, a table that cannot be read, or another split was asked for.
    """
    info = named(INFO, name)
    files = list(media.walk(folder))
    found = acted.collect(folder, files, info.name, parse)
    tables = cremad_tables.read(folder, files)
    notes = list(tables.notes)
    if not found.drafts and tables.names:
        found = _from_names(found, tables, info.name)
        notes.append("There are no clips: the rows are those of the tables.")
    for draft in found.drafts:
        _describe(draft, tables)
    return acted.complete(info, folder, found, splits, files=tables.files, notes=notes)


def parse(file: media.FoundFile) -> Entry | Aside:
    """What a name says: actor, sentence, emotion and intensity.

    >>> parse(media.FoundFile("1001_IEO_SAD_HI.wav", "1001_IEO_SAD_HI.wav")).attributes
    {'intensity': 3.0}
    """
    return parse_stem(os.path.splitext(file.name)[0])


def parse_stem(stem: str) -> Entry | Aside:
    """The same of a name without its ending, as the tables have it."""
    proper = cremad_tables.proper_stem(stem)
    match = _NAME.fullmatch(proper)
    if match is None:
        return Aside("not named like 1001_DFA_ANG_XX.wav")
    actor, sentence, emotion, level = match.groups()
    for what, value, choices in (
        ("sentence", sentence, tuple(SENTENCES)),
        ("emotion", emotion, _EMOTIONS),
        ("intensity", level, (*INTENSITIES, UNSPECIFIED)),
    ):
        if value not in choices:
            return Aside(bad_value(what, value, choices))
    if int(actor) not in ACTORS:
        return Aside(f"Bad actor {actor!r}, expected 1001 to 1091")
    return Entry(
        stem=proper,
        speaker=actor,
        text=SENTENCES[sentence],
        label=emotion.lower(),
        attributes={"intensity": INTENSITIES[level]} if level in INTENSITIES else {},
        mended=proper != stem.upper(),
    )


def perceived(utterance: Utterance, judged_by: str = "voice") -> str | None:
    """The label that most people chose; None where there are no votes, or several labels lead.

    Args:
        utterance: a row of CREMA-D.
        judged_by: `voice` (heard only), `face` (seen only) or `audiovisual`.

    Raises:
        InputError: there is no such way of judging.
    """
    cremad_tables.check_mode(judged_by)
    shares = {label: utterance.attributes.get(f"{judged_by}_{label}", 0.0) for label in LABELS.values()}
    most = max(shares.values())
    leading = [label for label, share in shares.items() if share == most]
    return leading[0] if most and len(leading) == 1 else None


def judgements(folder: Path) -> dict[str, Judgements]:
    """The single votes by `voice` (heard only), `face` (seen only) and `audiovisual`.

    `finishedResponses.csv` names the people; where there is only `tabulatedVotes.csv`, each vote that it
    counts stands for somebody.

    Args:
        folder: the corpus folder.

    Returns:
        Those ways of judging that have votes.

    Raises:
        InputError: a table that cannot be read.
    """
    tables = cremad_tables.read(folder, media.walk(folder))
    found = {}
    for mode in MODES.values():
        of = {stem: tables.ratings(stem, mode) for stem in tables.names}
        votes = {stem: ratings for stem, ratings in of.items() if ratings}
        if votes:
            found[mode] = Judgements(bool(tables.answers.get(mode)), votes)
    return found


def _from_names(found: Collection, tables: Tables, name: str) -> Collection:
    entries = {entry.stem: entry for entry in map(parse_stem, tables.names) if isinstance(entry, Entry)}
    drafts = [
        acted.draft(name, entry, None, tables.names.get(stem, ""))
        for stem, entry in sorted(entries.items(), key=lambda item: (item[1].speaker, item[0]))
    ]
    return Collection(tuple(drafts), found.notes, found.findings, found.reasons)


def _describe(draft: Draft, tables: Tables) -> None:
    """Adds what the tables know of a row."""
    extra: dict[str, float] = {}
    actor = tables.actors.get(draft.speaker)
    if actor is not None:
        draft.sex = actor.sex
        extra["age"] = actor.age
    stem = str(draft.dialogue_id)
    for mode, counts in tables.votes.get(stem, {}).items():
        extra |= _shares(mode, counts)
    draft.attributes = {**draft.attributes, **extra}
    draft.ratings = tables.ratings(stem)


def _shares(mode: str, counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    shares = {f"{mode}_{label}": counts.get(label, 0) / total for label in LABELS.values()} if total else {}
    return {f"{mode}_votes": float(total), **shares}
