"""Binance's words for the ledger of a model exchange: orders, trades and pushes as raw fields.

Belongs here: the shape of answers. What is answered when belongs to `exchange`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.core.instruments import plain
from daemon.core.orders import OrderType
from daemon.simulation.ledger import ZERO

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.simulation.ledger import ModelOrder, Trade

    Ms = Callable[[float], int]

TYPES = {OrderType.MARKET: "MARKET", OrderType.LIMIT: "LIMIT", OrderType.STOP: "STOP_LOSS"}


def order(told: ModelOrder, ms: Ms, *, is_lie: bool = False) -> dict[str, Any]:
    """An order as a query tells it; `is_lie` says canceled and nothing filled."""
    wish = told.wish
    return {
        "orderId": told.order_id,
        "side": wish.side.value.upper(),
        "type": TYPES[wish.kind],
        "price": plain(wish.price or ZERO),
        "stopPrice": plain(wish.stop_price or ZERO),
        "clientOrderId": told.wish.client_order_id,
        "status": "CANCELED" if is_lie else told.status,
        "executedQty": "0" if is_lie else plain(told.filled),
        "origQty": plain(told.wish.quantity),
        "time": ms(told.at_s),
        "updateTime": ms(told.trades[-1].at_s if told.trades else told.at_s),
    }


def created(told: ModelOrder, ms: Ms) -> dict[str, Any]:
    """The reply to a new order, with the fills it has by then."""
    fields = order(told, ms)
    fields["transactTime"] = fields.pop("updateTime")
    fields["fills"] = [
        {
            "tradeId": each.trade_id,
            "price": plain(each.price),
            "qty": plain(each.quantity),
            "commission": plain(each.fee),
            "commissionAsset": each.fee_currency,
        }
        for each in told.trades
    ]
    return fields


def trade(told: Trade, ms: Ms) -> dict[str, Any]:
    """One row of the account's trades."""
    return {
        "id": told.trade_id,
        "orderId": told.order_id,
        "price": plain(told.price),
        "qty": plain(told.quantity),
        "commission": plain(told.fee),
        "commissionAsset": told.fee_currency,
        "time": ms(told.at_s),
        "isBuyer": told.is_buy,
        "isMaker": told.is_maker,
    }


def report(what: str, told: ModelOrder, made: Trade | None, now_ms: int) -> dict[str, Any]:
    """An executionReport of the user data stream."""
    ours = told.wish.client_order_id
    is_cancel = what == "CANCELED"
    message: dict[str, Any] = {
        "e": "executionReport",
        "x": what,
        "X": told.status,
        "c": f"cancel-{told.order_id}" if is_cancel else ours,
        "C": ours if is_cancel else "",
        "i": told.order_id,
        "z": plain(told.filled),
        "T": now_ms,
        "t": -1,
    }
    if made is not None:
        message |= {
            "t": made.trade_id,
            "L": plain(made.price),
            "l": plain(made.quantity),
            "n": plain(made.fee),
            "N": made.fee_currency,
            "m": made.is_maker,
        }
    return message
