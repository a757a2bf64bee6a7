"""The figure of a preference test: for each emotion, how often either label was chosen.

As Figure 3 of MELT (Jing et al. 2025): stacked horizontal bars, here with the 95 % Wilson interval as a
whisker at the border, once by the second source's label and once by the first's.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .report import Preference, Share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _WIDTH, _NUMBERS = 0.42, 4.4, 1.3
_SKY = "#56B4E9"


def preference_figure(found: Preference) -> dict[str, bytes]:
    """The figure as `svg` and `png`, always the same bytes for the same numbers."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    from ...audit.figures import GREY, figure_bytes, style

    panels = ((found.sources[1], found.by_second), (found.sources[0], found.by_first))
    labels = ["", *sorted({share.counts.label for _, shares in panels for share in shares})]
    side = 0.5 + 0.085 * max(len(_short(label)) for label in (*labels, "all"))
    height, top, bottom = _ROW * len(labels) + 0.2, 1.0, 1.05
    width, full = 2 * (side + _WIDTH + _NUMBERS), height + top + bottom
    with style():
        figure = Figure(figsize=(width, full))
        FigureCanvasAgg(figure)
        for place, (source, shares) in enumerate(panels):
            left = side + place * (side + _WIDTH + _NUMBERS)
            axes = figure.add_axes((left / width, bottom / full, _WIDTH / width, height / full))
            _panel(axes, labels, [found.overall, *shares], f"By {_short(source)}")
        handles = [Patch(color=_SKY), Patch(color=GREY)]
        names = [f"{_short(name)} preferred" for name in reversed(found.sources)]
        place_of = (0.2 / width, 1 - 0.12 / full)
        figure.legend(handles, names, loc="upper left", bbox_to_anchor=place_of, ncols=2, frameon=False)
        if found.paper:
            text = textwrap.fill(found.paper, int(13 * width))
            figure.text(0.3 / width, 0.12 / full, text, fontsize=8, va="bottom")
    return figure_bytes(figure)


def _short(name: str) -> str:
    from ...audit.names import clean

    return clean(name, 30)


def _panel(axes: Axes, labels: Sequence[str], shares: Sequence[Share], title: str) -> None:
    """One bar per label; the label without a name is all of them together."""
    from ...audit.figures import GREY, INK

    rows = [(labels.index(share.counts.label), share) for share in shares]
    known = [(place, share.rate) for place, share in rows if share.rate.rate is not None]
    places = [place for place, _ in known]
    parts = [100 * (rate.rate or 0) for _, rate in known]
    rest = [100 - part for part in parts]
    axes.barh(places, parts, height=0.66, color=_SKY)
    axes.barh(places, rest, left=parts, height=0.66, color=GREY)
    low = [max(part - 100 * (rate.low or 0), 0) for part, (_, rate) in zip(parts, known, strict=True)]
    high = [max(100 * (rate.high or 0) - part, 0) for part, (_, rate) in zip(parts, known, strict=True)]
    axes.errorbar(parts, places, xerr=[low, high], fmt="none", ecolor=INK, elinewidth=1.3, capsize=3)
    for place, share in rows:
        same = f", {share.counts.same} same" if share.counts.same else ""
        axes.annotate(
            f"{share.counts.second} : {share.counts.first}{same}",
            (100, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    axes.axvline(50, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(labels)), [_short(label) or "all" for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("judgements that chose one of the two, % (whisker: 95 % Wilson interval)", fontsize=8)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_title(title, fontsize=11)
