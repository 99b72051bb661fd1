"""Trades as a kind of stream: what ccxt is asked for, and how each trade is heard once.

Belongs here: the calls, and where in ccxt a trade passes. Queues and reconnecting belong to
`ccxt_streams`, bars made of trades to layer 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.core.bars import RawTrade

if TYPE_CHECKING:
    from collections.abc import Callable

    Hear = Callable[[str, RawTrade], None]

KEPT = 200  # ccxt's own copies, each with the raw message; nobody reads them here


class Trades:
    """Trade streams of one client.

    ccxt's own result is cut to its cache and comes as late as somebody waits for it. Whatever the
    dialect, each trade it has understood is put into that cache, and there it is heard: once, at
    once, as a copy.
    """

    name = "trade"
    may_lose = False  # a bar without one of its trades is another bar
    can_prime = False  # a watch of one symbol does not find itself in a subscription of many

    def __init__(self, client: Any) -> None:
        self._client = client
        self._hear: Hear = lambda _symbol, _trade: None
        self._heard: set[str] = set()

    def tap(self, hear: Hear) -> bool:
        self._hear = hear
        self._client.options["tradesLimit"] = KEPT
        self._listen()
        return True

    async def watch(self, symbol: str) -> list[RawTrade]:
        self._listen()
        trades = await self._client.watch_trades(symbol)
        if symbol not in self._heard:
            # A dialect that keeps its trades somewhere else: then what ccxt returns has to do.
            for trade in trades:
                self._hear(symbol, raw_trade(trade))
        return []

    async def prime(self, symbols: list[str]) -> None:
        raise NotImplementedError

    def _listen(self) -> None:
        if not isinstance(self._client.trades, _TappedCaches):
            self._client.trades = _TappedCaches(self._on_trade)

    def _on_trade(self, trade: Any) -> None:
        symbol = trade.get("symbol")
        if isinstance(symbol, str):
            self._heard.add(symbol)
            self._hear(symbol, raw_trade(trade))


def raw_trade(trade: Any) -> RawTrade:
    """A copy of what counts of one of ccxt's trades."""
    return RawTrade(trade.get("id"), trade["timestamp"], trade["price"], trade["amount"])


class _TappedCaches(dict[str, Any]):
    """ccxt's trade caches by symbol; each is listened to from its first trade on."""

    def __init__(self, on_trade: Callable[[Any], None]) -> None:
        super().__init__()
        self._on_trade = on_trade

    def __setitem__(self, symbol: str, cache: Any) -> None:
        super().__setitem__(symbol, cache)
        if "append" in vars(cache):
            return
        append = cache.append

        def heard(trade: Any) -> None:
            append(trade)
            self._on_trade(trade)

        cache.append = heard
        for trade in tuple(cache):  # those that were put into it before it was put here
            self._on_trade(trade)
