"""One exchange's candle streams: turns ccxt's shared, mutated caches into a queue per symbol.

Belongs here: subscribing, copying and opening the connection anew. What a candle means belongs to
layer 1.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from daemon.core.bars import RawBar
from daemon.core.errors import ExchangeUnreachable
from daemon.venues.ccxt_outcomes import explain
from daemon.venues.ccxt_taps import tap_candles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WAITING_MAX = 2_000
RESET_EVERY_S = 5.0


class CandleStreams:
    """All candle subscriptions of one client, in one timeframe."""

    def __init__(self, client: Any, exchange: str, timeframe: str) -> None:
        self._client = client
        self._exchange = exchange
        self._timeframe = timeframe
        self._waiting: dict[str, asyncio.Queue[RawBar | ExchangeUnreachable]] = {}
        self._symbols: set[str] = set()
        self._primes: set[asyncio.Task[None]] = set()
        self._is_primed = False
        self._is_left = False  # somebody stopped listening although the stream had not ended
        self._reset_s = float("-inf")
        self._is_tapped = tap_candles(client, self._hear)

    def expect(self, symbols: tuple[str, ...]) -> None:
        """These will be watched: one request subscribes to all of them."""
        self._symbols.update(symbols)

    async def candles(self, symbol: str) -> AsyncIterator[RawBar]:
        """What the stream says of one symbol; ExchangeUnreachable when it ends.

        Whoever stops listening and comes back did so because the stream was silent: the connection
        is then opened anew.
        """
        self._symbols.add(symbol)
        if self._is_left:
            await self._reset()
        waiting: asyncio.Queue[RawBar | ExchangeUnreachable] = asyncio.Queue(WAITING_MAX)
        self._waiting[symbol] = waiting
        pump = asyncio.create_task(self._pump(symbol, waiting))
        has_ended = False
        try:
            while True:
                said = await waiting.get()
                if isinstance(said, ExchangeUnreachable):
                    has_ended = True
                    raise said
                yield said
        finally:
            self._is_left = self._is_left or not has_ended
            if self._waiting.get(symbol) is waiting:
                del self._waiting[symbol]
            pump.cancel()
            await asyncio.wait({pump})

    async def close(self) -> None:
        for prime in tuple(self._primes):
            prime.cancel()
        if self._primes:
            await asyncio.wait(self._primes)

    async def _pump(
        self, symbol: str, waiting: asyncio.Queue[RawBar | ExchangeUnreachable]
    ) -> None:
        """Wait for the stream and do nothing else: an event nobody waits for wakes nobody."""
        try:
            await self._prime()
            while True:
                rows = await self._client.watch_ohlcv(symbol, self._timeframe)
                if not self._is_tapped:
                    for row in rows:
                        _put(waiting, RawBar(*row[:6]))
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            reason = "the connection was closed"
        except Exception as error:  # noqa: BLE001  # a stream may raise anything, KeyError included
            reason = explain(error)
        self._is_primed = False
        _put(waiting, ExchangeUnreachable(f"{self._exchange}: the candle stream ended: {reason}"))

    async def _prime(self) -> None:
        """Subscribe to all in one request; each one's own watch then finds itself subscribed."""
        has_many = bool(self._client.has.get("watchOHLCVForSymbols")) and len(self._symbols) > 1
        if not (has_many and self._is_tapped):
            return
        if not self._is_primed:
            self._is_primed = True
            wanted = [[symbol, self._timeframe] for symbol in sorted(self._symbols)]
            prime = asyncio.create_task(self._subscribe(wanted))
            self._primes.add(prime)
            prime.add_done_callback(self._primes.discard)
        await asyncio.sleep(0)  # the request is noted before any symbol asks for itself

    async def _subscribe(self, wanted: list[list[str]]) -> None:
        # A failure reaches the symbols' own watches too; cancellation by a closed connection
        # likewise.
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await self._client.watch_ohlcv_for_symbols(wanted)

    async def _reset(self) -> None:
        self._is_left = False
        now_s = asyncio.get_running_loop().time()
        if now_s - self._reset_s < RESET_EVERY_S:
            return
        self._reset_s = now_s
        self._is_primed = False
        sockets = list(self._client.clients.values())
        self._client.clients.clear()
        for socket in sockets:
            # With an error set, ccxt does not take the new connection for the one that closes here.
            socket.error = socket.error or ExchangeUnreachable("silent for too long")
            with contextlib.suppress(Exception):
                await socket.close()

    def _hear(self, symbol: str, timeframe: str, raw: RawBar) -> None:
        waiting = self._waiting.get(symbol)
        if waiting is not None and timeframe == self._timeframe:
            _put(waiting, raw)


def _put(
    waiting: asyncio.Queue[RawBar | ExchangeUnreachable], said: RawBar | ExchangeUnreachable
) -> None:
    """Queue a copy; when nobody takes them the oldest goes, and layer 1 fetches what is missing."""
    if waiting.full():
        waiting.get_nowait()
    waiting.put_nowait(said)
