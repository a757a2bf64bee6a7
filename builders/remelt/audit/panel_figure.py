"""The figure of several annotators: each one and the label, with intervals, beside guessing."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .agreement_scores import Score
from .descriptions import OVERALL
from .figures import BLUE, INK, style
from .names import clean
from .panel import Panel

ORANGE = "#D55E00"
MOST = 25
WIDTH = 3.1
_TITLES = {"accuracy": "Accuracy", "uar": "UAR", "kappa": "Cohen's kappa"}


def panel_figure(panel: Panel) -> Figure | None:
    """Accuracy, UAR and kappa against the original label; None where nothing can be compared."""
    shown = [(found.source.name, found.scores[OVERALL]) for found in panel.sources][:MOST]
    rows = [*shown, ("label", panel.resolved[OVERALL])]
    if not any(score.rows for _, score in rows):
        return None
    names = [f"{clean(name, 30)}  ({score.rows:,})" for name, score in rows]
    base = panel.baseline[OVERALL]
    guesses = {"accuracy": base.accuracy, "uar": base.uar, "kappa": 0.0}
    left, gap, right, bottom, top = 0.4 + 0.083 * max(map(len, names)), 0.3, 0.3, 0.75, 0.8
    width = left + 3 * WIDTH + 2 * gap + right
    height = bottom + top + 0.3 * len(rows) + 0.25
    with style():
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        for place, (measure, title) in enumerate(_TITLES.items()):
            box = (
                (left + place * (WIDTH + gap)) / width,
                bottom / height,
                WIDTH / width,
                1 - (bottom + top) / height,
            )
            axes = figure.add_axes(box)
            _dots(axes, rows, measure, guesses[measure])
            axes.set_yticks(np.arange(len(rows)), names if place == 0 else [""] * len(rows))
            axes.set_title(title, fontsize=10, pad=6)
        more = f" ({MOST} of {len(panel.sources)})" if len(panel.sources) > MOST else ""
        figure.text(
            0.12 / width, 1 - 0.12 / height, f"Annotators{more} and label against the original label",
            fontsize=12, va="top",
        )  # fmt: skip
        figure.text(
            left / width, 0.1 / height,
            "bar: 95 % bootstrap interval; dashed: guessing (commonest label, chance over labels, 0)",
            fontsize=8, color="#52606D",
        )  # fmt: skip
    return figure


def _dots(axes: Axes, rows: list[tuple[str, Score]], measure: str, guess: float | None) -> None:
    if guess is not None:
        axes.axvline(guess, color="#7B8794", linewidth=1.2, linestyle=(0, (4, 3)))
    for place, (_, score) in enumerate(rows):
        value = getattr(score, measure)
        if value.value is None:
            continue
        ends = (
            value.value if value.low is None else value.low,
            value.value if value.high is None else value.high,
        )
        last = place == len(rows) - 1
        axes.errorbar(
            [value.value], [place],
            xerr=[[max(value.value - ends[0], 0)], [max(ends[1] - value.value, 0)]],
            fmt="D" if last else "o", color=ORANGE if last else BLUE, markersize=5,
        )  # fmt: skip
        axes.annotate(
            f"{value.value:.3f}", (value.value, place), xytext=(0, 5), textcoords="offset points",
            ha="center", fontsize=7, color=INK,
        )  # fmt: skip
    axes.set_ylim(len(rows) - 0.5, -0.65)
    axes.set_xlim(min(0.0, *(getattr(s, measure).low or 0.0 for _, s in rows)) - 0.02, 1.02)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#E4E7EB", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
