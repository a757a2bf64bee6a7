"""The audit's figures: change matrix as a heat map, label distribution, change rate by speaker.

Figures are drawn without pyplot and without dates, so the same numbers give the same bytes. Colours are
from one blue scale and the Okabe-Ito set, which colour-blind readers can tell apart.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .names import clean, number

if TYPE_CHECKING:
    from .findings import Scope

BLUE = "#0072B2"
GREY = "#A7AFB8"
INK = "#1F2933"
MAX_SPEAKERS = 25
_STYLE: Any = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9AA5B1",
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # A dollar sign in a label is no formula.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "remelt",
}


def figure_bytes(figure: Figure) -> dict[str, bytes]:
    """The figure as `svg` and `png` (150 dots per inch), always the same bytes for the same drawing."""
    found = {}
    with style():
        for kind, metadata in (("svg", {"Date": None, "Creator": "remelt"}), ("png", {"Software": "remelt"})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=150, metadata=metadata)
            found[kind] = buffer.getvalue()
    return found


def matrix_figure(scope: Scope, before: str, after: str) -> Figure:
    """The heat map: colour = share of the row, in each cell the count and, where it fits, the row %."""
    matrix = scope.matrix
    size = len(matrix.labels)
    names = [clean(label, 16) for label in matrix.labels]
    longest = max((len(n) for n in names), default=0)
    cell = 0.74 if size <= 10 else max(0.3, 7.4 / size)
    percents = cell >= 0.6
    left, right, top = 0.6 + 0.085 * longest, 0.3 if percents else 1.2, 0.7
    slanted = longest > 8 or size > 10
    bottom = 0.75 + (0.065 * longest if slanted else 0.0)
    side = max(cell * size, 2.2)
    right = max(right, 5.4 - side)
    figure, axes = _canvas(left, bottom, right, top, side, side)
    with style():
        shares = np.array([[np.nan if s is None else s for s in row] for row in matrix.row_shares()])
        shares = shares.reshape(size, size) if size else np.zeros((1, 1))
        image = axes.pcolormesh(
            np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1.5
        )
        axes.set_ylim(max(size, 1), 0)
        places = np.arange(size) + 0.5
        axes.set_xticks(places, names, rotation=40 if slanted else 0, ha="right" if slanted else "center")
        axes.set_yticks(places, names)
        if slanted:
            for tick in axes.get_xticklabels():
                tick.set_rotation_mode("anchor")
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        if cell >= 0.35:
            _cells(axes, matrix.counts.tolist(), shares, percents)
        axes.set_xlabel(f"after: {clean(after, 40)}", labelpad=8)
        axes.set_ylabel(f"before: {clean(before, 40)}", labelpad=8)
        shown = "% and colour" if percents else "colour"
        title = f"Change matrix, {_of(scope)}\n{_rate(scope)}; {shown}: share of the row"
        axes.set_title(title, fontsize=11)
        if not percents:
            _colour_bar(figure, axes, image)
    return figure


def distribution_figure(scope: Scope, before: str, after: str) -> Figure:
    """Bars of every label's count before and after, with counts and shares."""
    matrix = scope.matrix
    names = [clean(label, 18) for label in matrix.labels]
    size, total = max(len(names), 1), max(matrix.total, 1)
    left = 0.5 + 0.085 * max((len(n) for n in names), default=0)
    figure, axes = _canvas(left, 0.6, 0.3, 0.8, 6.0, 0.55 * size + 0.1)
    with style():
        places = np.arange(len(names))
        for offset, counts, colour, name in (
            (-0.2, matrix.before, GREY, f"before: {clean(before, 40)}"),
            (0.2, matrix.after, BLUE, f"after: {clean(after, 40)}"),
        ):
            axes.barh(places + offset, counts, height=0.38, color=colour, label=name)
            for place, count in zip(places + offset, counts.tolist(), strict=True):
                axes.annotate(
                    f"{count:,} ({100 * count / total:.1f} %)",
                    (count, place),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                )
        most = max([*matrix.before.tolist(), *matrix.after.tolist(), 1])
        axes.set_xlim(0, most * 1.22)
        axes.set_ylim(size - 0.45, -0.55)
        axes.set_yticks(places, names)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("rows")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.set_title(f"Labels before and after, {_of(scope)}", pad=30)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=2,
            frameon=False,
            fontsize=9,
            borderaxespad=0.3,
            borderpad=0,
        )
    return figure


def speaker_figure(scope: Scope) -> Figure | None:
    """Change rate and 95 % interval of the most frequent speakers; None where no speaker is known."""
    known = [g for g in scope.groups.get("speaker", ()) if g.value is not None and g.change.total]
    shown = known[:MAX_SPEAKERS]
    if not shown:
        return None
    names = [f"{clean(g.value or '', 24)}  ({g.change.total:,})" for g in shown]
    left = 0.4 + 0.083 * max(len(n) for n in names)
    figure, axes = _canvas(left, 0.6, 0.35, 0.65, 5.0, 0.27 * len(shown) + 0.3)
    with style():
        places = np.arange(len(shown))
        rates = np.array([100 * (g.change.rate or 0) for g in shown])
        low = rates - np.array([100 * (g.change.low or 0) for g in shown])
        high = np.array([100 * (g.change.high or 0) for g in shown]) - rates
        if scope.change.rate is not None:
            axes.axvline(100 * scope.change.rate, color="#D55E00", linewidth=1.2, linestyle=(0, (4, 3)))
            axes.annotate(
                f"all {100 * scope.change.rate:.1f} %",
                (100 * scope.change.rate, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color="#A84300",
            )
        axes.errorbar(
            rates, places, xerr=np.maximum([low, high], 0), fmt="o", color=BLUE, ecolor=BLUE, markersize=4.5
        )
        axes.set_yticks(places, names)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#E4E7EB", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_xlabel("rows changed, % (bar: 95 % Wilson interval)")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        more = f" ({len(shown)} of {len(known)})" if len(known) > len(shown) else ""
        axes.set_title(f"Change rate by speaker{more}, {_of(scope)}", pad=22, x=-(left - 0.2) / 5.0)
    return figure


@contextmanager
def style() -> Iterator[None]:
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # A label in a script that the font lacks is drawn as boxes in the PNG; the SVG keeps its text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _canvas(
    left: float, bottom: float, right: float, top: float, width: float, height: float
) -> tuple[Figure, Axes]:
    """A figure with one drawing area of the given size and margins, all in inches."""
    full = (left + width + right, bottom + height + top)
    with style():
        figure = Figure(figsize=full)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((left / full[0], bottom / full[1], width / full[0], height / full[1]))
    return figure, axes


def _colour_bar(figure: Figure, axes: Axes, image: ScalarMappable) -> None:
    """The scale of the colours, where the cells are too small to print their percentages."""
    place = axes.get_position()
    width = figure.get_size_inches()[0]
    bar = figure.add_axes((place.x1 + 0.2 / width, place.y0, 0.16 / width, place.height))
    scale = figure.colorbar(image, cax=bar, ticks=[0, 0.25, 0.5, 0.75, 1])
    scale.ax.set_yticklabels(["0", "25", "50", "75", "100 %"])
    scale.outline.set_visible(False)


def _cells(axes: Axes, counts: list[list[int]], shares: np.ndarray[Any, Any], percents: bool) -> None:
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            share = shares[i, j]
            colour = "white" if share > 0.55 else INK
            weight = "bold" if i == j else "normal"
            axes.text(
                j + 0.5,
                i + (0.38 if percents else 0.5),
                f"{count:,}",
                ha="center",
                va="center",
                color=colour,
                fontsize=10 if percents else 7,
                fontweight=weight,
            )
            if percents and not np.isnan(share):
                text = f"{100 * share:.0f} %"
                axes.text(j + 0.5, i + 0.74, text, ha="center", va="center", color=colour, fontsize=7)


def _of(scope: Scope) -> str:
    rows = f"{scope.matrix.total:,} row{'' if scope.matrix.total == 1 else 's'}"
    return f"{clean(scope.name, 30)} ({rows})"


def _rate(scope: Scope) -> str:
    if scope.change.rate is None:
        return "no row carries both labels"
    return f"{100 * scope.change.rate:.2f} % changed, kappa {number(scope.kappa, 3, 'undefined')}"
