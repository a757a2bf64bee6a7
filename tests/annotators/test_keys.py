"""Keys come from the environment or the system's key store, and from nowhere else."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer

from remelt.annotators import AnnotatorOptions, create, keys
from remelt.annotators.keys import Key
from remelt.errors import AnnotatorError

from ..servers import ChatServer

keyring = pytest.importorskip("keyring")
from keyring.backend import KeyringBackend  # noqa: E402
from keyring.backends.fail import Keyring as NoStore  # noqa: E402
from keyring.errors import KeyringLocked  # noqa: E402

OPENAI = "https://api.openai.com/v1"
KEY = "a-stored-key-0123456789"


class Shelf(KeyringBackend):
    """A key store in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self, kept: dict[tuple[str, str], str]) -> None:
        super().__init__()
        self.kept, self.asked = kept, list[tuple[str, str]]()

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append((service, username))
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Locked(Shelf):
    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("the collection is locked\nand stays so")


class Hanging(Shelf):
    """A store that waits for its user, who is not there."""

    def __init__(self) -> None:
        super().__init__({})
        self.left = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.left.wait(300)
        return None


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], Any]]:
    """Puts a store in the place of the system's, and takes the key out of the environment."""
    monkeypatch.delenv(keys.VARIABLE, raising=False)
    before = keyring.get_keyring()

    def put(backend: Any) -> Any:
        keyring.set_keyring(backend)
        return backend

    yield put
    keyring.set_keyring(before)


async def test_the_environment_goes_first(
    store: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = store(Shelf({("remelt", "api.openai.com"): KEY}))
    monkeypatch.setenv(keys.VARIABLE, " from-outside ")
    found = await keys.find([OPENAI])
    assert (found, found.place) == ("from-outside", "the environment variable OPENAI_API_KEY")
    assert shelf.asked == []


async def test_a_stored_key_goes_to_its_own_host_only(store: Callable[[Any], Any]) -> None:
    store(Shelf({("remelt", "api.openai.com"): KEY, ("other", "localhost"): "no"}))
    found = await keys.find([OPENAI])
    assert (found, found.place) == (KEY, "the key store under remelt/api.openai.com")
    assert await keys.find(["https://example.org/v1"]) == ""
    assert await keys.find(["http://localhost:8000/v1"]) == ""
    assert await keys.find([OPENAI, "https://api.openai.com:444/v1"]) == KEY
    with pytest.raises(AnnotatorError, match=r"different keys .*'example.org'") as caught:
        await keys.find([OPENAI, "https://example.org/v1"])
    assert KEY not in str(caught.value)


async def test_a_server_is_asked_with_the_stored_key(store: Callable[[Any], Any]) -> None:
    with ChatServer(key=KEY) as server:
        store(Shelf({("remelt", "127.0.0.1"): KEY}))
        annotator = create("openai/any", AnnotatorOptions(base_url=server.url))
        await annotator.start()
        await annotator.close()
        store(Shelf({("remelt", "127.0.0.1"): "wrong-key-of-some-length"}))
        annotator = create("openai/any", AnnotatorOptions(base_url=server.url))
        with pytest.raises(AnnotatorError, match=r"in the key store under remelt/127.0.0.1") as caught:
            await annotator.start()
        await annotator.close()
    assert "wrong-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("backend", "patience", "message"),
    [
        (NoStore, 300, "there is none on this system"),
        (lambda: Locked({}), 300, "gives nothing: the collection is locked and stays so"),
        (Hanging, 0.1, "did not answer in 0.1 s (is it locked?)"),
    ],
)
async def test_a_store_that_gives_nothing_is_told_and_not_waited_for(
    store: Callable[[Any], Any], backend: Callable[[], Any], patience: float, message: str
) -> None:
    made = store(backend())
    found = await keys.find([OPENAI], patience)
    assert found == ""
    assert message in found.problem
    if isinstance(made, Hanging):
        made.left.set()


async def test_without_a_key_both_ways_are_told(store: Callable[[Any], Any]) -> None:
    store(NoStore())
    annotator = create("openai/gpt-4o", AnnotatorOptions(base_url=OPENAI))
    with pytest.raises(AnnotatorError) as caught:
        await annotator.start()
    await annotator.close()
    told = str(caught.value)
    assert "environment variable OPENAI_API_KEY" in told
    assert "`python -m keyring set remelt api.openai.com`" in told
    assert "there is none on this system" in told


def test_a_key_does_not_show_itself() -> None:
    key = Key(KEY, "here", others=("more",))
    again = pickle.loads(pickle.dumps(key))
    assert (again, again.place, again.others) == (KEY, "here", ("more",))
    for shown in (repr(key), f"{key!r}", str([key]), str({"key": key}), repr((again,))):
        assert KEY not in shown


def test_a_password_in_an_address_is_a_secret_too() -> None:
    found = keys.from_environment(["http://me:pass%2Fword@localhost/v1?code=xyz", "http://localhost/v1"])
    assert found.others == ("bWU6cGFzcy93b3Jk", "me:pass/word", "pass/word", "xyz")


def test_no_command_takes_a_key() -> None:
    from remelt.cli import app

    seen = []

    def walk(command: Any, path: str) -> None:
        for name, child in getattr(command, "commands", {}).items():
            walk(child, f"{path} {name}")
        for parameter in command.params:
            for option in parameter.opts:
                seen.append(f"{path} {option}")

    walk(typer.main.get_command(app), "remelt")
    assert "remelt build melt --base-url" in seen
    words = {"key", "keys", "token", "secret", "password", "credentials"}
    assert [option for option in seen if words & set(option.rpartition(" ")[2].split("-"))] == []
