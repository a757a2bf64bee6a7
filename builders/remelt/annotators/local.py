"""A language model on this machine, run inside this process by llama.cpp (package xllamacpp).

It is asked through llama.cpp's OpenAI-compatible server, by the same code as any other server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import AnnotatorError
from ..protocols import Annotator
from ..records import Message, Reply, Request
from . import local_models, local_server
from .base import AnnotatorOptions
from .keys import Key
from .openai_chat import OpenAIChat

_LENGTH = "x-remelt-max-length"
SCHEME = "local"
FORM = "local/smollm2, local/PATH.gguf, local/HUB_ID"
IN_PROCESS = True

_ENDPOINT = "local"
# A large model on few threads needs minutes for a reply, and a model in this process is never out of reach.
_PATIENCE = 3600.0


def create(spec: str, options: AnnotatorOptions) -> Annotator:
    """The annotator for `local/NAME`, `local/PATH.gguf`, `local/HUB_ID` or `local/HUB_ID:FILE.gguf`.

    The file is found, downloaded where it is missing, and hashed here and not by `start`, because the
    model id in every request's key contains its hash.

    Raises:
        InputError: xllamacpp or the model is missing, or the file is not what it should be.
    """
    local_server.version()
    return LocalModel(local_models.resolve(spec[len(SCHEME) + 1 :]), options)


class LocalModel:
    """A model file as an annotator.

    Args:
        file: the verified model.
        options: threads, slots, context, answer format.

    Attributes:
        file: as given.
        slots: requests worked on at once; more in flight only wait.
        caveat: what a reader of the labels must know of this model; empty where nothing is known.
    """

    endpoint = _ENDPOINT

    def __init__(self, file: local_models.ModelFile, options: AnnotatorOptions) -> None:
        self.file = file
        self.name = f"{SCHEME}/{file.name}"
        self.model = file.model
        self.caveat = file.info.caveat if file.info else ""
        # On processors several slots share the same threads and bring nothing, and with one slot the
        # same request gives the same reply.
        self.slots = options.slots or 1
        self.notices = [self._described(options)]
        self._options = options
        self._repeatable = self.slots == 1
        self._free = asyncio.Semaphore(self.slots)
        self._server: local_server.Server | None = None
        self._chat: OpenAIChat | None = None
        self._answering: set[asyncio.Task[object]] = set()
        self._schemas: dict[str, Mapping[str, Any]] = {}

    async def start(self) -> None:
        """Loads the model and serves it on a loopback port.

        Raises:
            AnnotatorError: llama.cpp cannot load the file.
        """
        options = self._options
        server = local_server.Server(
            local_server.Settings(
                self.file.files[0], self.model, options.threads, self.slots, options.context
            )
        )
        self._server = server
        try:
            await server.start()
            self._chat = _Embedded(self.name, self.model, replace(options, base_url=server.url), server.key)
            # The client goes on writing into its own list.
            self._chat.notices[:0] = self.notices
            self.notices = self._chat.notices
            await self._chat.start()
        except BaseException:
            await self.close()
            raise

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """Asks the model; see `protocols.Annotator.answer`."""
        async with self._free:
            if self._chat is None or self._server is None:
                raise AnnotatorError("The local model is not running (not started, or closed)")
            task = asyncio.current_task()
            assert task is not None
            self._answering.add(task)
            try:
                await self._rewind(self._server, messages)
                bounded = replace(request, schema=self._bounded(request))
                reply = await self._chat.answer(bounded, messages, attempt)
            finally:
                self._answering.discard(task)
        return replace(reply, cost=0.0)

    async def close(self) -> None:
        """Stops the server; requests still in flight are given up."""
        for task in self._answering - {asyncio.current_task()}:
            task.cancel()
        if self._answering:
            await asyncio.wait(self._answering)
        chat, self._chat = self._chat, None
        if chat is not None:
            await chat.close()
        server, self._server = self._server, None
        if server is not None:
            await server.close()

    def _bounded(self, request: Request) -> Mapping[str, Any]:
        """The request's schema with its lengths: a small model may not end a string by itself."""
        if request.schema_hash not in self._schemas:
            self._schemas[request.schema_hash] = with_lengths(request.schema)
        return self._schemas[request.schema_hash]

    async def _rewind(self, server: local_server.Server, messages: tuple[Message, ...]) -> None:
        if not self._repeatable:
            return
        try:
            await server.rewind(messages)
        except local_server.CannotRewind as error:
            self._repeatable = False
            self.notices.append(f"{error}; the same request may get another reply in another run")

    def _described(self, options: AnnotatorOptions) -> str:
        sampling = ", ".join(f"{name} {value:g}" for name, value in local_server.SAMPLING.items())
        return (
            f"{self.file.files[0].name} (sha256 {self.file.sha256}) is run by xllamacpp "
            f"{local_server.version()}; threads: {options.threads}, slots: {self.slots}, context: "
            f"{options.context} tokens; where the parameters say nothing else: {sampling}"
        )


def with_lengths(schema: Any) -> Any:
    """A schema whose `x-remelt-max-length` is the `maxLength` that the model's grammar enforces.

    Servers with strict schemas refuse `maxLength`, so the schema files do not say it for everybody.

    >>> with_lengths({"properties": {"pitch": {"type": "string", "x-remelt-max-length": 9}}})
    {'properties': {'pitch': {'type': 'string', 'maxLength': 9}}}
    """
    if isinstance(schema, Mapping):
        return {"maxLength" if k == _LENGTH else k: with_lengths(v) for k, v in schema.items()}
    return [with_lengths(item) for item in schema] if isinstance(schema, list) else schema


class _Embedded(OpenAIChat):
    """The client of the server in this process.

    Its key is the server's own and never the one in the user's environment.
    """

    def __init__(self, name: str, model: str, options: AnnotatorOptions, key: str) -> None:
        options = replace(options, timeout=max(options.timeout, _PATIENCE), more_urls=())
        super().__init__(name, model, options, endpoint=_ENDPOINT)
        self._key = Key(key, "the embedded server")
