"""Requests in single file: one of a key is on its way at a time, the most urgent one next.

Belongs here: the line and how a ccxt client stands in it. Whether there is room for a request at
all belongs to `budget`, which is asked first.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from daemon.venues.budget import Use


class Line:
    """Who is in goes alone. Of two that wait for the same use the first goes first."""

    def __init__(self) -> None:
        self._is_taken = False
        self._number = itertools.count()
        self._waiting: list[tuple[Use, int, asyncio.Future[None]]] = []
        self._nonce = 0

    def nonce(self, at_least: int) -> int:
        """A larger one than all before it, whichever client asks."""
        self._nonce = max(at_least, self._nonce + 1)
        return self._nonce

    async def enter(self, use: Use) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (use, next(self._number), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn had come just then
                self.leave()
            raise

    def leave(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._is_taken = False


class Visit:
    """One request's way through a line: entered once there is room for it, left with its answer."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._is_in = False

    async def enter(self, use: Use) -> None:
        await self._line.enter(use)
        self._is_in = True

    def leave(self) -> None:
        if self._is_in:
            self._is_in = False
            self._line.leave()


# Kept alive by the clients that stand in them.
_LINES: WeakValueDictionary[tuple[str, str], Line] = WeakValueDictionary()
_VISIT: ContextVar[Visit | None] = ContextVar("visit", default=None)


def keep_in_line(client: Any, exchange: str) -> None:
    """Have signed requests of this client's key on this exchange leave one after the other.

    Their nonces have to arrive in the order in which they were counted, and two that are on their
    way together may overtake each other. The line is entered before the nonce is counted, and all
    count from one number: two clients that each keep their own may meet in one millisecond.
    """
    key = (exchange, str(client.apiKey))
    line = _LINES.get(key)
    if line is None:
        line = _LINES[key] = Line()
    ask = client.fetch2

    async def fetch2(path: str, api: Any = (), *args: Any, **kwargs: Any) -> Any:
        if "private" not in api:
            return await ask(path, api, *args, **kwargs)
        visit = Visit(line)
        token = _VISIT.set(visit)
        try:
            return await ask(path, api, *args, **kwargs)
        finally:
            _VISIT.reset(token)
            visit.leave()

    client.fetch2 = fetch2
    client.incrementing_nonce = lambda: line.nonce(int(client.nonce()))


async def wait_in_line(use: Use) -> None:
    """Until it is this request's turn, where it has to wait for one."""
    if (visit := _VISIT.get()) is not None:
        await visit.enter(use)
