"""MSP-Podcast: turns cut from podcasts, rated by at least five people each; about 150,000 in release 1.11.

Lotfian, Busso: Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional Speech from
Existing Podcast Recordings. IEEE Transactions on Affective Computing 10, 2019.

The official partitions are the splits, their names in lower case: train, development (validation in older
releases), test1, test2, and test3 where a copy has labels for it. Turns are isolated, so each is a dialogue
of its own; `session` is the podcast they come from.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import InputError, bad_value
from ..records import Rating
from . import media, msp, msp_ratings, official, row_checks
from .base import Corpus, CorpusInfo, Draft, by_split, read_bytes, sha256
from .defects import Family
from .delimited import RawTable, parse
from .finish import Reading, finish
from .meld import named

# Releases before 1.10 misspell it.
LABEL_FILES = ("labels_consensus.csv", "labels_concensus.csv")
SPLITS: Mapping[str, str] = {
    name: name.casefold()
    for name in ("Train", "Development", "Validation", "Test", "Test1", "Test2", "Test3")
}
SCALE = (1.0, 7.0)
COLUMNS = ("FileName", "EmoClass", "Split_Set", "SpkrID", "Gender", "EmoAct", "EmoVal", "EmoDom")
_ATTRIBUTES: Mapping[str, str] = {"EmoAct": "arousal", "EmoVal": "valence", "EmoDom": "dominance"}
PARTITION_FILES = ("Partition.txt", "Partitions.txt")
_NAME = re.compile(r"(MSP-PODCAST_(\d+)_\w+)(?:\.wav)?", re.IGNORECASE)
_PARTITION = re.compile(r"(\w+)\s*[;,\t]\s*(MSP-PODCAST_\w+)(?:\.wav)?\s*;?")
_TRANSCRIPTS = re.compile(r"(?:^|/)(?:human_)?transcripts?/", re.IGNORECASE)
_NOBODY = frozenset({"", "unknown", "nan"})
_LABELS = frozenset(msp.LETTERS.values())
# Old label files lie in here, and clips that were taken out of the corpus.
_OLD = "previous_releases"
_FAMILIES: frozenset[Family] = frozenset({"labels"})
# The homepage's numbers of release 1.11; those of test3 (2,347) have no public labels.
_RELEASE = "1.11"
_PARTITIONS = {"train": 84_030, "development": 19_815, "test1": 30_647, "test2": 14_815}
_Ratings = Mapping[str, Sequence[Rating]]

INFO = CorpusInfo(
    name="msp_podcast",
    title="MSP-Podcast",
    licence="licence agreement with the University of Texas at Dallas, for research",
    homepage="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
    citation="""\
@article{lotfian2019podcast,
  title   = {Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional Speech from
             Existing Podcast Recordings},
  author  = {Lotfian, Reza and Busso, Carlos},
  journal = {IEEE Transactions on Affective Computing},
  volume  = {10},
  number  = {4},
  pages   = {471--483},
  year    = {2019},
  doi     = {10.1109/TAFFC.2017.2736999}
}""",
    layout=(
        "Labels/labels_consensus.csv (or labels_concensus.csv), with labels_detailed.csv or labels.txt for "
        "the raters; clips MSP-PODCAST_0001_0008.wav in Audios/ or Audio/; texts, if any, in Transcripts/"
    ),
    labels=tuple(sorted(msp.LETTERS.values())),
    language="en",
    access="ask for the academic licence agreement on the homepage",
    utterances=sum(_PARTITIONS.values()),
    profile="any-speaker",
)


def matches(folder: Path) -> bool:
    """Whether there is a consensus label file that names clips of MSP-Podcast."""
    if not folder.is_dir():
        return False
    names = frozenset(LABEL_FILES)
    found = [file.path for file in _current(media.walk(folder)) if file.name.casefold() in names]
    return any(_is_label_file(folder / path) for path in found)


def _current(files: Iterable[media.FoundFile]) -> Iterator[media.FoundFile]:
    """The files of this release, without those of earlier ones that come with it."""
    return (file for file in files if f"/{_OLD}" not in f"/{file.path.casefold()}")


def _is_label_file(path: Path) -> bool:
    head = official.head(path)
    return "EmoClass" in head and _NAME.search(head) is not None


def load(folder: Path, *, name: str | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Reads MSP-Podcast, releases 1.6 to 2.0.

    Attributes are the release's means of 1 to 7: arousal, valence, dominance. A rating's label is the
    rater's primary emotion. A speaker who is not known has an empty name.

    Args:
        folder: the release, or a folder above it.
        name: the corpus's name in ids; `msp_podcast` if None.
        splits: the splits to give; all are read in any case.

    Raises:
        InputError: no label file, or one with a row that cannot be read.
    """
    info = named(INFO, name)
    files = list(_current(media.walk(folder)))
    path = official.nearest(folder, files, LABEL_FILES)
    if path is None:
        raise InputError(f"No MSP-Podcast label file below {folder}, expected one of {list(LABEL_FILES)}")
    data = read_bytes(folder / path)
    table = parse(data, path, required=("FileName", "EmoClass"))
    hashes = {path: hashlib.sha256(data).hexdigest()}
    notes: list[str] = []
    partitions = {} if "Split_Set" in table.columns else _partitions(folder, files, path)
    ratings = _ratings(folder, files, path, hashes, notes)
    drafts = [_draft(values, place, info.name, partitions, ratings) for values, place in _values(table)]
    families = _FAMILIES | _texts(folder, files, drafts, notes)
    clips = {
        clip: place
        for clip, place in official.by_stem(files, media.SUFFIXES).items()
        if _NAME.fullmatch(clip)
    }
    counts = official.attach(drafts, clips, lambda draft: str(draft.dialogue_id), notes)
    _told(drafts, ratings, notes)
    families |= frozenset() if counts is None else {"media"}
    return finish(Reading(info, folder, drafts, hashes, families, tuple(notes), counts or {}), splits)


def _draft(
    values: Sequence[str], place: str, corpus: str, partitions: Mapping[str, str], ratings: _Ratings
) -> Draft:
    """A row of the consensus table, whose values come in the order of `COLUMNS`."""
    file, emotion, partition, speaker, gender, *means = values
    match = _NAME.fullmatch(file)
    if match is None:
        raise InputError(f"{place}: bad FileName {file!r}, expected one such as 'MSP-PODCAST_0001_0008.wav'")
    turn, podcast = match.groups()
    split = SPLITS.get(partition or partitions.get(turn, ""))
    if split is None:
        raise InputError(f"{place}: {bad_value('Split_Set', partition, SPLITS)}")
    label = msp.consensus(emotion)
    draft = Draft(
        split=split,
        dialogue_id=turn,
        utterance_id=0,
        speaker="" if speaker.casefold() in _NOBODY else speaker,
        text="",
        source=place,
        id=f"{corpus}/{split}/{turn}",
        label=label,
        sex=msp.sex(gender, place),
        session=podcast,
        ratings=tuple(ratings.get(turn, ())),
        attributes=_attributes(means, place),
    )
    if label not in _LABELS:
        draft.flags.add("label_missing" if label is None else "label_unknown")
    return draft


def _attributes(means: Sequence[str], place: str) -> dict[str, float]:
    found = {}
    for (column, name), text in zip(_ATTRIBUTES.items(), means, strict=True):
        value = msp.on_scale(text, place, column, SCALE)
        if value is not None:
            found[name] = value
    return found


def _values(table: RawTable) -> Iterator[tuple[list[str], str]]:
    """The values of each row in the order of `COLUMNS`, empty where the table lacks one; and its place."""
    places = [table.columns.index(column) if column in table.columns else None for column in COLUMNS]
    for row in table.rows:
        values = ["" if place is None else row.values[place].strip() for place in places]
        yield values, f"{table.name}:{row.line}"


def _partitions(folder: Path, files: Sequence[media.FoundFile], table: str) -> dict[str, str]:
    """Turn -> partition, from the partition file of releases whose label table does not say it."""
    path = official.nearest(folder, files, PARTITION_FILES)
    if path is None:
        raise InputError(f"{table} has no column 'Split_Set', and there is none of {list(PARTITION_FILES)}")
    found = {}
    for number, line in official.lines(official.read_text(folder / path).words):
        match = _PARTITION.fullmatch(line.strip())
        if match is None:
            raise InputError(f"{path}:{number}: bad line {line.strip()!r}, expected 'Train; FILE'")
        found[match[2]] = match[1]
    return found


def _ratings(
    folder: Path, files: Sequence[media.FoundFile], table: str, hashes: dict[str, str], notes: list[str]
) -> _Ratings:
    """Each rater's own labels, from the detailed table, else from the label text, beside the consensus."""
    beside = table.rpartition("/")[0]
    here = [file for file in files if file.path.rpartition("/")[0] == beside]
    for names, read in ((("labels_detailed.csv",), msp_ratings.table), (("labels.txt",), msp_ratings.text)):
        path = official.nearest(folder, here, names)
        if path is not None:
            hashes[path] = sha256(folder / path)
            rated = read(folder / path, path, SCALE)
            if rated.repeated:
                notes.append(f"{path}: {rated.repeated:,} ratings stand there twice and are counted once.")
            if rated.unreadable:
                notes.append(f"{path}: {rated.unreadable:,} lines are no rating and were left out.")
            return rated.of
    notes.append(
        "There is neither labels_detailed.csv nor labels.txt beside the labels: no rater's own labels."
    )
    return {}


def _texts(
    folder: Path, files: Sequence[media.FoundFile], drafts: Sequence[Draft], notes: list[str]
) -> frozenset[Family]:
    """Reads the transcripts; the families of defects that can then be looked for."""
    found = official.by_stem((f for f in files if _TRANSCRIPTS.search(f.path)), (".txt",))
    paths = {turn: path for turn, path in found.items() if _NAME.fullmatch(turn)}
    if not paths:
        notes.append("There are no transcripts: all texts are empty. `remelt transcribe` makes some.")
        return frozenset()
    texts = official.read_texts(folder, paths)
    without = 0
    for draft in drafts:
        text = texts.get(str(draft.dialogue_id))
        without += text is None
        if text is not None:
            draft.text = " ".join(text.words.split())
            row_checks.encoding(draft, text.utf8)
    if without:
        notes.append(f"{without:,} turns have no transcript: their text is empty.")
    return frozenset({"text", "encoding", "repeats"})


def _told(drafts: Sequence[Draft], ratings: _Ratings, notes: list[str]) -> None:
    """Tells of what is not known, and of what differs from the release whose sizes are known."""
    if ratings:
        turns = {str(draft.dialogue_id) for draft in drafts}
        for count, what in (
            (len(turns - ratings.keys()), "turns have no rater's own labels."),
            (len(ratings.keys() - turns), "rated turns are not in the label table and were left out."),
        ):
            notes += [f"{count:,} {what}"] if count else []
    unknown = sum(not draft.speaker for draft in drafts)
    if unknown:
        notes.append(f"{unknown:,} turns are of speakers whom the release does not know.")
    sizes = {split: len(rows) for split, rows in by_split(drafts).items()}
    if sizes != _PARTITIONS:
        there = ", ".join(f"{split} {size:,}" for split, size in sizes.items())
        known = ", ".join(f"{split} {size:,}" for split, size in _PARTITIONS.items())
        notes.append(f"Not the labelled part of release {_RELEASE}: it has {there}; {_RELEASE} has {known}.")
