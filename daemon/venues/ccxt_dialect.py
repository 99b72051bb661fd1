"""Reads an exchange's words about orders, trades and balances: Binance's own, or ccxt's for others.

Belongs here: from ccxt's structures to exact types. Which question brings which reply is in
`capabilities`; the fields of Binance's raw replies are in `ccxt_binance`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from daemon.core.orders import Fill, OrderState, OrderType, Side
from daemon.core.ports import OpenOrder
from daemon.core.timeframes import NS_PER_MS
from daemon.venues.capabilities import row_of
from daemon.venues.ccxt_binance import (
    Told,
    number,
    read_execution,
    read_open_order,
    read_order,
    read_totals,
    read_trade,
)
from daemon.venues.ccxt_client import speaks_binance

if TYPE_CHECKING:
    from daemon.core.instruments import InstrumentId
    from daemon.venues.capabilities import Row

ZERO = Decimal(0)


class Dialect(Protocol):
    """Each takes a structure of ccxt's; LookupError, ValueError or TypeError for an odd one."""

    row: Row
    hears_pushes: bool  # whether each raw push of the user data stream is read, not ccxt's summary

    def pushed(self, told: dict[str, Any]) -> Told:
        """An order from the user data stream: a raw push, or a structure of ccxt's."""
        ...

    def created(self, reply: dict[str, Any], client_order_id: str) -> Told:
        """The order that the reply to a new order tells of."""
        ...

    def order(self, told: dict[str, Any]) -> Told: ...

    def trade(self, told: dict[str, Any]) -> tuple[str, bool, Fill]:
        """(venue order id, whether it was a buy, fill)."""
        ...

    def open_order(self, instrument: InstrumentId, told: dict[str, Any]) -> OpenOrder:
        """One of the account's open orders."""
        ...

    def client_order_id(self, told: dict[str, Any]) -> str:
        """Our id of an order; empty when it has none."""
        ...

    def totals(self, told: dict[str, Any]) -> dict[str, Decimal]:
        """Free plus locked of every currency that is held; what can be sold stands in one sum."""
        ...


def dialect_of(exchange: str) -> Dialect:
    """How this exchange is read; LiveRefused when it is for paper only."""
    row = row_of(exchange)
    return BinanceDialect(row) if speaks_binance(exchange) else UnifiedDialect(row)


class BinanceDialect:
    """Binance's raw fields, as text, before ccxt makes numbers of them."""

    hears_pushes = True

    def __init__(self, row: Row) -> None:
        self.row = row

    def created(self, reply: dict[str, Any], client_order_id: str) -> Told:
        del client_order_id  # the reply repeats it
        return read_order(reply["info"])

    def order(self, told: dict[str, Any]) -> Told:
        return read_order(told["info"])

    def pushed(self, told: dict[str, Any]) -> Told:
        return read_execution(told)

    def trade(self, told: dict[str, Any]) -> tuple[str, bool, Fill]:
        return read_trade(told["info"])

    def open_order(self, instrument: InstrumentId, told: dict[str, Any]) -> OpenOrder:
        return read_open_order(instrument, told["info"])

    def client_order_id(self, told: dict[str, Any]) -> str:
        return str(told["info"].get("clientOrderId") or "")

    def totals(self, told: dict[str, Any]) -> dict[str, Decimal]:
        return read_totals(told["info"])


class UnifiedDialect:
    """ccxt's own structures, of a client that keeps numbers as the exchange's text."""

    hears_pushes = False

    def __init__(self, row: Row) -> None:
        self.row = row

    def created(self, reply: dict[str, Any], client_order_id: str) -> Told:
        """Most exchanges answer with no more than their id of it: what became of it is asked."""
        repeated = self.client_order_id(reply)
        if repeated and repeated != client_order_id:
            msg = "the reply is about another order"
            raise ValueError(msg)
        ts_ms = reply.get("timestamp") or 0
        return Told(
            client_order_id=client_order_id,
            venue_order_id=_required(reply, "id"),
            state=OrderState.ACCEPTED,
            status=str(reply.get("status") or "accepted"),
            filled_quantity=ZERO,
            fills=(),
            ts_ns=int(ts_ms) * NS_PER_MS,
        )

    def pushed(self, told: dict[str, Any]) -> Told:
        return self.order(told)

    def order(self, told: dict[str, Any]) -> Told:
        filled = number(told["filled"])
        stamps = (told.get(each) for each in ("lastUpdateTimestamp", "lastTradeTimestamp"))
        ts_ms = max(int(each) for each in (*stamps, told["timestamp"]) if each is not None)
        return Told(
            client_order_id=self.client_order_id(told),
            venue_order_id=_required(told, "id"),
            state=_state(told, filled, self.row.whole),
            status=str(told.get("status")),
            filled_quantity=filled,
            fills=(),
            ts_ns=ts_ms * NS_PER_MS,
        )

    def trade(self, told: dict[str, Any]) -> tuple[str, bool, Fill]:
        fee, currency = _fee(told)
        fill = Fill(
            trade_id=_required(told, "id"),
            price=number(told["price"]),
            quantity=number(told["amount"]),
            fee=fee,
            fee_currency=currency,
            ts_ns=int(told["timestamp"]) * NS_PER_MS,
            is_maker=told.get("takerOrMaker") == "maker",
        )
        side = told["side"]
        if side not in {"buy", "sell"}:
            msg = f"the side of a trade is {side!r}"
            raise ValueError(msg)
        return _required(told, "order"), side == "buy", fill

    def open_order(self, instrument: InstrumentId, told: dict[str, Any]) -> OpenOrder:
        """What is set off by a price is a stop."""
        price, quantity = told.get("price"), number(told["amount"])
        stops = (told.get(each) for each in ("triggerPrice", "stopLossPrice", "stopPrice"))
        stop_price = next((found for each in stops if each and (found := number(each))), None)
        limit = (number(price) or None) if price else None
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        return OpenOrder(
            client_order_id=self.client_order_id(told),
            instrument=instrument,
            side=Side(told["side"]),
            order_type=kind if stop_price is None else OrderType.STOP,
            quantity=quantity,
            price=limit,
            stop_price=stop_price,
        )

    def client_order_id(self, told: dict[str, Any]) -> str:
        return self.row.ours(str(told.get("clientOrderId") or ""))

    def totals(self, told: dict[str, Any]) -> dict[str, Decimal]:
        raw = told.get("info")
        if isinstance(raw, dict) and raw.get("has_next"):
            msg = "the balances are told in part: a wallet that is missing is no empty one"
            raise ValueError(msg)
        totals: dict[str, Decimal] = {}
        for told_name, told_total in told["total"].items():
            if told_total is not None:
                name = told_name.removesuffix(self.row.spent_with_asset)
                totals[name] = totals.get(name, ZERO) + number(told_total)
        return {name: total for name, total in totals.items() if total}


def _state(
    told: dict[str, Any], filled: Decimal, whole: tuple[str, str] | None
) -> OrderState | None:
    """None for a status that is a word we do not know."""
    status = told.get("status")
    if status == "open":
        return OrderState.PARTLY_FILLED if filled else OrderState.ACCEPTED
    if status == "closed":  # over; some exchanges say so of what was filled in part, too
        return OrderState.FILLED if _is_whole(told, filled, whole) else OrderState.EXPIRED
    ended = {
        "canceled": OrderState.CANCELED,
        "expired": OrderState.EXPIRED,
        "rejected": OrderState.REFUSED,
    }
    return ended.get(str(status))


def _is_whole(told: dict[str, Any], filled: Decimal, whole: tuple[str, str] | None) -> bool:
    """Filled to the last lot: by the quantity that was asked for, and by the exchange's own word
    where it has one. Without either nobody says so.
    """
    amount = told.get("amount")
    if whole is None and amount is None:
        return False
    if whole is not None and told["info"].get(whole[0]) != whole[1]:
        return False
    return filled > 0 and (amount is None or filled >= number(amount))


def _fee(told: dict[str, Any]) -> tuple[Decimal, str]:
    """(fee, currency); a rebate is negative. ValueError when one trade has fees in two of them."""
    fees = [each for each in (told.get("fees") or [told.get("fee")]) if each]
    costs = [(number(each["cost"]), str(each.get("currency") or "")) for each in fees]
    currencies = {currency for cost, currency in costs if cost}
    if len(currencies) > 1:
        msg = f"a trade has fees in {' and '.join(sorted(currencies))}"
        raise ValueError(msg)
    return sum((cost for cost, _ in costs), ZERO), next(iter(currencies), "")


def _required(told: dict[str, Any], name: str) -> str:
    value = told[name]
    if value is None or value == "":
        msg = f"the {name} is missing"
        raise ValueError(msg)
    return str(value)
