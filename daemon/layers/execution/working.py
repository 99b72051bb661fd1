"""Works off what was approved: turns one parent into child orders, one after the other.

Belongs here: how large the next child is, of which type, and when there is none any more. A child
is sent only when the one before it is over, and an exit only when no stop holds what it sells.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.events import AskQuotes, Direction, ParentEnd, ParentEnded
from daemon.core.orders import OrderState, OrderType, Side
from daemon.layers.execution.intents import Draft, cancelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import ExecutionSection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import Event, Quote
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.orders import Order, Parent
    from daemon.layers.execution.intents import Intents

SECOND_NS = 1_000_000_000
CANCEL_AGAIN_NS = 10 * SECOND_NS
# A child that ended so tells that there is no point in sending another one now.
_DEAD = {
    OrderState.REFUSED: ParentEnd.REFUSED,
    OrderState.NOT_SENT: ParentEnd.NOT_SENT,
    OrderState.ABSENT: ParentEnd.ABSENT,
    OrderState.ADOPTED: ParentEnd.ABSENT,
}
BPS = Decimal(10_000)


class Working:
    """Parents of all instruments; they are kept by the blotter, and changed there."""

    def __init__(
        self, config: ExecutionSection, blotter: Blotter, book: Book, intents: Intents
    ) -> None:
        self._config = config
        self._blotter = blotter
        self._book = book
        self._intents = intents
        self._quotes: dict[InstrumentId, Quote] = {}

    def quote(self, quote: Quote) -> None:
        """The newest book of an instrument."""
        self._quotes[quote.instrument] = quote

    def start(self, instrument: InstrumentId, ts_ns: int) -> Iterator[Event]:
        """The first child; where a stop holds what is to be sold, that goes first."""
        stop = self._blotter.stop_of(instrument)
        if stop is not None and self._blotter.parents[instrument].is_exit:
            yield from cancelled(stop, ts_ns, "the position is being closed")
        else:
            yield from self.next_child(instrument, ts_ns)

    def next_child(self, instrument: InstrumentId, ts_ns: int) -> Iterator[Event]:
        """The next child of this parent if it is free to have one, or its end."""
        parent = self._blotter.parents.get(instrument)
        if parent is None or not self._is_free(parent):
            return
        left = self.left_of(parent)
        if left <= 0:
            is_filled = parent.leaves_quantity == 0
            reason = ParentEnd.FILLED if is_filled else ParentEnd.NOTHING_LEFT
            yield _ended(parent, ts_ns, reason)
        elif not self._book.instruments[instrument].takes(left, self._mark(parent)):
            yield _ended(parent, ts_ns, ParentEnd.TOO_SMALL)
        else:
            yield from self._intents.intend(self._draft(parent, left, ts_ns), ts_ns)

    def child_over(self, child: Order, ts_ns: int) -> Iterator[Event]:
        """A child has ended: another one, now or later, or the end of its parent."""
        parent = self._blotter.parents.get(child.instrument)
        if parent is None or parent.leg is not child.leg or parent.trace != child.trace:
            return
        left = self.left_of(parent)
        if left <= 0 or not self._book.instruments[parent.instrument].takes(
            left, self._mark(parent)
        ):
            yield from self.next_child(parent.instrument, ts_ns)
        elif child.state in _DEAD:
            yield _ended(parent, ts_ns, _DEAD[child.state])
        elif child.leaves_quantity == 0:
            return  # a slice is done, and the next one waits for its time
        elif child.order_type is OrderType.LIMIT:
            yield from self._after_limit(parent, ts_ns)
        else:
            yield _ended(parent, ts_ns, ParentEnd.EXPIRED)

    def tick(self, instrument: InstrumentId, ts_ns: int) -> Iterator[Event]:
        """Time has passed: cancel what rests too long, ask for the quotes of what is due."""
        parent = self._blotter.parents.get(instrument)
        if parent is None:
            return
        stop = self._blotter.stop_of(instrument)
        child = self._blotter.child_of(instrument)
        if parent.is_exit and stop is not None:
            if is_cancel_due(stop, ts_ns):
                yield from cancelled(stop, ts_ns, "the position is being closed")
        elif child is None:
            yield from self._tick_without_child(parent, ts_ns)
        elif child.order_type is OrderType.LIMIT and not child.is_unresolved:
            rested_ns = ts_ns - child.intended_ns
            if rested_ns >= self._config.requote_s * SECOND_NS and is_cancel_due(child, ts_ns):
                yield from cancelled(child, ts_ns, "it rested long enough at its price")

    def left_of(self, parent: Parent) -> Decimal:
        """What a next child may be for; an exit never more than what is held."""
        if not parent.is_exit:
            return parent.leaves_quantity
        held = self._book.position(parent.instrument).quantity
        is_closing = (held > 0) is (parent.side is Side.SELL)
        instrument = self._book.instruments[parent.instrument]
        sellable = instrument.quantize_down(abs(held)) if is_closing else Decimal(0)
        return min(parent.leaves_quantity, sellable)

    def _is_free(self, parent: Parent) -> bool:
        if self._blotter.child_of(parent.instrument) is not None:
            return False
        return not (parent.is_exit and self._blotter.stop_of(parent.instrument) is not None)

    def _after_limit(self, parent: Parent, ts_ns: int) -> Iterator[Event]:
        if not self._is_timed_out(parent, ts_ns):
            yield self._ask(parent, ts_ns)
        elif parent.is_exit:
            yield from self.next_child(parent.instrument, ts_ns)  # at the market now
        else:
            yield _ended(parent, ts_ns, ParentEnd.TIMED_OUT)

    def _tick_without_child(self, parent: Parent, ts_ns: int) -> Iterator[Event]:
        if not parent.is_exit and self._is_timed_out(parent, ts_ns):
            yield _ended(parent, ts_ns, ParentEnd.TIMED_OUT)
        elif ts_ns - parent.newest_child_ns >= self._config.slice_interval_s * SECOND_NS:
            yield self._ask(parent, ts_ns)

    def _is_timed_out(self, parent: Parent, ts_ns: int) -> bool:
        return ts_ns - parent.approved_ns >= self._config.order_timeout_s * SECOND_NS

    def _mark(self, parent: Parent) -> Decimal:
        return self._book.marks.get(parent.instrument, parent.decision_price)

    def _ask(self, parent: Parent, ts_ns: int) -> AskQuotes:
        entry = Direction.LONG if parent.side is Side.BUY else Direction.SHORT
        return AskQuotes(
            ts_ns=ts_ns,
            instrument=parent.instrument,
            trace=parent.trace,
            direction=Direction.FLAT if parent.is_exit else entry,
            instruments=(parent.instrument,),
            notional_quote=parent.leaves_quantity * parent.decision_price,
        )

    # --- one child ----------------------------------------------------------------------------

    def _draft(self, parent: Parent, left: Decimal, ts_ns: int) -> Draft:
        instrument = self._book.instruments[parent.instrument]
        quote = self._quotes.get(parent.instrument)
        is_first = parent.children == 0
        arrival = parent.arrival_price if is_first or quote is None else quote.best(parent.side)
        price = self._limit_price(parent, instrument, quote, ts_ns)
        return Draft(
            instrument=parent.instrument,
            trace=parent.trace,
            close_ns=parent.close_ns,
            leg=parent.leg,
            side=parent.side,
            quantity=self._slice(parent, instrument, left, quote),
            decision_price=parent.decision_price,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            price=price,
            arrival_price=arrival,
        )

    def _limit_price(
        self, parent: Parent, instrument: Instrument, quote: Quote | None, ts_ns: int
    ) -> Decimal | None:
        """Where a limit order goes: at our own side of the book, nearer to the other by the offset.

        None for a market order: so configured, without a book to see, or for an exit out of time.
        """
        kind = self._config.exit_order if parent.is_exit else self._config.entry_order
        if kind == "market" or quote is None or not quote.is_complete:
            return None
        if parent.is_exit and self._is_timed_out(parent, ts_ns):
            return None
        offset = Decimal(repr(self._config.limit_offset_bps)) / BPS
        if parent.side is Side.BUY:
            wanted = min(quote.bids[0][0] * (1 + offset), quote.asks[0][0])
            return instrument.price_down(wanted) or None
        wanted = max(quote.asks[0][0] * (1 - offset), quote.bids[0][0])
        return instrument.price_up(wanted) or None

    def _slice(
        self, parent: Parent, instrument: Instrument, left: Decimal, quote: Quote | None
    ) -> Decimal:
        """All that is left, or a share of what the book shows; no rest that nobody would take."""
        share = Decimal(repr(self._config.slice_depth_ratio))
        if share == 0 or quote is None or not quote.side(parent.side):
            return left
        shown = sum((quantity for _, quantity in quote.side(parent.side)), Decimal(0))
        most = instrument.quantize_down(shown * share)
        price = self._mark(parent)
        if most >= left or not instrument.takes(most, price):
            return left
        return most if instrument.takes(left - most, price) else left


def is_cancel_due(order: Order, ts_ns: int) -> bool:
    """True when nobody has asked for its end yet, or so long ago that it has to be said again."""
    asked_ns = order.cancel_requested_ns
    return asked_ns is None or ts_ns - asked_ns >= CANCEL_AGAIN_NS


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
