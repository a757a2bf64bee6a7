"""Stands before the pages: who may ask, from where, and what a page may load."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
    "media-src 'self'", "connect-src 'self'", "form-action 'self'", "base-uri 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # The address may hold the key once; no other page is to see it.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_LOCAL_NAMES = ("localhost",)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("example.org")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOCAL_NAMES


class Guard:
    """Middleware that refuses what no page of this server asks for.

    A browser that was led here under a stranger's name (DNS rebinding) has that name in its Host header. A
    page of another site that posts here has its own address in the Origin header.

    Args:
        app: what is guarded.
        host: the address that the server is bound to.
        key: what the first address must carry as `?key=`; later requests carry it in a cookie. Empty where
            nobody needs one.
    """

    def __init__(self, app: App, host: str, key: str = "") -> None:
        self._app = app
        self._key = key
        self._local = is_loopback(host)
        self._names = {*_LOCAL_NAMES, host.casefold()}
        if not self._local:
            self._names |= {socket.gethostname().casefold(), socket.getfqdn().casefold()}
        self._cookie = f"remelt_{hashlib.sha256(key.encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
        else:
            await _answer(send_guarded, *refusal)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str, dict[str, str]] | None:
        """Status, text and headers of what is answered instead; None for a request that may pass."""
        host = headers.get("host", "")
        if not self._known(host):
            return 400, "This server is not known by that name (Host header).", {}
        if scope["method"] not in ("GET", "HEAD") and _place(headers.get("origin", "")) != host.casefold():
            return 403, "Only this server's own pages may send judgements (Origin header).", {}
        if not self._key:
            return None
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = query.pop("key", [""])[0]
        if given and secrets.compare_digest(given.encode(), self._key.encode()):
            rest = urlencode(query, doseq=True)
            cookie = f"{self._cookie}={self._key}; HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000"
            return 303, "", {"location": f"{_path(scope)}{rest and '?'}{rest}", "set-cookie": cookie}
        if secrets.compare_digest(_cookie(headers, self._cookie).encode(), self._key.encode()):
            return None
        return 403, "Open the whole address that `remelt review` printed, with its key.", {}

    def _known(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").casefold()
        except ValueError:
            return False
        if self._local:
            return is_loopback(name)
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            # An address is always this server's own; a name must be one of this machine's.
            return name in self._names


def _path(scope: Scope) -> str:
    # Two slashes at the beginning would name another server.
    return "/" + quote(str(scope["path"]).lstrip("/\\"))


def _place(origin: str) -> str:
    parts = urlsplit(origin)
    return parts.netloc.casefold() if parts.scheme in ("http", "https") else ""


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


async def _answer(send: Send, status: int, text: str, headers: dict[str, str]) -> None:
    body = text.encode()
    own = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), **headers}
    pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in own.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
