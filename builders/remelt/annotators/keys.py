"""Where the API keys of model servers come from: the environment, else the operating system's key store.

The environment variable `OPENAI_API_KEY` goes first and is for every server, as with OpenAI's own client.
Else, where the extra `keyring` is installed, the store is asked for a password of the service `remelt` under
the server's host name; `python -m keyring set remelt api.openai.com` puts one there.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import os
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import AnnotatorError

VARIABLE = "OPENAI_API_KEY"
SERVICE = "remelt"
PATIENCE = 60.0
"""Seconds for which a store may ask its user for a password."""


class Key(str):
    """An API key; empty for none. Its representation, as tracebacks and logs show it, does not tell it.

    Attributes:
        place: where it comes from, as a part of a sentence.
        problem: why the store could not be asked, as a sentence; empty where nothing is wrong.
        others: further secrets that go to the server, and must come out of what it says as the key must.

    >>> Key("sk-123456789"), Key()
    (<API key>, <no API key>)
    """

    __slots__ = ("others", "place", "problem")

    place: str
    problem: str
    others: tuple[str, ...]

    def __new__(
        cls, value: str = "", place: str = "", problem: str = "", others: tuple[str, ...] = ()
    ) -> Key:
        made = super().__new__(cls, value)
        made.place, made.problem = place or f"the environment variable {VARIABLE}", problem
        made.others = others
        return made

    def __repr__(self) -> str:
        return "<API key>" if self else "<no API key>"

    def __reduce__(self) -> tuple[type[Key], tuple[str, str, str, tuple[str, ...]]]:
        return Key, (str(self), self.place, self.problem, self.others)


def from_environment(urls: Sequence[str] = ()) -> Key:
    """The key in the environment, empty where there is none, with the secrets in some base URLs."""
    others = dict.fromkeys(secret for url in urls for secret in _in_address(url))
    return Key(os.environ.get(VARIABLE, "").strip(), others=tuple(others))


def _in_address(url: str) -> Iterator[str]:
    """The secrets of an address: its password, also as the header it is sent in, and what it asks with."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    if parts.password:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
        yield from (base64.b64encode(pair.encode()).decode(), pair, unquote(parts.password))
    yield from (value for _, value in parse_qsl(parts.query))


async def find(urls: Sequence[str], patience: float = PATIENCE) -> Key:
    """The key for some servers: the environment's, else the one that the store has for their hosts.

    Args:
        urls: base URLs; further servers get the key of the first one's host only where theirs is the same.
        patience: seconds to wait for the store, which may be asking its user to unlock it.

    Raises:
        AnnotatorError: the store has different keys for the servers.
    """
    key = from_environment(urls)
    if key or importlib.util.find_spec("keyring") is None:
        return key
    hosts = list(dict.fromkeys((urlsplit(url).hostname or "") for url in urls))
    found = await asyncio.to_thread(_stored, hosts, patience)
    return Key(found, found.place, found.problem, key.others)


def advice(host: str) -> str:
    """How a key can be given, as the end of a sentence."""
    command = f"python -m keyring set {SERVICE} {host}"
    if importlib.util.find_spec("keyring") is None:
        command = f"pip install 'remelt[keyring]' && {command}"
    return f"set the environment variable {VARIABLE}, or store it with `{command}`"


def _stored(hosts: Sequence[str], patience: float) -> Key:
    """The store's key, waited for in a thread: a store that hangs must not keep the run."""
    found: list[str | None] = []
    problems: list[str] = []

    def ask() -> None:
        import keyring
        from keyring.errors import KeyringError, NoKeyringError

        try:
            found.extend(keyring.get_password(SERVICE, host) for host in hosts)
        except NoKeyringError:
            problems.append("the key store was not asked: there is none on this system")
        except (KeyringError, OSError, RuntimeError, ValueError) as error:
            # What a store says may hold what it was asked for, but never what it keeps.
            why = " ".join(str(error).split()) or type(error).__name__
            problems.append(f"the key store gives nothing: {why[:200]}")

    thread = threading.Thread(target=ask, name="keyring", daemon=True)
    thread.start()
    thread.join(patience)
    if thread.is_alive():
        return Key(problem=f"the key store did not answer in {patience:g} s (is it locked?)")
    if problems or not found:
        return Key(problem=problems[0] if problems else "the key store cannot be used")
    keys = [(text or "").strip() for text in found]
    if len(set(keys)) > 1:
        raise AnnotatorError(
            f"The key store has different keys for the servers {list(hosts)!r}, and one key goes to all; "
            f"set the environment variable {VARIABLE} for all of them"
        )
    return Key(keys[0], f"the key store under {SERVICE}/{hosts[0]}")
