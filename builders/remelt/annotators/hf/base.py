"""A transformers model as an annotator: loading it, keeping it, letting go of it."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import AnnotatorError, RequestRejected
from ...records import Message, Reply, Request
from ..base import AnnotatorOptions
from .models import HFModel

if TYPE_CHECKING:
    from .prompts import Prompts
    from .runtime import Runtime

# Rows at once; on processors more bring little, and a row's memory grows with the model.
BATCH = {"cpu": 4, "cuda": 32}
# Requests that wait beside those worked on, so that there are some of like length to choose from.
_WAITING = 4


class InProcess(ABC):
    """What both ways of asking a model have in common.

    Args:
        file: the model.
        options: device, threads, slots (rows in a batch), answer format.
        versions: of the packages, for the record.

    Attributes:
        file: as given.
        at_once: requests worked on, or waiting to be put together with others of their length.
    """

    def __init__(self, file: HFModel, options: AnnotatorOptions, versions: Mapping[str, str]) -> None:
        self.file = file
        self.name = f"hf/{file.name}"
        self.model = file.model
        self.endpoint = "hf"
        self.notices: list[str] = []
        self._options = options
        self._versions = versions
        self._thread: ThreadPoolExecutor | None = None
        self._runtime: Runtime | None = None
        self._prompts: Prompts | None = None
        self._untold: set[str] = set()
        self._size = options.slots or BATCH.get(str(options.device).partition(":")[0], BATCH["cpu"])
        self.at_once = _WAITING * self._size

    async def start(self) -> None:
        """Loads the model.

        Raises:
            InputError: transformers cannot load the model.
        """
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="remelt-hf")
        loop = asyncio.get_running_loop()
        try:
            run, prompts = await loop.run_in_executor(self._thread, self._load)
        except BaseException:
            await self.close()
            raise
        self._runtime, self._prompts = run, prompts
        self._begin(self._thread, self._size)
        kind = str(run.dtype).removeprefix("torch.")
        self.notices.insert(
            0,
            f"{self.file.name} (version {self.file.version}) is run by transformers "
            f"{self._versions['transformers']} and torch {self._versions['torch']}; device: "
            f"{run.device.type}, {kind}, rows at once: {self._size}, "
            f"threads: {self._options.threads}",
        )

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """Asks the model; see `protocols.Annotator.answer`."""
        if self._prompts is None:
            raise AnnotatorError("The model is not running (not started, or closed)")
        started = time.perf_counter()
        reply = await self._answer(request, messages, attempt)
        return replace(
            reply,
            cost=0.0,
            seconds=time.perf_counter() - started,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )

    async def close(self) -> None:
        """Lets go of the model; requests still in flight are given up."""
        if self._runtime is not None:
            self._runtime.stopped.set()
        await self._end()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown)
        self._runtime = self._prompts = None

    def _load(self) -> tuple[Runtime, Prompts]:
        from .prompts import Prompts
        from .runtime import Runtime

        runtime = Runtime(self.file, self._options.device or "cpu", self._options.threads)
        prompts = Prompts(runtime.tokenizer, self.notices)
        self._prepare(runtime, prompts)
        return runtime, prompts

    def _fits(self, size: int) -> None:
        """Refuses a prompt that leaves no room for an answer."""
        room = self._runtime.room if self._runtime else None
        if room is not None and size >= room:
            raise RequestRejected(f"the prompt has {size} tokens; this model's context size is {room}")

    def _tell(self, sentence: str) -> None:
        if sentence not in self._untold:
            self._untold.add(sentence)
            self.notices.append(sentence)

    @abstractmethod
    def _prepare(self, runtime: Runtime, prompts: Prompts) -> None:
        """Runs once the model is loaded."""

    @abstractmethod
    def _begin(self, thread: ThreadPoolExecutor, size: int) -> None:
        """Starts to take requests, so many in a batch."""

    @abstractmethod
    async def _end(self) -> None:
        """Takes no more requests."""

    @abstractmethod
    async def _answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """Answers one request."""
