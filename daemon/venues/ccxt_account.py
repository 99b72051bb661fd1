"""Reads an account whole: balances, every fill since a moment with its order, open orders.

Belongs here: paging through what the venue keeps of us. Comparing it with our books belongs to
reconciling.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from daemon.core.instruments import InstrumentId
from daemon.core.orders import Side
from daemon.core.ports import Account, VenueFill
from daemon.core.timeframes import NS_PER_MS
from daemon.venues.ccxt_binance import read_open_order, read_totals, read_trade
from daemon.venues.ccxt_reads import OddReply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.core.ports import OpenOrder
    from daemon.venues.ccxt_reads import Reader

ROWS = 1_000
PAGES_MAX = 10_000
OPEN_BY_SYMBOL_MAX = 13  # by Binance's weights all of the account's cost as much as these


async def read_account(
    client: Any,
    reader: Reader,
    instruments: Sequence[InstrumentId],
    since_ns: int,
    client_ids: dict[tuple[str, str], str],
) -> Account:
    """Balances, own fills since `since_ns` (market time) and the client ids of open orders.

    `client_ids` maps (symbol, venue order id) to client ids; what it lacks is asked for and added,
    since the venue's trade list does not tell them. ExchangeUnreachable, or LiveRefused for a
    refused key.
    """
    told = await reader.read("balances", client.fetch_balance)
    fills: list[VenueFill] = []
    open_orders: list[OpenOrder] = []
    is_many = len(instruments) > OPEN_BY_SYMBOL_MAX
    if is_many:
        open_orders += await _open_orders(client, reader, None, instruments[0].exchange)
    for instrument in instruments:
        rows = await _trades(client, reader, instrument.symbol, since_ns // NS_PER_MS)
        await _learn_client_ids(client, reader, instrument.symbol, rows, client_ids)
        fills += [_venue_fill(instrument, row, client_ids) for row in rows]
        if not is_many:
            open_orders += await _open_orders(
                client, reader, instrument.symbol, instrument.exchange
            )
    return Account(
        totals=read_totals(told["info"]),
        fills=tuple(sorted(fills, key=lambda each: each.fill.ts_ns)),
        open_client_order_ids=tuple(each.client_order_id for each in open_orders),
        open_orders=tuple(open_orders),
    )


async def _trades(client: Any, reader: Reader, symbol: str, since_ms: int) -> list[dict[str, Any]]:
    """Raw trades of one symbol: the first page by time, the others by id, which cannot skip any."""
    found: dict[str, dict[str, Any]] = {}
    since: int | None = since_ms if since_ms > 0 else None
    params: dict[str, Any] = {} if since is not None else {"fromId": 0}
    for _ in range(PAGES_MAX):
        ask = partial(client.fetch_my_trades, symbol, since, ROWS, params)
        page = await _rows(reader, f"trades of {symbol}", ask)
        new = {str(row["id"]): row for row in page if str(row["id"]) not in found}
        found |= new
        if not new or len(page) < ROWS:
            break
        since, params = None, {"fromId": max(int(key) for key in new) + 1}
    return list(found.values())


async def _learn_client_ids(
    client: Any,
    reader: Reader,
    symbol: str,
    trades: list[dict[str, Any]],
    client_ids: dict[tuple[str, str], str],
) -> None:
    owners = {str(row["orderId"]) for row in trades}
    wanted = {int(owner) for owner in owners if (symbol, owner) not in client_ids}
    while wanted:
        ask = partial(client.fetch_orders, symbol, None, ROWS, {"orderId": min(wanted)})
        page = await _rows(reader, f"orders of {symbol}", ask)
        for row in page:
            client_ids[symbol, str(row["orderId"])] = str(row["clientOrderId"])
        # An order the venue no longer lists has a fill without a client id.
        wanted -= {int(row["orderId"]) for row in page} | {min(wanted)}


async def _open_orders(
    client: Any, reader: Reader, symbol: str | None, exchange: str
) -> list[OpenOrder]:
    ask = partial(client.fetch_open_orders, symbol)
    rows = await _rows(reader, f"open orders of {symbol or 'the account'}", ask)
    return [
        read_open_order(InstrumentId(exchange, symbol or client.safe_symbol(row["symbol"])), row)
        for row in rows
    ]


async def _rows(
    reader: Reader, what: str, fetch: Callable[[], Awaitable[object]]
) -> list[dict[str, Any]]:
    """The raw rows behind ccxt's list of structures."""

    async def ask() -> list[dict[str, Any]]:
        rows = await fetch()
        if not isinstance(rows, list):
            raise OddReply(f"{what} are not a list")
        return [row["info"] for row in rows]

    return await reader.read(what, ask)


def _venue_fill(
    instrument: InstrumentId, row: dict[str, Any], client_ids: dict[tuple[str, str], str]
) -> VenueFill:
    venue_order_id, is_buy, fill = read_trade(row)
    return VenueFill(
        client_order_id=client_ids.get((instrument.symbol, venue_order_id)),
        venue_order_id=venue_order_id,
        instrument=instrument,
        side=Side.BUY if is_buy else Side.SELL,
        fill=fill,
    )
