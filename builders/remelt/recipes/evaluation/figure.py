"""The scores of a run as a figure: a point with its interval for each model, test set by test set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .tables import Record, measure, tests_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_BASELINE = "#7B8794"
_ROW_INCHES = 0.3
_WIDTH = 8.0


def overview(results: Record) -> dict[str, bytes]:
    """The figure as `svg` and `png`, the same bytes for the same numbers."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib.figure import Figure

    from ...audit.figures import figure_bytes, style

    metric = results["metric"]
    tests = [(test, _lines(results, test, metric)) for test in tests_of(results)]
    tests = [(test, lines) for test, lines in tests if lines]
    heights = [len(lines) + 1.6 for _, lines in tests] or [2.0]
    with style():
        figure = Figure(figsize=(_WIDTH, _ROW_INCHES * sum(heights) + 0.8), layout="constrained")
        axes = figure.subplots(max(1, len(tests)), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
        conditions = list(dict.fromkeys(one["condition"] for one in results["scores"]))
        for place, (test, lines) in zip(axes, tests, strict=False):
            _panel(place, test, lines, conditions)
        axes[-1].set_xlabel(f"{measure(metric)} with its 95 % interval")
    return figure_bytes(figure)


def _lines(results: Record, test: str, metric: str) -> list[tuple[str, str, Record]]:
    """Name, condition (empty for baselines) and estimate of each point."""
    found = []
    for one in results["scores"]:
        if one["test"] == test and metric in one["metrics"]:
            name = ", ".join(filter(None, (one["condition"], one["variant"])))
            found.append((name, one["condition"], one["metrics"][metric]))
    for one in results["baselines"]:
        if one["test"] == test and metric in one["metrics"]:
            found.append((f"{one['baseline']} ({one['condition']})", "", one["metrics"][metric]))
    return [line for line in found if line[2]["value"] is not None]


def _panel(
    axes: Axes, title: str, lines: Sequence[tuple[str, str, Record]], conditions: Sequence[str]
) -> None:
    from ...audit.names import clean

    for row, (_, condition, one) in enumerate(lines):
        colour: Any = _BASELINE
        if condition:
            colour = _COLOURS[conditions.index(condition) % len(_COLOURS)]
        low = one["value"] if one["low"] is None else one["low"]
        high = one["value"] if one["high"] is None else one["high"]
        axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        marker = "o" if condition else "D"
        axes.plot([one["value"]], [row], marker=marker, color=colour, markersize=6 if condition else 4)
    axes.set_yticks(range(len(lines)), [clean(name, 48) for name, _, _ in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_title(clean(title, 60))
    axes.grid(axis="x", color="#E4E7EB", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
