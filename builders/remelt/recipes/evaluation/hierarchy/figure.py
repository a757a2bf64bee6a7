"""Neutral precision and recall over the threshold."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# From the Okabe-Ito set, which colour-blind readers can tell apart.
_LINES = (
    ("precision", "neutral precision", "#0072B2", "-"),
    ("recall", "neutral recall", "#D55E00", "-"),
    ("ua", "UA of all classes", "#6B7785", "--"),
)
_STYLE: Any = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "white",
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "remelt",
}
_PER_ROW = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Shares at one threshold; NaN where there is none."""

    threshold: float
    precision: float
    recall: float
    ua: float


@dataclass(frozen=True)
class Curve:
    """One panel.

    Attributes:
        places: over the grid of thresholds.
        chosen: thresholds that validation rows chose, drawn as lines.
    """

    places: Sequence[Place]
    chosen: tuple[float, ...]


def drawn(curves: Mapping[tuple[str, str, str], Curve]) -> bytes:
    """The figure as SVG, a panel for each curve; the same numbers give the same bytes.

    Args:
        curves: labels, speech model and test -> what to draw.
    """
    columns = min(len(curves), _PER_ROW)
    lines = -(-len(curves) // columns)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(1.0 + 3.6 * columns, 0.9 + 2.8 * lines), layout="constrained")
        FigureCanvasAgg(figure)
        panels = list(figure.subplots(lines, columns, squeeze=False, sharey=True).flat)
        for panel, (key, curve) in zip(panels, curves.items(), strict=False):
            _panel(panel, curve)
            panel.set_title(", ".join(part for part in key if part))
        for panel in panels[len(curves) :]:
            panel.set_axis_off()
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside lower center", ncols=min(len(names), 2 * columns - 1), frameon=False
        )
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": "remelt"})
    return buffer.getvalue()


def _panel(panel: Any, curve: Curve) -> None:
    for value in sorted(set(curve.chosen)):
        panel.axvline(value, color="#C9D0D8", linewidth=1.2)
    for name, told, colour, line in _LINES:
        values = [getattr(place, name) for place in curve.places]
        # Between two thresholds a decision does not change until a row's probability is passed.
        panel.step(
            [place.threshold for place in curve.places], values, line, where="mid", color=colour, label=told
        )
    panel.set_ylim(0, 1.02)
    panel.set_xlim(0, curve.places[-1].threshold)
    panel.set_xlabel("threshold")
