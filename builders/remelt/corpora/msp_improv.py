"""MSP-Improv: 8,438 turns of twelve actors in six two-person sessions, improvised around target sentences.

Busso, Parthasarathy, Burmania, AbdelWahab, Sadoughi, Mower Provost: MSP-IMPROV: An Acted Corpus of Dyadic
Interactions to Study Emotion Perception. IEEE Transactions on Affective Computing 8, 2017.

There is no official split: every row is `train`, and folds are made by `session` (the usual six-fold
protocol tests on one session).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import InputError
from . import media, msp, official, row_checks
from .base import Corpus, CorpusInfo, Draft, sha256
from .defects import Family
from .finish import Reading, finish
from .meld import named

# The release spells it without the second a; copies were corrected.
LABEL_FILES = ("Evalution.txt", "Evaluation.txt")
NAME = re.compile(
    r"(?:MSP|UTD)-IMPROV-(?P<scene>S\d\d[A-Z])-(?P<speaker>(?P<sex>[FM])\d\d)-(?P<kind>[PRST])"
    r"-(?P<pair>[FM]{1,2})(?P<turn>\d+)"
)
KINDS: Mapping[str, str] = {
    "P": "natural talk between the takes",
    "R": "the target sentence, read",
    "S": "improvisation, without the target sentence",
    "T": "the target sentence, improvised",
}
_SCALE = (1.0, 5.0)
_FAMILIES: frozenset[Family] = frozenset({"text", "encoding", "labels", "repeats"})
_SEX = {"F": "female", "M": "male"}

INFO = CorpusInfo(
    name="msp_improv",
    title="MSP-IMPROV",
    licence="licence agreement with the University of Texas at Dallas, for research",
    homepage="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html",
    citation="""\
@article{busso2017mspimprov,
  title   = {{MSP-IMPROV}: An Acted Corpus of Dyadic Interactions to Study Emotion Perception},
  author  = {Busso, Carlos and Parthasarathy, Srinivas and Burmania, Alec and AbdelWahab, Mohammed and
             Sadoughi, Najmeh and Mower Provost, Emily},
  journal = {IEEE Transactions on Affective Computing},
  volume  = {8},
  number  = {1},
  pages   = {67--80},
  year    = {2017},
  doi     = {10.1109/TAFFC.2016.2515617}
}""",
    layout=(
        "Evalution.txt (or Evaluation.txt) with the labels; clips MSP-IMPROV-*.wav in session1 to "
        "session6/S01A/P, as a rule below Audio/; transcripts MSP-IMPROV-*.txt, if any, in any folder"
    ),
    labels=("anger", "happiness", "neutral", "no agreement", "other", "sadness"),
    language="en",
    access="ask for the licence agreement on the homepage",
    counts={
        "neutral": 3477, "happiness": 2644, "sadness": 885, "anger": 792, "other": 85, "no agreement": 555,
    },
    utterances=8_438,
    speakers=12,
    profile="any-speaker",
)  # fmt: skip


def matches(folder: Path) -> bool:
    """Whether there is the label file, and it names turns of MSP-Improv."""
    if not folder.is_dir():
        return False
    names = frozenset(name.casefold() for name in LABEL_FILES)
    found = [file.path for file in media.walk(folder) if file.name.casefold() in names]
    return any(NAME.search(official.head(folder / path)) for path in found)


def load(folder: Path, *, name: str | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Reads MSP-Improv.

    The speaker is the fourth field of the file name, as in published speaker-independent work. Where the
    turn begins with the other sex (`F01` with a turn `MF02`), it may be the partner's; its sex is left open.
    Attributes are the release's means of 1 to 5: valence, arousal, dominance, naturalness. Arousal is kept as
    it stands; published loaders turn it round, taking 1 for the most active end. A rating's label is the
    rater's primary emotion.

    Args:
        folder: the release, or a folder above it.
        name: the corpus's name in ids; `msp_improv` if None.
        splits: the splits to give; there is only `train`.

    Raises:
        InputError: no label file, or one with a line that cannot be read.
    """
    info = named(INFO, name)
    files = list(media.walk(folder))
    path = official.nearest(folder, files, LABEL_FILES)
    if path is None:
        raise InputError(f"No MSP-Improv label file below {folder}, expected one of {list(LABEL_FILES)}")
    notes = [
        "MSP-Improv has no official split: all rows are 'train'; make folds by session.",
        "Arousal is as in the release; published loaders take 1 for its active end.",
        "The order of turns across the two actors of a scene is not in the release.",
    ]
    text = official.read_text(folder / path)
    blocks = list(msp.blocks(text.words, path, _SCALE))
    drafts = [_draft(block, path, info.name) for block in blocks]
    if unsure := sum(draft.sex is None for draft in drafts):
        notes.append(
            f"{unsure:,} turns name one actor in the fourth field and the other sex in the last: whose voice "
            "it is cannot be told, and their sex is left open."
        )
    if repeated := sum(block.repeated for block in blocks):
        notes.append(f"{path}: {repeated:,} ratings stand there twice and are counted once.")
    if unreadable := sum(block.unreadable for block in blocks):
        notes.append(f"{path}: {unreadable:,} lines are no rating and were left out.")
    _texts(folder, files, drafts, notes)
    clips = {
        _official(clip): place
        for clip, place in official.by_stem(files, media.SUFFIXES).items()
        if NAME.fullmatch(clip)
    }
    counts = official.attach(drafts, clips, lambda draft: str(draft.utterance_id), notes)
    if difference := official.count_note(INFO, drafts):
        notes.append(difference)
    families: frozenset[Family] = _FAMILIES if counts is None else _FAMILIES | {"media"}
    hashes = {path: sha256(folder / path)}
    return finish(Reading(info, folder, drafts, hashes, families, tuple(notes), counts or {}), splits)


def _official(name: str) -> str:
    """The clip's name; the label file names the video instead.

    >>> _official("UTD-IMPROV-S01A-F01-P-FM01")
    'MSP-IMPROV-S01A-F01-P-FM01'
    """
    return f"MSP{name[3:]}" if name.startswith("UTD-") else name


def _draft(block: msp.Block, path: str, corpus: str) -> Draft:
    place = f"{path}:{block.line}"
    match = NAME.fullmatch(block.name)
    if match is None:
        raise InputError(
            f"{place}: bad turn {block.name!r}, expected a name such as 'UTD-IMPROV-S01A-F01-P-FM01', whose "
            f"recording type is one of {list(KINDS)}"
        )
    turn = _official(block.name)
    draft = Draft(
        split="train",
        dialogue_id=f"{match['scene']}-{match['speaker']}-{match['kind']}",
        utterance_id=turn,
        speaker=match["speaker"],
        text="",
        source=place,
        id=f"{corpus}/train/{turn}",
        label=block.label,
        sex=_SEX[match["sex"]] if match["pair"][0] == match["sex"] else None,
        session=f"session{int(match['speaker'][1:])}",
        ratings=tuple(block.ratings),
        attributes=block.attributes,
    )
    if block.label is None:
        draft.flags.add("label_missing")
    elif block.label not in INFO.labels:
        draft.flags.add("label_unknown")
    return draft


def _texts(folder: Path, files: Sequence[media.FoundFile], drafts: Sequence[Draft], notes: list[str]) -> None:
    """Reads the transcripts, which some copies of the release have."""
    paths = {
        _official(stem): path
        for stem, path in official.by_stem(files, (".txt",)).items()
        if NAME.fullmatch(stem)
    }
    texts = official.read_texts(folder, paths)
    missing: Counter[bool] = Counter()
    for draft in drafts:
        text = texts.get(str(draft.utterance_id))
        missing[text is None] += 1
        if text is not None:
            draft.text = " ".join(text.words.split())
            row_checks.encoding(draft, text.utf8)
    if missing[True]:
        notes.append(f"{missing[True]:,} turns have no transcript: their text is empty.")
