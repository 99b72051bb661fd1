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
    HistoryLoaded,
)
from daemon.core.ids import trace_for
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import timeframe_ns
from daemon.layers.features.sets import COLUMNS, FeatureSet, feature_matrix


class Features:
    """Windows of `lookback` bars per instrument, contiguous on the grid of the timeframe.

    A bar in which nobody traded stands in windows like any other, but where `zero_volume` is FLAG
    there is no row at that bar itself; where it is REJECT, the window starts anew behind it, as
    behind a hole. Bars of other instruments than those named here are a KeyError.
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

    def apply_history_loaded(self, event: HistoryLoaded) -> None:
        for bar in event.bars:
            self._take(bar)

    def apply_bars_closed(self, event: BarsClosed) -> None:
        for bar in event.bars:
            self._take(bar)

    def apply_bars_missed(self, event: BarsMissed) -> None:
        slot = self._slots[event.instrument]
        newest_open_ns = self._newest_open_ns[slot]
        last_missed_ns = event.first_open_ns + (event.count - 1) * self._timeframe_ns
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
        """One FeatureRows with a row or a reason for every bar, all rows from one computation."""
        ready: list[Bar] = []
        refused: list[FeaturesRefused] = []
        for bar in event.bars:
            reason = self._refusal(bar)
            if reason is None:
                ready.append(bar)
            else:
                refused.append(self._refused(bar, reason))
        rows: list[FeatureRow] = []
        windows = self._bars[[self._slots[bar.instrument] for bar in ready]]
        matrix = feature_matrix(self._features, windows)[:, 0]
        for bar, values in zip(ready, matrix.tolist(), strict=True):
            if all(map(math.isfinite, values)):
                rows.append(self._row(bar, tuple(values)))
            else:
                refused.append(self._refused(bar, FeaturesRefusedReason.NOT_FINITE))
        yield FeatureRows(
            ts_ns=event.ts_ns,
            fingerprint=self._features.fingerprint,
            rows=tuple(rows),
            refused=tuple(refused),
        )

    def _take(self, bar: Bar) -> None:
        slot = self._slots[bar.instrument]
        newest_open_ns = self._newest_open_ns[slot]
        if newest_open_ns is not None:
            if bar.open_ns <= newest_open_ns:
                return  # history that overlaps what is already here
            if bar.open_ns != newest_open_ns + self._timeframe_ns:
                self._empty(slot, FeaturesRefusedReason.WINDOW_HAS_HOLE)
        self._newest_open_ns[slot] = bar.open_ns
        if self._breaks_windows(bar):
            self._empty(slot, FeaturesRefusedReason.ZERO_VOLUME)
            return
        window = self._bars[slot]
        window[:-1] = window[1:]
        window[-1] = _columns(bar)
        self._held[slot] = min(self._held[slot] + 1, self._features.lookback)

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
        return None

    def _row(self, bar: Bar, values: tuple[float, ...]) -> FeatureRow:
        return FeatureRow(
            instrument=bar.instrument,
            trace=trace_for(bar.instrument, self._timeframe, bar.close_ns),
            close_ns=bar.close_ns,
            received_ns=bar.received_ns,
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
