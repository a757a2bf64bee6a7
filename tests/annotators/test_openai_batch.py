"""What the batch annotator sends, and how it reads lines, states and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remelt.annotators import AnnotatorOptions, create
from remelt.annotators.openai_batch import OpenAIBatch
from remelt.errors import AnnotatorError, FieldRefused, InputError, RequestRejected, TransientError
from remelt.protocols import BatchAnnotator, BatchOptions
from remelt.records import Message

from ..batch_runs import make
from ..batch_server import BatchServer

KEY = "sk-verysecret0123456789"
URL = "http://localhost:1/v1"


def annotator(model: str = "m", **options: Any) -> OpenAIBatch:
    return OpenAIBatch(f"openai-batch/{model}", model, AnnotatorOptions(base_url=URL, **options))


def body(batch: OpenAIBatch, attempt: int = 0, **parameters: Any) -> dict[str, Any]:
    request = make(1, **parameters)
    line = json.loads(batch.line("1-0-x", request, request.messages, attempt))
    assert (line["custom_id"], line["method"], line["url"]) == ("1-0-x", "POST", "/v1/chat/completions")
    found: dict[str, Any] = line["body"]
    return found


def answered(status: int, content: Any) -> dict[str, Any]:
    return {"custom_id": "x", "response": {"status_code": status, "body": content}, "error": None}


def refused(status: int, message: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return answered(status, {"error": {"message": message, "code": code, "param": param}})


def completion(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}
    return {"id": "c", "created": 1_700_000_000, "model": "m-1", "choices": [choice], "usage": usage}


def test_it_is_found_by_its_scheme() -> None:
    found = create("openai-batch/gpt-4o", AnnotatorOptions(base_url="http://me:secret@localhost:1/v1/"))
    assert isinstance(found, OpenAIBatch)
    assert isinstance(found, BatchAnnotator)
    assert (found.name, found.model, found.endpoint) == ("openai-batch/gpt-4o", "gpt-4o", URL)


def test_an_online_annotator_is_no_batch_annotator() -> None:
    assert not isinstance(create("openai/m", AnnotatorOptions(base_url=URL)), BatchAnnotator)
    assert not isinstance(create("mock", AnnotatorOptions()), BatchAnnotator)


@pytest.mark.parametrize("spec", ["openai-batch", "openai-batch/", "openai-batch/ "])
def test_a_model_is_needed(spec: str) -> None:
    with pytest.raises(InputError, match="openai-batch/MODEL"):
        create(spec, AnnotatorOptions())


# -- what is sent -----------------------------------------------------------------------------------


def test_a_line() -> None:
    sent = body(annotator(), temperature=0.5, seed=7)
    assert (sent["model"], sent["max_tokens"], sent["temperature"], sent["seed"]) == ("m", 40, 0.5, 7)
    assert sent["messages"][1] == {"role": "user", "content": "This is line 1."}
    assert sent["response_format"]["type"] == "json_schema"
    assert body(annotator(), attempt=2, seed=7)["seed"] == 9


def test_a_line_is_one_line_of_utf8() -> None:
    request = make(1)
    messages = (Message("user", "caf\u00e9\u2028 \n \ud800 \U0001f600"),)
    line = annotator().line("x", request, messages, 0)
    assert line.count(b"\n") == 1
    assert json.loads(line)["body"]["messages"][0]["content"] == "caf\u00e9\u2028 \n \ufffd \U0001f600"


def test_answer_formats() -> None:
    assert "response_format" not in body(annotator(answer_format="prompt"))
    # A server that does not know a schema there would refuse every row.
    assert body(annotator(answer_format="json_object"))["response_format"] == {"type": "json_object"}


def test_a_reasoning_model_gets_no_temperature(tmp_path: Path) -> None:
    prices = tmp_path / "p.yaml"
    prices.write_text("models: [{ids: [thinker], input: 1, output: 2, reasoning: true}]")
    batch = annotator("thinker", prices=prices)
    sent = body(batch, temperature=1.0)
    assert "temperature" not in sent
    assert "max_tokens" not in sent
    assert sent["max_completion_tokens"] == 40
    assert "thinker is a reasoning model" in batch.notices[0]


# -- what comes back --------------------------------------------------------------------------------


def test_a_line_is_parsed() -> None:
    batch = annotator()
    assert batch.parse(b'{"custom_id": "3-0-ab", "response": null}\n')[0] == "3-0-ab"
    for bad in (b"", b"{", b"[1]", b'"x"', b'{"custom_id": 3}', b"\xff\xfe"):
        assert batch.parse(bad) == ("", None)


def test_an_answer(tmp_path: Path) -> None:
    prices = tmp_path / "p.yaml"
    prices.write_text(
        "models: [{ids: [m], input: 10, output: 100, cached_input: 5, batch_input: 2, batch_output: 20}]"
    )
    content = answered(200, completion(content='{"label": "Joy"}'))
    reply = annotator(prices=prices).reply(content, make(1), 1)
    assert (reply.raw, reply.attempt, reply.model, reply.means) == (
        '{"label": "Joy"}',
        1,
        "m-1",
        "json_schema",
    )
    assert (reply.input_tokens, reply.output_tokens, reply.cached_tokens) == (100, 10, 40)
    assert reply.cost == pytest.approx((100 * 2 + 10 * 20) / 1e6)
    assert reply.created == "2023-11-14T22:13:20Z"
    assert annotator().reply(content, make(1), 0).cost is None


def test_a_refusal_by_the_model() -> None:
    reply = annotator().reply(answered(200, completion(content=None, refusal="No.")), make(1), 0)
    assert (reply.failure, reply.raw, reply.detail) == ("refused", "No.", "No.")


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (refused(500, "Oops"), TransientError, "500: Oops"),
        (refused(429, "Slow down"), TransientError, "429: Slow down"),
        (refused(200, "Overloaded"), TransientError, "502: Overloaded"),
        (answered(200, "text"), TransientError, "no chat completion"),
        (answered(200, {"choices": []}), TransientError, "no choice"),
        ({"error": {"code": "batch_expired", "message": "Late."}}, TransientError, "batch_expired: L"),
        ({"response": None, "error": None}, TransientError, "no response"),
        ({}, TransientError, "no response"),
        (refused(400, "Your context length is too long"), RequestRejected, "too long"),
        (refused(400, "flagged by moderation"), RequestRejected, "moderation"),
        (refused(429, "insufficient_quota"), AnnotatorError, "insufficient_quota"),
        (refused(404, "The model `m` does not exist", "model_not_found"), AnnotatorError, "does not exist"),
        (refused(401, f"Incorrect API key provided: {KEY}"), AnnotatorError, "Incorrect API key"),
    ],
)  # fmt: skip
def test_a_row_that_was_not_answered(content: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        annotator().reply(content, make(1), 0)
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (refused(400, "Unsupported value: 'temperature'"), r"--temperature \(it was 0\.5\)"),
        (refused(400, "Not supported", param="max_tokens"), r"--max-tokens \(it was 40\)"),
        (refused(400, "Unrecognized request argument supplied: seed"), r"--seed \(it was 7\)"),
        (refused(400, "json_schema is not supported", param="response_format"), "another --answer-format"),
        (refused(400, "Bad request."), "--annotator openai/m --limit 1"),
    ],
)  # fmt: skip
def test_a_refused_field_names_the_option(content: Any, advice: str) -> None:
    with pytest.raises(FieldRefused) as caught:
        annotator().reply(content, make(1, temperature=0.5, seed=7), 0)
    with pytest.raises(FieldRefused, match=advice):
        raise FieldRefused(caught.value.advice, "")


# -- the routes -------------------------------------------------------------------------------------


async def test_the_way_of_a_batch(tmp_path: Path) -> None:
    path, request = tmp_path / "x.jsonl", make(1)
    with BatchServer(hold=True) as server:
        batch = OpenAIBatch("openai-batch/m", "m", AnnotatorOptions(base_url=server.url))
        path.write_bytes(batch.line("1-0-x", request, request.messages, 0))
        file = await batch.upload(path, "mark-1")
        assert await batch.find_batch(file, "mark-1") is None
        made = await batch.create_batch(file, "mark-1")
        assert (made.status, made.ended) == ("validating", False)
        assert await batch.find_batch("another", "mark-1") == made
        assert await batch.find_batch(file, "another") == made
        assert await batch.find_batch("another", "another") is None
        server.release()
        done = await batch.batch(made.id)
        assert (done.status, done.ended, done.total, done.completed) == ("completed", True, 1, 1)
        await batch.fetch(done.output_file, tmp_path / "out")
        name, content = batch.parse((tmp_path / "out").read_bytes())
        assert name == "1-0-x"
        assert batch.reply(content, request, 0).failure == ""
        assert (await batch.cancel_batch(made.id)).status == "completed"
        with pytest.raises(RequestRejected, match="404"):
            await batch.fetch("file-99", tmp_path / "out")
        for call in (batch.batch, batch.cancel_batch):
            with pytest.raises(RequestRejected, match="No batch found with id 'batch_99'"):
                await call("batch_99")
        await batch.close()


async def test_nobody_at_the_address() -> None:
    batch = annotator()
    with pytest.raises(AnnotatorError, match="Cannot reach http://localhost:1/v1"):
        await batch.start()
    with pytest.raises(TransientError) as caught:
        await batch.batch("batch_1")
    assert caught.value.charged
    await batch.close()


async def test_a_server_without_batches(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("{}\n")
    with BatchServer() as server:
        batch = OpenAIBatch("openai-batch/m", "m", AnnotatorOptions(base_url=f"{server.url}/none"))
        with pytest.raises(AnnotatorError, match="no batches there\\? Try --annotator openai/m"):
            await batch.upload(tmp_path / "x", "mark")
        await batch.close()


async def test_a_key_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with BatchServer(key="another") as server:
        batch = OpenAIBatch("openai-batch/m", "m", AnnotatorOptions(base_url=server.url))
        with pytest.raises(AnnotatorError) as caught:
            await batch.batch("batch_1")
        await batch.close()
    assert "OPENAI_API_KEY" in str(caught.value)
    assert KEY not in str(caught.value)


async def test_options_of_batches() -> None:
    batch = annotator(batch=BatchOptions(requests=3))
    assert batch.batch_options.requests == 3
    assert annotator().batch_options.requests == 50_000
