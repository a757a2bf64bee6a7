"""How an answer's structure, log-probabilities and reasoning are asked of a server, and what comes back."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remelt import answers
from remelt.annotators import AnnotatorOptions
from remelt.annotators.openai_chat import OpenAIChat
from remelt.annotators.openai_plan import GRAMMAR_FIELDS, first_plan, named_schema
from remelt.errors import AnnotatorError
from remelt.labels import MELT
from remelt.records import Reply, Request

from ..builders import SCHEMA, request

ANSWER = '{"label": "Joy"}'
MODEL = "gpt-5-mini"

Body = dict[str, Any]


def completion(content: str | None = ANSWER, finish: str = "stop", **more: Any) -> Body:
    """A chat completion; `message`, `choice` and `usage` are added to its parts."""
    message = {"role": "assistant", "content": content, **more.get("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": finish, **more.get("choice", {})}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, **more.get("usage", {})}
    return {"model": "m", "choices": [choice], "usage": usage}


class Chat:
    """A chat annotator and the bodies that its server was sent.

    Args:
        refuse: a sentence for a body that the server does not take, else an empty one.
        reply: the completion it answers with.
    """

    def __init__(self, refuse: Callable[[Body], str] = lambda body: "", reply: Body | None = None) -> None:
        self.refuse, self.reply, self.bodies = refuse, reply or completion(), list[Body]()
        self.annotator: OpenAIChat

    async def answer(self, asked: Request, attempt: int = 0) -> Reply:
        return await self.annotator.answer(asked, asked.messages, attempt)

    async def _chat(self, got: web.Request) -> web.Response:
        body = await got.json()
        self.bodies.append(body)
        if message := self.refuse(body):
            return web.json_response({"error": {"message": message, "param": None}}, status=400)
        return web.json_response(self.reply)

    @asynccontextmanager
    async def running(self, model: str = "m", **options: Any) -> AsyncIterator[Chat]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        async with TestServer(app) as server:
            address = AnnotatorOptions(base_url=str(server.make_url("/v1")), **options)
            self.annotator = OpenAIChat(f"openai/{model}", model, address)
            try:
                yield self
            finally:
                await self.annotator.close()


def unknown(*names: str) -> Callable[[Body], str]:
    """Refuses these fields as OpenAI's servers do, all of them in one sentence."""

    def refuse(body: Body) -> str:
        found = [name for name in names if name in body]
        return f"Unrecognized request arguments supplied: {', '.join(found)}" if found else ""

    return refuse


# -- structure ----------------------------------------------------------------------------------------


async def test_grammar_is_asked_for_in_the_words_of_llama_cpp_and_vllm() -> None:
    async with Chat().running(answer_format="grammar") as chat:
        reply = await chat.answer(request(0))
    body, plain = chat.bodies[0], named_schema(SCHEMA)["schema"]
    assert (reply.means, reply.detail) == ("grammar", "")
    assert "response_format" not in body
    assert body["json_schema"] == body["guided_json"] == body["structured_outputs"]["json"] == plain
    assert "x-remelt" not in json.dumps(body)


async def test_of_the_grammar_fields_one_must_be_taken() -> None:
    async with Chat(unknown("guided_json", "json_schema")).running(answer_format="grammar") as chat:
        reply = await chat.answer(request(0))
        assert (await chat.answer(request(1))).tries == 1
    assert set(chat.bodies[-1]) & set(GRAMMAR_FIELDS) == {"structured_outputs"}
    assert (reply.means, reply.tries) == ("grammar", 3)
    assert "sent without guided_json" in reply.detail
    async with Chat(unknown(*GRAMMAR_FIELDS)).running(answer_format="grammar") as chat:
        with pytest.raises(AnnotatorError, match="does not take the answer format 'grammar'"):
            await chat.answer(request(0))
    assert len(chat.bodies) == 3


def no_schema(body: Body) -> str:
    asked = body.get("response_format", {})
    if asked.get("type") == "json_schema":
        return "This model does not support response_format json_schema."
    return "Unknown parameter: 'response_format.schema'." if "schema" in asked else ""


@pytest.mark.parametrize("asked_for", ["auto", "json_object"])
async def test_json_object_has_the_schema_where_the_server_takes_it(asked_for: str) -> None:
    plain = named_schema(SCHEMA)["schema"]
    async with Chat().running(answer_format="json_object") as chat:
        reply = await chat.answer(request(0))
    assert chat.bodies[0]["response_format"] == {"type": "json_object", "schema": plain}
    assert (reply.means, reply.detail) == ("json_object", "json_object sent with the schema")
    async with Chat(no_schema).running(answer_format=asked_for) as chat:
        reply = await chat.answer(request(0))
        notices = chat.annotator.notices
    assert chat.bodies[-1]["response_format"] == {"type": "json_object"}
    assert (reply.means, reply.detail, reply.tries) == ("json_object", "", 3 if asked_for == "auto" else 2)
    assert "refuses json_object with a schema" in notices[-1]


async def test_a_server_that_says_nothing_of_why_is_asked_without_the_schema() -> None:
    def refuse(body: Body) -> str:
        return "Bad request." if "schema" in json.dumps(body.get("response_format", {})) else ""

    async with Chat(refuse).running(answer_format="json_object") as chat:
        assert (await chat.answer(request(0))).means == "json_object"
    async with Chat(refuse).running() as chat:
        assert (await chat.answer(request(0))).means == "json_object"
    assert len(chat.bodies) == 3


async def test_fields_are_asked_for_in_the_schemas_order() -> None:
    schema = answers.load_schema("melt-reasoning", MELT)
    async with Chat().running() as chat:
        await chat.answer(request(0, schema=schema))
    sent = chat.bodies[0]["response_format"]["json_schema"]["schema"]
    assert list(sent["properties"]) == ["character", "context", "reasoning", "elements"]
    assert list(sent["properties"]["elements"]["properties"])[-1] == "emotion"
    assert "x-remelt" not in json.dumps(sent)


# -- log-probabilities --------------------------------------------------------------------------------

LOGPROBS = {
    "content": [
        {"token": '{"label": "', "logprob": 0.0, "top_logprobs": []},
        {
            "token": "Joy",
            "logprob": -0.25,
            "top_logprobs": [{"token": "Joy", "logprob": -0.25}, {"token": "Ang", "logprob": -2.0}],
        },
        {"token": '"}', "logprob": 0.0, "top_logprobs": []},
    ]
}


async def test_log_probabilities_of_the_label_are_kept() -> None:
    reply = completion(choice={"logprobs": LOGPROBS})
    async with Chat(reply=reply).running(logprobs=True) as chat:
        first, repaired = await chat.answer(request(0)), await chat.answer(request(0), 1)
        prefilled = await chat.answer(request(1, prefill='{"lab'))
    assert (chat.bodies[0]["logprobs"], chat.bodies[0]["top_logprobs"]) == (True, 20)
    assert {r.label_logprobs for r in (first, repaired, prefilled)} == {'{"anger":-2.0,"joy":-0.25}'}
    async with Chat(reply=completion(choice={"logprobs": None})).running() as chat:
        assert (await chat.answer(request(0))).label_logprobs == ""
    assert not {"logprobs", "top_logprobs"} & set(chat.bodies[0])


async def test_log_probabilities_after_a_prefill() -> None:
    content = [{"token": "Fe", "logprob": -0.5, "top_logprobs": []}, {"token": 'ar"}', "logprob": 0.0}]
    schema = {**SCHEMA, "properties": {"label": {"enum": ["Fear", "Joy"]}}}
    reply = completion('Fear"}', choice={"logprobs": {"content": content}})
    async with Chat(reply=reply).running(logprobs=True, answer_format="prefill") as chat:
        found = await chat.answer(request(0, schema=schema, prefill='{"label": "'))
    assert (found.means, found.label_logprobs) == ("prefill", '{"fear":-0.5}')


@pytest.mark.parametrize(
    ("message", "alternatives"),
    [
        ("Requested sample logprobs of 20, which is greater than max allowed: 5", 5),
        ("Invalid 'top_logprobs': integer above maximum value. Expected a value <= 5.", 5),
        ("'logprobs' is not supported with this model.", 0),
        ("Unrecognized request arguments supplied: logprobs, top_logprobs", 0),
    ],
)
async def test_refused_log_probabilities_are_fewer_or_left_out(message: str, alternatives: int) -> None:
    def refuse(body: Body) -> str:
        return message if body.get("top_logprobs", 0) > alternatives else ""

    async with Chat(refuse).running(logprobs=True) as chat:
        reply = await chat.answer(request(0))
        assert (reply.means, reply.tries) == ("json_schema", 2)
        assert chat.bodies[-1].get("top_logprobs", 0) == alternatives
        assert ("logprobs" in chat.bodies[-1]) == bool(alternatives)
        assert reply.detail == ("" if alternatives else "sent without logprobs")
        assert message in chat.annotator.notices[0]


async def test_a_server_without_any_log_probabilities_is_asked_a_third_time() -> None:
    def refuse(body: Body) -> str:
        return "Invalid value for logprobs." if "logprobs" in body else ""

    async with Chat(refuse).running(logprobs=True) as chat:
        assert (await chat.answer(request(0))).tries == 3


# -- reasoning ----------------------------------------------------------------------------------------


def as_openai(body: Body) -> str:
    """What the reasoning models of OpenAI refuse."""
    for name in ("temperature", "top_p"):
        if name in body:
            return f"Unsupported parameter: '{name}' is not supported with this model."
    return "Unsupported parameter: 'max_tokens'. Use another." if "max_tokens" in body else ""


async def test_a_known_reasoning_model_is_asked_right_at_once() -> None:
    asked = request(0, parameters={"temperature": 1.0, "max_tokens": 900, "reasoning_effort": "low"})
    usage = {"completion_tokens": 80, "total_tokens": 180}
    details = {
        "completion_tokens_details": {"reasoning_tokens": 64},
        "prompt_tokens_details": {"cached_tokens": 40},
    }
    async with Chat(as_openai, completion(usage={**usage, **details})).running(MODEL) as chat:
        reply = await chat.answer(asked)
        price = chat.annotator._price
        assert len(chat.annotator.notices) == 1
        assert "temperature and top_p are not sent" in chat.annotator.notices[0]
    (body,) = chat.bodies
    assert (body["max_completion_tokens"], body["reasoning_effort"]) == (900, "low")
    assert not {"temperature", "top_p", "max_tokens"} & set(body)
    assert reply.detail == "sent without temperature; max_tokens sent as max_completion_tokens"
    assert (reply.output_tokens, reply.reasoning_tokens, reply.cached_tokens) == (80, 64, 40)
    assert price is not None
    expected = (60 * price.input + 40 * price.cached_input + 80 * price.output) / 1e6
    assert reply.cost == pytest.approx(expected)


async def test_nothing_is_told_of_what_was_not_asked() -> None:
    async with Chat(as_openai).running(MODEL) as chat:
        assert (await chat.answer(request(0, parameters={"max_tokens": None}))).detail == ""
    assert first_plan("m", AnnotatorOptions())[1] == []


async def test_a_server_of_an_older_make_gets_the_older_name() -> None:
    def refuse(body: Body) -> str:
        found = "max_completion_tokens" in body
        return "max_completion_tokens: Extra inputs are not permitted" if found else ""

    asked = request(0, parameters={"max_tokens": 900})
    async with Chat(refuse).running(MODEL) as chat:
        assert (await chat.answer(asked)).tries == 2
    assert chat.bodies[-1]["max_tokens"] == 900
    async with Chat(unknown("max_tokens", "max_completion_tokens")).running() as chat:
        assert (await chat.answer(asked)).detail == "sent without max_tokens"
    assert len(chat.bodies) == 3


@pytest.mark.parametrize(
    ("usage", "output", "reasoning"),
    [
        ({"completion_tokens_details": {"reasoning_tokens": 4}}, 10, 4),
        ({"completion_tokens_details": {"reasoning_tokens": 40}}, 50, 40),
        ({"completion_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 114}, 14, 4),
        ({"completion_tokens_details": {"reasoning_tokens": 0}}, 10, 0),
        ({"completion_tokens_details": None}, 10, None),
    ],
)
async def test_reasoning_is_paid_for_as_output(usage: Body, output: int, reasoning: int | None) -> None:
    async with Chat(reply=completion(usage=usage)).running("gpt-4o") as chat:
        reply = await chat.answer(request(0))
    assert (reply.output_tokens, reply.reasoning_tokens) == (output, reasoning)
    assert reply.cost == pytest.approx((100 * 2.5 + output * 10) / 1e6)


@pytest.mark.parametrize(
    "spent",
    [
        completion(None, "length", usage={"completion_tokens_details": {"reasoning_tokens": 10}}),
        completion("", "length", message={"reasoning_content": "Let me think about"}),
        completion(None, "length", message={"reasoning": "Let me think about"}),
    ],
)
async def test_reasoning_that_ate_the_budget_is_named(spent: Body) -> None:
    asked = request(0)
    async with Chat(reply=spent).running() as chat:
        reply = await chat.answer(asked)
    verdict = answers.Checker(SCHEMA, MELT).check(asked, reply)
    assert verdict.problems == ("all 10 output tokens went into reasoning; raise --max-tokens",)


async def test_thoughts_beside_the_answer_are_no_part_of_it() -> None:
    thought = completion(message={"reasoning_content": 'Perhaps {"label": "Anger"}?'})
    async with Chat(reply=thought).running() as chat:
        reply = await chat.answer(request(0))
    assert (reply.raw, reply.reasoning_tokens) == (ANSWER, None)
    inside = f'<think>Perhaps {{"label": "Anger"}}?</think>\n{ANSWER}'
    async with Chat(reply=completion(inside)).running() as chat:
        reply = await chat.answer(request(0))
    assert reply.raw == inside
    verdict = answers.Checker(SCHEMA, MELT).check(request(0), reply)
    assert (verdict.label, verdict.notes) == ("joy", ("think_block",))


@pytest.mark.parametrize("prompt", ["melt", "melt-general", "melt-context", "melt-levels", "melt-reasoning"])
def test_a_prompt_shows_the_json_that_it_wants(prompt: str) -> None:
    """By json_object, prefill and prompt the model knows the structure from the prompt alone."""
    from remelt import prompting

    loaded = prompting.load(prompt)
    system = dict(loaded.sections)["system"]
    shown = json.loads(re.search(r"^\{.*^\}", system, re.MULTILINE | re.DOTALL)[0])  # type: ignore[index]
    properties = answers.load_schema(loaded.schema, MELT)["properties"]
    assert list(shown) == list(properties)
    assert list(shown["elements"]) == list(properties["elements"]["properties"])
    assert "{{ labels }}" in system
