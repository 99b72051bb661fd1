"""Layer 2's handler: turns closed bars into windows, and windows into rows or reasons.

Belongs here: which bars stand in which window, and why a window is not good enough. What is
computed from a window belongs to `sets`.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from daemon.core.bars import Bar, BarQuality, ZeroVolume
from daemon.core.events import (
    BarRevised,
    BarsClosed,
    BarsMissed,
    FeatureRow,
    FeatureRows,
    FeaturesRefused,
    FeaturesRefusedReason,
    FeedRecovered,
    FeedStale,
    HistoryLoaded,
    Started,
)
from daemon.core.ids import trace_for
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import timeframe_ns
from daemon.layers.features.matrix import COLUMNS, close_times_s, feature_matrix
from daemon.layers.features.registry import FeatureRefused
from daemon.layers.features.sets import FeatureSet


class Features:
    """Windows of `lookback` bars per instrument, contiguous on the grid of the timeframe.

    A bar in which nobody traded stands in windows like any other, but where `zero_volume` is FLAG
    there is no row at that bar itself; where it is REJECT, the window starts anew behind it, as
    behind a hole. Bars of other instruments than those named here are a KeyError.

    Where the set reads a reference, a bar waits for the reference's bar of its slot. It gets a
    reason instead when that slot turns out empty, when the reference's feed is stale, and when its
    own next bar comes first.
    """

    def __init__(
        self,
        features: FeatureSet,
        instruments: Sequence[InstrumentId],
        *,
        timeframe: str,
        zero_volume: ZeroVolume,
    ) -> None:
        self._features = features
        self._timeframe = timeframe
        self._timeframe_ns = timeframe_ns(timeframe)
        self._zero_volume = zero_volume
        self._slots = {instrument: slot for slot, instrument in enumerate(instruments)}
        self._bars = np.zeros((len(self._slots), features.lookback, COLUMNS))
        self._newest_open_ns: list[int | None] = [None] * len(self._slots)
        self._held = [0] * len(self._slots)
        self._short_of_bars_by = [FeaturesRefusedReason.WARMING_UP] * len(self._slots)
        # Of each instrument's slot, the slot of what it reads: its own exchange's.
        self._references = {
            symbol: [self._slot_of(symbol, each) for each in instruments]
            for symbol in features.references
        }
        # The rest is needed only to wait for references.
        self._over_ns = [-1] * len(self._slots)  # newest slot of the grid that is decided
        self._received_ns = [0] * len(self._slots)
        self._stale: set[int] = set()
        self._unanswered: dict[tuple[InstrumentId, int], Bar] = {}

    def apply_history_loaded(self, event: HistoryLoaded) -> None:
        for bar in event.bars:
            self._take(bar)

    def apply_bars_closed(self, event: BarsClosed) -> None:
        for bar in event.bars:
            self._take(bar)
            if self._references:
                self._unanswered[bar.instrument, bar.close_ns] = bar

    def apply_feature_rows(self, event: FeatureRows) -> None:
        if self._references:
            for row in event.rows:
                self._unanswered.pop((row.instrument, row.close_ns), None)
            for refused in event.refused:
                self._unanswered.pop((refused.instrument, refused.close_ns), None)

    def apply_started(self, _event: Started) -> None:
        """The new streams have not been silent yet, and nobody will say that they recovered."""
        self._stale.clear()

    def apply_feed_stale(self, event: FeedStale) -> None:
        self._stale.add(self._slots[event.instrument])

    def apply_feed_recovered(self, event: FeedRecovered) -> None:
        self._stale.discard(self._slots[event.instrument])

    def apply_bars_missed(self, event: BarsMissed) -> None:
        slot = self._slots[event.instrument]
        newest_open_ns = self._newest_open_ns[slot]
        last_missed_ns = event.first_open_ns + (event.count - 1) * self._timeframe_ns
        self._over_ns[slot] = max(self._over_ns[slot], last_missed_ns)
        if newest_open_ns is not None and last_missed_ns > newest_open_ns:
            self._empty(slot, FeaturesRefusedReason.WINDOW_HAS_HOLE)

    def apply_bar_revised(self, event: BarRevised) -> None:
        """Correct a bar that still stands in its window; decisions already made on it stand."""
        slot = self._slots[event.bar.instrument]
        newest_open_ns = self._newest_open_ns[slot]
        if newest_open_ns is None:
            return
        age = (newest_open_ns - event.bar.open_ns) // self._timeframe_ns
        if not 0 <= age < self._held[slot]:
            return
        self._bars[slot, -1 - age] = _columns(event.bar)
        if self._breaks_windows(event.bar):
            self._held[slot] = age
            self._short_of_bars_by[slot] = FeaturesRefusedReason.ZERO_VOLUME

    def on_bars_closed(self, event: BarsClosed) -> Iterator[FeatureRows]:
        """A row or a reason for every bar but those that wait, all rows from one computation."""
        bars = tuple(self._unanswered.values()) if self._references else event.bars
        yield from self._answers(event.ts_ns, bars)

    def on_bars_missed(self, event: BarsMissed) -> Iterator[FeatureRows]:
        """Reasons for the bars that waited for what was missed."""
        yield from self._answers(event.ts_ns, tuple(self._unanswered.values()))

    def on_feed_stale(self, event: FeedStale) -> Iterator[FeatureRows]:
        """Reasons for the bars that waited for this feed."""
        yield from self._answers(event.ts_ns, tuple(self._unanswered.values()))

    def _answers(self, ts_ns: int, bars: Sequence[Bar]) -> Iterator[FeatureRows]:
        ready: list[Bar] = []
        refused: list[FeaturesRefused] = []
        for bar in bars:
            reason = self._refusal(bar)
            if reason is not None:
                refused.append(self._refused(bar, reason))
            elif not self._waits(bar):
                ready.append(bar)
        rows: list[FeatureRow] = []
        for bar, values in zip(ready, self._computed(ready), strict=True):
            if all(map(math.isfinite, values)):
                rows.append(self._row(bar, tuple(values)))
            else:
                refused.append(self._refused(bar, FeaturesRefusedReason.NOT_FINITE))
        if rows or refused:
            yield FeatureRows(
                ts_ns=ts_ns,
                fingerprint=self._features.fingerprint,
                rows=tuple(rows),
                refused=tuple(refused),
            )

    def _computed(self, ready: Sequence[Bar]) -> list[list[float]]:
        windows = self._bars[[self._slots[bar.instrument] for bar in ready]]
        times = None
        if self._features.reads_time:
            times = close_times_s(
                np.array([bar.close_ns for bar in ready], dtype=np.int64)[:, None]
                - self._timeframe_ns * np.arange(self._features.lookback - 1, -1, -1)
            )
        references = {
            symbol: self._bars[[slots[self._slots[bar.instrument]] for bar in ready]]
            for symbol, slots in self._references.items()
        }
        values: list[list[float]] = feature_matrix(self._features, windows, times, references)[
            :, 0
        ].tolist()
        return values

    def _take(self, bar: Bar) -> None:
        slot = self._slots[bar.instrument]
        newest_open_ns = self._newest_open_ns[slot]
        if newest_open_ns is not None:
            if bar.open_ns <= newest_open_ns:
                return  # history that overlaps what is already here
            if bar.open_ns != newest_open_ns + self._timeframe_ns:
                self._empty(slot, FeaturesRefusedReason.WINDOW_HAS_HOLE)
        self._newest_open_ns[slot] = bar.open_ns
        self._over_ns[slot] = max(self._over_ns[slot], bar.open_ns)
        self._received_ns[slot] = bar.received_ns
        if self._breaks_windows(bar):
            self._empty(slot, FeaturesRefusedReason.ZERO_VOLUME)
            return
        window = self._bars[slot]
        window[:-1] = window[1:]
        window[-1] = _columns(bar)
        self._held[slot] = min(self._held[slot] + 1, self._features.lookback)
        if self._held[slot] == self._features.lookback:
            # A full window lacks nothing, whatever emptied it once: its state is its bars alone.
            self._short_of_bars_by[slot] = FeaturesRefusedReason.WARMING_UP

    def _breaks_windows(self, bar: Bar) -> bool:
        return self._zero_volume is ZeroVolume.REJECT and _is_quiet(bar)

    def _empty(self, slot: int, reason: FeaturesRefusedReason) -> None:
        self._held[slot] = 0
        self._short_of_bars_by[slot] = reason

    def _refusal(self, bar: Bar) -> FeaturesRefusedReason | None:
        slot = self._slots[bar.instrument]
        if self._newest_open_ns[slot] != bar.open_ns:
            # The window has moved on without this bar: it cannot be decided on any more.
            return FeaturesRefusedReason.WINDOW_HAS_HOLE
        if self._held[slot] < self._features.lookback:
            return self._short_of_bars_by[slot]
        if self._zero_volume is ZeroVolume.FLAG and _is_quiet(bar):
            return FeaturesRefusedReason.ZERO_VOLUME
        if any(self._lacks(reference, bar) for reference in self._read_by(slot)):
            return FeaturesRefusedReason.REFERENCE_MISSING
        return None

    def _lacks(self, reference: int, bar: Bar) -> bool:
        """Whether the reference will never have a whole window that ends with this bar's slot."""
        if self._over_ns[reference] < bar.open_ns:
            return reference in self._stale
        is_there = self._newest_open_ns[reference] == bar.open_ns
        return not is_there or self._held[reference] < self._features.lookback

    def _waits(self, bar: Bar) -> bool:
        reads = self._read_by(self._slots[bar.instrument])
        return any(self._over_ns[reference] < bar.open_ns for reference in reads)

    def _read_by(self, slot: int) -> list[int]:
        return [slots[slot] for slots in self._references.values()]

    def _slot_of(self, symbol: str, reader: InstrumentId) -> int:
        reference = InstrumentId(reader.exchange, symbol)
        if reference not in self._slots:
            raise FeatureRefused(
                f"feature set {self._features.name} reads {symbol}, which is none of the "
                f"instruments of {reader.exchange}"
            )
        return self._slots[reference]

    def _row(self, bar: Bar, values: tuple[float, ...]) -> FeatureRow:
        # A row is known when the last of its bars is.
        reads = self._read_by(self._slots[bar.instrument])
        return FeatureRow(
            instrument=bar.instrument,
            trace=trace_for(bar.instrument, self._timeframe, bar.close_ns),
            close_ns=bar.close_ns,
            received_ns=max([bar.received_ns, *(self._received_ns[each] for each in reads)]),
            close=bar.close,
            values=values,
        )

    def _refused(self, bar: Bar, reason: FeaturesRefusedReason) -> FeaturesRefused:
        return FeaturesRefused(
            instrument=bar.instrument,
            trace=trace_for(bar.instrument, self._timeframe, bar.close_ns),
            close_ns=bar.close_ns,
            reason=reason,
        )


def _is_quiet(bar: Bar) -> bool:
    return bar.volume == 0.0 or bar.quality is BarQuality.NO_TRADES


def _columns(bar: Bar) -> tuple[float, float, float, float, float]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume
