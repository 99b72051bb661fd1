"""A market seen as one of perpetual swaps: the same prices under the names of swaps.

Belongs here: names alone. Where the numbers come from belongs to the market underneath.
"""

import dataclasses
from collections.abc import Mapping
from decimal import Decimal

from daemon.embedded.market import BOOK_LEVELS, Book, Market, MarketBar, MarketSymbol


class SwapMarket:
    """ "BTC/USDT" becomes "BTC/USDT:USDT", margined in its quote; all else is as it was."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._symbols = {
            symbol_id: dataclasses.replace(each, symbol=f"{each.symbol}:{each.quote}")
            for symbol_id, each in market.symbols.items()
        }
        self.label = market.label
        self.fingerprint = market.fingerprint
        self.timeframe_ms = market.timeframe_ms
        self.first_open_ms = market.first_open_ms
        self.from_ms = market.from_ms

    @property
    def symbols(self) -> Mapping[str, MarketSymbol]:
        return self._symbols

    @property
    def end_ms(self) -> int | None:
        return self._market.end_ms

    def bar(self, symbol_id: str, open_ms: int) -> MarketBar | None:
        return self._market.bar(symbol_id, open_ms)

    def bars(
        self, symbol_id: str, start_open_ms: int, end_open_ms: int, limit: int
    ) -> list[MarketBar]:
        return self._market.bars(symbol_id, start_open_ms, end_open_ms, limit)

    def path(self, symbol_id: str, open_ms: int) -> tuple[Decimal, ...]:
        return self._market.path(symbol_id, open_ms)

    def book(self, symbol_id: str, price: Decimal, open_ms: int, levels: int = BOOK_LEVELS) -> Book:
        return self._market.book(symbol_id, price, open_ms, levels)
