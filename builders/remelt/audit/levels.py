"""Levels against labels: how low, mid and high pitch, loudness and rate fall on each emotion or sex.

Two questions are answered with the same table. Do the levels differ between emotions, as they should where
voices express them? And do they differ between women and men, as pitch levels over a whole corpus do, which
then say who speaks and not how?
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import InputError, bad_value
from .figures import _STYLE as STYLE
from .names import clean

LEVELS = ("low", "mid", "high")
COLOURS = {"low": "#56B4E9", "mid": "#E4E7EB", "high": "#D55E00"}
SMALL = 5.0
_COLUMNS = (
    "measure", "by", "value", "rows",
    "low", "mid", "high", "low_share", "mid_share", "high_share", "no_level",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Association:
    """How strongly a name and a level hang together.

    Attributes:
        rows: rows counted.
        v: Cramér's V, sqrt(chi2 / (rows * (min(r, c) - 1))) over the rows and columns that are not empty;
            0 for none, 1 for full dependence. It is never negative, so it is above 0 by chance too.
        expected_v: what V would be about if nothing hung together, sqrt((r - 1)(c - 1) / (rows *
            (min(r, c) - 1))); a V near it says nothing.
        corrected_v: V with that bias taken off (Bergsma 2013); None with fewer than three rows.
        chi2, dof, p: Pearson's test without Yates' correction. It takes the rows to be independent; clips
            of one speaker are not, so p is too small; it is None without scipy.
        sparse: cells with fewer than five rows expected, where the test is unsure.
    """

    rows: int
    v: float
    expected_v: float
    corrected_v: float | None
    chi2: float
    dof: int
    p: float | None
    sparse: int


@dataclass(frozen=True, slots=True)
class Crossing:
    """Counts of levels by name.

    Attributes:
        names: emotions, sexes, or what else the rows were told apart by, in order.
        counts: per name its rows with low, mid and high level.
        without: per name its rows without a level.
        unnamed: rows without a name, which are in no count.
    """

    names: tuple[str, ...]
    counts: tuple[tuple[int, int, int], ...]
    without: tuple[int, ...]
    unnamed: int = 0

    @property
    def rows(self) -> int:
        """Rows that carry both a name and a level."""
        return sum(sum(row) for row in self.counts)

    @property
    def total(self) -> tuple[int, int, int]:
        """Rows per level, all names together."""
        low, mid, high = (sum(row[k] for row in self.counts) for k in range(3))
        return low, mid, high

    @property
    def association(self) -> Association | None:
        """None where there are not two names and two levels to compare."""
        return association(self.counts)

    def as_dict(self) -> dict[str, Any]:
        """The table as JSON: per name its counts and shares, then the association."""
        found = self.association
        return {
            "rows": self.rows,
            "unnamed": self.unnamed,
            "names": [
                {"name": name, **_row(counts), "no_level": without}
                for name, counts, without in zip(self.names, self.counts, self.without, strict=True)
            ],
            "all": {**_row(self.total), "no_level": sum(self.without)},
            "association": None if found is None else asdict(found),
        }


def cross(names: Iterable[str | None], levels: Iterable[str | None]) -> Crossing:
    """Counts levels by name.

    Args:
        names: one per row; None or empty where the row has none.
        levels: one per row: low, mid, high, or None.

    Raises:
        InputError: a level of another name.

    >>> cross(["joy", "joy", "anger", None], ["high", None, "low", "mid"])
    Crossing(names=('anger', 'joy'), counts=((1, 0, 0), (0, 0, 1)), without=(0, 1), unnamed=1)
    """
    counts: dict[str, list[int]] = {}
    unnamed = 0
    for name, level in zip(names, levels, strict=True):
        if not name:
            unnamed += 1
            continue
        if level is not None and level not in LEVELS:
            raise InputError(bad_value("level", level, LEVELS))
        row = counts.setdefault(name, [0, 0, 0, 0])
        row[3 if level is None else LEVELS.index(level)] += 1
    ordered = sorted(counts)
    return Crossing(
        tuple(ordered),
        tuple((counts[n][0], counts[n][1], counts[n][2]) for n in ordered),
        tuple(counts[n][3] for n in ordered),
        unnamed,
    )


def association(counts: Sequence[Sequence[int]]) -> Association | None:
    """Cramér's V and Pearson's chi-square test of a table of counts; empty rows and columns are left out.

    Returns:
        None where fewer than two rows or two columns hold anything: V is then 0 / 0.
    """
    table = np.array([row for row in counts if sum(row)], dtype=np.float64)
    if table.size:
        table = table[:, table.sum(axis=0) > 0]
    if table.ndim != 2 or min(table.shape) < 2:
        return None
    rows, columns = table.shape
    n, dof, least = float(table.sum()), (rows - 1) * (columns - 1), min(rows, columns) - 1
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    chi2 = float(((table - expected) ** 2 / expected).sum())
    return Association(
        rows=int(n),
        v=float(np.sqrt(chi2 / (n * least))),
        expected_v=float(np.sqrt(dof / (n * least))),
        corrected_v=_corrected(chi2 / n, n, rows, columns),
        chi2=chi2,
        dof=dof,
        p=_p_value(chi2, dof),
        sparse=int((expected < SMALL).sum()),
    )


def _corrected(phi2: float, n: float, rows: int, columns: int) -> float | None:
    """Bergsma (2013), A bias-correction for Cramér's V and Tschuprow's T, equations 5 to 7."""
    if n < 3:
        return None
    excess = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    sizes = [k - (k - 1) ** 2 / (n - 1) for k in (rows, columns)]
    least = min(sizes) - 1
    return float(np.sqrt(excess / least)) if least > 0 else None


def _p_value(chi2: float, dof: int) -> float | None:
    """None where scipy, which only the extra `voice` brings, is not installed: an audit needs no extra."""
    try:
        from scipy.special import chdtrc
    except ModuleNotFoundError:
        return None
    return float(chdtrc(dof, chi2))


def csv_bytes(crossings: Mapping[tuple[str, str], Crossing]) -> bytes:
    """The tables as one CSV file, UTF-8.

    Args:
        crossings: (measure, what the rows are told apart by) -> its table, such as ("pitch", "label").
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for (measure, by), table in crossings.items():
        for name, counts, without in (
            *zip(table.names, table.counts, table.without, strict=True),
            ("all", table.total, sum(table.without)),
        ):
            row = _row(counts)
            shares = ["" if row[f"{k}_share"] is None else f"{row[f'{k}_share']:.6f}" for k in LEVELS]
            writer.writerow([measure, by, name, row["rows"], *counts, *shares, without])
    return text.getvalue().encode("utf-8")


def levels_figure(crossings: Mapping[str, Crossing], title: str) -> Figure | None:
    """Bars of the shares of low, mid and high, one panel a measure, one bar a name; `all` comes last.

    Args:
        crossings: panel title -> its table; all over the same names.
        title: over the whole figure.

    Returns:
        None where no row has both a name and a level.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    names = sorted({name for table in crossings.values() for name in table.names})
    if not any(table.rows for table in crossings.values()):
        return None
    longest = max(len(clean(name, 18)) for name in [*names, "all"])
    left, right, gap, wide = 0.35 + 0.085 * longest, 0.45, 0.75, 3.1
    high, bottom, top = 0.36 * (len(names) + 1) + 0.15, 0.85, 1.0
    width = left + right + len(crossings) * wide + (len(crossings) - 1) * gap
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, high + bottom + top))
        FigureCanvasAgg(figure)
        for place, (panel, table) in enumerate(crossings.items()):
            box = (left + place * (wide + gap), bottom, wide, high)
            axes = figure.add_axes(_share_of(box, width, high + bottom + top))
            _bars(axes, table, names, labelled=place == 0)
            axes.set_title(f"{panel}\n{_strength(table)}", fontsize=10)
        handles, texts = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            handles, texts, loc="lower left", ncols=3, frameon=False, fontsize=9,
            bbox_to_anchor=((left - 0.1) / width, 0.0),
        )  # fmt: skip
        figure.text(0.12 / width, 1 - 0.14 / (high + bottom + top), title, fontsize=12, va="top")
    return figure


def _bars(axes: Axes, table: Crossing, names: Sequence[str], labelled: bool) -> None:
    known = dict(zip(table.names, table.counts, strict=True))
    rows = [known.get(name, (0, 0, 0)) for name in names] + [table.total]
    places = np.arange(len(rows)) + np.array([0.0] * len(names) + [0.12])
    counts = np.array(rows, dtype=np.float64)
    sums = counts.sum(axis=1)
    shares = 100 * counts / np.maximum(sums, 1)[:, None]
    begin = np.zeros(len(rows))
    for k, level in enumerate(LEVELS):
        axes.barh(places, shares[:, k], left=begin, height=0.72, color=COLOURS[level], label=level,
                  edgecolor="white", linewidth=1)  # fmt: skip
        for place, start, share in zip(places, begin, shares[:, k], strict=True):
            if share >= 9:
                # Halves go up: 12.5 and 62.5 would else be 12 and 62, 37.5 would be 38.
                text = f"{int(share + 0.5)}"
                axes.text(start + share / 2, place, text, ha="center", va="center", fontsize=8)
        begin = begin + shares[:, k]
    for place, total in zip(places, sums, strict=True):
        axes.annotate(f"{total:,.0f}", (100, place), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=8, color="#52606D")  # fmt: skip
    axes.set_yticks(places, [clean(n, 18) for n in names] + ["all"] if labelled else [""] * len(rows))
    axes.set_ylim(len(rows) - 0.35, -0.5)
    axes.set_xlim(0, 100)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("rows, %  (right: number of rows)", fontsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _strength(table: Crossing) -> str:
    found = table.association
    if found is None:
        return "nothing to compare"
    return f"Cramér's V {found.v:.3f} (by chance about {found.expected_v:.3f})"


def _share_of(box: tuple[float, float, float, float], width: float, height: float) -> Any:
    return (box[0] / width, box[1] / height, box[2] / width, box[3] / height)


def _row(counts: Sequence[int]) -> dict[str, Any]:
    total = sum(counts)
    shares = {f"{k}_share": c / total if total else None for k, c in zip(LEVELS, counts, strict=True)}
    return {"rows": total, **dict(zip(LEVELS, counts, strict=True)), **shares}
