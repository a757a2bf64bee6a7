"""Random splits by shares of the rows: whole speakers, whole dialogues, or single rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from ...errors import InputError
from ..examples import Example
from .base import Split, require, speaker_of

SHARES = (0.8, 0.1, 0.1)
# Random orders that are tried for the one with the most even classes.
_TRIES = 200


def speaker_shares(examples: Sequence[Example], shares: Sequence[float] = SHARES, seed: int = 0) -> Split:
    """Whole speakers, so that rows and classes come as close to the shares as they can.

    Args:
        shares: of train, validation and test rows; validation may be 0.
        seed: of the draw.

    Raises:
        InputError: rows without a speaker, fewer speakers than parts, shares that do not sum to 1.
    """
    require(examples, "speaker")
    return _whole(examples, speaker_of, "speakers", shares, seed)


def dialogue_shares(examples: Sequence[Example], shares: Sequence[float] = SHARES, seed: int = 0) -> Split:
    """Whole dialogues; a row of none goes by itself. Arguments as in `speaker_shares`.

    Raises:
        InputError: fewer dialogues than parts, shares that do not sum to 1.
    """
    return _whole(examples, lambda row: row.dialogue or f"\0{row.id}", "dialogues", shares, seed)


def speaker_dependent(examples: Sequence[Example], shares: Sequence[float] = SHARES, seed: int = 0) -> Split:
    """Single rows at random, each class by the same shares; speakers and dialogues are in several parts.

    Alqurashi et al. 2024: 80, 10 and 10 % of all sessions. Rows without a label are left out.

    Args:
        shares, seed: as in `speaker_shares`.

    Raises:
        InputError: no labels, a class with fewer rows than parts, shares that do not sum to 1.
    """
    parts = _checked(shares)
    rows = [row for row in examples if row.label is not None]
    if not rows:
        raise InputError(f"None of {len(examples):,} rows has a label to keep the classes' shares by")
    counts = Counter(row.label for row in rows)
    needed = sum(share > 0 for share in parts)
    if rare := [f"{label} {count}" for label, count in sorted(counts.items()) if count < needed]:
        raise InputError(
            f"Every class needs {needed} rows or more, one for each part; too few have {', '.join(rare)}"
        )
    random = np.random.default_rng(seed)
    places: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in sorted(counts, key=str):
        own = random.permutation([k for k, row in enumerate(rows) if row.label == label]).tolist()
        left = needed
        for k in (2, 1):
            if parts[k]:
                left -= 1
                # One row of each class at least for every part.
                taken = min(max(1, round(parts[k] * counts[label])), len(own) - left)
                places[k].extend(own[:taken])
                own = own[taken:]
        places[0].extend(own)
    notes = ["speakers and dialogues are in several parts: the scores say nothing about new speakers"]
    if left_out := len(examples) - len(rows):
        notes.append(f"{left_out:,} rows without a label were left out")
    first, second, third = (tuple(rows[k] for k in sorted(part)) for part in places)
    return Split("speaker_dependent", first, second, third, (), tuple(notes))


def _whole(
    examples: Sequence[Example],
    group: Callable[[Example], str],
    what: str,
    shares: Sequence[float],
    seed: int,
) -> Split:
    """The most even of some random orders of the groups, cut where the shares are reached."""
    parts = _checked(shares)
    groups = sorted({group(row) for row in examples})
    needed = sum(share > 0 for share in parts)
    if len(groups) < needed:
        raise InputError(f"{len(groups)} {what} cannot be split into {needed} parts")
    classes = sorted({row.label or "" for row in examples})
    number, column = {g: k for k, g in enumerate(groups)}, {c: k for k, c in enumerate(classes)}
    counts = np.zeros((len(groups), len(classes)))
    for row in examples:
        counts[number[group(row)], column[row.label or ""]] += 1
    random, best = np.random.default_rng(seed), (np.inf, np.zeros(0, int))
    for _ in range(_TRIES):
        part = _cut(random.permutation(len(groups)), counts.sum(1), parts)
        reached = np.stack([counts[part == k].sum(0) for k in range(3)]) / counts.sum(0)
        uneven = float(np.abs(reached - np.array(parts)[:, None]).sum())
        if uneven < best[0]:
            best = (uneven, part)
    rows = [tuple(row for row in examples if best[1][number[group(row)]] == k) for k in range(3)]
    reached = ", ".join(f"{len(part) / len(examples):.1%}" for part in rows)
    note = f"{what} were drawn whole; the shares came to {reached}"
    return Split(f"{what[:-1]}_shares", rows[0], rows[1], rows[2], (what,), (note,))


def _cut(
    order: np.typing.NDArray[np.int64], sizes: np.typing.NDArray[np.float64], parts: Sequence[float]
) -> np.typing.NDArray[np.int64]:
    """The part (0, 1, 2) of each group: test is filled first, then validation, and train has the rest."""
    found = np.zeros(len(order), np.int64)
    start, left = 0, sum(share > 0 for share in parts)
    for k in (2, 1):
        if not parts[k]:
            continue
        left -= 1
        filled = np.cumsum(sizes[order[start:]])
        wanted = parts[k] * sizes.sum()
        # The cut nearest to the share; one group at least for each part.
        taken = int(np.abs(filled - wanted).argmin()) + 1
        taken = min(taken, len(order) - start - left)
        found[order[start : start + taken]] = k
        start += taken
    return found


def _checked(shares: Sequence[float]) -> tuple[float, float, float]:
    good = len(shares) == 3 and all(0 <= share < 1 for share in shares) and shares[0] > 0 and shares[2] > 0
    if not good or abs(sum(shares) - 1) > 1e-9:
        raise InputError(
            f"Bad shares {list(shares)!r}, expected those of train, validation and test, which sum to 1 "
            "(validation may be 0)"
        )
    return shares[0], shares[1], shares[2]
