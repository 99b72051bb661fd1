"""A headless Chromium for tests: opens a page, listens to all it says and asks, and looks at it.

Belongs here: the browser's own protocol over its socket. What must be true of a page belongs to the
tests.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
START_WITHIN_S = 60.0
ANSWER_WITHIN_S = 60.0
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--remote-debugging-port=0", "about:blank"),
)


class Page:
    """One tab; `complaints` are console errors and exceptions, `requests` all urls asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._loaded = asyncio.Event()

    async def listen(self) -> None:
        async for message in self._socket:
            told = orjson.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            else:
                self._hear(told["method"], told["params"])

    def _hear(self, method: str, params: Any) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
            self.complaints.append(str(params["args"]))

    async def call(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        asked = orjson.dumps({"id": number, "method": method, "params": params})
        await self._socket.send_str(asked.decode())
        async with asyncio.timeout(ANSWER_WITHIN_S):
            told = await answer
        assert "error" not in told, told
        return told["result"]

    async def open(self, url: str, *, width: int, scheme: str) -> None:
        """Show `url` on a screen of `width` pixels in the "light" or the "dark" scheme."""
        for domain in ("Network", "Runtime", "Log", "Page"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=1000, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.call("Emulation.setEmulatedMedia", features=[feature])
        self.requests.clear()
        self.complaints.clear()
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await self._loaded.wait()

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression is; a promise is waited for."""
        told = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")


@asynccontextmanager
async def a_page(profile: Path) -> AsyncIterator[Page]:
    """A tab of a browser of its own, ended with all its processes at the end."""
    assert PROGRAM is not None
    browser = await asyncio.create_subprocess_exec(
        PROGRAM, *ARGUMENTS[:-1], f"--user-data-dir={profile}", ARGUMENTS[-1],
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        port = await _port(browser)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as reply:
                tabs = orjson.loads(await reply.read())
            url = next(each["webSocketDebuggerUrl"] for each in tabs if each["type"] == "page")
            async with session.ws_connect(url, max_msg_size=0) as socket:
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                yield page
                listening.cancel()
    finally:
        browser.send_signal(signal.SIGTERM)
        await browser.wait()


async def _port(browser: asyncio.subprocess.Process) -> int:
    assert browser.stderr is not None
    async with asyncio.timeout(START_WITHIN_S):
        async for line in browser.stderr:
            if b"DevTools listening on" in line:
                return int(line.split(b":")[2].split(b"/")[0])
    raise AssertionError("the browser ended before it listened")
