"""Says an order in the words of ccxt and of the exchange: what to ask, and what must then leave.

Belongs here: filling a row of `capabilities` with one order's values. Who asks is in `ccxt_venue`,
the look at what leaves in `ccxt_departures`.
"""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from daemon.core.instruments import plain
from daemon.core.orders import Side
from daemon.core.timeframes import NS_PER_S, rfc3339
from daemon.venues import capabilities as words
from daemon.venues.capabilities import AT_ONCE, LIMIT, MARKET, row_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from daemon.core.events import SubmitOrder
    from daemon.venues.capabilities import Look, Row

AT_ONCE_RATIO = Decimal("0.01")  # how far a buy at once may pay beyond the decision price


class Request(Struct, frozen=True, kw_only=True):
    """Arguments of ccxt's create_order, and the fields that must stand in the signed request."""

    symbol: str
    ccxt_type: str
    side: str
    quantity: str
    price: str | None
    params: dict[str, Any]
    expected: dict[str, str]


class NotSupported(ValueError):
    """The exchange does not take this kind of order from us; nothing was sent."""


def request_of(row: Row, order: SubmitOrder, *, tick: Decimal, deadline: str = "") -> Request:
    """How this order is put to this exchange; NotSupported, or ValueError for a senseless one."""
    name, price = order.order_type.value, order.price
    if name == MARKET and order.side is Side.BUY and AT_ONCE in row.kinds:
        # Of a market buy the exchange would take the size for an amount to spend.
        name, price = AT_ONCE, _beyond(order.decision_price, tick)
    kind = row.kinds.get(name)
    if kind is None:
        msg = f"{name} orders are not supported on {order.instrument.exchange}"
        raise NotSupported(msg)
    values = {
        words.OURS: row.sent_as(order.client_order_id),
        words.SIDE: _cased(row, order.side),
        words.QUANTITY: _positive("quantity", order.quantity),
        words.DEADLINE: deadline,
    }
    if price is not None:
        values[words.PRICE] = _positive("price", price)
    if order.stop_price is not None:
        values[words.STOP_PRICE] = _positive("stop price", order.stop_price)
    return Request(
        symbol=order.instrument.symbol,
        ccxt_type=kind.ccxt_type,
        side=order.side.value,
        quantity=values[words.QUANTITY],
        # A price on a market order would be taken for an amount to spend.
        price=values[words.PRICE] if kind.ccxt_type == LIMIT else None,
        params=filled({row.id_param: words.OURS, **kind.params}, values),
        expected=filled({**row.always, **kind.wire}, values),
    )


def request_to(client: Any, exchange: str, order: SubmitOrder, now_ns: int) -> Request:
    """The same from a client whose markets are loaded, at this wire time."""
    row = row_of(exchange)
    market = client.markets[order.instrument.symbol]
    tick = Decimal(str(market["precision"]["price"]))
    deadline = rfc3339(now_ns + round(row.late_s * NS_PER_S))
    return request_of(row, order, tick=tick, deadline=deadline)


def asking(
    client: Any,
    look: Look,
    row: Row,
    symbol: str,
    client_order_id: str,
    *,
    theirs: str | None = None,
    since_ms: int | None = None,
    trades: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> Awaitable[Any]:
    """Put one question of a row about an order; `theirs` is the exchange's own id of it, KeyError
    where it is needed and not known, `trades` are the ids of its fills as far as it tells them.
    """
    values: dict[str, Any] = {words.OURS: row.sent_as(client_order_id), words.TRADES: trades}
    if theirs:
        values[words.THEIRS] = theirs
    params = {name: value for name, value in look.params.items() if value != words.SINCE}
    params = {**filled(params, values), **(extra or {})}
    ask = getattr(client, look.method)
    if look.method in {"fetch_order", "cancel_order"}:
        order_id = None if look.order_id is None else values[look.order_id]
        asked: Awaitable[Any] = ask(order_id, symbol, params)
    elif look.method == "fetch_order_trades":
        asked = ask(theirs, symbol, None, None, params)
    else:
        asked = ask(symbol, since_ms if words.SINCE in look.params else None, None, params)
    return asked


def filled(fields: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with what their placeholders stand for; KeyError for a value that is not there."""
    return {
        name: values[value] if isinstance(value, str) and value.startswith("<") else value
        for name, value in fields.items()
    }


def _beyond(price: Decimal, tick: Decimal) -> Decimal:
    """The most that a buy at once may pay, on the exchange's price steps."""
    limit = price * (1 + AT_ONCE_RATIO)
    return (limit / tick).to_integral_value(ROUND_UP) * tick


def _cased(row: Row, side: Side) -> str:
    text = side.value
    return {"upper": text.upper(), "title": text.title()}.get(row.side_case, text)


def _positive(name: str, value: Decimal) -> str:
    if not value.is_finite() or value <= 0:
        msg = f"the {name} is {value}"
        raise ValueError(msg)
    return plain(value)
