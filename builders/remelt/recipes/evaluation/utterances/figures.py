"""The weights of an encoder's layers as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_HEIGHT, _WIDTH = 3.2, 7.0


def layer_figure(weights: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, bytes]:
    """A panel for each encoder, a line for each model.

    Args:
        weights: encoder -> name of a line -> weight of each layer.

    Returns:
        The figure as `svg` and `png`, the same bytes for the same numbers.
    """
    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib.figure import Figure

    from ....audit.figures import figure_bytes, style
    from ....audit.names import clean

    with style():
        figure = Figure(figsize=(_WIDTH, _HEIGHT * max(1, len(weights))), layout="constrained")
        panels = figure.subplots(max(1, len(weights)), 1, squeeze=False)[:, 0]
        for axes, (encoder, lines) in zip(panels, weights.items(), strict=False):
            _panel(axes, lines)
            axes.set_title(clean(encoder, 60))
    return figure_bytes(figure)


def _panel(axes: Axes, lines: Mapping[str, Sequence[float]]) -> None:
    from ....audit.names import clean

    longest = 0
    for number, (name, values) in enumerate(lines.items()):
        look: dict[str, Any] = {
            "color": _COLOURS[number % len(_COLOURS)],
            "marker": _MARKERS[number % len(_MARKERS)],
        }
        longest = max(longest, len(values))
        axes.plot(range(len(values)), list(values), label=clean(name, 40), markersize=5, **look)
    if longest:
        axes.axhline(1 / longest, color="#9AA5B1", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xticks(range(0, longest, 1 if longest <= 13 else 2))
    axes.set_xlabel("Layer (0: input of the first one; dashed: all alike)")
    axes.set_ylabel("Weight")
    axes.legend(frameon=False, fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
