"""Inspects a corpus: what its labels and texts hold, and, where it has clips, what its sound holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..corpora.inspection import Inspection
from ..errors import InputError
from ..records import Utterance
from .reporting import Reporter

if TYPE_CHECKING:
    from ..corpora import TableMapping
    from ..voice.audio import Source
    from ..voice.quality import PeakSpread, Quality

# MELT leaves out what is shorter than 1 s (Jing et al., 2025); its published rows begin at 0.961 s.
DURATION_RULES = (1.0, 0.961)
QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}
Quantiles = Mapping[str, float]


@dataclass(frozen=True)
class SoundSummary:
    """The sound of a split, or of all splits together. Quantiles are None without clips.

    Attributes:
        clips: utterances that have a clip or should have one.
        decoded: of these, with a sound.
        skipped: of these, not looked at because a package is not installed.
        seconds: of sound.
        rates, channels: samples per second and number of channels of the files -> clips.
        length: seconds.
        peak_db, rms_db: dB re full scale; digital silence is left out.
        clipped_share: share of samples at full scale or beyond.
        leading_silence, trailing_silence: seconds.
    """

    clips: int
    decoded: int
    skipped: int
    seconds: float
    rates: Mapping[str, int]
    channels: Mapping[str, int]
    length: Quantiles | None
    peak_db: Quantiles | None
    rms_db: Quantiles | None
    clipped_share: Quantiles | None
    leading_silence: Quantiles | None
    trailing_silence: Quantiles | None


@dataclass(frozen=True)
class FlaggedClip:
    """A clip that something is wrong with.

    Attributes:
        id: the utterance's.
        clip: path relative to the corpus folder; None where the reader found no file.
        flags: names out of `voice.quality.FLAGS`.
        seconds: of sound; None where there is none.
        stated_seconds: by the time stamps.
        detail: what the decoder said, where there is no sound.
    """

    id: str
    clip: str | None
    flags: tuple[str, ...]
    seconds: float | None
    stated_seconds: float | None
    detail: str


@dataclass(frozen=True)
class DurationRule:
    """What a rule on duration makes of the clips' lengths instead of the time stamps.

    Attributes:
        seconds: shorter rows are dropped.
        under_by_stamps, under_by_clip: rows that it drops, of those that have both.
        dropped_by_stamps_only, dropped_by_clip_only: ids of the rows on which the two differ.
    """

    seconds: float
    under_by_stamps: int
    under_by_clip: int
    dropped_by_stamps_only: tuple[str, ...]
    dropped_by_clip_only: tuple[str, ...]


@dataclass(frozen=True)
class Lengths:
    """The clips' lengths beside the time stamps.

    Attributes:
        compared: rows that have both.
        differ: of these, more than 0.25 s apart.
        difference: quantiles of clip minus time stamps, in seconds; None without such rows.
        rules: one per duration rule of MELT.
    """

    compared: int
    differ: int
    difference: Quantiles | None
    rules: tuple[DurationRule, ...]


@dataclass(frozen=True)
class CorpusSound:
    """The sound of a corpus in numbers.

    Attributes:
        splits: split -> its sound.
        total: all splits together.
        flags: flag -> {split: clips}; everything that was looked for, zeros included.
        peaks: whether the corpus is peak-normalised.
        lengths: beside the time stamps.
        flagged: every clip with a flag, in the corpus's order.
        notes: sentences for the user.
    """

    splits: Mapping[str, SoundSummary]
    total: SoundSummary
    flags: Mapping[str, Mapping[str, int]]
    peaks: PeakSpread
    lengths: Lengths
    flagged: tuple[FlaggedClip, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CorpusInspection(Inspection):
    """A corpus in numbers, its sound included.

    Attributes:
        audio: None where the corpus has no clips, or where the sound was not asked for.
    """

    audio: CorpusSound | None = None

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON has them; docs/inspect.md describes the keys."""
        found = super().to_dict()
        if self.audio is not None:
            found["audio"] = asdict(self.audio)
        return found


@dataclass(frozen=True, slots=True)
class _Clip:
    """What a process needs to know to look at one clip."""

    source: Source | None
    stated_seconds: float | None
    words: int | None


@dataclass(frozen=True, slots=True)
class _Heard:
    utterance: Utterance
    quality: Quality
    skipped: str = ""


def inspect_corpus(
    source: str | Path,
    *,
    name: str | None = None,
    splits: Sequence[str] | None = None,
    mapping: TableMapping | None = None,
    audio: bool = True,
    processes: int = 1,
    reporter: Reporter | None = None,
) -> CorpusInspection:
    """Reads a corpus and counts what is in it; decodes its clips, if any, and says what is wrong with them.

    Args:
        source, name, splits, mapping: as for `corpora.load`.
        audio: False to leave the sound alone.
        processes: how many decode at once.
        reporter: is told how far it is.

    Raises:
        InputError: the corpus cannot be read.

    >>> inspect_corpus("sample", audio=False).total.clips > 0
    True
    """
    from ..corpora.inspection import inspect

    counted = inspect(source, name=name, splits=splits, mapping=mapping)
    sound = _sound(counted, processes, reporter or Reporter()) if audio else None
    return CorpusInspection(counted.corpus, counted.splits, counted.total, sound)


def _sound(counted: Inspection, processes: int, reporter: Reporter) -> CorpusSound | None:
    corpus = counted.corpus
    wanted = [u for u in corpus.utterances if u.clip is not None or "clip_missing" in u.flags]
    clips = sum(u.clip is not None for u in wanted)
    if not clips:
        return None
    reporter.stage(f"Decoding {clips:,} clips")
    heard = []
    for done, one in enumerate(_listen(wanted, corpus.folder, processes), 1):
        heard.append(one)
        reporter.counted(done, len(wanted), "clips")
    return _summary(heard, corpus.splits)


def _listen(utterances: Sequence[Utterance], folder: Path, processes: int) -> Iterator[_Heard]:
    from ..voice.audio import Source
    from ..voice.pool import Pool

    clips = (
        _Clip(
            None if u.clip is None else Source(folder / u.clip, u.clip_start, u.clip_end),
            u.duration,
            len(u.words.split()) or None,
        )
        for u in utterances
    )
    with Pool(processes) as pool:
        results = pool.map(_examine, clips)
        for utterance, (quality, skipped) in zip(utterances, results, strict=True):
            yield _Heard(utterance, quality, skipped)


def _examine(clip: _Clip) -> tuple[Quality, str]:
    """A clip's quality, and why it was not looked at."""
    from ..voice.quality import Quality, examine

    if clip.source is None:
        return Quality(flags=("clip_missing",), detail="the corpus folder has no such clip"), ""
    try:
        return examine(clip.source, stated_seconds=clip.stated_seconds, words=clip.words)[1], ""
    except InputError as error:
        # A package is missing, which is no fault of the clip; other formats may do without it.
        return Quality(), str(error)


def _summary(heard: Sequence[_Heard], splits: Sequence[str]) -> CorpusSound:
    from ..voice.quality import FLAGS, peak_normalised

    counts = Counter((flag, h.utterance.split) for h in heard for flag in h.quality.flags)
    peaks = peak_normalised(h.quality.peak_db for h in heard)
    lengths = _lengths(heard)
    return CorpusSound(
        splits={split: _part([h for h in heard if h.utterance.split == split]) for split in splits},
        total=_part(heard),
        flags={flag: {split: counts[flag, split] for split in splits} for flag in FLAGS},
        peaks=peaks,
        lengths=lengths,
        flagged=tuple(_flagged(h) for h in heard if h.quality.flags),
        notes=(*_skipped_notes(heard), *_peak_notes(peaks), *_length_notes(lengths)),
    )


def _part(heard: Sequence[_Heard]) -> SoundSummary:
    with_sound = [h.quality for h in heard if h.quality.seconds is not None]
    return SoundSummary(
        clips=len(heard),
        decoded=len(with_sound),
        skipped=sum(bool(h.skipped) for h in heard),
        seconds=round(sum(q.seconds or 0.0 for q in with_sound), 3),
        rates=_tally(q.rate for q in with_sound),
        channels=_tally(q.channels for q in with_sound),
        length=_quantiles(q.seconds for q in with_sound),
        peak_db=_quantiles(q.peak_db for q in with_sound),
        rms_db=_quantiles(q.rms_db for q in with_sound),
        clipped_share=_quantiles(q.clipped_share for q in with_sound),
        leading_silence=_quantiles(q.leading_silence for q in with_sound),
        trailing_silence=_quantiles(q.trailing_silence for q in with_sound),
    )


def _tally(values: Iterable[int | None]) -> dict[str, int]:
    return {str(value): count for value, count in sorted(Counter(values).items(), key=lambda v: v[0] or 0)}


def _quantiles(values: Iterable[float | None]) -> dict[str, float] | None:
    import numpy as np

    known = [value for value in values if value is not None]
    if not known:
        return None
    found = np.quantile(known, list(QUANTILES.values()))
    return {name: round(float(value), 6) for name, value in zip(QUANTILES, found, strict=True)}


def _flagged(heard: _Heard) -> FlaggedClip:
    quality, utterance = heard.quality, heard.utterance
    return FlaggedClip(
        utterance.id, utterance.clip, quality.flags, quality.seconds, utterance.duration, quality.detail
    )


def _lengths(heard: Sequence[_Heard]) -> Lengths:
    both = [
        (h.utterance.id, h.quality.seconds, h.utterance.duration)
        for h in heard
        if h.quality.seconds is not None and h.utterance.duration is not None
    ]
    return Lengths(
        compared=len(both),
        differ=sum("length_differs" in h.quality.flags for h in heard),
        difference=_quantiles(clip - stated for _, clip, stated in both),
        rules=tuple(map(partial(_rule, both), DURATION_RULES)),
    )


def _rule(both: Sequence[tuple[str, float, float]], seconds: float) -> DurationRule:
    by_stamps = {key for key, _, stated in both if stated < seconds}
    by_clip = {key for key, clip, _ in both if clip < seconds}
    return DurationRule(
        seconds,
        len(by_stamps),
        len(by_clip),
        tuple(key for key, _, _ in both if key in by_stamps - by_clip),
        tuple(key for key, _, _ in both if key in by_clip - by_stamps),
    )


def _skipped_notes(heard: Sequence[_Heard]) -> Iterator[str]:
    skipped = [h for h in heard if h.skipped]
    if skipped:
        count = "1 clip was" if len(skipped) == 1 else f"{len(skipped):,} clips were"
        yield f"{count} not looked at. The first: {skipped[0].skipped}"


def _peak_notes(peaks: PeakSpread) -> Iterator[str]:
    if peaks.normalised:
        yield (
            f"The clips seem to have been brought to one peak: over {peaks.clips:,} clips the standard "
            f"deviation of the peaks is {peaks.std_db:.1f} dB (about 9 dB where one gain was used). "
            "Levels of loudness say little about how loudly somebody spoke."
        )


def _length_notes(lengths: Lengths) -> Iterator[str]:
    if lengths.differ:
        yield (
            f"Of {lengths.compared:,} clips with time stamps, {lengths.differ:,} are over 0.25 s longer or "
            "shorter than these."
        )
    for rule in lengths.rules:
        if rule.dropped_by_stamps_only or rule.dropped_by_clip_only:
            yield (
                f"Under {rule.seconds:g} s are {rule.under_by_stamps:,} rows by time stamps and "
                f"{rule.under_by_clip:,} by clip: {len(rule.dropped_by_stamps_only):,} only by time stamps, "
                f"{len(rule.dropped_by_clip_only):,} only by clip."
            )
