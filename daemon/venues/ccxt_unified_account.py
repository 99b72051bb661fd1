"""Reads an account whole through ccxt's own structures: balances, fills of a time, open orders.

Belongs here: paging where each exchange pages in its own way. Binance's account, whose trades have
ids that can be counted on, is read by `ccxt_account`.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from daemon.core.orders import Side
from daemon.core.ports import Account, VenueFill
from daemon.venues.capabilities import TWO_YEARS_MS, WEEK_MS
from daemon.venues.ccxt_outcomes import is_no_such_order
from daemon.venues.ccxt_pages import all_pages
from daemon.venues.ccxt_reads import OddReply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import OpenOrder
    from daemon.venues.capabilities import Pages
    from daemon.venues.ccxt_dialect import Dialect
    from daemon.venues.ccxt_reads import Reader

    Page = Callable[[int, int], Awaitable[list[dict[str, Any]]]]  # trades from ms to ms

PAGES_MAX = 10_000
MS_PER_S = 1_000


async def read_unified_account(
    client: Any,
    reader: Reader,
    dialect: Dialect,
    instruments: Sequence[InstrumentId],
    *,
    since_ms: int,
    now_ms: int,
    client_ids: dict[tuple[str, str], str],
) -> Account:
    """Balances, own fills since `since_ms` and open orders.

    `client_ids` maps (symbol, venue order id) to our ids; what it lacks is asked for and added.
    ExchangeUnreachable, or LiveRefused for a refused key.
    """
    balances = await reader.read("balances", client.fetch_balance)
    fills: list[VenueFill] = []
    open_orders: list[OpenOrder] = []
    open_ids: list[str] = []
    symbols = [each.symbol for each in instruments]
    pages = dialect.row.pages_for(client.options)
    by_symbol = await _trades(client, reader, pages, symbols, since_ms=since_ms, now_ms=now_ms)
    for instrument in instruments:
        symbol = instrument.symbol
        trades = by_symbol[symbol]
        read = [dialect.trade(each) for each in trades]
        for owner in sorted({owner for owner, _, _ in read}):
            if (symbol, owner) not in client_ids:
                told = await _owner(client, reader, dialect, symbol, owner)
                if told is not None:
                    client_ids[symbol, owner] = told
        fills += [
            VenueFill(
                client_order_id=client_ids.get((symbol, owner)) or None,
                venue_order_id=owner,
                instrument=instrument,
                side=Side.BUY if is_buy else Side.SELL,
                fill=fill,
            )
            for owner, is_buy, fill in read
        ]
        ask = partial(client.fetch_open_orders, symbol)
        rows = await _rows(reader, f"open orders of {symbol}", ask)
        open_ids += [dialect.client_order_id(each) for each in rows]
        open_orders += _readable(dialect, instrument, rows)
    return Account(
        totals=dialect.totals(balances),
        fills=tuple(sorted(fills, key=lambda each: each.fill.ts_ns)),
        open_client_order_ids=tuple(open_ids),
        open_orders=tuple(open_orders),
    )


def _readable(
    dialect: Dialect, instrument: InstrumentId, rows: list[dict[str, Any]]
) -> Iterator[OpenOrder]:
    """An order of a kind that nobody here sends may lack a size: its id is all that is known then,
    and no reason to know nothing of the account.
    """
    for each in rows:
        with contextlib.suppress(LookupError, TypeError, ValueError):
            yield dialect.open_order(instrument, each)


async def _trades(
    client: Any,
    reader: Reader,
    pages: Pages,
    symbols: Sequence[str],
    *,
    since_ms: int,
    now_ms: int,
) -> dict[str, list[dict[str, Any]]]:
    """By symbol. Where a page is of all symbols it is asked for without one: ccxt would leave of it
    nothing, and nobody could tell that from an account that has not traded.
    """

    async def between(symbol: str | None) -> list[dict[str, Any]]:
        async def page(low_ms: int, high_ms: int) -> list[dict[str, Any]]:
            async def ask(place: dict[str, Any]) -> list[dict[str, Any]]:
                until = {"until": _whole_second(high_ms), **place}
                fetch = partial(client.fetch_my_trades, symbol, low_ms, None, until)
                return await _rows(reader, f"trades of {symbol or 'the account'}", fetch)

            return await all_pages(ask, pages)

        return await trades_between(page, since_ms, now_ms, stretch_ms=pages.stretch_ms)

    if not (pages.is_of_all and symbols):
        return {symbol: await between(symbol) for symbol in symbols}
    told = await between(None)
    return {symbol: [each for each in told if each["symbol"] == symbol] for symbol in symbols}


def _whole_second(ms: int) -> int:
    """The end of its second: Gate is asked in seconds, of which ccxt cuts off what is more."""
    return -(-ms // MS_PER_S) * MS_PER_S


async def trades_between(
    page: Page, since_ms: int, now_ms: int, *, stretch_ms: int = WEEK_MS
) -> list[dict[str, Any]]:
    """Every trade since a moment, each once, in stretches that the exchange takes. 0 is two years
    ago: those that are asked week by week tell of no more, and it would be thousands of weeks.
    """
    found: dict[str, dict[str, Any]] = {}
    start_ms = since_ms or now_ms - TWO_YEARS_MS
    while start_ms <= now_ms:
        end_ms = min(start_ms + stretch_ms - MS_PER_S, now_ms + 1)
        await _stretch(page, start_ms, end_ms, found)
        start_ms = end_ms + 1
    return list(found.values())


async def _stretch(
    page: Page, start_ms: int, end_ms: int, found: dict[str, dict[str, Any]]
) -> None:
    """Fill in the trades of one stretch, by pages that may come from either of its ends.

    A page of the newest leaves the older ones to ask for, one of the oldest the newer ones; which
    of them it was is not known, so both sides are asked until neither has anything new.
    """
    here: set[int] = set()
    asked = [(start_ms, end_ms)]
    for _ in range(PAGES_MAX):
        if not asked:
            return
        low_ms, high_ms = asked.pop()
        rows = await page(low_ms, high_ms)
        new = {str(each["id"]): each for each in rows if str(each["id"]) not in found}
        if not new:
            continue
        found |= new
        here |= {int(each["timestamp"]) for each in new.values()}
        asked = [(start_ms, min(here)), (max(here), end_ms)]
    raise OddReply("the trades never end")


async def _owner(
    client: Any, reader: Reader, dialect: Dialect, symbol: str, venue_order_id: str
) -> str | None:
    """Our id of an order by the exchange's, empty when it has none; None when it is not listed: no
    more, or, right after it traded, not yet.
    """

    async def ask() -> str | None:
        try:
            order = await client.fetch_order(venue_order_id, symbol, dialect.row.by_theirs)
        except Exception as error:
            if is_no_such_order(error):
                return None
            raise
        return dialect.client_order_id(order)

    return await reader.read(f"order {venue_order_id} of {symbol}", ask)


async def _rows(
    reader: Reader, what: str, fetch: Callable[[], Awaitable[object]]
) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]]:
        rows = await fetch()
        if not isinstance(rows, list):
            raise OddReply(f"{what} are not a list")
        return rows

    return await reader.read(what, ask)
