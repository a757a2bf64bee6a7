"""Starts the server of the review on an address of this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable

from ..errors import InputError
from .guard import App, is_loopback

_SHUTDOWN_SECONDS = 2


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; a browser that comes before the server runs waits in its queue.

    Args:
        host: an address or a name of this machine.
        port: 0 for one that is free.

    Raises:
        InputError: the address is taken, or is none of this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(found[0][4][:2], family=found[0][0])
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot listen on {host} port {port}: {reason}") from None


def address(host: str, port: int, key: str = "") -> str:
    """What to type into a browser.

    >>> address("127.0.0.1", 8000), address("::1", 80)
    ('http://127.0.0.1:8000/', 'http://[::1]:80/')
    """
    name = _outward() if host in ("0.0.0.0", "::", "") else host
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/{f'?key={key}' if key else ''}"


def needs_key(host: str) -> bool:
    """Whether others than this machine's users reach the server."""
    return not is_loopback(host)


def _outward() -> str:
    """This machine's address in its network; its name where it has none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # An address that is reserved for documentation (RFC 5737): only the route is looked up.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def serve(app: App, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answers until Ctrl-C or a signal to end.

    Args:
        app: see `application`.
        listening: see `listen`; closed at the end.
        ready: called when the socket is open, before the first answer.

    Raises:
        InputError: uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise InputError(
            f"The review page needs uvicorn ({error}); install it with: pip install 'remelt[review]'"
        ) from None
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    with listening:
        ready()
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:
            # uvicorn ends in good order and then hands the signal on.
            return
