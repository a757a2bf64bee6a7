"""Who judges what: items in a fair order, fewest judgements first, sides by lot.

Everything that is drawn comes from sha256 over the seed and the names drawn for, so it is the same on every
machine and after every restart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


class Counts(Protocol):
    """How often each item was judged."""

    def __getitem__(self, item: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """How judgements are spread.

    Attributes:
        raters_per_item: an item that so many raters have judged is not given out any more; None for no limit.
        seed: of the order and of the sides.
    """

    raters_per_item: int | None = None
    seed: int = 0


def drawn(*names: object) -> bytes:
    """32 bytes that stand for these names."""
    return hashlib.sha256("\0".join(str(name) for name in names).encode("utf-8", "surrogatepass")).digest()


def draw(items: Sequence[T], keys: Sequence[str], number: int | None, seed: int) -> list[T]:
    """So many of the items by lot; a larger number with the same seed holds the smaller one's items.

    Args:
        items: what to draw from.
        keys: one per item, all different.
        number: None for all.
        seed: of the lot.
    """
    order = sorted(range(len(items)), key=lambda place: drawn("item", seed, keys[place]))
    return [items[place] for place in (order if number is None else order[:number])]


def first_on_left(rater: str, item: str, seed: int) -> bool:
    """On which side this rater sees the first label of this item."""
    return bool(drawn("side", seed, rater.casefold(), item)[0] & 1)


def open_items(items: Iterable[str], judged: Iterable[str], counts: Counts, wanted: Wanted) -> list[str]:
    """The items that this rater may still get."""
    done = set(judged)
    limit = wanted.raters_per_item
    return [item for item in items if item not in done and (limit is None or counts[item] < limit)]


def choose(
    rater: str, opened: Sequence[str], counts: Counts, held: Mapping[str, int], wanted: Wanted
) -> str | None:
    """The next item for a rater: one with the fewest judgements, among these by lot.

    Args:
        rater: who asks; each has an order of their own.
        opened: the items that this rater may get (see `open_items`).
        counts: judgements of each item.
        held: how many other raters look at an item just now. It counts as judged as long as there is
            another one, so that nobody does work that a neighbour is doing.
        wanted: limit and seed.

    Returns:
        None where nothing is left.
    """
    limit = wanted.raters_per_item
    load = {item: counts[item] + held.get(item, 0) for item in opened}
    free = [item for item in opened if limit is None or load[item] < limit] or opened
    least = min((load[item] for item in free), default=0)
    rarest = [item for item in free if load[item] == least]
    return min(rarest, key=lambda item: drawn("order", wanted.seed, rater, item), default=None)
