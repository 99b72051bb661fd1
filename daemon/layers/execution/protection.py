"""Keeps a stop on the exchange behind every position: compares what is held with what rests.

Belongs here: the one stop of a position, its quantity and its price. It is changed by cancelling it
first, and made anew only when its end is known: two stops would sell twice.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import ProtectionFailed
from daemon.core.instruments import MarketType
from daemon.core.orders import Leg, OrderState, OrderType, Side
from daemon.core.timeframes import NS_PER_S
from daemon.layers.execution.intents import Draft, cancelled, is_cancel_due

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from daemon.config import ExecutionSection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import Event, OrderIntended
    from daemon.core.instruments import InstrumentId
    from daemon.core.orders import Order
    from daemon.layers.execution.intents import Intents

TRY_AGAIN_FIRST_NS = 5 * NS_PER_S
TRY_AGAIN_MAX_NS = 600 * NS_PER_S
ATTEMPTS_MAX = 3
DOUBLED_MAX = 10


class _Failures(Struct):
    count: int = 0
    last_ns: int = 0


class Protection:
    """Stops of all positions."""

    def __init__(
        self,
        config: ExecutionSection,
        blotter: Blotter,
        book: Book,
        intents: Intents,
        unsure: Collection[str],
    ) -> None:
        self._ratio = Decimal(repr(config.stop_loss_ratio))
        self._blotter = blotter
        self._book = book
        self._intents = intents
        self._entered: dict[InstrumentId, tuple[str, int]] = {}  # trace and close of the newest
        self._unsure = unsure  # exchanges with orders of ours that the books do not know
        self._failures: dict[InstrumentId, _Failures] = {}
        self._asked: dict[InstrumentId, Decimal] = {}  # how far away, where none is configured

    # --- what is remembered -------------------------------------------------------------------

    def note_intended(self, event: OrderIntended) -> None:
        if event.leg is Leg.ENTRY:
            self._entered[event.instrument] = (event.trace, event.close_ns)

    def note_asked(self, instrument: InstrumentId, ratio: float) -> None:
        """A stop so far away, where none is configured, until the position is over."""
        self._asked[instrument] = Decimal(repr(ratio))

    def note_over(self, instrument: InstrumentId) -> None:
        self._asked.pop(instrument, None)

    def note_accepted(self, order: Order) -> None:
        if order.leg is Leg.STOP:
            self._failures.pop(order.instrument, None)

    def note_failed(self, order: Order, ts_ns: int) -> None:
        """A stop was refused, not sent or found absent."""
        if order.leg is Leg.STOP:
            failures = self._failures.setdefault(order.instrument, _Failures())
            failures.count += 1
            failures.last_ns = ts_ns

    def note_back(self, exchange: str) -> None:
        """It answers again: what failed while it did not says nothing of the next attempt."""
        for instrument in [each for each in self._failures if each.exchange == exchange]:
            del self._failures[instrument]

    # --- what is done -------------------------------------------------------------------------

    def instruments(self) -> list[InstrumentId]:
        """Where there is something to protect, or a stop that may be too much."""
        held = [each for each, position in self._book.positions.items() if position.quantity]
        stops = [each for each in self._blotter.with_open() if self._blotter.stop_of(each)]
        return sorted({*held, *stops})

    def is_owed(self, instrument: InstrumentId) -> bool:
        """Whether a stop is missing that is tried again soon."""
        return (
            instrument.exchange not in self._unsure
            and not self._is_being_left(instrument)
            and self._blotter.stop_of(instrument) is None
            and self._is_sellable(instrument, self._wanted(instrument))
        )

    def follow(self, instrument: InstrumentId, ts_ns: int) -> Iterator[Event]:
        """Bring the stop one step nearer to what is held."""
        if instrument.exchange in self._unsure or self._is_being_left(instrument):
            return
        wanted = self._wanted(instrument)
        stop = self._blotter.stop_of(instrument)
        if stop is None:
            if self._is_sellable(instrument, wanted) and self._may_try(instrument, ts_ns):
                yield from self._intents.intend(self._draft(instrument, wanted), ts_ns)
            return
        # One that rests is never too small: what was taken when it came is not looked at again.
        fits = {wanted, self._at_once(instrument, wanted)}
        why = "" if stop.leaves_quantity in fits else "it does not fit the position any more"
        if stop.cancel_requested_ns is not None:
            why = why or "its end was asked for before, and nobody knows whether that was heard"
        if why and not stop.is_unresolved and is_cancel_due(stop, ts_ns):
            yield from cancelled(stop, ts_ns, why)

    def failed(self, order: Order, ts_ns: int, reason: str) -> Iterator[Event]:
        """Say that there is no protection: a refusal at once, anything else when it goes on."""
        failures = self._failures.get(order.instrument)
        wanted = self._wanted(order.instrument)
        if failures is None or not self._is_sellable(order.instrument, wanted):
            return
        if order.state is OrderState.REFUSED or failures.count >= ATTEMPTS_MAX:
            yield ProtectionFailed(
                ts_ns=ts_ns,
                instrument=order.instrument,
                trace=order.trace,
                close_ns=order.close_ns,
                reason=reason,
                attempts=failures.count,
            )

    def _is_being_left(self, instrument: InstrumentId) -> bool:
        """An exit cancels the stop itself, and sells what is there; one that was let go of may."""
        parent, child = self._blotter.parent_of(instrument), self._blotter.child_of(instrument)
        return any(each is not None and each.is_exit for each in (parent, child))

    def _wanted(self, instrument: InstrumentId) -> Decimal:
        """What the stop should be for: all that is held, in whole lots."""
        if not self._ratio_of(instrument):
            return Decimal(0)
        rules = self._book.instruments[instrument]
        position = self._book.position(instrument)
        if position.quantity < 0 and rules.market_type is MarketType.SPOT:
            return Decimal(0)  # two orders sold what was there once: nothing to buy back by itself
        return rules.quantize_down(abs(position.quantity))

    def _is_sellable(self, instrument: InstrumentId, quantity: Decimal) -> bool:
        """Whether an exit would be taken now; what is less is dust. All else gets its stop, or is
        closed where the exchange takes none so small.
        """
        price = self._book.marks.get(instrument, self._book.position(instrument).average_price)
        return self._book.instruments[instrument].takes(quantity, price, is_exit=True)

    def _ratio_of(self, instrument: InstrumentId) -> Decimal:
        return self._ratio or self._asked.get(instrument, Decimal(0))

    def _may_try(self, instrument: InstrumentId, ts_ns: int) -> bool:
        failures = self._failures.get(instrument)
        if failures is None:
            return True
        doubled = min(failures.count - 1, DOUBLED_MAX)
        wait_ns = min(TRY_AGAIN_MAX_NS, TRY_AGAIN_FIRST_NS << doubled)
        return ts_ns - failures.last_ns >= wait_ns

    def _draft(self, instrument: InstrumentId, quantity: Decimal) -> Draft:
        is_long = self._book.position(instrument).quantity > 0
        trace, close_ns = self._entered.get(instrument, ("", 0))
        stop_price = self._stop_price(instrument)
        return Draft(
            instrument=instrument,
            trace=trace,
            close_ns=close_ns,
            leg=Leg.STOP,
            side=Side.SELL if is_long else Side.BUY,
            quantity=self._at_once(instrument, quantity),
            decision_price=stop_price,
            order_type=OrderType.STOP,
            stop_price=stop_price,
        )

    def _at_once(self, instrument: InstrumentId, wanted: Decimal) -> Decimal:
        """As much of it as one stop may be for."""
        if not wanted:
            return wanted
        return self._book.instruments[instrument].at_most(wanted, self._stop_price(instrument))

    def _stop_price(self, instrument: InstrumentId) -> Decimal:
        rules, position = self._book.instruments[instrument], self._book.position(instrument)
        ratio = self._ratio_of(instrument)
        if position.quantity > 0:
            return rules.price_up(position.average_price * (1 - ratio))  # never 0
        return rules.price_down(position.average_price * (1 + ratio))
