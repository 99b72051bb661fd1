"""A venue in process: fills market orders on the live book of an exchange that never hears of them.

Belongs here: walking the book, fees, filters and the paper account. The book comes from MarketData.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import LookUpOrder, OrderReported, Outcome, ReportSource, SubmitOrder
from daemon.core.instruments import plain
from daemon.core.orders import Fill, OrderState, OrderType, Side
from daemon.core.ports import Account, VenueFill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from daemon.core.clock import Clock
    from daemon.core.events import CancelOrder
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.orders import Order
    from daemon.core.ports import Book, MarketData

    Levels = tuple[tuple[Decimal, Decimal], ...]

BOOK_LEVELS = 50
FEE_STEP = Decimal("0.00000001")
ZERO = Decimal(0)
_ENDED = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED})


class PaperVenue:
    """The same client order id is executed once, however often it is submitted.

    Nothing is durable here: after a restart the journal's orders and fills are given to `restore`.
    Fees are kept from what is received, as on spot exchanges.
    """

    def __init__(
        self,
        market_data: MarketData,
        instruments: Iterable[Instrument],
        clock: Clock,
        *,
        start: Mapping[str, Decimal],
        fee_bps: float = 10.0,
        latency_ms: int = 250,
    ) -> None:
        self._market_data = market_data
        self._instruments = {each.id: each for each in instruments}
        self._clock = clock
        self._start = dict(start)
        self._fee_ratio = Decimal(str(fee_bps)) / 10_000
        self._latency_s = latency_ms / 1_000
        self._booked: dict[str, OrderReported] = {}
        self._resting: dict[str, SubmitOrder] = {}
        self._fills: list[VenueFill] = []
        self._depth: defaultdict[tuple[InstrumentId, Side], Depth] = defaultdict(Depth)

    def restore(self, orders: Iterable[Order], fills: Iterable[VenueFill]) -> None:
        """Take over what an earlier process booked, from its journal."""
        self._fills = list(fills)
        by_order: defaultdict[str | None, list[Fill]] = defaultdict(list)
        for each in self._fills:
            by_order[each.client_order_id].append(each.fill)
        for order in orders:
            own = tuple(by_order[order.client_order_id])
            filled = sum((fill.quantity for fill in own), ZERO)
            if order.state in _ENDED or own:
                state = OrderState.FILLED if filled >= order.quantity else OrderState.EXPIRED
                report = self._report(order.client_order_id, order.intended_ns)
                self._booked[order.client_order_id] = replace(
                    report, state=state, filled_quantity=filled, fills=own
                )
            elif order.is_resting and order.is_open:
                self._rest(_submitted(order))
            elif order.state is OrderState.REFUSED:
                report = self._report(order.client_order_id, order.intended_ns)
                self._booked[order.client_order_id] = replace(report, outcome=Outcome.REFUSED)

    async def submit(self, order: SubmitOrder) -> OrderReported:
        """Walk the book that stands after the latency; what it cannot fill expires."""
        known = self._booked.get(order.client_order_id)
        if known is not None:
            return known
        await asyncio.sleep(self._latency_s)
        try:
            book = await self._market_data.book(order.instrument, BOOK_LEVELS)
        except ExchangeUnreachable as error:
            report = self._report(order.client_order_id, max(order.ts_ns, self._clock.now_ns()))
            return replace(report, outcome=Outcome.NOT_SENT, reason=f"no book: {error}")
        levels = book.asks if order.side is Side.BUY else book.bids
        if order.is_resting:
            return self._place(order, book)
        report = self._execute(order, levels)
        self._booked[order.client_order_id] = report
        return report

    async def cancel(self, order: CancelOrder) -> OrderReported:
        """Gone at once, unless the book of this moment fills it."""
        report = await self.look_up(_question(order))
        if self._resting.pop(order.client_order_id, None) is None:
            return report
        ended = replace(report, state=OrderState.CANCELED)
        self._booked[order.client_order_id] = ended
        return ended

    async def look_up(self, order: LookUpOrder) -> OrderReported:
        """What was booked; an id that never was is absent at once: nothing leaves this process.

        An order that rests meets the book of this moment.
        """
        resting = self._resting.get(order.client_order_id)
        if resting is not None:
            with contextlib.suppress(ExchangeUnreachable):
                book = await self._market_data.book(resting.instrument, BOOK_LEVELS)
                if _is_reached(resting, book):
                    self._meet(resting, book)
        known = self._booked.get(order.client_order_id)
        if known is not None:
            return replace(known, source=ReportSource.LOOKUP)
        report = self._report(order.client_order_id, order.ts_ns)
        return replace(
            report,
            outcome=Outcome.ABSENT,
            source=ReportSource.LOOKUP,
            venue_order_id=None,
            reason="never booked in this process",
        )

    async def reports(self) -> AsyncIterator[OrderReported]:
        """Nothing ever: an order is over when it is submitted, or it is asked about."""
        await asyncio.Event().wait()
        for report in self._booked.values():
            yield report

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        wanted = set(instruments)
        return Account(
            totals={currency: total for currency, total in self._totals().items() if total},
            fills=tuple(
                each
                for each in self._fills
                if each.instrument in wanted and each.fill.ts_ns >= since_ns
            ),
            open_client_order_ids=tuple(self._resting),
        )

    async def close(self) -> None:
        """Nothing to let go of: the market data belongs to whoever made it."""

    def _place(self, order: SubmitOrder, book: Book) -> OrderReported:
        """Let an order rest; one that would meet the market at once does, or is no stop at all."""
        report = self._report(order.client_order_id, max(order.ts_ns, self._clock.now_ns()))
        instrument = self._instruments[order.instrument]
        limits = ((order.price or order.stop_price or ZERO, order.quantity),)
        fault = _filter_fault(instrument, order, limits)
        if not fault and _is_reached(order, book) and order.order_type is OrderType.STOP:
            fault = "the stop price would trigger immediately"
        if fault:
            booked = replace(report, outcome=Outcome.REFUSED, venue_order_id=None, reason=fault)
            self._booked[order.client_order_id] = booked
        else:
            self._rest(order)
            if _is_reached(order, book):
                self._meet(order, book)
        return self._booked[order.client_order_id]

    def _rest(self, order: SubmitOrder) -> None:
        report = self._report(order.client_order_id, order.ts_ns)
        self._resting[order.client_order_id] = order
        self._booked[order.client_order_id] = replace(
            report, state=OrderState.ACCEPTED, filled_quantity=ZERO
        )

    def _meet(self, order: SubmitOrder, book: Book) -> None:
        """The market has come to a resting order: it takes what the book has at its price."""
        levels = book.asks if order.side is Side.BUY else book.bids
        if order.price is not None:
            is_buy, limit = order.side is Side.BUY, order.price
            levels = tuple(
                each for each in levels if (each[0] <= limit if is_buy else each[0] >= limit)
            )
        self._booked[order.client_order_id] = self._execute(order, levels)
        del self._resting[order.client_order_id]

    def _execute(self, order: SubmitOrder, levels: Levels) -> OrderReported:
        ts_ns = max(order.ts_ns, self._clock.now_ns())
        report = self._report(order.client_order_id, ts_ns)
        instrument = self._instruments[order.instrument]
        takes = self._depth[order.instrument, order.side].walk(levels, order.quantity)
        fault = _filter_fault(instrument, order, levels) or self._shortage(instrument, order, takes)
        if fault:
            return replace(report, outcome=Outcome.REFUSED, venue_order_id=None, reason=fault)
        self._depth[order.instrument, order.side].take(levels, takes)
        fills = tuple(
            self._fill(instrument, order, number, take, ts_ns)
            for number, take in enumerate(takes, 1)
        )
        filled = sum((fill.quantity for fill in fills), ZERO)
        self._fills += [
            VenueFill(
                client_order_id=order.client_order_id,
                venue_order_id=f"paper-{order.client_order_id}",
                instrument=order.instrument,
                side=order.side,
                fill=fill,
            )
            for fill in fills
        ]
        is_filled = filled == order.quantity
        return replace(
            report,
            state=OrderState.FILLED if is_filled else OrderState.EXPIRED,
            filled_quantity=filled,
            fills=fills,
            reason="" if is_filled else "the book holds no more",
        )

    def _fill(
        self,
        instrument: Instrument,
        order: SubmitOrder,
        number: int,
        take: tuple[Decimal, Decimal],
        ts_ns: int,
    ) -> Fill:
        price, quantity = take
        is_buy = order.side is Side.BUY
        received = quantity if is_buy else quantity * price
        return Fill(
            trade_id=f"{order.client_order_id}-{number}",
            price=price,
            quantity=quantity,
            fee=(received * self._fee_ratio).quantize(FEE_STEP, ROUND_UP),
            fee_currency=instrument.base if is_buy else instrument.quote,
            ts_ns=ts_ns,
        )

    def _shortage(
        self, instrument: Instrument, order: SubmitOrder, takes: Sequence[tuple[Decimal, Decimal]]
    ) -> str:
        """What is missing to pay for these takes; empty when the account holds enough."""
        is_buy = order.side is Side.BUY
        currency = instrument.quote if is_buy else instrument.base
        needed = sum((price * each if is_buy else each for price, each in takes), ZERO)
        held = self._totals().get(currency, ZERO)
        if needed <= held:
            return ""
        return f"insufficient balance: {plain(needed)} {currency} needed, {plain(held)} held"

    def _totals(self) -> dict[str, Decimal]:
        totals: defaultdict[str, Decimal] = defaultdict(Decimal, self._start)
        for each in self._fills:
            instrument, fill = self._instruments[each.instrument], each.fill
            sign = 1 if each.side is Side.BUY else -1
            totals[instrument.base] += sign * fill.quantity
            totals[instrument.quote] -= sign * fill.quantity * fill.price
            totals[fill.fee_currency] -= fill.fee
        return dict(totals)

    @staticmethod
    def _report(client_order_id: str, ts_ns: int) -> OrderReported:
        return OrderReported(
            ts_ns=ts_ns,
            client_order_id=client_order_id,
            outcome=Outcome.ACKNOWLEDGED,
            source=ReportSource.REPLY,
            venue_order_id=f"paper-{client_order_id}",
        )


class Depth:
    """Remembers what we took from one side of a book that does not know of us.

    A level that still shows the quantity it showed then is the same orders: what we took stays
    taken.
    """

    def __init__(self) -> None:
        self._taken: dict[Decimal, tuple[Decimal, Decimal]] = {}

    def walk(self, levels: Levels, quantity: Decimal) -> list[tuple[Decimal, Decimal]]:
        """(price, quantity) level by level, best first, until `quantity` is there or none left."""
        takes: list[tuple[Decimal, Decimal]] = []
        for price, shown in levels:
            if quantity <= 0:
                break
            take = min(quantity, shown - self._taken_of(price, shown))
            if take > 0 and price > 0:
                takes.append((price, take))
                quantity -= take
        return takes

    def take(self, levels: Levels, takes: Iterable[tuple[Decimal, Decimal]]) -> None:
        """Note what was taken; levels that changed or went are forgotten."""
        shown_now = dict(levels)
        kept = {
            price: (shown, taken)
            for price, (shown, taken) in self._taken.items()
            if shown_now.get(price) == shown
        }
        for price, quantity in takes:
            before = kept.get(price, (shown_now[price], ZERO))
            kept[price] = (before[0], before[1] + quantity)
        self._taken = kept

    def _taken_of(self, price: Decimal, shown: Decimal) -> Decimal:
        shown_then, taken = self._taken.get(price, (ZERO, ZERO))
        return taken if shown_then == shown else ZERO


def _is_reached(order: SubmitOrder, book: Book) -> bool:
    """Whether the book of now fills a limit order, or sets off a stop."""
    is_buy = order.side is Side.BUY
    if order.order_type is OrderType.STOP:
        # A stop is set off by the side it will trade with.
        levels = book.asks if is_buy else book.bids
        stop = order.stop_price or ZERO
        return bool(levels) and (levels[0][0] >= stop if is_buy else levels[0][0] <= stop)
    levels = book.asks if is_buy else book.bids
    limit = order.price or ZERO
    return bool(levels) and (levels[0][0] <= limit if is_buy else levels[0][0] >= limit)


def _submitted(order: Order) -> SubmitOrder:
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


def _question(order: CancelOrder) -> LookUpOrder:
    return LookUpOrder(
        ts_ns=order.ts_ns,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        intended_ns=order.intended_ns,
        reason=order.reason,
        order_type=order.order_type,
    )


def _filter_fault(instrument: Instrument, order: SubmitOrder, levels: Levels) -> str:
    """Which of the exchange's filters refuses this order; empty when none does."""
    quantity = order.quantity
    if quantity <= 0 or quantity < instrument.minimum_quantity:
        return f"quantity {plain(quantity)} is under {plain(instrument.minimum_quantity)}"
    if instrument.quantize_down(quantity) != quantity:
        return f"quantity {plain(quantity)} is no multiple of {plain(instrument.lot)}"
    if levels and levels[0][0] * quantity < instrument.minimum_notional:
        return f"notional is under {plain(instrument.minimum_notional)}"
    return ""
