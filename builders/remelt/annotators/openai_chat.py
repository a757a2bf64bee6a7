"""Any server that speaks OpenAI's chat completions: OpenAI itself, vLLM, llama.cpp, Ollama, a gateway.

The answer's structure is asked for by `response_format` where the server takes it, else by the prompt; what
a server refuses is found out once, by the first request, and recorded in `notices`. One call sends one
request (more only while fields are being refused): pacing and retries are the engine's work.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from ..errors import AnnotatorError, InputError, RequestRejected, TransientError
from ..protocols import Annotator
from ..records import Message, Reply, Request
from . import known_models
from .base import AnnotatorOptions
from .openai_errors import Kind, ServerSaid, causes, kind, read_error, tidy
from .openai_plan import Negotiation, Plan, blames_format, named_parameter, named_schema
from .openai_reply import read_reply

if TYPE_CHECKING:
    import httpx2
    import openai

SCHEME = "openai"
FORM = "openai/MODEL"

_OFFICIAL = "https://api.openai.com/v1"
_KEY = "OPENAI_API_KEY"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HELLO = 10.0
_HEAD_START = 3.0
_MOST_REJECTED = 20


def create(spec: str, options: AnnotatorOptions) -> Annotator:
    """The annotator for `openai/MODEL`.

    Raises:
        InputError: no model is named.
    """
    model = spec[len(SCHEME) + 1 :].strip()
    if not model:
        raise InputError(f"Bad annotator {spec!r}, expected {FORM}, such as openai/gpt-4o-2024-08-06")
    return OpenAIChat(spec, model, options)


class OpenAIChat:
    """A chat completions server as an annotator.

    Args:
        name: as given on the command line.
        model: the model id to ask for.
        options: base URL, time limit, answer format, connections.
        endpoint: what stands in request keys instead of the base URL (the embedded model's port changes
            from run to run).

    Attributes:
        retires: ISO date on which the model is switched off, where the server or we know it.

    Raises:
        InputError: the base URL is no http(s) address.
    """

    def __init__(
        self, name: str, model: str, options: AnnotatorOptions, *, endpoint: str | None = None
    ) -> None:
        base_url = options.base_url or os.environ.get("OPENAI_BASE_URL") or _OFFICIAL
        self.name, self.model = name, model
        self._base_url = base_url.strip().rstrip("/")
        self._shown = shown_url(self._base_url)
        self.endpoint = self._shown if endpoint is None else endpoint
        self.notices: list[str] = []
        self._key = os.environ.get(_KEY, "").strip()
        self._options = options
        auto = options.answer_format == "auto"
        plan = Plan("json_schema" if auto else options.answer_format)
        self._negotiation = Negotiation(plan, auto, self.notices)
        self._scout: asyncio.Event | None = None
        self._named: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
        self._rejected = 0
        self._models: tuple[str, ...] = ()
        self._client: openai.AsyncOpenAI | None = None
        self._price = known_models.find(model)
        self.retires = self._price.retires if self._price else None

    # -- protocol -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Checks that there is a key and that the server is there; asks for nothing that costs.

        Raises:
            AnnotatorError: no key for OpenAI's own server, a refused key, or nobody at the address.
        """
        if not self._key and self._base_url == _OFFICIAL:
            raise AnnotatorError(
                f"{self._shown} needs an API key: set the environment variable {_KEY}, or name another "
                "server by its base URL"
            )
        if not (self._key.isascii() and self._key.isprintable()):
            raise AnnotatorError(f"The environment variable {_KEY} holds characters that no key has")
        await self._list_models()

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """Sends one request; see `protocols.Annotator.answer`."""
        if self._negotiation.settled:
            return await self._exchange(request, messages, attempt)
        async with self._alone_first():
            return await self._exchange(request, messages, attempt)

    async def close(self) -> None:
        """Closes the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    # -- one request --------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _alone_first(self) -> AsyncIterator[None]:
        """Holds the others back until one request has found out what the server takes.

        Not for long: a server refuses a field before it generates anything, so a request that is still
        under way after some seconds was accepted.
        """
        deadline = time.monotonic() + _HEAD_START
        while self._scout is not None and not self._negotiation.settled:
            if (left := deadline - time.monotonic()) <= 0:
                break
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._scout.wait(), left)
        mine = asyncio.Event() if self._scout is None else None
        if mine is not None:
            self._scout = mine
        try:
            yield
        finally:
            if mine is not None:
                self._scout = None
                mine.set()

    async def _exchange(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        bid, tries = self._negotiation.open(), 0
        while True:
            body = bid.plan.body(self.model, request, messages, attempt, self._schema(request.schema))
            tries += 1
            started = time.perf_counter()
            payload = await self._send(body)
            seconds = time.perf_counter() - started
            if not isinstance(payload, ServerSaid):
                break
            what = kind(payload)
            about_a_field = what == "refused_field" or payload.status in (500, 501)
            if not about_a_field or not self._negotiation.refused(
                bid, body, payload, guess=what == "refused_field"
            ):
                await self._give_up(what, body, payload)
        reply = read_reply(payload, request, attempt, self._price, self._redact)
        self._negotiation.accepted(bid)
        return replace(
            reply,
            means=bid.plan.means(request),
            detail="; ".join(part for part in (reply.detail, bid.plan.detail) if part),
            seconds=seconds,
            tries=tries,
        )

    def _schema(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema as it is sent; all requests of a run share one object, which is worked over once."""
        if self._named is None or self._named[0] is not schema:
            self._named = (schema, named_schema(schema))
        return self._named[1]

    async def _send(self, body: Mapping[str, Any]) -> Mapping[str, Any] | ServerSaid:
        """One POST: the answer's JSON object, or what the server said instead.

        Raises:
            TransientError: no answer, or one that cannot be read.
        """
        import httpx2

        client = self._connect()
        try:
            # `post` with a raw response: building and checking typed objects halves the rows per second.
            response = await asyncio.wait_for(
                client.post("/chat/completions", cast_to=httpx2.Response, body=body), self._options.timeout
            )
        except asyncio.TimeoutError:
            raise TransientError(f"{self._shown} gave no reply in {self._options.timeout:g} s") from None
        except self._status_error as error:
            answer = error.response
            return read_error(answer.status_code, answer.headers, answer.content, self._key)
        except self._connection_errors as error:
            raise TransientError(f"{self._shown}: {self._cause(error)}") from error
        return self._read(response)

    def _read(self, response: httpx2.Response) -> Mapping[str, Any] | ServerSaid:
        try:
            payload = json.loads(response.content)
        except (ValueError, RecursionError):
            said = read_error(response.status_code, response.headers, response.content, self._key)
            raise TransientError(
                f"{self._shown} answered with something that is not JSON ({said.message or 'nothing'})"
            ) from None
        if not isinstance(payload, dict):
            raise TransientError(f"{self._shown} answered with JSON that is no chat completion")
        if payload.get("error") and not payload.get("choices"):
            # Gateways pass on their provider's failure with status 200 and the real status in the body.
            code = payload["error"].get("code") if isinstance(payload["error"], dict) else None
            status = code if isinstance(code, int) and 400 <= code < 600 else 502
            return read_error(status, response.headers, response.content, self._key)
        return payload

    # -- errors -------------------------------------------------------------------------------------

    async def _give_up(self, what: Kind, body: Mapping[str, Any], said: ServerSaid) -> NoReturn:
        """Raises what an error answer means when asking otherwise would not help."""
        told = f"{self._shown} answered {said.status}: {said.message}"
        if what in ("transient", "throttled"):
            raise TransientError(told, said.retry_after, throttled=what == "throttled")
        if what == "key":
            raise AnnotatorError(self._key_problem(said))
        if what == "quota":
            raise AnnotatorError(f"{told} (the account behind {_KEY} has no credit left for this)")
        if what == "model":
            raise AnnotatorError(
                f"{self._shown} has no model {self.model!r}: {said.message}{await self._choices()}"
            )
        if what == "route":
            raise AnnotatorError(
                f"{told}; there is no chat route at {self._shown}/chat/completions "
                "(a base URL often ends in /v1)"
            )
        if not self._negotiation.settled:
            self._refuse_all(what, body, said, told)
        raise RequestRejected(told)

    def _refuse_all(self, what: Kind, body: Mapping[str, Any], said: ServerSaid, told: str) -> None:
        """Raises where a refusal must hold for every request; nothing was answered yet."""
        name = named_parameter(body, said) if what == "refused_field" else None
        if name is not None:
            raise AnnotatorError(f"{told} ({name} was {body[name]!r})")
        if what == "refused_field" and blames_format(body, said):
            raise AnnotatorError(
                f"{told}; the server does not take the answer format {self._options.answer_format!r}, "
                "choose another or 'auto'"
            )
        self._rejected += 1
        if self._rejected >= _MOST_REJECTED:
            raise AnnotatorError(f"the first {self._rejected} requests were all refused; the last: {told}")

    def _key_problem(self, said: ServerSaid) -> str:
        if not self._key:
            return f"{self._shown} wants an API key ({said.status}: {said.message}): set {_KEY}"
        return (
            f"{self._shown} refuses the API key in the environment variable {_KEY} "
            f"({said.status}: {said.message})"
        )

    def _cause(self, error: BaseException) -> str:
        """The words of the innermost exception that has some; the client's own say little."""
        words = [f"{type(e).__name__}: {e}" if str(e) else type(e).__name__ for e in causes(error)]
        return self._redact(next((w for w in reversed(words) if ": " in w), words[-1]))

    def _redact(self, text: str) -> str:
        return tidy(text, self._key)

    # -- server -------------------------------------------------------------------------------------

    def _connect(self) -> openai.AsyncOpenAI:
        if self._client is None:
            import aiohttp
            import httpx2
            import openai

            self._status_error = openai.APIStatusError
            self._connection_errors = (openai.OpenAIError, httpx2.HTTPError, aiohttp.ClientError, OSError)
            room = self._options.concurrency + 2
            self._client = openai.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=self._base_url,
                max_retries=0,
                timeout=httpx2.Timeout(self._options.timeout, connect=min(self._options.timeout, 30.0)),
                http_client=openai.DefaultAioHttpClient(
                    limits=httpx2.Limits(max_connections=room, max_keepalive_connections=room),
                    # A proxy of the environment cannot reach this machine's own loopback.
                    trust_env=urlsplit(self._base_url).hostname not in _LOOPBACK,
                ),
            )
        return self._client

    async def _list_models(self) -> None:
        """Reads GET /models, a route that many servers leave out; only a refused key is a problem.

        Raises:
            AnnotatorError: nobody is at the address, or the key is refused.
        """
        import aiohttp
        import httpx2

        client = self._connect()
        try:
            response = await asyncio.wait_for(client.get("/models", cast_to=httpx2.Response), _HELLO)
            data = json.loads(response.content)["data"]
            models = {str(entry["id"]): entry for entry in data}
        except self._status_error as error:
            if error.status_code == 401:
                said = read_error(401, error.response.headers, error.response.content, self._key)
                raise AnnotatorError(self._key_problem(said)) from None
            return
        except self._connection_errors as error:
            lost = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
            if any(isinstance(e, lost) for e in causes(error)):
                raise AnnotatorError(
                    f"Cannot reach {self._shown}: {self._cause(error)}. Is the server running and the "
                    "base URL right?"
                ) from None
            return
        except (asyncio.TimeoutError, ValueError, KeyError, TypeError):
            return
        self._models = tuple(models)
        date = models.get(self.model, {}).get("shutdown_date")
        if isinstance(date, str) and date:
            self.retires = date

    async def _choices(self) -> str:
        """The server's models as the end of a sentence, the most similar first; empty if it tells none."""
        if not self._models:
            with contextlib.suppress(AnnotatorError):
                await self._list_models()
        if not self._models:
            return ""
        near = difflib.get_close_matches(self.model, self._models, n=5, cutoff=0.3)
        names = [*near, *(m for m in self._models if m not in near)]
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        return f"; it has {names[:12]!r}{more}"


def shown_url(base_url: str) -> str:
    """A base URL as it may be shown and stored: without user, password and query.

    Raises:
        InputError: not an http or https address.

    >>> shown_url("http://me:secret@localhost:8000/v1?key=abc")
    'http://localhost:8000/v1'
    """
    try:
        parts = urlsplit(base_url)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        host, port, parts = "", "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        plain = base_url.rpartition("@")[2].partition("?")[0]
        raise InputError(f"Bad base URL {plain!r}, expected one like 'http://localhost:8000/v1'")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}".rstrip("/")
