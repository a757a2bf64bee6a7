"""The chat annotator against a real server: answers, unusable answers, and what a server does not take."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from held_server import HeldServer
from openai_requests import SCHEMA, ask, ask_all, chat, make, until
from remelt.annotators.openai_plan import named_schema
from remelt.errors import AnnotatorError, TransientError
from remelt.records import Message, Reply
from servers import ChatServer, prompt_hash

# -- a good answer --------------------------------------------------------------------------------


async def test_answer_is_recorded_as_it_came() -> None:
    with ChatServer() as server:
        annotator = chat(server, model="gpt-4o-2024-08-06")
        await annotator.start()
        request = make(temperature=1.0, seed=7, top_p=None)
        reply = await ask(annotator, request)
    assert json.loads(reply.raw)["character"] == "Ross"
    assert (reply.request_key, reply.utterance_id, reply.attempt) == (request.key, request.utterance.id, 0)
    assert (reply.model, reply.means, reply.failure) == ("gpt-4o-2024-08-06", "json_schema", "")
    assert (reply.detail, reply.finish_reason, reply.tries) == ("", "stop", 1)
    assert reply.input_tokens
    assert reply.output_tokens
    assert reply.cost == pytest.approx((reply.input_tokens * 2.5 + reply.output_tokens * 10) / 1e6)
    assert reply.created.endswith("Z")
    assert reply.seconds > 0
    assert annotator.notices == []
    body = server.bodies[0]
    assert (body["temperature"], body["seed"]) == (1.0, 7)
    assert "top_p" not in body
    assert [m["role"] for m in body["messages"]] == ["system", "user"]


async def test_schema_is_strict_and_free_of_our_own_keys() -> None:
    with ChatServer() as server:
        await ask(chat(server), make())
        sent = server.bodies[0]["response_format"]["json_schema"]
    assert (sent["name"], sent["strict"]) == ("melt", True)
    assert "x-remelt" not in json.dumps(sent)
    assert sent["schema"]["properties"] == SCHEMA["properties"]


def test_schema_keeps_properties_that_are_called_like_keywords() -> None:
    named = named_schema({"type": "object", "properties": {"x-remelt-a": {}, "$id": {"title": "t"}}})
    assert named["schema"]["properties"] == {"x-remelt-a": {}, "$id": {}}
    assert named["name"] == "answer"


async def test_repair_turns_get_another_seed_and_the_whole_conversation() -> None:
    request = make(seed=7)
    messages = (*request.messages, Message("assistant", "no"), Message("user", "Again."))
    with ChatServer() as server:
        annotator = chat(server)
        reply = await annotator.answer(request, messages, 2)
        await annotator.close()
        assert server.bodies[0]["seed"] == 9
        assert [m["content"] for m in server.bodies[0]["messages"][2:]] == ["no", "Again."]
        assert server.asked[0]["turn"] == 1
    assert reply.attempt == 2


async def test_unknown_model_has_no_cost_and_missing_usage_no_tokens() -> None:
    with ChatServer(faults={"no_usage": 1}) as server:
        reply = await ask(chat(server, model="gpt-4o-mini"), make())
    assert (reply.input_tokens, reply.output_tokens, reply.cost) == (None, None, None)
    with ChatServer() as server:
        assert (await ask(chat(server, model="my-model"), make())).cost is None


async def test_as_many_connections_as_asked_for() -> None:
    with HeldServer() as server:
        annotator = chat(server, concurrency=40, timeout=60)
        await ask(annotator, make())
        server.may_answer = lambda: server.peak == 40
        replies = await ask_all(annotator, 40)
        assert server.peak == 40
    assert all(isinstance(r, Reply) for r in replies)


# -- replies that are no good, but replies ---------------------------------------------------------


async def test_refusals_are_replies() -> None:
    with ChatServer(faults={"refusal": 1}) as server:
        reply = await ask(chat(server), make())
    assert (reply.failure, reply.detail) == ("refused", "I can't help with that.")
    with ChatServer(faults={"content_filter": 1}) as server:
        reply = await ask(chat(server), make())
    assert (reply.failure, reply.finish_reason) == ("refused", "content_filter")
    assert "filter" in reply.detail


@pytest.mark.parametrize(
    ("fault", "holds"),
    [
        ("length", lambda r: r.finish_reason == "length" and r.raw.startswith('{"character"')),
        ("off_list", lambda r: "Frustration" in r.raw),
        ("wrong_character", lambda r: "Gandalf" in r.raw),
        ("invalid_json", lambda r: r.raw.count("{") > r.raw.count("}")),
        ("missing_field", lambda r: "elements" not in r.raw),
        ("fences", lambda r: r.raw.startswith("```json") and r.raw.endswith("```")),
        ("text_around", lambda r: r.raw.startswith("Here is")),
        ("null_content", lambda r: r.raw == ""),
        ("parts", lambda r: json.loads(r.raw)["character"] == "Ross"),
        ("surrogate", lambda r: "\ufffd" in r.raw and r.raw.encode("utf-8")),
    ],
)
async def test_unusable_replies_are_for_the_check_to_judge(
    fault: str, holds: Callable[[Reply], bool]
) -> None:
    with ChatServer(faults={fault: 1}) as server:
        reply = await ask(chat(server), make())
    assert reply.failure == ""
    assert holds(reply), reply.raw


async def test_text_that_json_cannot_carry_is_still_sent() -> None:
    request = make()
    messages = (Message("user", 'half a smile \ud83d \x00 {"braces": 1}'),)
    with ChatServer() as server:
        annotator = chat(server)
        assert (await annotator.answer(request, messages, 0)).failure == ""
        await annotator.close()
        assert server.bodies[0]["messages"][0]["content"] == 'half a smile \ufffd \x00 {"braces": 1}'


# -- what the server does not take -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("rejects", "means", "tries"),
    [
        (("json_schema",), "json_object", 2),
        (("unnamed_json_schema",), "json_object", 2),
        (("json_schema", "json_object"), "prompt", 3),
        (("unnamed_json_schema", "json_object"), "prompt", 3),
    ],
)
async def test_answer_format_falls_back_for_the_run(rejects: tuple[str, ...], means: str, tries: int) -> None:
    with ChatServer(rejects=rejects) as server:
        annotator = chat(server)
        first = await annotator.answer(make(), make().messages, 0)
        second = await ask(annotator, make(1))
        assert len(server.asked) == tries + 1
    assert (first.means, first.tries, second.means, second.tries) == (means, tries, means, 1)
    assert len(annotator.notices) == tries - 1
    assert "json_schema" in annotator.notices[0]


@pytest.mark.parametrize("latency", [0.0, 0.05])
async def test_sixty_four_first_requests_negotiate_once(
    latency: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remelt.annotators.openai_chat._HEAD_START", 60)
    rejects = ("json_schema", "json_object", "temperature", "max_tokens", "seed")
    with ChatServer(rejects=rejects, latency=latency) as server:
        annotator = chat(server, concurrency=64)
        replies = await ask_all(annotator, 64, temperature=0.3, max_tokens=99, seed=1)
        refused = sum(a["status"] == 400 for a in server.asked)
        sent = server.bodies[-1]
    assert all(isinstance(r, Reply) and r.means == "prompt" for r in replies)
    assert refused == 5
    assert len(annotator.notices) == 5
    assert sent["max_completion_tokens"] == 99
    assert not {"temperature", "max_tokens", "seed", "response_format"} & set(sent)


async def test_requests_that_did_not_wait_still_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remelt.annotators.openai_chat._HEAD_START", 0)
    with ChatServer(rejects=("json_schema", "json_object", "seed")) as server:
        annotator = chat(server, concurrency=32)
        replies = await ask_all(annotator, 32, seed=1)
    assert all(isinstance(r, Reply) and r.means == "prompt" for r in replies)
    assert len(annotator.notices) == 3


async def test_one_slow_first_reply_does_not_hold_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remelt.annotators.openai_chat._HEAD_START", 0.2)
    slow = prompt_hash({"messages": [{"role": "user", "content": make().messages[1].content}]})

    class Slow(ChatServer):
        def _draw(self, key: tuple[str, int], nth: int) -> str:
            return "hang" if key == slow else ""

    with Slow() as server:
        annotator = chat(server, timeout=120)
        first = asyncio.create_task(annotator.answer(make(), make().messages, 0))
        await until(lambda: server.in_flight == 1)
        started = time.perf_counter()
        reply = await annotator.answer(make(1), make(1).messages, 0)
        assert time.perf_counter() - started < 60
        first.cancel()
        await annotator.close()
    assert reply.failure == ""


async def test_a_failing_first_request_hands_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remelt.annotators.openai_chat._HEAD_START", 120)
    with ChatServer(faults={"500:once": 1}) as server:
        started = time.perf_counter()
        results = await ask_all(chat(server, concurrency=20), 20)
        assert time.perf_counter() - started < 60
    assert all(isinstance(r, TransientError) for r in results)


@pytest.mark.parametrize(
    ("reject", "parameter", "detail"),
    [
        ("temperature", {"temperature": 0.7}, "sent without temperature"),
        ("seed", {"seed": 3}, "sent without seed"),
        ("vllm_seed", {"seed": 3}, "sent without seed"),
        ("max_tokens", {"max_tokens": 50}, "max_tokens sent as max_completion_tokens"),
    ],
)
async def test_refused_parameters_are_left_out_and_told(
    reject: str, parameter: dict[str, Any], detail: str
) -> None:
    with ChatServer(rejects=(reject,)) as server:
        annotator = chat(server)
        reply = await annotator.answer(make(**parameter), make().messages, 0)
        again = await ask(annotator, make(1, **parameter))
        assert len(server.asked) == 3
    assert (reply.detail, again.detail) == (detail, detail)
    assert reply.means == "json_schema"
    assert len(annotator.notices) == 1
    assert next(iter(parameter)) in annotator.notices[0]


async def test_an_asked_for_format_is_not_changed() -> None:
    with (
        ChatServer(rejects=("json_schema",)) as server,
        pytest.raises(AnnotatorError, match="does not take the answer format 'json_schema'"),
    ):
        await ask(chat(server, answer_format="json_schema"), make())
    with ChatServer() as server:
        assert (await ask(chat(server, answer_format="prompt"), make())).means == "prompt"
        assert (await ask(chat(server, answer_format="json_object"), make())).means == "json_object"
        assert "response_format" not in server.bodies[0]
        assert server.bodies[1]["response_format"]["type"] == "json_object"


async def test_prefill() -> None:
    start = '{"character": "Ross"'
    with ChatServer() as server:
        annotator = chat(server, answer_format="prefill")
        reply = await annotator.answer(make(prefill=start), make().messages, 0)
        bare = await ask(annotator, make())
        body = server.bodies[0]
        assert body["messages"][-1] == {"role": "assistant", "content": start}
        assert (body["add_generation_prompt"], body["continue_final_message"]) == (False, True)
        assert "response_format" not in body
        assert server.asked[0]["turn"] == 0
    assert (reply.means, bare.means) == ("prefill", "prompt")
    assert json.loads(start + reply.raw)["character"] == "Ross"
    with (
        ChatServer(rejects=("prefill",)) as server,
        pytest.raises(AnnotatorError, match="does not take the answer format 'prefill'"),
    ):
        await ask(chat(server, answer_format="prefill"), make(prefill=start))
