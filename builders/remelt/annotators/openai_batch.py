"""OpenAI's Batch API, and every server that speaks its routes: half the price, answers within a day.

Nothing can be negotiated: a field that the server refuses is refused in every row, hours later. So what is
known of a model is heeded beforehand, and a batch in which every row was refused for a field ends the run
with the option to change.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

from ..errors import AnnotatorError, FieldRefused, InputError, RequestRejected, TransientError
from ..offline import need_way_to
from ..protocols import BatchState
from ..records import Estimate, Message, Reply, Request
from . import keys, known_models
from .base import AnnotatorOptions
from .estimates import Estimator
from .openai_chat import OpenAIChat, shown_url
from .openai_errors import ServerSaid, causes, kind, read_error, tidy, without_key
from .openai_plan import blames_format, first_plan, named_parameter, named_schema
from .openai_reply import read_reply
from .openai_servers import KEY, OFFICIAL

if TYPE_CHECKING:
    import openai
    from openai.types import Batch

T = TypeVar("T")

SCHEME = "openai-batch"
FORM = "openai-batch/MODEL"

_ROUTE: Final = "/v1/chat/completions"
_META = "remelt"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FILE_TIMEOUT = 600.0
_CHUNK = 1024 * 1024
_PAGE = 100
_FULL = re.compile(r"enqueued|token_limit_exceeded|batch (?:rate|queue) limit", re.IGNORECASE)
_LIMIT = re.compile(r"limit(?::| of)?\s*(\d[\d,]*)\s*([KM])?\b(?! enqueued requests)", re.IGNORECASE)
_NO_CREDIT = re.compile(r"billing|insufficient_quota|current quota", re.IGNORECASE)
_OPTIONS = {
    "temperature": "--temperature",
    "top_p": "top_p",
    "seed": "--seed",
    "max_tokens": "--max-tokens",
    "max_completion_tokens": "--max-tokens",
    "reasoning_effort": "--reasoning-effort",
    "logprobs": "--logprobs",
    "top_logprobs": "--logprobs",
}


def create(spec: str, options: AnnotatorOptions) -> OpenAIBatch:
    """The annotator for `openai-batch/MODEL`.

    Raises:
        InputError: no model is named.
    """
    model = spec[len(SCHEME) + 1 :].strip()
    if not model:
        raise InputError(f"Bad annotator {spec!r}, expected {FORM}, such as openai-batch/gpt-4o-2024-08-06")
    return OpenAIBatch(spec, model, options)


class OpenAIBatch:
    """A server with files and batches as an annotator; see `protocols.BatchAnnotator`.

    Args:
        name: as given on the command line.
        model: the model id to ask for.
        options: base URL, time limit, answer format, prices, limits of batches.

    Attributes:
        endpoint: the base URL without secrets, as for the chat annotator: a row answered by one of the two
            counts for the other.
        retires: ISO date on which the model is switched off, where the server or we know it.

    Raises:
        InputError: the base URL is no http(s) address, or the prices file cannot be used.
    """

    batched = True

    def __init__(self, name: str, model: str, options: AnnotatorOptions) -> None:
        base_url = options.base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL
        self.name, self.model = name, model
        self._base_url = base_url.strip().rstrip("/")
        self.endpoint = shown_url(self._base_url)
        self._key = keys.from_environment([base_url])
        self._options = options
        self.batch_options = options.batch
        self._price = known_models.find(model, options.prices)
        plan, self.notices = first_plan(model, options, self._price is not None and self._price.reasoning)
        # A server that does not know the schema there would refuse every row for it.
        self._plan = replace(plan, bare=True) if plan.answer_format == "json_object" else plan
        self._estimator = Estimator(
            model, self._price, schema=plan.answer_format in ("json_schema", "grammar"), batch=True
        )
        self._named: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
        self._client: openai.AsyncOpenAI | None = None
        self.retires = self._price.retires if self._price else None

    # -- requests and answers -----------------------------------------------------------------------

    async def start(self) -> None:
        """Checks that there is a key and that the server is there; asks for nothing that costs.

        Raises:
            AnnotatorError: no key for OpenAI's own server, a refused key, or nobody at the address.
        """
        chat = OpenAIChat(self.name, self.model, replace(self._options, more_urls=()))
        try:
            await chat.start()
        finally:
            await chat.close()
        self._key = chat.key
        self.retires = chat.retires or self.retires
        self.notices.extend(notice for notice in chat.notices if notice not in self.notices)

    def estimate(self, request: Request, messages: tuple[Message, ...]) -> Estimate:
        """What a request will take at most, at the batch price."""
        return self._estimator.estimate(request, messages)

    def line(self, row: str, request: Request, messages: tuple[Message, ...], attempt: int) -> bytes:
        """One line of a batch's file; see `protocols.BatchAnnotator.line`."""
        body = self._body(request, messages, attempt)
        line = {"custom_id": row, "method": "POST", "url": _ROUTE, "body": body}
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace") + b"\n"

    def _body(self, request: Request, messages: tuple[Message, ...], attempt: int) -> dict[str, Any]:
        if self._named is None or self._named[0] is not request.schema:
            self._named = (request.schema, named_schema(request.schema))
        return self._plan.body(self.model, request, messages, attempt, self._named[1])

    def parse(self, line: bytes) -> tuple[str, Any]:
        """The custom id of a line and the line itself; an empty id where it cannot be read."""
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            return "", None
        name = content.get("custom_id") if isinstance(content, dict) else None
        return (name, content) if isinstance(name, str) else ("", None)

    def reply(self, content: Any, request: Request, attempt: int) -> Reply:
        """The answer in a parsed line; see `protocols.BatchAnnotator.reply`."""
        response, error = content.get("response"), content.get("error")
        if not isinstance(response, dict):
            said = read_error(500, {}, json.dumps({"error": error or "no response"}).encode(), self._key)
            raise TransientError(f"{said.code}: {said.message}" if said.code else said.message)
        body, status = response.get("body"), response.get("status_code")
        status = status if isinstance(status, int) else 200
        failed = status >= 300 or (isinstance(body, dict) and body.get("error") and not body.get("choices"))
        if failed:
            said = read_error(status if status >= 300 else 502, {}, json.dumps(body).encode(), self._key)
            self._refuse(said, request, attempt)
        if not isinstance(body, dict):
            raise TransientError("the answer is no chat completion")
        reply = read_reply(body, request, attempt, None, self._redact)
        reply = replace(
            reply, raw=without_key(reply.raw, self._key), model=without_key(reply.model, self._key)
        )
        cost = None
        if self._price is not None and reply.input_tokens is not None:
            sent, received = reply.input_tokens, reply.output_tokens or 0
            cost = round(self._price.cost(sent, received, reply.cached_tokens or 0, batch=True), 9)
        parts = (reply.detail, self._plan.noted(request))
        return replace(
            reply,
            means=self._plan.means(request),
            detail="; ".join(part for part in parts if part),
            cost=cost,
            created=_time(body.get("created")) or reply.created,
        )

    def _refuse(self, said: ServerSaid, request: Request, attempt: int) -> NoReturn:
        """Raises what an error answer to one row means."""
        told, what = f"the server answered {said.status}: {said.message}", kind(said)
        if what in ("transient", "throttled"):
            raise TransientError(told)
        if what in ("key", "quota", "model", "route"):
            raise AnnotatorError(f"{self.endpoint}: {told}")
        if what == "refused_field":
            raise FieldRefused(told, self._advice(said, self._body(request, request.messages, attempt)))
        raise RequestRejected(told)

    def _advice(self, said: ServerSaid, body: Mapping[str, Any]) -> str:
        name = named_parameter(body, said)
        if name is not None:
            option = _OPTIONS.get(name, name)
            return f"change {option} (it was {body[name]!r}); a batch cannot find out what a server takes"
        if blames_format(body, said):
            return f"choose another --answer-format (it was {self._plan.answer_format})"
        return f"see what --annotator openai/{self.model} --limit 1 says, which finds out what a server takes"

    # -- the server's routes ------------------------------------------------------------------------

    async def upload(self, path: Path, mark: str) -> str:
        """Sends a batch's file; see `protocols.BatchAnnotator.upload`."""
        client = self._connect()
        with contextlib.closing(path.open("rb")) as content:
            upload = (f"{mark}.jsonl", content, "application/jsonl")
            file = await self._ask(client.files.create(file=upload, purpose="batch", timeout=_FILE_TIMEOUT))
        if isinstance(file, ServerSaid):
            self._give_up(file, "take the file of a batch")
        if not isinstance(getattr(file, "id", None), str):
            raise TransientError(f"{self.endpoint} answered an upload with something that is no file")
        return file.id

    async def create_batch(self, file: str, mark: str) -> BatchState:
        """Starts a batch; see `protocols.BatchAnnotator.create_batch`."""
        batch = await self._ask(
            self._connect().batches.create(
                completion_window="24h", endpoint=_ROUTE, input_file_id=file, metadata={_META: mark}
            )
        )
        if isinstance(batch, ServerSaid):
            if _FULL.search(batch.text):
                return BatchState("", "failed", detail=batch.message, full=True, limit=_limit(batch.message))
            self._give_up(batch, "create a batch")
        return self._state(batch)

    async def find_batch(self, file: str, mark: str) -> BatchState | None:
        """Looks through the server's list; see `protocols.BatchAnnotator.find_batch`."""
        await self._unlock()
        client, after = self._connect(), None
        while True:
            page = await self._ask(
                client.batches.list(limit=_PAGE, after=after) if after else client.batches.list(limit=_PAGE)
            )
            if isinstance(page, ServerSaid):
                if kind(page) == "route":
                    raise RequestRejected(
                        f"{self.endpoint} lists no batches ({page.status}: {page.message}), so nobody can "
                        f"say whether batch {mark} was created; `remelt batches OUT --cancel {mark}` gives "
                        "it up"
                    )
                self._give_up(page, "list its batches")
            found = list(getattr(page, "data", None) or [])
            for batch in found:
                if (batch.metadata or {}).get(_META) == mark or batch.input_file_id == file:
                    return self._state(batch)
            if not found or not getattr(page, "has_more", False):
                return None
            after = found[-1].id

    async def batch(self, batch_id: str) -> BatchState:
        """How a batch stands; see `protocols.BatchAnnotator.batch`."""
        batch = await self._ask(self._connect().batches.retrieve(batch_id))
        if isinstance(batch, ServerSaid):
            self._give_up(batch, f"show batch {batch_id}", missing=batch_id)
        return self._state(batch)

    async def cancel_batch(self, batch_id: str) -> BatchState:
        """Ends a batch; see `protocols.BatchAnnotator.cancel_batch`."""
        await self._unlock()
        batch = await self._ask(self._connect().batches.cancel(batch_id))
        if isinstance(batch, ServerSaid):
            if batch.status in (400, 409):
                # It has ended in the meantime.
                return await self.batch(batch_id)
            self._give_up(batch, f"cancel batch {batch_id}", missing=batch_id)
        return self._state(batch)

    async def fetch(self, file: str, path: Path) -> None:
        """Streams one of the server's files to disk.

        Raises:
            RequestRejected: the server has no such file (any more).
        """
        said = await self._ask(self._stream(file, path))
        if said is not None:
            if said.status in (404, 410):
                raise RequestRejected(f"file {file}: {said.status}: {said.message}")
            self._give_up(said, f"give file {file}")

    async def _stream(self, file: str, path: Path) -> None:
        stream = self._connect().files.with_streaming_response.content(file, timeout=_FILE_TIMEOUT)
        async with stream as response:
            await response.stream_to_file(path, chunk_size=_CHUNK)

    async def close(self) -> None:
        """Closes the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    # -- help ---------------------------------------------------------------------------------------

    async def _unlock(self) -> None:
        """Gets the key, for what is asked of a server without `start`."""
        need_way_to(self._base_url, f"The server {self.endpoint}")
        if not self._key:
            self._key = await keys.find([self._base_url])

    def _connect(self) -> openai.AsyncOpenAI:
        if self._client is None:
            import aiohttp
            import httpx2
            import openai

            self._status_error = openai.APIStatusError
            self._connection_errors = (openai.OpenAIError, httpx2.HTTPError, aiohttp.ClientError, ValueError)
            self._client = openai.AsyncOpenAI(
                api_key=str(self._key) or "none",
                base_url=self._base_url,
                max_retries=0,
                timeout=httpx2.Timeout(self._options.timeout, connect=min(self._options.timeout, 30.0)),
                http_client=openai.DefaultAioHttpClient(
                    # A proxy of the environment cannot reach this machine's own loopback.
                    trust_env=urlsplit(self._base_url).hostname not in _LOOPBACK,
                ),
            )
        return self._client

    async def _ask(self, call: Awaitable[T]) -> T | ServerSaid:
        """The server's answer, or what it said instead.

        Raises:
            TransientError: no answer, or one that cannot be read; the request may have worked.
        """
        try:
            return await call
        except self._status_error as error:
            answer = error.response
            return read_error(answer.status_code, answer.headers, answer.content, self._key)
        except self._connection_errors as error:
            words = [f"{type(e).__name__}: {e}" if str(e) else type(e).__name__ for e in causes(error)]
            cause = next((w for w in reversed(words) if ": " in w), words[-1])
            raise TransientError(f"{self.endpoint}: {self._redact(cause)}", charged=True) from error

    def _give_up(self, said: ServerSaid, what: str, missing: str = "") -> NoReturn:
        """Raises what an error answer of one of the routes means."""
        told, meaning = f"{self.endpoint} does not {what} ({said.status}: {said.message})", kind(said)
        if meaning in ("transient", "throttled"):
            raise TransientError(told, said.retry_after, throttled=meaning == "throttled", charged=True)
        if missing and said.status == 404:
            raise RequestRejected(
                f"{told}. Is {KEY} of another project than before? `remelt batches OUT --cancel {missing}` "
                "gives the batch up, and its rows are asked again"
            )
        if meaning == "key":
            raise AnnotatorError(f"{told}: check the environment variable {KEY}")
        if meaning == "route":
            raise AnnotatorError(f"{told}: no batches there? Try --annotator openai/{self.model}")
        raise AnnotatorError(told)

    def _state(self, batch: Batch | ServerSaid) -> BatchState:
        if isinstance(batch, ServerSaid) or not isinstance(getattr(batch, "id", None), str):
            raise TransientError(
                f"{self.endpoint} answered with something that is no batch", charged=True
            ) from None
        counts = batch.request_counts
        state = BatchState(
            id=batch.id,
            status=str(batch.status),
            created=_time(batch.created_at),
            total=counts.total if counts else 0,
            completed=counts.completed if counts else 0,
            failed=counts.failed if counts else 0,
            output_file=batch.output_file_id or "",
            error_file=batch.error_file_id or "",
        )
        errors = [e for e in (batch.errors.data if batch.errors else None) or [] if e is not None]
        if not errors:
            return state
        said = [ServerSaid(400, self._redact(e.message or ""), e.code or "", e.param or "") for e in errors]
        full = next((s for s in said if _FULL.search(s.text)), None)
        fatal = next((s for s in said if kind(s) == "model" or _NO_CREDIT.search(s.text)), None)
        if batch.status != "failed":
            full = fatal = None
        bad = zip(errors, said, strict=True)
        return replace(
            state,
            detail=(full or said[0]).message or said[0].code,
            full=full is not None,
            limit=_limit(full.message) if full else None,
            bad_lines=tuple((e.line, s.message or s.code) for e, s in bad if e.line is not None),
            hopeless=f"{self.endpoint} refused a batch: {fatal.message}" if fatal and not full else "",
        )

    def _redact(self, text: str) -> str:
        return tidy(text, self._key)


def _time(seconds: Any) -> str:
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds < 2**40:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _limit(message: str) -> int | None:
    """The limit on enqueued tokens that a refusal names.

    >>> _limit("surpassed the configured limit of 30K")
    30000
    """
    match = _LIMIT.search(message)
    if match is None:
        return None
    return int(match[1].replace(",", "")) * {"": 1, "K": 1000, "M": 1_000_000}[(match[2] or "").upper()]
