"""Draws the table of every exchange that the installed ccxt knows: how it would be used here.

Belongs here: asking the daemon's own adapter and tables about each id, without a network. What the
columns mean is said in docs/exchanges.md.
"""

from typing import Any

from daemon.config.values import TIMEFRAMES
from daemon.core.instruments import EMBEDDED
from daemon.layers.ingestion import Transport, transport_of
from daemon.venues.capabilities import AT_ONCE, CAPABILITIES, OURS, STOP
from daemon.venues.ccxt_candles import Candles
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket
from daemon.venues.key_scope import PROBES
from tests.contract.payloads import EXCHANGES

ORDER_HEADER = (
    "ccxt id",
    "our id is sent as",
    "unique among",
    "found by",
    "a market buy",
    "stop",
    "accepted late",
    "the key's rights",
)
HEADER = ("ccxt id", "bars", "timeframes", "bars per request", "clock", "held to")
UNKNOWN = "-"


def exchange_rows() -> list[tuple[str, ...]]:
    """One row per ccxt id."""
    import ccxt

    return [_row(exchange) for exchange in ccxt.exchanges]


def order_rows() -> list[tuple[str, ...]]:
    """One row per exchange that takes orders, as the capability table says it."""
    return [_order_row(name) for name in sorted(CAPABILITIES.keys() - {EMBEDDED})]


def _order_row(exchange: str) -> tuple[str, ...]:
    row = CAPABILITIES[exchange]
    is_asked = any(OURS in {each.order_id, *each.params.values()} for each in row.looks)
    prefix = f", behind `{row.id_prefix}`" if row.id_prefix else ""
    late = f"{row.late_s:g} s" if row.late_s else "`execution.validity_ms`"
    return (
        f"`{exchange}`",
        f"`{row.id_field}`{prefix}",
        row.unique_among,
        "our id" if is_asked else "its lists of orders",
        "a limit order at once" if AT_ONCE in row.kinds else "a market order",
        "yes" if STOP in row.kinds else "refused",
        f"{late}, by {row.late_because}",
        "asked" if exchange in PROBES else "not told",
    )


def _row(exchange: str) -> tuple[str, ...]:
    client: Any = make_client(exchange)
    offered = [each for each in TIMEFRAMES if each in (client.timeframes or {})]
    why_not = _refusal(client, offered)
    if why_not:
        return (f"`{exchange}`", why_not, *[UNKNOWN] * 4)
    market = CcxtMarket(client, exchange, offered[0])
    return (
        f"`{exchange}`",
        _bars(client, market, offered[0]),
        " ".join(offered),
        _page(client, market),
        "its own" if client.has.get("fetchTime") else "Date of its replies",
        "documented payloads" if exchange in EXCHANGES else UNKNOWN,
    )


def _refusal(client: Any, offered: list[str]) -> str:
    if not client.has.get("spot"):
        return "refused: no spot markets"
    if not client.has.get("fetchOHLCV"):
        return "refused: no candles of the past"
    return "" if offered else "refused: no timeframe of a fixed length"


def _bars(client: Any, market: CcxtMarket, timeframe: str) -> str:
    transport = transport_of(
        "auto", has_candles=market.has_candle_stream, has_trades=market.has_trade_stream
    )
    if transport is Transport.TRADES:
        return "made of trades"
    if transport is Transport.REST:
        return "polled"
    has_flag = Candles(client, timeframe).tap(lambda _symbol, _raw: None)
    return "candles, closed flag" if has_flag else "candles"


def _page(client: Any, market: CcxtMarket) -> str:
    told = ((client.features or {}).get("spot") or {}).get("fetchOHLCV") or {}
    return str(market.page_limit) if told.get("limit") else f"{market.page_limit}, assumed"
