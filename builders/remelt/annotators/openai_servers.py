"""One server, or several equal ones that are used in turn: who is asked next, who is out, who is back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import AnnotatorError, InputError, TransientError
from ..offline import need_way_to
from ..records import RateLimits
from . import keys
from .openai_errors import ServerSaid, kind, read_error, read_object
from .openai_limits import merged, rate_limits
from .openai_transport import Answer, Transport, Unreachable, shown_url

OFFICIAL = "https://api.openai.com/v1"
KEY = keys.VARIABLE

_HELLO = 10.0
_FAILURES = 5
_FIRST_LOOK, _LONGEST_LOOK = 1.0, 60.0
_BUSY = 1.0
_MOST_TOLD = 6


@dataclass(eq=False)
class Server:
    """One server.

    Attributes:
        base_url: its address, with everything in it.
        shown: its address as it may be told.
        models: what GET /models told last: an entry by model id; empty for nothing.
        limits: its rate limits, as far as it told them.
        in_flight: requests under way.
        failures: failed requests since its last answer.
        out: whether it was taken out.
        strange: whether it came back with another model or refusing the key.
        busy_until: when (`time.monotonic`) it takes requests again after a 429.
        waits: looks at it since it last answered.
        told: notices about it.
        watcher: looks at it while it is out.
    """

    base_url: str
    shown: str
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: RateLimits | None = None
    in_flight: int = 0
    failures: int = 0
    out: bool = False
    strange: bool = False
    busy_until: float = 0.0
    waits: int = 0
    told: int = 0
    watcher: asyncio.Task[None] | None = None


class Servers:
    """Equal servers: they serve the same model, so that it does not matter who answers.

    The one with the fewest requests under way is asked. One that refuses connections, or fails five times
    in a row, is taken out; it is looked at again and again (GET /models, after 1 s, 2 s, up to a minute)
    and taken back when it is well. While all are out, all are asked as if nothing had happened. A server
    alone is never taken out.

    Args:
        base_urls: the addresses; the first is the one that stands in request keys.
        model: the model id.
        notices: gets a sentence when a server is taken out or back.

    Raises:
        InputError: no http(s) address, or one that is there twice.
    """

    def __init__(self, base_urls: Sequence[str], model: str, notices: list[str]) -> None:
        plain = [url.strip().rstrip("/") for url in base_urls]
        self.all = tuple(Server(url, shown_url(url)) for url in plain)
        self.first = self.all[0]
        for place, server in enumerate(self.all):
            if server.shown in (other.shown for other in self.all[:place]):
                raise InputError(f"The base URL {server.shown!r} is given twice")
        self._model, self._notices = model, notices
        self._alone = len(self.all) == 1
        self._turn = 0

    # -- asking -------------------------------------------------------------------------------------

    async def post(self, transport: Transport, route: str, body: bytes) -> tuple[Server, Answer, int]:
        """Sends a request to one of the servers.

        Where nobody took the connection, or a rate limit sent the request away, another server is asked
        at once: neither costs anything.

        Returns:
            Who answered, the answer (whatever its status), and the number of requests sent.

        Raises:
            TransientError: no whole answer; see `Transport.post`.
        """
        sent = 0
        asked: list[Server] = []
        while True:
            server = self._next(asked)
            asked.append(server)
            sent += 1
            server.in_flight += 1
            try:
                answer = await transport.post(server.base_url, route, body)
            except TransientError as error:
                nobody = isinstance(error, Unreachable)
                self._failed(transport, server, str(error), at_once=nobody)
                if nobody and self._others(asked):
                    continue
                raise
            finally:
                server.in_flight -= 1
            server.limits = rate_limits(answer.headers, server.limits)
            if self._alone:
                return server, answer, sent
            if answer.status == 429 and self._throttled(transport, server, answer) and self._others(asked):
                continue
            if answer.status >= 500:
                self._failed(transport, server, f"status {answer.status}")
            elif answer.status != 429:
                self._answered(server)
            return server, answer, sent

    @property
    def limits(self) -> RateLimits | None:
        """The rate limits of those servers that are not out, taken together; None where none told any."""
        if self._alone:
            return self.first.limits
        return merged(server.limits for server in self.all if not server.out)

    def _next(self, asked: Sequence[Server]) -> Server:
        if self._alone:
            return self.first
        candidates = self._others(asked)
        if not candidates:
            candidates = [server for server in self.all if not server.out] or list(self.all)
            soonest = min(server.busy_until for server in candidates)
            if soonest > time.monotonic():
                candidates = [server for server in candidates if server.busy_until == soonest]
        self._turn += 1
        fewest = min(server.in_flight for server in candidates)
        idle = [server for server in candidates if server.in_flight == fewest]
        return idle[self._turn % len(idle)]

    def _others(self, asked: Sequence[Server]) -> list[Server]:
        """The servers that can be asked now, without those that were."""
        now = time.monotonic()
        return [s for s in self.all if not s.out and s.busy_until <= now and s not in asked]

    # -- out and back -------------------------------------------------------------------------------

    def _answered(self, server: Server) -> None:
        server.failures = server.waits = 0
        # One that shuts down still answers what it has begun: a late answer alone is no sign of health.
        if server.out and all(other.out for other in self.all):
            self._take_back(server)

    def _throttled(self, transport: Transport, server: Server, answer: Answer) -> bool:
        said = read_error(answer.status, answer.headers, answer.content, transport.key)
        if kind(said) != "throttled":
            return False
        wait = _BUSY if said.retry_after is None else said.retry_after
        server.busy_until = max(server.busy_until, time.monotonic() + wait)
        return True

    def _failed(self, transport: Transport, server: Server, why: str, at_once: bool = False) -> None:
        server.failures += 1
        if self._alone or server.out or not (at_once or server.failures >= _FAILURES):
            return
        self.take_out(transport, server, why)

    def take_out(self, transport: Transport, server: Server, why: str) -> None:
        """Asks a server no more until it is well again."""
        server.out = True
        self._tell(server, f"{server.shown} was taken out of the servers in use ({why})")
        server.watcher = asyncio.ensure_future(self._watch(transport, server))

    async def _watch(self, transport: Transport, server: Server) -> None:
        while True:
            await asyncio.sleep(min(_LONGEST_LOOK, _FIRST_LOOK * 2**server.waits))
            server.waits += 1
            try:
                await self.look(transport, server)
            except TransientError:
                continue
            except AnnotatorError as error:
                if not server.strange:
                    self._tell(server, f"{error}; it stays out")
                server.strange = True
                continue
            server.watcher = None
            self._take_back(server)
            return

    def _take_back(self, server: Server) -> None:
        watcher, server.watcher = server.watcher, None
        if watcher is not None:
            watcher.cancel()
        server.out, server.strange, server.failures = False, False, 0
        self._tell(server, f"{server.shown} is in use again")

    def _tell(self, server: Server, notice: str) -> None:
        server.told += 1
        if server.told <= _MOST_TOLD:
            more = "; what follows of this server is not told" if server.told == _MOST_TOLD else ""
            self._notices.append(f"{notice}{more}")

    # -- health -------------------------------------------------------------------------------------

    async def start(self, transport: Transport) -> None:
        """Looks at all servers.

        Raises:
            AnnotatorError: none can be reached, or one refuses the key or serves another model.
        """
        results = await asyncio.gather(
            *(self.look(transport, server) for server in self.all), return_exceptions=True
        )
        lost = {s: r for s, r in zip(self.all, results, strict=True) if isinstance(r, TransientError)}
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, TransientError):
                raise result
        if len(lost) == len(self.all):
            told = "; ".join(f"{s.shown}: {str(e).removeprefix(f'{s.shown}: ')}" for s, e in lost.items())
            raise AnnotatorError(f"Cannot reach {told}. Is the server running and the base URL right?")
        for server, error in lost.items():
            self.take_out(transport, server, str(error).removeprefix(f"{server.shown}: "))
        for server in self.all[1:]:
            self._compare(server)

    async def look(self, transport: Transport, server: Server) -> None:
        """Reads GET /models, a route that many servers leave out.

        Raises:
            TransientError: nobody is at the address; of a server that was taken out, also where it is
                not well.
            AnnotatorError: the key is refused; of a server that was taken out, also another model.
        """
        try:
            answer = await transport.get(server.base_url, "/models", _HELLO)
        except Unreachable:
            raise
        except TransientError:
            if server.out:
                raise
            return
        if answer.status == 401:
            said = read_error(401, answer.headers, answer.content, transport.key)
            raise AnnotatorError(key_problem(server, said, transport.key))
        if server.out and (answer.status >= 500 or answer.status == 429):
            raise TransientError(f"{server.shown} answered {answer.status}")
        server.models = _models(answer)
        if server.out:
            self._compare(server)

    async def entry(self, transport: Transport) -> Mapping[str, Any]:
        """What the first server's listing tells of the model; empty where it tells nothing.

        A listing that leaves the model out, as that of a gateway may, is asked for the one model.
        """
        server = self.first
        if not server.models or self._model in server.models:
            return server.models.get(self._model, {})
        try:
            answer = await transport.get(server.base_url, f"/models/{quote(self._model, safe='/')}", _HELLO)
            found = read_object(server.shown, *answer, transport.key) if answer.status == 200 else None
        except TransientError:
            return {}
        return found if isinstance(found, Mapping) else {}

    def _compare(self, server: Server) -> None:
        """Raises where a server's list of models shows that it does not serve what the others serve.

        A list without the model says nothing by itself, as some servers answer to every name; it does
        where another server has another list, or cannot be asked for it now.
        """
        known = set(server.models)
        others = [other for other in self.all if other is not server]
        if not known or self._model in known or any(set(other.models) == known for other in others):
            return
        if any(other.models or other.out for other in others):
            raise AnnotatorError(
                f"{server.shown} does not serve the model {self._model!r}; it has {sorted(known)[:12]!r}"
            )

    async def close(self) -> None:
        """Ends the looking; a server that was out gets another chance."""
        watchers = [server.watcher for server in self.all if server.watcher is not None]
        for watcher in watchers:
            watcher.cancel()
        for server in self.all:
            server.out, server.failures, server.watcher = False, 0, None
        await asyncio.gather(*watchers, return_exceptions=True)


def check_key(servers: Iterable[Server], key: keys.Key) -> None:
    """Makes sure that there is a key where one is needed, before anything is sent.

    Raises:
        AnnotatorError: no key for OpenAI's own server, or one that no header can hold.
        InputError: remelt is offline and a server is not on this machine.
    """
    for server in servers:
        need_way_to(server.base_url, f"The server {server.shown}")
        if not key and server.base_url == OFFICIAL:
            raise AnnotatorError(
                f"{server.shown} needs an API key: {keys.advice(urlsplit(server.base_url).hostname or '')}, "
                f"or name another server by its base URL{f' ({key.problem})' if key.problem else ''}"
            )
    if not (key.isascii() and key.isprintable()):
        raise AnnotatorError(f"{key.place[0].upper()}{key.place[1:]} holds characters that no key has")


def key_problem(server: Server, said: ServerSaid, key: str) -> str:
    """The sentence for a server that refuses the key, or that wants one."""
    if not key:
        more = f" ({problem})" if (problem := getattr(key, "problem", "")) else ""
        return f"{server.shown} wants an API key ({said.status}: {said.message}): set {KEY}{more}"
    place = getattr(key, "place", f"the environment variable {KEY}")
    return f"{server.shown} refuses the API key in {place} ({said.status}: {said.message})"


def _models(answer: Answer) -> dict[str, Mapping[str, Any]]:
    try:
        return {str(entry["id"]): entry for entry in json.loads(answer.content)["data"]}
    except (ValueError, KeyError, TypeError):
        return {}
