"""The user data stream: turns the exchange's pushes about our orders into a queue of what it told.

Belongs here: listening, and opening the stream anew. Its news are hints: what it loses is found by
asking.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from daemon.venues.ccxt_binance import Told, read_execution

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container

WAITING_MAX = 10_000


class UserStream:
    """News of orders whose client id is in `ours`; other bots and people share the account."""

    def __init__(self, client: Any, pause_s: Callable[[int], float], ours: Container[str]) -> None:
        self._client = client
        self._pause_s = pause_s
        self._ours = ours
        self._waiting: asyncio.Queue[Told] | None = None
        # ccxt's own result joins several pushes into one; this sees each of them, as it came.
        handle = client.handle_order_update

        def tapped(socket: Any, message: Any) -> Any:
            result = handle(socket, message)
            self._hear(message)
            return result

        client.handle_order_update = tapped

    async def told(self) -> AsyncIterator[Told]:
        """Until cancelled: each push about an order, fills and changes of state alike."""
        waiting: asyncio.Queue[Told] = asyncio.Queue(WAITING_MAX)
        self._waiting = waiting
        pump = asyncio.create_task(self._keep_open())
        try:
            while True:
                yield await waiting.get()
        finally:
            self._waiting = None
            pump.cancel()
            await asyncio.wait({pump})

    async def _keep_open(self) -> None:
        attempt = 0
        while True:
            try:
                await self._client.watch_orders()
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

    def _hear(self, message: Any) -> None:
        with contextlib.suppress(LookupError, ValueError, TypeError):
            told = read_execution(message)
            if self._waiting is None or told.client_order_id not in self._ours:
                return
            if self._waiting.full():
                self._waiting.get_nowait()
            self._waiting.put_nowait(told)

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
