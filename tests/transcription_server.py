"""A local server with `/v1/audio/transcriptions` that answers deterministically and fails on request.

In a test it runs in a thread (`with TranscriptionServer(faults={"500": 1}) as server: ... server.url`). The
text of a clip is made from its first samples: the same clip always gets the same text.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import soundfile
from aiohttp import web


class TranscriptionServer:
    """The server in a thread of its own.

    Args:
        faults: what goes wrong -> how many requests of each clip it hits, from the first on: a status such
            as `500` or `429`, `400` (also `400:MESSAGE`), `drop`, `html`, `no_text`.
        latency: seconds before each answer.
        key: the API key that is asked for; None takes any.
        answer: fields of each answer beside the text.

    Attributes:
        asked: of each request: hash of the samples, the form's fields, status.
    """

    def __init__(
        self,
        faults: dict[str, int] | None = None,
        latency: float = 0.0,
        key: str | None = None,
        answer: dict[str, Any] | None = None,
    ) -> None:
        self.faults, self.latency, self.key, self.answer = faults or {}, latency, key, answer or {}
        self.asked: list[dict[str, Any]] = []
        self.in_flight = self.peak = 0
        self.may_answer: Callable[[], bool] = lambda: True
        self.url = ""
        self._seen: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()

    async def _start(self) -> web.AppRunner:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    def __enter__(self) -> TranscriptionServer:
        ready = threading.Event()

        def serve() -> None:
            asyncio.set_event_loop(self._loop)
            runner = self._loop.run_until_complete(self._start())
            ready.set()
            self._loop.run_forever()
            self._loop.run_until_complete(runner.cleanup())
            self._loop.close()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        assert ready.wait(120), "the test server did not start"
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(120)

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._answer(request)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        content = file.file.read()
        samples, rate = soundfile.read(io.BytesIO(content), dtype="int16")
        name = heard(samples)
        record = {
            "clip": name, "rate": rate, "samples": samples, "filename": file.filename, "at": time.time(),
            "type": file.content_type, "bytes": len(content), "headers": dict(request.headers),
            "form": {k: v for k, v in form.items() if isinstance(v, str)},
        }  # fmt: skip
        self.asked.append(record)
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            record["status"] = 401
            return web.json_response({"error": {"message": "Incorrect API key."}}, status=401)
        if self.latency:
            await asyncio.sleep(self.latency)
        while not self.may_answer():  # noqa: ASYNC110 - what is waited for happens in another thread
            await asyncio.sleep(0.002)
        self._seen[name] += 1
        for fault, times in self.faults.items():
            if self._seen[name] <= times:
                record["status"] = fault
                return self._fail(request, fault)
        record["status"] = 200
        return web.json_response({"text": f" The {name}. ", **self.answer})

    def _fail(self, request: web.Request, fault: str) -> web.StreamResponse:
        if fault == "drop":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault == "html":
            return web.Response(text="<html>no</html>", content_type="text/html")
        if fault == "no_text":
            return web.json_response({"words": []})
        status, _, message = fault.partition(":")
        headers = {"retry-after-ms": "10"} if status == "429" else {}
        body = {"error": {"message": message or f"status {status}"}}
        return web.json_response(body, status=int(status), headers=headers)


def heard(samples: Any) -> str:
    """What stands for the words of a clip: a hash of its 16-bit samples."""
    return hashlib.sha256(np.asarray(samples, dtype=np.int16).tobytes()).hexdigest()[:12]
