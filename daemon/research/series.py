"""A symbol's bars as arrays, and the hole-free stretches of them that research may look at.

What a gap means for windows and labels belongs here; features belong in `layers/features`.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from daemon.core.timeframes import NS_PER_MS, rfc3339

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

OPEN, HIGH, LOW, CLOSE, VOLUME = range(5)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Closed bars of one symbol, oldest first; rows may be missing, and a missing row is a hole.

    `open_ns` has shape (n,), int64, UTC; `ohlcv` has shape (n, 5), float64.
    Raises `ValueError` where times are off the grid or do not rise, or a number is not usable.
    """

    symbol: str
    open_ns: IntArray
    ohlcv: FloatArray
    timeframe_ns: int

    def __post_init__(self) -> None:
        rows = len(self.open_ns)
        if self.timeframe_ns <= 0:
            raise ValueError(f"{self.symbol}: the timeframe must be positive")
        if self.open_ns.dtype != np.int64 or self.open_ns.shape != (rows,):
            raise ValueError(f"{self.symbol}: open_ns must be int64 of shape (n,)")
        if self.ohlcv.dtype != np.float64 or self.ohlcv.shape != (rows, 5):
            raise ValueError(f"{self.symbol}: ohlcv must be float64 of shape ({rows}, 5)")
        steps = np.diff(self.open_ns)
        if (steps <= 0).any():
            raise ValueError(f"{self.symbol}: bars must go forward in time, each one once")
        if (steps % self.timeframe_ns).any():
            raise ValueError(f"{self.symbol}: bars are off the grid of the timeframe")
        if not np.isfinite(self.ohlcv).all():
            raise ValueError(f"{self.symbol}: a price or volume is not finite")
        if (self.ohlcv[:, :VOLUME] <= 0).any() or (self.ohlcv[:, VOLUME] < 0).any():
            raise ValueError(f"{self.symbol}: a price is not positive or a volume is negative")

    @property
    def close_ns(self) -> IntArray:
        """When each bar closed, (n,): the earliest moment anything may know it."""
        return self.open_ns + self.timeframe_ns

    def closed_by(self, ts_ns: int) -> "Series":
        """The bars somebody could have known at `ts_ns`."""
        known = int(np.searchsorted(self.close_ns, ts_ns, side="right"))
        return replace(self, open_ns=self.open_ns[:known], ohlcv=self.ohlcv[:known])


def series_of_rows(
    symbol: str, rows: Iterable[tuple[int, float, float, float, float, float]], timeframe_ns: int
) -> Series:
    """The rows of recordings (open time in ms, five numbers) in order, equal ones once.

    Raises ValueError where two bars of one moment differ, and as `Series` does.
    """
    by_open: dict[int, tuple[float, ...]] = {}
    for open_ms, *numbers in sorted(rows):
        if by_open.setdefault(open_ms, tuple(numbers)) != tuple(numbers):
            when = rfc3339(open_ms * NS_PER_MS)
            raise ValueError(f"{symbol}: two bars of {when} contradict each other; keep one")
    opens = np.array(list(by_open), dtype=np.int64) * NS_PER_MS
    ohlcv = np.array(list(by_open.values()), dtype=np.float64).reshape(-1, 5)
    return Series(symbol, opens, ohlcv, timeframe_ns)


def unbroken(series: Series, *, accepts_zero_volume: bool = False) -> tuple[slice, ...]:
    """Longest runs of adjacent bars, as row slices in time order.

    No window and no label may reach over the end of a run. A bar without volume says nothing about
    a price anybody paid, so by default it breaks a run exactly as a missing bar does.
    """
    usable = np.ones(len(series.open_ns), dtype=np.bool_)
    if not accepts_zero_volume:
        usable = series.ohlcv[:, VOLUME] > 0
    follows = np.zeros(len(usable), dtype=np.bool_)
    follows[1:] = (np.diff(series.open_ns) == series.timeframe_ns) & usable[:-1]
    starts = np.flatnonzero(usable & ~follows)
    run_of_row = np.cumsum(usable & ~follows) - 1
    lengths = np.bincount(run_of_row[usable], minlength=len(starts)) if len(starts) else starts
    return tuple(
        slice(int(start), int(start + length))
        for start, length in zip(starts, lengths, strict=True)
    )


def content_sha256(series: Series) -> str:
    """Hash of symbol, timeframe, times and numbers: equal where training would see the same."""
    digest = hashlib.sha256(f"{series.symbol}\0{series.timeframe_ns}\0".encode())
    digest.update(np.ascontiguousarray(series.open_ns, dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(series.ohlcv, dtype="<f8").tobytes())
    return digest.hexdigest()
