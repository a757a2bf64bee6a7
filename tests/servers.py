"""A local OpenAI-compatible chat server that answers deterministically and misbehaves on request.

In a test it runs in a thread (`with ChatServer(faults={"500": 0.1}) as server: ... server.url`); for kill
tests it runs as its own process: `python tests/servers.py --port 8123 --fault 500=0.1 --log asked.jsonl`.

The same first user message, turn and seed always get the same reply; a failing request (status, connection)
is drawn anew each time it comes, so that asking again helps. `500:once` fails the first time each prompt
comes, whatever the share.
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
from email.utils import formatdate
from pathlib import Path
from typing import Any, TextIO

from aiohttp import web

LABELS = ("Anger", "Disgust", "Sadness", "Joy", "Neutral", "Surprise", "Fear")
HTML = "<html><head><title>Welcome</title></head><body>nginx</body></html>"

CONNECTION_FAULTS = ("drop", "drop_half", "hang", "trickle", "garbage")
STATUS_FAULTS = (
    "400", "403_moderation", "408", "409", "413", "422", "429", "429_retry_after", "429_date", "429_ms",
    "429_quota", "429_too_large", "500", "503", "html200", "html502", "half_json", "empty_choices",
    "error200", "no_message", "list_json",
)  # fmt: skip
REPLY_FAULTS = (
    "refusal", "length", "content_filter", "wrong_character", "off_list", "invalid_json", "missing_field",
    "fences", "text_around", "null_content", "surrogate", "no_usage", "parts",
)  # fmt: skip
FAULTS = CONNECTION_FAULTS + STATUS_FAULTS + REPLY_FAULTS
REJECTS = (
    "json_schema", "json_object", "unnamed_json_schema", "temperature", "max_tokens", "seed", "range",
    "vllm_seed", "prefill",
)  # fmt: skip


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
        models_route: False answers 404 on GET /models; `hang` never answers there.
        retry_after: what `429_retry_after`, `429_date` (whole seconds) and `429_ms` say.
        log: a JSONL file with a line per request.
    """

    faults: Mapping[str, float] = field(default_factory=dict)
    rejects: tuple[str, ...] = ()
    latency: float = 0.0
    seed: int = 0
    key: str | None = None
    model: str | None = None
    models_route: bool | str = True
    retry_after: float = 1.0
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
    """

    def __init__(self, *, keep_bodies: bool = True, **options: Any) -> None:
        self.options = ServerOptions(**options)
        self.keep_bodies = keep_bodies
        self.asked: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.counts: Counter[tuple[str, int]] = Counter()
        self.in_flight = self.peak = 0
        self.url = ""
        self._log: TextIO | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # -- life ---------------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> web.AppRunner:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
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
        if not ready.wait(10):
            raise RuntimeError("the test server did not start")
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
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
        return web.json_response({"object": "list", "data": [model]})

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
        self.counts[key] += 1
        if self.keep_bodies:
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
        fault = self._draw(key, self.counts[key])
        record = {"hash": key[0], "turn": key[1], "nth": self.counts[key], "fault": fault, "at": time.time()}
        response = self._refuse(request, body)
        if response is None:
            if self.options.latency:
                await asyncio.sleep(self.options.latency)
            response = await self._misbehave(request, body, fault)
        record["status"] = response.status
        self.asked.append(record)
        if self._log is not None:
            self._log.write(json.dumps(record) + "\n")
        return response

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
            if (refused := _reject(name, body)) is not None:
                return refused
        return None

    async def _misbehave(
        self, request: web.Request, body: Mapping[str, Any], fault: str
    ) -> web.StreamResponse:
        if fault in CONNECTION_FAULTS:
            return await self._break(request, fault)
        if fault in STATUS_FAULTS:
            return self._status(fault)
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

    def _status(self, fault: str) -> web.Response:
        seconds = self.options.retry_after
        if fault == "429_retry_after":
            return error(429, "Slow down.", headers={"Retry-After": f"{seconds:g}"})
        if fault == "429_date":
            return error(
                429, "Slow down.", headers={"Retry-After": formatdate(time.time() + seconds, usegmt=True)}
            )
        if fault == "429_ms":
            headers = {"retry-after-ms": f"{1000 * seconds:g}", "Retry-After": "99"}
            return error(429, "Slow down.", headers=headers)
        if fault == "429_quota":
            return error(429, "You exceeded your current quota.", code="insufficient_quota")
        if fault == "429_too_large":
            return error(
                429, "Request too large for gpt on tokens per min (TPM).", code="rate_limit_exceeded"
            )
        if fault == "403_moderation":
            return error(403, "Your input was flagged by moderation.")
        if fault == "html200":
            return web.Response(text=HTML, content_type="text/html")
        if fault == "html502":
            return web.Response(text=HTML, content_type="text/html", status=502)
        if fault == "half_json":
            return web.Response(text='{"id": "x", "choices": [{"mess', content_type="application/json")
        if fault == "empty_choices":
            return web.json_response({"id": "x", "object": "chat.completion", "choices": []})
        if fault == "no_message":
            return web.json_response({"id": "x", "choices": [{"index": 0, "finish_reason": "stop"}]})
        if fault == "list_json":
            return web.json_response([1, 2, 3])
        if fault == "error200":
            return web.json_response({"error": {"message": "Provider is overloaded", "code": 502}})
        if fault == "400":
            return error(
                400, "This model's maximum context length is 512 tokens.", code="context_length_exceeded"
            )
        return error(int(fault), f"The server says {fault}.")


def _reject(name: str, body: Mapping[str, Any]) -> web.Response | None:
    kind = (body.get("response_format") or {}).get("type")
    if name == "unnamed_json_schema" and kind == "json_schema":
        return error(400, "Bad request.")
    if name == kind:
        return error(400, f"'response_format.type' must not be '{kind}'.", param="response_format")
    if name == "temperature" and body.get("temperature") not in (None, 1, 1.0):
        message = "Unsupported value: 'temperature' does not support this value with this model."
        return error(400, message, param="temperature", code="unsupported_value")
    if name == "range" and body.get("temperature", 0) > 2:
        message = "Invalid 'temperature': decimal above maximum value. Expected a value <= 2."
        return error(400, message, param="temperature", code="decimal_above_max_value")
    if name == "max_tokens" and "max_tokens" in body:
        message = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
        return error(400, message, param="max_tokens", code="unsupported_parameter")
    if name == "seed" and "seed" in body:
        return error(400, "Unrecognized request argument supplied: seed")
    if name == "vllm_seed" and "seed" in body:
        detail = [
            {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
        ]
        return web.json_response({"detail": detail}, status=422)
    if name == "prefill" and "continue_final_message" in body:
        return error(
            400, "Unrecognized request arguments supplied: add_generation_prompt, continue_final_message"
        )
    return None


def error(
    status: int,
    message: str,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
    return web.json_response(body, status=status, headers=headers)


# -- replies ------------------------------------------------------------------------------------------


def share(*parts: object) -> float:
    """A number from 0 to 1 that depends on the parts alone."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:12], 16) / 16**12


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
    sent = sum(len(str(m["content"])) for m in body["messages"])
    usage = {"prompt_tokens": sent // 4, "completion_tokens": len(str(message["content"])) // 4}
    return {
        "id": f"chatcmpl-{key[0]}-{key[1]}",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": None if fault == "no_usage" else {**usage, "total_tokens": sum(usage.values())},
    }


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
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()
    faults = {name: float(value or 1) for name, _, value in (item.partition("=") for item in args.fault)}
    server = ChatServer(
        keep_bodies=False, faults=faults, rejects=tuple(args.reject), latency=args.latency, seed=args.seed,
        key=args.key, model=args.model, retry_after=args.retry_after, log=args.log,
    )  # fmt: skip

    async def serve() -> None:
        await server.start(args.port)
        print(f"listening on {server.url}", flush=True)
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main()
