"""The check of words against sound as tables for CSV files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .dataset import Table
from .descriptions import Descriptions, Dimension, Scores, Value
from .lexicon import LEVELS

Rows = Iterator[tuple[object, ...]]
SCORE_COLUMNS = (
    *("dimension", "by", "value", "rows", "uar", "uar_low", "uar_high", "acc", "acc_low", "acc_high"),
    *("f1", "f1_low", "f1_high", "chance_uar", "majority_acc"),
)
COVERAGE_COLUMNS = (
    *("dimension", "split", "rows", "unmeasured", "empty", "unknown", "known", "known_share"),
    *("as_wrong_uar", "as_wrong_acc", "as_mid_uar", "as_mid_acc", "as_mid_f1"),
)
CONFUSION_COLUMNS = ("dimension", "split", "described", *(f"measured_{name}" for name in LEVELS))
UNKNOWN_COLUMNS = ("dimension", "rows", "words")
OPPOSITE_COLUMNS = (
    *("id", "split", "dimension", "speaker", "label", "words", "described", "measured", "rule", "text"),
)


def description_tables(found: Descriptions, table: Table) -> dict[str, tuple[Sequence[str], Rows]]:
    """File name -> its columns and rows."""
    return {
        "descriptions.csv": (SCORE_COLUMNS, _scores(found)),
        "descriptions_coverage.csv": (COVERAGE_COLUMNS, _coverage(found)),
        "descriptions_confusion.csv": (CONFUSION_COLUMNS, _confusion(found)),
        "descriptions_unknown.csv": (UNKNOWN_COLUMNS, _unknown(found)),
        "descriptions_opposite.csv": (OPPOSITE_COLUMNS, _opposite(found, table)),
    }


def _scores(found: Descriptions) -> Rows:
    for dimension in found.dimensions:
        for by, values in _scored(dimension):
            for name, scores in values.items():
                yield (
                    *(dimension.name, by, name, scores.rows),
                    *_value(scores.uar), *_value(scores.acc), *_value(scores.f1),
                    *(_number(scores.chance_uar), _number(scores.majority_acc)),
                )  # fmt: skip


def _scored(dimension: Dimension) -> Iterator[tuple[str, dict[str, Scores]]]:
    yield "split", dict(dimension.scores)
    yield "label", dict(dimension.by_label)
    yield "speaker", dict(dimension.by_speaker)


def _coverage(found: Descriptions) -> Rows:
    for dimension in found.dimensions:
        for split, c in dimension.coverage.items():
            rest = (c.known_share, c.as_wrong_uar, c.as_wrong_acc, c.as_mid_uar, c.as_mid_acc, c.as_mid_f1)
            counts = (c.rows, c.unmeasured, c.empty, c.unknown, c.known)
            yield (dimension.name, split, *counts, *map(_number, rest))


def _confusion(found: Descriptions) -> Rows:
    for dimension in found.dimensions:
        for split, scores in dimension.scores.items():
            for name, counts in zip(LEVELS, scores.counts, strict=True):
                yield (dimension.name, split, name, *counts)


def _unknown(found: Descriptions) -> Rows:
    for dimension in found.dimensions:
        for words, count in dimension.unknown:
            yield (dimension.name, count, words)


def _opposite(found: Descriptions, table: Table) -> Rows:
    for dimension in found.dimensions:
        for d in dimension.disagreements:
            code = int(table.after[d.row])
            yield (
                *(table.ids[d.row], table.split[d.row], d.dimension, table.speakers[d.row] or ""),
                *("" if code < 0 else table.labels[code], d.words, d.described, d.measured, d.rule),
                table.texts[d.row],
            )


def _value(value: Value) -> tuple[str, ...]:
    return tuple(map(_number, (value.value, value.low, value.high)))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
