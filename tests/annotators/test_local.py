"""How the embedded annotator treats its server; the server is a stub here (`test_local_real` has it)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from remelt.annotators import AnnotatorOptions, local, local_models, local_server
from remelt.annotators.local import LocalModel
from remelt.annotators.local_server import CannotRewind, Settings
from remelt.errors import AnnotatorError
from remelt.protocols import Annotator
from remelt.records import Message, Reply, Request

from ..builders import reply, request


class StubServer:
    url = "http://127.0.0.1:1/v1"
    key = "key"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.did: list[str] = []
        self.refuses = False

    async def start(self) -> None:
        self.did.append("start")

    async def rewind(self, messages: tuple[Message, ...]) -> None:
        self.did.append("rewind")
        if self.refuses:
            raise CannotRewind("llama.cpp cannot save this model's memory (501: no)")

    async def close(self) -> None:
        self.did.append("close")


class StubChat:
    def __init__(self, name: str, model: str, options: AnnotatorOptions, key: str) -> None:
        self.notices: list[str] = []
        self.options = options
        self.inside = self.most = 0

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def answer(self, asked: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0.01)
        self.inside -= 1
        return reply(asked, attempt, cost=None)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> local_models.ModelFile:
    monkeypatch.setattr(local_server, "version", lambda: "1.2.3")
    monkeypatch.setattr(local_server, "Server", StubServer)
    monkeypatch.setattr(local, "_Embedded", StubChat)
    return local_models.ModelFile("tiny.gguf", (tmp_path / "home" / "tiny.gguf",), "ab" * 32)


def parts(model: LocalModel) -> tuple[Any, Any]:
    return model._server, model._chat


async def test_what_it_says_of_itself(file: local_models.ModelFile) -> None:
    model = LocalModel(file, AnnotatorOptions(threads=3, context=512))
    assert isinstance(model, Annotator)
    assert (model.name, model.model, model.endpoint) == ("local/tiny.gguf", "tiny@abababababab", "local")
    assert model.caveat == ""
    (notice,) = model.notices
    assert "ab" * 32 in notice
    assert "threads: 3, slots: 1, context: 512 tokens" in notice
    assert "top_k 40" in notice
    assert str(file.files[0].parent) not in notice + model.name + model.model


async def test_one_slot_answers_one_at_a_time_from_the_same_beginning(file: local_models.ModelFile) -> None:
    model = LocalModel(file, AnnotatorOptions(threads=2))
    await model.start()
    server, chat = parts(model)
    assert server.settings == Settings(file.files[0], model.model, 2, 1, 2048)
    replies = await asyncio.gather(*(model.answer(request(n), (), 0) for n in range(4)))
    assert [r.cost for r in replies] == [0.0] * 4
    assert chat.most == 1
    assert server.did == ["start", *["rewind"] * 4]


async def test_several_slots_answer_together_and_are_not_set_back(file: local_models.ModelFile) -> None:
    model = LocalModel(file, AnnotatorOptions(slots=3))
    await model.start()
    server, chat = parts(model)
    await asyncio.gather(*(model.answer(request(n), (), 0) for n in range(9)))
    assert chat.most == 3
    assert server.did == ["start"]


async def test_a_model_that_cannot_be_set_back_is_used_with_a_notice(file: local_models.ModelFile) -> None:
    model = LocalModel(file, AnnotatorOptions())
    await model.start()
    server, _ = parts(model)
    server.refuses = True
    for number in range(3):
        await model.answer(request(number), (), 0)
    assert server.did == ["start", "rewind"]
    assert [n for n in model.notices if "may get another reply" in n] == model.notices[1:]
    assert len(model.notices) == 2


async def test_not_started_or_closed(file: local_models.ModelFile) -> None:
    model = LocalModel(file, AnnotatorOptions())
    with pytest.raises(AnnotatorError, match="not running"):
        await model.answer(request(0), (), 0)
    await model.start()
    server, _ = parts(model)
    await model.close()
    await model.close()
    assert server.did == ["start", "close"]
    with pytest.raises(AnnotatorError, match="not running"):
        await model.answer(request(0), (), 0)


async def test_a_failed_start_leaves_nothing_behind(
    file: local_models.ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: StubServer) -> None:
        raise AnnotatorError("cannot load")

    async def close(self: StubServer) -> None:
        seen.append(self)

    seen: list[Any] = []
    monkeypatch.setattr(StubServer, "start", fail)
    monkeypatch.setattr(StubServer, "close", close)
    model = LocalModel(file, AnnotatorOptions())
    with pytest.raises(AnnotatorError, match="cannot load"):
        await model.start()
    assert len(seen) == 1


async def test_the_users_own_key_and_server_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1")
    spare = ("http://elsewhere:1/v1",)
    options = AnnotatorOptions(base_url=StubServer.url, timeout=5.0, more_urls=spare)
    chat = local._Embedded("local/x", "x", options, "own-key")
    assert (chat._connected().key, chat._servers.first.base_url) == ("own-key", StubServer.url)
    assert chat.endpoint == "local"
    assert len(chat._servers.all) == 1
    assert chat._options.timeout >= 1800
    await chat.close()
