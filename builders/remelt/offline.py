"""What may leave this machine: no usage statistics ever, and with `--offline` no connection at all.

Offline is a promise about this process: the libraries that fetch from the Hub are told not to, and a hook
into the interpreter refuses every connection, and every look-up of a name, that leaves the machine. Processes
that are started from here inherit `REMELT_OFFLINE` and do the same.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import sys
from typing import Any
from urllib.parse import urlsplit

from .errors import InputError

VARIABLE = "REMELT_OFFLINE"
_OFF = ("", "0", "false", "no", "off")
# Read by huggingface_hub, datasets, transformers and Ray when they are imported.
_QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
_IMPORTED = {
    "huggingface_hub.constants": {"HF_HUB_OFFLINE": True},
    "datasets.config": {"HF_HUB_OFFLINE": True, "HF_DATASETS_OFFLINE": True},
}
_ADDRESSED = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")
_NAMED = ("socket.getaddrinfo", "socket.gethostbyname")
_ANYWHERE = ("", "0.0.0.0", "::")

_active = _hooked = False


class OfflineError(InputError, ConnectionError):
    """Something would have left this machine; a library sees a network that is not there."""


def active() -> bool:
    """Whether nothing may leave this machine."""
    return _active


def be_quiet() -> None:
    """Switches the usage statistics of the libraries off, unless the user has said otherwise."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def wanted() -> bool:
    """Whether the environment asks for it: `REMELT_OFFLINE=1`."""
    return os.environ.get(VARIABLE, "").strip().lower() not in _OFF


def go_offline() -> None:
    """From here on nothing leaves this machine, for the rest of this process and those that it starts.

    It cannot be taken back: libraries have read the environment by then.
    """
    global _active, _hooked
    os.environ.update(_OFFLINE, **{VARIABLE: "1"}, **_QUIET)
    for module, values in _IMPORTED.items():
        if module in sys.modules:
            for name, value in values.items():
                setattr(sys.modules[module], name, value)
    _active = True
    if not _hooked:
        _hooked = True
        sys.addaudithook(_refuse)


def need_network(what: str) -> None:
    """Refuses at once what cannot be done offline.

    Args:
        what: a sentence's beginning, such as `publishing to the Hub`.

    Raises:
        OfflineError: remelt is offline.
    """
    if _active:
        raise OfflineError(f"{what} needs the network, and remelt is offline (--offline, {VARIABLE})")


def need_way_to(url: str, what: str) -> None:
    """The same for a server, which may be on this machine.

    Raises:
        OfflineError: remelt is offline and the server elsewhere.
    """
    if not stays_here(urlsplit(url).hostname or ""):
        need_network(what)


def stays_here(host: str) -> bool:
    """Whether a host name or address is this machine's own loopback.

    >>> stays_here("localhost"), stays_here("127.0.0.2"), stays_here("::1"), stays_here("example.org")
    (True, True, True, False)
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.casefold().rstrip(".") == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """The hook: called by the interpreter before each of its events, so that it must be quick."""
    if not event.startswith("socket.") or not _active:
        return
    if event in _ADDRESSED:
        address = arguments[1] if len(arguments) > 1 else None
        # Sockets that are files or pairs have no host; a socket that is connected already needs no address.
        if not isinstance(address, tuple) or not address or not isinstance(address[0], str | bytes):
            return
        host = address[0]
    elif event in _NAMED:
        host = arguments[0]
        if host is None:
            return
    else:
        return
    text = host.decode("latin-1") if isinstance(host, bytes | bytearray) else str(host)
    if stays_here(text) or (event in _NAMED and text in _ANYWHERE):
        return
    said = f"No connection to {text or 'all addresses'}: remelt is offline ({VARIABLE})"
    error = OfflineError(said)
    # What the standard library and others tell of a failed connection.
    error.errno, error.strerror = errno.ENETUNREACH, said
    raise error
