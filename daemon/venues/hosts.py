"""Whom a client may talk to: the hosts of each exchange, written down here and not asked of ccxt.

Belongs here: names of hosts and what an url must be. A library that was tampered with would bring
urls of its own; what it calls is compared with this table, at the start and at every request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from daemon.core.errors import LiveRefused
from daemon.core.instruments import exchange_behind

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SCHEMES = frozenset({"https", "wss"})
PORTS = frozenset({None, 443, 9443})  # the last is Binance's, of its streams
_BINANCE = frozenset(
    {
        *("api.binance.com", "dapi.binance.com", "eapi.binance.com", "fapi.binance.com"),
        *("papi.binance.com", "stream.binance.com", "fstream.binance.com", "dstream.binance.com"),
        *("nbstream.binance.com", "ws-api.binance.com", "ws-fapi.binance.com"),
        "ws-dapi.binance.com",
    }
)
HOSTS: dict[str, frozenset[str]] = {
    "binance": _BINANCE,
    # Its class in ccxt inherits the urls of what Binance US does not have.
    "binanceus": _BINANCE | {"api.binance.us", "www.binance.us", "stream.binance.us"},
    "bitget": frozenset({"api.bitget.com", "ws.bitget.com", "wspap.bitget.com"}),
    "bybit": frozenset({"api.bybit.com", "stream.bybit.com"}),
    "coinbase": frozenset({"api.coinbase.com", "advanced-trade-ws.coinbase.com"}),
    "gate": frozenset({"api.gateio.ws", "ws.gate.io", "fx-ws.gateio.ws", "op-ws.gateio.live"}),
    "kraken": frozenset(
        {
            *("api.kraken.com", "ws.kraken.com", "ws-auth.kraken.com", "kraken.zendesk.com"),
            *("beta-ws.kraken.com", "beta-ws-auth.kraken.com"),
        }
    ),
    "kucoin": frozenset(
        {
            *("api.kucoin.com", "api-futures.kucoin.com", "api-broker.kucoin.com", "kucoin.com"),
            *("x-push-spot.kucoin.com", "x-push-futures.kucoin.com", "wsapi-push.kucoin.com"),
            # Where its own REST api sends streams to.
            *("ws-api-spot.kucoin.com", "ws-api-futures.kucoin.com", "ws-api.kucoin.com"),
        }
    ),
    "okx": frozenset({"www.okx.com", "ws.okx.com"}),
}


def require_known_hosts(exchange: str, urls: Iterable[tuple[str, str]]) -> None:
    """LiveRefused at the first (name, url) that leads elsewhere, or is not encrypted."""
    for name, url in urls:
        if fault := fault_of(exchange, url):
            msg = f"{exchange}: url {name} of the ccxt client {fault}; nothing was sent"
            raise LiveRefused(msg)


def fault_of(exchange: str, url: str) -> str:
    """Why this url must not be called; empty when it may be. The text holds host and scheme."""
    try:
        parts, port = urlsplit(url), urlsplit(url).port
    except ValueError:
        return "is no url"
    if exchange_behind(exchange) == "embedded":
        return "" if parts.hostname in LOOPBACK else f"leads to {parts.hostname}, need loopback"
    if parts.hostname not in HOSTS.get(exchange_behind(exchange), ()):
        return f"leads to {parts.hostname}, which is no host of that exchange"
    if parts.scheme not in SCHEMES:
        return f"is {parts.scheme}, need https or wss"
    if parts.username is not None or port not in PORTS:
        return "names a user or a port of its own"
    return ""
