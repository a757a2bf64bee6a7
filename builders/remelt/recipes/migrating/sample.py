"""A seeded sample of a dataset's rows, stratified by split and label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...errors import InputError
from ...records import digest


@dataclass(frozen=True)
class Stratum:
    """The rows of one split that carry one label.

    Attributes:
        rows: how many there are.
        drawn: how many of them are in the sample.
    """

    split: str
    label: str
    rows: int
    drawn: int


@dataclass(frozen=True)
class Sample:
    """What was drawn.

    Attributes:
        strata: all of them, by split and label as they come.
        places: id -> the place of its stratum, for the rows that were drawn, in the dataset's order.
    """

    strata: tuple[Stratum, ...]
    places: Mapping[str, int]

    @property
    def population(self) -> int:
        """Rows that could be drawn."""
        return sum(stratum.rows for stratum in self.strata)

    def as_dicts(self) -> list[dict[str, Any]]:
        """The allocation as JSON can hold it."""
        return [asdict(stratum) for stratum in self.strata]


def allocate(sizes: Sequence[int], wanted: int, labels: Sequence[str]) -> list[int]:
    """How many rows to draw from each stratum: in proportion, rounded by the largest remainders.

    No stratum goes without a row as long as there are as many rows to draw as strata; else no label goes
    without one, drawn where it is most frequent, as long as there are as many as labels.

    Args:
        sizes: rows of each stratum, all above 0.
        wanted: rows to draw in all; all rows where there are no more.
        labels: each stratum's label.

    Raises:
        InputError: fewer than one row is wanted.

    >>> allocate([70, 25, 5], 20, ["a", "b", "c"]), allocate([97, 2, 1], 10, ["a", "b", "c"])
    ([14, 5, 1], [8, 1, 1])
    """
    if wanted < 1:
        raise InputError(f"Bad sample {wanted!r}, expected a whole number of rows from 1")
    total = sum(sizes)
    if wanted >= total:
        return list(sizes)
    quotas = [wanted * size / total for size in sizes]
    drawn = [wanted * size // total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda n: (-(wanted * sizes[n] % total), n))
    for place in by_remainder[: wanted - sum(drawn)]:
        drawn[place] += 1
    least = _least(sizes, wanted, labels)
    for place in (n for n, one in enumerate(least) if one and not drawn[n]):
        drawn[place] = 1
        # Whoever has most above its share gives; never a row that somebody has to have.
        giver = max(
            (n for n in range(len(sizes)) if drawn[n] > least[n] and n != place),
            key=lambda n: (drawn[n] - quotas[n], drawn[n], -n),
        )
        drawn[giver] -= 1
    return drawn


def _least(sizes: Sequence[int], wanted: int, labels: Sequence[str]) -> list[int]:
    """Rows that each stratum gets at least."""
    if wanted >= len(sizes):
        return [1] * len(sizes)
    least = [0] * len(sizes)
    names = dict.fromkeys(labels)
    if wanted >= len(names):
        for name in names:
            least[max((n for n in range(len(sizes)) if labels[n] == name), key=lambda n: (sizes[n], -n))] = 1
    return least


def draw(rows: Mapping[str, tuple[str, str]], wanted: int, seed: int) -> Sample:
    """Draws rows.

    Within a stratum the rows come in an order that hangs on the seed and their ids alone: a larger sample
    with the same seed holds the smaller one wherever its strata get no fewer rows.

    Args:
        rows: id -> split and label.
        wanted: how many; all where there are no more.
        seed: another seed, other rows.

    Raises:
        InputError: there are no rows, or fewer than one is wanted.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name, stratum in rows.items():
        groups.setdefault(stratum, []).append(name)
    if not groups:
        raise InputError("There is no row with a label to draw from")
    counts = allocate([len(ids) for ids in groups.values()], wanted, [label for _, label in groups])
    chosen: dict[str, int] = {}
    for place, (ids, count) in enumerate(zip(groups.values(), counts, strict=True)):
        for name in sorted(ids, key=lambda one: digest([seed, one]))[:count]:
            chosen[name] = place
    strata = tuple(
        Stratum(split, label, len(ids), count)
        for ((split, label), ids), count in zip(groups.items(), counts, strict=True)
    )
    return Sample(strata, {name: chosen[name] for name in rows if name in chosen})
