"""The figure of words against sound: one confusion matrix a dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .descriptions import OVERALL
from .figures import INK, style
from .lexicon import LEVELS

if TYPE_CHECKING:
    from .descriptions import Descriptions, Dimension

SIDE = 2.3
TITLES = {"pitch_level": "Pitch", "loudness_level": "Loudness", "rate_level": "Speaking rate"}


def descriptions_figure(found: Descriptions) -> Figure:
    """Heat maps of all splits: described levels down, measured ones across; colour = share of the column.

    The share of the column is the recall that UAR is the mean of: of the rows measured so, how many were
    described so.
    """
    left, right, bottom, top, gap = 0.95, 0.45, 0.7, 1.05, 0.55
    count = len(found.dimensions)
    width, height = left + right + count * SIDE + (count - 1) * gap, bottom + top + SIDE
    with style():
        figure = Figure(figsize=(max(width, 4.6), height))
        FigureCanvasAgg(figure)
        full = figure.get_size_inches()[0]
        for place, dimension in enumerate(found.dimensions):
            box = ((left + place * (SIDE + gap)) / full, bottom / height, SIDE / full, SIDE / height)
            axes = figure.add_axes(box)
            _matrix(axes, dimension)
            if place == 0:
                axes.set_ylabel("described by the model", labelpad=6)
        figure.text(
            0.12 / full, 1 - 0.14 / height, "Words against sound, all splits (% and colour: of the column)",
            fontsize=11, va="top",
        )  # fmt: skip
    return figure


def _matrix(axes: Axes, dimension: Dimension) -> None:
    scores = dimension.scores[OVERALL]
    counts = np.array(scores.counts, dtype=np.float64)
    sums = counts.sum(axis=0)
    shares = np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0)
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1.5)
    for i in range(3):
        for j in range(3):
            colour = "white" if shares[i, j] > 0.55 else INK
            weight = "bold" if i == j else "normal"
            axes.text(
                j + 0.5, i + 0.42, f"{scores.counts[i][j]:,}", ha="center", va="center", color=colour,
                fontweight=weight,
            )  # fmt: skip
            if sums[j]:
                text = f"{100 * shares[i, j]:.0f} %"
                axes.text(j + 0.5, i + 0.74, text, ha="center", va="center", color=colour, fontsize=7)
    axes.set_ylim(3, 0)
    axes.set_xticks(np.arange(3) + 0.5, list(LEVELS))
    axes.set_yticks(np.arange(3) + 0.5, list(LEVELS))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("measured", labelpad=6)
    name = TITLES[dimension.measured]
    uar = scores.uar
    strength = (
        "no row to compare"
        if uar.value is None
        else f"UAR {uar.value:.3f} [{uar.low or 0:.3f}, {uar.high or 0:.3f}], chance {scores.chance_uar:.3f}"
    )
    axes.set_title(f"{name} ({scores.rows:,} rows)\n{strength}", fontsize=9)
