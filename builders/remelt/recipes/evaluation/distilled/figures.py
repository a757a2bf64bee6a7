"""The figure of layer importance (de Oliveira et al. 2023, figure 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ....audit.figures import BLUE, GREY, style
from ....audit.names import clean

# From the Okabe-Ito set, which colour-blind readers can tell apart; markers tell them apart in print.
_LOOKS = ((BLUE, "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"))


def layers_figure(weights: Mapping[str, Sequence[float]], encoder: str) -> Figure:
    """One line per dimension over the layers.

    Args:
        weights: dimension -> softmax weights, layer 0 first; the same number for all.
        encoder: its name, for the title.
    """
    count = len(next(iter(weights.values())))
    with style():
        figure = Figure(figsize=(max(5.0, 1.6 + 0.36 * count), 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.axhline(1 / count, color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), label="equal weights")
        for place, (name, values) in enumerate(weights.items()):
            colour, marker = _LOOKS[place % len(_LOOKS)]
            axes.plot(range(count), values, color=colour, marker=marker, markersize=5, label=clean(name, 30))
        axes.set_xticks(range(count))
        axes.set_xlabel("layer (0: what the first layer gets)")
        axes.set_ylabel("weight")
        axes.set_ylim(bottom=0)
        axes.set_title(f"Layer importance in {clean(encoder, 40)}", fontsize=11)
        axes.grid(axis="y", color="#E4E7EB", linewidth=0.8)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
