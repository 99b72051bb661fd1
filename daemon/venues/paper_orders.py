"""Rules of orders on paper: turns an order, a book and candles into what the market does to it.

Belongs here: filters, and when a resting order is met. Money belongs to `paper_account`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import SubmitOrder
from daemon.core.instruments import plain
from daemon.core.orders import OrderType, Side
from daemon.core.timeframes import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.core.bars import RawBar
    from daemon.core.instruments import Instrument
    from daemon.core.orders import Order
    from daemon.core.ports import Book
    from daemon.venues.paper_book import Levels

ZERO = Decimal(0)


class Candle(Struct, frozen=True):
    """A candle with exact prices; the newest one may not be over."""

    open_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Resting(Struct, kw_only=True):
    """An order that waits for the market, and how much of the market it has seen go by.

    Of the candle in which it was placed nobody knows what came first. What its first reading
    shows counts as before; after a restart it sets off a stop all the same, and fills no limit.
    """

    order: SubmitOrder
    placed_ns: int
    filled: Decimal = ZERO
    fills: int = 0
    is_restored: bool = False
    seen: Candle | None = None

    @property
    def leaves(self) -> Decimal:
        return self.order.quantity - self.filled


class Passage(Struct, frozen=True):
    """What candles say of an order: the worst price a stop must fear, or how much traded through a
    limit.
    """

    is_met: bool = False
    bound: Decimal = ZERO
    traded: Decimal = ZERO


def candles_of(raws: Iterable[RawBar]) -> list[Candle]:
    """Those that can be read, oldest first."""
    found = []
    for raw in raws:
        numbers = (raw.open, raw.high, raw.low, raw.close, raw.volume)
        if not isinstance(raw.open_ms, int) or not all(
            isinstance(each, int | float | str) for each in numbers
        ):
            continue
        try:
            exact = [Decimal(str(each)) for each in numbers]
        except ArithmeticError:
            continue
        if all(each.is_finite() for each in exact):
            found.append(Candle(raw.open_ms * NS_PER_MS, *exact))
    return sorted(found, key=lambda each: each.open_ns)


def passed(resting: Resting, candles: Iterable[Candle], length_ns: int) -> Passage:
    """Let candles go by, and say whether the market came to the order meanwhile."""
    is_stop = resting.order.order_type is OrderType.STOP
    is_met, bound, traded = False, ZERO, ZERO
    for candle in candles:
        before = resting.seen
        if candle.open_ns + length_ns <= resting.placed_ns:
            continue
        if before is not None and candle.open_ns < before.open_ns:
            continue
        is_same = before is not None and candle.open_ns == before.open_ns
        began_before = candle.open_ns < resting.placed_ns
        resting.seen = candle
        if not is_same and began_before and not (resting.is_restored and is_stop):
            continue
        known = before if is_same else None
        if not _is_new_extreme(resting.order, candle, known):
            continue
        if is_stop and not is_met:
            is_met, bound = True, _bound(resting.order, candle, is_whole=not began_before)
        elif not is_stop:
            is_met = True
            traded += candle.volume - (known.volume if known else ZERO)
    return Passage(is_met, bound, max(traded, ZERO))


def _is_new_extreme(order: SubmitOrder, candle: Candle, known: Candle | None) -> bool:
    """Whether trades of this candle, those after `known`, came to the order.

    A stop is set off at its price; a limit order is filled only by what trades beyond it, for at
    its price others stand before us.
    """
    falls = (order.side is Side.SELL) is (order.order_type is OrderType.STOP)
    price = order.stop_price if order.order_type is OrderType.STOP else order.price
    assert price is not None, "what rests has a price"
    extreme = candle.low if falls else candle.high
    was = None if known is None else known.low if falls else known.high
    is_further = was is None or (extreme < was if falls else extreme > was)
    is_traded = known is None or candle.volume > known.volume
    return (is_further and _is_beyond(order, extreme, price, falls=falls)) or (
        is_traded and _is_beyond(order, candle.close, price, falls=falls)
    )


def _is_beyond(order: SubmitOrder, traded: Decimal, price: Decimal, *, falls: bool) -> bool:
    if order.order_type is OrderType.STOP and traded == price:
        return True
    return traded < price if falls else traded > price


def _bound(order: SubmitOrder, candle: Candle, *, is_whole: bool) -> Decimal:
    """A stop fills at its price at best, and where the market opened if it jumped over it."""
    stop = order.stop_price or ZERO
    if not is_whole:
        return stop
    return max(stop, candle.open) if order.side is Side.BUY else min(stop, candle.open)


def is_reached(order: SubmitOrder, book: Book) -> bool:
    """Whether the book of now fills a limit order, or sets off a stop.

    A stop is set off by the side it will trade with.
    """
    levels = side_of(order, book)
    if not levels:
        return False
    best, is_buy = levels[0][0], order.side is Side.BUY
    if order.order_type is OrderType.STOP:
        stop = order.stop_price or ZERO
        return best >= stop if is_buy else best <= stop
    limit = order.price or ZERO
    return best <= limit if is_buy else best >= limit


def side_of(order: SubmitOrder, book: Book) -> Levels:
    """The levels an order takes, and of a limit order those within its price."""
    is_buy = order.side is Side.BUY
    levels = book.asks if is_buy else book.bids
    if order.order_type is not OrderType.LIMIT:
        return levels
    limit = order.price or ZERO
    return tuple(each for each in levels if (each[0] <= limit if is_buy else each[0] >= limit))


def filter_fault(instrument: Instrument, order: SubmitOrder, market: Decimal | None) -> str:
    """Which of the exchange's filters refuses this order; empty when none does.

    A market order is valued at `market`, the first price it would get; unknown, it has no value.
    """
    quantity, price = order.quantity, market
    if order.is_resting:
        price = order.stop_price if order.order_type is OrderType.STOP else order.price
        if price is None or price <= 0:
            return "there is no price for it to rest at"
    most, dearest = instrument.maximum_quantity, instrument.maximum_notional
    notional = None if price is None else price * quantity
    faults = (
        (
            quantity <= 0 or quantity < instrument.minimum_quantity,
            f"quantity {plain(quantity)} is under {plain(instrument.minimum_quantity)}",
        ),
        (
            most is not None and quantity > most,
            f"quantity {plain(quantity)} is over {plain(most or ZERO)}",
        ),
        (
            instrument.quantize_down(quantity) != quantity,
            f"quantity {plain(quantity)} is no multiple of {plain(instrument.lot)}",
        ),
        (
            order.is_resting and price is not None and instrument.price_down(price) != price,
            f"price {plain(price or ZERO)} is no multiple of {plain(instrument.tick)}",
        ),
        (
            price is not None and not instrument.takes(quantity, price, is_exit=order.is_exit),
            f"notional is under {plain(instrument.minimum_notional)}",
        ),
        (
            notional is not None and dearest is not None and notional > dearest,
            f"notional is over {plain(dearest or ZERO)}",
        ),
    )
    return next((text for is_broken, text in faults if is_broken), "")


def submitted(order: Order) -> SubmitOrder:
    """The command an order of the journal was sent by."""
    return SubmitOrder(
        ts_ns=order.intended_ns,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        decision_price=order.decision_price,
        price=order.price,
        stop_price=order.stop_price,
        is_exit=order.is_exit,
    )
