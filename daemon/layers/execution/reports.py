"""From a venue's word about an order to what happened: facts for what is new, nothing else.

Belongs here: what an answer means for an order. What is sent next belongs to `working`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from daemon.core.events import (
    HaltReason,
    LookUpOrder,
    OrderAbsent,
    OrderAccepted,
    OrderCompleted,
    OrderFilled,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderReported,
    Outcome,
    ReportSource,
    TradingHalted,
)
from daemon.core.orders import OrderState, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.core.blotter import Blotter
    from daemon.core.events import Event
    from daemon.core.orders import Fill, Order

# What says of an order, beside its reason, nothing but which one it is.
Why = TypeVar("Why", OrderOutcomeUnknown, OrderRefused, OrderNotSent, OrderAbsent)

_BELIEVED_GONE = frozenset({OrderState.REFUSED, OrderState.NOT_SENT, OrderState.ABSENT})
_ENDED = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED})


class Reports:
    """Folds reports into the blotter's orders; every trade id counts once."""

    def __init__(self, blotter: Blotter) -> None:
        self._blotter = blotter

    def news(self, event: OrderReported) -> Iterator[Event]:
        """Nothing for what is known already; a fact for each new piece of news."""
        order = self._blotter.orders.get(event.client_order_id)
        if order is None:
            yield TradingHalted(
                ts_ns=event.ts_ns,
                reason=HaltReason.FOREIGN_ORDER,
                detail=f"the venue reports {event.client_order_id}, never intended by this journal",
            )
            return
        fresh = {
            each.trade_id: each for each in event.fills if each.trade_id not in order.trade_ids
        }
        sound = [each for each in fresh.values() if _is_sound(each)]
        yield from self._state_news(event, order, has_fills=bool(sound))
        filled = order.filled_quantity
        for fill in sound:
            filled += fill.quantity
            yield self._filled(event, order, fill, filled)
        if filled > order.quantity and sound:
            yield TradingHalted(
                ts_ns=event.ts_ns,
                reason=HaltReason.OVERFILL,
                detail=f"{order.client_order_id}: {filled} filled of {order.quantity}",
            )
        if sound and order.state in _BELIEVED_GONE:
            yield TradingHalted(
                ts_ns=event.ts_ns,
                reason=HaltReason.LATE_FILL,
                detail=f"{order.client_order_id} was {order.state} and has filled: {filled} booked",
            )
        if len(sound) < len(fresh):
            # Neither booked nor asked for again: the order stays open, and an operator must look.
            yield TradingHalted(
                ts_ns=event.ts_ns,
                reason=HaltReason.RECONCILE,
                detail=f"{order.client_order_id}: the venue tells of a fill that cannot be",
            )
            return
        yield from self._ending(event, order, filled)

    def _state_news(
        self, event: OrderReported, order: Order, *, has_fills: bool
    ) -> Iterator[Event]:
        is_new = order.state is OrderState.INTENDED
        if event.outcome is Outcome.ACKNOWLEDGED or has_fills:
            if order.is_unresolved:
                yield OrderAccepted(
                    ts_ns=event.ts_ns,
                    client_order_id=order.client_order_id,
                    instrument=order.instrument,
                    trace=order.trace,
                    venue_order_id=event.venue_order_id,
                )
        elif event.outcome is Outcome.UNKNOWN and is_new:
            yield _told_why(OrderOutcomeUnknown, event, order)
        elif event.outcome is Outcome.REFUSED and order.is_unresolved:
            yield _told_why(OrderRefused, event, order)
        elif event.outcome is Outcome.REFUSED and order.is_open:
            yield from self._turned_down(event, order)
        elif event.outcome is Outcome.NOT_SENT and is_new:
            yield _told_why(OrderNotSent, event, order)
        elif event.outcome is Outcome.ABSENT and order.is_unresolved:
            yield _told_why(OrderAbsent, event, order)
        elif event.outcome is Outcome.ABSENT and order.is_open:
            yield from self._vanished(event, order)

    def _turned_down(self, event: OrderReported, order: Order) -> Iterator[Event]:
        """The venue took it, and says of it now that it was rejected, as of a stop that was set off
        and could not be placed: held open for ever, it would protect nothing, and stand before
        every exit. Nothing is concluded from a reply, which may be older than what is known.
        """
        if event.source is ReportSource.STREAM:
            yield LookUpOrder.of(order, event.ts_ns, "the venue rejected it after all")
        elif event.source is ReportSource.LOOKUP and order.state is OrderState.ACCEPTED:
            yield _told_why(OrderRefused, event, order)
        else:
            yield from self._vanished(event, order)

    @staticmethod
    def _vanished(event: OrderReported, order: Order) -> Iterator[Event]:
        """The venue had it, and denies it wherever it is looked for: held open for ever, it would
        stand before every exit and protect nothing. It ends with what filled, and an alarm.
        """
        if event.source is not ReportSource.LOOKUP:
            return
        yield TradingHalted(
            ts_ns=event.ts_ns,
            reason=HaltReason.RECONCILE,
            detail=f"{order.client_order_id} was {order.state}, and the venue denies it now: "
            f"counted as ended with {order.filled_quantity} filled",
        )
        yield OrderCompleted(
            ts_ns=event.ts_ns,
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            trace=order.trace,
            state=OrderState.EXPIRED,
            filled_quantity=order.filled_quantity,
        )

    @staticmethod
    def _filled(event: OrderReported, order: Order, fill: Fill, filled: Decimal) -> OrderFilled:
        arrival = order.arrival_price
        return OrderFilled(
            ts_ns=event.ts_ns,
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            trace=order.trace,
            side=order.side,
            trade_id=fill.trade_id,
            price=fill.price,
            quantity=fill.quantity,
            fee=fill.fee,
            fee_currency=fill.fee_currency,
            is_maker=fill.is_maker,
            decision_price=order.decision_price,
            slippage_bps=_worse_bps(order.side, fill.price, order.decision_price),
            leaves_quantity=max(Decimal(0), order.quantity - filled),
            is_adopted=order.state in _BELIEVED_GONE or order.state is OrderState.ADOPTED,
            arrival_price=arrival,
            arrival_slippage_bps=(
                None if arrival is None else _worse_bps(order.side, fill.price, arrival)
            ),
        )

    @staticmethod
    def _ending(event: OrderReported, order: Order, filled: Decimal) -> Iterator[Event]:
        """The order is over when the venue says so and every fill it counts is known here, and when
        all of it has filled: some list too few fills at a time to ever tell of such an end.
        """
        is_told = event.outcome is Outcome.ACKNOWLEDGED and event.state in _ENDED
        is_whole = filled >= order.quantity > order.filled_quantity
        if not order.is_open or not (is_told or is_whole):
            return
        counted = event.filled_quantity
        if counted is None and event.state is OrderState.FILLED:
            counted = order.quantity
        if is_told and counted is None and event.source is not ReportSource.LOOKUP:
            yield LookUpOrder.of(
                order, event.ts_ns, f"{event.state}, and the venue does not say how much filled"
            )
        elif is_told and counted is not None and filled < counted:
            yield LookUpOrder.of(
                order, event.ts_ns, f"the venue counts {counted}, {filled} known here"
            )
        else:
            yield OrderCompleted(
                ts_ns=event.ts_ns,
                client_order_id=order.client_order_id,
                instrument=order.instrument,
                trace=order.trace,
                state=event.state if is_told and event.state else OrderState.FILLED,
                filled_quantity=filled,
            )


def _worse_bps(side: Side, price: Decimal, than: Decimal) -> float:
    """How much worse for us than another price, positive is worse."""
    worse = than - price if side is Side.SELL else price - than
    return round(float(worse / than) * 10_000, 4)


def _is_sound(fill: Fill) -> bool:
    """Numbers that can be money; a rebate is a negative fee."""
    numbers = (fill.price, fill.quantity)
    return fill.fee.is_finite() and all(each.is_finite() and each > 0 for each in numbers)


def _told_why(kind: type[Why], event: OrderReported, order: Order) -> Why:
    return kind(
        ts_ns=event.ts_ns,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        trace=order.trace,
        reason=event.reason,
    )
