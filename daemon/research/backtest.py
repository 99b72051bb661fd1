"""Runs recorded bars through the live route table, with a simulated venue at its edge.

Belongs here: the order of recorded inputs and how a simulated order fills. Decisions come from the
pipeline, which is handed in, so that nothing here can differ from live.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daemon.core.bars import MissCause
from daemon.core.events import (
    BarsClosed,
    BarsMissed,
    Event,
    HealthTick,
    OrderReported,
    Outcome,
    ReportSource,
    SubmitOrder,
)
from daemon.core.orders import Fill, OrderState, Side
from daemon.research.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from daemon.core.bars import Bar
    from daemon.core.events import Command, Input
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.pipeline import Pipeline

LATENCY_NS = 250_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedVenue:
    """Market orders fill whole at the next bar's open, worse by slippage, less fees as spot
    exchanges take them.
    """

    instruments: Mapping[InstrumentId, Instrument]
    fee_ratio: Decimal
    slippage_ratio: Decimal

    def answer(self, order: SubmitOrder, following: Bar | None) -> OrderReported:
        """What the venue says; an order that meets an outage is refused, as on a halted market."""
        ts_ns = order.ts_ns + LATENCY_NS
        if following is None:
            return OrderReported(
                ts_ns=ts_ns,
                client_order_id=order.client_order_id,
                outcome=Outcome.REFUSED,
                source=ReportSource.REPLY,
                reason="market is closed: the recording has no next bar",
            )
        instrument = self.instruments[order.instrument]
        is_buy = order.side is Side.BUY
        open_price = instrument.price_of(following.open)
        worse = open_price * (1 + self.slippage_ratio if is_buy else 1 - self.slippage_ratio)
        price = instrument.price_up(worse) if is_buy else instrument.price_down(worse)
        fill = Fill(
            trade_id=f"{order.client_order_id}-1",
            price=price,
            quantity=order.quantity,
            fee=order.quantity * self.fee_ratio * (1 if is_buy else price),
            fee_currency=instrument.base if is_buy else instrument.quote,
            ts_ns=ts_ns,
        )
        return OrderReported(
            ts_ns=ts_ns,
            client_order_id=order.client_order_id,
            outcome=Outcome.ACKNOWLEDGED,
            source=ReportSource.REPLY,
            state=OrderState.FILLED,
            venue_order_id=order.client_order_id,
            filled_quantity=order.quantity,
            fills=(fill,),
        )


def series_of(symbol: str, bars: Sequence[Bar], timeframe_ns: int) -> Series:
    """Bars of one symbol, oldest first, as the arrays a training takes."""
    opens = np.array([bar.open_ns for bar in bars], dtype=np.int64)
    numbers = [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]
    return Series(symbol, opens, np.array(numbers, dtype=np.float64).reshape(-1, 5), timeframe_ns)


def cross_sections(
    bars: Sequence[Bar], timeframe_ns: int
) -> Iterator[tuple[list[BarsMissed], BarsClosed]]:
    """Slots in order, each with the holes that end with it, as a feed would have published them."""
    slots: dict[int, list[Bar]] = defaultdict(list)
    for bar in bars:
        slots[bar.close_ns].append(bar)
    newest: dict[InstrumentId, int] = {}
    for close_ns in sorted(slots):
        missed = []
        for bar in sorted(slots[close_ns], key=lambda each: each.instrument):
            expected_ns = newest.get(bar.instrument, bar.open_ns)
            if bar.open_ns > expected_ns:
                missed.append(
                    BarsMissed(
                        ts_ns=close_ns,
                        instrument=bar.instrument,
                        first_open_ns=expected_ns,
                        count=(bar.open_ns - expected_ns) // timeframe_ns,
                        cause=MissCause.OUTAGE,
                    )
                )
            newest[bar.instrument] = bar.close_ns
        ordered = tuple(sorted(slots[close_ns], key=lambda each: each.instrument))
        yield missed, BarsClosed(ts_ns=close_ns, bars=ordered)


def replay(
    pipeline: Pipeline,
    venue: SimulatedVenue,
    bars: Sequence[Bar],
    *,
    timeframe_ns: int,
    sample_every_bars: int,
    before_slot: Callable[[int], list[Input]] | None = None,
) -> Iterator[Event]:
    """All events of the run, inputs included, in the order a journal would hold them.

    `before_slot` may return inputs (a newly activated model) to be taken before the slot that
    closes then.
    """
    opens = {(bar.instrument, bar.open_ns): bar for bar in bars}
    for number, (missed, closed) in enumerate(cross_sections(bars, timeframe_ns), 1):
        close_ns = closed.ts_ns
        inputs: list[Input] = [*missed, closed]
        if before_slot is not None:
            inputs = [*before_slot(close_ns), *inputs]
        if number % sample_every_bars == 0:
            inputs.append(HealthTick(ts_ns=close_ns))
        for event in inputs:
            yield from _settled(pipeline, venue, event, opens)


def _settled(
    pipeline: Pipeline,
    venue: SimulatedVenue,
    event: Input,
    opens: Mapping[tuple[InstrumentId, int], Bar],
) -> Iterator[Event]:
    """One input's step, then the steps of all answers it leads to."""
    waiting: list[Input] = [event]
    while waiting:
        step = pipeline.step(waiting.pop(0))
        yield from step.events
        waiting += [_answer(venue, command, opens) for command in step.commands]


def _answer(
    venue: SimulatedVenue, command: Command, opens: Mapping[tuple[InstrumentId, int], Bar]
) -> OrderReported:
    assert isinstance(command, SubmitOrder), (
        f"{type(command).__name__} has no meaning in a backtest"
    )
    # A market order is decided at a close, which is the open of the bar it fills in.
    return venue.answer(command, opens.get((command.instrument, command.ts_ns)))
