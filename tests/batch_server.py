"""A local server with the files and batches routes: answers as `ChatServer` does, misbehaves on request.

In a test it runs in a thread (`with BatchServer(faults={"500": 0.1}) as server: ... server.url`); for the
benchmark as its own process: `python tests/batch_server.py --port 8123 --fault 500=0.01`.

A batch is worked through the first time that it is looked at after `seconds`; row faults are drawn from the
row's prompt, turn and how often it came, so that asking again helps. Batch faults belong to the number of
the batch, counted from 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from server_faults import REPLY_FAULTS, error, share
from servers import completion, prompt_hash

ROW_FAULTS = (
    "429", "500", "400", "field", "missing", "garbage", "error200", "error_null", "no_choice", "quota",
)  # fmt: skip
BATCH_FAULTS = (
    "expired", "expired_empty", "cancelled", "failed", "failed_line", "failed_all", "no_model", "no_credit",
)  # fmt: skip


@dataclass
class BatchServerOptions:
    """What the server is like.

    Attributes:
        faults: share of rows (0 to 1) by fault name; `NAME:once` fails each row the first time it comes.
            Reply faults (see `ChatServer`) hit the same prompts and turns as they do there.
        always: fault of each row in whose first user message these words stand, every time.
        batches: fault by the batch's number.
        seconds: from a batch's creation to its end.
        hold: batches stay in progress until `release` is called.
        enqueued: input tokens (4 bytes of a row each) that may wait; None for no limit.
        names_limit: whether the refusal says the limit; refuses: at the creation instead of by failing.
        lost_creates: answers to so many creations are lost on the way.
        lost_uploads, broken_polls, broken_contents: so many of these requests get a 500.
        metadata: False forgets it, as some servers do; listing: False has no list of batches.
        page: batches on a page of the list at most.
        seed: another seed, other answers; the same as `ChatServer`'s gives the same.
        key: the API key that is asked for; None takes any.
    """

    faults: Mapping[str, float] = field(default_factory=dict)
    always: Mapping[str, str] = field(default_factory=dict)
    batches: Mapping[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    hold: bool = False
    enqueued: int | None = None
    names_limit: bool = True
    refuses: bool = False
    lost_creates: int = 0
    lost_uploads: int = 0
    broken_polls: int = 0
    broken_contents: int = 0
    metadata: bool = True
    listing: bool = True
    page: int = 2
    seed: int = 0
    key: str | None = None

    def __post_init__(self) -> None:
        for name in (*self.faults, *self.always.values()):
            if name.removesuffix(":once") not in ROW_FAULTS + REPLY_FAULTS:
                raise ValueError(f"Bad fault {name!r}, expected one of {ROW_FAULTS + REPLY_FAULTS}")
        for name in self.batches.values():
            if name not in BATCH_FAULTS:
                raise ValueError(f"Bad fault of a batch {name!r}, expected one of {BATCH_FAULTS}")


class BatchServer:
    """The server in a thread of its own.

    Attributes:
        url: the base URL, ending in `/v1`, once started.
        batches: the batch objects by id, in the order of their creation.
        created: by mark, how many batches were made.
        answered: by attempt and request key, how often a row was answered with status 200 (and charged).
        sizes: rows of each batch.
        bodies: the request bodies of the first batch.
        peak_tokens: the most tokens that waited at once.
    """

    def __init__(self, **options: Any) -> None:
        self.options = BatchServerOptions(**options)
        self.folder = Path(tempfile.mkdtemp(prefix="batch-server-"))
        self.batches: dict[str, dict[str, Any]] = {}
        self.created: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.nth: Counter[tuple[str, int]] = Counter()
        self.sizes: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.files = 0
        self.peak_tokens = 0
        self.url = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # -- life ---------------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> web.AppRunner:
        app = web.Application(client_max_size=1024 * 1024 * 1024)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{id}/content", self._content)
        app.router.add_post("/v1/batches", self._create)
        if self.options.listing:
            app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._retrieve)
        app.router.add_post("/v1/batches/{id}/cancel", self._cancel)
        app.router.add_get("/counts", self._counts)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    def __enter__(self) -> BatchServer:
        ready = threading.Event()

        def serve() -> None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
            runner = self._loop.run_until_complete(self.start())
            ready.set()
            self._loop.run_forever()
            self._loop.run_until_complete(runner.cleanup())
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
        shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        self.options.hold = False

    # -- routes -------------------------------------------------------------------------------------

    def _refused(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.options.key is None or given == self.options.key:
            return None
        return error(401, f"Incorrect API key provided: {given}.", code="invalid_api_key")

    async def _models(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})

    async def _upload(self, request: web.Request) -> web.Response:
        if self.options.lost_uploads:
            self.options.lost_uploads -= 1
            return error(500, "The server had an error.")
        self.files += 1
        name = f"file-{self.files}"
        purpose, size = "", 0
        async for part in await request.multipart():
            if part.name == "purpose":
                purpose = await part.text()
            elif part.name == "file":
                with (self.folder / name).open("wb") as file:
                    while chunk := await part.read_chunk(1 << 20):
                        size += file.write(chunk)
        if purpose != "batch" or size > 200_000_000:
            return error(400, f"Bad file: purpose {purpose!r}, {size} bytes.")
        return web.json_response({**_FILE, "id": name, "bytes": size, "filename": name})

    async def _content(self, request: web.Request) -> web.StreamResponse:
        if self.options.broken_contents:
            self.options.broken_contents -= 1
            return error(500, "The server had an error.")
        path = self.folder / request.match_info["id"]
        return web.FileResponse(path) if path.is_file() else error(404, "No such File object.")

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        path = self.folder / body["input_file_id"]
        if body["endpoint"] != "/v1/chat/completions" or body["completion_window"] != "24h":
            return error(400, "Bad batch.")
        tokens = sum(_tokens(line) for line in _lines(path))
        waiting = sum(b["tokens"] for b in self.batches.values() if b["status"] not in _ENDS)
        full = self.options.enqueued is not None and waiting + tokens > self.options.enqueued
        if full and self.options.refuses:
            return error(429, self._full(), code="token_limit_exceeded")
        number = len(self.batches) + 1
        batch = {
            **_BATCH,
            "id": f"batch_{number}",
            "number": number,
            "created_at": int(time.time()),
            "due": time.monotonic() + self.options.seconds,
            "input_file_id": body["input_file_id"],
            "tokens": tokens,
            "metadata": body.get("metadata") if self.options.metadata else None,
        }
        self.batches[batch["id"]] = batch
        self.created[(body.get("metadata") or {}).get("remelt", "")] += 1
        self.sizes.append(sum(1 for _ in _lines(path)))
        if full:
            batch["status"] = "failed"
            batch["errors"] = _errors({"code": "token_limit_exceeded", "message": self._full()})
        else:
            self.peak_tokens = max(self.peak_tokens, waiting + tokens)
        if self.options.lost_creates:
            self.options.lost_creates -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response(_shown(batch))

    def _full(self) -> str:
        limit = f" Limit: {self.options.enqueued:,} enqueued tokens." if self.options.names_limit else ""
        return f"Enqueued token limit reached for m in organization org.{limit} Please try again later."

    async def _list(self, request: web.Request) -> web.Response:
        rows = list(reversed(self.batches.values()))
        if after := request.query.get("after"):
            rows = rows[[b["id"] for b in rows].index(after) + 1 :]
        part = rows[: min(self.options.page, int(request.query.get("limit", 20)))]
        data = [_shown(b) for b in part]
        return web.json_response({"object": "list", "data": data, "has_more": len(rows) > len(part)})

    async def _retrieve(self, request: web.Request) -> web.Response:
        if self.options.broken_polls:
            self.options.broken_polls -= 1
            return error(500, "The server had an error.")
        if (refused := self._refused(request)) is not None:
            return refused
        batch = self.batches.get(request.match_info["id"])
        if batch is None:
            return error(404, f"No batch found with id '{request.match_info['id']}'.")
        if batch["status"] not in _ENDS:
            if self.options.hold or time.monotonic() < batch["due"]:
                batch["status"] = "in_progress"
            else:
                await asyncio.get_running_loop().run_in_executor(None, self._work, batch)
        return web.json_response(_shown(batch))

    async def _cancel(self, request: web.Request) -> web.Response:
        batch = self.batches.get(request.match_info["id"])
        if batch is None:
            return error(404, f"No batch found with id '{request.match_info['id']}'.")
        if batch["status"] in _ENDS:
            return error(409, f"Cannot cancel a batch with status '{batch['status']}'.")
        self._work(batch, "cancelled")
        return web.json_response(_shown(batch))

    async def _counts(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "batches": len(self.batches),
                "most_per_mark": max(self.created.values(), default=0),
                "rows": sum(self.sizes),
                "answered": sum(self.answered.values()),
                "answered_twice": sum(n > 1 for n in self.answered.values()),
            }
        )

    # -- the work -----------------------------------------------------------------------------------

    def _work(self, batch: dict[str, Any], fault: str = "") -> None:
        fault = fault or self.options.batches.get(batch["number"], "")
        size = self.sizes[batch["number"] - 1]
        if fault in _FAILURES:
            errors = _FAILURES[fault]
            lines = (
                range(1, size + 1) if fault == "failed_all" else (2,) if fault == "failed_line" else (None,)
            )
            batch.update(status="failed", errors=_errors(*({**errors, "line": line} for line in lines)))
            return
        stop = {"expired": size // 2, "cancelled": size // 2, "expired_empty": 0}.get(fault, size)
        counts = {"total": size, "completed": 0, "failed": 0}
        output, errors_ = self.folder / f"{batch['id']}-output", self.folder / f"{batch['id']}-errors"
        with output.open("w", encoding="utf-8") as good, errors_.open("w", encoding="utf-8") as bad:
            for number, line in enumerate(_lines(self.folder / batch["input_file_id"])):
                row = json.loads(line)
                if number >= stop:
                    if number % 2 and fault == "expired":
                        _write(bad, row, None, {"code": "batch_expired", "message": "It expired."})
                    continue
                self._answer(row, good, bad, counts)
        batch["request_counts"] = counts
        batch["status"] = fault.partition("_")[0] or "completed"
        batch["output_file_id"] = output.name if output.stat().st_size else None
        batch["error_file_id"] = errors_.name if errors_.stat().st_size else None

    def _answer(self, row: Mapping[str, Any], good: Any, bad: Any, counts: dict[str, int]) -> None:
        body = row["body"]
        if len(self.bodies) < 20:
            self.bodies.append(body)
        key = prompt_hash(body)
        self.nth[key] += 1
        said = next(m["content"] for m in body["messages"] if m["role"] == "user")
        broken = (fault for words, fault in self.options.always.items() if words in said)
        fault = next(broken, "") or self._draw(key, self.nth[key])
        if fault == "missing":
            return
        if fault == "garbage":
            good.write('{"custom_id": "7-\n')
            return
        if fault in _STATUS:
            status, message = _STATUS[fault]
            counts["failed"] += 1
            _write(bad, row, (status, {"error": {"message": message, "type": "x", "param": None}}), None)
            return
        if fault == "error_null":
            _write(bad, row, None, None)
            return
        if fault == "error200":
            _write(good, row, (200, {"error": {"message": "Provider is overloaded", "code": 502}}), None)
            return
        if fault == "no_choice":
            _write(good, row, (200, {"id": "x", "choices": []}), None)
            return
        counts["completed"] += 1
        self.answered[row["custom_id"].partition("-")[2]] += 1
        _write(good, row, (200, completion(body, fault, self.options.seed)), None)

    def _draw(self, key: tuple[str, int], nth: int) -> str:
        for name in self.options.faults:
            if name.endswith(":once") and nth == 1:
                return name.removesuffix(":once")
        failing = [name for name in self.options.faults if name in ROW_FAULTS]
        replying = [name for name in self.options.faults if name in REPLY_FAULTS]
        for names, number in (
            (failing, share(self.options.seed, "batch", *key, nth)),
            (replying, share(self.options.seed, "reply", *key)),
        ):
            for name in names:
                number -= self.options.faults[name]
                if number < 0:
                    return name
        return ""


_ENDS = ("completed", "failed", "expired", "cancelled")
_FILE = {"object": "file", "created_at": 1, "purpose": "batch", "status": "processed"}
_BATCH: dict[str, Any] = {
    "object": "batch", "endpoint": "/v1/chat/completions", "completion_window": "24h", "status": "validating",
    "errors": None, "output_file_id": None, "error_file_id": None, "request_counts": None,
}  # fmt: skip
_STATUS = {
    "429": (429, "Rate limit reached."),
    "500": (500, "The server had an error."),
    "400": (400, "This model's maximum context length is 512 tokens."),
    "field": (400, "Unsupported value: 'temperature' does not support this value with this model."),
    "quota": (429, "You exceeded your current quota: insufficient_quota."),
}
_FAILURES: dict[str, dict[str, Any]] = {
    "failed": {"code": "server_error", "message": "Something went wrong."},
    "failed_line": {"code": "invalid_json_line", "message": "This line is not parseable as valid JSON."},
    "failed_all": {"code": "bad_request", "message": "Unknown parameter: 'seed'.", "param": "body.seed"},
    "no_model": {"code": "model_not_found", "message": "The provided model 'm' does not exist."},
    "no_credit": {"code": "billing_hard_limit_reached", "message": "Billing hard limit has been reached."},
}


def _errors(*errors: Mapping[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": [{"line": None, "param": None, **e} for e in errors]}


def _shown(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name not in ("due", "number", "tokens")}


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from file


def _tokens(line: str) -> int:
    return len(line) // 4


def _write(file: Any, row: Mapping[str, Any], answer: tuple[int, Any] | None, problem: Any) -> None:
    response = None if answer is None else {"status_code": answer[0], "request_id": "r", "body": answer[1]}
    line = {"id": "x", "custom_id": row["custom_id"], "response": response, "error": problem}
    file.write(json.dumps(line) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME=SHARE", help=", ".join(ROW_FAULTS)
    )
    parser.add_argument(
        "--batch", action="append", default=[], metavar="NUMBER=FAULT", help=", ".join(BATCH_FAULTS)
    )
    parser.add_argument("--seconds", type=float, default=0.0)
    args = parser.parse_args()
    faults = {name: float(value or 1) for name, _, value in (item.partition("=") for item in args.fault)}
    batches = {int(number): name for number, _, name in (item.partition("=") for item in args.batch)}
    server = BatchServer(faults=faults, batches=batches, seconds=args.seconds)

    async def serve() -> None:
        await server.start(args.port)
        print(f"listening on {server.url}", flush=True)
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
    shutil.rmtree(server.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
