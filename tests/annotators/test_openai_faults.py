"""The chat annotator against a real server that misbehaves in every way we know of."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from openai_requests import KEY, ask, ask_all, chat, make
from remelt.annotators import AnnotatorOptions
from remelt.annotators.openai_chat import OpenAIChat
from remelt.annotators.openai_errors import retry_after, tidy
from remelt.errors import AnnotatorError, RequestRejected, TransientError
from remelt.records import Reply
from servers import ChatServer

# -- ask again later -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words", "charged"),
    [
        ("408", "408", False),
        ("409", "409", False),
        ("500", "500", False),
        ("503", "503", False),
        ("html502", "502: an HTML page", False),
        ("html200", "not JSON (an HTML page)", True),
        ("half_json", "not JSON", True),
        ("empty_choices", "no choice", True),
        ("no_message", "no message", True),
        ("list_json", "no chat completion", True),
        ("error200", "overloaded", False),
        ("drop", "disconnected", True),
        ("drop_half", "", True),
        ("garbage", "", True),
    ],
)
async def test_asked_again_later(fault: str, words: str, charged: bool) -> None:
    with ChatServer(faults={f"{fault}:once": 1}) as server:
        annotator = chat(server)
        request = make()
        with pytest.raises(TransientError) as caught:
            await annotator.answer(request, request.messages, 0)
        assert words in str(caught.value)
        assert not caught.value.throttled
        assert caught.value.charged is charged
        reply = await ask(annotator, request)
        assert reply.failure == ""
        assert reply.means == "json_schema"
        assert len(server.asked) == 2


async def persist(annotator: OpenAIChat, number: int) -> Reply:
    """Asks until there is an answer, however short its time limit is for this machine."""
    while True:
        with contextlib.suppress(TransientError):
            return await annotator.answer(make(number), make(number).messages, 0)


@pytest.mark.parametrize("fault", ["hang", "trickle"])
async def test_a_server_that_hangs_is_given_up(fault: str) -> None:
    with ChatServer() as server:
        annotator = chat(server, timeout=0.5)
        # On a connection that is there already: to make one in time is another matter.
        await persist(annotator, 1)
        server.options.faults = {fault: 1}
        started = time.perf_counter()
        with pytest.raises(TransientError, match=r"0\.5 s|[Tt]imed? ?out") as caught:
            await annotator.answer(make(), make().messages, 0)
        assert caught.value.charged
        assert time.perf_counter() - started < 60
        server.options.faults = {}
        assert (await persist(annotator, 0)).failure == ""
        await annotator.close()


@pytest.mark.parametrize(
    ("fault", "low", "high"),
    [("429", None, None), ("429_retry_after", 300, 300), ("429_date", 200, 300), ("429_ms", 300, 300)],
)
async def test_rate_limits(fault: str, low: float | None, high: float | None) -> None:
    with ChatServer(faults={fault: 1}, retry_after=300) as server:
        with pytest.raises(TransientError) as caught:
            await ask(chat(server), make())
        assert len(server.asked) == 1
    assert caught.value.throttled
    assert not caught.value.charged
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
    with pytest.raises(TransientError, match=r"[Cc]onnect") as caught:
        await ask(chat(url), make())
    assert not caught.value.charged


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
