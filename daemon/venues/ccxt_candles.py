"""Candles as a kind of stream: what ccxt is asked for, and how its candles are heard.

Belongs here: the calls. Queues and reconnecting belong to `ccxt_streams`, raw messages to
`ccxt_taps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.core.bars import RawBar
from daemon.venues.ccxt_taps import tap_candles

if TYPE_CHECKING:
    from collections.abc import Callable


class Candles:
    """Candle streams of one client in one timeframe."""

    name = "candle"
    may_lose = True  # each tells its whole slot

    def __init__(self, client: Any, timeframe: str) -> None:
        self._client = client
        self._timeframe = timeframe

    @property
    def can_prime(self) -> bool:
        return bool(self._client.has.get("watchOHLCVForSymbols"))

    def tap(self, hear: Callable[[str, RawBar], None]) -> bool:
        def on_candle(symbol: str, timeframe: str, raw: RawBar) -> None:
            if timeframe == self._timeframe:
                hear(symbol, raw)

        return tap_candles(self._client, on_candle)

    async def watch(self, symbol: str) -> list[RawBar]:
        rows = await self._client.watch_ohlcv(symbol, self._timeframe)
        return [RawBar(*row[:6]) for row in rows]

    async def prime(self, symbols: list[str]) -> None:
        await self._client.watch_ohlcv_for_symbols([[each, self._timeframe] for each in symbols])
