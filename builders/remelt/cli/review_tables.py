"""Prints what came of a review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..audit.agreement import Agreement
    from ..audit.matrix import Rate
    from ..recipes.reviewing.report import Against, Labels, Preference, ReviewReport, Share
    from ..review.tallies import RaterCount

_COEFFICIENTS = {
    "percent_agreement": "agreement",
    "fleiss_kappa": "Fleiss' kappa",
    "krippendorff_alpha": "Krippendorff's alpha",
}


def show(found: ReviewReport, console: Console) -> None:
    """Prints every part of a report."""
    for preference in found.preferences:
        _preference(preference, console)
    for labels in found.labels:
        _labels(labels, console)
    past = found.history
    console.print(
        f"{past.rows:,} rows in the store: {len(found.judgements):,} judgements count, "
        f"{past.changed:,} were changed, {past.withdrawn:,} taken back."
    )


def _table(title: str, columns: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    return table


def _preference(found: Preference, console: Console) -> None:
    from ..recipes.reviewing.report import CAVEAT

    first, second = found.sources
    console.print(f"Preference: {second!r} against {first!r}, {found.items:,} items")
    columns = ("", f"{second} %", "95 % interval", second, first, "same", "skip", "items %", "95 % interval")
    for source, shares in ((second, found.by_second), (first, found.by_first)):
        table = _table(f"Preferred {second!r} to {first!r}, by what {source!r} says", columns)
        for share in shares:
            _share_row(table, share.counts.label, share)
        table.add_section()
        _share_row(table, "all", found.overall)
        console.print(table)
    if found.repeated:
        console.print(CAVEAT)
    console.print(f"The label on the left was chosen in {_percent(found.left)} % ({_interval(found.left)}).")
    console.print(_raters(found.raters, {"first": first, "second": second}))
    _agreement(found.agreement, console)
    if found.paper:
        console.print(found.paper)


def _share_row(table: Table, label: str, share: Share) -> None:
    counts = share.counts
    numbers = (counts.second, counts.first, counts.same, counts.skip)
    table.add_row(
        label,
        _percent(share.rate),
        _interval(share.rate),
        *(f"{n:,}" for n in numbers),
        _percent(share.items),
        _interval(share.items),
    )


def _labels(found: Labels, console: Console) -> None:
    console.print(f"Labels: {found.items:,} items")
    console.print(", ".join(f"{label} {count:,}" for label, count in found.counts.items()) or "no label")
    console.print(_raters(found.raters, {}))
    table = _table("Equal to a source's label", ("", "source", "%", "95 % interval", "kappa", "labels"))
    for rater, sources in [*found.against.items(), ("all", found.overall)]:
        for source, against in sources.items():
            table.add_row(rater, source, *_against(against))
    console.print(table)
    _agreement(found.agreement, console)


def _against(found: Against) -> tuple[str, ...]:
    kappa = "–" if found.kappa is None else f"{found.kappa:.3f}"
    return _percent(found.agreement), _interval(found.agreement), kappa, f"{found.agreement.total:,}"


def _raters(raters: Sequence[RaterCount], names: Mapping[str, str]) -> Table:
    choices = list(raters[0].counts) if raters else []
    sure = any(rater.mean_confidence is not None for rater in raters)
    shown_choices = (names.get(choice, choice) for choice in choices)
    columns = ("", *shown_choices, "median seconds", *(["mean confidence"] if sure else []))
    table = _table("Raters", columns)
    for rater in raters:
        means = [rater.median_seconds, *([rater.mean_confidence] if sure else [])]
        shown = ("–" if value is None else f"{value:.1f}" for value in means)
        table.add_row(rater.rater, *(f"{count:,}" for count in rater.counts.values()), *shown)
    return table


def _agreement(found: Agreement | None, console: Console) -> None:
    if found is None:
        console.print("No item was judged by two raters: nothing is known of their agreement.")
        return
    parts = []
    for name, title in _COEFFICIENTS.items():
        value = found.coefficients[name]
        if value.value is not None:
            between = "" if value.low is None else f" ({value.low:.3f} to {value.high or 0:.3f})"
            parts.append(f"{title} {value.value:.3f}{between}")
    console.print(f"Agreement of raters on {found.usable:,} items with two or more: {', '.join(parts)}.")


def _percent(rate: Rate) -> str:
    return "–" if rate.rate is None else f"{100 * rate.rate:.1f}"


def _interval(rate: Rate) -> str:
    if rate.low is None or rate.high is None:
        return "–"
    return f"{100 * rate.low:.1f} to {100 * rate.high:.1f}"
