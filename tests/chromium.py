"""Drives a headless Chromium over the DevTools protocol: true keys and clicks, screens of any size, pictures.

Nothing here waits for a fixed time: `until` asks the page again and again until something is so, and only a
generous limit ends it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

BROWSER = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
LIMIT = 120.0
PAUSE = 0.02
TRIES = int(LIMIT / PAUSE)
# Windows virtual key codes of the keys that are not characters.
_CODES = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Enter": 13,
    "Escape": 27,
    "Tab": 9,
}
_TEXTS = {"Enter": "\r"}
_READY = b"DevTools listening on "


class Refused(AssertionError):
    """The browser cannot do what it was asked to do."""


class Wire:
    """The connection to the browser; one command at a time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.problems: dict[str, list[str]] = {}

    async def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """A command and its answer; what pages complain of meanwhile goes to `problems`."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json({**message, "sessionId": session} if session else message)
        while True:
            received = await asyncio.wait_for(self._socket.receive(), LIMIT)
            assert received.type is aiohttp.WSMsgType.TEXT, "the browser has gone"
            said = json.loads(received.data)
            if said.get("id") == number:
                if "error" in said:
                    raise Refused(f"{method}: {said['error']}")
                return dict(said["result"])
            found = self.problems.setdefault(said.get("sessionId", ""), [])
            if said.get("method") == "Runtime.exceptionThrown":
                found.append(str(said["params"]["exceptionDetails"]))
            elif said.get("method") == "Log.entryAdded":
                found.append(str(said["params"]["entry"].get("text")))

    async def close(self) -> None:
        """Ends the browser, which may be gone before it has answered."""
        await self._socket.send_json({"id": next(self._numbers), "method": "Browser.close"})
        while (await asyncio.wait_for(self._socket.receive(), LIMIT)).type is aiohttp.WSMsgType.TEXT:
            pass


class Page:
    """One tab."""

    def __init__(self, wire: Wire, session: str) -> None:
        self._wire = wire
        self._session = session

    @property
    def problems(self) -> list[str]:
        """What the page's scripts and policies complained of so far."""
        return self._wire.problems.get(self._session, [])

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol and its answer."""
        return await self._wire.call(method, self._session, **parameters)

    async def open(self, url: str) -> None:
        """Goes to an address; on return the page that was there before is not asked any more."""
        answer = await self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        for _ in range(TRIES):
            with suppress(Refused):
                tree = await self.call("Page.getFrameTree")
                if tree["frameTree"]["frame"]["loaderId"] == answer["loaderId"]:
                    return
            await asyncio.sleep(PAUSE)
        raise AssertionError(f"never came: {url}")

    async def screen(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Takes the size of a screen, and its colours; a phone is touched."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        await self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        if phone:
            features += [{"name": "hover", "value": "none"}, {"name": "pointer", "value": "coarse"}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        answer = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str) -> Any:
        """Waits until an expression of plain values is true, whatever pages come and go; returns it."""
        for _ in range(TRIES):
            # While a page is loading the expression may fail; a page that goes while it is asked is refused.
            with suppress(Refused):
                answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
                if "exceptionDetails" not in answer and answer["result"].get("value"):
                    return answer["result"]["value"]
            await asyncio.sleep(PAUSE)
        raise AssertionError(f"never true: {script}")

    async def key(self, name: str) -> None:
        """Presses and releases a key: `ArrowLeft`, `Enter`, or a character."""
        text = _TEXTS.get(name, name if len(name) == 1 else "")
        code = _CODES.get(name, ord(name.upper()) if len(name) == 1 else 0)
        key = {"key": name, "windowsVirtualKeyCode": code, **({"text": text} if text else {})}
        await self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **key)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=name, windowsVirtualKeyCode=code)

    async def write(self, text: str) -> None:
        """Types into what is in focus."""
        await self.call("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        """Clicks into the middle of an element, which must be there to be hit."""
        x, y = await self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        mouse = {"x": x, "y": y, "button": "left", "clickCount": 1}
        await self.call("Input.dispatchMouseEvent", type="mousePressed", **mouse)
        await self.call("Input.dispatchMouseEvent", type="mouseReleased", **mouse)

    async def picture(self) -> bytes:
        """What the screen shows, as PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Browser]:
    """A browser without a window, closed at the end."""
    assert BROWSER is not None
    process = await asyncio.create_subprocess_exec(
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-sync", "--hide-scrollbars", "--mute-audio",
        # A page that is not in front is not slowed, and a process that stalls is not ended.
        "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows", "--disable-hang-monitor", "--disable-gpu-watchdog",
        "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = b""
        while _READY not in line:
            line = await asyncio.wait_for(process.stderr.readline(), LIMIT)
            assert line, "Chromium ended before it could be driven"
        draining = asyncio.create_task(process.stderr.read())
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(line.decode().strip().split(" ")[-1], max_msg_size=0) as socket,
        ):
            wire = Wire(socket)
            yield Browser(wire)
            await wire.close()
        await asyncio.wait_for(draining, LIMIT)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


class Browser:
    """The browser; each page has cookies and storage of its own."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def page(self) -> Page:
        """A new page of a new visitor."""
        context = (await self._wire.call("Target.createBrowserContext"))["browserContextId"]
        made = await self._wire.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self._wire.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        page = Page(self._wire, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            await page.call(f"{domain}.enable")
        # Several pages take keys in turn, whichever of them the system has in front.
        await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        return page
