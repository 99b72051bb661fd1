"""Published books: numbers every change of what clients see of a book, own orders included.

Belongs here: update ids and differences. What a taker takes belongs in depth.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.embedded.account import ZERO, Side
from daemon.embedded.dialect import Levels
from daemon.embedded.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

Sides = tuple[Levels, Levels]


@dataclass(frozen=True, slots=True)
class BookChange:
    """The levels that changed with one update; a quantity of zero removes the level."""

    symbol_id: str
    update_id: int
    bids: Levels
    asks: Levels


class PublishedBooks:
    """The last published book of every symbol; ids go up for as long as the clock does."""

    def __init__(self, exchange: Stage) -> None:
        self._exchange = exchange
        self.on_change: Callable[[BookChange], None] = lambda _change: None
        first_id = exchange.clock.wire_ms()
        self._update_ids = dict.fromkeys(exchange.market.symbols, first_id)
        self._published: dict[str, Sides] = dict.fromkeys(exchange.market.symbols, ([], []))

    def update_id(self, symbol_id: str) -> int:
        return self._update_ids[symbol_id]

    def current(self, symbol_id: str) -> Sides:
        """Bids and asks, best first, of this moment; publishes them when they are news."""
        self.refresh(symbol_id)
        return self._published[symbol_id]

    def refresh(self, symbol_id: str) -> None:
        """Publish the book of this moment and tell `on_change`, if anything changed."""
        bids, asks = self._current(symbol_id)
        old_bids, old_asks = self._published[symbol_id]
        if bids == old_bids and asks == old_asks:
            return
        self._published[symbol_id] = (bids, asks)
        self._update_ids[symbol_id] += 1
        change = BookChange(
            symbol_id,
            self._update_ids[symbol_id],
            _difference(dict(old_bids), dict(bids)),
            _difference(dict(old_asks), dict(asks)),
        )
        self.on_change(change)

    def _current(self, symbol_id: str) -> Sides:
        book = self._exchange.tape.book(symbol_id)
        bids = dict(book.bids) if book is not None else {}
        asks = dict(book.asks) if book is not None else {}
        for order in self._exchange.resting_of(symbol_id):
            side = bids if order.side is Side.BUY else asks
            side[order.price] = side.get(order.price, ZERO) + order.leaves_quantity
        return sorted(bids.items(), reverse=True), sorted(asks.items())


def _difference(old: dict[Decimal, Decimal], new: dict[Decimal, Decimal]) -> Levels:
    gone = [(price, ZERO) for price in old if price not in new]
    return gone + [(price, each) for price, each in new.items() if old.get(price) != each]
