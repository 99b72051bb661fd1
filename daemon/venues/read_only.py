"""A wall around a client: readings pass, anything that could change an account is kept back.

Belongs here: which requests read. It stands at the one place where every request of ccxt goes out,
so that no method of the client, known or not, gets round it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daemon.core.errors import LiveRefused
from daemon.core.instruments import exchange_behind

if TYPE_CHECKING:
    from collections.abc import Mapping

# Exchanges that put their readings as POST; all others read by GET, and change nothing by it.
READ_BY_POST: Mapping[str, frozenset[str]] = {
    "kraken": frozenset(
        f"/0/private/{name}"
        for name in (
            *("Balance", "BalanceEx", "TradeBalance", "TradeVolume", "TradesHistory"),
            *("OpenOrders", "ClosedOrders", "QueryOrders", "QueryTrades", "GetApiKeyInfo"),
        )
    )
}


class KeptBack(LiveRefused):
    """A request that would have changed something, in a mode that only looks."""


def wall(client: Any, exchange: str) -> None:
    """From here on this client reads, and opens no stream: orders can be sent on one."""
    send, posted = client.fetch, READ_BY_POST.get(exchange_behind(exchange), frozenset())

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        path = urlsplit(url).path
        if method != "GET" and not (method == "POST" and path in posted):
            msg = f"shadow mode only looks: {method} {path} was kept back, nothing was sent"
            raise KeptBack(msg)
        return await send(url, method, headers, body)

    def make_socket(url: str) -> Any:
        msg = f"shadow mode only looks: no stream of the account is opened ({urlsplit(url).path})"
        raise KeptBack(msg)

    client.fetch, client.client = fetch, make_socket
