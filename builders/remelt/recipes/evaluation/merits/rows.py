"""Which turns train, validate and test: the splits of MERITS-L (Dutta & Ganapathy 2025, section IV)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ....errors import InputError, bad_value
from ....evaluation.examples import Example
from ....evaluation.protocols import Split, check_labels, check_leaks, merits_iemocap, standard
from ..base import OLD, Material

SENTIMENT = "sentiment"
_TRAIN = "train"
_VALIDATIONS = ("dev", "validation", "valid", "development")
# Of CMU-MOSI's training and validation videos, in the order of the standard folds.
_MOSI_TRAIN, _MOSI_TEST = 49, "test"
# Of the training dialogues, where a corpus has no rows to validate on.
_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Labelling:
    """Which labels are learnt and scored.

    Attributes:
        condition: whose labels are learnt.
        compared: conditions in whose absence a training row is context; empty for `condition` alone.
        reference: whose labels validation and test rows have.
    """

    condition: str
    compared: tuple[str, ...]
    reference: str


def reference_of(material: Material, condition: str, asked: str) -> str:
    """The condition whose labels validation and test rows are scored with.

    Args:
        asked: its name; `auto` for the corpus's own labels, of sentiment where sentiment is learnt.

    Raises:
        InputError: one is named that the material does not have.
    """
    if asked != "auto":
        if asked not in material.labels:
            raise InputError(bad_value("reference", asked, material.labels))
        return asked
    return condition if condition == SENTIMENT or OLD not in material.labels else OLD


def divided(material: Material, labelling: Labelling) -> Split:
    """The turns of a trial, whole dialogues; those without a label are context.

    IEMOCAP is divided by its sessions, CMU-MOSI by the order of its monologues, any other corpus by its own
    splits; where it has none for validation, a tenth of the training dialogues takes that place.

    Raises:
        InputError: a condition or a split that is not there, labels that cannot be learnt or tested.
    """
    names = (labelling.condition, labelling.reference, *labelling.compared)
    for name in names:
        if name not in material.labels:
            raise InputError(bad_value(f"labels of {material.source}", name, material.labels))
    split = _split(material.examples)
    learnt = dict(material.labels[labelling.condition])
    for name in labelling.compared:
        learnt = {key: label for key, label in learnt.items() if key in material.labels[name]}
    scored = material.labels[labelling.reference]
    split = replace(
        split,
        train=tuple(replace(row, label=learnt.get(row.id)) for row in split.train),
        validation=tuple(replace(row, label=scored.get(row.id)) for row in split.validation),
        test=tuple(replace(row, label=scored.get(row.id)) for row in split.test),
    )
    check_leaks(split)
    return replace(split, notes=(*split.notes, *check_labels(split, class_names([split]), "tell")))


def _split(rows: Sequence[Example]) -> Split:
    corpora = {row.corpus for row in rows}
    if corpora == {"cmu_mosi"}:
        return _mosi(rows)
    if all(row.session for row in rows) and len({row.split for row in rows}) == 1:
        found = merits_iemocap(rows)
        told = "The last session tests, the first validates, the others train."
        return replace(found, notes=(*found.notes, told))
    if any(row.split in _VALIDATIONS for row in rows):
        return standard(rows)
    return _held_out(standard(rows, validation=""))


def _mosi(rows: Sequence[Example]) -> Split:
    from ....corpora.mosi_folds import SPLIT_OF

    order = [video for video, fold in SPLIT_OF.items() if fold != _MOSI_TEST]
    validates = set(order[_MOSI_TRAIN:])

    def part(row: Example) -> str:
        if SPLIT_OF.get(row.speaker, row.split) == _MOSI_TEST:
            return "test"
        return "validation" if row.speaker in validates else "train"

    return _parted(rows, part, "mosi", "The first 49 monologues train, the next 13 validate, 31 test.")


def _held_out(split: Split) -> Split:
    """The same tenth of the training dialogues whatever the seed and the labels."""
    names = sorted(
        {row.dialogue or row.id for row in split.train},
        key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest(),
    )
    taken = set(names[: max(1, round(_SHARE * len(names)))])

    def held(row: Example) -> bool:
        return (row.dialogue or row.id) in taken

    return replace(
        split,
        train=tuple(row for row in split.train if not held(row)),
        validation=tuple(row for row in split.train if held(row)),
        notes=(*split.notes, "A tenth of the training dialogues validates."),
    )


def _parted(rows: Sequence[Example], part: Callable[[Example], str], name: str, note: str) -> Split:
    parts = {
        wanted: tuple(row for row in rows if part(row) == wanted)
        for wanted in ("train", "validation", "test")
    }
    return Split(name, **parts, promises=("dialogues",), notes=(note,))


def limited(rows: Sequence[Example], limit: int | None, seed: int) -> tuple[Example, ...]:
    """Whole dialogues, drawn until at least `limit` turns are labelled; all for None."""
    if limit is None:
        return tuple(rows)
    import numpy as np

    dialogues: dict[str, int] = {}
    for row in rows:
        name = row.dialogue or row.id
        dialogues[name] = dialogues.get(name, 0) + (row.label is not None)
    names, taken, count = list(dialogues), set(), 0
    for place in np.random.default_rng(seed).permutation(len(names)):
        if count >= limit:
            break
        taken.add(names[place])
        count += dialogues[names[place]]
    return tuple(row for row in rows if (row.dialogue or row.id) in taken)


def class_names(splits: Sequence[Split]) -> tuple[str, ...]:
    """The classes of the output: all labels of all parts, alphabetically."""
    rows = (row for split in splits for _, part in split.parts() for row in part)
    return tuple(sorted({row.label for row in rows if row.label is not None}))


def on_corpus(
    material: Material, classes: Sequence[str], condition: str
) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """The turns of another corpus, and the classes that it shares with the model.

    Turns whose label is none of them are context.

    Raises:
        InputError: it shares none.
    """
    reference = reference_of(material, condition, "auto")
    if reference not in material.labels:
        raise InputError(bad_value(f"labels of {material.source}", reference, material.labels))
    found = material.labels[reference]
    shared = tuple(name for name in classes if name in set(found.values()))
    if len(shared) < 2:
        raise InputError(
            f"{material.source} shares {len(shared)} of the classes {list(classes)!r}; its own are "
            f"{sorted(set(found.values()))!r}"
        )
    rows = (replace(row, label=found.get(row.id)) for row in material.examples)
    return tuple(row if row.label in shared else replace(row, label=None) for row in rows), shared
