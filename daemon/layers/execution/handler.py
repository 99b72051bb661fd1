"""Layer 6's handler: answers approvals, reports, quotes and time with orders, cancels and facts.

Belongs here: which part of the layer an event concerns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import ParentEnded
from daemon.core.orders import Leg
from daemon.layers.execution.intents import Intents
from daemon.layers.execution.protection import Protection
from daemon.layers.execution.reports import Reports
from daemon.layers.execution.working import Working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import ExecutionSection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import (
        BarsClosed,
        Event,
        OrderAbsent,
        OrderAccepted,
        OrderApproved,
        OrderCompleted,
        OrderIntended,
        OrderNotSent,
        OrderRefused,
        OrderReported,
        OrdersTicked,
        QuotesTaken,
        RunOpened,
    )


class Execution:
    """Intents out, reports folded in; reads book and blotter, and changes neither."""

    def __init__(self, config: ExecutionSection, blotter: Blotter, book: Book) -> None:
        self._blotter = blotter
        self._intents = Intents()
        self._reports = Reports(blotter)
        self._working = Working(config, blotter, book, self._intents)
        self._protection = Protection(config, blotter, book, self._intents)

    def is_due(self, ts_ns: int) -> bool:
        """True when a tick now would do anything."""
        return any(True for _ in self._tick(ts_ns))

    # --- applying -----------------------------------------------------------------------------

    def apply_run_opened(self, event: RunOpened) -> None:
        self._intents.open(event)

    def apply_order_intended(self, event: OrderIntended) -> None:
        self._intents.note(event)
        self._protection.note_intended(event)

    def apply_quotes_taken(self, event: QuotesTaken) -> None:
        for quote in event.quotes:
            self._working.quote(quote)

    def apply_order_accepted(self, event: OrderAccepted) -> None:
        self._protection.note_accepted(self._blotter.orders[event.client_order_id])

    def apply_order_refused(self, event: OrderRefused) -> None:
        self._note_lost(event)

    def apply_order_not_sent(self, event: OrderNotSent) -> None:
        self._note_lost(event)

    def apply_order_absent(self, event: OrderAbsent) -> None:
        self._note_lost(event)

    # --- deciding -----------------------------------------------------------------------------

    def on_order_approved(self, event: OrderApproved) -> Iterator[Event]:
        yield from self._working.start(event.instrument, event.ts_ns)

    def on_quotes_taken(self, event: QuotesTaken) -> Iterator[Event]:
        """The next child of a parent that asked for these; a decision asks for its first ones."""
        parent = self._blotter.parents.get(event.instrument)
        if parent is not None and parent.trace == event.trace:
            yield from self._working.next_child(event.instrument, event.ts_ns)

    def on_order_reported(self, event: OrderReported) -> Iterator[Event]:
        yield from self._reports.news(event)

    def on_order_completed(self, event: OrderCompleted) -> Iterator[Event]:
        yield from self._over(event.client_order_id, event.ts_ns)

    def on_order_refused(self, event: OrderRefused) -> Iterator[Event]:
        yield from self._lost(event)

    def on_order_not_sent(self, event: OrderNotSent) -> Iterator[Event]:
        yield from self._lost(event)

    def on_order_absent(self, event: OrderAbsent) -> Iterator[Event]:
        yield from self._lost(event)

    def on_parent_ended(self, event: ParentEnded) -> Iterator[Event]:
        yield from self._protection.follow(event.instrument, event.ts_ns)

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
        if order.leg is not Leg.STOP:
            yield from self._working.child_over(order, ts_ns)
        elif order.instrument in self._blotter.parents:
            yield from self._working.next_child(order.instrument, ts_ns)
        else:
            yield from self._protection.follow(order.instrument, ts_ns)

    def _tick(self, ts_ns: int) -> Iterator[Event]:
        ended = set()
        for instrument in list(self._blotter.parents):
            for event in self._working.tick(instrument, ts_ns):
                yield event
                if isinstance(event, ParentEnded):
                    ended.add(instrument)  # it is protected by what follows from that
        for instrument in self._protection.instruments():
            if instrument not in ended:
                yield from self._protection.follow(instrument, ts_ns)
