"""A venue made of recorded bars: turns an order into fills at the next price that could be had.

Belongs here: what an order would have met, as far as bars can tell. Which bars there are, and in
which order things happen, belongs to `backtest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.events import OrderReported, Outcome, ReportSource
from daemon.core.instruments import plain
from daemon.core.orders import Fill, OrderState, Side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.core.bars import Bar
    from daemon.core.events import SubmitOrder
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
    """Market orders on spot; each fills at the open of the bar in which it arrives, or not at all.

    The open is the first price after the decision that anybody can be shown to have traded at.
    Nothing about the bar but its open and its volume is used: its high, low and close were not
    known then.
    """

    def __init__(
        self,
        instruments: Mapping[InstrumentId, Instrument],
        bars: Mapping[tuple[InstrumentId, int], Bar],
        timeframe_ns: int,
        model: FillModel,
    ) -> None:
        self._instruments = instruments
        self._bars = bars  # by instrument and open time
        self._timeframe_ns = timeframe_ns
        self._model = model

    def answer(self, order: SubmitOrder) -> OrderReported:
        """What the venue says once it is over; a slot without a bar is a market that is closed."""
        arrives_ns = order.ts_ns + self._model.latency_ns
        report = OrderReported(
            ts_ns=arrives_ns,
            client_order_id=order.client_order_id,
            outcome=Outcome.REFUSED,
            source=ReportSource.REPLY,
        )
        open_ns = arrives_ns - arrives_ns % self._timeframe_ns
        bar = self._bars.get((order.instrument, open_ns))
        if bar is None:
            return replace(report, reason="market is closed: there is no bar to fill in")
        instrument = self._instruments[order.instrument]
        fault = _fault(instrument, order, instrument.price_of(bar.open))
        if fault:
            return replace(report, reason=fault)
        return self._executed(order, instrument, bar, report)

    def _executed(
        self, order: SubmitOrder, instrument: Instrument, bar: Bar, report: OrderReported
    ) -> OrderReported:
        volume = Decimal(repr(bar.volume))
        most = instrument.quantize_down(volume * self._model.participation_max_ratio)
        quantity = min(order.quantity, most)
        accepted = replace(
            report,
            outcome=Outcome.ACKNOWLEDGED,
            venue_order_id=order.client_order_id,
            filled_quantity=quantity,
        )
        if quantity <= 0:
            return replace(accepted, state=OrderState.EXPIRED, reason="nobody traded in that bar")
        fill = self._fill(order, instrument, bar, quantity, report.ts_ns)
        if quantity < order.quantity:
            reason = f"the bar's volume gives no more than {plain(most)}"
            return replace(accepted, state=OrderState.EXPIRED, fills=(fill,), reason=reason)
        return replace(accepted, state=OrderState.FILLED, fills=(fill,))

    def _fill(
        self, order: SubmitOrder, instrument: Instrument, bar: Bar, quantity: Decimal, ts_ns: int
    ) -> Fill:
        is_buy = order.side is Side.BUY
        worse = self._model.worse_ratio(quantity / Decimal(repr(bar.volume)))
        wanted = instrument.price_of(bar.open) * (1 + worse if is_buy else 1 - worse)
        price = instrument.price_up(wanted) if is_buy else instrument.price_down(wanted)
        received = quantity if is_buy else quantity * price
        return Fill(
            trade_id=f"{order.client_order_id}-1",
            price=price,
            quantity=quantity,
            fee=(received * self._model.fee_bps / BPS).quantize(FEE_STEP, ROUND_UP),
            fee_currency=instrument.base if is_buy else instrument.quote,
            ts_ns=ts_ns,
        )


def _fault(instrument: Instrument, order: SubmitOrder, price: Decimal) -> str:
    """Which filter of the exchange refuses the order; empty when none does."""
    quantity = order.quantity
    if quantity <= 0 or quantity < instrument.minimum_quantity:
        return f"quantity {plain(quantity)} is under {plain(instrument.minimum_quantity)}"
    if instrument.quantize_down(quantity) != quantity:
        return f"quantity {plain(quantity)} is no multiple of {plain(instrument.lot)}"
    if price * quantity < instrument.minimum_notional:
        return f"notional is under {plain(instrument.minimum_notional)}"
    return ""
