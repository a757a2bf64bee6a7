"""CMU-MOSI: 2,199 opinion segments of 93 YouTube monologues with a sentiment between -3 and 3.

Zadeh, Zellers, Pincus, Morency: Multimodal Sentiment Intensity Analysis in Videos: Facial Gestures and Verbal
Messages. IEEE Intelligent Systems 31, 2016.

The splits are the standard folds of the CMU Multimodal SDK: 52 videos train, 10 valid, 31 test. Work
that counts "the first 62" monologues as train and validation divides them otherwise (49 and 13 in Dutta &
Ganapathy 2025).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, bad_value
from . import media, official, row_checks
from .base import Corpus, CorpusInfo, Draft, read_bytes, safe_id, sha256, whole_number
from .defects import Family
from .delimited import parse
from .finish import Reading, finish
from .meld import named
from .mosi_folds import SPLIT_OF
from .times import parse_time

OPINIONS = "OpinionLevelSentiment.csv"
TABLE = "label.csv"
COLUMNS = ("video_id", "clip_id", "text", "label")
_TRANSCRIPT = ".annotprocessed"
_DELIMITER = "_DELIM_"
_FAMILIES: frozenset[Family] = frozenset({"text", "encoding"})
_MODES = {"train": "train", "valid": "valid", "val": "valid", "dev": "valid", "test": "test"}
_MARK = "\xef\xbb\xbf"

INFO = CorpusInfo(
    name="cmu_mosi",
    title="CMU-MOSI (Multimodal Corpus of Sentiment Intensity)",
    licence="none stated; videos of YouTube's users, shared for research",
    homepage="http://multicomp.cs.cmu.edu/resources/cmu-mosi-dataset/",
    citation="""\
@article{zadeh2016mosi,
  title   = {Multimodal Sentiment Intensity Analysis in Videos: Facial Gestures and Verbal Messages},
  author  = {Zadeh, Amir and Zellers, Rowan and Pincus, Eli and Morency, Louis-Philippe},
  journal = {IEEE Intelligent Systems},
  volume  = {31},
  number  = {6},
  pages   = {82--88},
  year    = {2016},
  doi     = {10.1109/MIS.2016.94}
}""",
    layout=(
        "the raw release (OpinionLevelSentiment.csv, Transcript/Segmented/VIDEO.annotprocessed, "
        "Audio/WAV_16000/Segmented/VIDEO_1.wav, or Full/VIDEO.wav from which segments are cut); or label.csv "
        "(video_id, clip_id, text, label, mode) with clips VIDEO/1.mp4"
    ),
    language="en",
    access="the raw release is linked from the homepage and from the CMU Multimodal SDK",
    utterances=2_199,
    speakers=89,
    profile="any-speaker",
)


@dataclass(frozen=True, slots=True)
class _Segment:
    """A labelled segment; times are milliseconds into the video, None where the table has none."""

    video: str
    number: int
    score: float
    place: str
    text: official.Text | None = None
    mode: str = ""
    start: int | None = None
    end: int | None = None

    @property
    def name(self) -> str:
        return f"{self.video}_{self.number}"


def matches(folder: Path) -> bool:
    """Whether there is the release's label file, or a `label.csv` whose videos are MOSI's."""
    if not folder.is_dir():
        return False
    for file in media.walk(folder):
        if file.name == OPINIONS or (file.name == TABLE and _is_mosi(folder / file.path)):
            return True
    return False


def _is_mosi(path: Path) -> bool:
    """CMU-MOSEI and CH-SIMS come with the same columns: the ids tell."""
    head = official.head(path).removeprefix(_MARK).splitlines()
    columns = head[0].split(",") if head else []
    if not {"video_id", "clip_id"} <= set(columns):
        return False
    place = columns.index("video_id")
    first = head[1].split(",") if len(head) > 1 else []
    return len(first) > place and first[place].strip('"') in SPLIT_OF


def load(folder: Path, *, name: str | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Reads CMU-MOSI.

    The score stands in `attributes["sentiment"]`; the sentiment is negative below 0 and positive from 0 on
    (Dutta & Ganapathy 2025). There are no emotion labels. Who speaks is not in the release, so that each
    video counts as a speaker, though 4 of the 89 people have two.

    Args:
        folder: the release, or a folder above it.
        name: the corpus's name in ids; `cmu_mosi` if None.
        splits: the splits to give; all are read in any case.

    Raises:
        InputError: no label file, or one with a row that cannot be read.
    """
    info = named(INFO, name)
    files = list(media.walk(folder))
    path = official.nearest(folder, files, (TABLE,)) or official.nearest(folder, files, (OPINIONS,))
    if path is None:
        raise InputError(f"No CMU-MOSI label file below {folder}, expected {OPINIONS} or {TABLE}")
    notes: list[str] = []
    read = _table if path.rpartition("/")[2].casefold() == TABLE else _opinions
    segments = _by_video(read(folder, path))
    hashes = {path: sha256(folder / path)}
    texts = _transcripts(folder, files, hashes)
    split_of = _splits(segments, notes)
    drafts = [_draft(segment, info.name, split_of[segment.video], texts) for segment in segments]
    without = sum(segment.text is None and segment.name not in texts for segment in segments)
    if without:
        notes.append(f"{without:,} segments have no transcript: their text is empty.")
    counts = _clips(files, drafts, notes)
    if difference := official.count_note(INFO, drafts):
        notes.append(difference)
    families: frozenset[Family] = _FAMILIES if counts is None else _FAMILIES | {"media"}
    if all(draft.start is not None for draft in drafts):
        families |= {"times", "turns"}
    return finish(Reading(info, folder, drafts, hashes, families, tuple(notes), counts or {}), splits)


def _by_video(segments: Iterable[_Segment]) -> list[_Segment]:
    """The segments of each video in their order; the videos in the table's."""
    videos: dict[str, list[_Segment]] = {}
    for segment in segments:
        videos.setdefault(segment.video, []).append(segment)
    return [one for video in videos.values() for one in sorted(video, key=lambda one: one.number)]


def _opinions(folder: Path, path: str) -> Iterator[_Segment]:
    """The rows of the raw release's label file: start, end, video, segment, score, without a header."""
    text = official.read_text(folder / path).words
    for number, row in enumerate(csv.reader(io.StringIO(text, newline="")), 1):
        place = f"{path}:{number}"
        if not any(field.strip() for field in row):
            continue
        if len(row) != 5:
            raise InputError(f"{place}: {len(row)} fields, expected 5: start, end, video, segment, sentiment")
        start, end = (parse_time(value) for value in row[:2])
        for value, time in zip(row[:2], (start, end), strict=True):
            if time is None:
                raise InputError(f"{place}: bad time {value!r}, expected seconds")
        yield _segment(row[2], row[3], row[4], place, start=start, end=end)


def _table(folder: Path, path: str) -> Iterator[_Segment]:
    """The rows of a `label.csv`."""
    table = parse(read_bytes(folder / path), path, required=COLUMNS)
    for row in table.rows:
        values = dict(zip(table.columns, row.values, strict=True))
        text = official.Text(values["text"].strip(), row.utf8)
        place = f"{path}:{row.line}"
        mode = values.get("mode", "").strip().casefold()
        if mode and mode not in _MODES:
            raise InputError(f"{place}: {bad_value('mode', mode, _MODES)}")
        yield _segment(
            values["video_id"],
            values["clip_id"],
            values["label"],
            place,
            text=text,
            mode=_MODES.get(mode, ""),
        )


def _segment(video: str, number: str, score: str, place: str, **more: object) -> _Segment:
    which = whole_number(number)
    if which is None:
        raise InputError(f"{place}: bad segment {number!r}, expected a whole number")
    try:
        value = float(score)
    except ValueError:
        value = float("nan")
    if not -3 <= value <= 3:
        raise InputError(f"{place}: bad sentiment {score!r}, expected a number from -3 to 3")
    return _Segment(safe_id(video.strip(), "video", place), which, value, place, **more)  # type: ignore[arg-type]


def _transcripts(
    folder: Path, files: Sequence[media.FoundFile], hashes: dict[str, str]
) -> dict[str, official.Text]:
    """Segment -> words, from lines such as `1_DELIM_SO I REALLY LIKED IT`."""
    found: dict[str, official.Text] = {}
    paths = official.by_stem(files, (_TRANSCRIPT,))
    for video, text in official.read_texts(folder, paths).items():
        hashes[paths[video]] = sha256(folder / paths[video])
        for number, line in official.lines(text.words):
            which, delimiter, words = line.partition(_DELIMITER)
            if not delimiter or whole_number(which) is None:
                raise InputError(
                    f"{paths[video]}:{number}: bad line {line.strip()!r}, expected 'NUMBER{_DELIMITER}TEXT'"
                )
            found[f"{video}_{int(which)}"] = official.Text(words.strip(), text.utf8)
    return found


def _splits(segments: Sequence[_Segment], notes: list[str]) -> Mapping[str, str]:
    """The split of each video: the standard fold, else what the table says, else train."""
    found: dict[str, str] = {}
    for segment in segments:
        found.setdefault(segment.video, SPLIT_OF.get(segment.video) or segment.mode or "train")
    strange = sorted(video for video in found if video not in SPLIT_OF)
    if strange:
        notes.append(
            f"{len(strange):,} videos are not among the 93 of the standard folds, such as {strange[0]}: they "
            "go where the column 'mode' says, else to train."
        )
    other = {s.video for s in segments if s.mode and s.mode != found[s.video]}
    if other:
        notes.append(
            f"{len(other):,} videos stand in another split in the column 'mode': the standard folds count."
        )
    return found


def _draft(segment: _Segment, corpus: str, split: str, texts: Mapping[str, official.Text]) -> Draft:
    text = segment.text or texts.get(segment.name) or official.Text("")
    draft = Draft(
        split=split,
        dialogue_id=segment.video,
        utterance_id=segment.number,
        speaker=segment.video,
        text=text.words,
        source=segment.place,
        id=f"{corpus}/{split}/{segment.name}",
        sentiment="negative" if segment.score < 0 else "positive",
        start=segment.start,
        end=segment.end,
        attributes={"sentiment": segment.score},
    )
    row_checks.encoding(draft, text.utf8)
    return draft


def _clips(
    files: Sequence[media.FoundFile], drafts: Sequence[Draft], notes: list[str]
) -> dict[str, dict[str, int]] | None:
    """Gives each segment its clip (`VIDEO_1.wav` or `VIDEO/1.mp4`), else its part of the whole video."""
    own, whole = _media(files, {str(draft.dialogue_id) for draft in drafts})
    cut = 0
    for draft in drafts:
        video = whole.get(str(draft.dialogue_id))
        if _name(draft) in own or video is None or draft.start is None or draft.end is None:
            continue
        draft.clip, draft.clip_start, draft.clip_end = video, draft.start / 1000, draft.end / 1000
        cut += 1
    if cut:
        notes.append(f"{cut:,} segments have no clip of their own: they are cut from the whole videos.")
    return official.attach(drafts, own, _name, notes)


def _name(draft: Draft) -> str:
    return f"{draft.dialogue_id}_{draft.utterance_id}"


def _media(files: Sequence[media.FoundFile], videos: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Segment -> path, and video -> path of the whole of it; the preferred format of each."""
    named_files = []
    for file in files:
        above = file.path.split("/")[-2:-1]
        number = official.stem(file.name)
        if above and above[0] in videos and number.isdecimal():
            named_files.append(
                media.FoundFile(file.path, f"{above[0]}_{int(number)}{file.name[len(number) :]}")
            )
        else:
            named_files.append(file)
    found = official.by_stem(named_files, media.SUFFIXES)
    own = {}
    for name, path in found.items():
        video, _, number = name.rpartition("_")
        if video in videos and number.isdecimal():
            own[f"{video}_{int(number)}"] = path
    return own, {name: path for name, path in found.items() if name in videos}
