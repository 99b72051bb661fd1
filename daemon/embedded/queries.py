"""Selections as parameters: turns what was sent into queries of orders and fills, alike everywhere.

Belongs here: reading a selection. What is selected from belongs in the ledgers.
"""

from collections.abc import Container

from daemon.embedded import params as read
from daemon.embedded.ledger import FillQuery, OrderQuery
from daemon.embedded.params import Params
from daemon.embedded.refusals import RequestError, invalid_symbol

ROWS_DEFAULT, ROWS_MAX = 500, 1_000
END_OF_TIME_MS = 2**62


def order_query(params: Params, symbol_id: str) -> OrderQuery:
    return OrderQuery(
        symbol_id=symbol_id,
        from_order_id=read.integer(params, "orderId") or 0,
        start_ms=read.integer(params, "startTime") or 0,
        end_ms=end_ms(params),
        limit=read.limit(params, ROWS_DEFAULT, ROWS_MAX),
    )


def fill_query(params: Params, symbol_id: str) -> FillQuery:
    return FillQuery(
        symbol_id=symbol_id,
        order_id=read.integer(params, "orderId"),
        from_trade_id=read.integer(params, "fromId"),
        start_ms=read.integer(params, "startTime"),
        end_ms=end_ms(params),
        limit=read.limit(params, ROWS_DEFAULT, ROWS_MAX),
    )


def symbol_id_of(params: Params, listed: Container[str]) -> str:
    """A mandatory symbol; RequestError -1121 for one that is not listed."""
    symbol_id = read.text(params, "symbol")
    if symbol_id not in listed:
        raise invalid_symbol()
    return symbol_id


def end_ms(params: Params) -> int:
    end = read.integer(params, "endTime")
    return END_OF_TIME_MS if end is None else end


def id_of(params: Params, by_id: str, by_name: str) -> tuple[int | None, str]:
    """By which of two names a thing is asked for; RequestError -1102 for neither."""
    number, name = read.integer(params, by_id), params.get(by_name, "")
    if number is None and not name:
        text = f"Param '{by_name}' or '{by_id}' must be sent, but both were empty/null!"
        raise RequestError(-1102, text)
    return number, name
