"""Stands for layers 1 to 4: goes in whenever it can, and out where the world's script says so.

Belongs here: desired positions that nobody predicted.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.events import BarsClosed, Direction, SignalEmitted, SignalReason
from daemon.core.ids import trace_for
from daemon.core.timeframes import NS_PER_S
from daemon.simulation.world import EPOCH_NS, SLOT_S, SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.core.book import Book
    from daemon.simulation.world import World

SLOT_NS = round(SLOT_S * NS_PER_S)
TOO_LATE_NS = SLOT_NS // 2


class Script:
    """Decides like layer 4: at fresh bars only."""

    def __init__(self, world: World, book: Book) -> None:
        self._keeps = world.keeps
        self._book = book

    def on_bars_closed(self, event: BarsClosed) -> Iterator[SignalEmitted]:
        for bar in event.bars:
            slot = (bar.close_ns - EPOCH_NS) // SLOT_NS - 1
            if slot >= SLOTS or event.ts_ns - bar.close_ns > TOO_LATE_NS:
                continue
            held = self._book.position(bar.instrument).quantity
            wants = not self._book.instruments[bar.instrument].takes(held, Decimal(repr(bar.close)))
            if not wants and self._keeps[slot]:
                continue
            yield SignalEmitted(
                ts_ns=event.ts_ns,
                instrument=bar.instrument,
                trace=trace_for(bar.instrument, "1m", bar.close_ns),
                close_ns=bar.close_ns,
                direction=Direction.LONG if wants else Direction.FLAT,
                reason=SignalReason.MODEL if wants else SignalReason.HORIZON,
                model="script",
                price=bar.close,
                probability_up=0.7,
                win_probability=0.7,
                confidence=0.4,
                edge_ratio=0.01,
                expires_ns=None,
            )
