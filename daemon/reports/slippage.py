"""How prices came out: turns a journal's quotes, intents and fills into slippage per order.

Belongs here: what an order paid against its decision, its quote and the book it saw. How the next
order's cost is expected belongs to `daemon.core.costs`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core import events as e
from daemon.core.costs import Distribution, distribution
from daemon.core.orders import Leg, OrderType, Side
from daemon.core.timeframes import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.core.instruments import InstrumentId

ZERO = Decimal(0)
BPS = 10_000
ORDERS_MIN = 20  # fewer say too little to set anything by
READ = (e.QuotesTaken, e.OrderIntended, e.OrderFilled)


class Paid(Struct):
    """One order with fills: what it was decided at, saw, and got."""

    intent: e.OrderIntended
    walked: Decimal | None  # average price by the book as it was read for it
    quantity: Decimal = ZERO
    notional: Decimal = ZERO
    filled_ns: int = 0

    @property
    def price(self) -> Decimal:
        return self.notional / self.quantity

    @property
    def decision_bps(self) -> float:
        return self._worse_bps(self.price, self.intent.decision_price)

    @property
    def arrival_bps(self) -> float | None:
        quoted = self.intent.arrival_price
        return None if quoted is None else self._worse_bps(self.price, quoted)

    @property
    def beyond_book_bps(self) -> float | None:
        """What no look at the book could have told."""
        return None if self.walked is None else self._worse_bps(self.price, self.walked)

    @property
    def latency_ms(self) -> float:
        return (self.filled_ns - self.intent.ts_ns) / NS_PER_MS

    def _worse_bps(self, price: Decimal, than: Decimal) -> float:
        worse = price - than if self.intent.side is Side.BUY else than - price
        return round(float(worse / than) * BPS, 4)


class Measured(Struct, frozen=True, kw_only=True):
    """Of one exchange and symbol; None where nothing tells it."""

    decision: Distribution | None
    arrival: Distribution | None
    beyond_book: Distribution | None  # of market orders


class Suggested(Struct, frozen=True, kw_only=True):
    """Settings of [execution] that would make paper trading cost what this run did."""

    slippage_bps: float
    paper_extra_slippage_bps: float | None
    paper_latency_ms: int | None  # None where the market waits for orders, as in lock-step
    paper_latency_jitter_ms: int | None


def paid(events: Iterable[e.Event]) -> list[Paid]:
    """Every order that filled, protective stops aside: those are late by intention."""
    quotes: dict[InstrumentId, e.Quote] = {}
    orders: dict[str, Paid] = {}
    for event in events:
        if isinstance(event, e.QuotesTaken):
            quotes.update({each.instrument: each for each in event.quotes})
        elif isinstance(event, e.OrderIntended) and event.leg is not Leg.STOP:
            orders[event.client_order_id] = Paid(event, _walked(event, quotes))
        elif isinstance(event, e.OrderFilled) and event.client_order_id in orders:
            order = orders[event.client_order_id]
            order.quantity += event.quantity
            order.notional += event.quantity * event.price
            order.filled_ns = order.filled_ns or event.ts_ns
    return [each for each in orders.values() if each.quantity]


def measured(orders: Iterable[Paid]) -> Measured:
    known = list(orders)
    arrival = [each.arrival_bps for each in known]
    beyond = [each.beyond_book_bps for each in known]
    return Measured(
        decision=distribution([each.decision_bps for each in known]),
        arrival=distribution([each for each in arrival if each is not None]),
        beyond_book=distribution([each for each in beyond if each is not None]),
    )


def suggested(orders: Sequence[Paid]) -> Suggested | None:
    """None of too few orders; never a negative slippage, which was luck."""
    if len(orders) < ORDERS_MIN:
        return None
    all_of = measured(orders)
    market = sorted(
        each.latency_ms for each in orders if each.intent.order_type is OrderType.MARKET
    )
    quick_ms = market[len(market) // 10] if market else 0.0
    mean_ms = sum(market) / len(market) if market else 0.0
    beyond = all_of.beyond_book
    assert all_of.decision is not None
    return Suggested(
        slippage_bps=round(max(0.0, all_of.decision.mean_bps), 2),
        paper_extra_slippage_bps=None
        if beyond is None or beyond.n < ORDERS_MIN
        else round(max(0.0, beyond.mean_bps), 2),
        paper_latency_ms=max(0, round(quick_ms)) if mean_ms > 0 else None,
        paper_latency_jitter_ms=max(0, round(mean_ms - quick_ms)) if mean_ms > 0 else None,
    )


def _walked(intent: e.OrderIntended, quotes: dict[InstrumentId, e.Quote]) -> Decimal | None:
    """What a market order would have paid on average in the book it saw; None if it was too thin,
    or of another moment.
    """
    quote = quotes.get(intent.instrument)
    if quote is None or intent.order_type is not OrderType.MARKET:
        return None
    if quote.best(intent.side) != intent.arrival_price:
        return None
    left, notional = intent.quantity, ZERO
    for price, shown in quote.side(intent.side):
        take = min(left, shown)
        left, notional = left - take, notional + take * price
    return None if left > 0 else notional / intent.quantity
