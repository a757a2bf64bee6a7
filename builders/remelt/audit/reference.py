"""The published tables of a relabelled corpus beside our own numbers, differences marked.

The values stand in `reference.yaml`: as printed in the paper, and as its released files give them where
these differ from print.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import add
from pathlib import Path
from typing import Any, Literal

from .build_info import BuildInfo, LeftOut
from .matrix import ChangeMatrix
from .tally import Tally

Verdict = Literal["same", "recomputed", "differs", "missing"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One published value beside ours.

    Attributes:
        side: `melt` for the relabelled rows with their new labels, `meld` for the original: in Table 1 the
            whole split of the corpus, in Table 2 the same rows with their original labels.
        quantity: `utterances`, `speakers`, `mean_seconds`, a label, or `change_percent`.
        recomputed: what the released files give, where that differs from print.
        ours: None where this dataset has nothing to compare.
        difference: ours minus published.
        verdict: `same` as published; `recomputed`, equal to a value of the released files instead;
            `differs`; or `missing`.
    """

    table: str
    split: str
    side: str
    quantity: str
    decimals: int
    published: float
    recomputed: tuple[float, ...]
    ours: float | None
    difference: float | None
    verdict: Verdict
    note: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "split": self.split,
            "side": self.side,
            "quantity": self.quantity,
            "published": self.published,
            "recomputed": list(self.recomputed),
            "ours": self.ours,
            "difference": self.difference,
            "verdict": self.verdict,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Reference:
    """All published values that this dataset can be held against."""

    source: str
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]

    @property
    def summary(self) -> dict[str, int]:
        """How many comparisons there are of each verdict."""
        counts = Counter(c.verdict for c in self.comparisons)
        return {v: counts.get(v, 0) for v in ("same", "recomputed", "differs", "missing")}

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "summary": self.summary,
            "comparisons": [c.as_dict() for c in self.comparisons],
            "notes": list(self.notes),
        }


@lru_cache(maxsize=1)
def published() -> Mapping[str, Any]:
    """The content of `reference.yaml`."""
    import yaml

    text = (Path(__file__).parent / "reference.yaml").read_text(encoding="utf-8")
    content: Mapping[str, Any] = yaml.safe_load(text)
    return content


def compare(
    labels: tuple[str, ...], splits: Mapping[str, Tally], build: BuildInfo | None
) -> Reference | None:
    """The comparison for a dataset of the published recipe and corpus; None for any other one.

    Args:
        labels: all labels, in the order of the counts.
        splits: what was counted of each split.
        build: what the dataset folder says of its making.
    """
    content = published()
    if build is None:
        return None
    if build.get("recipe") != content["recipe"] or build.get("corpus", "name") != content["corpus"]:
        return None
    found: list[Comparison] = []
    for entry in content["tables"]:
        split = str(entry["split"])
        if split not in splits:
            continue
        rest = build.left_out.get(split, LeftOut()) if build.has_dropped else None
        for side in ("melt", "meld"):
            ours = _ours(labels, splits[split], rest, side)
            for quantity, value in entry[side].items():
                decimals = int(entry["decimals"].get(quantity, 0))
                found.append(_comparison((str(entry["name"]), split, side, quantity), value, decimals, ours))
    notes = tuple(str(n) for n in content["notes"])
    return Reference(str(content["source"]), tuple(found), notes) if found else None


def _ours(labels: tuple[str, ...], tally: Tally, rest: LeftOut | None, side: str) -> dict[str, float]:
    """Our values of one split; without its dropped rows the whole split cannot be counted."""
    matrix = ChangeMatrix(labels, tally.cells)
    counts = matrix.after if side == "melt" else matrix.before
    found: dict[str, float] = dict(zip(labels, counts.tolist(), strict=True))
    if matrix.total:
        found["change_percent"] = 100 * matrix.change.count / matrix.total
    speakers, seconds, timed, size = set(tally.speakers), tally.seconds, tally.timed, tally.rows
    if side == "meld":
        if rest is None:
            return found
        speakers |= {name for name in rest.speakers if name}
        seconds, timed = reduce(add, rest.seconds, seconds), timed + len(rest.seconds)
        size += rest.rows
    found["utterances"] = size
    found["speakers"] = len(speakers)
    if timed:
        found["mean_seconds"] = seconds / timed
    return found


def _comparison(
    place: tuple[str, str, str, str], value: Mapping[str, Any], decimals: int, ours: Mapping[str, float]
) -> Comparison:
    table, split, side, quantity = place
    printed = value["published"]
    recomputed = tuple(value.get("recomputed", ()))
    own = ours.get(quantity)
    own = None if own is None else round(own, decimals + 2)
    verdict: Verdict = "differs"
    if own is None:
        verdict = "missing"
    elif _equal(own, printed, decimals):
        verdict = "same"
    elif any(_equal(own, other, decimals) for other in recomputed):
        verdict = "recomputed"
    return Comparison(
        table=table,
        split=split,
        side=side,
        quantity=quantity,
        decimals=decimals,
        published=printed,
        recomputed=recomputed,
        ours=own,
        difference=None if own is None else round(own - printed, decimals + 2),
        verdict=verdict,
        note=str(value.get("note", "")),
    )


def _equal(own: float, other: float, decimals: int) -> bool:
    """Whether our value rounds to the printed one."""
    return abs(own - other) <= 0.5 * 10**-decimals + 1e-9 if decimals else own == other
