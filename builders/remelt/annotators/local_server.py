"""llama.cpp's own server inside this process, on a loopback port that nobody else can use.

With one slot, the same request gives the same reply in every run: before each request the slot's memory is
set back to the shared beginning of all prompts, so that nothing is left of the request before and the
numbers are computed in the same portions. (llama.cpp's own prompt cache keeps whatever two prompts in a row
have in common, and the reply then depends on the order of the requests.)
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import re
import secrets
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AnnotatorError, InputError
from ..records import Message, digest
from .openai_plan import sendable

if TYPE_CHECKING:
    import aiohttp

# llama.cpp's own values, written down so that another version of it does not change them unnoticed.
SAMPLING = {"top_k": 40, "top_p": 0.95, "min_p": 0.05}
INSTALL = "pip install xllamacpp"

_SILENT, _ERRORS = -1, 1
_STATE = "prompt.bin"
_SLOT_TIMEOUT = 1800.0
_PROBE_TIMEOUT = 120
_SPEAKER = re.compile(r"^\w+: +(?:error loading model: +)?")
_PROBE = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.verbosity, params.port = sys.argv[1], 256, int(sys.argv[2]), 0
xllamacpp.Server(params)
"""


def version() -> str:
    """The installed version of xllamacpp.

    Raises:
        InputError: it is not installed; the message gives the install line.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise InputError(f"Local models are run by xllamacpp, which is not installed; run: {INSTALL}")
    return importlib.metadata.version("xllamacpp")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is served.

    Attributes:
        path: the GGUF file, or the first part of a split one.
        alias: the model id that replies carry.
        threads: processor threads.
        slots: requests worked on at once.
        context: tokens of prompt and reply together, for each slot.
    """

    path: Path
    alias: str
    threads: int
    slots: int
    context: int


class CannotRewind(AnnotatorError):
    """The server cannot set this model back; it can still answer."""


class Server:
    """A model being served; made by `start`.

    Attributes:
        url: base URL of the OpenAI routes.
        key: the API key that the server asks for.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.key = secrets.token_urlsafe(24)
        self.url = ""
        self._handle: Any = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._prepared = ""

    async def start(self) -> None:
        """Loads the model.

        Raises:
            AnnotatorError: llama.cpp cannot load it; the message says why.
        """
        import aiohttp

        self._folder = tempfile.TemporaryDirectory(prefix="remelt-local-")
        try:
            self._handle = await asyncio.to_thread(_serve, self.settings, self.key, self._folder.name)
        except RuntimeError as error:
            why = await asyncio.to_thread(_why, self.settings.path) or str(error)
            raise AnnotatorError(f"llama.cpp cannot load {self.settings.path}: {why}") from error
        address = str(self._handle.listening_address)
        self.url = f"{address}/v1"
        self._session = aiohttp.ClientSession(
            address,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=aiohttp.ClientTimeout(total=_SLOT_TIMEOUT),
            # The server lets go of a kept connection after some seconds, which is about as long as an
            # answer takes: one that is kept from row to row is lost now and then.
            connector=aiohttp.TCPConnector(force_close=True),
            trust_env=False,
        )

    async def rewind(self, messages: tuple[Message, ...]) -> None:
        """Sets the slot back to what all requests with these system messages share.

        Raises:
            CannotRewind: this model cannot be set back.
            AnnotatorError: the server does not answer.
        """
        shared = []
        for message in messages:
            if message.role != "system":
                break
            shared.append({"role": message.role, "content": sendable(message.content)})
        key = digest(shared)
        if key != self._prepared:
            self._prepared = ""
            await self._slot("erase")
            first = {
                "messages": [*shared, {"role": "user", "content": "."}],
                "max_tokens": 1,
                "temperature": 0,
            }
            if (await self._post("/v1/chat/completions", first))[0] == 400:
                # Too long, for example: the request itself will be told so.
                return
            await self._slot("save")
            self._prepared = key
        await self._slot("restore")

    async def close(self) -> None:
        """Stops the server; all requests must have ended or been given up."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if self._handle is not None:
            # The server waits for connections that are open, and while it waits no Python code runs:
            # what the sessions have closed must be closed in fact first, which takes a turn of the loop.
            await asyncio.sleep(0.05)
            self._handle = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _slot(self, action: str) -> None:
        status, text = await self._post(f"/slots/0?action={action}", {"filename": _STATE})
        if status != 200:
            raise CannotRewind(f"llama.cpp cannot {action} this model's memory ({status}: {text[:200]})")

    async def _post(self, route: str, body: dict[str, Any]) -> tuple[int, str]:
        import aiohttp

        assert self._session is not None
        try:
            async with self._session.post(route, json=body) as response:
                return response.status, await response.text()
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise AnnotatorError(f"llama.cpp does not answer: {error!r}") from error


def _serve(settings: Settings, key: str, folder: str) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(settings.path)
    params.model_alias = {settings.alias}
    params.n_parallel = settings.slots
    params.n_ctx = settings.context * settings.slots
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = settings.threads
        # Threads that wait busily for each other come to a standstill on a loaded machine.
        cpu.poll = 0
    for name, value in SAMPLING.items():
        setattr(params.sampling, name, value)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.cors_origins = ""
    params.n_threads_http = settings.slots + 2
    params.ui = False
    params.verbosity = _SILENT
    params.slot_save_path = f"{folder}/"
    # Copies of old prompts would fill up to 8 GB of memory and never be wanted again.
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    # What a model thinks before it answers would not be in its reply, and every reply is kept whole.
    params.enable_reasoning = 0
    return xllamacpp.Server(params)


def _why(path: Path) -> str:
    """What llama.cpp says when it fails to load a file; asked for in another process, as it is not quiet."""
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE, str(path), str(_ERRORS)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    said = [line.partition(" E ")[2].strip() for line in probe.stderr.splitlines() if " E " in line]
    return _SPEAKER.sub("", said[0]) if said else ""
