"""Orders for the tests of venues; every field defaulted."""

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from daemon.core.events import CancelOrder, LookUpOrder, SubmitOrder
from daemon.core.instruments import Instrument, InstrumentId
from daemon.core.orders import OrderType, Side

BTC = InstrumentId("embedded", "BTC/USDT")
ETH = InstrumentId("embedded", "ETH/USDT")
NOW_NS = 1_704_067_200_000 * 1_000_000


def an_order(
    ours: str = "tdone",
    quantity: str = "0.5",
    *,
    side: Side = Side.BUY,
    instrument: InstrumentId = BTC,
    order_type: OrderType = OrderType.MARKET,
) -> SubmitOrder:
    return SubmitOrder(
        ts_ns=NOW_NS,
        client_order_id=ours,
        instrument=instrument,
        side=side,
        order_type=order_type,
        quantity=Decimal(quantity),
        decision_price=Decimal(100),
    )


def a_resting_order(ours: str = "tdone", **changes: Any) -> SubmitOrder:
    """A buy that waits for the market."""
    order = an_order(ours, order_type=OrderType.LIMIT)
    return replace(order, **{"price": Decimal(90)} | changes)


def a_cancel(ours: str = "tdone", instrument: InstrumentId = BTC) -> CancelOrder:
    return CancelOrder(
        ts_ns=NOW_NS,
        client_order_id=ours,
        instrument=instrument,
        order_type=OrderType.LIMIT,
        venue_order_id=None,
        intended_ns=NOW_NS,
        reason="test",
    )


def a_look_up(ours: str = "tdone", instrument: InstrumentId = BTC) -> LookUpOrder:
    return LookUpOrder(
        ts_ns=NOW_NS,
        client_order_id=ours,
        instrument=instrument,
        intended_ns=NOW_NS,
        reason="test",
    )


def an_instrument(
    instrument: InstrumentId = BTC,
    *,
    lot: str = "0.001",
    minimum_quantity: str = "0.001",
    minimum_notional: str = "5",
) -> Instrument:
    base, _, quote = instrument.symbol.partition("/")
    return Instrument(
        id=instrument,
        base=base,
        quote=quote,
        tick=Decimal("0.1"),
        lot=Decimal(lot),
        minimum_quantity=Decimal(minimum_quantity),
        minimum_notional=Decimal(minimum_notional),
    )
