"""The matching of a paper venue: turns books and candles into fills of the orders given to it.

Belongs here: what is booked, what rests, and what each of them gets. Waiting for the market, and
asking it, belong to `paper_venue`; it is all synchronous here.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.events import OrderReported, Outcome, PositionLiquidated, ReportSource
from daemon.core.instruments import plain
from daemon.core.orders import Fill, OrderState, OrderType, Side
from daemon.core.ports import VenueFill
from daemon.venues.paper_account import PaperAccount
from daemon.venues.paper_book import Depth
from daemon.venues.paper_orders import (
    Resting,
    filter_fault,
    is_reached,
    passed,
    side_of,
    submitted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from daemon.core.events import SubmitOrder
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.orders import Order
    from daemon.core.ports import Book
    from daemon.venues.paper_book import Take
    from daemon.venues.paper_orders import Candle
    from daemon.venues.paper_terms import PaperTerms

ZERO = Decimal(0)
_OVER = frozenset({OrderState.CANCELED, OrderState.EXPIRED})


class PaperMatching:
    """Booked orders by client id; a change of one that rests is told by `meet`."""

    def __init__(
        self, instruments: Sequence[Instrument], start: Mapping[str, Decimal], terms: PaperTerms
    ) -> None:
        self.account = PaperAccount(instruments, start, terms)
        self.booked: dict[str, OrderReported] = {}
        self.resting: dict[str, Resting] = {}
        self._terms = terms
        self._depth = {
            (each.id, side): Depth(recovery_s=terms.recovery_s, lot=each.lot)
            for each in instruments
            for side in Side
        }

    def restore(
        self,
        orders: Iterable[Order],
        fills: Iterable[VenueFill],
        gone: Iterable[PositionLiquidated] = (),
    ) -> None:
        """Take over what an earlier process booked, from its journal: fills, and swaps that were
        taken away between them.
        """
        by_order: defaultdict[str | None, list[Fill]] = defaultdict(list)
        taken_away = list(gone)
        for each in fills:
            while taken_away and taken_away[0].ts_ns < each.fill.ts_ns:
                self._take_away(taken_away.pop(0))
            self.account.book(each)
            by_order[each.client_order_id].append(each.fill)
            if not each.fill.is_maker:
                taken = ((each.fill.price, each.fill.quantity),)
                self._depth[each.instrument, each.side].take(taken, each.fill.ts_ns)
        for event in taken_away:
            self._take_away(event)
        for order in orders:
            self._restore(order, tuple(by_order[order.client_order_id]))

    def accept(self, order: SubmitOrder, book: Book, ts_ns: int) -> OrderReported:
        """An order arrives: refused, filled, over or resting."""
        ours = order.client_order_id
        report = report_of(ours, ts_ns)
        fault = self._fault(order, book, ts_ns)
        if fault:
            refused = replace(report, outcome=Outcome.REFUSED, venue_order_id=None, reason=fault)
            self.booked[ours] = refused
            return refused
        resting = Resting(order=order, placed_ns=ts_ns)
        self._rest(resting, report)
        if order.order_type is not OrderType.STOP:
            self._take(resting, book, ts_ns)
        if not resting.leaves:
            self.end(ours, OrderState.FILLED)
        elif not order.is_resting:
            self.end(ours, OrderState.EXPIRED, "the book holds no more")
        return self.booked[ours]

    def meet(
        self, resting: Resting, book: Book, candles: Iterable[Candle], length_ns: int, ts_ns: int
    ) -> OrderReported | None:
        """Let the market go by an order that rests; its report where that changed anything."""
        order, ours, before = resting.order, resting.order.client_order_id, resting.filled
        ts_ns = max(ts_ns, resting.placed_ns)
        passage = passed(resting, candles, length_ns)
        if order.order_type is OrderType.STOP:
            if not (passage.is_met or is_reached(order, book)):
                return None
            self.account.unlock(ours)
            self._take(resting, book, ts_ns, bound=passage.bound if passage.is_met else None)
        else:
            assert order.price is not None, "a limit order has a price"
            through = self.account.instrument(order.instrument).quantize_down(passage.traded)
            self._fill(resting, [(order.price, min(resting.leaves, through))], ts_ns, is_maker=True)
            # Others came to our price: they pay it, and bring no more than they show.
            takes = self._walk(resting, book, ts_ns)
            self._depth[order.instrument, order.side].take(takes, ts_ns)
            priced = [(order.price, quantity) for _, quantity in takes]
            self._fill(resting, priced, ts_ns, is_maker=True)
        if not resting.leaves:
            self.end(ours, OrderState.FILLED)
        elif order.order_type is OrderType.STOP:
            self.end(ours, OrderState.EXPIRED, "the book, or the money, gives no more")
        return self.booked[ours] if resting.filled != before or not self._rests(ours) else None

    def liquidated(
        self, instrument: InstrumentId, book: Book, candles: Iterable[Candle], ts_ns: int
    ) -> PositionLiquidated | None:
        """A swap that the market has come to, by the book of now or by a candle that began after
        the position was last changed. The orders that were to close it end with it.
        """
        price = self.account.liquidation_price(instrument)
        if price is None:
            return None
        is_long = self.account.swaps()[instrument].quantity > 0
        best = (book.bids if is_long else book.asks)[:1]
        since_ns = self.account.changed_ns(instrument) or 0
        seen = [level[0] for level in best]
        seen += [each.low if is_long else each.high for each in candles if each.open_ns >= since_ns]
        if not any(each <= price if is_long else each >= price for each in seen):
            return None
        gone = self.account.take_away(instrument, ts_ns)
        assert gone is not None, "it was held"
        for ours, resting in list(self.resting.items()):
            if resting.order.instrument == instrument and resting.order.is_exit:
                self.end(ours, OrderState.EXPIRED, "the position was liquidated")
        return PositionLiquidated(ts_ns=ts_ns, instrument=instrument, price=gone, fee=ZERO)

    def end(self, ours: str, state: OrderState, reason: str = "") -> None:
        """An order is over, and locks nothing any more."""
        self.resting.pop(ours, None)
        self.account.unlock(ours)
        is_short = state is OrderState.EXPIRED
        self.booked[ours] = replace(
            self.booked[ours], state=state, reason=reason if is_short else ""
        )

    # --- parts --------------------------------------------------------------------------------

    def _take_away(self, event: PositionLiquidated) -> None:
        self.account.take_away(event.instrument, event.ts_ns)

    def _rests(self, ours: str) -> bool:
        return ours in self.resting

    def _restore(self, order: Order, own: tuple[Fill, ...]) -> None:
        ours = order.client_order_id
        filled = sum((fill.quantity for fill in own), ZERO)
        report = replace(report_of(ours, order.intended_ns), fills=own, filled_quantity=filled)
        if filled >= order.quantity:
            self.booked[ours] = replace(report, state=OrderState.FILLED)
        elif order.is_open and order.is_resting and not order.is_unresolved:
            resting = Resting(
                order=submitted(order),
                placed_ns=order.intended_ns,
                filled=filled,
                is_restored=True,
            )
            self._rest(resting, report)
        elif order.state in _OVER:
            self.booked[ours] = replace(report, state=order.state)
        elif own:
            self.booked[ours] = replace(report, state=OrderState.EXPIRED)
        elif order.state is OrderState.REFUSED:
            self.booked[ours] = replace(
                report, outcome=Outcome.REFUSED, venue_order_id=None, filled_quantity=None
            )

    def _fault(self, order: SubmitOrder, book: Book, ts_ns: int) -> str:
        """Why an exchange would refuse this order; empty when it would not."""
        instrument = self.account.instrument(order.instrument)
        levels = side_of(order, book)
        fault = filter_fault(instrument, order, levels[0][0] if levels else None)
        if fault:
            return fault
        if self.account.most(order) == 0:
            return "reduce-only: there is nothing to reduce"
        if order.order_type is OrderType.STOP and is_reached(order, book):
            return "the stop price would trigger immediately"
        price = order.price or order.stop_price
        takes = [(price, order.quantity)] if price is not None else []
        if price is None:
            walked = self._walk(Resting(order=order, placed_ns=ts_ns), book, ts_ns)
            takes = [(self._paid(order, each), quantity) for each, quantity in walked]
        currency = self.account.pays_in(order)
        needed, free = self.account.needed(order, takes), self.account.free(currency)
        if needed <= free:
            return ""
        return f"insufficient balance: {plain(needed)} {currency} needed, {plain(free)} held free"

    def _rest(self, resting: Resting, report: OrderReported) -> None:
        ours = resting.order.client_order_id
        self.resting[ours] = resting
        state = OrderState.PARTLY_FILLED if resting.filled else OrderState.ACCEPTED
        self.booked[ours] = replace(report, state=state, filled_quantity=resting.filled)
        if resting.order.is_resting:
            self.account.lock(resting.order, resting.leaves)

    def _walk(self, resting: Resting, book: Book, ts_ns: int) -> list[Take]:
        """Levels of the book for what is left of an order, less what we took of them before."""
        order = resting.order
        depth, most = self._depth[order.instrument, order.side], self.account.most(order)
        leaves = resting.leaves if most is None else min(resting.leaves, most)
        return depth.walk(side_of(order, book), leaves, ts_ns)

    def _paid(self, order: SubmitOrder, price: Decimal, bound: Decimal | None = None) -> Decimal:
        """What is paid at a shown price; where a stop was met at a worse one, at that."""
        if order.order_type is OrderType.LIMIT:
            return price
        is_buy = order.side is Side.BUY
        if bound is not None:
            price = max(price, bound) if is_buy else min(price, bound)
        instrument, worse = (
            self.account.instrument(order.instrument),
            self._terms.worse(price, is_buy=is_buy),
        )
        # Of what is worth next to nothing the last tick cannot be taken away.
        return instrument.price_up(worse) if is_buy else instrument.price_down(worse) or price

    def _take(self, resting: Resting, book: Book, ts_ns: int, bound: Decimal | None = None) -> None:
        """Take what the book has for an order, as far as the account can pay for it."""
        order = resting.order
        takes = self._walk(resting, book, ts_ns)
        priced = [(self._paid(order, price, bound), quantity) for price, quantity in takes]
        if order.order_type is OrderType.STOP:
            priced = self._affordable(order, priced)
        taken = [
            (shown, paid[1]) for (shown, _), paid in zip(takes, priced, strict=False) if paid[1] > 0
        ]
        self._depth[order.instrument, order.side].take(taken, ts_ns)
        self._fill(resting, priced, ts_ns, is_maker=False)

    def _affordable(self, order: SubmitOrder, takes: list[Take]) -> list[Take]:
        """A stop was paid for at its stop price, and may cost more than there is by now."""
        instrument = self.account.instrument(order.instrument)
        if instrument.is_swap and order.is_exit:
            return takes
        free = self.account.free(self.account.pays_in(order))
        paid: list[Take] = []
        for price, quantity in takes:
            each = price if order.side is Side.BUY else Decimal(1)
            bought = min(quantity, instrument.quantize_down(max(free, ZERO) / each))
            free -= bought * each
            paid.append((price, bought))
        return paid

    def _fill(self, resting: Resting, takes: Iterable[Take], ts_ns: int, *, is_maker: bool) -> None:
        order, ours = resting.order, resting.order.client_order_id
        report = self.booked[ours]
        fills = list(report.fills)
        for price, wanted in takes:
            most = self.account.most(order)
            quantity = wanted if most is None else min(wanted, most)
            if quantity <= 0:
                continue
            fee, currency = self.account.fee(order, price, quantity, ts_ns, is_maker=is_maker)
            fill = Fill(
                trade_id=f"{ours}-{len(fills) + 1}",
                price=price,
                quantity=quantity,
                fee=fee,
                fee_currency=currency,
                ts_ns=ts_ns,
                is_maker=is_maker,
            )
            fills.append(fill)
            resting.filled += quantity
            self.account.book(
                VenueFill(
                    client_order_id=ours,
                    venue_order_id=f"paper-{ours}",
                    instrument=order.instrument,
                    side=order.side,
                    fill=fill,
                )
            )
        if len(fills) > len(report.fills):
            self.booked[ours] = replace(
                report,
                ts_ns=ts_ns,
                state=OrderState.PARTLY_FILLED,
                filled_quantity=resting.filled,
                fills=tuple(fills),
            )
            if order.is_resting:
                self.account.lock(order, resting.leaves)


def report_of(client_order_id: str, ts_ns: int) -> OrderReported:
    """An order that is there, and of which nothing has filled."""
    return OrderReported(
        ts_ns=ts_ns,
        client_order_id=client_order_id,
        outcome=Outcome.ACKNOWLEDGED,
        source=ReportSource.REPLY,
        venue_order_id=f"paper-{client_order_id}",
        filled_quantity=ZERO,
    )
