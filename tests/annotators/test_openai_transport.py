"""How requests get to a server: connections, headers, proxies, and what a lost answer means."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from typing import Any

import aiohttp
import pytest

from openai_requests import KEY, SCHEMA, ask, ask_all, chat, make, until
from remelt.annotators import AnnotatorOptions
from remelt.annotators.openai_chat import OpenAIChat
from remelt.annotators.openai_errors import tidy
from remelt.annotators.openai_transport import Encoder, Transport, Unreachable
from remelt.errors import AnnotatorError, TransientError
from remelt.records import Reply
from servers import ChatServer

ROUTE = "/chat/completions"


# -- what is sent ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "m", "messages": [{"role": "user", "content": 'é "\n\x00 😀'}], "stop": None},
        {"response_format": {"type": "json_schema", "json_schema": SCHEMA}, "seed": 3},
        {"seed": 3, "extra": {}, "more": {"a": [1.5, True]}, "last": ["x"]},
    ],
)
def test_bodies_are_json(body: dict[str, Any]) -> None:
    encoder = Encoder()
    for _ in range(2):
        assert json.loads(encoder.encode(body)) == body


def test_a_changed_object_is_written_anew() -> None:
    encoder = Encoder()
    for schema in (SCHEMA, {**SCHEMA, "title": "other"}, SCHEMA):
        sent = json.loads(encoder.encode({"model": "m", "response_format": {"json_schema": schema}}))
        assert sent["response_format"]["json_schema"] == schema


async def test_headers_of_the_environment_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-2")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: speech\nuser-agent: mine\nnonsense")
    with ChatServer() as server:
        await ask(chat(server), make())
        sent = server.headers[0]
    assert sent["Authorization"] == f"Bearer {KEY}"
    assert (sent["OpenAI-Organization"], sent["OpenAI-Project"]) == ("org-1", "proj-2")
    assert (sent["X-Team"], sent["User-Agent"]) == ("speech", "mine")
    assert sent["Content-Type"] == "application/json"


async def test_the_environments_headers_are_not_for_the_embedded_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer mine")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    with ChatServer() as server:
        options = AnnotatorOptions(base_url=server.url)
        await ask(OpenAIChat("local/m", "m", options, endpoint="local"), make())
        sent = server.headers[0]
    assert sent["Authorization"] == "Bearer none"
    assert "OpenAI-Organization" not in sent


async def test_name_password_and_query_of_an_address_are_sent_and_not_told() -> None:
    with ChatServer(faults={"500": 1}) as server:
        annotator = chat(server.url.replace("http://", "http://me:se%20cret@") + "?token=abc")
        with pytest.raises(TransientError) as caught:
            await ask(annotator, make())
        sent = server.headers[0]["Authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"me:se cret"
    assert annotator.endpoint == server.url
    assert "cret" not in str(caught.value)
    assert "abc" not in str(caught.value)


async def test_the_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer() as server:
        proxy = server.url.removesuffix("/v1")
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "other.invalid")
        assert (await ask(chat("http://models.invalid/v1"), make())).failure == ""
        assert server.headers[0]["Host"] == "models.invalid"
        with pytest.raises(TransientError, match=r"other\.invalid"):
            await ask(chat("http://other.invalid/v1"), make())


async def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "socks5://me:secret@localhost:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(AnnotatorError, match=r"kind 'socks5'.*http or https") as caught:
        await chat("http://models.invalid/v1").start()
    assert "secret" not in str(caught.value)
    assert tidy("lost http://me:secret@proxy:1/x") == "lost http://[key]@proxy:1/x"


# -- connections -----------------------------------------------------------------------------------


async def test_connections_are_kept() -> None:
    with ChatServer() as server:
        annotator = chat(server, concurrency=4)
        await annotator.answer(make(), make().messages, 0)
        assert annotator._transport is not None
        pool = annotator._transport._session.connector  # type: ignore[union-attr]
        for _ in range(5):
            assert all(isinstance(r, Reply) for r in await _few(annotator, 4))
        assert sum(len(kept) for kept in pool._conns.values()) <= 4  # type: ignore[union-attr]
        await annotator.close()


async def _few(annotator: Any, count: int) -> list[Any]:
    requests = [make(n) for n in range(count)]
    return await asyncio.gather(*(annotator.answer(r, r.messages, 0) for r in requests))


async def test_a_server_that_closes_idle_connections_costs_nothing() -> None:
    with ChatServer(keep_alive=0.1) as server:
        annotator = chat(server)
        for number in range(8):
            assert (await annotator.answer(make(number), make(number).messages, 0)).failure == ""
            pool = annotator._transport._session.connector  # type: ignore[union-attr]
            # Whoever sends in the very moment of the closing may lose the request.
            await until(lambda: not any(c.is_connected() for kept in pool._conns.values() for c, _ in kept))  # noqa: B023
        await annotator.close()
        assert len(server.asked) == 8


async def test_the_annotator_can_be_used_again_after_closing() -> None:
    with ChatServer() as server:
        annotator = chat(server)
        for _ in range(2):
            assert all(isinstance(r, Reply) for r in await ask_all(annotator, 3))


# -- lost answers ----------------------------------------------------------------------------------


async def test_a_connection_that_closed_before_anything_was_written_is_not_charged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Refused:
        async def __aenter__(self) -> None:
            cause = aiohttp.ClientConnectionResetError("Cannot write to closing transport")
            raise aiohttp.ClientOSError(None, "Can not write request body") from cause

        async def __aexit__(self, *exc: object) -> None: ...

    transport = Transport("", 5, 2)
    monkeypatch.setattr(aiohttp.ClientSession, "post", lambda *a, **k: Refused())
    with pytest.raises(TransientError, match="closing transport") as caught:
        await transport.post("http://localhost:1/v1", ROUTE, b"{}")
    assert not caught.value.charged
    await transport.close()


async def test_a_server_that_takes_no_connection_in_time_is_not_charged() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        address = busy.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        transport = Transport("", 0.5, 2)
        with pytest.raises(Unreachable) as caught:
            await transport.post(f"http://127.0.0.1:{address[1]}/v1", ROUTE, b"{}")
        await transport.close()
        for one in waiting:
            one.close()
    assert not caught.value.charged


async def test_gateway_timeouts_may_have_been_charged() -> None:
    with ChatServer(faults={"504": 1}) as server, pytest.raises(TransientError) as caught:
        await ask(chat(server), make())
    assert caught.value.charged


async def test_an_error_answer_that_breaks_off_is_not_charged() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 99\r\n\r\nsorry")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    transport = Transport("", 60, 2)
    with pytest.raises(TransientError) as caught:
        await transport.post(url, ROUTE, b"{}")
    await transport.close()
    server.close()
    assert not caught.value.charged
