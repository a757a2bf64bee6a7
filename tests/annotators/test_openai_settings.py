"""Names, addresses and prices of the chat annotator, and the error bodies of servers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from openai_requests import ask, chat, make
from remelt.annotators import AnnotatorOptions, known_models
from remelt.annotators.openai_chat import OpenAIChat, create, shown_url
from remelt.annotators.openai_errors import read_error, tidy
from remelt.errors import InputError, TransientError
from servers import ChatServer

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
