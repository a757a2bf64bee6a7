"""Low, mid and high: quantile levels of pitch, loudness and rate, by speaker, by sex or over the corpus.

MELT (Jing et al. 2025) calls the bottom 30 % of a measure low, the middle 40 % mid and the top 30 % high;
the authors' caption pipeline puts the limits at the quantiles .3 and .7 and counts a value on a limit to the
outer level (`<= q30` low, `>= q70` high). That rule is kept. What the paper leaves open is an option here and
is recorded with the result: which rows the quantiles come from, and whether a voice is compared with its own
speaker, with its sex, or with the whole corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np

from ..errors import InputError, bad_value

Level = Literal["low", "mid", "high"]
By = Literal["auto", "speaker", "sex", "corpus"]
LEVELS: tuple[Level, ...] = get_args(Level)
BY: tuple[By, ...] = get_args(By)
ALL = "all"
# Level column -> the measure it is made from.
LEVEL_MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "pitch_level": "f0_semitone_mean",
        "loudness_level": "loudness_mean",
        "rate_level": "syllable_rate",
    }
)
NONE = "none"
_KINDS: Mapping[By, tuple[str, ...]] = {
    "auto": ("speaker", "sex", "corpus"),
    "speaker": ("speaker",),
    "sex": ("sex",),
    "corpus": ("corpus",),
}


@dataclass(frozen=True, slots=True)
class BinOptions:
    """How levels are made.

    Attributes:
        low: the quantile at or below which a value is low.
        high: the quantile at or above which a value is high.
        split: the rows that the quantiles come from: a split's name, or `all`. Where the corpus has no such
            split with values, all rows are taken, and the scheme says so.
        pitch_by: what pitch is compared with: `speaker`, `sex`, `corpus`, or `auto` (see `fit`).
        least: how many values a speaker or a sex must have for quantiles of its own. With n values, the
            share of a voice that truly lies below its fitted 30 % limit scatters by sqrt(.3 * .7 / n):
            8 points at 30, 14 points at 10. Below 30 the limit of a speaker says more about which clips
            happened to be recorded than about the voice.

    Raises:
        InputError: quantiles that are not 0 < low < high < 1, an unknown `pitch_by`, or `least` below 2.
    """

    low: float = 0.30
    high: float = 0.70
    split: str = "train"
    pitch_by: By = "auto"
    least: int = 30

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < 1:
            raise InputError(f"Bad quantiles {self.low!r} and {self.high!r}, expected 0 < low < high < 1")
        if self.pitch_by not in BY:
            raise InputError(bad_value("pitch_by", self.pitch_by, BY))
        if self.least < 2:
            raise InputError(f"Bad least {self.least!r}, expected a whole number from 2")


@dataclass(frozen=True, slots=True)
class BinRow:
    """One clip's value of one measure.

    Attributes:
        key: the utterance's id.
        speaker: empty or None where it is not known.
        sex: `female` or `male`; empty or None where it is not known.
        value: the measure; None or NaN where the clip has none (no voiced frame, unreadable).
    """

    key: str
    split: str
    speaker: str | None
    sex: str | None
    value: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """The limits of one speaker, one sex, or the corpus.

    Attributes:
        kind: `speaker`, `sex` or `corpus`.
        name: the speaker's or sex's name; `all` for the corpus.
        n: how many values the limits rest on.
        low, high: the limits, in the unit of the measure.
    """

    kind: str
    name: str
    n: int
    low: float
    high: float

    @property
    def tied(self) -> bool:
        """Whether so many values are equal that both limits fall on one value, which is then mid."""
        return self.low == self.high

    def level(self, value: float) -> Level:
        """The level of a value; both limits belong to the outer levels unless they are the same.

        >>> group = Group("corpus", "all", 10, 2.0, 3.0)
        >>> [group.level(v) for v in (2.0, 2.5, 3.0)]
        ['low', 'mid', 'high']
        >>> Group("corpus", "all", 10, 2.0, 2.0).level(2.0)
        'mid'
        """
        if self.tied and value == self.low:
            return "mid"
        if value <= self.low:
            return "low"
        return "high" if value >= self.high else "mid"


@dataclass(frozen=True)
class Scheme:
    """The limits of one measure, and what came of them.

    Attributes:
        by: as asked: auto, speaker, sex or corpus.
        options: quantiles, split and least number as asked.
        fitted_on: the split the limits come from, or `all`.
        values: how many values they come from.
        groups: the limits by (kind, name).
        levels: split -> {low, mid, high, none: rows}.
        placed: split -> {speaker, sex, corpus, none: rows}: whose limits decided.
        missing: rows without a value.
        notes: fallbacks and cautions, one sentence each.
    """

    by: By
    options: BinOptions
    fitted_on: str
    values: int
    groups: Mapping[tuple[str, str], Group]
    levels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    placed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    missing: int = 0
    notes: tuple[str, ...] = ()

    def group(self, row: BinRow) -> Group | None:
        """Whose limits decide about a row; None where nobody's do."""
        names = {"speaker": row.speaker, "sex": row.sex, "corpus": ALL}
        for kind in _KINDS[self.by]:
            found = self.groups.get((kind, names[kind] or ""))
            if found is not None:
                return found
        return None

    def level(self, row: BinRow) -> Level | None:
        """low, mid or high; None without a value, or where no limits apply to the row."""
        value = _value(row)
        group = None if value is None else self.group(row)
        return None if value is None or group is None else group.level(value)

    def as_dict(self) -> dict[str, Any]:
        """The scheme as JSON, for a manifest: what was asked, the limits of every group, the counts."""
        return {
            "by": self.by,
            "low_quantile": self.options.low,
            "high_quantile": self.options.high,
            "least": self.options.least,
            "asked_split": self.options.split,
            "fitted_on": self.fitted_on,
            "values": self.values,
            "missing": self.missing,
            "groups": [{**asdict(group), "tied": group.tied} for group in self.groups.values()],
            "levels": {split: dict(counts) for split, counts in self.levels.items()},
            "placed_by": {split: dict(counts) for split, counts in self.placed.items()},
            "notes": list(self.notes),
        }

    def describe(self) -> tuple[str, ...]:
        """The scheme in sentences, cautions last."""
        low, high = _percent(self.options.low), _percent(self.options.high)
        where = "all rows" if self.fitted_on == ALL else f"the split {self.fitted_on}"
        said = [
            f"Low is at or below the {low} quantile, high at or above the {high} quantile, mid between; "
            f"the quantiles come from {where} ({self.values:,} values)."
        ]
        said += [text for text in (self._placed_by(), self._shares()) if text]
        return (*said, *self.notes)

    def _placed_by(self) -> str:
        placed = _sum(self.placed)
        own = {"speaker": "their own speaker", "sex": "their sex", "corpus": "the whole corpus"}
        parts = []
        for kind in ("speaker", "sex", "corpus"):
            if placed.get(kind):
                names = sum(group.kind == kind for group in self.groups.values())
                some = "" if kind == "corpus" else f" ({names:,} with limits of their own)"
                parts.append(f"{_rows(placed[kind])} with {own[kind]}{some}")
        return f"Compared: {'; '.join(parts)}." if parts else ""

    def _shares(self) -> str:
        levels = _sum(self.levels)
        total = sum(levels.get(level, 0) for level in LEVELS)
        if not total:
            return "No row has a level."
        shares = ", ".join(f"{_percent(levels.get(v, 0) / total)} {v}" for v in LEVELS)
        lacking = f"; {_rows(levels[NONE])} without a level" if levels.get(NONE) else ""
        return f"Levels: {shares}{lacking}."


def fit(rows: Sequence[BinRow], by: By, options: BinOptions) -> Scheme:
    """The limits of a measure.

    With `auto`, a row is compared with its own speaker where the speaker has `options.least` values in the
    fitted rows, else with its sex under the same condition, else with all fitted rows. `speaker` and `sex`
    are strict: a row whose speaker or sex has too few values gets no level. `corpus` compares with all.

    Args:
        rows: one per clip, in any order; keys are not looked at.
        by: what to compare with.
        options: quantiles, split, least number.

    Raises:
        InputError: `by` is unknown.
    """
    if by not in BY:
        raise InputError(bad_value("grouping", by, BY))
    notes: list[str] = []
    fitted_on, values = _fitted(rows, options.split, notes)
    groups: dict[tuple[str, str], Group] = {}
    for kind in _KINDS[by]:
        for name, members in _members(values, kind):
            if kind == "corpus" or len(members) >= options.least:
                low, high = np.quantile(np.array(members), (options.low, options.high))
                groups[kind, name] = Group(kind, name, len(members), float(low), float(high))
    bare = Scheme(by, options, fitted_on, len(values), groups)
    levels = _count(rows, bare.level)
    placed = _count(rows, lambda row: _kind(bare, row))
    missing = sum(_value(row) is None for row in rows)
    notes += _cautions(bare, placed, missing)
    return Scheme(by, options, fitted_on, len(values), groups, levels, placed, missing, tuple(notes))


def _value(row: BinRow) -> float | None:
    return None if row.value is None or not isfinite(row.value) else float(row.value)


def _fitted(rows: Sequence[BinRow], split: str, notes: list[str]) -> tuple[str, list[tuple[BinRow, float]]]:
    """The split the quantiles come from, and its rows that have a value."""
    known = [(row, value) for row in rows if (value := _value(row)) is not None]
    if split == ALL:
        return ALL, known
    chosen = [pair for pair in known if pair[0].split == split]
    if chosen:
        return split, chosen
    there = any(row.split == split for row in rows)
    why = f"no row of the split {split} has a value" if there else f"there is no split {split}"
    notes.append(f"The quantiles come from all rows because {why}.")
    return ALL, known


def _members(rows: Sequence[tuple[BinRow, float]], kind: str) -> list[tuple[str, list[float]]]:
    """The values of each speaker, each sex, or the corpus; names in order."""
    found: dict[str, list[float]] = {}
    for row, value in rows:
        name = {"speaker": row.speaker, "sex": row.sex, "corpus": ALL}[kind]
        if name:
            found.setdefault(name, []).append(value)
    return sorted(found.items())


def _kind(scheme: Scheme, row: BinRow) -> str | None:
    group = None if _value(row) is None else scheme.group(row)
    return None if group is None else group.kind


def _count(rows: Iterable[BinRow], what: Callable[[BinRow], str | None]) -> dict[str, dict[str, int]]:
    """split -> {what it says: rows}, splits in their order of appearance."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        counts = found.setdefault(row.split, {})
        said = what(row) or NONE
        counts[said] = counts.get(said, 0) + 1
    order = (*LEVELS, "speaker", "sex", "corpus", NONE)
    return {split: {k: counts[k] for k in order if k in counts} for split, counts in found.items()}


def _cautions(scheme: Scheme, placed: Mapping[str, Mapping[str, int]], missing: int) -> list[str]:
    said = []
    least = scheme.options.least
    corpus = scheme.groups.get(("corpus", ALL))
    if corpus is not None and corpus.n < least and _sum(placed).get("corpus"):
        said.append(f"The corpus's limits rest on {corpus.n} values; below {least} they are chance.")
    tied = [group for group in scheme.groups.values() if group.tied]
    if tied:
        names = ", ".join(f"{group.kind} {group.name}" for group in tied[:3])
        more = f" and {len(tied) - 3} more" if len(tied) > 3 else ""
        said.append(f"Both limits fall on one value in {names}{more}: too many values are equal to tell.")
    if missing:
        said.append(f"{_rows(missing)} without a value: no clip, no sound in it, or no voice.")
    left = _sum(placed).get(NONE, 0) - missing
    if left > 0:
        said.append(f"{_rows(left)} without limits: fewer than {least} values of the {scheme.by}.")
    return said + _uneven(placed)


def _uneven(placed: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A caution where one split is compared otherwise than another: its levels then mean something else."""
    shares = {}
    for split, counts in placed.items():
        total = sum(n for kind, n in counts.items() if kind != NONE)
        if total:
            shares[split] = counts.get("speaker", 0) / total
    if len(shares) < 2 or max(shares.values()) - min(shares.values()) < 0.5:
        return []
    most, fewest = max(shares, key=lambda s: shares[s]), min(shares, key=lambda s: shares[s])
    return [
        f"{_percent(shares[most])} of {most} but {_percent(shares[fewest])} of {fewest} are compared with "
        "their own speaker, so levels of the two splits do not mean the same; one rule for all (sex or "
        "corpus) makes them comparable."
    ]


def _sum(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for split in counts.values():
        for name, count in split.items():
            total[name] = total.get(name, 0) + count
    return total


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def as_by(text: str) -> By:
    """A grouping by its name.

    Raises:
        InputError: there is no such grouping.
    """
    if text not in BY:
        raise InputError(bad_value("grouping", text, BY))
    return text
