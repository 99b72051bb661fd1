"""A venue made of recorded bars: turns an order into fills at the next price that could be had.

Belongs here: what an order would have met, as far as bars can tell. Which bars there are, and in
which order things happen, belongs to `backtest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.events import OrderReported, Outcome, Quote, QuotesTaken, ReportSource
from daemon.core.instruments import plain
from daemon.core.orders import Fill, OrderState, OrderType, Side
from daemon.research.purse import Purse
from daemon.research.swap_desk import SwapDesk, SwapTerms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemon.core.bars import Bar
    from daemon.core.events import (
        AskQuotes,
        BarsClosed,
        CancelOrder,
        Input,
        PositionLiquidated,
        SubmitOrder,
    )
    from daemon.core.instruments import Instrument, InstrumentId

FEE_STEP = Decimal("0.00000001")
BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillModel:
    """What trading costs beside the bars. Every fill pays half the spread and the slippage; an
    order pays the slippage again for each `depth_ratio` of its bar's volume that it takes, and gets
    no more than `participation_max_ratio` of that volume.
    """

    fee_bps: Decimal
    spread_bps: Decimal
    slippage_bps: Decimal
    depth_ratio: Decimal
    participation_max_ratio: Decimal
    latency_ns: int

    def worse_ratio(self, share: Decimal) -> Decimal:
        """How much worse than the bar's open an order fills that takes `share` of its volume."""
        return (self.spread_bps / 2 + self.slippage_bps * (1 + share / self.depth_ratio)) / BPS


class SimulatedVenue:
    """Orders on spot and swaps. A market order fills at the open of the bar in which it arrives, or
    never.

    The open is the first price after the decision that anybody can be shown to have traded at.
    Nothing about the bar but its open and its volume is used: its high, low and close were not
    known then. A stop is set off by a bar that trades at its price, a limit order is filled by one
    that trades through it: at its own price, or, where it arrives at a better one, at that with the
    costs of an order that takes.
    """

    def __init__(
        self,
        instruments: Mapping[InstrumentId, Instrument],
        bars: Mapping[tuple[InstrumentId, int], Bar],
        timeframe_ns: int,
        model: FillModel,
        *,
        cash: Mapping[tuple[str, str], Decimal],
        terms: SwapTerms | None = None,
    ) -> None:
        """`bars` are by instrument and open time, `cash` by exchange and currency."""
        self._instruments = instruments
        self._bars = bars
        self._timeframe_ns = timeframe_ns
        self._model = model
        self._resting: dict[str, SubmitOrder] = {}
        self._purse = Purse(instruments, cash)
        self._swaps = SwapDesk(terms or SwapTerms(), self._purse)

    def quotes(self, question: AskQuotes) -> QuotesTaken:
        """Books made of the newest bars: half a spread on each side of the close, and as much in
        them as an order may have of such a bar.
        """
        quotes = tuple(self._quote(each, question.ts_ns) for each in question.instruments)
        return QuotesTaken(
            ts_ns=question.ts_ns,
            instrument=question.instrument,
            trace=question.trace,
            direction=question.direction,
            quotes=quotes,
        )

    def passing(self, closed: BarsClosed) -> Iterator[Input]:
        """What became of orders and swaps while these bars traded; told before the bars are.

        A stop is quicker than a liquidation, unless the bar began beyond both.
        """
        for bar in closed.bars:
            yield from self._swaps.funding_before(bar)
            yield from self._taken_away(bar, self._swaps.opened_beyond(bar))
        yield from self._meeting(closed)
        for bar in closed.bars:
            yield from self._taken_away(bar, self._swaps.traded_beyond(bar))
            yield from self._swaps.funding(bar)

    def _taken_away(self, bar: Bar, gone: PositionLiquidated | None) -> Iterator[Input]:
        """A liquidation, and first the end of the orders that were to close the position."""
        if gone is None:
            return
        for order in list(self._resting.values()):
            if order.instrument == bar.instrument and order.is_exit:
                del self._resting[order.client_order_id]
                yield replace(
                    self._report(order, bar.close_ns),
                    outcome=Outcome.ACKNOWLEDGED,
                    state=OrderState.EXPIRED,
                    venue_order_id=order.client_order_id,
                    filled_quantity=Decimal(0),
                    reason="the position was liquidated",
                )
        yield gone

    def _meeting(self, closed: BarsClosed) -> Iterator[OrderReported]:
        bars = {bar.instrument: bar for bar in closed.bars}
        for order in list(self._resting.values()):
            bar = bars.get(order.instrument)
            if bar is None or order.ts_ns >= bar.close_ns:
                continue
            is_there = order.ts_ns + self._model.latency_ns < bar.open_ns
            price = _met(order, self._instruments[order.instrument], bar, is_there=is_there)
            if price is not None:
                del self._resting[order.client_order_id]
                yield self._executed(order, bar, price, self._report(order, bar.close_ns))

    def cancel(self, order: CancelOrder) -> OrderReported:
        """The end of a resting order; what is none has been told of before."""
        is_there = self._resting.pop(order.client_order_id, None) is not None
        return OrderReported(
            ts_ns=order.ts_ns,
            client_order_id=order.client_order_id,
            outcome=Outcome.ACKNOWLEDGED,
            source=ReportSource.LOOKUP,
            state=OrderState.CANCELED if is_there else None,
            venue_order_id=order.client_order_id,
            filled_quantity=Decimal(0) if is_there else None,
        )

    def answer(self, order: SubmitOrder) -> OrderReported:
        """What the venue says once it has it; a slot without a bar is a market that is closed."""
        arrives_ns = order.ts_ns + self._model.latency_ns
        report = self._report(order, arrives_ns)
        open_ns = arrives_ns - arrives_ns % self._timeframe_ns
        bar = self._bars.get((order.instrument, open_ns))
        if bar is None:
            return replace(report, reason="market is closed: there is no bar to fill in")
        instrument = self._instruments[order.instrument]
        price = instrument.price_of(bar.open)
        fault = _fault(instrument, order, order.price or order.stop_price or price)
        if fault:
            return replace(report, reason=fault)
        if not order.is_resting:
            return self._executed(order, bar, price, report)
        if order.order_type is OrderType.STOP and _is_beyond(order, price, order.stop_price):
            return replace(report, reason="the stop price would trigger immediately")
        resting_at = order.price or order.stop_price or price
        if short := self._short_of(order, self._needed(order, resting_at, order.quantity)):
            return replace(report, reason=short)
        self._resting[order.client_order_id] = order
        return replace(
            report,
            outcome=Outcome.ACKNOWLEDGED,
            state=OrderState.ACCEPTED,
            venue_order_id=order.client_order_id,
            filled_quantity=Decimal(0),
        )

    def _quote(self, each: InstrumentId, ts_ns: int) -> Quote:
        open_ns = ts_ns - ts_ns % self._timeframe_ns - self._timeframe_ns
        bar = self._bars.get((each, open_ns))
        if bar is None:
            return Quote(instrument=each, taken_ns=ts_ns, error="there is no bar to make it of")
        instrument = self._instruments[each]
        close, half = instrument.price_of(bar.close), self._model.spread_bps / 2 / BPS
        depth = Decimal(repr(bar.volume)) * self._model.participation_max_ratio
        bid, ask = (
            instrument.price_down(close * (1 - half)),
            instrument.price_up(close * (1 + half)),
        )
        return Quote(instrument=each, taken_ns=ts_ns, bids=((bid, depth),), asks=((ask, depth),))

    @staticmethod
    def _report(order: SubmitOrder, ts_ns: int) -> OrderReported:
        return OrderReported(
            ts_ns=ts_ns,
            client_order_id=order.client_order_id,
            outcome=Outcome.REFUSED,
            source=ReportSource.REPLY,
        )

    def _executed(
        self, order: SubmitOrder, bar: Bar, price: Decimal, report: OrderReported
    ) -> OrderReported:
        instrument = self._instruments[order.instrument]
        volume = Decimal(repr(bar.volume))
        most = instrument.quantize_down(volume * self._model.participation_max_ratio)
        held = self._swaps.most(instrument, order.side, is_exit=order.is_exit)
        quantity = min(order.quantity, most if held is None else min(most, held))
        accepted = replace(
            report,
            outcome=Outcome.ACKNOWLEDGED,
            venue_order_id=order.client_order_id,
            filled_quantity=quantity,
        )
        if quantity <= 0:
            reason = "nobody traded in that bar" if most <= 0 else "there is nothing to reduce"
            return replace(accepted, state=OrderState.EXPIRED, reason=reason)
        fill = self._fill(order, bar, price, quantity, report.ts_ns)
        needed = self._needed(order, fill.price, fill.quantity)
        if instrument.is_swap and not order.is_exit:
            needed += fill.fee
        if short := self._short_of(order, needed):
            none = replace(accepted, state=OrderState.EXPIRED, filled_quantity=Decimal(0))
            # What rested was taken before, and can only end.
            return replace(none if order.is_resting else report, reason=short)
        self._purse.settle(instrument, fill, is_buy=order.side is Side.BUY)
        self._swaps.note(instrument, order.side, fill)
        if quantity < order.quantity:
            reason = f"the bar's volume gives no more than {plain(most)}"
            return replace(accepted, state=OrderState.EXPIRED, fills=(fill,), reason=reason)
        return replace(accepted, state=OrderState.FILLED, fills=(fill,))

    def _needed(self, order: SubmitOrder, price: Decimal, quantity: Decimal) -> Decimal:
        """What an order takes or ties up of the quote currency when it is filled so."""
        value = price * quantity
        if self._instruments[order.instrument].is_swap:
            return self._swaps.needed(value, is_exit=order.is_exit)
        return value if order.side is Side.BUY else Decimal(0)

    def _short_of(self, order: SubmitOrder, needed: Decimal) -> str:
        """Why an exchange would not let the account pay so much; empty when it would. What other
        orders rest for is spent as if they were filled.
        """
        held = (
            self._needed(each, each.price or each.stop_price or Decimal(0), each.quantity)
            for each in self._resting.values()
            if self._purse.share(each.instrument, order.instrument)
        )
        tied_up = sum(held, self._swaps.tied_up(order.instrument))
        free = self._purse.cash(order.instrument) - tied_up
        if needed <= max(free, Decimal(0)):
            return ""
        quote = self._instruments[order.instrument].quote
        return f"insufficient balance: {plain(needed)} {quote} needed, {plain(free)} held free"

    def _fill(
        self, order: SubmitOrder, bar: Bar, met: Decimal, quantity: Decimal, ts_ns: int
    ) -> Fill:
        instrument = self._instruments[order.instrument]
        is_buy = order.side is Side.BUY
        worse = self._model.worse_ratio(quantity / Decimal(repr(bar.volume)))
        wanted = met * (1 + worse if is_buy else 1 - worse)
        if order.order_type is OrderType.LIMIT:
            assert order.price is not None, "a limit order has a price"
            wanted = min(wanted, order.price) if is_buy else max(wanted, order.price)
        price = instrument.price_up(wanted) if is_buy else instrument.price_down(wanted)
        is_in_base = is_buy and not instrument.is_swap
        received = quantity if is_in_base else quantity * price
        return Fill(
            trade_id=f"{order.client_order_id}-1",
            price=price,
            quantity=quantity,
            fee=(received * self._model.fee_bps / BPS).quantize(FEE_STEP, ROUND_UP),
            fee_currency=instrument.base if is_in_base else instrument.quote,
            ts_ns=ts_ns,
        )


def _is_beyond(order: SubmitOrder, price: Decimal, limit: Decimal | None) -> bool:
    """Whether a market at `price` has reached the stop price of an order."""
    assert limit is not None, "a stop order has a stop price"
    return price >= limit if order.side is Side.BUY else price <= limit


def _met(order: SubmitOrder, instrument: Instrument, bar: Bar, *, is_there: bool) -> Decimal | None:
    """The price at which a bar's trades meet a resting order, before costs; None if they do not.

    What opens beyond the price of a stop is met at the open, and so is a limit order that arrives
    there. To one that `is_there` when the bar opens others come, and have to pay its price.
    """
    first = instrument.price_of(bar.open)
    is_buy = order.side is Side.BUY
    if order.order_type is OrderType.STOP:
        assert order.stop_price is not None, "a stop order has a stop price"
        if _is_beyond(order, first, order.stop_price):
            return first
        worst = instrument.price_of(bar.high if is_buy else bar.low)
        return order.stop_price if _is_beyond(order, worst, order.stop_price) else None
    assert order.price is not None, "a limit order has a price"
    best = instrument.price_of(bar.low if is_buy else bar.high)
    if not (best < order.price if is_buy else best > order.price):
        return None
    if is_there:
        return order.price
    return min(first, order.price) if is_buy else max(first, order.price)


def _fault(instrument: Instrument, order: SubmitOrder, price: Decimal) -> str:
    """Which filter of the exchange refuses the order; empty when none does."""
    quantity = order.quantity
    if quantity <= 0 or quantity < instrument.minimum_quantity:
        return f"quantity {plain(quantity)} is under {plain(instrument.minimum_quantity)}"
    if instrument.quantize_down(quantity) != quantity:
        return f"quantity {plain(quantity)} is no multiple of {plain(instrument.lot)}"
    if not instrument.takes(quantity, price, is_exit=order.is_exit):
        return f"notional is under {plain(instrument.minimum_notional)}"
    return ""
