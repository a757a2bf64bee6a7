"""The sentiment that raters' valence gives: the oracle of MERITS-L (Dutta & Ganapathy 2025).

The paper compares the labels that language models give to MSP-Podcast with the valence of its raters: above 5
is positive, below 3 is negative, anything between is neutral (scale 1 to 7, both limits neutral). Corpora
that carry a sentiment of their own (MELD, CMU-MOSI) are compared with that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InputError, bad_value
from ..labels import SENTIMENT
from ..records import Utterance

AUTO, VALENCE, SENTIMENTS, NONE = "auto", "valence", "sentiment", "none"
SOURCES = (AUTO, VALENCE, SENTIMENTS, NONE)
PAPER_SCALE = (1.0, 7.0)
POSITIVE_ABOVE, NEGATIVE_BELOW = 5.0, 3.0
# Corpora whose valence is on another scale than the paper's thresholds.
_SCALES: Mapping[str, tuple[float, float]] = {"iemocap": (1.0, 5.0), "msp_improv": (1.0, 5.0)}


@dataclass(frozen=True, slots=True)
class OracleOptions:
    """Where the sentiment to compare with comes from.

    Attributes:
        source: `valence`, `sentiment` (the corpus's own), `none`, or `auto`: valence where the corpus has
            it on a scale that the thresholds fit, else the corpus's own sentiment.
        positive_above: a valence above it is positive; None for the paper's 5.
        negative_below: a valence below it is negative; None for the paper's 3.
        scale: lowest and highest valence; None for the corpus's own where it is known, else 1 to 7.
    """

    source: str = AUTO
    positive_above: float | None = None
    negative_below: float | None = None
    scale: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise InputError(bad_value("oracle", self.source, SOURCES))
        if self.scale is not None:
            low, high = self.scale
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise InputError(f"Bad valence scale {self.scale!r}, expected the lowest and highest value")
        above, below = self.thresholds
        if not below <= above:
            raise InputError(
                f"Bad thresholds: negative below {below:g} and positive above {above:g} overlap, expected "
                "the first at most the second"
            )
        low, high = self.scale or PAPER_SCALE
        for name, value in (("positive_above", above), ("negative_below", below)):
            if not low <= value <= high:
                raise InputError(f"Bad {name} {value:g}, expected a valence from {low:g} to {high:g}")

    @property
    def thresholds(self) -> tuple[float, float]:
        """Above which a valence is positive, below which it is negative."""
        above = POSITIVE_ABOVE if self.positive_above is None else self.positive_above
        below = NEGATIVE_BELOW if self.negative_below is None else self.negative_below
        return above, below

    @property
    def fits(self) -> bool:
        """Whether somebody chose both thresholds, so that they fit any scale."""
        return self.positive_above is not None and self.negative_below is not None


@dataclass(frozen=True)
class Oracle:
    """The sentiment that models are compared with.

    Attributes:
        source: `valence`, `sentiment` or `none`.
        labels: utterance id -> negative, neutral or positive; ids without one are left out.
        record: source, thresholds and scale, as the manifest has them.
        notes: sentences on what was left out.
    """

    source: str
    labels: Mapping[str, str]
    record: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def sentiment_of(valence: float, options: OracleOptions | None = None, place: str = "valence") -> str:
    """The sentiment of a valence.

    Args:
        valence: on the options' scale.
        options: thresholds and scale.
        place: the row, for the message.

    Raises:
        InputError: the valence is outside the scale.

    >>> [sentiment_of(v) for v in (1, 2.99, 3, 5, 5.01, 7)]
    ['negative', 'negative', 'neutral', 'neutral', 'positive', 'positive']
    """
    options = options or OracleOptions()
    low, high = options.scale or PAPER_SCALE
    if not low <= valence <= high:
        raise InputError(f"{place}: bad valence {valence!r}, expected a number from {low:g} to {high:g}")
    above, below = options.thresholds
    return "positive" if valence > above else "negative" if valence < below else "neutral"


def find_oracle(utterances: Iterable[Utterance], options: OracleOptions | None = None) -> Oracle:
    """The oracle of each utterance that has one.

    Args:
        utterances: of one corpus, with its own sentiment and attributes.
        options: see `OracleOptions`.

    Raises:
        InputError: a valence outside the scale, naming the row; or the source that was asked for by name is
            nowhere to be found.
    """
    options, rows = options or OracleOptions(), list(utterances)
    if options.source == NONE:
        return Oracle(NONE, {}, {"source": NONE})
    rated = {u.id: u.attributes[VALENCE] for u in rows if VALENCE in u.attributes}
    if options.source in (AUTO, VALENCE) and rated:
        scale = options.scale or _SCALES.get(rows[0].corpus, PAPER_SCALE)
        if scale == PAPER_SCALE or options.fits:
            return _from_valence(rows, replace(options, scale=scale))
        other = (
            f"The valence of {rows[0].corpus} goes from {scale[0]:g} to {scale[1]:g}, the paper's thresholds "
            "are for 1 to 7; give --positive-above and --negative-below to use it"
        )
        if options.source == VALENCE:
            raise InputError(other)
        return _from_sentiment(rows, AUTO, (f"{other}.",))
    if options.source == VALENCE:
        raise InputError("--oracle valence: no utterance has a valence")
    return _from_sentiment(rows, options.source)


def _from_valence(rows: Sequence[Utterance], options: OracleOptions) -> Oracle:
    labels = {
        u.id: sentiment_of(u.attributes[VALENCE], options, f"{u.source}: {u.id}" if u.source else u.id)
        for u in rows
        if VALENCE in u.attributes
    }
    above, below = options.thresholds
    record: dict[str, Any] = {
        "source": VALENCE,
        "positive_above": above,
        "negative_below": below,
        "scale": list(options.scale or PAPER_SCALE),
        "counts": _counts(labels),
    }
    notes = _left(rows, labels, "valence")
    if not record["counts"]["positive"]:
        notes = (*notes, f"No valence is above {above:g}: is it on the scale of 1 to 7?")
    return Oracle(VALENCE, labels, record, notes)


def _from_sentiment(rows: Sequence[Utterance], source: str, notes: tuple[str, ...] = ()) -> Oracle:
    labels = {}
    strange: Counter[str] = Counter()
    for utterance in rows:
        label = SENTIMENT.parse(utterance.sentiment or "")
        if label is not None:
            labels[utterance.id] = label
        elif utterance.sentiment:
            strange[utterance.sentiment] += 1
    if not labels:
        if source == SENTIMENTS:
            raise InputError("--oracle sentiment: no utterance has a sentiment of the corpus's own")
        return Oracle(NONE, {}, {"source": NONE}, notes)
    if strange:
        some = ", ".join(repr(name) for name, _ in strange.most_common(3))
        notes = (*notes, f"{strange.total():,} sentiments of the corpus are none of the three ({some}).")
    record = {"source": SENTIMENTS, "counts": _counts(labels)}
    return Oracle(SENTIMENTS, labels, record, (*notes, *_left(rows, labels, "sentiment")))


def _counts(labels: Mapping[str, str]) -> dict[str, int]:
    counted = Counter(labels.values())
    return {name: counted[name] for name in SENTIMENT.labels}


def _left(rows: Sequence[Utterance], labels: Mapping[str, str], what: str) -> tuple[str, ...]:
    without = len(rows) - len(labels)
    if not without:
        return ()
    return (f"{without:,} of {len(rows):,} utterances have no {what} to compare with.",)
