"""IEMOCAP: 10,039 turns of ten actors in five two-person sessions, improvised and from scripts.

Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee, Narayanan: IEMOCAP: interactive emotional dyadic motion
capture database. Language Resources and Evaluation 42, 2008.

There is no official split: every row is `train`, and folds are made by `session` (the usual five-fold
protocol tests on one session). The dialogue's name says whether it was improvised (`Ses01F_impro01`) or
scripted (`Ses01F_script01_1`); its F or M is the actor with the markers, the turn's own letter the speaker.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..records import Rating
from . import iemocap_labels, media, official, row_checks
from .base import Corpus, CorpusInfo, Draft, sha256
from .defects import Family
from .finish import Reading, finish
from .iemocap_labels import EMOTIONS, Turn
from .meld import named

_LABEL_FILE = re.compile(r"(?:^|.*/)dialog/EmoEvaluation/(Ses\d\d[FM]_\w+)\.txt", re.IGNORECASE)
_TRANSCRIPT = re.compile(r"(?:^|.*/)dialog/transcriptions/(Ses\d\d[FM]_\w+)\.txt", re.IGNORECASE)
_FAMILIES: frozenset[Family] = frozenset({"times", "turns", "text", "encoding", "labels", "repeats"})
_SEX = {"F": "female", "M": "male"}

INFO = CorpusInfo(
    name="iemocap",
    title="IEMOCAP (Interactive Emotional Dyadic Motion Capture)",
    licence="IEMOCAP data release form of the University of Southern California, for research",
    homepage="https://sail.usc.edu/iemocap/",
    citation="""\
@article{busso2008iemocap,
  title   = {{IEMOCAP}: interactive emotional dyadic motion capture database},
  author  = {Busso, Carlos and Bulut, Murtaza and Lee, Chi-Chun and Kazemzadeh, Abe and Mower, Emily and
             Kim, Samuel and Chang, Jeannette N. and Lee, Sungbok and Narayanan, Shrikanth S.},
  journal = {Language Resources and Evaluation},
  volume  = {42},
  pages   = {335--359},
  year    = {2008},
  doi     = {10.1007/s10579-008-9076-6}
}""",
    layout=(
        "Session1 to Session5 with dialog/EmoEvaluation/*.txt, dialog/transcriptions/*.txt and clips in "
        "sentences/wav/DIALOGUE/TURN.wav; without those, the turns are cut from dialog/wav/DIALOGUE.wav"
    ),
    labels=tuple(EMOTIONS.values()),
    language="en",
    access="sign the release form on the homepage; a download link is mailed to you",
    counts={
        "neu": 1708, "hap": 595, "exc": 1041, "sad": 1084, "ang": 1103, "fru": 1849, "sur": 107, "fea": 40,
        "dis": 2, "oth": 3, "xxx": 2507,
    },
    utterances=10_039,
    speakers=10,
    profile="any-speaker",
)  # fmt: skip


@dataclass
class _Found:
    """The files of the corpus.

    Attributes:
        labels, transcripts: dialogue -> path.
        turns, dialogues: clip name -> path, of the clips of one turn and of whole dialogues.
    """

    labels: dict[str, str] = field(default_factory=dict)
    transcripts: dict[str, str] = field(default_factory=dict)
    turns: dict[str, str] = field(default_factory=dict)
    dialogues: dict[str, str] = field(default_factory=dict)


def matches(folder: Path) -> bool:
    """Whether there is at least one of IEMOCAP's label files."""
    return folder.is_dir() and any(_LABEL_FILE.fullmatch(file.path) for file in media.walk(folder))


def load(folder: Path, *, name: str | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Reads IEMOCAP.

    Labels, rater's labels and dimensions (1 to 5; valence, arousal, dominance) are the release's own. A
    rating is named as in the file: `C-E2` a categorical one, `A-E3` one of the dimensions, and those with the
    speaker's letter (`C-F1`, `A-M1`) are the actor's own. Turns of a dialogue come in the order of their
    start.

    Args:
        folder: the release, or a folder above it.
        name: the corpus's name in ids; `iemocap` if None.
        splits: the splits to give; there is only `train`.

    Raises:
        InputError: no label file, or one with a turn that cannot be read.
    """
    info = named(INFO, name)
    found = _find(folder)
    if not found.labels:
        raise InputError(f"No IEMOCAP label file below {folder}, expected {INFO.layout}")
    notes = ["IEMOCAP has no official split: all rows are 'train'; make folds by session."]
    drafts: list[Draft] = []
    words, left_out = _transcripts(folder, found.transcripts)
    for path in found.labels.values():
        turns, others = iemocap_labels.turns(official.read_text(folder / path).words, path)
        rows = [_draft(turn, path, info.name, words) for turn in turns]
        drafts += sorted(rows, key=lambda row: (str(row.dialogue_id), row.start, row.end, row.id))
        if others:
            notes.append(f"{path}: {others:,} lines are neither a turn nor a rating and were left out.")
    without = sum(draft.utterance_id not in words for draft in drafts)
    if found.transcripts and without:
        notes.append(f"{without:,} turns have no line in the transcriptions: their text is empty.")
    if unused := len(words.keys() - {str(draft.utterance_id) for draft in drafts}):
        notes.append(f"{unused:,} transcribed turns have no label and were left out.")
    if left_out:
        notes.append(f"{left_out:,} lines of the transcriptions name no turn and were left out.")
    _unknown_labels(drafts, notes)
    counts = _clips(drafts, found, notes)
    if difference := official.count_note(INFO, drafts):
        notes.append(difference)
    files = {path: sha256(folder / path) for path in (*found.labels.values(), *found.transcripts.values())}
    families: frozenset[Family] = _FAMILIES if counts is None else _FAMILIES | {"media"}
    return finish(Reading(info, folder, drafts, files, families, tuple(notes), counts or {}), splits)


def _find(folder: Path) -> _Found:
    files = list(media.walk(folder))
    found = _Found()
    for file in files:
        for pattern, paths in ((_LABEL_FILE, found.labels), (_TRANSCRIPT, found.transcripts)):
            match = pattern.fullmatch(file.path)
            if match is None:
                continue
            if match[1] in paths:
                raise InputError(f"{folder} has {paths[match[1]]} and {file.path}; name the folder of one")
            paths[match[1]] = file.path
    for clip, path in official.by_stem(files, media.SUFFIXES).items():
        if iemocap_labels.NAME.fullmatch(clip):
            found.turns[clip] = path
        elif clip in found.labels:
            found.dialogues[clip] = path
    return found


def _transcripts(folder: Path, paths: Mapping[str, str]) -> tuple[dict[str, official.Text], int]:
    """Turn -> words, and the number of lines that are of no named turn."""
    words: dict[str, official.Text] = {}
    left_out = 0
    for text in official.read_texts(folder, paths).values():
        said, others = iemocap_labels.transcript(text.words)
        left_out += others
        words |= {name: official.Text(line, text.utf8) for name, line in said.items()}
    return words, left_out


def _draft(turn: Turn, path: str, corpus: str, words: Mapping[str, official.Text]) -> Draft:
    text = words.get(turn.name, official.Text(""))
    draft = Draft(
        split="train",
        dialogue_id=turn.dialogue,
        utterance_id=turn.name,
        speaker=turn.speaker,
        text=text.words,
        source=f"{path}:{turn.line}",
        id=f"{corpus}/train/{turn.name}",
        label=turn.label,
        start=turn.start,
        end=turn.end,
        sex=_SEX[turn.speaker[-1]],
        session=f"Session{int(turn.speaker[3:5])}",
        ratings=turn.ratings,
        attributes=turn.attributes,
    )
    row_checks.encoding(draft, text.utf8)
    if turn.label not in INFO.labels:
        draft.flags.add("label_unknown")
    return draft


def _unknown_labels(drafts: Sequence[Draft], notes: list[str]) -> None:
    """Tells of rater's labels that are not among the release's ten emotions."""
    ratings: list[Rating] = [rating for draft in drafts for rating in draft.ratings]
    unknown = Counter(name for r in ratings for name in r.labels if name not in INFO.labels)
    if unknown:
        shown = ", ".join(f"{name!r} ({count})" for name, count in unknown.most_common(4))
        notes.append(f"Rater's labels that IEMOCAP does not define, kept as they are: {shown}.")


def _clips(drafts: Sequence[Draft], found: _Found, notes: list[str]) -> dict[str, dict[str, int]] | None:
    """Gives each turn its clip, else its part of the dialogue's recording."""
    cut = 0
    for draft in drafts:
        dialogue = found.dialogues.get(str(draft.dialogue_id))
        if str(draft.utterance_id) in found.turns or dialogue is None:
            continue
        assert draft.start is not None
        assert draft.end is not None
        draft.clip = dialogue
        draft.clip_start, draft.clip_end = draft.start / 1000, draft.end / 1000
        cut += 1
    if cut:
        notes.append(f"{cut:,} turns have no clip of their own: they are cut from the dialogues' recordings.")
    return official.attach(drafts, found.turns, lambda draft: str(draft.utterance_id), notes)
