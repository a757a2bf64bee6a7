"""Soft labels: how a model's belief is shared out over the labels, from its log-probabilities."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from ..errors import InputError
from ..records import Annotation

SOFT = "soft_label"

# Processors differ in the last digits of exp, and the published bytes must not.
DECIMALS = 9


def has_soft_labels(annotations: Iterable[Annotation]) -> bool:
    """Whether any reply carries log-probabilities; only then a dataset has the column."""
    return any(reply.label_logprobs for a in annotations for reply in a.replies)


def soft_label(label_logprobs: str, labels: Sequence[str], place: str = "") -> list[float] | None:
    """The share of each label, in the order given; they add up to 1.

    Args:
        label_logprobs: as in `Reply.label_logprobs`; a label that it does not name gets 0.
        labels: the label set.
        place: whose they are, for the message.

    Returns:
        None where there are no log-probabilities of these labels.

    Raises:
        InputError: it is no JSON object of numbers.

    >>> soft_label('{"joy": -0.5, "fear": -0.5}', ["anger", "fear", "joy"])
    [0.0, 0.5, 0.5]
    """
    if not label_logprobs:
        return None
    try:
        given = json.loads(label_logprobs)
        known = {name: float(given[name]) for name in labels if name in given}
        if not isinstance(given, dict) or not all(map(math.isfinite, known.values())):
            raise ValueError
    except (ValueError, TypeError):
        raise InputError(
            f"Bad label_logprobs {label_logprobs!r} of {place}, expected a JSON object like {{'joy': -0.11}}"
        ) from None
    if not known:
        return None
    most = max(known.values())
    parts = {name: math.exp(value - most) for name, value in known.items()}
    whole = math.fsum(parts.values())
    return [round(parts.get(name, 0.0) / whole, DECIMALS) for name in labels]
