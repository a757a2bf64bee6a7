"""A local OpenAI-compatible chat server that answers deterministically and misbehaves on request.

In a test it runs in a thread (`with ChatServer(faults={"500": 0.1}) as server: ... server.url`); for kill
tests it runs as its own process: `python tests/servers.py --port 8123 --fault 500=0.1 --log asked.jsonl`.

The same first user message, turn and seed always get the same reply; a failing request (status, connection)
is drawn anew each time it comes, so that asking again helps. `500:once` fails the first time each prompt
comes, whatever the share.

Rate limits are kept like OpenAI's: `rate_limit=1200` requests (and `token_limit` tokens) a minute, a 429
beyond them. `burst` says how many seconds of that rate may be spent at once: with the default of 60 a fresh
server takes a whole minute's requests at once, with `burst=1` it has to be paced from the first second on
(1,200 a minute: 20 at once, then one every 50 ms). With `rate_headers=True` each answer carries
`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` and a 429 says when to come again
(`retry-after-ms`); without, a 429 says nothing. `server.throttled` counts them; they are in `asked` with
status 429 and the fault `rate_limit`, and are no try of their prompt (`nth`, `:once`).

A server on a fixed port can go away and come back: leave the `with` and enter a new one with `port=...`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from aiohttp import web

from server_faults import (
    CONNECTION_FAULTS,
    FAULTS,
    REJECTS,
    REPLY_FAULTS,
    STATUS_FAULTS,
    RateLimiter,
    error,
    reject,
    share,
    status_answer,
)

LABELS = ("Anger", "Disgust", "Sadness", "Joy", "Neutral", "Surprise", "Fear")


@dataclass
class ServerOptions:
    """What the server is like.

    Attributes:
        faults: share of requests (0 to 1) by fault name; `NAME:once` fails each prompt's first request.
        rejects: request fields that get a 400, as `REJECTS` names them.
        latency: seconds before each reply.
        seed: another seed, other faults and replies.
        key: the API key that is asked for; None takes any.
        model: the one model that is served; None takes any.
        listing: the entries of GET /models instead of the usual one, and of GET /models/ID where `single`
            has none of that id.
        single: entries that GET /models/ID alone tells.
        models_route: False answers 404 on GET /models; `hang` never answers there.
        retry_after: what `429_retry_after`, `429_date` (whole seconds) and `429_ms` say.
        rate_limit, token_limit: requests and tokens that are taken in a minute; None for no limit.
        burst: seconds of those rates that may be spent at once.
        rate_headers: whether the limits are told in headers.
        keep_alive: seconds after which an idle connection is closed.
        port: where to listen; 0 for any free port.
        log: a JSONL file with a line per request.
    """

    faults: Mapping[str, float] = field(default_factory=dict)
    rejects: tuple[str, ...] = ()
    latency: float = 0.0
    seed: int = 0
    key: str | None = None
    model: str | None = None
    listing: tuple[Mapping[str, Any], ...] | None = None
    single: tuple[Mapping[str, Any], ...] = ()
    models_route: bool | str = True
    retry_after: float = 1.0
    rate_limit: float | None = None
    token_limit: float | None = None
    burst: float = 60.0
    rate_headers: bool = False
    keep_alive: float = 75.0
    port: int = 0
    log: Path | None = None

    def __post_init__(self) -> None:
        for name in self.faults:
            if name.removesuffix(":once") not in FAULTS:
                raise ValueError(f"Bad fault {name!r}, expected one of {FAULTS}")
        for name in self.rejects:
            if name not in REJECTS:
                raise ValueError(f"Bad reject {name!r}, expected one of {REJECTS}")


def prompt_hash(body: Mapping[str, Any]) -> tuple[str, int]:
    """The first user message's hash and the turn (earlier answers; a prefill is none)."""
    messages = body.get("messages", [])
    first = next((m["content"] for m in messages if m["role"] == "user"), "")
    earlier = messages[:-1] if messages and messages[-1]["role"] == "assistant" else messages
    turn = sum(m["role"] == "assistant" for m in earlier)
    return hashlib.sha256(str(first).encode("utf-8", "surrogatepass")).hexdigest()[:16], turn


class ChatServer:
    """The server in a thread of its own.

    Attributes:
        url: the base URL, ending in `/v1`, once started.
        asked: a dict per chat request: hash, turn, nth (of this prompt and turn), fault, status, at.
        bodies: the request bodies, in order (kept where `keep_bodies`).
        peak: the most chat requests in flight at once.
        throttled: chat requests that came too early and got a 429.
        limiter: what is left of the rate limits.
    """

    def __init__(self, *, keep_bodies: bool = True, **options: Any) -> None:
        self.options = ServerOptions(**options)
        self.keep_bodies = keep_bodies
        self.asked: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.counts: Counter[tuple[str, int]] = Counter()
        self.in_flight = self.peak = self.throttled = 0
        self.limiter = RateLimiter(self.options.rate_limit, self.options.token_limit, self.options.burst)
        self.url = ""
        self._log: TextIO | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # -- life ---------------------------------------------------------------------------------------

    async def start(self) -> web.AppRunner:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{name:.+}", self._one_model)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.01, keepalive_timeout=self.options.keep_alive
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.options.port, backlog=1024)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        if self.options.log is not None:
            self._log = self.options.log.open("a", encoding="utf-8", buffering=1)
        return runner

    def __enter__(self) -> ChatServer:
        ready = threading.Event()

        def serve() -> None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
            runner = self._loop.run_until_complete(self.start())
            ready.set()
            self._loop.run_forever()
            self._loop.run_until_complete(runner.cleanup())
            hanging = asyncio.all_tasks(self._loop)
            for task in hanging:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*hanging, return_exceptions=True))
            self._loop.close()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        if not ready.wait(120):
            raise RuntimeError("the test server did not start")
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(120)
        if self._log is not None:
            self._log.close()

    # -- routes -------------------------------------------------------------------------------------

    async def _models(self, request: web.Request) -> web.StreamResponse:
        if self.options.models_route == "hang":
            await asyncio.sleep(3600)
        if not self.options.models_route:
            return web.json_response({"detail": "Not Found"}, status=404)
        if (refused := self._wrong_key(request)) is not None:
            return refused
        model = {"id": self.options.model or "any", "object": "model", "shutdown_date": "2027-01-14"}
        data = [model] if self.options.listing is None else list(self.options.listing)
        return web.json_response({"object": "list", "data": data})

    async def _one_model(self, request: web.Request) -> web.StreamResponse:
        for entry in (*self.options.single, *(self.options.listing or ())):
            if entry["id"] == request.match_info["name"]:
                return web.json_response(entry)
        return web.json_response({"detail": "Not Found"}, status=404)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._handle(request)
        finally:
            self.in_flight -= 1

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        key = prompt_hash(body)
        wait = self.limiter.take(_tokens(body))
        self.counts[key] += not wait
        if self.keep_bodies:
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
        fault = "rate_limit" if wait else self._draw(key, self.counts[key])
        record = {"hash": key[0], "turn": key[1], "nth": self.counts[key], "fault": fault, "at": time.time()}
        response = self._throttle(wait) if wait else self._refuse(request, body)
        if response is None:
            if self.options.latency:
                await asyncio.sleep(self.options.latency)
            response = await self._misbehave(request, body, fault)
        if self.options.rate_headers and not response.prepared:
            response.headers.update(self.limiter.headers())
        record["status"] = response.status
        self.asked.append(record)
        if self._log is not None:
            self._log.write(json.dumps(record) + "\n")
        return response

    def _throttle(self, wait: float) -> web.Response:
        self.throttled += 1
        told = {"retry-after-ms": f"{1000 * wait:.0f}"} if self.options.rate_headers else None
        return error(429, "Rate limit reached.", code="rate_limit_exceeded", headers=told)

    # -- faults -------------------------------------------------------------------------------------

    def _draw(self, key: tuple[str, int], nth: int) -> str:
        """The fault of this request, or none; shares add up from the first fault named."""
        for name in self.options.faults:
            if name.endswith(":once") and nth == 1:
                return name.removesuffix(":once")
        failing = [n for n in self.options.faults if n in CONNECTION_FAULTS + STATUS_FAULTS]
        replying = [n for n in self.options.faults if n in REPLY_FAULTS]
        for names, number in (
            (failing, share(self.options.seed, "fail", *key, nth)),
            (replying, share(self.options.seed, "reply", *key)),
        ):
            for name in names:
                number -= self.options.faults[name]
                if number < 0:
                    return name
        return ""

    def _wrong_key(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.options.key is None or given == self.options.key:
            return None
        return error(401, f"Incorrect API key provided: {given}.", code="invalid_api_key")

    def _refuse(self, request: web.Request, body: Mapping[str, Any]) -> web.Response | None:
        """What the server refuses of every request: key, model, fields it does not know."""
        if (refused := self._wrong_key(request)) is not None:
            return refused
        if self.options.model is not None and body["model"] != self.options.model:
            message = f"The model `{body['model']}` does not exist or you do not have access to it."
            return error(404, message, code="model_not_found")
        for name in self.options.rejects:
            if (refused := reject(name, body)) is not None:
                return refused
        return None

    async def _misbehave(
        self, request: web.Request, body: Mapping[str, Any], fault: str
    ) -> web.StreamResponse:
        if fault in CONNECTION_FAULTS:
            return await self._break(request, fault)
        if fault in STATUS_FAULTS:
            return status_answer(fault, self.options.retry_after)
        return web.json_response(completion(body, fault, self.options.seed))

    async def _break(self, request: web.Request, fault: str) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "garbage":
            transport.write(b"\x00\x01 this is not HTTP\r\n\r\n")
        if fault in ("drop_half", "trickle"):
            response = web.StreamResponse(
                headers={"Content-Type": "application/json", "Content-Length": "9999"}
            )
            await response.prepare(request)
            await response.write(b'{"choices": [')
            while fault == "trickle":
                await asyncio.sleep(0.1)
                await response.write(b" ")
        transport.close()
        return web.Response(status=499)


# -- replies ------------------------------------------------------------------------------------------


def completion(body: Mapping[str, Any], fault: str = "", seed: int = 0) -> dict[str, Any]:
    """The chat completion for a request, with a reply fault where one is named."""
    key = prompt_hash(body)
    message: dict[str, Any] = {"role": "assistant", "content": content(body, fault, seed)}
    finish = {"length": "length", "content_filter": "content_filter"}.get(fault, "stop")
    if fault == "refusal":
        message = {"role": "assistant", "content": None, "refusal": "I can't help with that."}
    if fault in ("null_content", "content_filter"):
        message["content"] = None
    if fault == "parts":
        message["content"] = [{"type": "text", "text": message["content"]}]
    usage = {"prompt_tokens": _sent(body), "completion_tokens": len(str(message["content"])) // 4}
    return {
        "id": f"chatcmpl-{key[0]}-{key[1]}",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": None if fault == "no_usage" else {**usage, "total_tokens": sum(usage.values())},
    }


def _sent(body: Mapping[str, Any]) -> int:
    return sum(len(str(m["content"])) for m in body["messages"]) // 4


def _tokens(body: Mapping[str, Any]) -> int:
    """What a request takes of the tokens per minute: the prompt and the longest reply it allows."""
    return _sent(body) + int(body.get("max_tokens") or body.get("max_completion_tokens") or 0)


def content(body: Mapping[str, Any], fault: str, seed: int) -> str:
    key = prompt_hash(body)
    label = LABELS[int(share(seed, "label", *key) * len(LABELS))]
    answer = _answer(body, label, f"hash {key[0]}")
    if fault == "off_list":
        answer = _answer(body, "Frustration", f"hash {key[0]}")
    if fault == "wrong_character" and "character" in answer:
        answer["character"] = "Gandalf"
    if fault == "missing_field":
        answer.popitem()
    if fault == "surrogate":
        answer = {name: f"{v} \ud83d" if name == "context" else v for name, v in answer.items()}
    text = json.dumps(answer)
    if body["messages"][-1]["role"] == "assistant":
        text = text.removeprefix(body["messages"][-1]["content"])
    if fault in ("length", "invalid_json"):
        text = text[: len(text) // 2]
    if fault == "fences":
        text = f"```json\n{text}\n```"
    if fault == "text_around":
        text = f"Here is the description:\n\n{text}\n\nAnything else?"
    if fault == "surrogate":
        text = text.replace("\\ud83d", "\ud83d")
    return text


def _answer(body: Mapping[str, Any], label: str, words: str) -> dict[str, Any]:
    schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema", {})
    if set(schema.get("properties", ())) == {"label"}:
        return {"label": label}
    said = " ".join(str(m["content"]) for m in body["messages"] if m["role"] == "user")
    match = re.search(r'"?([^"\n]+?)(?: at s\S*e\S*)? said:', said)
    elements = {
        "emotion": label,
        **dict.fromkeys(("loudness", "pitch", "rhythm_speed", "emotional_impact"), words),
    }
    return {"character": match[1] if match else "Somebody", "context": words, "elements": elements}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=SHARE", help=", ".join(FAULTS))
    parser.add_argument("--reject", action="append", default=[], choices=REJECTS)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--key")
    parser.add_argument("--model")
    parser.add_argument("--retry-after", type=float, default=1.0)
    parser.add_argument("--rate-limit", type=float)
    parser.add_argument("--token-limit", type=float)
    parser.add_argument("--burst", type=float, default=60.0)
    parser.add_argument("--rate-headers", action="store_true")
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()
    faults = {name: float(value or 1) for name, _, value in (item.partition("=") for item in args.fault)}
    server = ChatServer(
        keep_bodies=False, faults=faults, rejects=tuple(args.reject), latency=args.latency, seed=args.seed,
        key=args.key, model=args.model, retry_after=args.retry_after, log=args.log,
        port=args.port, rate_limit=args.rate_limit, token_limit=args.token_limit, burst=args.burst,
        rate_headers=args.rate_headers,
    )  # fmt: skip

    async def serve() -> None:
        await server.start()
        print(f"listening on {server.url}", flush=True)
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main()
