"""Requests to OpenAI-compatible servers over one pool of connections, at little more than the socket's cost.

The openai package builds and checks objects for every request, which takes longer than everything else
that is done for a row; here a body goes out as bytes and an answer comes back as bytes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from .. import __version__
from ..errors import AnnotatorError, InputError, TransientError
from .openai_errors import CUSTOM_HEADERS, causes, tidy

if TYPE_CHECKING:
    import aiohttp
    import yarl

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CONNECT = 30.0
# Shorter than the 5 s after which uvicorn (vLLM) and Node close an idle connection: who sends on one that
# is just being closed cannot know whether the request was read.
_KEEP_ALIVE = 4.0
_HEADERS_OF_ENVIRONMENT = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}


class Answer(NamedTuple):
    """What a server answered, whatever its status; header names in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Unreachable(TransientError):
    """Nobody took the connection: nothing was sent."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a route is; what is the same for all requests to it is worked out once."""

    shown: str
    url: yarl.URL
    headers: Mapping[str, str] | None
    proxy: str | None


class Transport:
    """A pool of connections to one or several servers.

    A proxy of the environment is used except for this machine's own loopback, which it cannot reach.

    Args:
        key: the API key; empty for none. It is taken out of every error.
        timeout: seconds until the whole answer must be there.
        room: connections at most.
        environment: whether the headers that environment variables give are sent.
        content_type: of the bodies.
    """

    def __init__(
        self,
        key: str,
        timeout: float,
        room: int,
        environment: bool = True,
        content_type: str = "application/json",
    ) -> None:
        self.key, self.timeout, self.room, self.environment = key, timeout, room, environment
        self._content_type = content_type
        self._session: aiohttp.ClientSession | None = None
        self._targets: dict[tuple[str, str], _Target] = {}

    async def post(self, base_url: str, route: str, body: bytes) -> Answer:
        """Sends a body and reads the whole answer.

        Args:
            base_url: the server's base URL.
            route: what follows it, such as `/chat/completions`.
            body: JSON, or what `content_type` says.

        Raises:
            Unreachable: no connection; nothing was sent.
            TransientError: no whole answer; `charged` where the server may have worked on the request.
            AnnotatorError: the proxy of the environment is of a kind that cannot be used.
        """
        session = self._session or self._open()
        target = self._targets.get((base_url, route)) or self._aim(base_url, route)
        status = 0
        try:
            async with session.post(
                target.url, data=body, headers=target.headers, proxy=target.proxy
            ) as response:
                status = response.status
                return Answer(status, response.headers, await response.read())
        except (self._client_error, asyncio.TimeoutError, OSError) as error:
            raise self._lost(error, target, self.timeout, status) from error

    async def get(self, base_url: str, route: str, seconds: float) -> Answer:
        """Reads a route within so many seconds; raises as `post` does."""
        session = self._session or self._open()
        target = self._targets.get((base_url, route)) or self._aim(base_url, route)
        try:
            async with session.get(
                target.url, headers=target.headers, proxy=target.proxy, timeout=self._patience(seconds)
            ) as response:
                return Answer(response.status, response.headers, await response.read())
        except (self._client_error, asyncio.TimeoutError, OSError) as error:
            raise self._lost(error, target, seconds) from error

    async def close(self) -> None:
        """Closes the connections; the next request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def redact(self, text: str) -> str:
        """A text as one line without the API key."""
        return tidy(text, self.key)

    # -- connections --------------------------------------------------------------------------------

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        self._client_error = aiohttp.ClientError
        self._no_connection = (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            aiohttp.ClientHttpProxyError,
        )
        self._not_sent = aiohttp.ClientConnectionResetError
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.room, keepalive_timeout=_KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers(),
            timeout=self._patience(self.timeout),
        )
        return self._session

    def _patience(self, seconds: float) -> aiohttp.ClientTimeout:
        import aiohttp

        # A connection that takes nearly all of the time must fail as such and not as a lost answer.
        return aiohttp.ClientTimeout(total=seconds, sock_connect=min(0.9 * seconds, _CONNECT))

    def _headers(self) -> dict[str, str]:
        """What every request carries, the headers that the openai package takes from the environment too."""
        headers = {
            "Accept": "application/json",
            "Content-Type": self._content_type,
            "User-Agent": f"remelt/{__version__}",
            "Authorization": f"Bearer {self.key or 'none'}",
        }
        if not self.environment:
            return headers
        for name, variable in _HEADERS_OF_ENVIRONMENT.items():
            if value := os.environ.get(variable, "").strip():
                headers[name] = value
        for line in os.environ.get(CUSTOM_HEADERS, "").splitlines():
            name, colon, value = line.partition(":")
            if colon and name.strip():
                same = [known for known in headers if known.lower() == name.strip().lower()]
                headers[same[0] if same else name.strip()] = value.strip()
        return headers

    def _aim(self, base_url: str, route: str) -> _Target:
        import yarl

        parts = urlsplit(base_url)
        url = yarl.URL(urlunsplit(parts._replace(path=parts.path.rstrip("/") + route)))
        headers = None
        if url.user is not None:
            # A name and password in the address go before the key, as in every HTTP client.
            pair = f"{url.user}:{url.password or ''}".encode()
            headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
            url = url.with_user(None)
        target = _Target(shown_url(base_url), url, headers, _proxy(url.scheme, url.host or ""))
        self._targets[base_url, route] = target
        return target

    # -- errors -------------------------------------------------------------------------------------

    def _lost(self, error: BaseException, target: _Target, seconds: float, status: int = 0) -> TransientError:
        """What it means that no whole answer came; status is 0 where not even its head came."""
        chain = list(causes(error))
        if any(isinstance(e, self._no_connection) for e in chain):
            return Unreachable(f"{target.shown}: {self._words(chain)}")
        charged = status < 400 and not any(isinstance(e, self._not_sent) for e in chain)
        if isinstance(error, asyncio.TimeoutError):
            return TransientError(f"{target.shown} gave no reply in {seconds:g} s", charged=charged)
        return TransientError(f"{target.shown}: {self._words(chain)}", charged=charged)

    def _words(self, chain: list[BaseException]) -> str:
        """The words of the innermost exception that has some; the client's own say little."""
        words = [f"{type(e).__name__}: {e}" if str(e) else type(e).__name__ for e in chain]
        return self.redact(next((w for w in reversed(words) if ": " in w), words[-1]))


def _proxy(scheme: str, host: str) -> str | None:
    """The environment's proxy for a host; None for none."""
    if host in _LOOPBACK:
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if (kind := urlsplit(proxy).scheme) not in ("http", "https"):
        raise AnnotatorError(
            f"The environment's proxy for {host} is of kind {kind!r}, expected http or https"
        )
    return proxy


class Encoder:
    """JSON bodies whose objects are the same for all requests of a run (the schema) are written once."""

    def __init__(self) -> None:
        self._json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        self._objects: dict[str, tuple[Mapping[str, Any], str]] = {}

    def encode(self, body: Mapping[str, Any]) -> bytes:
        """A JSON object in UTF-8.

        >>> Encoder().encode({"model": "m", "stop": None, "response_format": {"type": "text"}})
        b'{"model":"m","stop":null,"response_format":{"type":"text"}}'
        """
        plain = {name: value for name, value in body.items() if not isinstance(value, dict)}
        fields = [self._json(plain)[1:-1]] if plain else []
        fields += [self._object(name, value) for name, value in body.items() if isinstance(value, dict)]
        return f"{{{','.join(fields)}}}".encode()

    def _object(self, name: str, value: Mapping[str, Any]) -> str:
        known = self._objects.get(name)
        # The comparison is short: what is inside is the same object for all requests of a run.
        if known is None or known[0] != value:
            known = self._objects[name] = (value, f"{self._json(name)}:{self._json(value)}")
        return known[1]


def shown_url(base_url: str) -> str:
    """A base URL as it may be shown and stored: without user, password and query.

    Raises:
        InputError: not an http or https address.

    >>> shown_url("http://me:secret@localhost:8000/v1?key=abc")
    'http://localhost:8000/v1'
    """
    try:
        parts = urlsplit(base_url)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        host, port, parts = "", "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        plain = base_url.rpartition("@")[2].partition("?")[0]
        raise InputError(f"Bad base URL {plain!r}, expected one like 'http://localhost:8000/v1'")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}".rstrip("/")
