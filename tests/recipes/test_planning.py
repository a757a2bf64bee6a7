"""A plan's figures, checked against tiktoken, the price list, and what the build then does."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import tiktoken

import remelt
from remelt.annotators import AnnotatorOptions
from remelt.annotators.openai_plan import named_schema
from remelt.engine import EngineOptions
from remelt.errors import InputError, Interrupted
from remelt.recipes.melt import MeltOptions, build, plan
from remelt.recipes.planning import BuildPlan, sample_answer
from remelt.records import canonical_json
from remelt.resources import read

from ..builders import write_meld
from ..servers import ChatServer

MODEL = "gpt-4o-2024-08-06"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_meld(tmp_path / "corpus", 60)


def options(corpus: Path, out: Path, annotator: str = f"openai/{MODEL}", **changes: Any) -> MeltOptions:
    connection = AnnotatorOptions(**changes.pop("connection", {}))
    engine = EngineOptions(**changes.pop("engine", {}))
    values = {"splits": ("train",), "profile": "clean", **changes}
    return MeltOptions(str(corpus), out, annotator, engine=engine, connection=connection, **values)


def files(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def sent_tokens(found: BuildPlan) -> int:
    """The prompts' tokens by the cookbook's rule and tiktoken itself, and the schema's with each."""
    encoding = tiktoken.get_encoding("o200k_base")
    schema = json.loads(read("schemas", "melt.json"))
    schema["properties"]["elements"]["properties"]["emotion"]["enum"] = [
        "Anger", "Disgust", "Sadness", "Joy", "Neutral", "Surprise", "Fear",
    ]  # fmt: skip
    each = len(encoding.encode(canonical_json(named_schema(schema)))) + 3
    total = 0
    for shown in found.prompts:
        total += each
        for message in shown.messages:
            total += 3 + len(encoding.encode(message.role)) + len(encoding.encode(message.content))
    return total


def test_tokens_and_prices_by_hand(corpus: Path, tmp_path: Path, encodings: Path) -> None:
    found = plan(options(corpus, tmp_path / "out"), show=1000)
    assert found.rows == found.rows_left == found.rows_now == len(found.prompts) > 40
    tokens = found.tokens
    assert (tokens.encoding, tokens.problem) == ("o200k_base", "")
    assert tokens.input == sent_tokens(found)
    assert tokens.shared < tokens.input / found.rows
    assert any(f"begin with the same {tokens.shared:,} tokens" in note for note in found.notes)
    assert tokens.output_most == 512 * found.rows
    assert tokens.output is not None
    assert 0 < tokens.output < tokens.output_most
    assert found.price is not None
    assert found.batch_price is not None
    most = (tokens.input * 2.5 + tokens.output_most * 10) / 1e6
    assert found.price.most == pytest.approx(most)
    assert found.price.expected == pytest.approx((tokens.input * 2.5 + tokens.output * 10) / 1e6)
    assert found.batch_price.most == pytest.approx(most / 2)
    assert any("switched off on 2027-01-14" in note for note in found.notes)
    assert found.context == 128000
    assert not found.too_long
    assert not (tmp_path / "out").exists()


def test_without_the_encoding_it_is_called_an_estimate(
    corpus: Path, tmp_path: Path, no_encodings: None
) -> None:
    found = plan(options(corpus, tmp_path / "out"))
    assert found.tokens.encoding is None
    assert any("tokens are estimated" in note for note in found.notes)
    size = sum(len(m.content.encode()) for shown in found.prompts for m in shown.messages)
    assert found.tokens.input / found.rows == pytest.approx(size / 3 / 4 + 11 + 190, rel=0.1)


def test_three_prompts_spread_over_the_rows(corpus: Path, tmp_path: Path) -> None:
    everything = [s.utterance_id for s in plan(options(corpus, tmp_path / "out"), show=1000).prompts]
    three = [s.utterance_id for s in plan(options(corpus, tmp_path / "out")).prompts]
    assert three == [everything[0], everything[round((len(everything) - 1) / 2)], everything[-1]]
    assert plan(options(corpus, tmp_path / "out"), show=0).prompts == ()
    with pytest.raises(InputError, match="Bad number of prompts"):
        plan(options(corpus, tmp_path / "out"), show=-1)


def test_a_partial_build_is_looked_up_and_left_alone(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        build(options(corpus, out, "mock", engine={"max_rows": 20}))
    before = files(out)
    found = plan(options(corpus, out, "mock"))
    assert files(out) == before
    assert (found.answered, found.rows_left) == (20, found.rows - 20)
    assert found.free
    assert found.price is None
    other = plan(options(corpus, out, "mock", temperature=0.5))
    assert other.answered == 0
    build(options(corpus, out, "mock"))
    done = plan(options(corpus, out, "mock"))
    assert (done.rows_left, done.tokens.input, done.answered) == (0, 0, done.rows)


def test_replies_so_far_tell_length_time_and_cost(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    with ChatServer(faults={"off_list": 0.3}) as server:
        settings: dict[str, Any] = {"connection": {"base_url": server.url}}
        with pytest.raises(Interrupted):
            build(options(corpus, tmp_path / "out", engine={"max_rows": 20, "retries": 0}, **settings))
        asked = len(server.asked)
        found = plan(options(corpus, tmp_path / "out", engine={"retries": 0}, **settings))
        again = plan(options(corpus, tmp_path / "out", engine={"retries": 2}, **settings))
        assert len(server.asked) == asked
    assert found.answered == 20
    assert found.repairs == 0
    assert again.repairs == 20 - again.answered > 0
    assert found.spent > 0
    assert found.tokens.output_basis == "as the replies so far"
    assert found.duration.seconds is not None
    assert "s a reply so far" in found.duration.reasons[0]


def test_limits_and_caps(corpus: Path, tmp_path: Path, encodings: Path) -> None:
    engine = {"requests_per_minute": 6.0, "max_rows": 30, "budget": 0.02}
    found = plan(options(corpus, tmp_path / "out", engine=engine))
    assert (found.rows_now, found.rows_left) == (30, found.rows)
    assert found.duration.seconds == pytest.approx(300)
    assert found.duration.reasons[0] == "--rpm 6"
    assert found.tokens.output is not None
    assert found.price is not None
    assert found.price.expected is not None
    fits = int(30 * 0.02 / found.price.expected)
    assert any(f"after about {fits} of 30 rows" in note for note in found.notes)
    by_tokens = plan(options(corpus, tmp_path / "out", engine={"tokens_per_minute": 1000.0}))
    assert by_tokens.tokens.output is not None
    sent = by_tokens.tokens.input + by_tokens.tokens.output
    assert by_tokens.duration.seconds == pytest.approx(60 * sent / 1000)


def test_an_unknown_model_asks_for_prices(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = plan(options(corpus, out, "openai/my-model"))
    assert (found.price, found.batch_price, found.free) == (None, None, False)
    assert any("no price is known for 'my-model': give it with --prices FILE" in n for n in found.notes)
    with pytest.raises(InputError, match="--prices FILE"):
        build(options(corpus, out, "openai/my-model", engine={"budget": 1.0}))
    assert not out.exists()
    prices = tmp_path / "prices.yaml"
    prices.write_text("models: [{ids: [my-model], input: 0, output: 0, context: 600}]\n", encoding="utf-8")
    given = plan(options(corpus, out, "openai/my-model", connection={"prices": prices}))
    assert given.price is not None
    assert (given.price.expected, given.price.most, given.batch_price) == (0.0, 0.0, None)
    assert given.context == 600
    assert len(given.too_long) == given.rows
    assert any("may not fit into the context of 600 tokens" in note for note in given.notes)


def test_a_budget_needs_a_limit_of_the_reply(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--max-tokens"):
        build(options(corpus, tmp_path / "out", max_tokens=None, engine={"budget": 1.0}))
    found = plan(options(corpus, tmp_path / "out", max_tokens=None))
    assert found.price is not None
    assert found.price.most is None
    assert any("give --max-tokens" in note for note in found.notes)


def test_a_batch_is_priced_as_such(corpus: Path, tmp_path: Path) -> None:
    found = plan(options(corpus, tmp_path / "out", f"openai-batch/{MODEL}"))
    assert found.batched
    assert found.price is not None
    assert found.batch_price is not None
    assert found.price.expected is not None
    assert found.batch_price.expected == pytest.approx(found.price.expected / 2)
    assert "24 hours" in found.duration.reasons[0]


def test_reasoning_models_are_not_guessed_at(corpus: Path, tmp_path: Path) -> None:
    found = plan(options(corpus, tmp_path / "out", "openai/o3", reasoning_effort="low"))
    assert found.tokens.output is None
    assert found.price is not None
    assert found.price.expected is None
    assert found.price.most is not None
    assert any("thinks before it answers" in note for note in found.notes)


def test_the_reasoning_effort_is_sent(corpus: Path, tmp_path: Path) -> None:
    with ChatServer() as server:
        changes: dict[str, Any] = {"connection": {"base_url": server.url}, "limit": 2}
        build(options(corpus, tmp_path / "out", "openai/m", reasoning_effort="low", **changes))
        assert {body["reasoning_effort"] for body in server.bodies} == {"low"}


def test_another_recipes_folder_is_refused(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        build(options(corpus, out, "mock", engine={"max_rows": 2}))
    (out / ".remelt" / "build.json").write_text('{"recipe": "other"}', encoding="utf-8")
    with pytest.raises(InputError, match="belongs to recipe 'other'"):
        plan(options(corpus, out, "mock"))


def test_from_python(corpus: Path, tmp_path: Path) -> None:
    found = remelt.plan_melt(options(corpus, tmp_path / "out"))
    assert isinstance(found, remelt.BuildPlan)
    assert json.loads(json.dumps(found.as_dict()))["out"] == os.fspath(tmp_path / "out")


def test_a_sample_answer_has_the_schemas_form() -> None:
    schema = {
        "properties": {
            "a": {"type": "string", "x-remelt-max-length": 20},
            "b": {"type": "array", "items": {"type": "integer"}},
            "c": {"type": "boolean"},
        }
    }
    assert sample_answer(schema) == {"a": "calm and a", "b": [1], "c": True}
