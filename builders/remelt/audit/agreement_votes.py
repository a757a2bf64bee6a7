"""Who said what of which item, as arrays: the table that every measure of agreement is computed from."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import InputError, bad_value

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NONE, TIE = -1, -2


@dataclass(frozen=True, eq=False)
class VoteTable:
    """Votes in long form; an item that somebody did not judge has no entry of theirs.

    Attributes:
        items: names of all items, also of those without votes.
        labels: names of the categories; for ordinal measures from low to high.
        raters: names; empty where nobody knows who voted, so that raters can only be exchanged for each
            other.
        item, label, rater: int64, shape (votes,): places in the names; `rater` is -1 where unknown.
    """

    items: tuple[str, ...]
    labels: tuple[str, ...]
    raters: tuple[str, ...]
    item: Ints
    label: Ints
    rater: Ints

    def __len__(self) -> int:
        return int(self.item.size)

    @property
    def named(self) -> bool:
        """Whether it is known who voted."""
        return bool(self.raters)

    @cached_property
    def counts(self) -> Ints:
        """How many chose each label, shape (items, labels)."""
        size = (len(self.items), len(self.labels))
        return count_cells(self.item, self.label, size)

    def decided(self) -> Ints:
        """Per item the label that most chose; -1 without votes, -2 where several lead, shape (items,)."""
        return leading(self.counts)


def count_cells(rows: Ints, columns: Ints, size: tuple[int, int]) -> Ints:
    """A table of counts of pairs of places, shape `size`."""
    cells = np.bincount(rows * size[1] + columns, minlength=size[0] * size[1])
    return cells.reshape(size).astype(np.int64)


def leading(counts: Ints) -> Ints:
    """The place of each row's only largest count; -1 for a row of zeros, -2 where several are largest.

    >>> leading(np.array([[3, 1], [2, 2], [0, 0]])).tolist()
    [0, -2, -1]
    """
    if not counts.size:
        return np.full(len(counts), NONE, dtype=np.int64)
    most = counts.max(axis=1)
    found = np.where((counts == most[:, None]).sum(axis=1) > 1, TIE, counts.argmax(axis=1))
    return np.where(most == 0, NONE, found).astype(np.int64)


def vote_table(
    votes: Iterable[tuple[str, str, str | None]],
    *,
    items: Sequence[str] = (),
    labels: Sequence[str] = (),
    named: bool = True,
) -> VoteTable:
    """Makes the table of single votes.

    Args:
        votes: item, rater and label of each; votes without a label are left out.
        items: the items in order; those of the votes are added.
        labels: the labels in order; those of the votes are added by name.
        named: False where the raters' names mean nothing beyond their item.

    Raises:
        InputError: one rater voted twice on one item.

    >>> table = vote_table([("x", "ann", "joy"), ("x", "bob", "fear"), ("y", "bob", None)])
    >>> table.labels, table.raters, table.counts.tolist()
    (('fear', 'joy'), ('ann', 'bob'), [[1, 1]])
    """
    places: dict[str, int] = {name: i for i, name in enumerate(items)}
    people: dict[str, int] = {}
    known = [(item, rater, label) for item, rater, label in votes if label is not None]
    order = (*labels, *sorted({label for _, _, label in known}.difference(labels)))
    codes = {label: i for i, label in enumerate(order)}
    item = np.array([places.setdefault(i, len(places)) for i, _, _ in known], dtype=np.int64)
    chosen = np.array([codes[label] for _, _, label in known], dtype=np.int64)
    rater = np.full(item.size, NONE, dtype=np.int64)
    if named:
        rater = np.array([people.setdefault(r, len(people)) for _, r, _ in known], dtype=np.int64)
        twice = first_double([(i, r) for i, r, _ in known])
        if twice is not None:
            raise InputError(f"Rater {twice[1]!r} has two labels for {twice[0]!r}; one is the most")
    return VoteTable(tuple(places), tuple(order), tuple(people), item, chosen, rater)


def first_double(keys: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """The first key that stands twice; None where all differ."""
    seen: set[Hashable] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None


def counted_table(counts: Mapping[str, Mapping[str, int]], labels: Sequence[str]) -> VoteTable:
    """Makes the table of how many people chose each label of each item.

    Args:
        counts: item -> label -> people.
        labels: all labels in order.

    Raises:
        InputError: a label that is not among them.
    """
    codes = {label: i for i, label in enumerate(labels)}
    unknown = sorted({name for found in counts.values() for name in found}.difference(codes))
    if unknown:
        raise InputError(bad_value("label", unknown[0], labels))
    triples = [(i, codes[k], n) for i, found in enumerate(counts.values()) for k, n in found.items()]
    flat = np.array(triples, dtype=np.int64).reshape(-1, 3)
    item, label = (np.repeat(flat[:, column], flat[:, 2]) for column in (0, 1))
    return VoteTable(tuple(counts), tuple(labels), (), item, label, np.full(item.size, NONE, dtype=np.int64))
