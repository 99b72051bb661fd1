"""Layer 6: turns approved orders into durable intents, and a venue's reports into what really happened.

Belongs here: what an answer means for an order. Talking to a venue belongs to venues; money belongs to the book.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.events import (
    HaltReason,
    LookUpOrder,
    OrderAbsent,
    OrderAccepted,
    OrderApproved,
    OrderCompleted,
    OrderFilled,
    OrderIntended,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderReported,
    Outcome,
    RunOpened,
    SubmitOrder,
    TradingHalted,
)
from daemon.core.ids import client_order_id_for
from daemon.core.orders import OrderState, OrderType, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.core.blotter import Blotter
    from daemon.core.events import Event
    from daemon.core.instruments import InstrumentId
    from daemon.core.orders import Fill, Order

_BELIEVED_GONE = frozenset({OrderState.REFUSED, OrderState.NOT_SENT, OrderState.ABSENT})
_ENDED = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED})


class Execution:
    """Intents out, reports folded in; every trade id counts once."""

    def __init__(self, blotter: Blotter) -> None:
        self._blotter = blotter
        self._bot = ""
        self._account = ""
        self._legs: dict[tuple[InstrumentId, str], tuple[int, int]] = {}

    def apply_run_opened(self, event: RunOpened) -> None:
        self._bot, self._account = event.bot, event.account

    def apply_order_intended(self, event: OrderIntended) -> None:
        self._legs[(event.instrument, event.leg)] = (event.close_ns, event.ordinal)

    def on_order_approved(self, event: OrderApproved) -> Iterator[Event]:
        """The intent for the journal, then the command that leaves once the journal has it."""
        leg = "exit" if event.is_exit else "entry"
        close_ns, last = self._legs.get((event.instrument, leg), (-1, -1))
        ordinal = last + 1 if close_ns == event.close_ns else 0
        client_order_id = client_order_id_for(
            bot=self._bot,
            account=self._account,
            instrument=event.instrument,
            close_ns=event.close_ns,
            leg=leg,
            ordinal=ordinal,
        )
        yield OrderIntended(
            ts_ns=event.ts_ns,
            client_order_id=client_order_id,
            instrument=event.instrument,
            trace=event.trace,
            close_ns=event.close_ns,
            leg=leg,
            ordinal=ordinal,
            side=event.side,
            order_type=OrderType.MARKET,
            quantity=event.quantity,
            decision_price=event.decision_price,
            is_exit=event.is_exit,
        )
        yield SubmitOrder(
            ts_ns=event.ts_ns,
            client_order_id=client_order_id,
            instrument=event.instrument,
            side=event.side,
            order_type=OrderType.MARKET,
            quantity=event.quantity,
            decision_price=event.decision_price,
        )

    def on_order_reported(self, event: OrderReported) -> Iterator[Event]:
        """Nothing for what is known already; a fact for each new piece of news."""
        order = self._blotter.orders.get(event.client_order_id)
        if order is None:
            yield TradingHalted(
                ts_ns=event.ts_ns,
                reason=HaltReason.FOREIGN_ORDER,
                detail=f"the venue reports {event.client_order_id}, which this journal never intended",
            )
            return
        news = [each for each in event.fills if each.trade_id not in order.trade_ids]
        yield from self._state_news(event, order, has_fills=bool(news))
        filled = order.filled_quantity
        for fill in {each.trade_id: each for each in news}.values():
            filled += fill.quantity
            yield self._filled(event, order, fill, filled)
            if filled > order.quantity:
                yield TradingHalted(
                    ts_ns=event.ts_ns,
                    reason=HaltReason.OVERFILL,
                    detail=f"{order.client_order_id}: {filled} filled of {order.quantity}",
                )
        yield from self._ending(event, order, filled)

    def _state_news(
        self, event: OrderReported, order: Order, *, has_fills: bool
    ) -> Iterator[Event]:
        known = {
            "ts_ns": event.ts_ns,
            "client_order_id": order.client_order_id,
            "instrument": order.instrument,
            "trace": order.trace,
        }
        is_new = order.state is OrderState.INTENDED
        if event.outcome is Outcome.ACKNOWLEDGED or has_fills:
            if order.is_unresolved:
                yield OrderAccepted(**known, venue_order_id=event.venue_order_id)  # type: ignore[arg-type]
        elif event.outcome is Outcome.UNKNOWN and is_new:
            yield OrderOutcomeUnknown(**known, reason=event.reason)  # type: ignore[arg-type]
        elif event.outcome is Outcome.REFUSED and order.is_unresolved:
            yield OrderRefused(**known, reason=event.reason)  # type: ignore[arg-type]
        elif event.outcome is Outcome.NOT_SENT and is_new:
            yield OrderNotSent(**known, reason=event.reason)  # type: ignore[arg-type]
        elif event.outcome is Outcome.ABSENT and order.is_unresolved:
            yield OrderAbsent(**known, reason=event.reason)  # type: ignore[arg-type]

    @staticmethod
    def _filled(event: OrderReported, order: Order, fill: Fill, filled: Decimal) -> OrderFilled:
        worse = fill.price - order.decision_price
        if order.side is Side.SELL:
            worse = -worse
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
            slippage_bps=round(float(worse / order.decision_price) * 10_000, 4),
            leaves_quantity=max(Decimal(0), order.quantity - filled),
            is_adopted=order.state in _BELIEVED_GONE or order.state is OrderState.ADOPTED,
        )

    @staticmethod
    def _ending(event: OrderReported, order: Order, filled: Decimal) -> Iterator[Event]:
        """The order is over only when the venue says so and every fill it counts is known here."""
        if event.state not in _ENDED or order.state in _BELIEVED_GONE or order.state in _ENDED:
            return
        if event.filled_quantity is not None and filled < event.filled_quantity:
            yield LookUpOrder(
                ts_ns=event.ts_ns,
                client_order_id=order.client_order_id,
                instrument=order.instrument,
                intended_ns=order.intended_ns,
                reason=f"the venue counts {event.filled_quantity}, {filled} known here",
            )
            return
        yield OrderCompleted(
            ts_ns=event.ts_ns,
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            trace=order.trace,
            state=event.state,
            filled_quantity=filled,
        )
