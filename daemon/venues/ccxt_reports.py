"""The user data stream: turns the exchange's pushes about our orders into a queue of what it told.

Belongs here: listening, and opening the stream anew. Its news are hints: what it loses is found by
asking.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from daemon.core.ids import CLIENT_ORDER_ID_PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container

    from daemon.venues.ccxt_binance import Told
    from daemon.venues.ccxt_dialect import Dialect

WAITING_MAX = 10_000


class UserStream:
    """News of orders whose client id is in `ours`; other bots and people share the account."""

    def __init__(
        self,
        client: Any,
        dialect: Dialect,
        pause_s: Callable[[int], float],
        ours: Container[str],
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._pause_s = pause_s
        self._ours = ours
        self._waiting: asyncio.Queue[Told] | None = None
        # Told when news may have been lost, or are about an order that somebody like us has made.
        self.on_doubt: Callable[[], None] = lambda: None
        self._terminated = asyncio.Event()
        if not dialect.hears_pushes:
            return
        # ccxt's own result joins several pushes into one; this sees each of them, as it came.
        client.handle_order_update = _then(client.handle_order_update, self._hear)
        # A terminated stream leaves ccxt's watch waiting for ever; only a new watch subscribes
        # again.
        client.handle_event_stream_terminated = _then(
            client.handle_event_stream_terminated, lambda _message: self._terminated.set()
        )

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
                if not await self._has_ended():
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
            self.on_doubt()

    async def _has_ended(self) -> bool:
        """Wait for a push; True when the exchange has ended the stream instead."""
        self._terminated.clear()
        watch = asyncio.ensure_future(self._client.watch_orders())
        ended = asyncio.ensure_future(self._terminated.wait())
        try:
            await asyncio.wait({watch, ended}, return_when=asyncio.FIRST_COMPLETED)
            if watch.done():
                orders = watch.result()
                if not self._dialect.hears_pushes:  # ccxt's result is its cache: read at once
                    for order in orders:
                        self._hear(order)
            return ended.done()
        finally:
            watch.cancel()
            ended.cancel()
            await asyncio.gather(watch, ended, return_exceptions=True)

    def _hear(self, message: Any) -> None:
        with contextlib.suppress(LookupError, ValueError, TypeError):
            told = self._dialect.pushed(message)
            if told.client_order_id not in self._ours:
                if told.client_order_id.startswith(CLIENT_ORDER_ID_PREFIX):
                    self.on_doubt()  # whose it is, comparing the books shows
                return
            if self._waiting is None:
                return
            if self._waiting.full():
                self._waiting.get_nowait()
            self._waiting.put_nowait(told)

    async def _drop_dead_end(self, error: Exception) -> None:
        """After a refused subscription the next watch on the same connection would never end."""
        import ccxt

        if isinstance(error, ccxt.NetworkError):
            return
        # A client of an account has no other connections than the ones of this stream.
        sockets = list(self._client.clients.values())
        self._client.clients.clear()
        for socket in sockets:
            socket.error = socket.error or error
            with contextlib.suppress(Exception):
                await socket.close()


def _then(handle: Any, hear: Callable[[Any], None]) -> Any:
    """ccxt's own handler first, then ours."""

    def both(socket: Any, message: Any) -> Any:
        result = handle(socket, message)
        hear(message)
        return result

    return both
