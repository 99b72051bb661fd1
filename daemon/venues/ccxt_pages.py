"""Reads a list of trades whole: from pages, asked for in each exchange's way, to every trade once.

Belongs here: how a list goes on. What is asked for belongs to whoever reads it, the names of the
fields to `capabilities`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.venues.capabilities import (
    CURSOR,
    LEAST_ID,
    NEXT_ID,
    PAGE_NUMBER,
    ROWS_SO_FAR,
    TRADES,
)
from daemon.venues.ccxt_reads import OddReply
from daemon.venues.ccxt_requests import asking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.venues.capabilities import Pages, Row

PAGES_MAX = 10_000


async def order_trades(
    client: Any, row: Row, symbol: str, ours: str, *, theirs: str, named: Sequence[str]
) -> list[dict[str, Any]]:
    """Every fill of one order; `named` are the ids of them that the order tells, where it does."""

    async def ask(place: dict[str, Any]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await asking(
            client, row.fills, row, symbol, ours, theirs=theirs, trades=named, extra=place
        )
        return rows

    if TRADES not in row.fills.params.values():
        return await all_pages(ask, row.pages_for(client.options))
    return await ask({}) if named else []


async def all_pages(
    ask: Callable[[dict[str, Any]], Awaitable[list[dict[str, Any]]]], pages: Pages
) -> list[dict[str, Any]]:
    """Every trade of one list; `ask` takes what a page is asked by. OddReply when it has no end, or
    when the exchange shows only a part of what happened in one moment.
    """
    found: dict[str, dict[str, Any]] = {}
    place: dict[str, Any] = {}
    rows_so_far = 0
    for number in range(1, PAGES_MAX + 1):
        rows = await ask({**pages.size, **place})
        known = len(found)
        found |= {str(each["id"]): each for each in rows}
        rows_so_far += len(rows)
        if len(rows) < pages.rows:
            return list(found.values())
        if len(found) == known:
            if len({each["timestamp"] for each in rows}) == 1:
                msg = f"more than {pages.rows} trades of one moment, and always the same are shown"
                raise OddReply(msg)
            return list(found.values())  # they are asked for by time, too
        told = _next(pages, rows, number, rows_so_far)
        if told is None:
            return list(found.values())
        place = {pages.param: told}
    raise OddReply("the trades never end")


def _next(
    pages: Pages, rows: list[dict[str, Any]], number: int, rows_so_far: int
) -> int | str | None:
    """What asks for the page behind these rows; None when the exchange says that there is none."""
    told = [value for each in rows if (value := each["info"].get(pages.key))]
    if pages.by == ROWS_SO_FAR:
        return rows_so_far
    if pages.by == PAGE_NUMBER:
        return number + 1
    if pages.by == CURSOR:
        return str(told[0]) if told else None
    if pages.by == LEAST_ID:
        return min(int(each) for each in told)
    assert pages.by == NEXT_ID
    # What was asked without an id is the newest: behind it come all from the first one on.
    return 0 if number == 1 else max(int(each) for each in told) + 1
