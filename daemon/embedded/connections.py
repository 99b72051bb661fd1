"""A WebSocket connection of the exchange: a bounded outbox, pings and a reader.

Belongs here: the life of one socket. What is said on it belongs in streams and user_api.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import orjson
from aiohttp import WSMsgType, web

from daemon.core.clock import WireClock
from daemon.embedded.fault_kinds import FaultKind
from daemon.embedded.fault_rules import FaultRule

OUTBOX_MAX = 50_000
PING_EVERY_S = 20.0
PONG_WITHIN_S = 60.0
GOODBYE_S = 1.0
ABNORMAL = 1006
MESSAGE_MAX_BYTES = 1 << 20


class Connection:
    """One client socket; `send` never waits, and a client that does not read is cut off."""

    def __init__(
        self,
        *,
        is_combined: bool,
        wire: WireClock,
        faults: Mapping[FaultKind, FaultRule] | None = None,
    ) -> None:
        faults = faults or {}
        self.is_combined = is_combined
        limit = faults.get(FaultKind.STREAMS_MAX)
        self.streams_max = None if limit is None else limit.count  # more of them end it
        self._answers_pings = FaultKind.NO_PONG not in faults
        patience = faults.get(FaultKind.PONG_WITHIN)
        self._pong_within_s = PONG_WITHIN_S if patience is None else patience.sec
        self._ping_every_s = PING_EVERY_S if patience is None else patience.sec / 2
        self._closing: asyncio.Task[None] | None = None
        self._socket = web.WebSocketResponse(
            timeout=GOODBYE_S, autoping=False, compress=False, max_msg_size=MESSAGE_MAX_BYTES
        )
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(OUTBOX_MAX)
        self._wire = wire
        self._heard_s = wire.monotonic_s()
        self._transport: asyncio.Transport | None = None

    def send(self, payload: object) -> None:
        self.send_bytes(orjson.dumps(payload))

    def send_bytes(self, message: bytes) -> None:
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """Cut the connection without a goodbye."""
        if self._transport is not None:
            self._transport.abort()

    def close_soon(self, code: int) -> None:
        """End the connection with this code; 1006 is an end without a goodbye."""
        if code == ABNORMAL:
            self.abort()
        elif self._closing is None:
            self._closing = asyncio.create_task(self._close_with(code))

    async def close(self) -> None:
        await self._socket.close(code=1001, message=b"server shutdown")

    async def _close_with(self, code: int) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.close(code=code)

    async def run(
        self, request: web.Request, on_message: Callable[[str], None]
    ) -> web.WebSocketResponse:
        """Serve the socket until it ends; every text message goes to `on_message`."""
        await self._socket.prepare(request)
        self._transport = request.transport
        helpers = [asyncio.create_task(self._write()), asyncio.create_task(self._ping())]
        try:
            async for message in self._socket:
                self._heard_s = self._wire.monotonic_s()
                if message.type is WSMsgType.TEXT:
                    on_message(message.data)
                elif message.type is WSMsgType.PING and self._answers_pings:
                    await self._socket.pong(message.data)
        except ConnectionError:
            self.abort()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        return self._socket

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                message = await self._outbox.get()
                await self._socket.send_frame(message, WSMsgType.TEXT)

    async def _ping(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._ping_every_s)
                if self._wire.monotonic_s() - self._heard_s > self._pong_within_s:
                    self.abort()
                    return
                await self._socket.ping()
