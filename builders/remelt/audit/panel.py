"""The audit of several annotators: each of them and their decision against the label before.

The rows on which they did not decide count too, so that nobody looks better for the hard ones being left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .agreement import Agreement, AgreementOptions, VoteTable, measure
from .agreement_scores import Score, score
from .build_info import BuildInfo
from .dataset import Table
from .descriptions import OVERALL
from .matrix import Codes, Rate, wilson
from .panel_rows import PanelRows, Source, read_panel

BINS = 10
KEPT = "rows with a label"
OPTIONS = AgreementOptions(least_common=2)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What somebody would score who does not look: chance over the labels, or always the commonest one.

    Attributes:
        rows: rows with an original label.
        label: the commonest one; empty without rows.
        accuracy: of always saying it; `uar` is 1 / number of labels that occur, for any guess.
    """

    rows: int
    label: str
    accuracy: float | None
    uar: float | None

    def as_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "label": self.label, "accuracy": self.accuracy, "uar": self.uar}


@dataclass(frozen=True, slots=True)
class SourceScores:
    """One source of votes.

    Attributes:
        votes: rows on which it gave a label.
        scores: scope (see `Panel.scopes`) -> its label against the original one.
    """

    source: Source
    votes: int
    scores: Mapping[str, Score]

    def as_dict(self) -> dict[str, Any]:
        scores = {name: found.as_dict() for name, found in self.scores.items()}
        return {"name": self.source.name, "kind": self.source.kind, "votes": self.votes, "scores": scores}


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose value lies from `low` to `high`, and how many of them kept the original label."""

    low: float
    high: float
    rows: int
    same: Rate

    def as_dict(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "rows": self.rows, "same": self.same.as_dict()}


@dataclass(frozen=True, slots=True)
class Spread:
    """How a number of the rows with a label is spread; None where no row has it."""

    mean: float | None
    median: float | None
    bins: tuple[Bin, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "median": self.median, "bins": [b.as_dict() for b in self.bins]}


@dataclass(frozen=True)
class Ratings:
    """The corpus's own raters: their agreement, their majority, and the label against it."""

    agreement: Agreement
    majority: Score
    label: Score

    def as_dict(self) -> dict[str, Any]:
        return {
            "agreement": self.agreement.as_dict(),
            "majority_against_original": self.majority.as_dict(),
            "label_against_majority": self.label.as_dict(),
        }


@dataclass(frozen=True)
class Panel:
    """What an audit found about several annotators.

    Attributes:
        kept: of the rows with votes, those that got a label.
        unresolved: reason -> rows that got none.
        baseline, resolved: scope -> score of guessing, and of the label.
        sources: in the order of their votes.
        decided_by: how the label came about -> rows.
        agreement: of the sources; None where no row has a vote.
    """

    labels: tuple[str, ...]
    kept: Rate
    unresolved: Mapping[str, int]
    baseline: Mapping[str, Baseline]
    resolved: Mapping[str, Score]
    sources: tuple[SourceScores, ...]
    decided_by: Mapping[str, int]
    share: Spread
    entropy: Spread
    agreement: Agreement | None
    ratings: Ratings | None

    @property
    def scopes(self) -> tuple[str, ...]:
        """All splits, the rows with a label where others have none, the splits where there are several."""
        return tuple(self.resolved)

    def scored(self, scope: str) -> list[tuple[str, str, Score]]:
        """Name, kind and score of each source, and of the label last."""
        sources = [(found.source.name, found.source.kind, found.scores[scope]) for found in self.sources]
        return [*sources, ("label", "decision", self.resolved[scope])]

    @property
    def caveats(self) -> tuple[str, ...]:
        """What has to be known beside the numbers."""
        left = self.kept.total - self.kept.count
        if not left:
            return ()
        return (
            f"On {left:,} of {self.kept.total:,} rows the annotators came to no label; those are not in the "
            "change matrix, but count in the scores and the agreement of the annotators.",
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "labels": list(self.labels),
            "kept": self.kept.as_dict(),
            "unresolved": dict(self.unresolved),
            "baseline": {name: found.as_dict() for name, found in self.baseline.items()},
            "resolved": {name: found.as_dict() for name, found in self.resolved.items()},
            "sources": [found.as_dict() for found in self.sources],
            "decided_by": dict(self.decided_by),
            "vote_share": self.share.as_dict(),
            "vote_entropy": self.entropy.as_dict(),
            "agreement": None if self.agreement is None else self.agreement.as_dict(),
            "ratings": None if self.ratings is None else self.ratings.as_dict(),
        }


def find_panel(folder: Path, table: Table, build: BuildInfo | None) -> Panel | None:
    """Everything about the annotators of a dataset; None for one without a column of votes.

    Args:
        folder: the dataset folder.
        table: its rows; the label before is what everybody is scored against.
        build: what the folder says of its making.

    Raises:
        InputError: a column of votes that is none.
    """
    rows = read_panel(folder, table, build)
    return None if rows is None else summarise(rows)


def summarise(rows: PanelRows) -> Panel:
    """The numbers behind the section on annotators."""
    scopes = _scopes(rows)

    def scored(said: Codes) -> dict[str, Score]:
        size = len(rows.labels)
        return {name: score(said[own], rows.original[own], size) for name, own in scopes.items()}

    kept = len(rows.label) - len(rows.unresolved)
    said = {source: _said(rows, source.name) for source in rows.sources}
    reasons = Counter(reason for row in rows.unresolved for reason in row.reasons)
    return Panel(
        labels=rows.labels,
        kept=wilson(kept, len(rows.label)),
        unresolved=dict(sorted(reasons.items())),
        baseline={name: _baseline(rows.original[own], rows.labels) for name, own in scopes.items()},
        resolved=scored(rows.label),
        sources=tuple(
            SourceScores(source, int((codes >= 0).sum()), scored(codes)) for source, codes in said.items()
        ),
        decided_by=dict(sorted(Counter(d or "unknown" for d in rows.decided_by).items())),
        share=_spread(rows.share, 1.0, rows),
        entropy=_spread(rows.entropy, math.log2(max(len(rows.labels), 2)), rows),
        agreement=measure(rows.votes, OPTIONS) if len(rows.votes) else None,
        ratings=None if rows.ratings is None else _ratings(rows.ratings, rows),
    )


def _scopes(rows: PanelRows) -> dict[str, npt.NDArray[np.bool_]]:
    """Scope -> which rows are in it; a label can be compared with its sources only on rows that have one."""
    split = np.array(rows.split, dtype=object)
    found = {OVERALL: np.full(split.size, True)}
    if rows.unresolved:
        found[KEPT] = np.arange(split.size) < split.size - len(rows.unresolved)
    if len(rows.splits) > 1:
        found |= {name: split == name for name in rows.splits}
    return found


def _said(rows: PanelRows, name: str) -> Codes:
    """The label that a source gave to each row; -1 where it gave none."""
    codes = np.full(len(rows.label), -1, dtype=np.int64)
    if name in rows.votes.raters:
        own = rows.votes.rater == rows.votes.raters.index(name)
        codes[rows.votes.item[own]] = rows.votes.label[own]
    return codes


def _baseline(original: Codes, labels: Sequence[str]) -> Baseline:
    counts = np.bincount(original[original >= 0], minlength=len(labels))
    total = int(counts.sum())
    if not total:
        return Baseline(0, "", None, None)
    most = int(counts.argmax())
    occurring = int((counts > 0).sum())
    return Baseline(total, labels[most], round(int(counts[most]) / total, 6), round(1 / occurring, 6))


def _spread(values: Sequence[float | None], highest: float, rows: PanelRows) -> Spread:
    known = np.array([i for i, value in enumerate(values) if value is not None], dtype=np.int64)
    if not known.size:
        return Spread(None, None, ())
    numbers = np.array([value for value in values if value is not None], dtype=np.float64)
    # A share of 0.7 belongs to the bin that ends with it, whatever its last binary digit.
    places = np.clip(np.ceil(np.round(numbers * BINS / highest, 6)) - 1, 0, BINS - 1).astype(np.int64)
    found = []
    for place in range(BINS):
        own = known[places == place]
        before, after = rows.original[own], rows.label[own]
        both = (before >= 0) & (after >= 0)
        edges = (round(place * highest / BINS, 6), round((place + 1) * highest / BINS, 6))
        same = wilson(int((both & (before == after)).sum()), int(both.sum()))
        found.append(Bin(*edges, int(own.size), same))
    mean, median = float(numbers.mean()), float(np.median(numbers))
    return Spread(round(mean, 6), round(median, 6), tuple(found))


def _ratings(ratings: VoteTable, rows: PanelRows) -> Ratings:
    """The majority of the raters beside the labels; ratings' items are among the first rows."""
    labels = (*rows.labels, *(name for name in ratings.labels if name not in rows.labels))
    place = {name: i for i, name in enumerate(rows.votes.items)}
    to = np.array([labels.index(name) for name in ratings.labels], dtype=np.int64)
    majority = np.full(len(rows.label), -1, dtype=np.int64)
    for item, code in zip(ratings.items, ratings.decided().tolist(), strict=True):
        majority[place[item]] = to[code] if code >= 0 else code
    size = len(labels)
    return Ratings(
        agreement=measure(ratings),
        majority=score(majority, rows.original, size),
        label=score(rows.label, majority, size),
    )
