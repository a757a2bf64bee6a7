"""What was found about several annotators as tables for CSV files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .agreement import Agreement
from .agreement_scores import MEASURES, Score
from .descriptions import Value
from .panel import Panel

Rows = Iterator[tuple[object, ...]]
_VALUES = ("value", "low", "high")
SCORE_COLUMNS = (
    *("scope", "source", "kind", "rows", "coverage"),
    *(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")),
)
PAIR_COLUMNS = (
    *("first", "second", "rows", "agreement", "agreement_low", "agreement_high"),
    *("kappa", "kappa_low", "kappa_high"),
)
LABEL_COLUMNS = (
    *("label", "votes", "specific_agreement", "specific_agreement_low", "specific_agreement_high"),
    *("kappa", "kappa_low", "kappa_high"),
)


def panel_tables(panel: Panel) -> dict[str, tuple[Sequence[str], Rows]]:
    """File name -> its columns and rows."""
    files: dict[str, tuple[Sequence[str], Rows]] = {
        "annotators.csv": (SCORE_COLUMNS, _scores(panel)),
        "annotators_decisions.csv": (("what", "value", "rows"), _decisions(panel)),
        "annotators_spread.csv": (
            ("column", "low", "high", "rows", "same", "same_low", "same_high"),
            _spreads(panel),
        ),
    }
    if panel.agreement is not None:
        files["annotators_agreement.csv"] = (("measure", *_VALUES), _agreement(panel.agreement))
        files["annotators_labels.csv"] = (LABEL_COLUMNS, _labels(panel.agreement))
        if panel.agreement.pairs is not None:
            files["annotators_pairs.csv"] = (PAIR_COLUMNS, _pairs(panel.agreement))
    return files


def named_values(found: Agreement) -> Iterator[tuple[str, Value]]:
    """Every coefficient and ceiling under one name."""
    yield from found.coefficients.items()
    for name, ceiling in (("leave_one_out", found.leave_one_out), ("split_half", found.split_half)):
        if ceiling is not None:
            yield from ((f"{name}_{measure}", getattr(ceiling, measure)) for measure in MEASURES)


def _scores(panel: Panel) -> Rows:
    for scope in panel.scopes:
        base = panel.baseline[scope]
        guess = [""] * (3 * len(MEASURES))
        guess[0], guess[3] = (_number(value) for value in (base.accuracy, base.uar))
        yield (scope, "by chance", "", base.rows, "", *guess)
        for name, kind, score in panel.scored(scope):
            yield (scope, name, kind, *_score(score))


def _score(score: Score) -> tuple[object, ...]:
    values = (value for name in MEASURES for value in _value(getattr(score, name)))
    return (score.rows, _number(score.coverage), *values)


def _agreement(found: Agreement) -> Rows:
    for name, value in named_values(found):
        yield (name, *_value(value))


def _labels(found: Agreement) -> Rows:
    for label in found.by_label:
        yield (label.label, label.votes, *_value(label.specific), *_value(label.kappa))


def _pairs(found: Agreement) -> Rows:
    for pair in found.pairs.compared if found.pairs else ():
        yield (pair.first, pair.second, pair.items, *_value(pair.agreement), *_value(pair.kappa))


def _decisions(panel: Panel) -> Rows:
    for what, counts in (("decided_by", panel.decided_by), ("unresolved", panel.unresolved)):
        for value, rows in counts.items():
            yield (what, value, rows)


def _spreads(panel: Panel) -> Rows:
    for column, spread in (("vote_share", panel.share), ("vote_entropy", panel.entropy)):
        for part in spread.bins:
            same = (part.same.rate, part.same.low, part.same.high)
            yield (column, _number(part.low), _number(part.high), part.rows, *map(_number, same))


def _value(value: Value) -> tuple[str, ...]:
    return tuple(map(_number, (value.value, value.low, value.high)))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
