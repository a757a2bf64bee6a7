"""Prints what an audit found about several annotators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.table import Table as Grid
from rich.text import Text

from .agreement import Agreement
from .agreement_scores import Score
from .descriptions import OVERALL, Value
from .names import clean, number
from .panel import KEPT, Panel

MakeGrid = Callable[..., Grid]
MOST_PAIRED = 8
MOST_LETTERS = 120
_COLUMNS = ("rows", "coverage", "accuracy", "UAR", "macro-F1", "kappa")
NAMES = {
    "percent_agreement": "percent agreement",
    "fleiss_kappa": "Fleiss' kappa",
    "krippendorff_alpha": "Krippendorff's alpha",
    "krippendorff_alpha_ordinal": "Krippendorff's alpha, ordinal",
    "gwet_ac1": "Gwet's AC1",
}


def panel_grids(panel: Panel, make: MakeGrid, fits: Callable[[Grid], bool]) -> Iterator[Grid]:
    """The tables: scores of everybody, agreement, pairs.

    Args:
        panel: what was found.
        make: makes an empty grid from a title and column names.
        fits: whether a grid is narrow enough.
    """
    yield scores_grid(panel, make, fits)
    if panel.agreement is not None:
        yield agreement_grid(panel.agreement, make)
        pairs = panel.agreement.pairs
        if pairs is not None and 2 < len(pairs.raters) <= MOST_PAIRED:
            yield pairs_grid(panel.agreement, make)


def panel_lines(panel: Panel) -> Iterator[str]:
    """How the labels were decided, and how many rows got none."""
    decided = ", ".join(f"{clean(name, 40)} {rows:,}" for name, rows in panel.decided_by.items())
    if decided:
        yield f"Decided by: {decided}"
    reasons = ", ".join(f"{name} {rows:,}" for name, rows in panel.unresolved.items())
    rate = panel.kept
    share = "" if rate.rate is None else f" ({100 * rate.rate:.2f} %)"
    left = f"; without a label: {reasons}" if reasons else ""
    yield f"{rate.count:,} of {rate.total:,} rows with votes got a label{share}{left}"


def scores_grid(panel: Panel, make: MakeGrid, fits: Callable[[Grid], bool]) -> Grid:
    """Each source and the label against the original label, all splits together.

    Names are never cut. Where the grid would not fit, the columns that matter least are left out.
    """
    left_out = ("", "macro-F1", "coverage", "kappa")
    for number_out in range(1, len(left_out)):
        grid = _scores(panel, make, left_out[1:number_out])
        if fits(grid):
            return grid
    return _scores(panel, make, left_out[1:])


def _scores(panel: Panel, make: MakeGrid, left_out: Sequence[str]) -> Grid:
    columns = [name for name in _COLUMNS if name not in left_out]
    grid = make(
        "Annotators against the original label (95 % bootstrap interval below)", "annotator", *columns
    )
    for column in grid.columns[1:]:
        column.no_wrap = True
    for scope in (name for name in (OVERALL, KEPT) if name in panel.scopes):
        if scope == KEPT:
            grid.add_section()
            grid.add_row(Text(KEPT), style="bold")
        for name, kind, score in panel.scored(scope):
            cells = _score(score)
            style = "bold" if kind == "decision" else ""
            grid.add_row(Text(clean(name, MOST_LETTERS)), *(cells[c] for c in columns), style=style)
        base = panel.baseline[scope]
        guess = {
            "rows": f"{base.rows:,}",
            "accuracy": number(base.accuracy, 3),
            "UAR": number(base.uar, 3),
        }
        grid.add_row("by guessing", *(guess.get(c, "") for c in columns), style="dim")
    if left_out:
        grid.caption = Text(f"No room for {', '.join(left_out)}: see annotators.csv.")
        grid.caption_justify = "left"
    return grid


def agreement_grid(found: Agreement, make: MakeGrid, title: str = "Agreement of the annotators") -> Grid:
    """Every coefficient and both ceilings with intervals."""
    grid = make(f"{title} ({found.usable:,} items)", "measure", "value", "95 %")
    for name, value in found.coefficients.items():
        grid.add_row(NAMES[name], number(value.value, 3, "undefined"), between(value))
    for what, ceiling in (("leave one out", found.leave_one_out), ("split half", found.split_half)):
        if ceiling is not None:
            for name, value in (("accuracy", ceiling.accuracy), ("UAR", ceiling.uar)):
                grid.add_row(f"{what}: {name}", number(value.value, 3, "undefined"), between(value))
    return grid


def pairs_grid(found: Agreement, make: MakeGrid) -> Grid:
    """Cohen's kappa of every two raters."""
    pairs = found.pairs
    names = pairs.raters if pairs else ()
    # Names would be cut, and those of one family begin alike.
    grid = make("Cohen's kappa of every two", "", *(str(place) for place in range(1, len(names) + 1)))
    known = pairs.by_names if pairs else {}
    for place, first in enumerate(names, 1):
        cells = (known.get((first, second)) for second in names)
        grid.add_row(
            Text(f"{place}  {clean(first, MOST_LETTERS)}"),
            *("" if c is None else number(c.kappa.value, 3) for c in cells),
        )
    return grid


def between(value: Value) -> str:
    """An interval, or a dash."""
    if value.low is None or value.high is None:
        return "–"
    return f"{number(value.low, 3)} to {number(value.high, 3)}"


def _score(score: Score) -> dict[str, str]:
    values = {"accuracy": score.accuracy, "UAR": score.uar, "macro-F1": score.f1, "kappa": score.kappa}
    shown = {
        name: "–" if value.value is None else f"{number(value.value, 3)}\n{between(value)}"
        for name, value in values.items()
    }
    share = "–" if score.coverage is None else f"{100 * score.coverage:.1f} %"
    return {"rows": f"{score.rows:,}", "coverage": share, **shown}
