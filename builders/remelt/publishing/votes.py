"""The votes behind the labels of a dataset, on their way into its columns and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..errors import InputError
from ..records import Resolution, Vote
from .panel import DECIDED, ENTROPY, PANEL_COLUMNS, SHARE, VOTES, Row
from .soft import DECIMALS, SOFT
from .surrogates import unescape


def vote_values(rows: Sequence[Row], labels: Sequence[str]) -> dict[str, list[Any]]:
    """The values of all these columns.

    Args:
        rows: resolved ones.
        labels: the label set, in the order of the soft labels.

    Raises:
        InputError: a distribution over other labels, or one that does not add up to 1.
    """
    found = [row.resolution for row in rows if row.resolution is not None]
    return {
        VOTES: [[{"source": v.source, "kind": v.kind, "label": v.label} for v in r.votes] for r in found],
        SHARE: [_rounded(r.share) for r in found],
        ENTROPY: [_rounded(r.entropy) for r in found],
        DECIDED: [r.decided_by for r in found],
        SOFT: [_shares(r, labels) for r in found],
    }


def _shares(resolution: Resolution, labels: Sequence[str]) -> list[float]:
    given = resolution.distribution
    unknown = sorted(given.keys() - set(labels))
    if unknown or not math.isclose(math.fsum(given.values()), 1.0, abs_tol=1e-6):
        raise InputError(
            f"Bad distribution {dict(given)!r} of {resolution.utterance_id}, expected shares of "
            f"{list(labels)!r} that add up to 1"
        )
    return [round(given.get(name, 0.0), DECIMALS) for name in labels]


def _rounded(value: float | None) -> float | None:
    # As the soft labels: the last digits differ from one processor to another.
    return None if value is None else round(value, DECIMALS)


def resolutions_from_table(table: pa.Table, labels: Sequence[str], rule: str) -> dict[str, Resolution]:
    """What the votes came to, by utterance id, from a published default config.

    Args:
        table: its rows.
        labels: the label set.
        rule: the rule's name (`manifest["resolution"]["rule"]`).
    """
    columns = (table[name].to_pylist() for name in ("id", "label", *PANEL_COLUMNS, SOFT))
    found = {}
    for row, label, votes, share, entropy, decided, shares in zip(*columns, strict=True):
        name = unescape(row)
        found[name] = Resolution(
            name,
            labels[label],
            rule,
            decided_by=unescape(decided),
            share=share,
            entropy=entropy,
            distribution={label: part for label, part in zip(labels, shares, strict=True) if part},
            votes=tuple(_vote(vote) for vote in votes),
        )
    return found


def _vote(vote: Mapping[str, Any]) -> Vote:
    label = vote["label"]
    return Vote(unescape(vote["source"]), None if label is None else unescape(label), vote["kind"])
