"""All our orders and where each stands, kept from journaled facts.

Belongs here: the one record of orders that risk and execution read. Reading a venue's answers
belongs to execution.
"""

from collections.abc import Iterator
from decimal import Decimal

from daemon.core.events import (
    OrderAbsent,
    OrderAccepted,
    OrderApproved,
    OrderCancelRequested,
    OrderCompleted,
    OrderFilled,
    OrderIntended,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefused,
    ParentEnded,
    PolicyActed,
    ProtectionFailed,
)
from daemon.core.instruments import InstrumentId
from daemon.core.listings import Listings
from daemon.core.orders import TERMINAL, Leg, Order, OrderState, Parent

ORDERS_REMEMBERED_MAX = 20_000


class Blotter:
    """Orders by client order id; changed by `apply_*` only.

    What is approved is a parent, kept under the instrument that stands for all it may be routed to.
    """

    def __init__(self, listings: Listings | None = None) -> None:
        self.listings = listings or Listings()
        self.orders: dict[str, Order] = {}
        self.parents: dict[InstrumentId, Parent] = {}  # approved, and not worked off yet
        self._open: dict[InstrumentId, dict[str, Order]] = {}
        self._bare: set[InstrumentId] = set()  # where an exchange would hold no stop
        self.intended_count = 0
        self.fill_count = 0
        self.forgotten_ns = -1  # orders that ended before may be known to the venue alone

    def open_orders(self, instrument: InstrumentId) -> list[Order]:
        return list(self._open.get(instrument, {}).values())

    def all_open(self) -> Iterator[Order]:
        for orders in self._open.values():
            yield from orders.values()

    def with_open(self) -> list[InstrumentId]:
        """Instruments for which something is on its way, or approved and still to be sent."""
        busy = [each for each, orders in self._open.items() if orders]
        return [*busy, *(each for each in self.parents if not self._open.get(each))]

    def parent_of(self, instrument: InstrumentId) -> Parent | None:
        """What is being worked off for this instrument, wherever it goes."""
        return self.parents.get(self.listings.key(instrument))

    def children_of(self, parent: Parent) -> list[Order]:
        """Its open orders."""
        members = self.listings.members(parent.instrument)
        return [child for each in members if (child := self.child_of(each)) is not None]

    def is_waiting(self, parent: Parent) -> bool:
        """True while a child, or a stop that an exit has cancelled, has not come to its end."""
        is_held_by_stops = parent.is_exit and bool(self.stops_of(parent))
        return is_held_by_stops or bool(self.children_of(parent))

    def free_for(self, parent: Parent) -> list[InstrumentId]:
        """Where a next child may go. An entry waits for all of its children, since what is left is
        not known before; what is held on one exchange is sold whatever another one answers, as soon
        as no stop there may sell it.
        """
        members = self.listings.members(parent.instrument)
        if not parent.is_exit:
            return [] if self.children_of(parent) else list(members)
        busy = {each.instrument for each in (*self.children_of(parent), *self.stops_of(parent))}
        return [each for each in members if each not in busy]

    def strays(self) -> Iterator[Order]:
        """Open orders that nobody works any more: what was approved has ended before them."""
        for order in self.all_open():
            if order.leg is not Leg.STOP and self._parent_of_child(order) is None:
                yield order

    def busy_at(self, instrument: InstrumentId) -> bool:
        """Whether what is there may be sold, or bought, by an order that is on its way."""
        orders = self._open.get(instrument, {}).values()
        return any(each.leg is not Leg.STOP or each.is_unresolved for each in orders)

    def is_bare(self, instrument: InstrumentId) -> bool:
        """Whether an exchange would hold no stop for what is held there, or where it is routed."""
        return not self._bare.isdisjoint(self.listings.members(instrument))

    def stops_of(self, parent: Parent) -> list[Order]:
        """Protective stops of all that it may be routed to."""
        members = self.listings.members(parent.instrument)
        return [stop for each in members if (stop := self.stop_of(each)) is not None]

    def stop_of(self, instrument: InstrumentId) -> Order | None:
        """The protective stop that rests for this instrument, or is on its way."""
        return self._open_of(instrument, is_stop=True)

    def child_of(self, instrument: InstrumentId) -> Order | None:
        """The open order that is no protective stop."""
        return self._open_of(instrument, is_stop=False)

    def _open_of(self, instrument: InstrumentId, *, is_stop: bool) -> Order | None:
        for order in self._open.get(instrument, {}).values():
            if (order.leg is Leg.STOP) is is_stop:
                return order
        return None

    def unresolved(self) -> list[Order]:
        """Orders whose fate nobody knows; nothing else may be ordered for their instruments."""
        return [each for each in self.all_open() if each.is_unresolved]

    def pending_entries(self, instrument: InstrumentId) -> Decimal:
        """Quote value that entries may still add, as if filled at their decision price: what is
        approved and not filled, sent or not. What may be routed counts once, for the
        instrument that stands for all.
        """
        parent = self.parent_of(instrument)
        if parent is not None and not parent.is_exit:
            is_here = self.listings.key(instrument) == instrument
            return parent.leaves_quantity * parent.decision_price if is_here else Decimal(0)
        return sum(
            (
                each.leaves_quantity * each.decision_price
                for each in self._open.get(instrument, {}).values()
                if not each.is_exit
            ),
            Decimal(0),
        )

    def unsent_entries(self) -> Iterator[tuple[InstrumentId, Decimal]]:
        """Quote value of what was approved to be entered and is in no order yet, by instrument."""
        for parent in self.parents.values():
            if not parent.is_exit:
                sent = sum((each.leaves_quantity for each in self.children_of(parent)), Decimal(0))
                left = max(Decimal(0), parent.leaves_quantity - sent)
                yield parent.instrument, left * parent.decision_price

    # --- applying -----------------------------------------------------------------------------

    def apply_order_approved(self, event: OrderApproved) -> None:
        self.parents[self.listings.key(event.instrument)] = Parent(
            instrument=event.instrument,
            trace=event.trace,
            close_ns=event.close_ns,
            side=event.side,
            quantity=event.quantity,
            decision_price=event.decision_price,
            arrival_price=event.arrival_price,
            is_exit=event.is_exit,
            approved_ns=event.ts_ns,
        )

    def apply_parent_ended(self, event: ParentEnded) -> None:
        self.parents.pop(self.listings.key(event.instrument), None)

    def apply_protection_failed(self, event: ProtectionFailed) -> None:
        self._bare.add(event.instrument)
        parent = self.parent_of(event.instrument)
        if parent is not None and not parent.is_exit:
            parent.is_unprotected = True

    def apply_policy_acted(self, event: PolicyActed) -> None:
        parent = self.parent_of(event.instrument)
        if event.action.gives_up and parent is not None and not parent.is_exit:
            parent.is_given_up = True

    def apply_order_intended(self, event: OrderIntended) -> None:
        order = Order(
            client_order_id=event.client_order_id,
            instrument=event.instrument,
            side=event.side,
            quantity=event.quantity,
            decision_price=event.decision_price,
            trace=event.trace,
            intended_ns=event.ts_ns,
            close_ns=event.close_ns,
            leg=event.leg,
            order_type=event.order_type,
            price=event.price,
            stop_price=event.stop_price,
            arrival_price=event.arrival_price,
            is_exit=event.is_exit,
        )
        if order.leg is Leg.ENTRY:
            self._bare.discard(order.instrument)
        parent = self._parent_of_child(order)
        if parent is not None:
            parent.children += 1
            parent.newest_child_ns = event.ts_ns
        assert order.client_order_id not in self.orders, "an intent is made once"
        self.orders[order.client_order_id] = order
        self._open.setdefault(order.instrument, {})[order.client_order_id] = order
        self.intended_count += 1
        if len(self.orders) > ORDERS_REMEMBERED_MAX:
            self._forget_oldest_terminal(event.ts_ns)

    def apply_order_cancel_requested(self, event: OrderCancelRequested) -> None:
        self.orders[event.client_order_id].cancel_requested_ns = event.ts_ns

    def apply_order_accepted(self, event: OrderAccepted) -> None:
        order = self.orders[event.client_order_id]
        order.venue_order_id = event.venue_order_id or order.venue_order_id
        self._move(order, OrderState.ACCEPTED)
        if order.leg is Leg.STOP:
            self._bare.discard(order.instrument)

    def apply_order_refused(self, event: OrderRefused) -> None:
        self._lose(self.orders[event.client_order_id], OrderState.REFUSED)

    def apply_order_not_sent(self, event: OrderNotSent) -> None:
        self._lose(self.orders[event.client_order_id], OrderState.NOT_SENT)

    def apply_order_outcome_unknown(self, event: OrderOutcomeUnknown) -> None:
        self._move(self.orders[event.client_order_id], OrderState.UNKNOWN)

    def apply_order_absent(self, event: OrderAbsent) -> None:
        self._lose(self.orders[event.client_order_id], OrderState.ABSENT)

    def apply_order_filled(self, event: OrderFilled) -> None:
        order = self.orders[event.client_order_id]
        assert event.trade_id not in order.trade_ids, "a trade is folded once"
        order.trade_ids.add(event.trade_id)
        order.filled_quantity += event.quantity
        order.filled_notional += event.quantity * event.price
        known = order.fees.get(event.fee_currency, Decimal(0))
        order.fees[event.fee_currency] = known + event.fee
        self.fill_count += 1
        parent = self._parent_of_child(order)
        if parent is not None:
            parent.filled_quantity += event.quantity
        if event.is_adopted:
            self._move(order, OrderState.ADOPTED)
        elif order.state not in TERMINAL:
            self._move(order, OrderState.PARTLY_FILLED)

    def apply_order_completed(self, event: OrderCompleted) -> None:
        self._move(self.orders[event.client_order_id], event.state)

    def _parent_of_child(self, order: Order) -> Parent | None:
        parent = self.parent_of(order.instrument)
        is_child = parent is not None and parent.leg is order.leg and parent.trace == order.trace
        return parent if is_child else None

    def _lose(self, order: Order, state: OrderState) -> None:
        """An order that never came about: where it went, nothing more of its parent is sent."""
        self._move(order, state)
        parent = self._parent_of_child(order)
        if parent is not None and order.instrument not in parent.dead:
            parent.dead.append(order.instrument)

    def _move(self, order: Order, state: OrderState) -> None:
        order.move_to(state)
        if state in TERMINAL:
            orders = self._open.get(order.instrument, {})
            orders.pop(order.client_order_id, None)
            if not orders:  # of many instruments few have any, and every signal asks
                self._open.pop(order.instrument, None)

    def _forget_oldest_terminal(self, now_ns: int) -> None:
        for client_order_id, order in self.orders.items():
            if order.state in TERMINAL:
                self.forgotten_ns = now_ns
                del self.orders[client_order_id]
                return
