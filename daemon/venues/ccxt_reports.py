"""The user data stream: turns ccxt's pushes about our orders into a queue of what the venue told.

Belongs here: listening, and opening the stream anew. Its news are hints: what it loses is found by
asking.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from daemon.venues.ccxt_binance import Told, read_execution

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Container

WAITING_MAX = 10_000


class UserStream:
    """News of orders whose client id is in `ours`; other bots and people share the account."""

    def __init__(self, client: Any, pause_s: Callable[[int], float], ours: Container[str]) -> None:
        self._client = client
        self._pause_s = pause_s
        self._ours = ours

    async def told(self) -> AsyncIterator[Told]:
        """Until cancelled: fills as they happen and states as they change."""
        waiting: asyncio.Queue[Told] = asyncio.Queue(WAITING_MAX)
        # Orders come conflated, their fills one by one; so both are listened to, each by its own
        # task.
        watches = (self._client.watch_orders, self._client.watch_my_trades)
        pumps = {asyncio.create_task(self._pump(watch, waiting)) for watch in watches}
        try:
            while True:
                yield await waiting.get()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)

    async def _pump(
        self, watch: Callable[[], Awaitable[list[dict[str, Any]]]], waiting: asyncio.Queue[Told]
    ) -> None:
        attempt = 0
        while True:
            try:
                for row in await watch():
                    self._hear(row["info"], waiting)
                attempt = 0
                continue
            except asyncio.CancelledError:
                current = asyncio.current_task()
                if current is not None and current.cancelling():
                    raise
            except Exception as error:  # noqa: BLE001  # a refused key is a KeyError here
                await self._drop_dead_end(error)
            # Never at once: ccxt would attach the new watch to the connection that is going away.
            await asyncio.sleep(self._pause_s(attempt))
            attempt += 1

    def _hear(self, info: dict[str, Any], waiting: asyncio.Queue[Told]) -> None:
        with contextlib.suppress(LookupError, ValueError, TypeError):
            told = read_execution(info)
            if told.client_order_id in self._ours:
                if waiting.full():
                    waiting.get_nowait()
                waiting.put_nowait(told)

    async def _drop_dead_end(self, error: Exception) -> None:
        """After a refused subscription the next watch on the same connection would never end."""
        import ccxt

        if isinstance(error, ccxt.NetworkError):
            return
        url = self._client.urls["api"]["ws"]["ws-api"]["spot"]
        socket = self._client.clients.pop(url, None)
        if socket is not None:
            socket.error = socket.error or error
            with contextlib.suppress(Exception):
                await socket.close()
