"""The figures of a plan, and the sentences that say what to know of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..annotators import AnnotatorOptions
    from ..annotators.known_models import KnownModel
    from ..engine import EngineOptions
    from ..protocols import Annotator

_CACHED_FROM = 1024
_CACHED_STEP = 128


@dataclass(frozen=True)
class Tokens:
    """What goes in and comes out, first questions only (an unusable answer is asked for again).

    Attributes:
        input: of all prompts, the answer's schema included where it is sent.
        output: of all replies, as far as it can be expected; None where it cannot.
        output_most: of all replies, were each as long as `max_tokens` allows; None without such a limit.
        output_most_row: of one reply at most.
        output_basis: what the expectation rests on.
        shared: with which every prompt begins.
        encoding: tiktoken's encoding that they were counted with; None where they are an estimate.
        problem: why they are an estimate; empty otherwise.
    """

    input: int
    output: int | None
    output_most: int | None
    output_most_row: int | None
    output_basis: str
    shared: int
    encoding: str | None
    problem: str


@dataclass(frozen=True)
class Cost:
    """US dollars, as far as they can be expected, and were every reply as long as it may be."""

    expected: float | None
    most: float | None


@dataclass(frozen=True)
class Duration:
    """How long a run takes at least.

    Attributes:
        seconds: None where nothing that limits it is known.
        reasons: what limits it, or what would have to be known.
    """

    seconds: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What is known of a run before it begins.

    Attributes:
        model: prices and sizes; None where the annotator is free or the model unknown.
        price: of the way that the annotator takes, batch or not.
        spent: US dollars of OUT so far.
        seconds: median time of a reply so far; None without replies.
        context: tokens of prompt and reply together at most; None where not known.
    """

    annotator: Annotator
    model: KnownModel | None
    free: bool
    batched: bool
    connection: AnnotatorOptions
    engine: EngineOptions
    rows: int
    rows_left: int
    tokens: Tokens
    price: Cost | None
    spent: float
    seconds: float | None
    context: int | None


def context_size(annotator: Annotator, model: KnownModel | None, connection: AnnotatorOptions) -> int | None:
    """Tokens of prompt and reply together that the model takes; None where not known."""
    if model is not None:
        return model.context
    return connection.context if annotator.endpoint == "local" else None


def duration(facts: Facts) -> Duration:
    """The time that the limits, and replies as slow as those so far, leave for a run."""
    if facts.batched:
        return Duration(None, ("a batch is answered within 24 hours, most of them much sooner",))
    if getattr(facts.annotator, "immediate", False) or not facts.rows:
        return Duration(0.0, ())
    engine, found = facts.engine, []
    if engine.requests_per_minute:
        seconds = 60 * facts.rows / engine.requests_per_minute
        found.append((seconds, f"--rpm {engine.requests_per_minute:g}"))
    if engine.tokens_per_minute:
        tokens = facts.tokens.input + (facts.tokens.output or facts.tokens.output_most or 0)
        found.append((60 * tokens / engine.tokens_per_minute, f"--tpm {engine.tokens_per_minute:g}"))
    if facts.seconds is not None:
        seconds = facts.seconds * facts.rows / engine.concurrency
        found.append((seconds, f"{facts.seconds:.2g} s a reply so far, --concurrency {engine.concurrency}"))
    reasons = [reason for _, reason in sorted(found, reverse=True)[:1]]
    if facts.seconds is None:
        reasons.append(
            "how long a reply takes is not known before the first ones (try --max-rows 20); "
            f"--concurrency {engine.concurrency} goes out at once"
        )
    if not engine.requests_per_minute and not engine.tokens_per_minute and not facts.free:
        reasons.append("the server's rate limits are not known before it is asked (--rpm, --tpm)")
    return Duration(max(seconds for seconds, _ in found) if found else None, tuple(reasons))


def notes(facts: Facts, too_long: int) -> tuple[str, ...]:
    """What else to know, one sentence each."""
    return (
        *_about_rows(facts, too_long),
        *_about_model(facts),
        *_about_price(facts),
        *_about_prefix(facts),
    )


def _about_rows(facts: Facts, too_long: int) -> Iterator[str]:
    engine = facts.engine
    if facts.rows < facts.rows_left:
        yield (
            f"--max-rows {facts.rows:,} of {facts.rows_left:,}: the figures are for this run alone, "
            "and the same command goes on"
        )
    if engine.retries and facts.rows:
        yield (
            f"an unusable answer is asked for again, at most {engine.retries} times and each time with the "
            "whole conversation; this comes on top"
        )
    if too_long:
        yield (
            f"{too_long:,} prompts with a reply of {facts.tokens.output_most_row or 0:,} tokens may not fit "
            f"into the context of {facts.context:,} tokens"
        )
    if facts.tokens.problem and facts.rows and not getattr(facts.annotator, "immediate", False):
        yield facts.tokens.problem


def _about_model(facts: Facts) -> Iterator[str]:
    from ..annotators.retirement import sentence, warning

    model, most = facts.model, facts.tokens.output_most_row
    retires = getattr(facts.annotator, "retires", None)
    if retires:
        name = facts.annotator.model
        yield warning(name, retires) or sentence(name, retires)
    if model is None:
        return
    if model.most_output and most and most > model.most_output:
        yield f"{model.id} gives {model.most_output:,} tokens at most, fewer than --max-tokens {most:,}"
    if model.reasoning and most:
        yield (
            f"{model.id} thinks before it answers, which counts as output: --max-tokens {most:,} is the "
            "limit of both, and an answer cut off by it is unusable (--reasoning-effort low thinks less)"
        )


def _about_price(facts: Facts) -> Iterator[str]:
    if facts.free or not facts.rows:
        return
    annotator, budget = facts.annotator, facts.engine.budget
    if facts.model is None:
        yield (
            f"no price is known for {annotator.model!r}: give it with --prices FILE, a YAML file with "
            f"'models: [{{ids: [{annotator.model}], input: ..., output: ...}}]' in US dollars per million "
            "tokens, 0 for a server of your own"
        )
        if budget is not None:
            yield "a --budget needs a price"
        return
    if facts.tokens.output_most_row is None:
        yield "nothing limits the length of a reply, so nothing limits the cost: give --max-tokens"
    expected = facts.price.expected if facts.price else None
    if budget is None or not expected:
        return
    room = max(0.0, budget - facts.spent)
    if expected > room:
        yield (
            f"the budget of ${budget:g}, of which ${facts.spent:.4f} are spent, ends the run after about "
            f"{int(facts.rows * room / expected):,} of {facts.rows:,} rows"
        )


def _about_prefix(facts: Facts) -> Iterator[str]:
    shared, model = facts.tokens.shared, facts.model
    if not shared or getattr(facts.annotator, "immediate", False):
        return
    begins = f"all prompts begin with the same {shared:,} tokens"
    if model is None:
        if facts.annotator.model != "mock":
            yield f"{begins}, which a server that caches prompts reads once"
    elif model.cached_input < model.input and shared < _CACHED_FROM:
        yield f"{begins}; OpenAI's cache (cheaper input) begins at {_CACHED_FROM:,}"
    elif model.cached_input < model.input and not facts.batched:
        cached = shared // _CACHED_STEP * _CACHED_STEP * (facts.rows - 1)
        saved = cached * (model.input - model.cached_input) / 1e6
        yield f"{begins}; from OpenAI's cache they would cost up to ${saved:,.2f} less in all"
