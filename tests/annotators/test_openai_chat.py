"""The chat annotator against a real server that misbehaves in every way we know of."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remelt.annotators import AnnotatorOptions, known_models
from remelt.annotators.openai_chat import OpenAIChat, create, shown_url
from remelt.annotators.openai_errors import read_error, retry_after, tidy
from remelt.annotators.openai_plan import named_schema
from remelt.errors import AnnotatorError, InputError, RequestRejected, TransientError
from remelt.records import Message, Reply, Request, Utterance
from servers import LABELS, ChatServer

KEY = "sk-verysecret0123456789"
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "melt",
    "x-remelt-version": 1,
    "x-remelt-label": "elements.emotion",
    "x-remelt-echo": "character",
    "type": "object",
    "properties": {
        "character": {"type": "string"},
        "title": {"type": "string"},
        "elements": {
            "type": "object",
            "properties": {"emotion": {"type": "string", "enum": list(LABELS)}},
            "required": ["emotion"],
            "additionalProperties": False,
        },
    },
    "required": ["character", "title", "elements"],
    "additionalProperties": False,
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def make(number: int = 0, prefill: str = "", **parameters: Any) -> Request:
    utterance = Utterance(
        f"meld/train/dia0_utt{number}", "meld", "train", 0, number, "Ross", f"Line {number}."
    )
    return Request(
        utterance=utterance,
        annotator="openai/m",
        model="m",
        endpoint="test",
        messages=(
            Message("system", "Describe the voice."),
            Message("user", f'"Ross at s1e2 said: Line {number}."'),
        ),
        schema=SCHEMA,
        parameters=parameters,
        prefill=prefill,
    )


def chat(server: ChatServer | str, model: str = "m", **options: Any) -> OpenAIChat:
    url = server if isinstance(server, str) else server.url
    return OpenAIChat(f"openai/{model}", model, AnnotatorOptions(base_url=url, **options))


async def ask(annotator: OpenAIChat, request: Request, attempt: int = 0) -> Reply:
    try:
        return await annotator.answer(request, request.messages, attempt)
    finally:
        await annotator.close()


async def ask_all(annotator: OpenAIChat, count: int, **parameters: Any) -> list[Reply | BaseException]:
    requests = [make(n, **parameters) for n in range(count)]
    try:
        return await asyncio.gather(
            *(annotator.answer(r, r.messages, 0) for r in requests), return_exceptions=True
        )
    finally:
        await annotator.close()


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
    with ChatServer(latency=0.1) as server:
        annotator = chat(server, concurrency=40)
        await ask(annotator, make())
        started = time.perf_counter()
        replies = await ask_all(annotator, 40)
        seconds = time.perf_counter() - started
        assert server.peak == 40
    assert all(isinstance(r, Reply) for r in replies)
    assert seconds < 2


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


# -- ask again later -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("408", "408"),
        ("409", "409"),
        ("500", "500"),
        ("503", "503"),
        ("html502", "502: an HTML page"),
        ("html200", "not JSON (an HTML page)"),
        ("half_json", "not JSON"),
        ("empty_choices", "no choice"),
        ("no_message", "no message"),
        ("list_json", "no chat completion"),
        ("error200", "overloaded"),
        ("drop", "disconnected"),
        ("drop_half", ""),
        ("garbage", ""),
    ],
)
async def test_asked_again_later(fault: str, words: str) -> None:
    with ChatServer(faults={f"{fault}:once": 1}) as server:
        annotator = chat(server)
        request = make()
        with pytest.raises(TransientError) as caught:
            await annotator.answer(request, request.messages, 0)
        assert words in str(caught.value)
        assert not caught.value.throttled
        reply = await ask(annotator, request)
        assert reply.failure == ""
        assert reply.means == "json_schema"
        assert len(server.asked) == 2


@pytest.mark.parametrize("fault", ["hang", "trickle"])
async def test_a_server_that_hangs_is_given_up(fault: str) -> None:
    with ChatServer(faults={f"{fault}:once": 1}) as server:
        annotator = chat(server, timeout=0.5)
        started = time.perf_counter()
        with pytest.raises(TransientError, match=r"0\.5 s|[Tt]imed? ?out"):
            await annotator.answer(make(), make().messages, 0)
        assert time.perf_counter() - started < 2
        assert (await ask(annotator, make())).failure == ""


@pytest.mark.parametrize(
    ("fault", "low", "high"),
    [("429", None, None), ("429_retry_after", 3, 3), ("429_date", 1.5, 3), ("429_ms", 3, 3)],
)
async def test_rate_limits(fault: str, low: float | None, high: float | None) -> None:
    with ChatServer(faults={fault: 1}, retry_after=3) as server:
        with pytest.raises(TransientError) as caught:
            await ask(chat(server), make())
        assert len(server.asked) == 1
    assert caught.value.throttled
    if low is None or high is None:
        assert caught.value.retry_after is None
    else:
        assert caught.value.retry_after is not None
        assert low <= caught.value.retry_after <= high


@pytest.mark.parametrize("value", ["nan", "inf", "", "Wed, 99 Foo 2026", "-"])
def test_odd_retry_after_is_ignored(value: str) -> None:
    assert retry_after({"retry-after": value}) is None


def test_retry_after_in_the_past_is_now() -> None:
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"retry-after": "-5"}) == 0


# -- no request can succeed ------------------------------------------------------------------------


async def test_quota_stops_the_run() -> None:
    with ChatServer(faults={"429_quota": 1}) as server, pytest.raises(AnnotatorError, match="quota"):
        await ask(chat(server), make())


async def test_wrong_key_stops_the_run_and_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(key="sk-another") as server:
        for call in (chat(server).start, lambda: ask(chat(server), make())):
            with pytest.raises(AnnotatorError) as caught:
                await call()
            assert "OPENAI_API_KEY" in str(caught.value)
            assert server.url in str(caught.value)
            assert KEY not in str(caught.value)
            assert "[key]" in str(caught.value)


async def test_a_key_of_any_form_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    with ChatServer(key="sk-another") as server, pytest.raises(AnnotatorError) as caught:
        await chat(server).start()
    assert "hunter2" not in str(caught.value)
    assert tidy("Incorrect key sk-proj-abc***wxyz, see") == "Incorrect key [key], see"


async def test_missing_key_is_asked_for() -> None:
    with (
        ChatServer(key="sk-another") as server,
        pytest.raises(AnnotatorError, match=r"wants an API key .* set OPENAI_API_KEY"),
    ):
        await chat(server).start()
    annotator = OpenAIChat("openai/m", "m", AnnotatorOptions())
    with pytest.raises(AnnotatorError, match="needs an API key: set the environment variable OPENAI_API_KEY"):
        await annotator.start()


async def test_key_with_foreign_characters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-näh")
    with pytest.raises(AnnotatorError, match="holds characters"):
        await chat("http://localhost:1/v1").start()


async def test_key_is_sent_and_never_part_of_reply_or_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    with ChatServer(key=KEY, rejects=("json_schema", "seed")) as server:
        annotator = chat(server)
        await annotator.start()
        reply = await ask(annotator, make(seed=1))
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(reply)
    assert KEY not in repr(annotator.notices)


async def test_unknown_model_stops_the_run_and_names_the_choices() -> None:
    with ChatServer(model="smollm2") as server:
        annotator = chat(server, model="smolm")
        with pytest.raises(AnnotatorError, match=r"no model 'smolm'.*it has \['smollm2'\]"):
            await ask(annotator, make())
    with (
        ChatServer(model="smollm2", models_route=False) as server,
        pytest.raises(AnnotatorError, match=r"no model 'smolm'"),
    ):
        await ask(chat(server, model="smolm"), make())


async def test_wrong_path_is_named() -> None:
    with ChatServer() as server, pytest.raises(AnnotatorError, match=r"no chat route at .*often ends in /v1"):
        await ask(chat(server.url.removesuffix("/v1")), make())


async def test_nobody_at_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(AnnotatorError, match=rf"Cannot reach {url}.*base URL right"):
        await chat(url).start()
    with pytest.raises(TransientError, match=r"[Cc]onnect"):
        await ask(chat(url), make())


async def test_start_does_not_ask_for_a_reply_and_takes_a_missing_route() -> None:
    with ChatServer(models_route=False) as server:
        annotator = chat(server)
        await annotator.start()
        await annotator.close()
        assert server.asked == []


async def test_the_server_says_when_the_model_retires() -> None:
    with ChatServer(model="m") as server:
        annotator = chat(server)
        assert annotator.retires is None
        await annotator.start()
        await annotator.close()
    assert annotator.retires == "2027-01-14"


async def test_a_parameter_out_of_range_stops_the_run() -> None:
    with ChatServer(rejects=("range",)) as server:
        annotator = chat(server)
        with pytest.raises(AnnotatorError, match=r"temperature was 5"):
            await ask(annotator, make(temperature=5))
    assert annotator.notices == []


async def test_refusing_every_request_stops_the_run() -> None:
    with ChatServer(faults={"422": 1}) as server:
        annotator = chat(server, answer_format="prompt")
        results = await ask_all(annotator, 25)
    kinds = [type(r) for r in results]
    assert kinds[:19] == [RequestRejected] * 19
    assert AnnotatorError in kinds


# -- this request can never succeed ----------------------------------------------------------------


@pytest.mark.parametrize("fault", ["400", "413", "422", "429_too_large", "403_moderation"])
async def test_one_bad_request_loses_only_itself(fault: str) -> None:
    with ChatServer() as server:
        annotator = chat(server)
        assert (await annotator.answer(make(), make().messages, 0)).failure == ""
        server.options.faults = {fault: 1}
        with pytest.raises(RequestRejected):
            await annotator.answer(make(1), make(1).messages, 0)
        server.options.faults = {}
        assert (await ask(annotator, make(2))).failure == ""
        assert len(server.asked) == 3
    assert annotator.notices == []


async def test_a_refused_first_request_does_not_change_the_format_where_that_does_not_help() -> None:
    with ChatServer(faults={"422": 1}) as server:
        annotator = chat(server)
        with pytest.raises(RequestRejected):
            await annotator.answer(make(), make().messages, 0)
        server.options.faults = {}
        assert (await ask(annotator, make(1))).means == "json_schema"
    assert annotator.notices == []


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
async def test_sixty_four_first_requests_negotiate_once(latency: float) -> None:
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
    with ChatServer(faults={"hang": 1}) as server:
        annotator = chat(server, timeout=3)
        first = asyncio.create_task(annotator.answer(make(), make().messages, 0))
        await asyncio.sleep(0.1)
        server.options.faults = {}
        started = time.perf_counter()
        reply = await annotator.answer(make(1), make(1).messages, 0)
        assert time.perf_counter() - started < 1
        first.cancel()
        await annotator.close()
    assert reply.failure == ""


async def test_a_failing_first_request_hands_over_at_once() -> None:
    with ChatServer(faults={"500:once": 1}) as server:
        started = time.perf_counter()
        results = await ask_all(chat(server, concurrency=20), 20)
        assert time.perf_counter() - started < 2
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
        assert server.bodies[1]["response_format"] == {"type": "json_object"}


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


# -- names and prices ------------------------------------------------------------------------------


def test_base_url_is_stored_without_secrets() -> None:
    annotator = chat("http://me:secret@localhost:8000/v1/?token=abc")
    assert annotator.endpoint == "http://localhost:8000/v1"
    assert shown_url("https://[::1]:8000/v1") == "https://[::1]:8000/v1"
    for wrong in ("localhost:8000", "ftp://a/v1", "http://", "http://a:b:c/v1"):
        with pytest.raises(InputError, match="expected one like"):
            shown_url(wrong)


def test_endpoint_can_be_named() -> None:
    options = AnnotatorOptions(base_url="http://127.0.0.1:45678/v1")
    assert OpenAIChat("local/smollm2", "smollm2", options, endpoint="local").endpoint == "local"


def test_base_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gateway/v1")
    assert create("openai/m", AnnotatorOptions()).endpoint == "http://gateway/v1"
    given = AnnotatorOptions(base_url="http://other/v1")
    assert create("openai/m", given).endpoint == "http://other/v1"


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with ChatServer() as server:
        assert asyncio.run(ask(chat(server), make())).failure == ""


def test_model_is_needed() -> None:
    for spec in ("openai", "openai/", "openai: "):
        with pytest.raises(InputError, match="expected openai/MODEL"):
            create(spec, AnnotatorOptions())
    assert create("openai/org/model:7b", AnnotatorOptions()).model == "org/model:7b"


def test_prices() -> None:
    model = known_models.find("gpt-4o-mini")
    assert model is not None
    assert model.cost(1_000_000, 1_000_000) == pytest.approx(0.75)
    assert model.cost(1_000_000, 0, cached_tokens=1_000_000) == pytest.approx(0.075)
    assert known_models.find("gpt-3.5-turbo").retires == "2026-10-23"  # type: ignore[union-attr]
    assert all(m.input <= m.output for m in known_models.known_models().values())


def test_error_bodies_of_other_servers() -> None:
    fastapi = b'{"detail":[{"loc":["body","seed"],"msg":"Extra inputs","input":"sk-secret-utterance"}]}'
    assert read_error(422, {}, fastapi).message == "body.seed: Extra inputs"
    assert read_error(404, {}, b'{"detail":"Not Found"}').message == "Not Found"
    assert read_error(500, {}, b'{"error":"model runner crashed"}').message == "model runner crashed"
    assert read_error(502, {}, b"<!DOCTYPE html><p>Bad gateway").message == "an HTML page"
    assert read_error(500, {}, b"\xff\xfe").status == 500
    assert len(tidy("x" * 1000)) == 301


def test_the_server_as_a_process_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "asked.jsonl"
    script = Path(__file__).resolve().parents[1] / "servers.py"
    command = [sys.executable, str(script), "--fault", "500:once", "--log", str(log)]

    async def ask_thrice(url: str) -> list[str]:
        annotator = chat(url)
        with pytest.raises(TransientError):
            await annotator.answer(make(), make().messages, 0)
        return [(await annotator.answer(make(), make().messages, 0)).raw, (await ask(annotator, make())).raw]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            replies = asyncio.run(ask_thrice(process.stdout.readline().split()[-1]))
        finally:
            process.kill()
    assert replies[0] == replies[1]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(r["nth"], r["turn"], r["status"]) for r in lines] == [(1, 0, 500), (2, 0, 200), (3, 0, 200)]
    assert len({r["hash"] for r in lines}) == 1
