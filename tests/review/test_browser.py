"""The review in a real browser: two raters, thirty judgements, a server killed half-way, nothing lost."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from remelt.review.judgements import Judgement, current
from remelt.review.store import Store

from ..chromium import BROWSER, LIMIT, Page, chromium
from .datasets import row, tone, votes, write_dataset

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH")

SERVER = """
import sys
from pathlib import Path
from remelt.recipes.reviewing.review import Address, ReviewOptions, review
out, mode, port = Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None
options = ReviewOptions(mode=mode, raters_per_item=None if mode == "label" else 2)
where = Address() if port is None else Address(port=int(port))
review(out, options, where, ready=lambda url: print(url, flush=True))
"""
READY = "document.readyState === 'complete' && typeof busy !== 'undefined' && !busy && Boolean(item)"
HOSTILE = "<b>bold</b> <script>document.title='pwned'</script>"


class Server:
    """The review in a process of its own, which can be killed and started again with the same command."""

    def __init__(self, out: Path, mode: str, *port: str) -> None:
        self._arguments = (out, mode, *port)
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVER, *self._arguments, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), LIMIT)
        self.url = line.decode().strip()
        assert self.url, "the server did not start"

    async def kill(self) -> None:
        """kill -9"""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def serving(out: Path, mode: str, *port: str) -> AsyncIterator[Server]:
    server = Server(out, mode, *port)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()


def own_port() -> int:
    """A free port that nobody gets by chance while its server is down: the system gives those from 32,768."""
    while True:
        port = random.randint(15_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def stored(out: Path) -> list[Judgement]:
    with Store(out / ".remelt" / "review.sqlite", read_only=True) as store:
        return store.judgements()


async def enter(page: Page, server: Server, name: str) -> None:
    """Types a name into the first page and waits for the first item."""
    await page.open(server.url)
    await page.until("document.activeElement?.id === 'rater'")
    await page.write(name)
    await page.key("Enter")
    await page.until(READY)


async def press(page: Page, key: str, saved: int) -> tuple[str, Any]:
    """Answers an item with a key; returns the item's token and what was chosen."""
    token, left, right = await page.evaluate("[item.token, item.left, item.right]")
    await page.key(key)
    await page.until(f"!busy && $('bar').value === {saved}")
    return token, {"ArrowLeft": left, "ArrowRight": right, "s": "same", "k": "skip", " ": "skip"}[key]


def verdicts(judgements: list[Judgement], rater: str) -> list[str | None]:
    """What a rater chose, in order: the label, same or skip."""
    mine = [j for j in current(judgements) if j.rater == rater]
    return [{"first": j.first, "second": j.second}.get(j.choice, j.choice) for j in mine]


async def test_thirty_judgements_by_two_raters_survive_a_kill(tmp_path: Path) -> None:
    labels = ("joy", "anger", "fear", "sadness", "surprise")
    rows = [row(n, after=labels[n % 5], text=HOSTILE if n % 2 else f"Line {n}.") for n in range(15)]
    out = write_dataset(tmp_path / "out", rows)
    keys = ["ArrowLeft", "ArrowRight", "s", "ArrowLeft", "k", "ArrowRight", " ", "ArrowLeft"]
    said: dict[str, list[Any]] = {"Ann": [], "Bo": []}
    with Store(out / ".remelt" / "review.sqlite") as store:
        store.remember("port", str(own_port()))
    async with serving(out, "preference") as server, chromium(tmp_path / "profile") as browser:
        pages = {"Ann": await browser.page(), "Bo": await browser.page()}
        for name, page in pages.items():
            await enter(page, server, name)
        for n in range(8):
            for name, page in pages.items():
                said[name].append(await press(page, keys[n], n + 1))
                assert len(stored(out)) == len(said["Ann"]) + len(said["Bo"])

        # Both press a key while there is no server. Ann's page keeps trying until there is one again; Bo
        # closes his, and what he pressed is sent when he comes back.
        await server.kill()
        for name, key, side in (("Ann", "ArrowLeft", "left"), ("Bo", "ArrowRight", "right")):
            said[name].append(tuple(await pages[name].evaluate(f"[item.token, item.{side}]")))
            await pages[name].key(key)
            await pages[name].until("$('trouble').textContent.startsWith('Not saved yet')")
        ann, bo = pages.values()
        await bo.open("about:blank")
        assert len(stored(out)) == 16
        # Meanwhile another dataset is reviewed at the same address; what waits is not for its server.
        other, url = write_dataset(tmp_path / "other", [row(n) for n in range(2)]), server.url
        async with serving(other, "preference", url.rsplit(":", 1)[1].strip("/")) as stranger:
            assert stranger.url == url
            await enter(bo, stranger, "Bo")
            await ann.until("$('trouble').textContent.includes('another review')")
        assert stored(other) == []
        await server.start()
        assert server.url == url
        await ann.until("!busy && $('bar').value === 9 && $('trouble').hidden")
        await enter(bo, server, " bo")
        assert await bo.evaluate("$('bar').value") == 9
        assert len(stored(out)) == 18
        for name, page in pages.items():
            for n in range(len(said[name]), 15):
                said[name].append(await press(page, keys[n % 6], n + 1))
            await page.until("!$('end').hidden")

        # A changed mind: back to the last one, the other side.
        token, before = said["Bo"][-1]
        await bo.key("u")
        await bo.until(f"!busy && item?.token === '{token}'")
        key = "ArrowRight" if before == await bo.evaluate("item.left") else "ArrowLeft"
        said["Bo"][-1] = await press(bo, key, 15)
        assert said["Bo"][-1][0] == token
        assert await bo.evaluate("document.title") != "pwned"
        told = [p for page in pages.values() for p in page.problems]
        assert [p for p in told if "net::ERR_" not in p and "status of 421" not in p] == []

    judgements = stored(out)
    for name, mine in said.items():
        assert len({token for token, _ in mine}) == 15
        assert verdicts(judgements, name) == [choice for _, choice in mine]
    assert len(current(judgements)) == 30
    assert len(judgements) == 32


async def test_labels_with_keys_on_a_phone_in_the_dark(tmp_path: Path) -> None:
    sound = {"bytes": tone(), "path": "a.flac"}
    rows = [row(n, votes=votes(a="joy", b="fear"), audio=sound, text=f"Line {n}.") for n in range(3)]
    out = write_dataset(tmp_path / "out", rows)
    async with serving(out, "label") as server, chromium(tmp_path / "profile") as browser:
        page = await browser.page()
        await page.screen(390, 844, dark=True, phone=True)
        await enter(page, server, "Ann")
        first = await page.evaluate("item.token")
        await page.until("$('clip').firstElementChild?.readyState > 0")
        assert await page.evaluate("$('clip').firstElementChild.duration") == pytest.approx(0.2, abs=0.05)
        await page.key("4")
        await page.until("saved.includes('joy')")
        await page.key("+")
        await page.key("+")
        await page.key("n")
        await page.write("a note with 5 k u")
        await page.key("Escape")
        await page.key("Enter")
        await page.until(f"!busy && item.token !== '{first}'")
        told = [(j.label, j.confidence, j.note) for j in current(stored(out))]
        assert told == [("joy", 4, "a note with 5 k u")]
        assert await page.evaluate("document.querySelectorAll('input:checked').length") == 0

        second = await page.evaluate("item.token")
        await page.key("Enter")
        await page.until("!$('trouble').hidden")
        await page.click("input[value=fear]")
        await page.until("saved.includes('fear')")
        await page.key("k")
        await page.until(f"!busy && item.token !== '{second}'")
        assert [j.choice for j in current(stored(out))] == ["label", "skip"]

        small = await page.evaluate(
            "[...document.querySelectorAll('button, input, textarea, a, summary, #labels label')]"
            ".filter((e) => { const b = e.getBoundingClientRect(); return b.height < 44 || b.width < 44; })"
            ".map((e) => e.outerHTML)"
        )
        assert small == []
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        unnamed = await page.evaluate(
            "[...document.querySelectorAll('button, input, textarea, audio')].filter((e) =>"
            " !(e.labels?.[0] ?? e).textContent.trim() && !e.getAttribute('aria-label'))"
            ".map((e) => e.outerHTML)"
        )
        assert unnamed == []
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 27)"
        assert (await page.picture()).startswith(b"\x89PNG")
        assert page.problems == []
