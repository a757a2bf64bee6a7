"""Word error rate of transcripts: pooled, in two or three readings, by group, with bootstrap intervals.

WER = (S + D + I) / N, with the substitutions, deletions and insertions of the best alignment of every
utterance and the reference words, all summed over the corpus before the division. "Original" compares the
strings as they stand, "processed" without case and punctuation (Feng & Narayanan 2023, table 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, bad_value
from .words import Words, normalizer, original, processed

BY = ("split", "speaker", "label", "duration")
STATES = ("scored", "no_transcript", "no_clip", "no_reference")
DURATIONS = (1.0, 2.0, 4.0, 8.0, 15.0)
UNKNOWN = "unknown"
_CHUNK = 5_000
_RESAMPLED = 2_000_000
_S, _D, _I, _H = range(4)


@dataclass(frozen=True, slots=True)
class Pair:
    """What was said and what was heard in one utterance.

    Attributes:
        key: the utterance's id.
        reference: the corpus's words; None where it has none.
        hypothesis: the recogniser's words, empty where it heard nothing; None where it failed.
        seconds: length of the clip; None where it is not known.
        clip: False where there was no clip to listen to.
    """

    key: str
    reference: str | None
    hypothesis: str | None
    split: str = ""
    speaker: str = ""
    label: str = ""
    seconds: float | None = None
    clip: bool = True

    @property
    def state(self) -> str:
        """One of `STATES`; only `scored` is part of the rates."""
        if self.reference is None:
            return "no_reference"
        if not self.clip:
            return "no_clip"
        return "no_transcript" if self.hypothesis is None else "scored"

    def group(self, by: str) -> str:
        """The value by which the utterance is grouped; `unknown` where it has none."""
        return duration_bin(self.seconds) if by == "duration" else getattr(self, by) or UNKNOWN


@dataclass(frozen=True, slots=True)
class WerOptions:
    """How to score.

    Attributes:
        normalizer: none, whisper or whisper-english; a third reading beside original and processed.
        by: what to group by, some of split, speaker, label and duration.
        resamples: bootstrap samples of utterances; 0 for no intervals.
        level: of the intervals.
        seed: of the resampling.
        worst: how many of the worst utterances to keep.

    Raises:
        InputError: an unknown group, or a number out of its range.
    """

    normalizer: str = "none"
    by: tuple[str, ...] = BY
    resamples: int = 1_000
    level: float = 0.95
    seed: int = 0
    worst: int = 20

    def __post_init__(self) -> None:
        for name in self.by:
            if name not in BY:
                raise InputError(bad_value("group", name, BY))
        if self.resamples < 0 or self.worst < 0:
            raise InputError(
                f"Bad resamples {self.resamples!r} or worst {self.worst!r}, expected whole numbers from 0"
            )
        if not 0 < self.level < 1:
            raise InputError(f"Bad level {self.level!r}, expected a number between 0 and 1")


@dataclass(frozen=True, slots=True)
class Rate:
    """A pooled word error rate.

    Attributes:
        utterances: how many were scored.
        words: words of their references (N).
        hits, substitutions, deletions, insertions: of their alignments; hits + S + D = N.
        wer: (S + D + I) / N, over 1 where more is inserted than said; None without reference words.
        low, high: percentile bootstrap interval over utterances; None where it tells nothing (see
            `interval`).
    """

    utterances: int
    words: int
    hits: int
    substitutions: int
    deletions: int
    insertions: int
    wer: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """One scored utterance.

    Attributes:
        counts: reading -> (substitutions, deletions, insertions, hits).
    """

    pair: Pair
    counts: Mapping[str, tuple[int, int, int, int]]

    def errors(self, reading: str) -> int:
        """S + D + I."""
        return sum(self.counts[reading][:3])


@dataclass(frozen=True)
class WerResult:
    """The word error rate of a corpus.

    Attributes:
        readings: original, processed, and the normaliser's name where one was asked for.
        total: reading -> rate over all scored utterances.
        with_failed: reading -> WER with every utterance without a transcript counted as all deleted.
        groups: by -> value -> reading -> rate; `unknown` stands for utterances without a value.
        counts: `utterances` = `scored` + `no_transcript` + `no_clip` + `no_reference`; and of the scored
            ones, by the original reading, `empty_reference` (everything heard is inserted) and
            `empty_transcript` (everything said is deleted).
        scored: all scored utterances in the order given.
        unscored: all others, in the order given.
        worst: the scored utterances with the most errors of the processed reading.
        options: as given.
    """

    readings: tuple[str, ...]
    total: Mapping[str, Rate]
    with_failed: Mapping[str, float | None]
    groups: Mapping[str, Mapping[str, Mapping[str, Rate]]]
    counts: Mapping[str, int]
    scored: tuple[Scored, ...]
    unscored: tuple[Pair, ...]
    worst: tuple[Scored, ...]
    options: WerOptions

    @property
    def failed(self) -> tuple[Pair, ...]:
        """Utterances that have a clip and a reference and no transcript."""
        return tuple(pair for pair in self.unscored if pair.state == "no_transcript")


def score(pairs: Iterable[Pair], options: WerOptions | None = None) -> WerResult:
    """Aligns every pair and pools the counts.

    An utterance without a transcript is no part of the rates, is counted as `no_transcript`, and
    `with_failed` says what the rate would be with it; one without a clip or without a reference cannot be
    scored and is counted as `no_clip` or `no_reference`. Empty texts are texts: see `WerResult.counts`.

    Raises:
        InputError: jiwer is missing, or transformers where a normaliser is asked for.
    """
    options = options or WerOptions()
    every = list(pairs)
    ways = readings(options.normalizer)
    usable = [pair for pair in every if pair.state == "scored"]
    unscored = tuple(pair for pair in every if pair.state != "scored")
    failed = [pair for pair in unscored if pair.state == "no_transcript"]
    table = {name: align(usable, words) for name, words in ways.items()}
    rng = np.random.default_rng(options.seed)
    scored = _scored(usable, table)
    return WerResult(
        readings=tuple(ways),
        total={name: _rate(counts, options, rng) for name, counts in table.items()},
        with_failed={name: _with_failed(table[name], failed, words) for name, words in ways.items()},
        groups={by: _grouped(by, usable, table, options, rng) for by in options.by},
        counts=_counts(every, table["original"]),
        scored=scored,
        unscored=unscored,
        worst=_worst(scored, options.worst),
        options=options,
    )


def readings(name: str = "none") -> dict[str, Words]:
    """Each reading with what makes words of a text (see `words.normalizer`)."""
    ways: dict[str, Words] = {"original": original, "processed": processed}
    extra = normalizer(name)
    return ways if extra is None else {**ways, name: extra}


def align(pairs: Sequence[Pair], words: Words) -> NDArray[np.int64]:
    """Substitutions, deletions, insertions and hits of each pair, shape (n, 4), from jiwer's alignment.

    Args:
        pairs: all with reference and hypothesis.
        words: what makes words of a text.

    Raises:
        InputError: jiwer is missing.
    """
    try:
        from jiwer import process_words
    except ImportError:
        raise InputError("WER needs jiwer; install it with: pip install 'remelt[voice]'") from None
    counts: list[list[int]] = []
    place = {"substitute": _S, "delete": _D, "insert": _I, "equal": _H}
    for begin in range(0, len(pairs), _CHUNK):
        part = pairs[begin : begin + _CHUNK]
        # The texts are words already, so jiwer's own transforms are switched off.
        output = process_words(
            [words(pair.reference or "") for pair in part],
            [words(pair.hypothesis or "") for pair in part],
            reference_transform=_as_is,
            hypothesis_transform=_as_is,
        )
        for chunks in output.alignments:
            row = [0, 0, 0, 0]
            for chunk in chunks:
                length = chunk.ref_end_idx - chunk.ref_start_idx
                row[place[chunk.type]] += length or chunk.hyp_end_idx - chunk.hyp_start_idx
            counts.append(row)
    return np.array(counts, dtype=np.int64).reshape(-1, 4)


def interval(
    errors: NDArray[np.int64], words: NDArray[np.int64], options: WerOptions, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of sum(errors) / sum(words), utterances drawn with replacement.

    Args:
        errors, words: one number per utterance, shape (n,).

    Returns:
        None with fewer than two utterances, without reference words, with `resamples` 0, or where every
        sample has the same rate (nothing is wrong, say): a width of 0 would claim certainty.
    """
    n = len(errors)
    if n < 2 or not options.resamples or not words.sum():
        return None
    rates = []
    step = max(1, _RESAMPLED // n)
    for begin in range(0, options.resamples, step):
        drawn = rng.integers(0, n, size=(min(step, options.resamples - begin), n))
        top, bottom = errors[drawn].sum(axis=1), words[drawn].sum(axis=1)
        rates.append(top[bottom > 0] / bottom[bottom > 0])
    tail = (1 - options.level) / 2
    known = np.concatenate(rates)
    low, high = np.quantile(known, (tail, 1 - tail)) if len(known) else (0.0, 0.0)
    return (float(low), float(high)) if low < high else None


def duration_bin(seconds: float | None) -> str:
    """The length group of an utterance.

    >>> [duration_bin(s) for s in (0.5, 1.0, 20, None)]
    ['under 1 s', '1 to 2 s', '15 s or more', 'unknown']
    """
    if seconds is None or not np.isfinite(seconds):
        return UNKNOWN
    return _DURATION_NAMES[int(np.searchsorted(DURATIONS, seconds, side="right"))]


def _duration_names() -> tuple[str, ...]:
    between = (f"{low:g} to {high:g} s" for low, high in pairwise(DURATIONS))
    return (f"under {DURATIONS[0]:g} s", *between, f"{DURATIONS[-1]:g} s or more")


_DURATION_NAMES = _duration_names()


def _as_is(texts: Any) -> Any:
    return texts


def _scored(pairs: Sequence[Pair], table: Mapping[str, NDArray[np.int64]]) -> tuple[Scored, ...]:
    rows = {name: [tuple(row) for row in counts.tolist()] for name, counts in table.items()}
    return tuple(Scored(pair, {name: rows[name][i] for name in rows}) for i, pair in enumerate(pairs))


def _rate(counts: NDArray[np.int64], options: WerOptions, rng: np.random.Generator) -> Rate:
    s, d, i, hits = (int(n) for n in counts.sum(axis=0))
    words = s + d + hits
    limits = interval(counts[:, :_H].sum(axis=1), counts[:, (_S, _D, _H)].sum(axis=1), options, rng)
    low, high = limits or (None, None)
    return Rate(len(counts), words, hits, s, d, i, (s + d + i) / words if words else None, low, high)


def _with_failed(counts: NDArray[np.int64], failed: Sequence[Pair], words: Words) -> float | None:
    lost = sum(len(words(pair.reference or "")) for pair in failed)
    errors = int(counts[:, :_H].sum()) + lost
    said = int(counts[:, (_S, _D, _H)].sum()) + lost
    return errors / said if said else None


def _grouped(
    by: str,
    pairs: Sequence[Pair],
    table: Mapping[str, NDArray[np.int64]],
    options: WerOptions,
    rng: np.random.Generator,
) -> dict[str, dict[str, Rate]]:
    members: dict[str, list[int]] = {}
    for row, pair in enumerate(pairs):
        members.setdefault(pair.group(by), []).append(row)
    return {
        value: {name: _rate(counts[members[value]], options, rng) for name, counts in table.items()}
        for value in sorted(members, key=_order(by, list(members)))
    }


def _order(by: str, seen: list[str]) -> Callable[[str], tuple[bool, int, str]]:
    """Lengths from short to long, splits as they came, others by name; unknown last."""
    ranks = {"duration": list(_DURATION_NAMES), "split": seen}.get(by, [])
    return lambda value: (value == UNKNOWN, ranks.index(value) if value in ranks else 0, value)


def _counts(pairs: Sequence[Pair], table: NDArray[np.int64]) -> dict[str, int]:
    states = [pair.state for pair in pairs]
    said, heard = table[:, (_S, _D, _H)].sum(axis=1), table[:, (_S, _I, _H)].sum(axis=1)
    return {
        "utterances": len(pairs),
        **{state: states.count(state) for state in STATES},
        "empty_reference": int((said == 0).sum()),
        "empty_transcript": int((heard == 0).sum()),
    }


def _worst(scored: Sequence[Scored], count: int) -> tuple[Scored, ...]:
    wrong = [row for row in scored if row.errors("processed")]
    return tuple(sorted(wrong, key=lambda row: (-row.errors("processed"), row.pair.key))[:count])
