"""The words against the sound: whether what a model wrote of a voice agrees with what was measured.

MELT (Jing et al. 2025, Table 4) maps the model's words on pitch and loudness to low, mid and high, bins the
measured values (bottom 30, middle 40, top 30 %), and scores the words as if they were a classifier's guess of
the measured level. The same is done here for every dimension that a dataset describes and measures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import lexicon
from .dataset import Table
from .lexicon import LEVELS, LevelReading, level
from .reference import published
from .voice_columns import MEASURED

__all__ = ["Descriptions", "Dimension", "LevelReading", "Scores", "level", "score", "words_against_sound"]

RESAMPLES = 2_000
SEED = 0
MOST_SPEAKERS = 20
MOST_UNKNOWN = 20
OVERALL = "all splits"
_CODES: Mapping[str, int] = {name: code for code, name in enumerate(LEVELS)}
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Value:
    """A score between 0 and 1 with its 95 % bootstrap interval; None where nothing was counted."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """How well described levels meet measured ones.

    Attributes:
        rows: rows with both.
        uar: mean recall over the measured levels that occur.
        acc: share of equal levels.
        f1: mean F1 over the levels that occur on either side.
        chance_uar: of any guess that does not listen: 1 / number of measured levels that occur.
        majority_acc: of always guessing the most frequent measured level.
        counts: rows described as low, mid, high by columns measured as low, mid, high.
    """

    rows: int
    uar: Value
    acc: Value
    f1: Value
    chance_uar: float | None
    majority_acc: float | None
    counts: tuple[tuple[int, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "counts": [list(row) for row in self.counts]}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many rows could be compared, and what becomes of the scores if the others count too.

    Attributes:
        rows: all rows.
        unmeasured: rows without a measured level; the rest of the numbers leaves them out.
        empty: no words at all.
        unknown: words, but none that the lexicon reads as a level.
        known: rows with both levels; the scores are over these.
        as_wrong_uar, as_wrong_acc: with every empty or unknown description counted as a miss.
        as_mid_uar, as_mid_acc, as_mid_f1: with every one counted as mid.
    """

    rows: int
    unmeasured: int
    empty: int
    unknown: int
    known: int
    as_wrong_uar: float | None
    as_wrong_acc: float | None
    as_mid_uar: float | None
    as_mid_acc: float | None
    as_mid_f1: float | None

    @property
    def known_share(self) -> float | None:
        """Of the measured rows, the share whose description was read."""
        measured = self.rows - self.unmeasured
        return self.known / measured if measured else None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "known_share": self.known_share}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row described as low and measured as high, or the other way round."""

    row: int
    dimension: str
    words: str
    described: str
    measured: str
    rule: str


@dataclass(frozen=True, slots=True, eq=False)
class Dimension:
    """One dimension of the voice, described and measured.

    Attributes:
        name: the described column: `pitch`, `loudness`, `rhythm_speed`.
        measured: the measured column.
        scores, coverage: per split, and over all under `all splits`.
        by_label, by_speaker: the scores per new label and of the largest speakers, over all splits.
        by_rule: rule of the lexicon -> rows read by it, and the share that meets the measurement.
        unknown: the commonest descriptions that were not read, with their counts.
        disagreements: the rows where words and sound are at opposite ends, in row order.
        readings: per row what its words say; measured_codes: per row 0, 1, 2 or -1.
        published: split -> the paper's `uar`, `acc`, `f1`; empty where it has none.
    """

    name: str
    measured: str
    scores: Mapping[str, Scores]
    coverage: Mapping[str, Coverage]
    by_label: Mapping[str, Scores]
    by_speaker: Mapping[str, Scores]
    by_rule: Mapping[str, tuple[int, float]]
    unknown: tuple[tuple[str, int], ...]
    disagreements: tuple[Disagreement, ...]
    readings: Sequence[LevelReading]
    measured_codes: Sequence[int]
    published: Mapping[str, Mapping[str, float]]

    def as_dict(self) -> dict[str, Any]:
        return {
            "measured": self.measured,
            "scores": {name: found.as_dict() for name, found in self.scores.items()},
            "coverage": {name: found.as_dict() for name, found in self.coverage.items()},
            "by_label": {name: found.as_dict() for name, found in self.by_label.items()},
            "by_speaker": {name: found.as_dict() for name, found in self.by_speaker.items()},
            "by_rule": {rule: {"rows": n, "acc": acc} for rule, (n, acc) in self.by_rule.items()},
            "unknown": [{"words": words, "rows": count} for words, count in self.unknown],
            "disagreements": len(self.disagreements),
            "published": {split: dict(values) for split, values in self.published.items()},
        }


@dataclass(frozen=True, slots=True, eq=False)
class Descriptions:
    """The check of all dimensions that a dataset both describes and measures."""

    dimensions: tuple[Dimension, ...]
    lexicon_version: int
    source: str
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "lexicon_version": self.lexicon_version,
            "resamples": RESAMPLES,
            "seed": SEED,
            "source": self.source,
            "notes": list(self.notes),
            "dimensions": {found.name: found.as_dict() for found in self.dimensions},
        }


def words_against_sound(table: Table) -> Descriptions | None:
    """The check over all rows of a dataset; None where nothing is both described and measured."""
    voice = table.voice
    if voice is None:
        return None
    found = tuple(
        _dimension(table, name, voice.described[name], voice.levels[measured])
        for name, measured in MEASURED.items()
        if name in voice.described
        and any(v is not None for v in voice.levels.get(measured, ()))
        and any(voice.described[name])
    )
    if not found:
        return None
    paper = published()["descriptions"]
    return Descriptions(found, lexicon.version(), str(paper["source"]), tuple(map(str, paper["notes"])))


def score(described: Iterable[str | None], measured: Iterable[str | None]) -> Scores:
    """Scores described levels against measured ones; pairs with a None are left out.

    Equal to scikit-learn's `balanced_accuracy_score`, `accuracy_score` and `f1_score(average="macro")` with
    the measured levels as the truth.

    >>> s = score(["low", "mid", "high", None], ["low", "mid", "mid", "high"])
    >>> s.rows, s.uar.value, round(s.acc.value, 3), s.chance_uar
    (3, 0.75, 0.667, 0.5)
    """
    pairs = [(_CODES[d], _CODES[m]) for d, m in zip(described, measured, strict=True) if d and m]
    counts = np.zeros((3, 3), dtype=np.int64)
    for d, m in pairs:
        counts[d, m] += 1
    return _scores(counts)


def _dimension(
    table: Table, name: str, words: Sequence[str | None], measured: Sequence[str | None]
) -> Dimension:
    readings = [level(text, name) for text in words]
    said = np.array([-1 if r.level is None else _CODES[r.level] for r in readings], dtype=np.int64)
    heard = np.array([-1 if m is None else _CODES[m] for m in measured], dtype=np.int64)
    empty = np.array([r.rule == "empty" for r in readings], dtype=bool)
    splits = np.array(table.split, dtype=object)
    scopes = {split: splits == split for split in table.splits if (splits == split).any()}
    scopes[OVERALL] = np.ones(len(readings), dtype=bool)
    both = (said >= 0) & (heard >= 0)
    speakers = np.array([s or "" for s in table.speakers], dtype=object)
    largest = Counter(s for s in speakers[both].tolist() if s).most_common(MOST_SPEAKERS)
    labels = {label: table.after == code for code, label in enumerate(table.labels)}
    unknown = Counter(
        " ".join((text or "").split()).casefold()
        for text, reading, code in zip(words, readings, heard.tolist(), strict=True)
        if reading.rule == "unknown" and code >= 0
    )
    return Dimension(
        name=name,
        measured=MEASURED[name],
        scores={scope: _scores(_cells(said, heard, rows)) for scope, rows in scopes.items()},
        coverage={scope: _coverage(said, heard, empty, rows) for scope, rows in scopes.items()},
        by_label={k: _scores(_cells(said, heard, rows)) for k, rows in labels.items() if (rows & both).any()},
        by_speaker={who: _scores(_cells(said, heard, speakers == who)) for who, _ in largest},
        by_rule=_by_rule(readings, said, heard),
        unknown=tuple(sorted(unknown.items(), key=lambda item: (-item[1], item[0]))[:MOST_UNKNOWN]),
        disagreements=tuple(
            Disagreement(i, name, words[i] or "", LEVELS[said[i]], LEVELS[heard[i]], readings[i].rule)
            for i in np.flatnonzero(both & (abs(said - heard) == 2)).tolist()
        ),
        readings=readings,
        measured_codes=heard.tolist(),
        published=published()["descriptions"]["values"].get(name, {}),
    )


def _cells(said: Counts, heard: Counts, rows: npt.NDArray[np.bool_]) -> Counts:
    chosen = rows & (said >= 0) & (heard >= 0)
    return np.bincount(said[chosen] * 3 + heard[chosen], minlength=9).reshape(3, 3).astype(np.int64)


def _scores(counts: Counts) -> Scores:
    total = int(counts.sum())
    cells = tuple(tuple(row) for row in counts.tolist())
    if not total:
        return Scores(0, Value(None), Value(None), Value(None), None, None, cells)
    own = [float(v[0]) for v in _measures(counts[None])]
    # Drawing rows with replacement is drawing cells of the table with the cells' shares.
    drawn = np.random.default_rng(SEED).multinomial(total, counts.ravel() / total, RESAMPLES)
    values: list[Value] = []
    for exact, many in zip(own, _measures(drawn.reshape(-1, 3, 3)), strict=True):
        low, high = np.quantile(many, (0.025, 0.975))
        values.append(Value(round(exact, 6), round(float(low), 6), round(float(high), 6)))
    heard = counts.sum(axis=0)
    chance = 1 / int((heard > 0).sum())
    uar, acc, f1 = values
    return Scores(total, uar, acc, f1, round(chance, 6), round(float(heard.max() / total), 6), cells)


def _measures(counts: Counts) -> tuple[npt.NDArray[np.float64], ...]:
    """UAR, accuracy and macro-F1 of tables of shape (n, described, measured), none of them empty."""
    right = np.einsum("nii->ni", counts).astype(np.float64)
    said, heard = counts.sum(axis=2), counts.sum(axis=1)
    recall = np.divide(right, heard, out=np.zeros_like(right), where=heard > 0)
    sides = said + heard
    f1 = np.divide(2 * right, sides, out=np.zeros_like(right), where=sides > 0)
    return (
        recall.sum(axis=1) / (heard > 0).sum(axis=1),
        right.sum(axis=1) / counts.sum(axis=(1, 2)),
        f1.sum(axis=1) / (sides > 0).sum(axis=1),
    )


def _coverage(
    said: Counts, heard: Counts, empty: npt.NDArray[np.bool_], rows: npt.NDArray[np.bool_]
) -> Coverage:
    measured = rows & (heard >= 0)
    silent = measured & (said < 0)
    right = measured & (said == heard)
    levels = [measured & (heard == code) for code in range(3)]
    recalls = [float(right[of].mean()) for of in levels if of.any()]
    mid = _cells(np.where(said < 0, _CODES["mid"], said), heard, rows)
    as_mid = [float(v[0]) for v in _measures(mid[None])] if mid.sum() else [None] * 3
    total = int(measured.sum())
    return Coverage(
        rows=int(rows.sum()),
        unmeasured=int((rows & (heard < 0)).sum()),
        empty=int((silent & empty).sum()),
        unknown=int((silent & ~empty).sum()),
        known=int((measured & (said >= 0)).sum()),
        as_wrong_uar=_rounded(sum(recalls) / len(recalls)) if recalls else None,
        as_wrong_acc=_rounded(int(right.sum()) / total) if total else None,
        as_mid_uar=_rounded(as_mid[0]),
        as_mid_acc=_rounded(as_mid[1]),
        as_mid_f1=_rounded(as_mid[2]),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _by_rule(readings: Sequence[LevelReading], said: Counts, heard: Counts) -> dict[str, tuple[int, float]]:
    rows: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for reading, d, m in zip(readings, said.tolist(), heard.tolist(), strict=True):
        if d >= 0 and m >= 0:
            rows[reading.rule] += 1
            right[reading.rule] += d == m
    return {rule: (rows[rule], round(right[rule] / rows[rule], 6)) for rule in lexicon.RULES if rows[rule]}
