"""From examples to batches: order, length, crops, filling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError, bad_value
from .batch import NOT_COUNTED, Batch, Sequences
from .examples import Example
from .filling import Store, axis, bucketed, filled, generator, identity, stored

__all__ = ["DialogueBatches", "Dimensions", "Store", "UtteranceBatches"]


class Dimensions(tuple[str, ...]):
    """Names of dimensions, where batches else have names of classes: `Dimensions(("arousal", "valence"))`."""

    __slots__ = ()


class UtteranceBatches:
    """Batches of utterances, each for itself.

    Attributes:
        examples: the rows.
        ids: theirs.
        labels: as given.
        batch_size: rows in a batch; the last one may be smaller.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        speech: Store | None = None,
        text: Store | None = None,
        labels: Sequence[str] | Dimensions | None = None,
        batch_size: int = 32,
        seed: int = 0,
        bucket: bool = True,
        crop_steps: int | None = None,
    ) -> None:
        """
        Args:
            examples: at least one.
            speech, text: where the rows' input comes from; at least one of them. Hidden states in half
                precision become float32 in the batch.
            labels: the classes in the order of the model's outputs, or `Dimensions`; None for rows whose
                truth nobody knows (`predict` only).
            seed: of order and crops.
            bucket: whether rows of similar length share a batch; speech decides where there is both.
            crop_steps: in `epoch`, longer speech is cut to so many steps of hidden states, or samples, at a
                random place; None for whole rows.

        Raises:
            InputError: a row has no label or target, a label that is none of `labels`, a target outside of
                [0, 1], no input or an empty one, or an id that another row has; the message names the row.
        """
        if crop_steps is not None and crop_steps < 1:
            raise InputError(f"Bad crop_steps {crop_steps!r}, expected a whole number from 1")
        self._stores = _stores(speech, text)
        self.examples, self.ids = tuple(examples), _ids(examples)
        self.labels, self.batch_size, self._seed = labels, _size(batch_size), seed
        self._bucket, self._crop = bucket, crop_steps
        self._truth: dict[str, Any] = {}
        if isinstance(labels, Dimensions):
            self._truth = _targets(self.examples, labels)
        elif labels is not None:
            self._truth = _numbers(self.examples, labels)
        for key in self.ids:
            if labels is not None and key not in self._truth:
                raise InputError(
                    f"Row {key} has no {'target' if isinstance(labels, Dimensions) else 'label'}"
                )
        steps = [self._steps(what, store) for what, store in self._stores.items()]
        self._lengths = steps[0]

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.ids) // self.batch_size)

    @property
    def counts(self) -> tuple[int, ...]:
        """Rows of each class; empty for dimensions."""
        if isinstance(self.labels, Dimensions) or self.labels is None:
            return ()
        return _counts(self._truth, self.labels)

    @property
    def identity(self) -> str:
        """A hash of what `epoch` gives: rows, truth, lengths, order, and the input of some rows."""
        settings = (self.batch_size, self._seed, self._bucket, self._crop, list(self.labels or ()))
        return identity(settings, self.ids, self._truth, self._lengths, self._stores)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of an epoch; order and crops depend on nothing but the seed and its number."""
        lengths = self._lengths
        if self._crop is not None and "speech" in self._stores:
            lengths = [min(steps, self._crop) for steps in lengths]
        for places in bucketed(lengths, self.batch_size, generator(self._seed, number), self._bucket):
            yield self._batch(places, number)

    def ordered(self) -> Iterator[Batch]:
        """All rows in their order, whole."""
        for places in _cut(range(len(self.ids)), self.batch_size):
            yield self._batch(places, None)

    def compact(self) -> Iterator[Batch]:
        """All rows whole, the longest first, so that there is little filling."""
        order = sorted(range(len(self.ids)), key=lambda place: -self._lengths[place])
        for places in _cut(order, self.batch_size):
            yield self._batch(places, None)

    def _steps(self, what: str, store: Store) -> list[int]:
        known = getattr(store, "lengths", None)
        found = []
        for key in self.ids:
            if isinstance(known, Mapping) and key in known:
                steps = int(known[key])
            else:
                row = stored(store, key, what)
                steps = row.shape[axis(row)] if row.ndim else 0
            if not steps:
                raise InputError(f"Row {key}: its {what} is empty")
            found.append(steps)
        return found

    def _batch(self, places: Sequence[int], epoch: int | None) -> Batch:
        keys = tuple(self.ids[place] for place in places)
        inputs = {what: self._input(what, store, keys, epoch) for what, store in self._stores.items()}
        truth = torch.tensor([self._truth[key] for key in keys]) if self._truth else None
        if isinstance(self.labels, Dimensions):
            return Batch(keys, inputs.get("speech"), inputs.get("text"), targets=truth)
        return Batch(keys, inputs.get("speech"), inputs.get("text"), labels=truth)

    def _input(self, what: str, store: Store, keys: Sequence[str], epoch: int | None) -> Sequences:
        rows = [stored(store, key, what) for key in keys]
        if epoch is not None and what == "speech" and self._crop is not None:
            rows = [self._cropped(row, self._crop, epoch, key) for row, key in zip(rows, keys, strict=True)]
        return filled(rows, keys, what)

    def _cropped(self, row: NDArray[Any], steps: int, epoch: int, key: str) -> NDArray[Any]:
        spare = row.shape[axis(row)] - steps
        if spare <= 0:
            return row
        first = int(generator(self._seed, epoch, key).integers(spare + 1))
        return row[..., first : first + steps, :] if row.ndim > 1 else row[first : first + steps]


class DialogueBatches:
    """Batches of whole dialogues, turn by turn.

    Attributes:
        examples: the turns, dialogue after dialogue, in the order of their turns.
        ids: theirs.
        dialogues: the same, one tuple for each dialogue.
        labels: as given.
        batch_size: dialogues in a batch; the last one may be smaller.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        speech: Store | None = None,
        text: Store | None = None,
        labels: Sequence[str] = (),
        batch_size: int = 32,
        seed: int = 0,
        bucket: bool = True,
    ) -> None:
        """
        Args:
            examples: at least one; a turn without a label is context. A row without a dialogue is a dialogue
                by itself.
            speech, text: give a vector (width,) for each turn; at least one of them.
            labels: the classes in the order of the model's outputs.
            seed: of the order.
            bucket: whether dialogues with about as many turns share a batch.

        Raises:
            InputError: a label that is none of `labels`, a turn without a vector, an id or a turn number that
                another turn of the dialogue has; the message names the row.
        """
        self._stores = _stores(speech, text)
        self.labels, self.batch_size = tuple(labels), _size(batch_size)
        self._seed, self._bucket = seed, bucket
        grouped: dict[tuple[str, str], list[Example]] = {}
        for example in examples:
            grouped.setdefault((example.dialogue, "" if example.dialogue else example.id), []).append(example)
        self.dialogues = tuple(tuple(sorted(turns, key=lambda turn: turn.turn)) for turns in grouped.values())
        self.examples = tuple(turn for turns in self.dialogues for turn in turns)
        self.ids = _ids(self.examples)
        for turns in self.dialogues:
            for one, other in pairwise(turns):
                if one.turn == other.turn:
                    raise InputError(f"Row {other.id}: {one.id} is turn {one.turn} of {one.dialogue} too")
        self._numbers = _numbers(self.examples, self.labels)
        self._lengths = [len(turns) for turns in self.dialogues]
        for what, store in self._stores.items():
            for key in self.ids:
                if (vector := stored(store, key, what)).ndim != 1:
                    raise InputError(
                        f"Row {key}: {what} of shape {vector.shape}, expected one vector for each turn"
                    )
        # A dialogue that is all context teaches nothing, and a batch of such ones has no loss.
        self._taught = [
            place
            for place, turns in enumerate(self.dialogues)
            if any(turn.id in self._numbers for turn in turns)
        ]

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self._taught) // self.batch_size)

    @property
    def counts(self) -> tuple[int, ...]:
        """Turns of each class."""
        return _counts(self._numbers, self.labels)

    @property
    def identity(self) -> str:
        """A hash of what `epoch` gives: turns, labels, order, and the vectors of some turns."""
        settings = (self.batch_size, self._seed, self._bucket, list(self.labels))
        return identity(settings, self.ids, self._numbers, self._lengths, self._stores)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of an epoch, without dialogues that are all context; their order depends on nothing but
        the seed and its number."""
        lengths = [self._lengths[place] for place in self._taught]
        for places in bucketed(lengths, self.batch_size, generator(self._seed, number), self._bucket):
            yield self._batch([self._taught[place] for place in places])

    def ordered(self) -> Iterator[Batch]:
        """All dialogues in their order."""
        for places in _cut(range(len(self.dialogues)), self.batch_size):
            yield self._batch(places)

    def compact(self) -> Iterator[Batch]:
        """All dialogues, the longest first, so that there is little filling."""
        order = sorted(range(len(self.dialogues)), key=lambda place: -self._lengths[place])
        for places in _cut(order, self.batch_size):
            yield self._batch(places)

    def _batch(self, places: Sequence[int]) -> Batch:
        dialogues = [[turn.id for turn in self.dialogues[place]] for place in places]
        labels = torch.full((len(dialogues), max(map(len, dialogues))), NOT_COUNTED)
        for row, keys in enumerate(dialogues):
            labels[row, : len(keys)] = torch.tensor([self._numbers.get(key, NOT_COUNTED) for key in keys])
        inputs = {what: self._input(what, store, dialogues) for what, store in self._stores.items()}
        ids = tuple(key for keys in dialogues for key in keys)
        return Batch(ids, inputs.get("speech"), inputs.get("text"), labels=labels)

    def _input(self, what: str, store: Store, dialogues: Sequence[Sequence[str]]) -> Sequences:
        rows = []
        for keys in dialogues:
            vectors = [stored(store, key, what) for key in keys]
            for key, vector in zip(keys, vectors, strict=True):
                if vector.shape != vectors[0].shape:
                    raise InputError(
                        f"Row {key}: {what} of shape {vector.shape}, the dialogue's first turn has "
                        f"{vectors[0].shape}"
                    )
            rows.append(np.stack(vectors))
        return filled(rows, [keys[0] for keys in dialogues], what)


def _stores(speech: Store | None, text: Store | None) -> dict[str, Store]:
    found = {what: store for what, store in (("speech", speech), ("text", text)) if store is not None}
    if not found:
        raise InputError("Batches need speech, text or both")
    return found


def _size(batch_size: int) -> int:
    if batch_size < 1:
        raise InputError(f"Bad batch_size {batch_size!r}, expected a whole number from 1")
    return batch_size


def _ids(examples: Sequence[Example]) -> tuple[str, ...]:
    if not examples:
        raise InputError("There are no rows to make batches of")
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise InputError(f"Row {example.id} is there twice")
        seen.add(example.id)
    return tuple(example.id for example in examples)


def _cut(order: Sequence[int], batch_size: int) -> Iterator[Sequence[int]]:
    for first in range(0, len(order), batch_size):
        yield order[first : first + batch_size]


def _numbers(examples: Sequence[Example], labels: Sequence[str]) -> dict[str, int]:
    """Class numbers by id; rows without a label are left out."""
    number = {label: position for position, label in enumerate(labels)}
    for example in examples:
        if example.label is not None and example.label not in number:
            raise InputError(f"Row {example.id}: {bad_value('label', example.label, labels)}")
    return {example.id: number[example.label] for example in examples if example.label is not None}


def _targets(examples: Sequence[Example], dimensions: Sequence[str]) -> dict[str, list[float]]:
    """Values in the dimensions by id, NaN where unknown; rows without any are left out."""
    found = {}
    for example in examples:
        values = [float(example.targets.get(name, np.nan)) for name in dimensions]
        for name, value in zip(dimensions, values, strict=True):
            if not np.isnan(value) and not 0 <= value <= 1:
                raise InputError(f"Row {example.id}: bad {name} {value!r}, expected a number from 0 to 1")
        if not np.isnan(values).all():
            found[example.id] = values
    return found


def _counts(numbers: Mapping[str, int], labels: Sequence[str]) -> tuple[int, ...]:
    found = np.bincount(np.fromiter(numbers.values(), np.int64, len(numbers)), minlength=len(labels))
    return tuple(int(count) for count in found)
