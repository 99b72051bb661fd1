"""Layer 6's handler: answers approvals, reports, quotes and time with orders, cancels and facts.

Belongs here: which part of the layer an event concerns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import ParentEnd, ParentEnded, PolicyAction
from daemon.core.orders import Leg
from daemon.layers.execution.bounds import Bounds
from daemon.layers.execution.intents import Intents, adopted, taken_away
from daemon.layers.execution.protection import Protection
from daemon.layers.execution.reports import Reports
from daemon.layers.execution.routing import Router
from daemon.layers.execution.working import Working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import ExecutionSection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import (
        BarsClosed,
        BooksAdopted,
        ClockChecked,
        Event,
        ExchangeBack,
        ExchangeLost,
        FeedRecovered,
        FeedStale,
        FlattenRequested,
        OrderAbsent,
        OrderAccepted,
        OrderApproved,
        OrderCompleted,
        OrderIntended,
        OrderNotSent,
        OrderRefused,
        OrderReported,
        OrdersTicked,
        PolicyActed,
        PositionChanged,
        ProtectionFailed,
        QuotesTaken,
        Reconciled,
        RunOpened,
        Started,
        StopRequested,
        TradingHalted,
        TradingResumed,
    )
    from daemon.core.instruments import InstrumentId
    from daemon.core.pace import Pace
    from daemon.core.repute import Repute


class Execution:
    """Intents out, reports folded in; reads book and blotter, and changes neither."""

    def __init__(
        self,
        config: ExecutionSection,
        blotter: Blotter,
        book: Book,
        repute: Repute,
        *,
        pace: Pace,
        price_collar_bps: float,
    ) -> None:
        self._blotter = blotter
        self._unsure: set[str] = set()
        self._intents = Intents()
        self._reports = Reports(blotter)
        self._router = Router(config, blotter, book, repute)
        self._bounds = Bounds(
            config, blotter, self._router, unsure=self._unsure, price_collar_bps=price_collar_bps
        )
        self._working = Working(
            config, blotter, book, self._intents, self._router, bounds=self._bounds, pace=pace
        )
        self._protection = Protection(config, blotter, book, self._intents, self._unsure)

    def is_due(self, ts_ns: int) -> bool:
        """True when a tick now would do anything."""
        return any(True for _ in self._tick(ts_ns))

    @property
    def unprotected(self) -> list[InstrumentId]:
        """What lacks a stop that is still being tried for."""
        held = self._protection.instruments()
        return [each for each in held if self._protection.is_owed(each)]

    # --- applying -----------------------------------------------------------------------------

    def apply_run_opened(self, event: RunOpened) -> None:
        self._intents.open(event)

    def apply_reconciled(self, event: Reconciled) -> None:
        """Beside orders that the books do not know nobody can say what is to be sold, and what to
        be protected.
        """
        if event.foreign:
            self._unsure.add(event.exchange)
        else:
            self._unsure.discard(event.exchange)

    def apply_books_adopted(self, event: BooksAdopted) -> None:
        self._intents.note_adopted(event)

    def apply_order_intended(self, event: OrderIntended) -> None:
        self._intents.note(event)
        self._protection.note_intended(event)

    def apply_started(self, _event: Started) -> None:
        self._bounds.is_stopping = False
        self._router.forget()

    def apply_policy_acted(self, event: PolicyActed) -> None:
        if event.action is PolicyAction.PROTECT:
            self._protection.note_asked(event.instrument, event.stop_ratio)

    def apply_position_changed(self, event: PositionChanged) -> None:
        if event.closed_return_ratio is not None or not event.quantity:
            self._protection.note_over(event.instrument)

    def apply_feed_stale(self, event: FeedStale) -> None:
        self._router.note_stale(event.instrument, is_stale=True)

    def apply_feed_recovered(self, event: FeedRecovered) -> None:
        self._router.note_stale(event.instrument, is_stale=False)

    def apply_clock_checked(self, event: ClockChecked) -> None:
        self._router.note_clock(event)

    def apply_exchange_lost(self, event: ExchangeLost) -> None:
        self._router.note_lost(event.exchange, is_lost=True)

    def apply_exchange_back(self, event: ExchangeBack) -> None:
        self._router.note_lost(event.exchange, is_lost=False)
        self._protection.note_back(event.exchange)

    def apply_trading_halted(self, _event: TradingHalted) -> None:
        self._bounds.is_halted = True

    def apply_trading_resumed(self, _event: TradingResumed) -> None:
        self._bounds.is_halted = self._bounds.is_flattening = False

    def apply_flatten_requested(self, _event: FlattenRequested) -> None:
        self._bounds.is_flattening = True

    def apply_stop_requested(self, _event: StopRequested) -> None:
        self._bounds.is_stopping = True

    def apply_quotes_taken(self, event: QuotesTaken) -> None:
        for quote in event.quotes:
            self._bounds.quotes[quote.instrument] = quote

    def apply_order_accepted(self, event: OrderAccepted) -> None:
        self._protection.note_accepted(self._blotter.orders[event.client_order_id])

    def apply_order_refused(self, event: OrderRefused) -> None:
        self._note_lost(event)

    def apply_order_not_sent(self, event: OrderNotSent) -> None:
        self._note_lost(event)

    def apply_order_absent(self, event: OrderAbsent) -> None:
        self._note_lost(event)

    # --- deciding -----------------------------------------------------------------------------

    def on_reconciled(self, event: Reconciled) -> Iterator[Event]:
        yield from self._working.reconciled(event.ts_ns)

    def on_books_adopted(self, event: BooksAdopted) -> Iterator[Event]:
        yield from adopted(event)

    def on_order_approved(self, event: OrderApproved) -> Iterator[Event]:
        parent = self._blotter.parent_of(event.instrument)
        assert parent is not None, "an approval is a parent"
        yield from self._working.start(parent, event.ts_ns)

    def on_quotes_taken(self, event: QuotesTaken) -> Iterator[Event]:
        """The next child of a parent that asked for these; a decision asks for its first ones."""
        parent = self._blotter.parent_of(event.instrument)
        if parent is not None and parent.trace == event.trace:
            yield from self._working.next_children(parent, event.ts_ns)

    def on_order_reported(self, event: OrderReported) -> Iterator[Event]:
        yield from self._reports.news(event)
        yield from self._working.accepted(event)

    def on_order_completed(self, event: OrderCompleted) -> Iterator[Event]:
        yield from self._over(event.client_order_id, event.ts_ns)

    def on_order_refused(self, event: OrderRefused) -> Iterator[Event]:
        yield from self._lost(event)

    def on_order_not_sent(self, event: OrderNotSent) -> Iterator[Event]:
        yield from self._lost(event)

    def on_order_absent(self, event: OrderAbsent) -> Iterator[Event]:
        yield from self._lost(event)

    def on_parent_ended(self, event: ParentEnded) -> Iterator[Event]:
        """Protect what came of it. A halt may come in the middle of a tick, which has protected it
        already and whose stop is still to be intended; else the next tick does. After the policy
        an exit follows.
        """
        if event.reason in {ParentEnd.HALTED, ParentEnd.POLICY}:
            return
        for each in self._blotter.listings.members(event.instrument):
            yield from self._protection.follow(each, event.ts_ns)

    def on_trading_halted(self, event: TradingHalted) -> Iterator[Event]:
        yield from self._working.halt(event.ts_ns)

    def on_policy_acted(self, event: PolicyActed) -> Iterator[Event]:
        if event.action is PolicyAction.PROTECT:
            yield from self._protection.follow(event.instrument, event.ts_ns)
        if event.action.gives_up:
            why = f"the policy does not hold it: {event.trouble}"
            yield from self._working.withdraw(event.instrument, event.ts_ns, why)

    def on_flatten_requested(self, event: FlattenRequested) -> Iterator[Event]:
        yield from self._working.hurry(event.ts_ns)

    def on_protection_failed(self, event: ProtectionFailed) -> Iterator[Event]:
        yield from self._working.withdraw(
            event.instrument, event.ts_ns, "no stop is held for what it has bought"
        )

    def on_stop_requested(self, event: StopRequested) -> Iterator[Event]:
        yield from self._working.stop(event.ts_ns)

    def on_bars_closed(self, event: BarsClosed) -> Iterator[Event]:
        yield from self._tick(event.ts_ns)

    def on_orders_ticked(self, event: OrdersTicked) -> Iterator[Event]:
        yield from self._tick(event.ts_ns)

    def _note_lost(self, event: OrderRefused | OrderNotSent | OrderAbsent) -> None:
        self._protection.note_failed(self._blotter.orders[event.client_order_id], event.ts_ns)

    def _lost(self, event: OrderRefused | OrderNotSent | OrderAbsent) -> Iterator[Event]:
        order = self._blotter.orders[event.client_order_id]
        if order.leg is Leg.STOP:
            yield from self._protection.failed(order, event.ts_ns, event.reason)
        yield from self._over(event.client_order_id, event.ts_ns)

    def _over(self, client_order_id: str, ts_ns: int) -> Iterator[Event]:
        order = self._blotter.orders[client_order_id]
        parent = self._blotter.parent_of(order.instrument)
        if order.leg is not Leg.STOP:
            yield from self._working.child_over(order, ts_ns)
        elif parent is not None and parent.is_exit:
            yield from self._working.next_children(parent, ts_ns)
        else:
            yield from self._protection.follow(order.instrument, ts_ns)

    def _tick(self, ts_ns: int) -> Iterator[Event]:
        ended: set[InstrumentId] = set()
        for parent in list(self._blotter.parents.values()):
            for event in self._working.tick(parent, ts_ns):
                yield event
                if isinstance(event, ParentEnded):  # they are protected by what follows from that
                    ended.update(self._blotter.listings.members(parent.instrument))
        for stray in list(self._blotter.strays()):
            yield from taken_away(stray, ts_ns, "nobody works on it any more")
        for instrument in self._protection.instruments():
            if instrument not in ended:
                yield from self._protection.follow(instrument, ts_ns)
