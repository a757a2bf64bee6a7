"""What makes a split unfit: parts that share what was promised apart, classes or targets that are missing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ...errors import InputError, bad_value
from ..examples import Example
from .base import PROMISES, Split, speaker_of

UNSEEN = ("refuse", "tell")
_SHOWN = 3


def check_leaks(
    split: Split, promises: Sequence[str] | None = None, digests: Mapping[str, str] | None = None
) -> None:
    """Refuses a split whose parts share what they promise not to share. Ids are never shared.

    Args:
        promises: of `PROMISES`; None for the split's own. `sounds`: no two parts have clips with the same
            content (by `digests`). `texts`: no speaker says the same words in two parts.
        digests: utterance id -> hash of its sound; rows that are not in it are not compared.

    Raises:
        InputError: naming the promise and examples of what is shared; an unknown promise; a promise of
            speakers or sessions where rows do not say theirs; `sounds` without digests.
    """
    asked = split.promises if promises is None else tuple(promises)
    for promise in asked:
        if promise not in PROMISES:
            raise InputError(bad_value("promise of a split", promise, PROMISES))
    if "sounds" in asked and digests is None:
        raise InputError("Comparing sounds needs their digests")
    known = digests or {}
    keys: Mapping[str, Callable[[Example], str]] = {
        "ids": lambda row: row.id,
        "dialogues": lambda row: row.dialogue,
        "sessions": lambda row: f"{row.corpus}/{row.session}" if row.session else "",
        "speakers": speaker_of,
        "sounds": lambda row: known.get(row.id, ""),
        "texts": _words,
    }
    for promise in ("ids", *asked):
        _apart(split, promise, keys[promise])


def check_labels(split: Split, labels: Sequence[str], unseen: str = "refuse") -> tuple[str, ...]:
    """Refuses a split on which a classifier cannot be trained and tested. Rows without a label do not count.

    Args:
        labels: the classes.
        unseen: what to do with classes that have test or validation rows but no training row, and with
            classes of one training row: `refuse`, or `tell`.

    Returns:
        What was found with `tell`.

    Raises:
        InputError: no labelled rows in train or test, or in a validation part that has rows; a label that is
            none of the classes; a single class in train; and, with `refuse`, what `unseen` names.
    """
    if unseen not in UNSEEN:
        raise InputError(bad_value("unseen", unseen, UNSEEN))
    counts = {
        part: Counter(row.label for row in rows if row.label is not None) for part, rows in split.parts()
    }
    sizes = ", ".join(f"{part} {found.total():,}" for part, found in counts.items())
    for part, rows in split.parts():
        if not counts[part] and (rows or part != "validation"):
            raise InputError(f"Split {split.name!r} has no labelled {part} rows ({sizes})")
        if strange := [label for label in counts[part] if label not in labels]:
            found = ", ".join(f"{label!r} in {counts[part][label]:,} rows" for label in strange)
            raise InputError(
                f"Split {split.name!r}: {part} has labels that are none of the classes {list(labels)!r}: "
                f"{found}"
            )
    train = counts["train"]
    if len(train) < 2:
        raise InputError(
            f"Split {split.name!r}: all {train.total():,} training rows are {next(iter(train))!r}; "
            "there is nothing to learn"
        )
    notes = []
    for part in ("validation", "test"):
        if missing := [label for label in labels if counts[part][label] and not train[label]]:
            found = ", ".join(f"{label} {counts[part][label]:,}" for label in missing)
            notes.append(f"split {split.name!r}: {part} rows of classes without a training row: {found}")
    if single := [label for label in labels if train[label] == 1]:
        notes.append(f"split {split.name!r}: one training row only: {', '.join(single)}")
    if notes and unseen == "refuse":
        told = "; ".join(notes)
        raise InputError(f"{told[0].upper()}{told[1:]} (training rows: {_listed(train, labels)})")
    return tuple(notes)


def check_targets(split: Split, dimensions: Sequence[str]) -> None:
    """Refuses a split on which a regression cannot be trained and tested.

    Raises:
        InputError: no train or test rows, or rows whose targets are missing, NaN or outside [0, 1].
    """
    for part, rows in split.parts():
        if not rows and part != "validation":
            raise InputError(f"Split {split.name!r} has no {part} rows ({split.sizes()})")
        for name in dimensions:
            values = [(row.id, row.targets.get(name, math.nan)) for row in rows]
            if missing := [row for row, value in values if math.isnan(value)]:
                raise InputError(
                    f"Split {split.name!r}: {len(missing):,} of {len(rows):,} {part} rows have no target for "
                    f"{name!r}, first {missing[0]}"
                )
            if outside := [(row, value) for row, value in values if not 0 <= value <= 1]:
                row, value = outside[0]
                raise InputError(
                    f"Split {split.name!r}: {len(outside):,} of {len(rows):,} {part} rows have a {name} "
                    f"outside 0 to 1, first {value!r} of {row}"
                )


def _apart(split: Split, promise: str, key: Callable[[Example], str]) -> None:
    """Refuses a key in two parts; for `ids`, a row that is in the split twice."""
    _all_known(split, promise, key)
    seen: dict[str, Counter[str]] = {}
    first: dict[tuple[str, str], str] = {}
    for part, rows in split.parts():
        for row in rows:
            if found := key(row):
                seen.setdefault(found, Counter())[part] += 1
                first.setdefault((found, part), row.id)
    by_id = promise == "ids"
    shared = {name: parts for name, parts in seen.items() if len(parts) > 1 or (by_id and parts.total() > 1)}
    if not shared:
        return
    shown = []
    for name, parts in list(shared.items())[:_SHOWN]:
        such = ("" if by_id else f" such as {first[name, part]}" for part in parts)
        where = (f"{part} {count:,}{more}" for (part, count), more in zip(parts.items(), such, strict=True))
        shown.append(f"{name!r} ({', '.join(where)})")
    raise InputError(
        f"Split {split.name!r} leaks: {promise} {'in it more than once' if by_id else 'in several parts'}: "
        f"{len(shared):,}, such as {', '.join(shown)}"
    )


def _all_known(split: Split, promise: str, key: Callable[[Example], str]) -> None:
    """Refuses a promise of speakers or sessions where a row that could break it does not say its own."""
    if promise not in ("speakers", "sessions"):
        return
    parts_of: dict[str, set[str]] = {}
    for part, rows in split.parts():
        for corpus in {row.corpus for row in rows}:
            parts_of.setdefault(corpus, set()).add(part)
    for part, rows in split.parts():
        for row in rows:
            # Rows of a corpus that is in one part alone share no speaker with the others.
            if not key(row) and len(parts_of[row.corpus]) > 1:
                raise InputError(
                    f"Split {split.name!r} promises that no two parts share {promise}, but {part} row "
                    f"{row.id} does not say its own"
                )


def _words(row: Example) -> str:
    """Who says what; empty where one of them is unknown."""
    words = " ".join((row.text or "").casefold().split())
    return f"{speaker_of(row)}: {words}" if words and row.speaker else ""


def _listed(counts: Counter[str], labels: Sequence[str]) -> str:
    return ", ".join(f"{label} {counts[label]:,}" for label in labels)
