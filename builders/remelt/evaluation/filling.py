"""What batches are made with: where input comes from, buckets of similar length, filling."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from .batch import Sequences

# Rows of similar length are sought among so many batches: enough for tight batches, and still a random order.
_SORTED_TOGETHER = 50
# Rows whose input is part of the identity of batches: other features of the same rows are other batches.
_SAMPLED = 8


class Store(Protocol):
    """Gives the input of a row by its id.

    Of utterances: hidden states (layers, steps, width), or for an encoder that is tuned samples or token ids
    (steps,). Of dialogues: a vector (width,) for each turn. A store may have `lengths`, a mapping from ids to
    steps; without it each input is looked at once.
    """

    def __getitem__(self, key: str, /) -> NDArray[Any]: ...


def generator(seed: int, *more: object) -> np.random.Generator:
    """A generator that depends on nothing but what is given."""
    text = "\n".join(str(part) for part in (seed, *more))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def bucketed(
    lengths: Sequence[int], batch_size: int, chance: np.random.Generator, bucket: bool = True
) -> list[list[int]]:
    """Positions in batches of rows that are about equally long, in random order.

    Rows are shuffled, sorted by length within runs of 50 batches, cut into batches, and the batches are
    shuffled.

    Args:
        lengths: of each row.
        bucket: False leaves the rows in their random order.
    """
    order = chance.permutation(len(lengths)).tolist()
    span = _SORTED_TOGETHER * batch_size
    batches: list[list[int]] = []
    for first in range(0, len(order), span):
        together = order[first : first + span]
        if bucket:
            together = sorted(together, key=lambda place: lengths[place])
        batches += [together[start : start + batch_size] for start in range(0, len(together), batch_size)]
    return [batches[place] for place in chance.permutation(len(batches))] if bucket else batches


def stored(store: Store, key: str, what: str) -> NDArray[Any]:
    """The input of a row.

    Raises:
        InputError: there is none; the message names the row.
    """
    try:
        return store[key]
    except KeyError:
        raise InputError(f"Row {key} has no {what}") from None


def axis(row: NDArray[Any]) -> int:
    """The axis along which rows differ in length."""
    return -2 if row.ndim > 1 else 0


def filled(rows: Sequence[NDArray[Any]], ids: Sequence[str], what: str) -> Sequences:
    """Rows side by side, filled up with zeros to the longest.

    Args:
        rows: (layers, steps, width), (steps, width) or (steps,), in half precision, float32 or whole numbers.
        ids: theirs, for messages.

    Returns:
        float32, or int64 for whole numbers.

    Raises:
        InputError: rows differ in more than their steps; the message names the row.
    """
    first = rows[0]
    whole = np.issubdtype(first.dtype, np.integer)
    # Rows are copied as they are, and torch then widens the whole batch faster than numpy does each row.
    kind = torch.int64 if whole else torch.float16 if first.dtype == np.float16 else torch.float32
    lengths = [row.shape[axis(row)] for row in rows]
    fixed = (first.shape[:-2], first.shape[-1:]) if first.ndim > 1 else ((), ())
    values = torch.zeros((len(rows), *fixed[0], max(lengths), *fixed[1]), dtype=kind)
    view = values.numpy()
    for place, row in enumerate(rows):
        if (row.shape[:-2], row.shape[-1:]) != fixed and not row.ndim == first.ndim == 1:
            raise InputError(f"Row {ids[place]}: {what} of shape {row.shape}, {ids[0]} has {first.shape}")
        if row.ndim > 1:
            view[place, ..., : lengths[place], :] = row
        else:
            view[place, : lengths[place]] = row
    return Sequences(values if whole else values.float(), torch.tensor(lengths))


def identity(
    settings: object,
    ids: Sequence[str],
    truth: Mapping[str, Any],
    lengths: Sequence[int],
    stores: Mapping[str, Store],
) -> str:
    """A hash over settings, rows, truth, lengths, and the input of some rows."""
    known = hashlib.sha256(repr(settings).encode())
    for key in ids:
        known.update(f"{key}\t{truth.get(key)}\n".encode())
    known.update(repr(list(lengths)).encode())
    sampled = sorted({round(place) for place in np.linspace(0, len(ids) - 1, _SAMPLED)})
    for what, store in stores.items():
        for place in sampled:
            known.update(f"{what} {place}".encode())
            known.update(np.ascontiguousarray(stored(store, ids[place], what)).tobytes())
    return known.hexdigest()
