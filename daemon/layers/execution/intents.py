"""Words an order: the intent for the journal, and the command that leaves once the journal has it.

Belongs here: ids and the two forms of one order. When there is one, and how large, belongs to
`working` and `protection`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import CancelOrder, OrderCancelRequested, OrderIntended, SubmitOrder
from daemon.core.ids import client_order_id_for
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Leg, OrderType, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.core.events import Event, RunOpened
    from daemon.core.orders import Order


class Draft(Struct, frozen=True, kw_only=True):
    """An order that is about to be intended; everything but its name."""

    instrument: InstrumentId
    trace: str
    close_ns: int
    leg: Leg
    side: Side
    quantity: Decimal
    decision_price: Decimal
    order_type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    stop_price: Decimal | None = None
    arrival_price: Decimal | None = None


class Intents:
    """Names orders by what they were decided on: the same decision has the same id for ever."""

    def __init__(self) -> None:
        self._bot = ""
        self._accounts: dict[str, str] = {}
        self._legs: dict[tuple[InstrumentId, Leg], tuple[int, int]] = {}

    def open(self, event: RunOpened) -> None:
        self._bot = event.bot
        self._accounts = {each.exchange: each.account for each in event.each_account()}

    def note(self, event: OrderIntended) -> None:
        self._legs[event.instrument, event.leg] = (event.close_ns, event.ordinal)

    def intend(self, draft: Draft, ts_ns: int) -> Iterator[Event]:
        """The intent, then its command.

        What is decided on an older bar than the last of its leg is counted to that: no id repeats.
        """
        last_close_ns, last = self._legs.get((draft.instrument, draft.leg), (-1, -1))
        close_ns = max(draft.close_ns, last_close_ns)
        ordinal = last + 1 if close_ns == last_close_ns else 0
        client_order_id = client_order_id_for(
            bot=self._bot,
            account=self._accounts[draft.instrument.exchange],
            instrument=draft.instrument,
            close_ns=close_ns,
            leg=draft.leg.value,
            ordinal=ordinal,
        )
        is_exit = draft.leg is not Leg.ENTRY
        yield OrderIntended(
            ts_ns=ts_ns,
            client_order_id=client_order_id,
            instrument=draft.instrument,
            trace=draft.trace,
            close_ns=close_ns,
            leg=draft.leg,
            ordinal=ordinal,
            side=draft.side,
            order_type=draft.order_type,
            quantity=draft.quantity,
            decision_price=draft.decision_price,
            is_exit=is_exit,
            price=draft.price,
            stop_price=draft.stop_price,
            arrival_price=draft.arrival_price,
        )
        yield SubmitOrder(
            ts_ns=ts_ns,
            client_order_id=client_order_id,
            instrument=draft.instrument,
            side=draft.side,
            order_type=draft.order_type,
            quantity=draft.quantity,
            decision_price=draft.decision_price,
            price=draft.price,
            stop_price=draft.stop_price,
            is_exit=is_exit,
        )


def cancelled(order: Order, ts_ns: int, reason: str) -> Iterator[Event]:
    """We want an order gone: the fact, then the command. May be said again while it stays."""
    yield OrderCancelRequested(
        ts_ns=ts_ns,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        trace=order.trace,
        reason=reason,
    )
    yield CancelOrder(
        ts_ns=ts_ns,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        order_type=order.order_type,
        venue_order_id=order.venue_order_id,
        intended_ns=order.intended_ns,
        reason=reason,
    )
