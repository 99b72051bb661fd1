"""How much was ordered lately: orders of the last hour and day, and what entries of today came to.

Belongs here: counting intents by market time, and whether one more is within the limits. What
follows where it is not belongs to the gates, and to whoever works an entry off.
"""

from bisect import bisect_right
from collections import deque
from decimal import Decimal

from msgspec import Struct

from daemon.core.book import Book
from daemon.core.events import OrderIntended
from daemon.core.orders import Leg
from daemon.core.timeframes import DAY_NS, HOUR_NS


class Paced(Struct, frozen=True, kw_only=True):
    """What was ordered until now; a protective stop is no order of this kind."""

    orders_last_hour: int = 0
    orders_last_day: int = 0
    entries_today_quote: Decimal = Decimal(0)  # since 00:00 UTC, filled or not


class Pace:
    """The newest intents, as many of them as the limits can ask for; `daily` of 0 is off."""

    def __init__(self, book: Book, *, hourly: int, daily: int) -> None:
        self._book = book
        self._hourly, self._daily = hourly, daily
        self._intended_ns: deque[int] = deque(maxlen=max(hourly, daily))
        self._day = -1
        self._entries_quote = Decimal(0)

    def apply_order_intended(self, event: OrderIntended) -> None:
        if event.leg is Leg.STOP:
            return
        intended_ns = self._intended_ns
        # In order, so that it can be searched: what comes from a clock put back counts as of now.
        intended_ns.append(max(event.ts_ns, intended_ns[-1]) if intended_ns else event.ts_ns)
        if event.is_exit:
            return
        day = event.ts_ns // DAY_NS
        # Market time may be put back a little: a day that was counted does not begin anew.
        if day > self._day:
            self._day, self._entries_quote = day, Decimal(0)
        quote = self._book.instruments[event.instrument].quote
        self._entries_quote += self._book.value(
            event.quantity * event.decision_price, quote
        ) or Decimal(0)

    def has_room(self, count: int, ts_ns: int) -> bool:
        """Whether so many more orders are within the limits."""
        now = self.now(ts_ns)
        is_daily = not self._daily or now.orders_last_day + count <= self._daily
        return is_daily and now.orders_last_hour + count <= self._hourly

    def now(self, ts_ns: int) -> Paced:
        is_today = ts_ns // DAY_NS <= self._day
        return Paced(
            orders_last_hour=self._within(ts_ns, HOUR_NS),
            orders_last_day=self._within(ts_ns, DAY_NS),
            entries_today_quote=self._entries_quote if is_today else Decimal(0),
        )

    def _within(self, ts_ns: int, length_ns: int) -> int:
        return len(self._intended_ns) - bisect_right(self._intended_ns, ts_ns - length_ns)
