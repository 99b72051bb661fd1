"""What was traded lately: turns fills into sums of thirty days, by exchange, in one currency.

Belongs here: counting, at the prices known when it was filled. What an exchange charges for so much
belongs to whoever stands for it.
"""

from collections import deque
from decimal import Decimal

from daemon.core.book import Book
from daemon.core.events import OrderFilled
from daemon.core.timeframes import DAY_NS

WITHIN_NS = 30 * DAY_NS


class Turnover:
    """In the reporting currency. What could not be valued when it was filled is left out: that
    makes fees by volume higher, never lower.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._filled: dict[str, deque[tuple[int, Decimal]]] = {}

    def apply_order_filled(self, event: OrderFilled) -> None:
        quote = self._book.instruments[event.instrument].quote
        value = self._book.value(event.quantity * event.price, quote)
        if value is None:
            return
        filled = self._filled.setdefault(event.instrument.exchange, deque())
        filled.append((event.ts_ns, value))
        while filled[0][0] < event.ts_ns - WITHIN_NS:
            filled.popleft()

    def of(self, exchange: str, ts_ns: int) -> Decimal:
        """What was traded there in the thirty days before."""
        filled = self._filled.get(exchange, ())
        return sum((value for at_ns, value in filled if at_ns >= ts_ns - WITHIN_NS), Decimal(0))
