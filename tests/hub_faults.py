"""What goes wrong at the local Hub server, and how the Hub tells errors."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Fault:
    """A request that goes wrong.

    Attributes:
        method, path: the requests it is for; `path` is a pattern that is searched for.
        status: the answer's status; 0 cuts the connection.
        cut: bytes of the request's body that are read before the connection is cut.
        late: whether the request is done all the same, and only its answer is lost.
        times: how often it goes wrong still.
        after: matching requests that go well first.
        until: it goes wrong when this is so, and waits for it.
        body, headers: of the answer; a text is sent as a web page.
    """

    method: str
    path: str
    status: int = 0
    cut: int = 0
    late: bool = False
    times: int = 1
    after: int = 0
    until: Callable[[], bool] | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def draw(self, method: str, path: str) -> bool:
        """Whether this request goes wrong."""
        if method != self.method or not re.search(self.path, path) or not self.times:
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True

    async def wait(self) -> None:
        # What a test waits for is a state of its own, which sets no event.
        while self.until is not None and not self.until():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def answer(self) -> web.Response:
        if isinstance(self.body, str):
            return web.Response(status=self.status, text=self.body, content_type="text/html")
        return web.json_response(
            self.body or {"error": f"The Hub says {self.status}."},
            status=self.status,
            headers=dict(self.headers),
        )


@dataclass(frozen=True)
class Asked:
    """A request that came in; `status` 0 where the connection was cut."""

    method: str
    path: str
    status: int


def _told(message: str, code: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    named = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(headers or {})}
    return {"text": json.dumps({"error": message}), "content_type": "application/json", "headers": named}


def error(status: int, message: str, code: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, **_told(message, code, headers))


def raised(status: int, message: str, code: str) -> web.HTTPException:
    kinds = {404: web.HTTPNotFound}
    return kinds[status](**_told(message, code))
