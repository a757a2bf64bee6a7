"""A chat server whose answers wait for something: tests of an order need no guess at how long things take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from servers import ChatServer


class HeldServer(ChatServer):
    """The test server; each answer waits until `may_answer` says yes.

    Attributes:
        may_answer: asked again and again, in the server's thread.
    """

    def __init__(self, may_answer: Callable[[], bool] = lambda: True, **options: Any) -> None:
        super().__init__(**options)
        self.may_answer = may_answer

    async def _misbehave(
        self, request: web.Request, body: Mapping[str, Any], fault: str
    ) -> web.StreamResponse:
        while not self.may_answer():  # noqa: ASYNC110 - what is waited for happens in another thread
            await asyncio.sleep(0.002)
        return await super()._misbehave(request, body, fault)
