"""Reads candles out of raw stream messages, with the closed flag that ccxt's own result drops.

Belongs here: one reader per dialect, and where it is attached. Each is shown to work by a test
against the installed ccxt, because it stands on names inside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.core.bars import RawBar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Said = tuple[str, str, RawBar]
    Reading = Callable[[Any, Any, Any], Iterator[Said]]


def tap_candles(client: Any, on_candle: Callable[[str, str, RawBar], None]) -> bool:
    """Call `on_candle(symbol, timeframe, candle)` for each; False when the dialect is unknown."""
    read = READINGS.get(client.id)
    if read is None or not hasattr(client, "handle_ohlcv"):
        return False
    handle = client.handle_ohlcv

    def tapped(socket: Any, message: Any) -> Any:
        # First ccxt: what it cannot read ends the connection and must not be believed either.
        result = handle(socket, message)
        for symbol, timeframe, raw in read(client, socket, message):
            on_candle(symbol, timeframe, raw)
        return result

    client.handle_ohlcv = tapped
    return True


def _binance(client: Any, _socket: Any, message: Any) -> Iterator[Said]:
    told = message["k"]
    symbol = client.safe_symbol(told["s"], None, None, "spot")
    candle = _candle(told, ("t", "o", "h", "l", "c", "v"), is_closed=bool(told["x"]))
    yield symbol, client.find_timeframe(told["i"]), candle


def _okx(client: Any, _socket: Any, message: Any) -> Iterator[Said]:
    asked = message["arg"]
    symbol = client.safe_symbol(asked["instId"])
    timeframe = client.find_timeframe(asked["channel"].replace("candle", ""))
    for row in message["data"]:
        is_closed = row[8] == "1"
        yield (
            symbol,
            timeframe,
            RawBar(int(row[0]), row[1], row[2], row[3], row[4], row[5], is_closed),
        )


def _bybit(client: Any, socket: Any, message: Any) -> Iterator[Said]:
    _, interval, market_id = message["topic"].split(".")
    kind = "spot" if "spot" in socket.url else "contract"
    symbol = client.safe_symbol(market_id, None, None, kind)
    for told in message["data"]:
        names = ("start", "open", "high", "low", "close", "volume")
        candle = _candle(told, names, is_closed=bool(told["confirm"]))
        yield symbol, client.find_timeframe(interval), candle


def _candle(told: Any, names: tuple[str, ...], *, is_closed: bool) -> RawBar:
    open_ms, open_, high, low, close, volume = (told[name] for name in names)
    return RawBar(open_ms, open_, high, low, close, volume, is_closed)


READINGS: dict[str, Reading] = {
    "binance": _binance,
    "binanceus": _binance,
    "okx": _okx,
    "bybit": _bybit,
}
