"""The figure of a training."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# From the Okabe-Ito set, which colour-blind readers can tell apart.
_TRAINING, _VALIDATION, _MARK = "#0072B2", "#D55E00", "#6B7785"
_STYLE: Any = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "remelt",
}
_NAMES = {
    "uar": "UAR",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "ccc": "CCC",
    "loss": "loss",
}


def curves(history: Sequence[Mapping[str, float]], monitor: str, kept: int, kind: str = "svg") -> bytes:
    """Loss over epochs, and what was monitored; the same numbers give the same bytes.

    Args:
        history: as in `Fitted`.
        monitor: what is drawn on the right where there are validation rows.
        kept: the epoch whose weights are tested, marked by a line.
        kind: `svg` or `png`.
    """
    watched = [name for name in dict.fromkeys((monitor,)) if name != "loss" and name in history[0]]
    with matplotlib.rc_context(_STYLE):
        width = 4.6 * (1 + len(watched))
        figure = Figure(figsize=(width, 3.2))
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, 1 + len(watched), squeeze=False)[0]
        figure.subplots_adjust(left=0.6 / width, right=1 - 0.1 / width, bottom=0.17, top=0.9, wspace=0.22)
        _line(panels[0], history, "train_loss", _TRAINING, "training")
        _line(panels[0], history, "loss", _VALIDATION, "validation")
        panels[0].set_title("Loss")
        for axes, name in zip(panels[1:], watched, strict=True):
            _line(axes, history, name, _VALIDATION, "validation")
            axes.set_title(f"{_NAMES.get(name, name)} of validation rows")
        for place, axes in enumerate(panels):
            axes.axvline(kept, color=_MARK, linewidth=1, linestyle=":", label=f"kept: epoch {kept}")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="y", color="#E3E7EB", linewidth=0.8)
            axes.set_axisbelow(True)
            if place == 0:
                axes.legend(frameon=False, fontsize=9)
        buffer = io.BytesIO()
        metadata = {"Date": None, "Creator": "remelt"} if kind == "svg" else {"Software": "remelt"}
        figure.savefig(buffer, format=kind, dpi=150, metadata=metadata)
    return buffer.getvalue()


def _line(axes: Axes, history: Sequence[Mapping[str, float]], name: str, colour: str, label: str) -> None:
    points = [(entry["epoch"], entry[name]) for entry in history if math.isfinite(entry.get(name, math.nan))]
    if points:
        # A single epoch is a point, which a line alone does not show.
        marker = "o" if len(points) < 30 else None
        axes.plot(*zip(*points, strict=True), color=colour, label=label, marker=marker, markersize=3)
