"""What the sample has cost, and what the whole dataset would cost and take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...records import Annotation, Reply

if TYPE_CHECKING:
    from ...annotators.known_models import KnownModel

_SHARES = {"p50": 50, "p90": 90, "p99": 99}


@dataclass(frozen=True)
class Spent:
    """What all replies of the sample have taken, those of earlier runs too.

    Attributes:
        replies: repair turns included.
        input_tokens, output_tokens: None where the annotator does not count them.
        cost: US dollars; None where no price is known.
        seconds: of all replies together, one after the other.
        latency: seconds of a reply that half, 90 % and 99 % of them do not pass; empty without any.
    """

    replies: int
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    seconds: float
    latency: Mapping[str, float]


@dataclass(frozen=True)
class Projection:
    """What the whole dataset would take, as far as the sample tells.

    Attributes:
        rows: those that the old annotator was asked about.
        input_tokens, output_tokens: None where they are not counted.
        list_price, batch_price: US dollars; None where no price is known.
        free: whether there is nobody to pay.
        seconds: at `concurrency` replies at a time; None for batches, and where nobody is waited for.
    """

    rows: int
    input_tokens: int | None
    output_tokens: int | None
    list_price: float | None
    batch_price: float | None
    free: bool
    seconds: float | None
    concurrency: int


def spent_on(annotations: Sequence[Annotation]) -> Spent:
    """What the replies of a sample have taken."""
    import numpy as np

    replies = [reply for annotation in annotations for reply in annotation.replies]
    times = [reply.seconds for reply in replies if reply.seconds > 0]
    costs = [reply.cost for reply in replies if reply.cost is not None]
    return Spent(
        replies=len(replies),
        input_tokens=_added([reply.input_tokens for reply in replies]),
        output_tokens=_added([reply.output_tokens for reply in replies]),
        cost=round(sum(costs), 6) if costs else None,
        seconds=round(sum(times), 6),
        latency={n: round(float(np.percentile(times, s)), 6) for n, s in _SHARES.items()} if times else {},
    )


def project(
    annotations: Sequence[Annotation],
    weights: Sequence[float],
    scale: float,
    model: KnownModel | None,
    *,
    rows: int,
    free: bool,
    batched: bool,
    concurrency: int,
) -> Projection:
    """What all rows would take.

    Args:
        weights: how many rows of the splits each annotation of the sample stands for.
        scale: rows of the whole dataset for each row that the weights stand for.
        model: its prices; None where they are not known.
        rows: of the whole dataset.
        free: whether there is nobody to pay.
        batched: whether answers come in batches, whose time nobody knows.
        concurrency: replies at a time.
    """
    replies = [
        (reply, scale * weight)
        for annotation, weight in zip(annotations, weights, strict=True)
        for reply in annotation.replies
    ]
    seconds = sum(weight * reply.seconds for reply, weight in replies)
    inputs = [w * r.input_tokens for r, w in replies if r.input_tokens is not None]
    outputs = [w * r.output_tokens for r, w in replies if r.output_tokens is not None]
    priced = model is not None and bool(inputs) and bool(outputs)
    return Projection(
        rows=rows,
        input_tokens=round(sum(inputs)) if inputs else None,
        output_tokens=round(sum(outputs)) if outputs else None,
        list_price=sum(w * _price(r, model, batch=False) for r, w in replies) if model and priced else None,
        batch_price=sum(w * _price(r, model, batch=True) for r, w in replies)
        if model and priced and model.batch_input is not None
        else None,
        free=free,
        seconds=None if batched or not seconds else seconds / concurrency,
        concurrency=concurrency,
    )


def _price(reply: Reply, model: KnownModel, batch: bool) -> float:
    cached = 0 if batch else reply.cached_tokens or 0
    return model.cost(reply.input_tokens or 0, reply.output_tokens or 0, cached, batch=batch)


def _added(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
