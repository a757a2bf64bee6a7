"""What a request takes before it is sent: never less than it costs, whatever the text is made of."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remelt.annotators import AnnotatorOptions, create
from remelt.annotators.estimates import Estimator, output_limit
from remelt.annotators.known_models import find
from remelt.annotators.openai_plan import named_schema
from remelt.annotators.tokens import counting
from remelt.records import Message, canonical_json

from ..builders import SCHEMA, request

PRICE = find("gpt-4o-2024-08-06")
ODD = [
    "\x00\x01\x02\x7f",
    "\u200b\u200d\ufeff" * 5,
    "ﷺ" * 20,
    "👩‍👩‍👧‍👦🏳️‍🌈" * 4,
    "a\u0300\u0301\u0302" * 9,
    "𒐫𒈙𪚥" * 6,
    "\ud83d unpaired \udc00",
    "<|endoftext|><|im_start|>",
    " " * 300,
    "ÄÖÜß" * 30,
]


def asked(text: str, **changes: Any) -> Any:
    messages = (Message("system", "Label it."), Message("user", text))
    return request(0, messages=messages, parameters={"max_tokens": 50}, **changes)


def billed(text: str) -> int:
    """Tokens of the prompt as OpenAI's cookbook counts them, and of the schema."""
    encoding = tiktoken.get_encoding("o200k_base")
    count = 3
    for role, content in (("system", "Label it."), ("user", text)):
        sent = content.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        count += 3 + len(encoding.encode_ordinary(role)) + len(encoding.encode_ordinary(sent))
    return count + len(encoding.encode_ordinary(canonical_json(named_schema(SCHEMA))))


@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.text(st.characters(), max_size=200) | st.text(st.sampled_from("".join(ODD)), max_size=80))
def test_the_cost_is_never_more_than_estimated(encodings: Path, text: str) -> None:
    assert PRICE is not None
    one = asked(text)
    cost = Estimator(PRICE.id, PRICE).estimate(one, one.messages).cost
    assert cost is not None
    assert cost >= PRICE.cost(billed(text), 50)


@pytest.mark.parametrize("text", ODD)
def test_odd_text(encodings: Path, text: str) -> None:
    assert PRICE is not None
    one = asked(text)
    estimate = Estimator(PRICE.id, PRICE).estimate(one, one.messages)
    assert estimate.cost is not None
    assert estimate.cost >= PRICE.cost(billed(text), 50)


def test_counted_with_the_encoding_it_is_the_cookbooks_count(encodings: Path) -> None:
    text = "You liked it? You really liked it?"
    one = asked(text)
    estimator = Estimator("gpt-4o", PRICE, counter=counting("gpt-4o").count)
    estimate = estimator.estimate(one, one.messages)
    assert (estimate.input_tokens, estimate.output_tokens, estimate.exact) == (billed(text), 50, True)
    quick = Estimator("gpt-4o", PRICE).estimate(one, one.messages)
    assert not quick.exact
    assert quick.cost == estimate.cost
    assert quick.input_tokens == pytest.approx(estimate.input_tokens, rel=0.15)


def test_a_repair_turn_costs_more_than_the_first() -> None:
    one = asked("Hi.")
    estimator = Estimator("gpt-4o", PRICE)
    longer = (*one.messages, Message("assistant", "no JSON"), Message("user", "That was no JSON."))
    first, second = estimator.estimate(one, one.messages), estimator.estimate(one, longer)
    assert second.input_tokens > first.input_tokens
    assert second.cost is not None
    assert first.cost is not None
    assert second.cost > first.cost


def test_nobody_knows_the_cost_without_price_or_limit() -> None:
    one = asked("Hi.")
    assert Estimator("mine", None).estimate(one, one.messages).cost is None
    endless = dataclasses.replace(one, parameters={"temperature": 1.0})
    estimate = Estimator("gpt-4o", PRICE).estimate(endless, endless.messages)
    assert (estimate.cost, estimate.output_tokens) == (None, None)
    assert output_limit({"max_completion_tokens": 9}) == 9


def test_batch_and_schema_change_the_figures() -> None:
    one = asked("Hi.")
    plain = Estimator("gpt-4o", PRICE).estimate(one, one.messages)
    batch = Estimator("gpt-4o", PRICE, batch=True).estimate(one, one.messages)
    assert plain.cost is not None
    assert batch.cost == pytest.approx(plain.cost / 2)
    bare = Estimator("gpt-4o", PRICE, schema=False).estimate(one, one.messages)
    assert bare.input_tokens < plain.input_tokens


def test_two_schemas_are_not_mixed_up() -> None:
    estimator = Estimator("gpt-4o", PRICE)
    small, large = asked("Hi."), asked("Hi.", schema={**SCHEMA, "description": "x" * 400})
    sizes = [estimator.estimate(r, r.messages).input_tokens for r in (small, large, small)]
    assert sizes[0] == sizes[2]
    assert sizes[1] == sizes[0] + 104


def test_the_paid_annotators_have_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    one = asked("Hi.")
    online = create("openai/gpt-4o", AnnotatorOptions())
    batch = create("openai-batch/gpt-4o", AnnotatorOptions())
    costs = [a.estimate(one, one.messages).cost for a in (online, batch)]  # type: ignore[attr-defined]
    assert costs[1] == pytest.approx(costs[0] / 2)
    assert getattr(create("mock", AnnotatorOptions()), "estimate", None) is None
