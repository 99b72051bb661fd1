"""What trading made of a model: turns fills, outcomes and round trips into hits and net returns.

Belongs here: results of the active model's own trades. What every prediction was worth, traded or
not, belongs to `outcomes`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from daemon.core.orders import Side
from daemon.core.scores import TradeFigures
from daemon.layers.monitoring.outcomes import block_length_ns
from daemon.layers.monitoring.trades import net_return_interval

if TYPE_CHECKING:
    from daemon.core.events import (
        ModelActivated,
        OrderApproved,
        OrderFilled,
        PositionChanged,
        PredictionResolved,
    )

ENTRIES_PENDING_MAX = 10_000


class Results:
    """Of the active model since it was activated, the newest `window` of each kind."""

    def __init__(self, window: int, *, timeframe_ns: int) -> None:
        self._timeframe_ns = self._block_ns = timeframe_ns
        self._model: str | None = None
        self._approved: dict[str, Side] = {}  # entries, by trace, until they are filled
        self._filled: dict[str, Side] = {}  # until their outcome is known
        self._hits: deque[bool] = deque(maxlen=window)
        self._returns: deque[float] = deque(maxlen=window)
        self._closed_ns: deque[int] = deque(maxlen=window)

    def figures(self) -> TradeFigures:
        blocks = [each // self._block_ns for each in self._closed_ns]
        n, net = len(self._hits), net_return_interval(list(self._returns), blocks)
        return TradeFigures(
            outcomes=n,
            hit_ratio=sum(self._hits) / n if n else None,
            round_trips=net.n,
            net_ratio=net.mean,
            net_low=net.low,
            net_high=net.high,
        )

    def apply_model_activated(self, event: ModelActivated) -> None:
        """A swap starts over; a position that is open then counts for the model that closes it."""
        if event.model != self._model:
            self._hits.clear()
            self._returns.clear()
            self._closed_ns.clear()
        self._model = event.model
        self._block_ns = block_length_ns(self._timeframe_ns, event.horizon_bars)

    def apply_order_approved(self, event: OrderApproved) -> None:
        if not event.is_exit:
            _put(self._approved, event.trace, event.side)

    def apply_order_filled(self, event: OrderFilled) -> None:
        side = self._approved.pop(event.trace, None)
        if side is not None:
            _put(self._filled, event.trace, side)

    def apply_prediction_resolved(self, event: PredictionResolved) -> None:
        if event.model != self._model:
            return
        self._approved.pop(event.trace, None)
        side = self._filled.pop(event.trace, None)
        if side is not None and event.outcome is not None:
            self._hits.append((event.outcome == 1) is (side is Side.BUY))

    def apply_position_changed(self, event: PositionChanged) -> None:
        if event.closed_return_ratio is not None:
            self._returns.append(event.closed_return_ratio)
            self._closed_ns.append(event.ts_ns)


def _put(sides: dict[str, Side], trace: str, side: Side) -> None:
    sides[trace] = side
    if len(sides) > ENTRIES_PENDING_MAX:
        del sides[next(iter(sides))]
