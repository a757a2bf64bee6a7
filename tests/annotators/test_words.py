"""How an answer in words is asked for, scored and given log-probabilities by each kind of annotator."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt import answers
from remelt.annotators import AnnotatorOptions, create
from remelt.annotators.mock import Mock, parse_settings
from remelt.annotators.openai_plan import first_plan, named_schema
from remelt.annotators.soft_labels import Token, from_logprobs, of_reply
from remelt.labels import FENG
from remelt.records import Message, Request

from ..builders import request
from . import tiny_hf
from .test_openai_structure import Chat, completion

SCHEMA = answers.load_schema("option", FENG)
CHECKER = answers.Checker(SCHEMA, FENG)
_MISSING = [n for n in ("torch", "transformers", "llguidance") if importlib.util.find_spec(n) is None]


def ask(number: int = 0, **changes: Any) -> Request:
    said = f'What is the emotion of this utterance? "This is line {number}."\nOptions: -sad ANSWER:'
    return request(number, schema=SCHEMA, messages=(Message("user", said),), **changes)


# -- servers ------------------------------------------------------------------------------------------


async def test_the_plain_prompt_is_sent_where_nobody_chose_a_format() -> None:
    async with Chat(reply=completion("Sad.")).running() as chat:
        reply = await chat.answer(ask())
    [body] = chat.bodies
    assert set(body) == {"model", "messages", "temperature"}
    assert [m["role"] for m in body["messages"]] == ["user"]
    assert reply.means == "prompt"
    assert chat.annotator.notices == []
    assert CHECKER.check(ask(), reply).label == "sadness"


async def test_a_format_that_was_asked_for_is_sent() -> None:
    async with Chat(reply=completion('{"label": "angry"}')).running(answer_format="json_schema") as chat:
        reply = await chat.answer(ask())
    sent = chat.bodies[0]["response_format"]["json_schema"]["schema"]
    assert sent["properties"] == {"label": {"type": "string", "enum": list(FENG.prompt_order)}}
    assert not [name for name in sent if name.startswith("x-")]
    assert (reply.means, CHECKER.check(ask(), reply).label) == ("json_schema", "anger")


async def test_a_refusal_that_names_nothing_is_not_blamed_on_a_format_that_was_not_sent() -> None:
    async with Chat(refuse=lambda body: "no").running() as chat:
        with pytest.raises(Exception, match="no"):
            await chat.answer(ask())
    assert len(chat.bodies) == 1
    assert chat.annotator.notices == []


def test_a_batch_is_asked_in_the_same_way() -> None:
    plan, _ = first_plan("m", AnnotatorOptions())
    body = plan.body("m", ask(), ask().messages, 0, named_schema(SCHEMA))
    assert "response_format" not in body
    objects = request(0)
    assert "response_format" in plan.body("m", objects, objects.messages, 0, named_schema(objects.schema))


# -- log-probabilities --------------------------------------------------------------------------------


def token(text: str, *others: tuple[str, float], p: float = 1.0) -> Token:
    return Token(text.encode(), tuple((t.encode(), math.log(q)) for t, q in ((text, p), *others)))


def believed(*tokens: Token, schema: Any = SCHEMA) -> dict[str, float]:
    raw = b"".join(t.text for t in tokens).decode()
    return {label: math.exp(p) for label, p in of_reply(raw.strip(), tokens, schema).items()}


def test_the_words_token_tells_of_all_labels_by_their_own_names() -> None:
    choice = token(" Sad", (" happy", 0.2), ("sad", 0.1), ("-angry", 0.05), (" The", 0.05), p=0.6)
    assert believed(choice, token(".")) == pytest.approx({"sadness": 0.7, "joy": 0.2, "anger": 0.05})


def test_words_of_several_tokens_and_text_before_them() -> None:
    head = (token("It"), token(" is"), token(" "))
    first = token("h", ("n", 0.25), p=0.75)
    assert believed(*head, first, token("appy"), token("!")) == pytest.approx({"joy": 0.75, "neutral": 0.25})


@pytest.mark.parametrize("ends", [(), (token("."),), (token(" I"),), (token("\n"),)])
def test_a_word_that_begins_another_ends_where_it_ends(ends: tuple[Token, ...]) -> None:
    schema = {**SCHEMA, "properties": {"label": {"enum": ["sad", "sadder", "joy"]}}, "x-remelt-spellings": {}}
    found = believed(token("sad", ("joy", 0.2), p=0.8), *ends, schema=schema)
    assert found == pytest.approx({"sad": 0.8, "joy": 0.2})


def test_what_is_thought_is_not_what_is_said() -> None:
    choice = token(" angry", (" sad", 0.4), p=0.6)
    found = believed(token("<think>"), token("sad", ("happy", 0.5), p=0.5), token("</think>"), choice)
    assert found == pytest.approx({"anger": 0.6, "sadness": 0.4})


def test_an_object_among_words_is_read_as_one() -> None:
    found = believed(token('{"label":'), token(' "sad', (' "happy', 0.3), p=0.7), token('"}'))
    assert found == pytest.approx({"sadness": 0.7, "joy": 0.3})


def test_no_option_no_belief() -> None:
    assert believed(token("frustrated")) == {}


def test_the_servers_form() -> None:
    content = [
        {"token": " angry", "logprob": -0.1, "top_logprobs": [{"token": " sad", "logprob": -2.5}]},
    ]
    assert json.loads(from_logprobs({"content": content}, "angry", SCHEMA)) == {
        "anger": -0.1, "sadness": -2.5
    }  # fmt: skip


@given(st.lists(st.sampled_from([" ", "sad", "s", "ad", "-", "happy", "\n", "é", "."]), max_size=6))
def test_whatever_is_said_shares_are_no_more_than_one(parts: list[str]) -> None:
    shares = believed(*(token(part) for part in parts))
    assert sum(shares.values()) <= 1 + 1e-9


# -- the mock -----------------------------------------------------------------------------------------


async def test_the_mock_answers_in_words_well_and_badly() -> None:
    good = Mock("mock", parse_settings("odd=0.5"))
    for n in range(30):
        reply = await good.answer(ask(n), ask(n).messages, 0)
        assert not reply.raw.startswith("{")
        assert CHECKER.check(ask(n), reply).status == "valid"
    bad = Mock("mock", parse_settings("invalid=1"))
    seen = set()
    for n in range(30):
        reply = await bad.answer(ask(n), ask(n).messages, 0)
        verdict = CHECKER.check(ask(n), reply)
        assert verdict.status == "invalid"
        seen.add(verdict.problems[0].partition(":")[0][:40])
    assert len(seen) > 2


# -- models in this process ---------------------------------------------------------------------------


@pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")
async def test_a_model_in_this_process_writes_words_or_scores_them(tmp_path: Path) -> None:
    folder = tiny_hf.save(tmp_path / "tiny")
    replies = {}
    for way in ("auto", "grammar", "scoring-plain"):
        model = create(f"hf/{folder}", AnnotatorOptions(answer_format=way, device="cpu", logprobs=True))
        await model.start()
        try:
            asked = ask(parameters={"max_tokens": 12, "temperature": 0.0})
            replies[way] = await model.answer(asked, asked.messages, 0)
        finally:
            await model.close()
    assert replies["auto"].means == "prompt"
    assert (replies["grammar"].means, replies["grammar"].raw[:10]) == ("grammar", '{"label": ')
    scored = replies["scoring-plain"]
    assert scored.raw in FENG.prompt_order
    logs = json.loads(scored.label_logprobs)
    assert set(logs) == set(FENG.labels)
    assert max(logs, key=lambda label: logs[label]) == CHECKER.check(ask(), scored).label
    assert sum(map(math.exp, logs.values())) == pytest.approx(1, abs=1e-4)
