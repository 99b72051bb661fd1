"""What is held after a fill, and what is left of it that no order can move.

Belongs here: telling positions and the account, and when a rest is none. The arithmetic belongs to
the book.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import (
    DenyReason,
    Direction,
    DustSetAside,
    PositionChanged,
    PositionLiquidated,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import Event, OrderCompleted, OrderDenied, OrderFilled, ParentEnded


class Holdings:
    """Reads book and blotter, and keeps nothing."""

    def __init__(self, book: Book, blotter: Blotter) -> None:
        self._book = book
        self._blotter = blotter

    def on_order_filled(self, event: OrderFilled) -> Iterator[Event]:
        yield self._position_changed(event)

    def on_order_completed(self, event: OrderCompleted) -> Iterator[Event]:
        """Mark the account, and let go of a rest that no order can move."""
        if self._book.is_valued:
            yield self._book.marked(event.ts_ns)
        if self._blotter.parent_of(event.instrument) is None:
            yield from self._dust(event)

    def on_parent_ended(self, event: ParentEnded) -> Iterator[Event]:
        yield from self._dust(event)

    def on_order_denied(self, event: OrderDenied) -> Iterator[Event]:
        """An exit that is too small today would be denied at every bar to come."""
        if event.direction is Direction.FLAT and event.reason is DenyReason.BELOW_MINIMUM:
            yield from self._dust(event)

    def on_position_liquidated(self, event: PositionLiquidated) -> Iterator[Event]:
        yield self._position_changed(event)

    def on_dust_set_aside(self, event: DustSetAside) -> Iterator[Event]:
        yield self._position_changed(event)

    def _dust(self, event: OrderCompleted | ParentEnded | OrderDenied) -> Iterator[Event]:
        """Wherever the instrument is held and no order is about it any more."""
        for each in self._blotter.listings.members(event.instrument):
            position, price = self._book.position(each), self._book.marks.get(each)
            is_busy = self._blotter.child_of(each) is not None
            if is_busy or not position.quantity or price is None:
                continue
            rules = self._book.instruments[each]
            if not rules.takes(rules.quantize_down(abs(position.quantity)), price, is_exit=True):
                yield DustSetAside(
                    ts_ns=event.ts_ns,
                    instrument=each,
                    trace=event.trace,
                    quantity=position.quantity,
                    price=price,
                )

    def _position_changed(
        self, event: OrderFilled | DustSetAside | PositionLiquidated
    ) -> PositionChanged:
        book, position = self._book, self._book.position(event.instrument)
        return PositionChanged(
            ts_ns=event.ts_ns,
            instrument=event.instrument,
            trace="" if isinstance(event, PositionLiquidated) else event.trace,
            quantity=position.quantity,
            average_price=position.average_price,
            realized_quote=book.realized,
            equity_quote=book.equity,
            exposure_ratio=book.exposure_ratio,
            closed_return_ratio=position.closed_return,
            dust=position.dust,
        )
