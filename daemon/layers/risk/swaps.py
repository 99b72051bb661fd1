"""Swaps: says how far a position is from being taken away, and what follows when it is near.

Belongs here: liquidation and funding. What a position is worth belongs to the book, sizes to
`sizing`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.events import (
    DenyReason,
    Direction,
    HaltReason,
    PositionLiquidated,
    SignalEmitted,
    SignalReason,
    TradingHalted,
)
from daemon.core.ids import trace_for
from daemon.core.instruments import liquidation_distance
from daemon.layers.risk.denials import Denial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import RiskSection
    from daemon.core.bars import Bar
    from daemon.core.book import Book
    from daemon.core.events import BarsClosed, Event, FundingCharged, RunOpened
    from daemon.layers.risk.situations import Situation


def liquidation_far(now: Situation, config: RiskSection) -> Denial | None:
    """The move against a new swap that would use its margin up is larger than the smallest one
    that is allowed.
    """
    if not now.instrument.is_swap:
        return None
    distance = liquidation_distance(
        config.max_leverage, config.maintenance_margin_ratio, is_long=now.is_long
    )
    limit = config.min_liquidation_distance_ratio
    if not distance >= limit:
        return Denial(DenyReason.LIQUIDATION_NEAR, f"{distance:.4f}", f"{limit:.4f}")
    return None


class Swaps:
    """Watches the swaps of the book; keeps no more than the timeframe's name."""

    def __init__(self, config: RiskSection, book: Book) -> None:
        self._config = config
        self._book = book
        self._timeframe = ""

    def apply_run_opened(self, event: RunOpened) -> None:
        self._timeframe = event.timeframe

    def on_bars_closed(self, event: BarsClosed) -> Iterator[Event]:
        """A position that came too near to its liquidation is left, whatever the model says."""
        for bar in event.bars:
            distance = self.distance(bar)
            if distance is not None and not distance >= self._config.min_liquidation_distance_ratio:
                yield SignalEmitted(
                    ts_ns=event.ts_ns,
                    instrument=bar.instrument,
                    trace=trace_for(bar.instrument, self._timeframe, bar.close_ns),
                    close_ns=bar.close_ns,
                    direction=Direction.FLAT,
                    reason=SignalReason.LIQUIDATION_NEAR,
                    model="",
                    price=bar.close,
                    probability_up=None,
                    win_probability=None,
                    confidence=None,
                    edge_ratio=None,
                    expires_ns=None,
                )

    def on_funding_charged(self, event: FundingCharged) -> Iterator[Event]:
        if self._book.is_valued:
            yield self._book.marked(event.ts_ns)

    def on_position_liquidated(self, event: PositionLiquidated) -> Iterator[Event]:
        """It should have been left long before: somebody has to look."""
        yield TradingHalted(
            ts_ns=event.ts_ns,
            reason=HaltReason.LIQUIDATED,
            detail=f"{event.instrument} was taken away at {event.price}",
        )

    def distance(self, bar: Bar) -> float | None:
        """How far the close is from the liquidation of what is held, as a ratio; None without."""
        position = self._book.position(bar.instrument)
        maintenance = Decimal(repr(self._config.maintenance_margin_ratio))
        price = position.liquidation_price(self._book.leverage, maintenance)
        if price is None:
            return None
        ratio = price / self._book.marks[bar.instrument] - 1
        return float(-ratio if position.quantity > 0 else ratio)
