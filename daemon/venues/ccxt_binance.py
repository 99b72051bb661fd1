"""Reads Binance's own words about orders: from raw replies and reports to exact types.

Belongs here: the spot dialect's fields, taken as text before ccxt makes floats of them. Which
request brings which reply belongs to `ccxt_venue`.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from daemon.core.orders import Fill, OrderState, OrderType, Side
from daemon.core.ports import OpenOrder
from daemon.core.timeframes import NS_PER_MS

if TYPE_CHECKING:
    from daemon.core.instruments import InstrumentId

STATES = {
    "PENDING_NEW": OrderState.ACCEPTED,
    "NEW": OrderState.ACCEPTED,
    "PENDING_CANCEL": OrderState.ACCEPTED,
    "PARTIALLY_FILLED": OrderState.PARTLY_FILLED,
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELED,
    "EXPIRED": OrderState.EXPIRED,
    "EXPIRED_IN_MATCH": OrderState.EXPIRED,
    "REJECTED": OrderState.REFUSED,
}
ENDED = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REFUSED})


class Told(Struct, frozen=True, kw_only=True):
    """An order as the venue tells it; `state` is None when its status is a word we do not know."""

    client_order_id: str
    venue_order_id: str
    state: OrderState | None
    status: str
    filled_quantity: Decimal
    fills: tuple[Fill, ...]
    ts_ns: int

    @property
    def has_all_fills(self) -> bool:
        return sum((fill.quantity for fill in self.fills), Decimal(0)) >= self.filled_quantity

    @property
    def has_odd_end(self) -> bool:
        """Hard to believe of an order at the market: nobody cancels one, and few find no taker."""
        is_empty = self.state in ENDED and not self.filled_quantity
        return self.state is OrderState.CANCELED or is_empty


def read_order(info: dict[str, Any]) -> Told:
    """An order from the reply to a new order or a query; LookupError or ValueError otherwise.

    Only the reply to a new order carries fills, all of them at its one time.
    """
    ts_ns = _ms(info.get("transactTime") or info.get("updateTime") or info["time"])
    venue_order_id = _text(info["orderId"])
    fills = tuple(
        Fill(
            trade_id=_text(each["tradeId"]),
            price=number(each["price"]),
            quantity=number(each["qty"]),
            fee=number(each["commission"]),
            fee_currency=_text(each["commissionAsset"]),
            ts_ns=ts_ns,
        )
        for each in info.get("fills") or ()
    )
    return Told(
        client_order_id=_text(info["clientOrderId"]),
        venue_order_id=venue_order_id,
        state=STATES.get(info["status"]),
        status=_text(info["status"]),
        filled_quantity=number(info["executedQty"]),
        fills=fills,
        ts_ns=ts_ns,
    )


def read_open_order(instrument: InstrumentId, info: dict[str, Any]) -> OpenOrder:
    """One row of the account's open orders."""
    kind, price, stop_price = _text(info["type"]), number(info["price"]), number(info["stopPrice"])
    is_stop = kind.startswith(("STOP", "TAKE"))
    is_limit = "LIMIT" in kind
    return OpenOrder(
        client_order_id=_text(info["clientOrderId"]),
        instrument=instrument,
        side=Side(_text(info["side"]).lower()),
        order_type=OrderType.STOP if is_stop else OrderType.LIMIT if is_limit else OrderType.MARKET,
        quantity=number(info["origQty"]),
        price=price or None,
        stop_price=stop_price or None,
    )


def read_trade(info: dict[str, Any]) -> tuple[str, bool, Fill]:
    """(venue order id, whether it was a buy, fill) of one row of the account's trades."""
    fill = Fill(
        trade_id=_text(info["id"]),
        price=number(info["price"]),
        quantity=number(info["qty"]),
        fee=number(info["commission"]),
        fee_currency=_text(info["commissionAsset"]),
        ts_ns=_ms(info["time"]),
        is_maker=_flag(info["isMaker"]),
    )
    return _text(info["orderId"]), _flag(info["isBuyer"]), fill


def read_execution(info: dict[str, Any]) -> Told:
    """An order from one executionReport of the user data stream, with its fill if it tells one."""
    is_cancel = info["x"] == "CANCELED" and bool(info.get("C"))
    fills: tuple[Fill, ...] = ()
    if info["x"] == "TRADE":
        fills = (
            Fill(
                trade_id=_text(info["t"]),
                price=number(info["L"]),
                quantity=number(info["l"]),
                fee=number(info["n"]),
                fee_currency=_text(info.get("N") or ""),
                ts_ns=_ms(info["T"]),
                is_maker=_flag(info["m"]),
            ),
        )
    return Told(
        client_order_id=_text(info["C"] if is_cancel else info["c"]),
        venue_order_id=_text(info["i"]),
        state=STATES.get(info["X"]),
        status=_text(info["X"]),
        filled_quantity=number(info["z"]),
        fills=fills,
        ts_ns=_ms(info["T"]),
    )


def read_totals(info: dict[str, Any]) -> dict[str, Decimal]:
    """Free plus locked of every currency that is held."""
    totals = {
        _text(each["asset"]): number(each["free"]) + number(each["locked"])
        for each in info["balances"]
    }
    return {currency: total for currency, total in totals.items() if total}


def number(value: object) -> Decimal:
    """Exact Decimal of the venue's text; ValueError when it is none, or no finite number."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        msg = f"{value!r} is not a number"
        raise ValueError(msg) from None
    if not found.is_finite():
        msg = f"{value!r} is not finite"
        raise ValueError(msg)
    return found


def _text(value: object) -> str:
    if value is None:
        msg = "a required field is null"
        raise ValueError(msg)
    return str(value)


def _ms(value: object) -> int:
    return int(str(value)) * NS_PER_MS


def _flag(value: object) -> bool:
    return value is True or value == "true"
