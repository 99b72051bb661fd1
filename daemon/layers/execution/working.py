"""Works off what was approved: turns one parent into child orders, one after the other.

Belongs here: when there is a next child. One is sent only when the one before it is over, and an
exit only when no stop holds what it sells. Its size and its price belong to `children`, why there
is none any more to `bounds`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.events import AskQuotes, Direction, Outcome, ParentEnd, ParentEnded
from daemon.core.orders import TERMINAL, Leg, OrderState, OrderType, Side
from daemon.core.timeframes import NS_PER_S
from daemon.layers.execution.children import limit_price, next_slice
from daemon.layers.execution.intents import (
    Draft,
    cancelled,
    is_cancel_due,
    taken_away,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import ExecutionSection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import Event, OrderReported
    from daemon.core.instruments import InstrumentId
    from daemon.core.orders import Order, Parent
    from daemon.core.pace import Pace
    from daemon.layers.execution.bounds import Bounds
    from daemon.layers.execution.intents import Intents
    from daemon.layers.execution.routing import Part, Router

# A child that ended so tells that there is no point in sending another one now.
_DEAD = {
    OrderState.REFUSED: ParentEnd.REFUSED,
    OrderState.NOT_SENT: ParentEnd.NOT_SENT,
    OrderState.ABSENT: ParentEnd.ABSENT,
    OrderState.ADOPTED: ParentEnd.ABSENT,
}


class Working:
    """Parents of all instruments; they are kept by the blotter, and changed there."""

    def __init__(
        self,
        config: ExecutionSection,
        blotter: Blotter,
        book: Book,
        intents: Intents,
        router: Router,
        *,
        bounds: Bounds,
        pace: Pace,
    ) -> None:
        self._config = config
        self._blotter = blotter
        self._book = book
        self._intents = intents
        self._router = router
        self._bounds = bounds
        self._pace = pace

    def start(self, parent: Parent, ts_ns: int) -> Iterator[Event]:
        """The first children; where a stop holds what is to be sold, that goes first."""
        if (end := self._bounds.barred(parent)) is not None:
            yield _ended(parent, ts_ns, end)
            return
        for stop in self._blotter.stops_of(parent) if parent.is_exit else []:
            yield from cancelled(stop, ts_ns, "the position is being closed")
        yield from self.next_children(parent, ts_ns)

    def next_children(self, parent: Parent, ts_ns: int) -> Iterator[Event]:
        """The next children of this parent where it is free to have any, or its end."""
        free = self._blotter.free_for(parent)
        if self._blotter.is_waiting(parent):
            if free and self._bounds.barred(parent) is None:
                left = self.left_of(parent)
                yield from self._send(parent, self._parts(parent, left, free, ts_ns), ts_ns)
            return
        if (end := self._bounds.barred(parent) or self._bounds.given_up(parent, ts_ns)) is not None:
            yield _ended(parent, ts_ns, end)
            return
        left = self.left_of(parent)
        parts = self._parts(parent, left, free, ts_ns)
        if parts and not parent.is_exit and self._bounds.is_blind(parent):
            return  # asked again at a tick, until it is out of time
        if parts and not (parent.is_exit or self._pace.has_room(len(parts), ts_ns)):
            yield _ended(parent, ts_ns, ParentEnd.ORDER_RATE)
        elif parts:
            yield from self._send(parent, parts, ts_ns)
        elif left > 0:
            can = self._router.could_take(parent, left, free)
            yield _ended(parent, ts_ns, ParentEnd.NOWHERE if can else ParentEnd.TOO_SMALL)
        else:
            yield _done(parent, ts_ns)

    def _parts(
        self, parent: Parent, left: Decimal, free: list[InstrumentId], ts_ns: int
    ) -> tuple[Part, ...]:
        """Who takes what of it now."""
        near = {
            each.instrument: each
            for each in self._bounds.quotes_of(parent)
            if not self._bounds.is_far(parent, each)
        }
        return self._router.parts(parent, left, free, near, ts_ns) if left > 0 else ()

    def _send(self, parent: Parent, parts: tuple[Part, ...], ts_ns: int) -> Iterator[Event]:
        for draft in [self._draft(parent, part, ts_ns) for part in parts]:
            yield from self._intents.intend(draft, ts_ns)

    def halt(self, ts_ns: int) -> Iterator[Event]:
        """Entries go no further: what rests is cancelled, and no more is sent."""
        entries = [each for each in self._blotter.parents.values() if not each.is_exit]
        yield from self._end_all(entries, ts_ns, "trading is halted")

    def withdraw(self, instrument: InstrumentId, ts_ns: int, why: str) -> Iterator[Event]:
        """What is not to be held there is bought no further."""
        parent = self._blotter.parent_of(instrument)
        if parent is not None and not parent.is_exit:
            yield from self._end_all([parent], ts_ns, why)

    def stop(self, ts_ns: int) -> Iterator[Event]:
        """Nobody will watch what rests: it is cancelled, and no more is sent."""
        yield from self._end_all(list(self._blotter.parents.values()), ts_ns, "the daemon stops")

    def accepted(self, event: OrderReported) -> Iterator[Event]:
        """What was on its way when no more was to be sent could not be cancelled yet; it is as soon
        as it rests.
        """
        order = self._blotter.orders.get(event.client_order_id)
        if order is None or order.leg is Leg.STOP:
            return
        is_new = order.is_unresolved and order.is_resting
        parent = self._blotter.parent_of(order.instrument)
        is_open = event.outcome is Outcome.ACKNOWLEDGED and event.state not in TERMINAL
        if parent is not None and (parent.leg, parent.trace) != (order.leg, order.trace):
            parent = None  # it is of another one, which has ended
        is_wanted = parent is not None and self._bounds.barred(parent) is None
        if is_new and is_open and not is_wanted and is_cancel_due(order, event.ts_ns):
            ts_ns = max(event.ts_ns, order.intended_ns)
            yield from cancelled(order, ts_ns, "it came to rest when no more was to be sent")

    def reconciled(self, ts_ns: int) -> Iterator[Event]:
        """What is being worked on an exchange that became unsure goes no further."""
        parents = [each for each in self._blotter.parents.values() if self._bounds.is_unsure(each)]
        yield from self._end_all(parents, ts_ns, "orders that nobody intended are there")

    def hurry(self, ts_ns: int) -> Iterator[Event]:
        """Exits wait no longer at a price of their own."""
        for parent in self._blotter.parents.values():
            if parent.is_exit:
                for child in self._blotter.children_of(parent):
                    yield from taken_away(child, ts_ns, "the position is closed at the market")

    def _end_all(self, parents: list[Parent], ts_ns: int, why: str) -> Iterator[Event]:
        for parent in parents:
            children = self._blotter.children_of(parent)
            for child in children:
                yield from taken_away(child, ts_ns, why)
            end = self._bounds.barred(parent)
            if not children and end is not None:
                yield _ended(parent, ts_ns, end)

    def child_over(self, child: Order, ts_ns: int) -> Iterator[Event]:
        """A child has ended: others, now or later, or the end of its parent."""
        parent = self._blotter.parent_of(child.instrument)
        if parent is None or parent.leg is not child.leg or parent.trace != child.trace:
            return
        if self._blotter.is_waiting(parent):
            return  # what is left is known when all of them have ended
        # A report bears the exchange's time, which may be behind what was decided here.
        ts_ns = max(ts_ns, child.intended_ns, child.cancel_requested_ns or 0)
        left = self.left_of(parent)
        if left <= 0 or not self._router.could_take(parent, left, self._blotter.free_for(parent)):
            yield from self._cannot_go_on(parent, child, left, ts_ns)
        elif (end := self._bounds.barred(parent)) is not None:
            yield _ended(parent, ts_ns, end)
        elif child.state in _DEAD:
            yield self._ask(parent, ts_ns)  # somewhere else
        elif child.leaves_quantity == 0:
            return  # a slice is done, and the next one waits for its time
        elif child.order_type is OrderType.LIMIT:
            yield from self._after_limit(parent, ts_ns)
        else:
            yield _ended(parent, ts_ns, ParentEnd.EXPIRED)

    def tick(self, parent: Parent, ts_ns: int) -> Iterator[Event]:
        """Time has passed: cancel what rests too long, ask for the quotes of what is due."""
        if (end := self._bounds.let_go(parent, ts_ns)) is not None:
            yield _ended(parent, ts_ns, end)
            return
        children = self._blotter.children_of(parent)
        for stop in self._blotter.stops_of(parent) if parent.is_exit else []:
            if is_cancel_due(stop, ts_ns):
                yield from cancelled(stop, ts_ns, "the position is being closed")
        if not self._blotter.is_waiting(parent) or self._has_more_beside(parent):
            yield from self._tick_without_child(parent, ts_ns)
        for child in children:
            if child.order_type is not OrderType.LIMIT or child.is_unresolved:
                continue
            if is_cancel_due(child, ts_ns) and (why := self._why_gone(parent, child, ts_ns)):
                yield from cancelled(child, ts_ns, why)

    def _why_gone(self, parent: Parent, child: Order, ts_ns: int) -> str:
        """Why a child rests no longer; empty where it may."""
        if self._bounds.barred(parent) is not None:
            return "no more is to be sent"
        if ts_ns - child.intended_ns >= self._config.requote_s * NS_PER_S:
            return "it rested long enough at its price"
        if child.leaves_quantity > self._needed(parent, child):
            return "less is held than it would close" if parent.is_exit else "enough filled"
        return ""

    def left_of(self, parent: Parent) -> Decimal:
        """What next children may be for; an exit never more than what is held where it is free."""
        if not parent.is_exit:
            return parent.leaves_quantity
        free = self._blotter.free_for(parent)
        held = sum((self._router.held(each, parent.side) for each in free), Decimal(0))
        children = self._blotter.children_of(parent)
        under_way = sum((each.leaves_quantity for each in children if each.is_exit), Decimal(0))
        return min(max(Decimal(0), parent.leaves_quantity - under_way), held)

    def _has_more_beside(self, parent: Parent) -> bool:
        """Whether an exit can go on elsewhere while one exchange is waited for."""
        if not parent.is_exit or self._bounds.barred(parent) is not None:
            return False
        left = self.left_of(parent)
        return left > 0 and self._router.could_take(parent, left, self._blotter.free_for(parent))

    def _needed(self, parent: Parent, child: Order) -> Decimal:
        """What there is for a child that rests; less than it is for once a fill of an order before
        it comes late, of one that was told to be gone.
        """
        if parent.is_exit:
            return self._router.held(child.instrument, child.side)
        return parent.leaves_quantity

    def _cannot_go_on(
        self, parent: Parent, child: Order, left: Decimal, ts_ns: int
    ) -> Iterator[Event]:
        if left > 0 and child.state in _DEAD:
            yield _ended(parent, ts_ns, _DEAD[child.state])
        elif left > 0:
            yield _ended(parent, ts_ns, ParentEnd.TOO_SMALL)
        else:
            yield _done(parent, ts_ns)

    def _after_limit(self, parent: Parent, ts_ns: int) -> Iterator[Event]:
        if not self._bounds.is_timed_out(parent, ts_ns):
            yield self._ask(parent, ts_ns)
        elif parent.is_exit:
            yield from self.next_children(parent, ts_ns)  # at the market now
        else:
            yield _ended(parent, ts_ns, ParentEnd.TIMED_OUT)

    def _tick_without_child(self, parent: Parent, ts_ns: int) -> Iterator[Event]:
        if not parent.is_exit and self._bounds.is_timed_out(parent, ts_ns):
            yield _ended(parent, ts_ns, ParentEnd.TIMED_OUT)
        elif ts_ns - parent.newest_child_ns >= self._config.slice_interval_s * NS_PER_S:
            yield self._ask(parent, ts_ns)

    def _ask(self, parent: Parent, ts_ns: int) -> AskQuotes:
        entry = Direction.LONG if parent.side is Side.BUY else Direction.SHORT
        return AskQuotes(
            ts_ns=ts_ns,
            instrument=parent.instrument,
            trace=parent.trace,
            direction=Direction.FLAT if parent.is_exit else entry,
            instruments=self._blotter.listings.members(parent.instrument),
            notional_quote=parent.leaves_quantity * parent.decision_price,
        )

    # --- one child ----------------------------------------------------------------------------

    def _draft(self, parent: Parent, part: Part, ts_ns: int) -> Draft:
        rules = self._book.instruments[part.instrument]
        quote = self._bounds.quotes.get(part.instrument)
        is_first = parent.children == 0 and part.instrument == parent.instrument
        arrival = parent.arrival_price if is_first or quote is None else quote.best(parent.side)
        is_hurried = self._bounds.is_urgent(parent) or (
            parent.is_exit and self._bounds.is_timed_out(parent, ts_ns)
        )
        price = None if is_hurried else limit_price(parent, rules, quote, self._config)
        mark = self._book.marks.get(rules.id, parent.decision_price)
        share = Decimal(repr(self._config.slice_depth_ratio))
        return Draft(
            instrument=part.instrument,
            trace=parent.trace,
            close_ns=parent.close_ns,
            leg=parent.leg,
            side=parent.side,
            quantity=next_slice(parent, rules, part.quantity, quote, mark=mark, share=share),
            decision_price=parent.decision_price,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            price=price,
            arrival_price=arrival,
        )


def _done(parent: Parent, ts_ns: int) -> ParentEnded:
    is_filled = parent.leaves_quantity == 0
    return _ended(parent, ts_ns, ParentEnd.FILLED if is_filled else ParentEnd.NOTHING_LEFT)


def _ended(parent: Parent, ts_ns: int, reason: ParentEnd) -> ParentEnded:
    return ParentEnded(
        ts_ns=ts_ns,
        instrument=parent.instrument,
        trace=parent.trace,
        is_exit=parent.is_exit,
        reason=reason,
        wanted_quantity=parent.quantity,
        filled_quantity=parent.filled_quantity,
    )
