"""Any server that speaks OpenAI's chat completions: OpenAI itself, vLLM, llama.cpp, Ollama, a gateway.

The answer's structure is asked for by `response_format` where the server takes it, else by the prompt; what
a server refuses is found out once, by the first request, and recorded in `notices`. One call sends one
request (more only while fields are being refused, or where one of several servers sends it away): pacing and
retries are the engine's work.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from ..errors import AnnotatorError, InputError, RequestRejected, TransientError
from ..protocols import Annotator
from ..records import Estimate, Message, RateLimits, Reply, Request
from . import keys, known_models
from .base import AnnotatorOptions
from .estimates import Estimator
from .openai_errors import Kind, ServerSaid, kind, read_error, read_object, tidy, without_key
from .openai_plan import Negotiation, blames_format, first_plan, named_parameter, named_schema
from .openai_reply import read_reply
from .openai_servers import KEY, OFFICIAL, Server, Servers, check_key, key_problem
from .openai_transport import Answer, Encoder, Transport
from .openai_transport import shown_url as shown_url
from .retirement import announced

SCHEME = "openai"
FORM = "openai/MODEL"

_ROUTE = "/chat/completions"
_HEAD_START = 3.0
_MOST_REJECTED = 20
# Gateways that gave up waiting: the model behind them may have answered, and be paid for it.
_GATEWAY_TIMEOUTS = (504, 524)


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
        options: base URLs, time limit, answer format, connections.
        endpoint: what stands in request keys instead of the base URL (the embedded model's port changes
            from run to run); with it the environment's headers are not for this server.

    Attributes:
        retires: ISO date on which the model is switched off, where the server or we know it.

    Raises:
        InputError: a base URL is no http(s) address, or is given twice.
    """

    def __init__(
        self, name: str, model: str, options: AnnotatorOptions, *, endpoint: str | None = None
    ) -> None:
        base_url = options.base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL
        self.name, self.model = name, model
        self.notices: list[str] = []
        self._servers = Servers((base_url, *options.more_urls), model, self.notices)
        self.endpoint = self._servers.first.shown if endpoint is None else endpoint
        self._key = keys.from_environment((base_url, *options.more_urls))
        self._options, self._embedded = options, endpoint is not None
        self._price = known_models.find(model, options.prices)
        plan, told = first_plan(model, options, self._price is not None and self._price.reasoning)
        self.notices.extend(told)
        self._negotiation = Negotiation(plan, options.answer_format == "auto", self.notices)
        self._scout: asyncio.Event | None = None
        self._named: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
        self._rejected = 0
        self._estimator = Estimator(model, self._price)
        self._encoder = Encoder()
        self._transport: Transport | None = None
        self.retires = self._price.retires if self._price else None

    # -- protocol -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Checks that there is a key and that the server is there; asks for nothing that costs.

        Raises:
            AnnotatorError: no key for OpenAI's own server, a refused key, nobody at any address, or
                another model at one of several.
        """
        if not self._key and not self._embedded:
            self._key = await keys.find([server.base_url for server in self._servers.all])
        check_key(self._servers.all, self._key)
        await self._servers.start(self._connected())
        date, problem = announced(await self._servers.entry(self._connected()))
        self.retires = date or self.retires
        if problem:
            told = f"{self._servers.first.shown} tells when {self.model} is switched off, but {problem}"
            self.notices.append(self._redact(told))

    @property
    def key(self) -> keys.Key:
        """The API key, once started; empty for none."""
        return self._key

    @property
    def limits(self) -> RateLimits | None:
        """The rate limits that the servers told last; None before they have told any."""
        return self._servers.limits

    def estimate(self, request: Request, messages: tuple[Message, ...]) -> Estimate:
        """What sending these messages will take; see `estimates.Estimator`."""
        return self._estimator.estimate(request, messages)

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """Sends one request; see `protocols.Annotator.answer`."""
        if self._negotiation.settled:
            return await self._exchange(request, messages, attempt)
        async with self._alone_first():
            return await self._exchange(request, messages, attempt)

    async def close(self) -> None:
        """Closes the connections."""
        await self._servers.close()
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

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
            started = time.perf_counter()
            server, answer, sent = await self._servers.post(
                self._connected(), _ROUTE, self._encoder.encode(body)
            )
            seconds = time.perf_counter() - started
            tries += sent
            payload = self._read(server, answer)
            if not isinstance(payload, ServerSaid):
                break
            what = kind(payload)
            about_a_field = what == "refused_field" or payload.status in (500, 501)
            if not about_a_field or not self._negotiation.refused(
                bid, body, payload, guess=what == "refused_field"
            ):
                await self._give_up(server, what, body, payload)
        try:
            reply = read_reply(payload, request, attempt, self._price, self._redact)
        except TransientError as error:
            error.charged = True
            raise
        self._negotiation.accepted(bid)
        return replace(
            reply,
            raw=without_key(reply.raw, self._key),
            model=without_key(reply.model, self._key),
            means=bid.plan.means(request),
            detail="; ".join(part for part in (reply.detail, bid.plan.noted(request)) if part),
            seconds=seconds,
            tries=tries,
        )

    def _schema(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema as it is sent; all requests of a run share one object, which is worked over once."""
        if self._named is None or self._named[0] is not schema:
            self._named = (schema, named_schema(schema))
        return self._named[1]

    def _read(self, server: Server, answer: Answer) -> Mapping[str, Any] | ServerSaid:
        """The answer's JSON object, or what the server said instead.

        Raises:
            TransientError: it cannot be read.
        """
        payload = read_object(server.shown, *answer, self._key)
        if isinstance(payload, ServerSaid):
            return payload
        if payload is None:
            raise TransientError(
                f"{server.shown} answered with JSON that is no chat completion", charged=True
            )
        if payload.get("error") and not payload.get("choices"):
            # Gateways pass on their provider's failure with status 200 and the real status in the body.
            code = payload["error"].get("code") if isinstance(payload["error"], dict) else None
            status = code if isinstance(code, int) and 400 <= code < 600 else 502
            return read_error(status, answer.headers, answer.content, self._key)
        return payload

    # -- errors -------------------------------------------------------------------------------------

    async def _give_up(
        self, server: Server, what: Kind, body: Mapping[str, Any], said: ServerSaid
    ) -> NoReturn:
        """Raises what an error answer means when asking otherwise would not help."""
        told = f"{server.shown} answered {said.status}: {said.message}"
        if what in ("transient", "throttled"):
            charged = said.status in _GATEWAY_TIMEOUTS
            raise TransientError(told, said.retry_after, throttled=what == "throttled", charged=charged)
        if what == "key":
            raise AnnotatorError(key_problem(server, said, self._key))
        if what == "quota":
            raise AnnotatorError(f"{told} (the account behind {KEY} has no credit left for this)")
        if what == "model":
            raise AnnotatorError(
                f"{server.shown} has no model {self.model!r}: {said.message}{await self._choices(server)}"
            )
        if what == "route":
            raise AnnotatorError(
                f"{told}; there is no chat route at {server.shown}{_ROUTE} (a base URL often ends in /v1)"
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

    def _redact(self, text: str) -> str:
        return tidy(text, self._key)

    # -- server -------------------------------------------------------------------------------------

    def _connected(self) -> Transport:
        if self._transport is None:
            room = self._options.concurrency + 2
            self._transport = Transport(self._key, self._options.timeout, room, not self._embedded)
        return self._transport

    async def _choices(self, server: Server) -> str:
        """The server's models as the end of a sentence, the most similar first; empty if it tells none."""
        if not server.models:
            with contextlib.suppress(AnnotatorError, TransientError):
                await self._servers.look(self._connected(), server)
        if not server.models:
            return ""
        near = difflib.get_close_matches(self.model, server.models, n=5, cutoff=0.3)
        names = [*near, *(m for m in server.models if m not in near)]
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        return f"; it has {names[:12]!r}{more}"
