"""Flattening: from somebody's request until a resume, whatever is held is asked to be closed.

Belongs here: what is closed, and how often that is tried. The halt belongs to `halts`, selling to
execution; this only desires, like every other signal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import SignalReason
from daemon.core.ids import trace_for
from daemon.core.timeframes import NS_PER_S
from daemon.layers.risk.exits import flat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import (
        BarsClosed,
        FlattenRequested,
        OrdersTicked,
        SignalEmitted,
        TradingResumed,
    )
    from daemon.core.instruments import InstrumentId

AGAIN_FIRST_NS = 2 * NS_PER_S
AGAIN_MAX_NS = 60 * NS_PER_S
DOUBLED_MAX = 5


class _Tried(Struct, frozen=True):
    count: int
    last_ns: int


class Flattening:
    """It goes on after all is closed: what a late fill brings is closed, too."""

    def __init__(self, book: Book, blotter: Blotter) -> None:
        self._book = book
        self._blotter = blotter
        self._since_ns: int | None = None
        self._tried: dict[InstrumentId, _Tried] = {}

    @property
    def is_on(self) -> bool:
        return self._since_ns is not None

    # --- applying -----------------------------------------------------------------------------

    def apply_flatten_requested(self, event: FlattenRequested) -> None:
        """Whoever asks again is not made to wait for the next try."""
        self._since_ns = event.ts_ns
        self._tried.clear()

    def apply_trading_resumed(self, _event: TradingResumed) -> None:
        self._since_ns = None
        self._tried.clear()

    def apply_signal_emitted(self, event: SignalEmitted) -> None:
        if event.reason is SignalReason.FLATTEN:
            key = self._blotter.listings.key(event.instrument)
            known = self._tried.get(key)
            self._tried[key] = _Tried(1 if known is None else known.count + 1, event.ts_ns)

    # --- deciding -----------------------------------------------------------------------------

    def on_flatten_requested(self, event: FlattenRequested) -> Iterator[SignalEmitted]:
        yield from self._signals(event.ts_ns)

    def on_bars_closed(self, event: BarsClosed) -> Iterator[SignalEmitted]:
        yield from self._signals(event.ts_ns)

    def on_orders_ticked(self, event: OrdersTicked) -> Iterator[SignalEmitted]:
        yield from self._signals(event.ts_ns)

    def is_due(self, ts_ns: int) -> bool:
        """True when a tick now would do anything."""
        return any(True for _ in self._signals(ts_ns))

    def _signals(self, ts_ns: int) -> Iterator[SignalEmitted]:
        if self._since_ns is None:
            return
        keys = {self._blotter.listings.key(each) for each in self._book.positions}
        for key in sorted(keys):
            held = [each for each in self._blotter.listings.members(key) if self._is_held(each)]
            if held and self.may_leave(key) and self._may_try(key, ts_ns):
                marked = key if key in self._book.marks else held[0]
                yield self._signal(marked, ts_ns)

    def _is_held(self, instrument: InstrumentId) -> bool:
        quantity = abs(self._book.position(instrument).quantity)
        return self._book.instruments[instrument].quantize_down(quantity) > 0

    def may_leave(self, instrument: InstrumentId) -> bool:
        """Whether anything of it is held where nothing is on its way, which would be waited for: it
        decides what there is to sell.
        """
        if self._blotter.parent_of(instrument) is not None:
            return False
        members = self._blotter.listings.members(instrument)
        return any(self._is_held(each) and not self._blotter.busy_at(each) for each in members)

    def _may_try(self, key: InstrumentId, ts_ns: int) -> bool:
        tried = self._tried.get(key)
        if tried is None:
            return True
        wait_ns = min(AGAIN_MAX_NS, AGAIN_FIRST_NS << min(tried.count - 1, DOUBLED_MAX))
        return ts_ns - tried.last_ns >= wait_ns

    def _signal(self, instrument: InstrumentId, ts_ns: int) -> SignalEmitted:
        tried = self._tried.get(self._blotter.listings.key(instrument))
        attempt = 1 if tried is None else tried.count + 1
        return flat(
            instrument,
            SignalReason.FLATTEN,
            self._book.marks.get(instrument),
            ts_ns=ts_ns,
            trace=trace_for(instrument, f"flatten {self._since_ns} {attempt}", ts_ns),
            close_ns=self._book.marked_ns.get(instrument, ts_ns),
        )
