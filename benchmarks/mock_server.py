"""A chat completions server that costs next to nothing, so that a benchmark measures the client.

    python benchmarks/mock_server.py [--latency SECONDS] [--outage SECONDS]

Prints its base URL and serves until it is killed. Every request gets the same valid answer after `latency`;
in the first `outage` seconds after the first request every request gets a 429 without a hint when to come
back. `GET /v1/count` gives the number of answered requests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

ANSWER = {
    "character": "Ross",
    "context": "Ross tells his friends about the day and is not sure how they will take it.",
    "elements": {
        "emotion": "Joy",
        "loudness": "moderately loud",
        "pitch": "slightly raised",
        "rhythm_speed": "quick and even",
        "emotional_impact": "light and friendly, with a little tension",
    },
}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "benchmark",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": json.dumps(ANSWER), "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 280, "completion_tokens": 90, "total_tokens": 370},
}
MODELS = {"object": "list", "data": [{"id": "benchmark", "object": "model", "owned_by": "benchmark"}]}


def response(status: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


class Server:
    def __init__(self, latency: float, outage: float) -> None:
        self.latency, self.outage = latency, outage
        self.answered = self.refused = 0
        self.first: float | None = None
        self.completion = response("200 OK", COMPLETION)
        self.throttled = response("429 Too Many Requests", {"error": {"message": "slow down"}})

    def answer(self, method: bytes, path: bytes) -> tuple[bytes, float]:
        """What to send, and after how many seconds."""
        if method == b"GET":
            counts = {"answered": self.answered, "refused": self.refused}
            return response("200 OK", MODELS if path.endswith(b"/models") else counts), 0.0
        now = time.monotonic()
        self.first = now if self.first is None else self.first
        if now - self.first < self.outage:
            self.refused += 1
            return self.throttled, 0.0
        self.answered += 1
        return self.completion, self.latency


class Connection(asyncio.Protocol):
    """HTTP/1.1 with Content-Length, one request at a time per connection, as the clients here send it."""

    def __init__(self, server: Server) -> None:
        self.server, self.buffer = server, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            place = head.find(b"content-length:")
            length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            method, path = self.buffer[:end].split(b" ", 2)[:2]
            self.buffer = self.buffer[end + 4 + length :]
            content, delay = self.server.answer(method, path)
            if delay:
                asyncio.get_running_loop().call_later(delay, self.send, content)
            else:
                self.send(content)

    def send(self, content: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(content)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--outage", type=float, default=0.0)
    options = parser.parse_args()
    server = Server(options.latency, options.outage)
    listening = await asyncio.get_running_loop().create_server(
        lambda: Connection(server), "127.0.0.1", 0, backlog=1024
    )
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
