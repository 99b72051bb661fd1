"""Words an order: the intent for the journal, and the command that leaves once the journal has it.

Belongs here: ids and the two forms of one order. When there is one, and how large, belongs to
`working` and `protection`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import CancelOrder, OrderCancelRequested, OrderIntended, SubmitOrder
from daemon.core.ids import client_order_id_for, trace_of_order
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Leg, OrderState, OrderType, Side
from daemon.core.timeframes import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.core.events import AdoptedOrder, BooksAdopted, Event, RunOpened
    from daemon.core.orders import Order

CANCEL_AGAIN_NS = 10 * NS_PER_S


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

    def note_adopted(self, event: BooksAdopted) -> None:
        """No id that the account knows may be made a second time: what is decided from here on
        counts to this moment, which is the close of no bar.
        """
        for instrument in {each.instrument for each in event.orders}:
            for leg in Leg:
                self._legs[instrument, leg] = (event.ts_ns + 1, -1)

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


def adopted(event: BooksAdopted) -> Iterator[Event]:
    """The intents that the journal lacks; a stop stays to protect, what else is open shall end.

    Nothing is sent anew: their fills come as those of any order whose answer was lost.
    """
    counts: dict[tuple[InstrumentId, Leg], int] = {}
    for order in event.orders:
        leg = _leg_of(order)
        ordinal = counts[order.instrument, leg] = counts.get((order.instrument, leg), -1) + 1
        trace = trace_of_order(order.client_order_id)
        yield OrderIntended(
            ts_ns=event.ts_ns,
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            trace=trace,
            close_ns=event.ts_ns + 1,
            leg=leg,
            ordinal=ordinal,
            side=order.side,
            order_type=order.order_type,
            quantity=order.quantity,
            decision_price=order.price,
            is_exit=leg is not Leg.ENTRY,
            price=order.price if order.order_type is OrderType.LIMIT else None,
            stop_price=order.stop_price,
        )
        if order.is_open and leg is not Leg.STOP:
            reason = "it was adopted, and nobody works on it"
            yield OrderCancelRequested(
                ts_ns=event.ts_ns,
                client_order_id=order.client_order_id,
                instrument=order.instrument,
                trace=trace,
                reason=reason,
            )
            yield CancelOrder(
                ts_ns=event.ts_ns,
                client_order_id=order.client_order_id,
                instrument=order.instrument,
                order_type=order.order_type,
                venue_order_id=None,
                intended_ns=event.ts_ns,
                reason=reason,
            )


def _leg_of(order: AdoptedOrder) -> Leg:
    if order.order_type is OrderType.STOP:
        return Leg.STOP
    return Leg.ENTRY if order.side is Side.BUY else Leg.EXIT


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


def taken_away(child: Order, ts_ns: int, why: str) -> Iterator[Event]:
    """Ask for the end of what rests; what fills at once, or of unknown fate, is waited for."""
    if child.is_resting and not child.is_unresolved and is_cancel_due(child, ts_ns):
        yield from cancelled(child, ts_ns, why)


def is_out_of_sight(order: Order, ts_ns: int) -> bool:
    """True while nobody can say what became of it, or whether the end that was asked for came."""
    is_unheard = order.cancel_requested_ns is not None and is_cancel_due(order, ts_ns)
    return order.state is OrderState.UNKNOWN or is_unheard


def is_cancel_due(order: Order, ts_ns: int) -> bool:
    """True when nobody has asked for its end yet, or so long ago that it has to be said again."""
    asked_ns = order.cancel_requested_ns
    # A clock that was set back by more than that makes nobody wait until it has caught up.
    return asked_ns is None or abs(ts_ns - asked_ns) >= CANCEL_AGAIN_NS
