"""Prints what an audit found about the sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.table import Table as Grid

from .descriptions import OVERALL, Descriptions, Dimension, Value
from .lexicon import LEVELS
from .names import clean, number
from .sound import Sound

MOST_UNKNOWN = 8
MakeGrid = Callable[..., Grid]


def sound_grids(sound: Sound, make: MakeGrid) -> Iterator[Grid]:
    """The tables: levels by label, scores of the words, confusion of all splits.

    Args:
        sound: what was found.
        make: makes an empty grid from a title and column names.
    """
    labelled = {measure: found for (measure, by), found in sound.crossings.items() if by == "label"}
    if labelled:
        grid = make(
            "Measured levels by label (low / mid / high, % of the label's rows)",
            "label",
            *map(plain, labelled),
        )
        for name in sorted({name for found in labelled.values() for name in found.names}):
            cells = []
            for found in labelled.values():
                counts = dict(zip(found.names, found.counts, strict=True)).get(name, (0, 0, 0))
                total = sum(counts)
                cells.append(" / ".join(f"{100 * c / total:.0f}" for c in counts) if total else "–")
            grid.add_row(clean(name, 20), *cells)
        for by, title in (("label", "Cramér's V"), ("original_label", "  of the label before")):
            strengths = (sound.crossings[measure, by].association for measure in labelled)
            grid.add_row(title, *("–" if a is None else f"{a.v:.3f}" for a in strengths))
        yield grid
    if sound.descriptions is not None:
        yield _scores(sound.descriptions, make)
        for dimension in sound.descriptions.dimensions:
            yield _confusion(dimension, make)


def sound_lines(found: Descriptions) -> Iterator[str]:
    """What the lexicon could not read, per dimension, and the published values' source."""
    for dimension in found.dimensions:
        everything = dimension.coverage[OVERALL]
        share = everything.known_share
        read = "none" if share is None else f"{100 * share:.1f} %"
        yield (
            f"{dimension.name}: the lexicon (version {found.lexicon_version}) reads {read} of "
            f"{everything.rows - everything.unmeasured:,} measured descriptions; "
            f"{everything.unknown:,} unknown, {everything.empty:,} empty, "
            f"{everything.unmeasured:,} rows not measured; "
            f"{len(dimension.disagreements):,} rows at opposite ends"
        )
        if everything.unknown or everything.empty:
            yield (
                f"{dimension.name}, with the unread ones counted too: as misses "
                f"UAR {number(everything.as_wrong_uar, 3)}, ACC {number(everything.as_wrong_acc, 3)}; "
                f"as mid UAR {number(everything.as_mid_uar, 3)}, ACC {number(everything.as_mid_acc, 3)}"
            )
        if dimension.unknown:
            words = ", ".join(f"{clean(w, 40)!r} ({n:,})" for w, n in dimension.unknown[:MOST_UNKNOWN])
            yield f"{dimension.name}, commonest unknown: {words}"
    if any(d.published for d in found.dimensions):
        yield f"Below the scores 95 % bootstrap intervals; published: {found.source}, on other data."


def plain(column: str) -> str:
    """`pitch` for `pitch_level`."""
    return column.removesuffix("_level")


def _scores(found: Descriptions, make: MakeGrid) -> Grid:
    grid = make(
        "Words against sound (described level against the measured one)",
        *("dimension", "split", "rows", "UAR", "ACC", "F1"),
    )
    for dimension in found.dimensions:
        several = len(dimension.scores) > 2
        for split, scores in dimension.scores.items():
            if not several and split == OVERALL:
                continue
            name = clean(split, 20)
            values = (_value(v) for v in (scores.uar, scores.acc, scores.f1))
            grid.add_row(dimension.name, name, f"{scores.rows:,}", *values)
            chance = (number(scores.chance_uar, 3), number(scores.majority_acc, 3))
            grid.add_row("", "  by chance", "", *chance, "", style="dim")
            paper = dimension.published.get(split)
            if paper is not None:
                published = (f"{paper[k]:.4f}" for k in ("uar", "acc", "f1"))
                grid.add_row("", "  published", "", *published, style="dim")
    return grid


def _confusion(dimension: Dimension, make: MakeGrid) -> Grid:
    scores = dimension.scores[OVERALL]
    grid = make(f"{dimension.name}: described (down) against measured (across)", "described", *LEVELS)
    for name, counts in zip(LEVELS, scores.counts, strict=True):
        grid.add_row(name, *(f"{count:,}" for count in counts))
    return grid


def _value(value: Value) -> str:
    if value.value is None:
        return "–"
    return f"{value.value:.3f}\n{value.low or 0:.3f} to {value.high or 0:.3f}"
