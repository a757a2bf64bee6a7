"""MELD: 13,708 utterances from the series Friends with seven emotions.

Poria, Hazarika, Majumder, Naik, Cambria, Mihalcea: MELD: A Multimodal Multi-Party Dataset for Emotion
Recognition in Conversations. ACL 2019. The public repository is under GPL-3.0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..labels import MELT
from . import media, row_checks
from .base import Corpus, CorpusInfo, Draft, read_bytes, safe_name, whole_number
from .defects import Family
from .delimited import RawRow, RawTable, parse
from .finish import Reading, finish
from .times import Clock, parse_clock

LABEL_FILES = {"train": "train_sent_emo.csv", "dev": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
COLUMNS = (
    "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season",
    "Episode", "StartTime", "EndTime",
)  # fmt: skip
# Surprise alone takes two polarities.
POLARITIES: Mapping[str, frozenset[str]] = {
    **{label: frozenset({"negative"}) for label in ("anger", "disgust", "fear", "sadness")},
    "joy": frozenset({"positive"}),
    "neutral": frozenset({"neutral"}),
    "surprise": frozenset({"negative", "positive"}),
}
_SENTIMENTS = frozenset({"negative", "neutral", "positive"})
_FAMILIES: frozenset[Family] = frozenset(
    {"times", "turns", "numbering", "text", "encoding", "labels", "speakers", "repeats", "splits"}
)

INFO = CorpusInfo(
    name="meld",
    title="MELD (Multimodal EmotionLines Dataset)",
    licence="GPL-3.0",
    homepage="https://github.com/declare-lab/MELD",
    citation="""\
@inproceedings{poria2019meld,
  title     = {{MELD}: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations},
  author    = {Poria, Soujanya and Hazarika, Devamanyu and Majumder, Navonil and Naik, Gautam and
               Cambria, Erik and Mihalcea, Rada},
  booktitle = {Proceedings of the 57th Annual Meeting of the Association for Computational Linguistics},
  year      = {2019},
  pages     = {527--536},
  doi       = {10.18653/v1/P19-1050}
}""",
    layout=(
        "train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv anywhere below the folder; clips "
        "diaX_uttY.mp4, .wav or .flac, if any, in train_splits/, dev_splits_complete/, "
        "output_repeated_splits_test/, or flat as train_diaX_uttY.wav"
    ),
    labels=MELT.labels,
    language="en",
    access="free: label files in the repository's data/MELD/, clips in MELD.Raw.tar.gz (10 GB), linked there",
    counts={
        "anger": 1607, "disgust": 361, "fear": 358, "joy": 2308, "neutral": 6436, "sadness": 1002,
        "surprise": 1636,
    },
    utterances=13708,
    speakers=304,
)  # fmt: skip


def matches(folder: Path) -> bool:
    """Whether the folder holds at least one of MELD's label files."""
    names = frozenset(LABEL_FILES.values())
    return folder.is_dir() and any(file.name in names for file in media.walk(folder))


def load(folder: Path, *, name: str | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Reads MELD, or a corpus in its layout.

    Args:
        folder: the corpus folder.
        name: the corpus's name in ids; `meld` if None.
        splits: the splits to give. All splits are read and checked against each other in any case.

    Raises:
        InputError: no label file, two different copies of one, or a file whose structure is wrong.
    """
    return read(folder, named(INFO, name), splits)


def named(info: CorpusInfo, name: str | None) -> CorpusInfo:
    """The same corpus under another name; None keeps its own."""
    return info if name is None else replace(info, name=safe_name(name))


def read(folder: Path, info: CorpusInfo, splits: Sequence[str] | None) -> Corpus:
    """Reads any corpus in MELD's layout; `load` says how."""
    files = list(media.walk(folder))
    label_files = _label_files(folder, files)
    absent = [split for split in LABEL_FILES if split not in label_files]
    notes = [f"There is no {LABEL_FILES[split]}: without the {split} split." for split in absent]
    drafts: list[Draft] = []
    hashes: dict[str, str] = {}
    for split, (path, data) in label_files.items():
        hashes[path] = hashlib.sha256(data).hexdigest()
        table = parse(data, path, required=COLUMNS)
        drafts += _rows(table, split)
        if table.empty_rows:
            notes.append(f"{path}: {table.empty_rows} rows without any value were left out.")
    families, counts = _clips(files, drafts, notes)
    return finish(Reading(info, folder, drafts, hashes, families, tuple(notes), counts), splits)


def _label_files(folder: Path, files: Iterable[media.FoundFile]) -> dict[str, tuple[str, bytes]]:
    """Path and content of each split's label file; of equal copies, the one nearest to the folder."""
    found: dict[str, tuple[str, bytes]] = {}
    files = list(files)
    for split, name in LABEL_FILES.items():
        paths = sorted((f.path for f in files if f.name == name), key=lambda p: (p.count("/"), p))
        contents = [read_bytes(folder / path) for path in paths]
        if any(content != contents[0] for content in contents):
            raise InputError(f"{folder} has different files named {name}: {paths}; name the folder of one")
        if paths:
            found[split] = (paths[0], contents[0])
    if not found:
        seen = sorted({f.name for f in files if f.name.lower().endswith((".csv", ".tsv", ".parquet"))})
        raise InputError(
            f"No MELD label file below {folder}, expected one of {list(LABEL_FILES.values())}; "
            f"tables found: {seen[:8]}"
        )
    return found


def _rows(table: RawTable, split: str) -> list[Draft]:
    order = table.positions(COLUMNS)
    return [_row(table, row, [row.values[place] for place in order], split) for row in table.rows]


def _row(table: RawTable, row: RawRow, values: Sequence[str], split: str) -> Draft:
    serial, words, speaker, emotion, sentiment, dialogue, utterance, season, episode, start, end = values
    source = f"{table.name}:{row.line}"
    draft = Draft(
        split=split,
        dialogue_id=_whole(dialogue, "Dialogue_ID", source),
        utterance_id=_whole(utterance, "Utterance_ID", source),
        speaker=speaker.strip(),
        text=words,
        source=source,
        label=emotion.strip().casefold() or None,
        sentiment=sentiment.strip().casefold() or None,
        serial=serial.strip(),
    )
    row_checks.encoding(draft, row.utf8)
    _labels(draft)
    draft.season, draft.episode = _episode(season, draft), _episode(episode, draft)
    starts = _clock(start, draft)
    ends = _clock(end, draft)
    if starts is not None:
        draft.start = starts.ms
        if starts.hour_digits == 1:
            draft.flags.add("short_hour")
    if ends is not None:
        draft.end = ends.ms
    if any(clock is not None and clock.decimals < 3 for clock in (starts, ends)):
        draft.flags.add("short_decimals")
    return draft


def _whole(value: str, column: str, place: str) -> int:
    number = whole_number(value)
    if number is None:
        raise InputError(f"{place}: bad {column} {value!r}, expected a whole number")
    return number


def _episode(value: str, draft: Draft) -> int | None:
    number = whole_number(value)
    if number is None:
        draft.flags.add("episode_unreadable")
    return number


def _clock(value: str, draft: Draft) -> Clock | None:
    clock = parse_clock(value)
    if clock is None:
        draft.flags.add("time_unreadable" if value.strip() else "time_missing")
    return clock


def _labels(draft: Draft) -> None:
    if draft.label is None:
        draft.flags.add("label_missing")
    elif draft.label not in POLARITIES:
        draft.flags.add("label_unknown")
    if draft.sentiment not in _SENTIMENTS:
        draft.flags.add("sentiment_unknown")
    elif draft.sentiment not in POLARITIES.get(draft.label or "", _SENTIMENTS):
        draft.flags.add("sentiment_mismatch")


def _clips(
    files: Sequence[media.FoundFile], drafts: Sequence[Draft], notes: list[str]
) -> tuple[frozenset[Family], dict[str, dict[str, int]]]:
    """Gives each row its clip; the families of defects to look for, and the number of extra clips."""
    index = media.index(files, tuple(dict.fromkeys(d.split for d in drafts)))
    notes += [
        f"{len(paths):,} media files {what}: {', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''}."
        for paths, what in (
            (index.odd, "were left aside, because name or folder does not say whose they are"),
            (index.doubled, "were left aside, because the utterance has another clip"),
        )
        if paths
    ]
    if not index.clips:
        return _FAMILIES, {}
    wanted: set[tuple[str, int | str, int | str]] = set()
    for draft in drafts:
        if draft.split not in index.clips:
            continue
        wanted.add((draft.split, draft.dialogue_id, draft.utterance_id))
        if isinstance(draft.dialogue_id, int) and isinstance(draft.utterance_id, int):
            draft.clip = index.clips[draft.split].get((draft.dialogue_id, draft.utterance_id))
        if draft.clip is None:
            draft.flags.add("clip_missing")
    extra = {
        split: [path for key, path in clips.items() if (split, *key) not in wanted]
        for split, clips in index.clips.items()
    }
    listed = [path for paths in extra.values() for path in sorted(paths)]
    if listed:
        ends = ", ..." if len(listed) > 6 else ""
        notes.append(f"{len(listed):,} clips have no row in the label files: {', '.join(listed[:6])}{ends}.")
    return _FAMILIES | {"media"}, {"extra_clips": {split: len(paths) for split, paths in extra.items()}}
