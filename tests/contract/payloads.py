"""Payloads written by hand from public documentation, and a session that answers with them.

Belongs here: answering ccxt as an exchange would, without a network. What must come of it belongs
to the tests. None of the payloads was recorded, and none of the exchanges was ever asked.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from daemon.venues.budget import Use
from daemon.venues.ccxt_budget import budget_of, keep_budget
from daemon.venues.ccxt_client import make_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FOLDER = Path(__file__).with_name("payloads")
EXCHANGES = sorted(path.stem for path in FOLDER.glob("*.json"))


def payload(exchange: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / f"{exchange}.json").read_text("utf-8"))
    return read


class FakeReply:
    """One HTTP reply, as ccxt reads it."""

    reason = ""

    def __init__(self, status: int, body: object, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self._text = body if isinstance(body, str) else json.dumps(body)

    async def text(self, errors: str) -> str:
        del errors
        return self._text

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


class FakeSession:
    """The HTTP session of one client: replies by the part that reaches furthest into the url.

    `instead` answers whatever is asked, as long as it is set.
    """

    def __init__(self, replies: dict[str, Any]) -> None:
        self.headers: dict[str, str] = {}
        self.replies = replies
        self.instead: tuple[int, object] | None = None
        self.asked: list[str] = []

    def get(self, url: object, **_: object) -> FakeReply:
        self.asked.append(str(url))
        headers = {"Content-Type": "application/json", "Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
        if self.instead is not None:
            return FakeReply(*self.instead, headers)
        found = [path for path in self.replies if path in str(url)]
        assert found, f"nobody has written what {url} answers"
        path = max(found, key=lambda each: str(url).index(each) + len(each))
        return FakeReply(200, self.replies[path], headers)

    async def close(self) -> None: ...


@asynccontextmanager
async def an_exchange(
    exchange: str, credentials: tuple[str, ...] | None = None
) -> AsyncIterator[tuple[Any, FakeSession]]:
    """The daemon's own client of an exchange, with nothing behind it but its payloads."""
    client = make_client(exchange, credentials=credentials)
    client.timeout_on_exit = 0
    # A budget of its own, and none to wait for: nobody is asked here.
    keep_budget(client, budget_of(exchange, rate_limit_ms=1.0), exchange, Use.LIVE)
    client.session = session = FakeSession(payload(exchange)["rest"])
    try:
        yield client, session
    finally:
        await client.close()


def receive(client: Any, url: str, message: object) -> Any:
    """Give ccxt a message as if it had come over the stream."""
    socket = client.client(url)
    socket.handle_message(aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, json.dumps(message), None))
    assert socket.error is None, socket.error
    return socket
